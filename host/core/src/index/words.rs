//! Equal words kept once. Twenty clusters name the same ten thousand Services, each in an allocation of its own.

use std::{collections::HashSet, sync::Arc};

use crate::ids::ObjectKey;

/// Fewest words before it is looked whether some are not used any more.
const SWEEP: usize = 1024;

#[derive(Debug, Default)]
pub(super) struct Words {
    known: HashSet<Arc<str>>,
    sweep_at: usize,
}

impl Words {
    /// The same word in the memory that everybody shares.
    pub(super) fn word(&mut self, word: &mut Arc<str>) {
        if let Some(known) = self.known.get(&**word) {
            word.clone_from(known);
            return;
        }
        if self.known.len() >= self.sweep_at {
            self.known.retain(|word| Arc::strong_count(word) > 1);
            self.sweep_at = SWEEP.max(self.known.len() * 2);
        }
        self.known.insert(Arc::clone(word));
    }

    /// The same for both parts of a key.
    pub(super) fn key(&mut self, key: &mut ObjectKey) {
        self.word(&mut key.namespace);
        self.word(&mut key.name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_words_are_kept_once_and_forgotten_when_nobody_uses_them() {
        let mut words = Words::default();
        let (mut one, mut other): (Arc<str>, Arc<str>) = ("web".into(), "web".into());
        words.word(&mut one);
        words.word(&mut other);
        assert!(Arc::ptr_eq(&one, &other));
        for i in 0..10 * SWEEP {
            words.word(&mut format!("name-{i}").into());
        }
        assert!(words.known.len() <= SWEEP + 1);
        assert!(words.known.contains("web"));
    }
}
