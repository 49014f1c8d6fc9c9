//! What is said about the policies of a Domain, and who decides meanwhile.

use std::sync::Arc;

use jiff::Timestamp;
use mcsdns_core::{
    effect::ALLOW_REMOVAL_ANNOTATION,
    facts::{OnFailure, Ready},
    reason::Reason,
    rehearsal::Rehearsed,
    status::{CandidatePolicy, ConditionStatus, PolicyStatus},
};
use mcsdns_policy::Aspect;

use crate::domain::{DomainRollout, Obstacle, PerAspect, Version, whole};

/// Who decides for a Domain.
#[derive(Clone, Debug)]
pub enum Force<P> {
    /// These policies.
    Policies(PerAspect<P>),
    /// Nobody; why, for people.
    Held(String),
}

/// Everything that is to be told about the policies of a Domain.
#[derive(Clone, Debug)]
pub struct Report<P> {
    /// Who decides.
    pub force: Force<P>,
    /// Who answers when they fail.
    pub on_failure: OnFailure,
    /// For the status.
    pub policies: Vec<PolicyStatus>,
    /// For the condition.
    pub ready: Option<Ready>,
}

/// One thing that is not as wanted.
struct Finding {
    reason: Reason,
    message: String,
}

impl<P: Version> DomainRollout<P> {
    /// What is to be told; `None` while something is being read or tried, which takes a moment and is not worth a word.
    pub fn report(&mut self, in_the_box: &PerAspect<P>, now: Timestamp) -> Option<Report<P>> {
        if self.is_checking() {
            return None;
        }
        let mut findings = Vec::new();
        let policies = self.statuses(&mut findings, now);
        let active = self.active();
        let force = match (active, self.wanted.on_failure) {
            (Some(active), _) => Force::Policies(active.map(Clone::clone)),
            (None, OnFailure::Default) => Force::Policies(in_the_box.clone()),
            (None, OnFailure::Keep) => Force::Held(self.held(&findings)),
        };
        let ready = self.ready(&policies, &findings);
        Some(Report { force, on_failure: self.wanted.on_failure, policies, ready })
    }

    fn statuses(&mut self, findings: &mut Vec<Finding>, now: Timestamp) -> Vec<PolicyStatus> {
        let verdict = self.verdict().map(|(result, rollout, at)| {
            let finding = self.judge(result, &rollout);
            (finding, rollout, at)
        });
        if let Some((finding, ..)) = &verdict {
            findings.push(Finding { reason: finding.reason, message: finding.message.clone() });
        }
        let mut statuses = Vec::new();
        for (i, aspect) in Aspect::ALL.into_iter().enumerate() {
            let wanted = self.wanted.maps.get(i).cloned().flatten();
            let seat = self.active.as_ref().and_then(|active| active.get(i)).cloned();
            let target = self.target.get(i).cloned().flatten();
            let obstacle = self.obstacles.get(i).cloned().flatten();
            let remembered = self.remembered.iter().flatten().find(|status| *status.aspect == *aspect.as_str());
            let active = match &seat {
                Some(seat) => Some(Self::active_status(seat)),
                None => remembered.and_then(|status| status.active.clone()),
            };
            let changes = match (&seat, &target) {
                (Some(seat), Some(target)) => seat.version.revision() != target.version.revision(),
                (None, Some(_)) => {
                    active.as_ref().map(|active| &active.revision) != target.as_ref().map(|t| t.version.revision())
                }
                (_, None) => false,
            };
            let candidate = match (obstacle, &target, &verdict) {
                (Some(obstacle), ..) => {
                    let map = wanted.as_deref().unwrap_or_default();
                    let (finding, candidate) = refused(aspect, map, &obstacle);
                    findings.push(finding);
                    candidate
                }
                (None, Some(target), Some((finding, rollout, at))) if changes => Some(CandidatePolicy {
                    rollout: Some(Arc::clone(rollout)),
                    verdict: finding.verdict.clone(),
                    message: finding.message.as_str().into(),
                    since: whole(*at),
                    ..Self::candidate_status(&target.version)
                }),
                (None, Some(target), None) if changes => Some(CandidatePolicy {
                    verdict: Reason::PolicyChecking.as_str().into(),
                    message: "it is about to be tried on the records of the Domain".into(),
                    ..Self::candidate_status(&target.version)
                }),
                (None, ..) => None,
            };
            let candidate = candidate.map(|mut candidate| {
                if candidate.since == Timestamp::UNIX_EPOCH {
                    let what = format!("{:?} {}", candidate.revision, candidate.verdict);
                    candidate.since = whole(self.since(i, &what, now));
                }
                candidate
            });
            let from_the_box = active.as_ref().is_none_or(|active| active.config_map.is_none());
            if wanted.is_some() || candidate.is_some() || !from_the_box {
                statuses.push(PolicyStatus { aspect: aspect.as_str().into(), config_map: wanted, active, candidate });
            }
        }
        statuses
    }

    /// What a trial that did not lead to a change means.
    fn judge(&self, result: &Rehearsed, rollout: &Arc<str>) -> Judged {
        if let Some(failure) = &result.failure {
            return Judged {
                reason: Reason::CandidateRefused,
                verdict: Arc::clone(&failure.reason),
                message: format!(
                    "tried on the {} records of the Domain, they failed: {failure}; correct the policy or the record",
                    result.records
                ),
            };
        }
        let allowed = self.wanted.max_removed_percent;
        let summary = result.summary();
        let finding = if result.removed_percent() > allowed {
            let examples = result.examples.iter().map(|name| &**name).collect::<Vec<_>>().join(", ");
            let more = if result.removed > result.examples.len() { ", ..." } else { "" };
            format!("{summary} ({examples}{more}); that is {} %", result.removed_percent())
        } else {
            let record = result.unjudged_record.as_ref().map(|record| format!(" (for example of record {record})"));
            format!(
                "{summary}{}; with these it could be {} %",
                record.unwrap_or_default(),
                result.removed_percent_at_worst()
            )
        };
        let again = if result.unjudged > 0 { ". It is tried again until they can be judged" } else { "" };
        Judged {
            reason: Reason::ApprovalNeeded,
            verdict: Reason::ApprovalNeeded.as_str().into(),
            message: format!(
                "{finding}, more than the {allowed} % of policies.maxRemovedPercent{again}. To allow it: kubectl annotate domain {} {ALLOW_REMOVAL_ANNOTATION}={rollout} --overwrite -n {}",
                self.name, self.namespace,
            ),
        }
    }

    fn held(&self, findings: &[Finding]) -> String {
        let lost: Vec<String> = self
            .remembered
            .iter()
            .flatten()
            .filter_map(|status| {
                let active = status.active.as_ref()?;
                let map = active.config_map.as_ref()?;
                Some(format!(
                    "{} by {} of ConfigMap {map} (revision {})",
                    status.aspect, active.policy, active.revision
                ))
            })
            .collect();
        let before = if lost.is_empty() {
            "no policy has decided for this Domain yet".to_owned()
        } else {
            format!("what decided before is no longer there ({})", lost.join(", "))
        };
        match findings.first() {
            Some(_) => format!("{before}; {}", words(findings)),
            None => before,
        }
    }

    fn ready(&self, policies: &[PolicyStatus], findings: &[Finding]) -> Option<Ready> {
        let say = |status, reason, message| Some(Ready { status, reason, message });
        if self.active.is_none() {
            let mut message = self.held(findings);
            message.push_str(match self.wanted.on_failure {
                OnFailure::Keep => "; what is published stays, and new records get no names",
                OnFailure::Default => "; the policy in the box answers meanwhile (onFailure: default)",
            });
            return match findings.is_empty() {
                true => say(ConditionStatus::Unknown, Reason::PolicyChecking, message),
                false => say(ConditionStatus::False, Reason::PolicyUnavailable, message),
            };
        }
        if let Some(first) = findings.first() {
            let message = format!("{}; until then the policies that decided before still do", words(findings));
            return say(ConditionStatus::False, first.reason, message);
        }
        if let Some(failing) = &self.failing {
            let tail = match self.wanted.on_failure {
                OnFailure::Keep => "what is published stays",
                OnFailure::Default => "the policy in the box answers meanwhile (onFailure: default)",
            };
            let message = format!("they keep failing ({}: {}); {tail}", failing.reason, failing.message);
            return say(ConditionStatus::False, Reason::PolicyFailing, message);
        }
        if policies.is_empty() {
            return None;
        }
        if policies.iter().any(|policy| policy.candidate.is_some()) {
            let message = "policies are about to be tried on the records of the Domain".to_owned();
            return say(ConditionStatus::Unknown, Reason::PolicyChecking, message);
        }
        let active: Vec<String> = policies
            .iter()
            .filter_map(|policy| {
                let active = policy.active.as_ref()?;
                let map =
                    active.config_map.as_ref().map_or_else(|| "the box".to_owned(), |map| format!("ConfigMap {map}"));
                Some(format!("{} by {} of {map}", policy.aspect, active.policy))
            })
            .collect();
        say(ConditionStatus::True, Reason::PoliciesActive, format!("decided are {}", active.join(", ")))
    }
}

struct Judged {
    reason: Reason,
    verdict: Arc<str>,
    message: String,
}

fn refused(aspect: Aspect, map: &str, obstacle: &Obstacle) -> (Finding, Option<CandidatePolicy>) {
    let (reason, verdict, message, refusal) = match obstacle {
        Obstacle::Reading => (Reason::PolicyChecking, "PolicyChecking", "it is being read".to_owned(), None),
        Obstacle::Missing => (
            Reason::PolicyMissing,
            "PolicyMissing",
            format!(
                "ConfigMap {map} does not exist in the namespace of the controller, or has not the label {}: \"true\"; apply it again, or take it out of policies.{aspect}",
                mcsdns_api::metadata::LABEL_POLICY
            ),
            None,
        ),
        Obstacle::Unreadable(why) => {
            (Reason::PolicyMissing, "PolicyUnreadable", format!("ConfigMap {map} cannot be read: {why}"), None)
        }
        Obstacle::Refused(refusal) => (
            Reason::CandidateRefused,
            refusal.reason,
            format!("ConfigMap {map} was refused: {}", refusal.message),
            Some(refusal),
        ),
    };
    let candidate = CandidatePolicy {
        policy: refusal.and_then(|refusal| refusal.title.clone()),
        digest: refusal.and_then(|refusal| refusal.digest.clone()),
        revision: refusal.and_then(|refusal| refusal.revision.clone()),
        rollout: None,
        verdict: verdict.into(),
        message: message.as_str().into(),
        since: Timestamp::UNIX_EPOCH,
    };
    (Finding { reason, message: format!("{aspect}: {message}") }, Some(candidate))
}

fn words(findings: &[Finding]) -> String {
    findings.iter().map(|finding| finding.message.as_str()).collect::<Vec<_>>().join("; ")
}
