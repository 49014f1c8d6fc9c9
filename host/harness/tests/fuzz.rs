//! Whatever bytes come in, nothing panics and nothing hangs. Bounded, so that it fits into every run of the tests;
//! `PROPTEST_CASES` makes it longer.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test may fail by panicking"
)]

use std::sync::{Arc, LazyLock};

use mcsdns_api::convert::{ConfigMapObject, Watched, from_value};
use mcsdns_bench::components::MISBEHAVING;
use mcsdns_core::{
    decision::{Answer, Decision, DecisionOutput, Fallback, Name, Needs, Place, Target, WeightedSet},
    plan::Targets,
};
use mcsdns_harness::{
    bundle::{Bundle, replay},
    fleets::mixed_fleet,
    inspect::inspect,
    judge::{Bounds, judge},
    recorder::Heard,
    suite,
    workbench::{Candidate, Loaded, Workbench},
};
use mcsdns_local::{fleet::Fleet, limits::Limits};
use mcsdns_policy::Budget;
use mcsdns_rollout::package::Package;
use proptest::{collection::vec, prelude::*, sample::Index};

static WORKBENCH: LazyLock<Workbench> = LazyLock::new(|| Workbench::new().unwrap());
static BOXED: LazyLock<Loaded> = LazyLock::new(|| WORKBENCH.load(&Candidate::boxed()).unwrap());

/// A bundle of the policy in the box, as text.
static BUNDLE: LazyLock<String> = LazyLock::new(|| {
    let input = mixed_fleet(4, &BOXED.set.policy_ref().needs);
    let result = Ok(BOXED.set.decide(&input).unwrap().output);
    let heard = Heard { domain: "prod".into(), policies: BOXED.set.policy_ref(), input: Arc::new(input), result };
    Bundle::of(&heard, &BOXED.set, Bounds::default(), "2026-01-01T00:00:00Z", Vec::new()).to_json()
});

/// Cases of proptest that run a component or compile one.
fn few() -> ProptestConfig {
    ProptestConfig { cases: ProptestConfig::default().cases.min(48), ..ProptestConfig::default() }
}

/// Changes, cuts and repeats some bytes.
fn mangled(bytes: &[u8], changes: &[(Index, u8)], cut: Option<Index>, repeat: Option<(Index, Index)>) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    for (at, byte) in changes {
        let at = at.index(bytes.len());
        bytes[at] = *byte;
    }
    if let Some((from, to)) = repeat {
        let (from, to) = (from.index(bytes.len()), to.index(bytes.len()));
        let part = bytes[from.min(to)..from.max(to)].to_vec();
        let at = from.max(to);
        bytes.splice(at..at, part);
    }
    if let Some(cut) = cut {
        bytes.truncate(cut.index(bytes.len()));
    }
    bytes
}

type Mangling = (Vec<(Index, u8)>, Option<Index>, Option<(Index, Index)>);

fn mangling() -> impl Strategy<Value = Mangling> {
    (
        vec((any::<Index>(), any::<u8>()), 0..12),
        proptest::option::weighted(0.3, any::<Index>()),
        proptest::option::weighted(0.3, (any::<Index>(), any::<Index>())),
    )
}

fn place() -> impl Strategy<Value = Place> {
    prop_oneof![
        Just(Place::Everywhere),
        (0_u32..12).prop_map(Place::Region),
        prop_oneof![0_u32..40, any::<u32>()].prop_map(Place::Zone),
    ]
}

fn index() -> impl Strategy<Value = u32> {
    prop_oneof![9 => 0_u32..6, 1 => any::<u32>()]
}

fn fallback() -> impl Strategy<Value = Fallback> {
    prop_oneof![Just(Fallback::Nothing), index().prop_map(Fallback::AliasOf), index().prop_map(Fallback::AlwaysAliasOf)]
}

fn fqdn() -> impl Strategy<Value = String> {
    prop_oneof![
        6 => "[a-c]{1,2}\\.example\\.com",
        1 => "[a-z*.-]{0,70}\\.example\\.com",
        1 => any::<String>(),
        1 => any::<String>().prop_map(|text| format!("{text}.example.com")),
    ]
}

fn target() -> impl Strategy<Value = Target> {
    (index(), index()).prop_map(|(cluster, address)| Target { cluster, address })
}

fn answer() -> impl Strategy<Value = Answer> {
    let set = (any::<String>(), vec(target(), 0..4), vec((any::<String>(), any::<String>()), 0..3)).prop_map(
        |(set_identifier, targets, provider_specific)| WeightedSet { set_identifier, targets, provider_specific },
    );
    prop_oneof![
        vec(index(), 0..8).prop_map(Answer::Clusters),
        vec(target(), 0..8).prop_map(Answer::Targets),
        vec(set, 0..4).prop_map(Answer::Sets),
        Just(Answer::Otherwise),
        Just(Answer::Keep),
    ]
}

fn output() -> impl Strategy<Value = DecisionOutput> {
    let name = (fqdn(), place(), fallback()).prop_map(|(fqdn, place, fallback)| Name { fqdn, place, fallback });
    let decision = (answer(), any::<String>()).prop_map(|(answer, because)| Decision {
        answer,
        because,
        recheck_after_seconds: None,
    });
    let ttl = prop_oneof![8 => 1_u32..1000, 1 => any::<u32>()];
    vec((name, decision, ttl), 0..8).prop_map(|all| {
        let mut output = DecisionOutput::default();
        for (name, decision, ttl) in all {
            output.names.push(name);
            output.decisions.push(decision);
            output.ttls.push(ttl);
        }
        output
    })
}

proptest! {
    #[test]
    fn what_passes_the_guard_rails_can_be_published(output in output()) {
        let input = mixed_fleet(6, &Needs::default());
        let offered: Vec<_> = input.clusters.iter().flat_map(|cluster| cluster.addresses.iter().copied()).collect();
        if let Ok(plan) = judge(&input, &output, &Bounds::default()) {
            for endpoint in &*plan.endpoints {
                prop_assert!(endpoint.dns_name.ends_with(".example.com"), "{}", endpoint.dns_name);
                prop_assert!(mcsdns_core::name::check_name(&endpoint.dns_name).is_ok(), "{}", endpoint.dns_name);
                prop_assert!(endpoint.record_ttl > 0);
                match &endpoint.targets {
                    Targets::Addresses(addresses) => {
                        prop_assert!(!addresses.is_empty());
                        prop_assert!(addresses.iter().all(|address| offered.contains(address)));
                    }
                    Targets::Name(name) => {
                        let known = plan.endpoints.iter().any(|other| other.dns_name == *name);
                        prop_assert!(known, "a CNAME to {name}, which is not published");
                        let alone = plan.endpoints.iter().filter(|other| other.dns_name == endpoint.dns_name).count();
                        prop_assert_eq!(alone, 1, "a CNAME beside something else");
                    }
                    Targets::Other(_) => prop_assert!(false, "nobody answers with text"),
                }
            }
        }
    }

    #[test]
    fn any_text_is_a_bundle_or_an_error(text in any::<String>()) {
        prop_assert!(Bundle::read(&text).is_err());
    }

    #[test]
    fn mangled_bundles_are_read_or_refused(mangling in mangling()) {
        let (changes, cut, repeat) = mangling;
        let bytes = mangled(BUNDLE.as_bytes(), &changes, cut, repeat);
        if let Ok(bundle) = Bundle::read(&String::from_utf8_lossy(&bytes)) {
            // It makes sense, so that it can be decided.
            let replay = replay(&bundle, &BOXED.set);
            let _ = replay.difference();
        }
    }

    #[test]
    fn any_lists_of_policies_are_read_or_refused(list in any::<String>(), name in "[a-z*?]{0,6}", fuel in any::<i64>()) {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("one")).unwrap();
        std::fs::write(dir.path().join("one/case.yaml"), "").unwrap();
        let sources = suite::Sources { candidate: Candidate::boxed(), config: None, config_wins: false };
        for text in [list, format!("- {{name: a, maxFuel: {fuel}, cases: ['{name}']}}\n")] {
            std::fs::write(dir.path().join("policies.yaml"), text).unwrap();
            let _ = suite::find(dir.path(), &sources);
        }
    }

    #[test]
    fn any_manifest_is_read_or_told(text in any::<String>(), mangling in mangling()) {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(dir.path().join("host")).unwrap();
        let record = "apiVersion: multiclusterdns.federation.k8s.io/v1alpha1\nkind: ServiceDNSRecord\n\
                      metadata: {name: a, namespace: b}\nspec: {domainRef: d, recordTTL: 5}\n";
        let (changes, cut, repeat) = mangling;
        std::fs::write(dir.path().join("host/a.yaml"), &text).unwrap();
        std::fs::write(dir.path().join("host/b.yaml"), mangled(record.as_bytes(), &changes, cut, repeat)).unwrap();
        let fleet = Fleet::read(dir.path(), &Limits::default(), jiff::Timestamp::UNIX_EPOCH);
        prop_assert!(fleet.records.len() <= 2);
        let file = dir.path().join("host/a.yaml");
        let _ = Candidate::read(&file);
    }

    #[test]
    fn any_config_map_is_a_package_or_an_error(
        key in "(policy\\.wasm(\\.gz|\\.zst)?|config|sha256|budget|cases|x)",
        value in any::<String>(),
        bytes in vec(any::<u8>(), 0..64),
        magic in 0_usize..4,
    ) {
        use std::fmt::Write as _;
        let magic: &[u8] = [&b""[..], b"\0asm", b"\x1f\x8b\x08", b"\x28\xb5\x2f\xfd"][magic];
        let mut base64 = String::new();
        // Base64 by hand, so that what is tested does not test itself.
        let all: Vec<u8> = magic.iter().chain(&bytes).copied().collect();
        const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
        for chunk in all.chunks(3) {
            let bits = chunk.iter().fold(0_u32, |bits, byte| bits << 8 | u32::from(*byte)) << (8 * (3 - chunk.len()));
            for digit in 0..=chunk.len() {
                write!(base64, "{}", DIGITS[(bits >> (18 - 6 * digit)) as usize & 63] as char).unwrap();
            }
            base64.push_str(&"=".repeat(3 - chunk.len()));
        }
        let object = serde_json::json!({
            "kind": "ConfigMap",
            "metadata": {"name": "a", "labels": {"multiclusterdns.federation.k8s.io/policy": "true"}},
            "data": {&key: value},
            "binaryData": {&key: base64},
        });
        let map = from_value::<ConfigMapObject>(&object).unwrap().fact().unwrap();
        prop_assert!(map.malformed.is_none(), "{:?}", map.malformed);
        let _ = Package::read(&map, &Budget::ceiling());
    }
}

proptest! {
    #![proptest_config(few())]

    #[test]
    fn mangled_components_are_accepted_or_refused(mangling in mangling(), boxed in any::<bool>()) {
        let (changes, cut, repeat) = mangling;
        let original: &[u8] = if boxed { mcsdns_policy::default_policy_bytes() } else { MISBEHAVING };
        let bytes = mangled(original, &changes, cut, repeat);
        let mut candidate = Candidate::new("mangled", "here", bytes);
        candidate.budget.wall_millis = 50;
        candidate.budget.fuel = 1_000_000;
        let inspection = inspect(&WORKBENCH, &candidate);
        prop_assert!(inspection.policy.is_some() != inspection.refused.is_some());
        if let Ok(loaded) = WORKBENCH.load(&candidate) {
            let input = mixed_fleet(3, &loaded.set.policy_ref().needs);
            if let Ok(decided) = loaded.set.decide(&input) {
                let _ = judge(&input, &decided.output, &Bounds::default());
            }
        }
    }

    #[test]
    fn any_bytes_are_no_policy(bytes in vec(any::<u8>(), 0..256)) {
        prop_assert!(WORKBENCH.load(&Candidate::new("bytes", "here", bytes)).is_err());
    }
}

proptest! {
    // Each configuration is a component of its own, and compiled.
    #![proptest_config(ProptestConfig { cases: few().cases.min(12), ..few() })]

    #[test]
    fn any_configuration_is_taken_or_refused(text in any::<String>()) {
        let candidate = Candidate::new("misbehaving", "here", MISBEHAVING).with_config(Some(text));
        if let Err(error) = WORKBENCH.load(&candidate) {
            prop_assert!(["ConfigInvalid", "ConfigRefused"].contains(&error.reason()), "{error}");
        }
    }
}
