//! What a policy says about itself.

/// Name, version, needs and configuration of a policy, declared in one place.
///
/// ```
/// use mcsdns_policy_sdk::{About, Needs};
///
/// const ABOUT: About = About::new("blue-green", "1.2.0")
///     .needs(Needs::NONE.cluster_names().cluster_labels(&["colour"]))
///     .config_schema(r#"{"type": "object", "properties": {"live": {"enum": ["blue", "green"]}}}"#);
/// assert_eq!(ABOUT.needs.cluster_labels, ["colour"]);
/// ```
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct About {
    /// 1 to 64 letters, digits, `-`, `_`, `.` or `+`.
    pub name: &'static str,
    /// Of the policy, in the same letters; usually `env!("CARGO_PKG_VERSION")`.
    pub version: &'static str,
    /// What it wants to be told beyond the minimum.
    pub needs: Needs,
    /// JSON Schema of its configuration. Without one it takes none. The host checks a configuration against it before
    /// the policy sees it, so that people hear of a misspelt field by its name.
    pub config_schema: Option<&'static str>,
}

impl About {
    /// A policy that needs no more than the minimum and takes no configuration.
    #[must_use]
    pub const fn new(name: &'static str, version: &'static str) -> Self {
        Self { name, version, needs: Needs::NONE, config_schema: None }
    }

    /// What it wants to be told beyond the minimum.
    #[must_use]
    pub const fn needs(mut self, needs: Needs) -> Self {
        self.needs = needs;
        self
    }

    /// JSON Schema of the configuration, usually `include_str!("../config.schema.json")`.
    #[must_use]
    pub const fn config_schema(mut self, schema: &'static str) -> Self {
        self.config_schema = Some(schema);
        self
    }
}

/// Keys that are known only once the configuration is read, for [`Needs::cluster_labels`] and [`Needs::annotations`].
///
/// They are kept for as long as the program runs, which for a policy is as long as it lives: call this while the policy
/// is made, not in a decision.
#[must_use]
pub fn keys(keys: impl IntoIterator<Item = String>) -> &'static [&'static str] {
    let keys: Vec<&'static str> = keys.into_iter().map(|key| &*key.leak()).collect();
    keys.leak()
}

/// What a policy wants to be told beyond the minimum. Each costs time in every decision, and the last two cause more
/// decisions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Needs {
    /// The addresses themselves. Without them a policy knows how many there are, which is enough to answer with
    /// clusters.
    pub addresses: bool,
    /// Names of the clusters.
    pub cluster_names: bool,
    /// Labels of clusters (of their `MemberCluster` objects), by key.
    pub cluster_labels: &'static [&'static str],
    /// Annotations of the record, by key.
    pub annotations: &'static [&'static str],
    /// The names themselves in a selection, not only their places.
    pub fqdns: bool,
    /// How many endpoints are ready. It changes often, and every change is a decision.
    pub ready_endpoints: bool,
    /// How long states have lasted. Ages change by themselves: without this a decision depends on facts only.
    pub state_age: bool,
}

impl Needs {
    /// Nothing beyond the minimum: what is asked for, places, and of each cluster its state, region, zones and number
    /// of addresses.
    pub const NONE: Self = Self {
        addresses: false,
        cluster_names: false,
        cluster_labels: &[],
        annotations: &[],
        fqdns: false,
        ready_endpoints: false,
        state_age: false,
    };

    /// The addresses themselves.
    #[must_use]
    pub const fn addresses(mut self) -> Self {
        self.addresses = true;
        self
    }

    /// Names of the clusters.
    #[must_use]
    pub const fn cluster_names(mut self) -> Self {
        self.cluster_names = true;
        self
    }

    /// Labels of clusters by these keys; at most 64.
    #[must_use]
    pub const fn cluster_labels(mut self, keys: &'static [&'static str]) -> Self {
        self.cluster_labels = keys;
        self
    }

    /// Annotations of the record by these keys; at most 64.
    #[must_use]
    pub const fn annotations(mut self, keys: &'static [&'static str]) -> Self {
        self.annotations = keys;
        self
    }

    /// The names themselves in a selection.
    #[must_use]
    pub const fn fqdns(mut self) -> Self {
        self.fqdns = true;
        self
    }

    /// Numbers of ready endpoints.
    #[must_use]
    pub const fn ready_endpoints(mut self) -> Self {
        self.ready_endpoints = true;
        self
    }

    /// Ages of states.
    #[must_use]
    pub const fn state_age(mut self) -> Self {
        self.state_age = true;
        self
    }
}
