//! Names and selections, good and bad.

use std::sync::atomic::{AtomicU32, Ordering};

use crate::{
    Component,
    bindings::{
        exports::mcsdns::policy::{naming, selection},
        mcsdns::policy::types::{Answer, Decision, Fallback, Fleet, Name, Place, Places, Question, Refusal, Subject},
    },
    deed, deeds,
};

/// How often this instance was asked for names. A host that used an instance twice would see it rise.
static ASKED: AtomicU32 = AtomicU32::new(0);

impl naming::Guest for Component {
    fn names(subject: Subject, _places: Places) -> Result<Vec<Name>, Refusal> {
        let asked = ASKED.fetch_add(1, Ordering::Relaxed) + 1;
        let good = Name {
            fqdn: format!("{}.{}", subject.service, subject.domain),
            place: Place::Everywhere,
            fallback: Fallback::Nothing,
        };
        Ok(match deed() {
            "loop-in-names" => deeds::run_for_ever(),
            "grow-in-names" => deeds::grow(),
            "recurse-in-names" => vec![Name { fqdn: deeds::recurse(0).to_string(), ..good }],
            "trap-in-names" => deeds::trap(),
            "panic-in-names" => panic!("asked to"),
            "log-flood" => deeds::flood(),
            "log-then-panic" => {
                deeds::log("about to fail");
                panic!("asked to")
            }
            "refuse" => return Err(Refusal { field: "subject.service".to_owned(), message: "asked to".to_owned() }),
            "too-many-names" => vec![good; 2_001],
            "huge-name" => vec![Name { fqdn: "a".repeat(4 << 20), ..good }],
            "huge-list" => vec![Name { fqdn: String::new(), ..good }; 100_000],
            "not-utf-8" => vec![Name { fqdn: deeds::not_utf_8(), ..good }],
            "name-outside-domain" => vec![Name { fqdn: "www.example.org".to_owned(), ..good }],
            "name-malformed" => vec![Name { fqdn: "a..b\0.example.com".to_owned(), ..good }],
            "place-out-of-range" => vec![Name { place: Place::Zone(4_000_000_000), ..good }],
            "fallback-out-of-range" => vec![Name { fallback: Fallback::AliasOf(7), ..good }],
            "alias-to-itself" => vec![Name { fallback: Fallback::AlwaysAliasOf(0), ..good }],
            "alias-loop" => vec![
                Name { fallback: Fallback::AlwaysAliasOf(1), ..good.clone() },
                Name { fqdn: format!("b.{}", good.fqdn), fallback: Fallback::AlwaysAliasOf(0), ..good },
            ],
            "duplicate-names" => vec![good.clone(), good],
            "remember" => vec![Name { fqdn: format!("{asked}.{}", good.fqdn), ..good }],
            "annotations" => vec![Name { fqdn: format!("{:?}", subject.annotations), ..good }],
            _ => vec![good],
        })
    }
}

impl selection::Guest for Component {
    fn select(
        _subject: Subject,
        _places: Places,
        fleet: Fleet,
        questions: Vec<Question>,
        fqdns: Vec<String>,
    ) -> Result<Vec<Decision>, Refusal> {
        let serving = (0..).zip(&fleet.address_counts).filter(|(_, count)| **count > 0).map(|(index, _)| index);
        let answer = |answer| Decision { answer, because: String::new(), recheck_after_seconds: None };
        let good = answer(Answer::Clusters(serving.clone().collect()));
        let one = match deed() {
            "loop-in-select" => deeds::run_for_ever(),
            "panic-in-select" => panic!("asked to"),
            "too-few-decisions" => return Ok(Vec::new()),
            "too-many-decisions" => return Ok(vec![good; questions.len() + 1]),
            "too-many-targets" => answer(Answer::Clusters(vec![0; 50_001])),
            // Clusters are sorted by name, so this goes by names that it cannot see.
            "first-cluster" => answer(Answer::Clusters(serving.take(1).collect())),
            "panic-without-clusters" if fleet.states.is_empty() => panic!("asked to"),
            "cluster-out-of-range" => answer(Answer::Clusters(vec![4_000_000_000])),
            "target-out-of-range" => answer(Answer::Targets(deeds::targets_out_of_range())),
            "empty-set" => answer(Answer::Sets(deeds::empty_set())),
            "huge-because" => Decision { because: "because ".repeat(1 << 19), ..good },
            "fleet" => Decision { because: format!("{fleet:?} {fqdns:?}"), ..good },
            _ => good,
        };
        Ok(vec![one; questions.len()])
    }
}
