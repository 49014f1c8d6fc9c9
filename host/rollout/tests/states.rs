//! Every way from one policy to another, without a sandbox: the rules of `mcsdns_rollout::domain`.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test may fail by panicking"
)]

use std::{collections::BTreeMap, sync::Arc};

use jiff::Timestamp;
use mcsdns_core::{
    facts::{Domain, DomainSpec, OnFailure, PolicyNames},
    ids::ObjectKey,
    rehearsal::{Failure, Rehearsed},
    status::{ConditionStatus, DomainStatus, PolicyStatus},
};
use mcsdns_policy::Aspect;
use mcsdns_rollout::{
    Refusal,
    domain::{Failing, Version},
    report::{Force, Report},
    rollouts::{Action, Rollouts},
};

/// A policy that is nothing but its name.
#[derive(Clone, Debug, PartialEq)]
struct Fake {
    revision: Arc<str>,
    aspects: Vec<Aspect>,
}

impl Fake {
    fn new(revision: &str) -> Self {
        Self { revision: revision.into(), aspects: Aspect::ALL.to_vec() }
    }
}

impl Version for Fake {
    fn revision(&self) -> &Arc<str> {
        &self.revision
    }
    fn digest(&self) -> &Arc<str> {
        &self.revision
    }
    fn title(&self) -> &Arc<str> {
        &self.revision
    }
    fn implements(&self, aspect: Aspect) -> bool {
        self.aspects.contains(&aspect)
    }
}

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_700_000_000 + seconds).unwrap()
}

/// A process: what it knows, and what it said last. Its trials come out as `results` say, by the naming policy.
struct Process {
    rollouts: Rollouts<Fake>,
    domain: Domain,
    results: BTreeMap<String, Option<Rehearsed>>,
    said: Option<Report<Fake>>,
    tried: Vec<String>,
    now: i64,
}

const NAME: &str = "galactic";

fn spec(naming: Option<&str>) -> DomainSpec {
    let policies = PolicyNames { naming: naming.map(Arc::from), ..PolicyNames::default() };
    DomainSpec { domain: "example.com".into(), policies, ..DomainSpec::default() }
}

impl Process {
    /// Starts with ConfigMaps as given; `status`: what an earlier process wrote.
    fn start(spec: DomainSpec, status: Option<DomainStatus>, maps: &[(&str, &str)]) -> Self {
        Self::start_with(spec, status, maps, PolicyNames::default(), BTreeMap::new())
    }

    fn start_with(
        spec: DomainSpec,
        status: Option<DomainStatus>,
        maps: &[(&str, &str)],
        defaults: PolicyNames,
        results: BTreeMap<String, Option<Rehearsed>>,
    ) -> Self {
        let in_the_box = [(); 3].map(|()| Fake::new("box"));
        let domain = Domain { meta: Default::default(), spec: Ok(spec), status: status.map(Arc::new) };
        let mut process = Self {
            rollouts: Rollouts::new(in_the_box, defaults, "federation-system".into()),
            domain,
            results,
            said: None,
            tried: Vec::new(),
            now: 0,
        };
        process.apply();
        for (name, revision) in maps {
            process.rollouts.loaded(&Arc::from(*name), Ok(Fake::new(revision)));
        }
        process.rollouts.synced();
        process.step();
        process
    }

    fn apply(&mut self) {
        self.rollouts.domain(&NAME.into(), &self.domain);
    }

    fn step(&mut self) {
        for _ in 0..5 {
            let mut again = false;
            for action in self.rollouts.step(NAME, at(self.now)) {
                match action {
                    Action::Try { domain, rollout, policies } => {
                        self.tried.push(policies[0].revision.to_string());
                        let good = Some(Rehearsed { records: 3, names: 10, ..Rehearsed::default() });
                        let result = self.results.get(&*policies[0].revision).cloned().unwrap_or(good);
                        again = result.is_some();
                        self.rollouts.tried(&domain, &rollout, result, at(self.now));
                    }
                    Action::Tell(_, report) => self.said = Some(report),
                }
            }
            if !again {
                return;
            }
        }
        panic!("the trials do not end");
    }

    fn later(&mut self, seconds: i64) {
        self.now += seconds;
        for domain in self.rollouts.due(at(self.now)) {
            assert_eq!(&*domain, NAME);
            self.step();
        }
    }

    fn map(&mut self, name: &str, outcome: Result<&str, &'static str>) {
        let refusal = |reason| Refusal {
            reason,
            message: "because".to_owned(),
            digest: Some("d".into()),
            title: None,
            revision: None,
        };
        self.rollouts.loaded(&name.into(), outcome.map(Fake::new).map_err(refusal));
        self.step();
    }

    fn unmap(&mut self, name: &str) {
        self.rollouts.removed(name);
        self.step();
    }

    fn respec(&mut self, spec: DomainSpec) {
        self.domain.spec = Ok(spec);
        self.apply();
        self.step();
    }

    /// Writes what was said into the status, as the leader does, and reads it back.
    fn write(&mut self) -> DomainStatus {
        let policies = self.said.as_ref().unwrap().policies.clone();
        let status = DomainStatus { policies, ..DomainStatus::default() };
        self.domain.status = Some(Arc::new(status.clone()));
        self.apply();
        self.step();
        status
    }

    /// Revisions that decide, or `held: why`.
    fn decides(&self) -> String {
        match &self.said.as_ref().expect("nothing was said").force {
            Force::Policies([a, b, c]) => format!("{} {} {}", a.revision, b.revision, c.revision),
            Force::Held(why) => format!("held: {why}"),
        }
    }

    fn ready(&self) -> String {
        self.said.as_ref().unwrap().ready.as_ref().map_or_else(String::new, |ready| {
            let status = match ready.status {
                ConditionStatus::True => "True",
                ConditionStatus::False => "False",
                ConditionStatus::Unknown => "Unknown",
            };
            format!("{status} {}", ready.reason)
        })
    }

    fn message(&self) -> String {
        self.said.as_ref().unwrap().ready.as_ref().unwrap().message.clone()
    }

    fn naming(&self) -> PolicyStatus {
        self.said.as_ref().unwrap().policies.iter().find(|policy| &*policy.aspect == "naming").unwrap().clone()
    }
}

fn removes(names: usize, of: usize) -> Rehearsed {
    Rehearsed { records: 3, names: of, removed: names, examples: vec!["a.example.com".into()], ..Rehearsed::default() }
}

fn fails() -> Rehearsed {
    let failure =
        Failure { record: ObjectKey::new("ns", "web"), reason: "Timeout".into(), message: "naming: slow".into() };
    Rehearsed { records: 3, names: 10, failure: Some(failure), ..Rehearsed::default() }
}

#[test]
fn a_domain_without_policies_is_nobodys_business() {
    let process = Process::start(spec(None), None, &[]);
    assert_eq!(process.decides(), "box box box");
    assert_eq!(process.ready(), "");
    assert!(process.tried.is_empty());
    assert!(process.said.unwrap().policies.is_empty());
}

#[test]
fn a_policy_is_tried_and_takes_over_and_is_recognised_after_a_restart() {
    let mut process = Process::start(spec(Some("short")), None, &[("short", "v1")]);
    assert_eq!(process.decides(), "v1 box box");
    assert_eq!(process.tried, ["v1"]);
    assert_eq!(process.ready(), "True PoliciesActive");
    assert_eq!(process.naming().active.unwrap().config_map.as_deref(), Some("short"));
    let status = process.write();

    // The same again: nothing is tried, nothing is different.
    let process = Process::start(spec(Some("short")), Some(status.clone()), &[("short", "v1")]);
    assert_eq!((process.decides().as_str(), process.tried.len()), ("v1 box box", 0));
    assert_eq!(process.said.unwrap().policies, status.policies);
}

#[test]
fn nothing_is_said_before_the_config_maps_are_known() {
    let in_the_box = [(); 3].map(|()| Fake::new("box"));
    let mut rollouts = Rollouts::new(in_the_box, PolicyNames::default(), "federation-system".into());
    let domain = Domain { meta: Default::default(), spec: Ok(spec(Some("short"))), status: None };
    rollouts.domain(&NAME.into(), &domain);
    assert!(rollouts.step(NAME, at(0)).is_empty());
    // When they cannot be read at all, that is said.
    rollouts.trouble(Some("forbidden".to_owned()));
    let actions = rollouts.step(NAME, at(0));
    let [Action::Tell(_, report)] = actions.as_slice() else { panic!("{actions:?}") };
    assert!(matches!(&report.force, Force::Held(why) if why.contains("forbidden")), "{report:?}");
}

#[test]
fn a_config_map_that_is_about_to_be_loaded_is_not_missing() {
    let mut process = Process::start(spec(Some("short")), None, &[("short", "v1")]);
    let status = process.write();
    let in_the_box = [(); 3].map(|()| Fake::new("box"));
    let mut rollouts = Rollouts::new(in_the_box, PolicyNames::default(), "federation-system".into());
    let domain = Domain { meta: Default::default(), spec: Ok(spec(Some("short"))), status: Some(Arc::new(status)) };
    rollouts.domain(&NAME.into(), &domain);
    rollouts.loading(&"short".into());
    rollouts.synced();
    assert_eq!(rollouts.naming("short"), [NAME.into()]);
    assert!(rollouts.naming("other").is_empty());
    let actions = rollouts.step(NAME, at(0));
    assert!(actions.is_empty(), "{actions:?}");
    rollouts.loaded(&"short".into(), Ok(Fake::new("v1")));
    let actions = rollouts.step(NAME, at(0));
    assert!(matches!(actions.as_slice(), [Action::Tell(_, Report { force: Force::Policies(_), .. })]), "{actions:?}");
}

#[test]
fn a_refused_version_leaves_the_last_good_one() {
    let mut process = Process::start(spec(Some("short")), None, &[("short", "v1")]);
    process.map("short", Err("ForbiddenImport"));
    assert_eq!(process.decides(), "v1 box box");
    assert_eq!(process.ready(), "False CandidateRefused");
    assert!(process.message().contains("ConfigMap short was refused: because"), "{}", process.message());
    let naming = process.naming();
    assert_eq!(&*naming.active.unwrap().revision, "v1");
    assert_eq!(&*naming.candidate.unwrap().verdict, "ForbiddenImport");
    // Rolled back: as if nothing had been.
    process.map("short", Ok("v1"));
    assert_eq!((process.decides().as_str(), process.ready().as_str()), ("v1 box box", "True PoliciesActive"));
    assert_eq!(process.tried, ["v1"]);
}

#[test]
fn a_version_that_fails_its_trial_leaves_the_last_good_one_and_is_tried_again_later() {
    let mut process = Process::start(spec(Some("short")), None, &[("short", "v1")]);
    process.results.insert("v2".to_owned(), Some(fails()));
    process.map("short", Ok("v2"));
    assert_eq!((process.decides().as_str(), process.ready().as_str()), ("v1 box box", "False CandidateRefused"));
    let candidate = process.naming().candidate.unwrap();
    assert_eq!((&*candidate.verdict, candidate.revision.as_deref()), ("Timeout", Some("v2")));
    assert!(candidate.message.contains("record ns/web: naming: slow"), "{}", candidate.message);
    // Not all the time.
    process.later(59);
    assert_eq!(process.tried, ["v1", "v2"]);
    // What stood in the way is gone.
    process.results.clear();
    process.later(2);
    assert_eq!((process.decides().as_str(), process.tried.len()), ("v2 box box", 3));
    assert_eq!(process.ready(), "True PoliciesActive");
}

#[test]
fn a_rollout_that_removes_too_much_waits_for_its_annotation() {
    let mut process = Process::start(spec(Some("short")), None, &[("short", "v1")]);
    process.results.insert("v2".to_owned(), Some(removes(4, 10)));
    process.map("short", Ok("v2"));
    assert_eq!((process.decides().as_str(), process.ready().as_str()), ("v1 box box", "False ApprovalNeeded"));
    let candidate = process.naming().candidate.unwrap();
    let rollout = candidate.rollout.unwrap();
    for part in ["40 %", "30 %", "a.example.com", &format!("allow-removal={rollout}"), "domain galactic"] {
        assert!(candidate.message.contains(part), "{part}: {}", candidate.message);
    }
    // An approval of something else does not count.
    process.respec(DomainSpec { allow_removal: Some("0123456789abcdef".into()), ..spec(Some("short")) });
    assert_eq!(process.decides(), "v1 box box");
    process.respec(DomainSpec { allow_removal: Some(rollout), ..spec(Some("short")) });
    assert_eq!((process.decides().as_str(), process.ready().as_str()), ("v2 box box", "True PoliciesActive"));
    // And is no approval of what comes next.
    process.results.insert("v3".to_owned(), Some(removes(10, 10)));
    process.map("short", Ok("v3"));
    assert_eq!((process.decides().as_str(), process.ready().as_str()), ("v2 box box", "False ApprovalNeeded"));
}

#[test]
fn names_that_cannot_be_judged_may_be_removed() {
    let open = |unjudged| Rehearsed { unjudged, unjudged_record: Some(ObjectKey::new("ns", "web")), ..removes(1, 10) };
    let mut process = Process::start(spec(Some("short")), None, &[("short", "v1")]);
    // An outage: every name of the new version may be gone after it.
    process.results.insert("v2".to_owned(), Some(open(9)));
    process.map("short", Ok("v2"));
    assert_eq!((process.decides().as_str(), process.ready().as_str()), ("v1 box box", "False ApprovalNeeded"));
    let candidate = process.naming().candidate.unwrap();
    for part in ["9 names not judged", "of record ns/web", "100 %, more than the 30 %", "tried again", "allow-removal="]
    {
        assert!(candidate.message.contains(part), "{part}: {}", candidate.message);
    }
    // One or the other that cannot be judged, or a cluster that is lost for good, holds up nobody.
    process.results.insert("v2".to_owned(), Some(open(2)));
    process.later(61);
    assert_eq!((process.decides().as_str(), process.ready().as_str()), ("v2 box box", "True PoliciesActive"));
    // And somebody may know better.
    process.results.insert("v3".to_owned(), Some(open(9)));
    process.map("short", Ok("v3"));
    let rollout = process.naming().candidate.unwrap().rollout;
    process.respec(DomainSpec { allow_removal: rollout, ..spec(Some("short")) });
    assert_eq!(process.decides(), "v3 box box");
}

#[test]
fn the_share_is_that_of_the_domain() {
    let with = |percent| DomainSpec { max_removed_percent: Some(percent), ..spec(Some("short")) };
    for (percent, removed, decides) in [(40, 4, "v2"), (39, 4, "v1"), (0, 1, "v1"), (0, 0, "v2"), (100, 10, "v2")] {
        let mut process = Process::start(with(percent), None, &[("short", "v1")]);
        process.results.insert("v2".to_owned(), Some(removes(removed, 10)));
        process.map("short", Ok("v2"));
        assert_eq!(process.decides(), format!("{decides} box box"), "{removed} of 10 at {percent} %");
    }
}

#[test]
fn going_back_to_the_box_is_a_change_like_any_other() {
    let mut process = Process::start(spec(Some("short")), None, &[("short", "v1")]);
    process.results.insert("box".to_owned(), Some(removes(9, 10)));
    process.respec(spec(None));
    assert_eq!((process.decides().as_str(), process.ready().as_str()), ("v1 box box", "False ApprovalNeeded"));
    let naming = process.naming();
    assert_eq!((naming.config_map, naming.active.unwrap().config_map.as_deref()), (None, Some("short")));
    process.results.clear();
    process.later(61);
    assert_eq!((process.decides().as_str(), process.ready().as_str()), ("box box box", ""));
    assert!(process.said.unwrap().policies.is_empty());
}

#[test]
fn a_deleted_config_map_stays_in_memory_and_is_told_of() {
    let mut process = Process::start(spec(Some("short")), None, &[("short", "v1")]);
    process.write();
    process.unmap("short");
    assert_eq!((process.decides().as_str(), process.ready().as_str()), ("v1 box box", "False PolicyMissing"));
    assert!(process.message().contains("ConfigMap short does not exist"), "{}", process.message());
    let status = process.write();

    // Without it, a restart knows what was good and cannot have it: nothing is decided.
    let mut process = Process::start(spec(Some("short")), Some(status.clone()), &[]);
    assert!(
        process.decides().starts_with("held: what decided before is no longer there (naming by v1"),
        "{}",
        process.decides()
    );
    assert_eq!(process.ready(), "False PolicyUnavailable");
    assert_eq!(&*process.naming().active.unwrap().revision, "v1", "the memory was lost");
    // It is back: no trial, no difference.
    process.map("short", Ok("v1"));
    assert_eq!((process.decides().as_str(), process.tried.len()), ("v1 box box", 0));
    assert_eq!(process.naming().active, status.policies[0].active);
}

#[test]
fn a_restart_beside_a_refused_version_holds_what_is_published() {
    let mut process = Process::start(spec(Some("short")), None, &[("short", "v1")]);
    process.map("short", Err("Precompiled"));
    let status = process.write();
    let in_the_box = [(); 3].map(|()| Fake::new("box"));
    let mut rollouts: Rollouts<Fake> = Rollouts::new(in_the_box, PolicyNames::default(), "federation-system".into());
    let domain = Domain { meta: Default::default(), spec: Ok(spec(Some("short"))), status: Some(Arc::new(status)) };
    rollouts.domain(&NAME.into(), &domain);
    let refusal =
        Refusal { reason: "Precompiled", message: "because".into(), digest: None, title: None, revision: None };
    rollouts.loaded(&"short".into(), Err(refusal));
    rollouts.synced();
    let actions = rollouts.step(NAME, at(0));
    let [Action::Tell(_, report)] = actions.as_slice() else { panic!("{actions:?}") };
    assert!(matches!(report.force, Force::Held(_)));
    assert_eq!(&*report.policies[0].candidate.as_ref().unwrap().verdict, "Precompiled");
    assert_eq!(&*report.policies[0].active.as_ref().unwrap().revision, "v1");
}

#[test]
fn a_restart_beside_a_new_version_tries_it_against_what_is_published() {
    let mut process = Process::start(spec(Some("short")), None, &[("short", "v1")]);
    let status = process.write();
    let process = Process::start(spec(Some("short")), Some(status.clone()), &[("short", "v2")]);
    assert_eq!((process.decides().as_str(), process.tried.len()), ("v2 box box", 1));
    // And what does not pass leaves everything as it is.
    let results = BTreeMap::from([("v2".to_owned(), Some(removes(10, 10)))]);
    let process =
        Process::start_with(spec(Some("short")), Some(status), &[("short", "v2")], PolicyNames::default(), results);
    assert!(process.decides().starts_with("held: "), "{}", process.decides());
    assert_eq!(process.ready(), "False PolicyUnavailable");
    assert!(process.message().contains("allow-removal="), "{}", process.message());
}

#[test]
fn another_config_map_is_wanted_while_the_process_was_away() {
    let mut process = Process::start(spec(Some("a")), None, &[("a", "v1")]);
    let status = process.write();
    let results = BTreeMap::from([("w1".to_owned(), Some(fails()))]);
    let maps = [("a", "v1"), ("b", "w1")];
    let process = Process::start_with(spec(Some("b")), Some(status), &maps, PolicyNames::default(), results);
    assert_eq!(process.decides(), "v1 box box", "the last good one is still there, under its own name");
    assert_eq!(process.ready(), "False CandidateRefused");
}

#[test]
fn a_domain_that_was_the_boxs_stays_with_it_until_the_first_policy_passes() {
    let results = BTreeMap::from([("v1".to_owned(), Some(fails()))]);
    let status = Some(DomainStatus::default());
    let maps = [("short", "v1")];
    let mut process = Process::start_with(spec(Some("short")), status, &maps, PolicyNames::default(), results.clone());
    assert_eq!((process.decides().as_str(), process.ready().as_str()), ("box box box", "False CandidateRefused"));
    let naming = process.naming();
    assert_eq!(naming.active.unwrap().config_map, None);
    // Also after a restart in this state.
    let status = process.write();
    let process = Process::start_with(spec(Some("short")), Some(status), &maps, PolicyNames::default(), results);
    assert_eq!(process.decides(), "box box box");
}

#[test]
fn a_new_domain_under_a_bad_policy_gets_no_names_at_all() {
    let mut process = Process::start(spec(Some("short")), None, &[]);
    assert!(process.decides().starts_with("held: no policy has decided for this Domain yet"), "{}", process.decides());
    assert_eq!(process.ready(), "False PolicyUnavailable");
    let status = process.write();
    assert!(status.policies[0].active.is_none());
    // A restart does not make the box of it.
    let process = Process::start(spec(Some("short")), Some(status), &[]);
    assert!(process.decides().starts_with("held: "), "{}", process.decides());
    // Unless the Domain says so.
    let spec = DomainSpec { on_failure: OnFailure::Default, ..spec(Some("short")) };
    let process = Process::start(spec, None, &[]);
    assert_eq!(process.decides(), "box box box");
    assert_eq!(process.ready(), "False PolicyUnavailable");
    assert!(process.message().contains("onFailure: default"));
}

#[test]
fn three_config_maps_take_over_together_or_not_at_all() {
    let three = |naming: &str| DomainSpec {
        policies: PolicyNames { naming: Some(naming.into()), selection: Some("s".into()), ttl: Some("t".into()) },
        ..spec(None)
    };
    let mut process = Process::start(three("n"), None, &[("n", "n1"), ("s", "s1"), ("t", "t1")]);
    assert_eq!(process.decides(), "n1 s1 t1");
    assert_eq!(process.said.as_ref().unwrap().policies.len(), 3);
    // One is refused: the other two are those that decide already.
    process.map("s", Err("Trap"));
    assert_eq!((process.decides().as_str(), process.ready().as_str()), ("n1 s1 t1", "False CandidateRefused"));
    // What can be loaded goes on beside it.
    process.map("t", Ok("t2"));
    assert_eq!((process.decides().as_str(), process.ready().as_str()), ("n1 s1 t2", "False CandidateRefused"));
    // Two at once, tried as one.
    process.rollouts.loaded(&"s".into(), Ok(Fake::new("s2")));
    process.results.insert("n2".to_owned(), Some(fails()));
    process.map("n", Ok("n2"));
    assert_eq!(process.decides(), "n1 s1 t2");
    process.results.clear();
    process.later(61);
    assert_eq!((process.decides().as_str(), process.ready().as_str()), ("n2 s2 t2", "True PoliciesActive"));
}

#[test]
fn a_policy_is_only_taken_for_what_it_answers() {
    let mut process = Process::start(spec(Some("short")), None, &[("short", "v1")]);
    let only_ttl = Fake { aspects: vec![Aspect::Ttl], ..Fake::new("v2") };
    process.rollouts.loaded(&"short".into(), Ok(only_ttl));
    process.step();
    assert_eq!(process.decides(), "v1 box box");
    assert_eq!(&*process.naming().candidate.unwrap().verdict, "AspectMissing");
}

#[test]
fn a_replica_that_follows_takes_what_the_leader_has_tried() {
    let mut leader = Process::start(spec(Some("short")), None, &[("short", "v1")]);
    let status = leader.write();
    let results = BTreeMap::from([("v2".to_owned(), None)]);
    let mut follower =
        Process::start_with(spec(Some("short")), Some(status), &[("short", "v1")], PolicyNames::default(), results);
    // The follower cannot try it; the leader can.
    follower.map("short", Ok("v2"));
    assert_eq!((follower.decides().as_str(), follower.ready().as_str()), ("v1 box box", "True PoliciesActive"));
    leader.map("short", Ok("v2"));
    let status = leader.write();
    follower.domain.status = Some(Arc::new(status));
    follower.apply();
    follower.step();
    assert_eq!(follower.decides(), "v2 box box");
}

#[test]
fn policies_that_keep_failing_are_told_of_until_they_do_not() {
    let mut process = Process::start(spec(Some("short")), None, &[("short", "v1")]);
    let failing = Failing { reason: "Timeout".into(), message: "still running".to_owned() };
    process.rollouts.health(NAME, Some(failing));
    process.step();
    assert_eq!((process.decides().as_str(), process.ready().as_str()), ("v1 box box", "False PolicyFailing"));
    assert!(process.message().contains("Timeout: still running"), "{}", process.message());
    process.rollouts.health(NAME, None);
    process.step();
    assert_eq!(process.ready(), "True PoliciesActive");
    // Another version is another matter.
    process.rollouts.health(NAME, Some(Failing { reason: "Trap".into(), message: String::new() }));
    process.map("short", Ok("v2"));
    assert_eq!((process.decides().as_str(), process.ready().as_str()), ("v2 box box", "True PoliciesActive"));
}

#[test]
fn the_whole_controller_may_have_another_default() {
    let defaults = PolicyNames { ttl: Some("t".into()), ..PolicyNames::default() };
    let start = |spec, status| {
        Process::start_with(spec, status, &[("t", "t1"), ("short", "v1")], defaults.clone(), BTreeMap::new())
    };
    assert_eq!(start(spec(None), None).decides(), "box box t1");
    assert_eq!(start(spec(Some("short")), None).decides(), "v1 box t1");
}

#[test]
fn a_trial_that_cannot_take_place_yet_changes_nothing() {
    let results = BTreeMap::from([("v1".to_owned(), None)]);
    let status = Some(DomainStatus::default());
    let mut process =
        Process::start_with(spec(Some("short")), status, &[("short", "v1")], PolicyNames::default(), results);
    assert_eq!(process.tried.len(), 1);
    let report = process.rollouts.report(NAME, at(0)).unwrap();
    assert!(matches!(report.force, Force::Policies([a, ..]) if &*a.revision == "box"));
    process.results.clear();
    process.step();
    assert_eq!(process.decides(), "v1 box box");
}
