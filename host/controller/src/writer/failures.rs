//! Which records cannot be written, and what the Index is told of it.
//!
//! A record has two objects, its DNSEndpoint and its status. It is well again when both are. What the server says differs
//! from one attempt to the next; only another kind of trouble is news, or every attempt would change the status that could
//! not be written.

use std::collections::HashMap;

use mcsdns_core::{facts::Fact, ids::ObjectKey};

use super::Target;
use crate::trouble::{Kind, Trouble};

#[derive(Debug, Default)]
pub(crate) struct Failures(HashMap<ObjectKey, Failing>);

#[derive(Debug, Default)]
struct Failing {
    names: Option<(Kind, String)>,
    words: Option<(Kind, String)>,
}

impl Failing {
    /// What counts: the names come first.
    fn worst(&self) -> Option<&(Kind, String)> {
        self.names.as_ref().or(self.words.as_ref())
    }
}

impl Failures {
    /// Notes the outcome of a write; what the Index should hear of it.
    pub(crate) fn note(&mut self, target: &Target, trouble: Option<&Trouble>) -> Option<Fact> {
        let record = target.record()?;
        let is_names = matches!(target, Target::Endpoints(_));
        if trouble.is_none() && !self.0.contains_key(&record) {
            return None;
        }
        let failing = self.0.entry(record.clone()).or_default();
        let before = failing.worst().cloned();
        let slot = if is_names { &mut failing.names } else { &mut failing.words };
        match (trouble, &slot) {
            (Some(trouble), Some((kind, _))) if *kind == trouble.kind => {}
            (Some(trouble), _) => *slot = Some((trouble.kind, words(trouble))),
            (None, _) => *slot = None,
        }
        let after = failing.worst().cloned();
        if after.is_none() {
            self.0.remove(&record);
        }
        (before != after).then(|| Fact::WriteFailed { record, message: after.map(|(_, words)| words) })
    }

    /// Nothing is tried any more.
    pub(crate) fn clear(&mut self) -> Vec<Fact> {
        self.0.drain().map(|(record, _)| Fact::WriteFailed { record, message: None }).collect()
    }

    /// The record is gone.
    pub(crate) fn forget(&mut self, record: &ObjectKey) {
        self.0.remove(record);
    }
}

fn words(trouble: &Trouble) -> String {
    let said = &trouble.said;
    match trouble.kind {
        Kind::Forbidden => format!("{said}; apply the roles of deploy/ or end what forbids it"),
        Kind::Timeout => format!("the host cluster: {said}"),
        Kind::Unreachable => format!("the host cluster cannot be reached: {said}"),
        _ => said.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(fact: Option<Fact>) -> Option<Option<String>> {
        match fact {
            Some(Fact::WriteFailed { message, .. }) => Some(message),
            Some(other) => panic!("{other:?}"),
            None => None,
        }
    }

    #[test]
    fn only_another_kind_of_trouble_is_news() {
        let record = ObjectKey::new("test", "nginx");
        let names = Target::Endpoints(super::super::object(&record));
        let words = Target::RecordStatus(record);
        let mut failures = Failures::default();
        let trouble = |kind, said| Trouble::new(kind, said);

        assert_eq!(message(failures.note(&names, None)), None);
        let first = trouble(Kind::Invalid, "a");
        assert_eq!(message(failures.note(&names, Some(&first))), Some(Some("a".to_owned())));
        assert_eq!(message(failures.note(&names, Some(&trouble(Kind::Invalid, "b")))), None);
        assert_eq!(message(failures.note(&words, Some(&trouble(Kind::Invalid, "c")))), None, "the names come first");
        assert_eq!(message(failures.note(&names, None)), Some(Some("c".to_owned())));
        assert_eq!(message(failures.note(&words, None)), Some(None));
        assert!(failures.0.is_empty());
        failures.note(&words, Some(&first));
        assert!(matches!(failures.clear().as_slice(), [Fact::WriteFailed { message: None, .. }]));
    }
}
