//! What a selection is asked, and what it answers.

use std::{borrow::Cow, cell::OnceCell};

use crate::{
    Cluster, ClusterId, Fleet, Place, Places, Refusal, Subject,
    fleet::Roster,
    names::Fallback,
    subject::{at, count},
};

/// One record to decide: what it asks for, where clusters are, how they are, and the names in question.
#[derive(Debug)]
pub struct Ask<'a> {
    /// The record.
    pub subject: Subject<'a>,
    /// Every place of the fleet.
    pub places: Places<'a>,
    /// Every cluster.
    pub fleet: &'a Fleet,
    pub(crate) questions: &'a [(Place, Fallback)],
    pub(crate) fqdns: &'a [String],
    roster: OnceCell<Roster>,
}

impl<'a> Ask<'a> {
    pub(crate) const fn new(
        subject: Subject<'a>,
        places: Places<'a>,
        fleet: &'a Fleet,
        questions: &'a [(Place, Fallback)],
        fqdns: &'a [String],
    ) -> Self {
        Self { subject, places, fleet, questions, fqdns, roster: OnceCell::new() }
    }

    /// The clusters of a place, sorted by name, whatever their state. The first question finds those of all places.
    pub fn clusters_in(&self, place: Place) -> impl ExactSizeIterator<Item = Cluster<'a>> + Clone + '_ {
        let fleet = self.fleet;
        let roster =
            || self.roster.get_or_init(|| Roster::new(fleet, self.places.regions.len(), self.places.zones.len()));
        let (all, some) = match place {
            Place::Everywhere => (count(fleet.len()), &[][..]),
            Place::Region(index) => (0, roster().region(index)),
            Place::Zone(index) => (0, roster().zone(index)),
        };
        // One of the two is empty.
        Members { all: 0..all, some: some.iter() }.map(move |index| fleet.get(ClusterId(index)))
    }

    /// The name of the region that a cluster is in; empty when it is not known.
    #[must_use]
    pub fn region_of(&self, cluster: Cluster<'_>) -> &'a str {
        cluster.region().and_then(|region| at(&self.places.regions, region).copied()).unwrap_or_default()
    }

    /// The names in question.
    pub fn questions(&self) -> impl ExactSizeIterator<Item = Question<'a>> + '_ {
        self.questions.iter().enumerate().map(|(index, (place, fallback))| Question {
            place: *place,
            fallback: *fallback,
            fqdn: self.fqdns.get(index).map(String::as_str),
        })
    }

    /// Decides name by name. What is always an alias is not asked about.
    ///
    /// # Errors
    /// The first one of `decide`.
    pub fn each(
        &self,
        mut decide: impl FnMut(&Question<'a>) -> Result<Decision, Refusal>,
    ) -> Result<Vec<Decision>, Refusal> {
        let mut decisions = Vec::with_capacity(self.questions.len());
        for question in self.questions() {
            decisions.push(match question.fallback {
                Fallback::AlwaysAliasOf(_) => Decision::otherwise().because("always an alias"),
                Fallback::Nothing | Fallback::AliasOf(_) => decide(&question)?,
            });
        }
        Ok(decisions)
    }
}

/// The numbers of the clusters of a place.
#[derive(Clone)]
struct Members<'r> {
    all: std::ops::Range<u32>,
    some: std::slice::Iter<'r, u32>,
}

impl Iterator for Members<'_> {
    type Item = u32;

    fn next(&mut self) -> Option<u32> {
        self.all.next().or_else(|| self.some.next().copied())
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let length = self.all.len() + self.some.len();
        (length, Some(length))
    }
}

impl ExactSizeIterator for Members<'_> {}

/// A name to decide.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Question<'a> {
    /// The level it stands for.
    pub place: Place,
    /// What stands in for it.
    pub fallback: Fallback,
    /// The name itself; needs [`Needs::fqdns`](crate::Needs::fqdns).
    pub fqdn: Option<&'a str>,
}

/// One address that the host offered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Target {
    /// Of which cluster.
    pub cluster: ClusterId,
    /// Which of [`Cluster::addresses`].
    pub address: u32,
}

/// One of several answers of a name between which the DNS provider chooses.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct WeightedSet {
    /// 1 to 128 printable characters, unique per name.
    pub set_identifier: String,
    /// Its addresses.
    pub targets: Vec<Target>,
    /// Properties for the provider, for example `aws/weight` = `10`.
    pub provider_specific: Vec<(String, String)>,
}

impl WeightedSet {
    /// All addresses of these clusters.
    #[must_use]
    pub fn of_clusters<'c>(set_identifier: impl Into<String>, clusters: impl IntoIterator<Item = Cluster<'c>>) -> Self {
        let addresses = |cluster: Cluster<'c>| {
            (0..cluster.address_count()).map(move |address| Target { cluster: cluster.id(), address })
        };
        Self {
            set_identifier: set_identifier.into(),
            targets: clusters.into_iter().flat_map(addresses).collect(),
            provider_specific: Vec::new(),
        }
    }

    /// These addresses.
    #[must_use]
    pub fn of_targets(set_identifier: impl Into<String>, targets: Vec<Target>) -> Self {
        Self { set_identifier: set_identifier.into(), targets, provider_specific: Vec::new() }
    }

    /// With a property for the provider.
    #[must_use]
    pub fn property(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.provider_specific.push((name.into(), value.into()));
        self
    }
}

/// What stands behind a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// All addresses of these clusters. With none at all it is [`Self::Otherwise`].
    Clusters(Vec<ClusterId>),
    /// These addresses.
    Targets(Vec<Target>),
    /// Several sets, for providers that know them.
    Sets(Vec<WeightedSet>),
    /// What the fallback of the name says.
    Otherwise,
    /// What is published stays.
    Keep,
}

/// Answer and reason for one name.
///
/// ```
/// use mcsdns_policy_sdk::Decision;
///
/// let decision = Decision::keep().because("maintenance").recheck_after(60);
/// assert_eq!(decision.recheck_after_seconds, Some(60));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Decision {
    /// What stands behind the name.
    pub answer: Answer,
    /// Why, for people.
    pub because: Cow<'static, str>,
    /// Ask again after so many seconds even if nothing has changed.
    pub recheck_after_seconds: Option<u32>,
}

impl Decision {
    /// That answer.
    #[must_use]
    pub const fn new(answer: Answer) -> Self {
        Self { answer, because: Cow::Borrowed(""), recheck_after_seconds: None }
    }

    /// All addresses of these clusters; the fallback of the name when there are none.
    #[must_use]
    pub fn clusters<'c>(clusters: impl IntoIterator<Item = Cluster<'c>>) -> Self {
        let clusters: Vec<ClusterId> = clusters.into_iter().map(|cluster| cluster.id()).collect();
        Self::new(if clusters.is_empty() { Answer::Otherwise } else { Answer::Clusters(clusters) })
    }

    /// What the fallback of the name says.
    #[must_use]
    pub const fn otherwise() -> Self {
        Self::new(Answer::Otherwise)
    }

    /// What is published stays.
    #[must_use]
    pub const fn keep() -> Self {
        Self::new(Answer::Keep)
    }

    /// Says why. Without ages: a text that changes by itself is a change of the status.
    #[must_use]
    pub fn because(mut self, text: impl Into<Cow<'static, str>>) -> Self {
        self.because = text.into();
        self
    }

    /// Asks again after so many seconds even if nothing has changed.
    #[must_use]
    pub const fn recheck_after(mut self, seconds: u32) -> Self {
        self.recheck_after_seconds = Some(seconds);
        self
    }
}
