//! Write a policy for `mcsdns` in a few lines.
//!
//! A policy is a sandboxed WebAssembly component that decides for records which names they get (*naming*), which
//! clusters stand behind each (*selection*), and how long answers may be kept (*ttl*). It implements one or more of
//! these aspects; the policy in the box does the rest.
//!
//! ```
//! use mcsdns_policy_sdk::prelude::*;
//!
//! /// `service.domain`, and nothing else.
//! struct Short;
//!
//! impl Policy for Short {
//!     type Config = NoConfig;
//!     const ABOUT: About = About::new("short", "0.1.0");
//!
//!     fn new(_: NoConfig) -> Result<Self, ConfigError> {
//!         Ok(Self)
//!     }
//! }
//!
//! impl Naming for Short {
//!     fn names(&self, subject: &Subject<'_>, _places: &Places<'_>) -> Result<Names, Refusal> {
//!         let mut names = Names::new();
//!         names.push(Name::new(label::join(&[subject.name(), subject.domain]), Place::Everywhere));
//!         Ok(names)
//!     }
//! }
//!
//! mcsdns_policy_sdk::export!(Short: Naming);
//!
//! // In a test, natively:
//! use mcsdns_policy_sdk::testing::{Scene, configured};
//!
//! let short = configured::<Short>("").unwrap();
//! assert_eq!(Scene::new("shop", "prod").names(&short).unwrap(), ["shop.example.com everywhere"]);
//! ```
//!
//! A selection looks at the clusters of the place of each name:
//!
//! ```
//! use mcsdns_policy_sdk::prelude::*;
//!
//! /// Answers with clusters that are marked `tier: gold` while one of them serves, with all otherwise.
//! struct GoldFirst;
//!
//! impl Policy for GoldFirst {
//!     type Config = NoConfig;
//!     const ABOUT: About = About::new("gold-first", "0.1.0").needs(Needs::NONE.cluster_labels(&["tier"]));
//!
//!     fn new(_: NoConfig) -> Result<Self, ConfigError> {
//!         Ok(Self)
//!     }
//! }
//!
//! impl Selection for GoldFirst {
//!     fn select(&self, ask: &Ask<'_>) -> Result<Vec<Decision>, Refusal> {
//!         ask.each(|name| {
//!             let serving = || ask.clusters_in(name.place).filter(|cluster| cluster.offers());
//!             let gold: Vec<_> = serving().filter(|cluster| cluster.label("tier") == Some("gold")).collect();
//!             Ok(match gold.is_empty() {
//!                 true => Decision::clusters(serving()).because("no gold cluster serves"),
//!                 false => Decision::clusters(gold).because("gold clusters"),
//!             })
//!         })
//!     }
//! }
//!
//! use mcsdns_policy_sdk::testing::{Member, Scene, configured};
//!
//! let scene = Scene::new("shop", "prod")
//!     .cluster(Member::new("c1").at("eu", "eu1").address("192.0.2.1"))
//!     .cluster(Member::new("c2").at("us", "us1").address("192.0.2.2").label("tier", "gold"));
//! let answers = scene.select(&configured::<GoldFirst>("").unwrap()).unwrap();
//! assert_eq!(answers[0], "everywhere: c2 (gold clusters)");
//! assert_eq!(answers[1], "region eu: c1 (no gold cluster serves)");
//! ```
//!
//! What every policy can rely on, and has to live with:
//!
//! - The same input gives the same output on any machine: there is no clock, no randomness, no file and no network.
//!   The only thing to call is [`log`]; what a panic says goes there, too, and `println!` goes nowhere.
//! - It is made once. Every decision starts from the state that [`Policy::new`] left, and nothing passes from one
//!   decision to the next.
//! - Targets are indexes into what the host offered: no policy can invent an address. Names are checked against the
//!   zone of the Domain, and TTLs are brought within its bounds.
//! - It is told the minimum unless it declares [`Needs`].

#![cfg_attr(docsrs, feature(doc_cfg))]

mod about;
#[cfg(target_family = "wasm")]
mod allocator;
mod export;
mod fleet;
pub mod label;
pub mod log;
mod names;
#[cfg(any(target_family = "wasm", test))]
mod panics;
mod policy;
mod selection;
pub mod standard;
mod subject;
#[cfg(not(target_family = "wasm"))]
pub mod testing;
mod ttl;

#[doc(hidden)]
pub mod guest;

/// Types and the log, generated from `wit/v0.1.0`.
#[allow(missing_docs, unsafe_code, unreachable_pub, rust_2018_idioms, clippy::all, reason = "generated code")]
mod bindings {
    wit_bindgen::generate!({
        inline: "
            package mcsdns:policy-sdk;
            world shared {
                import mcsdns:policy/types@0.1.0;
                import mcsdns:policy/log@0.1.0;
            }
        ",
        path: "wit/v0.1.0",
        generate_all,
        generate_unused_types: true,
    });
}

pub use crate::{
    about::{About, Needs, keys},
    fleet::{Cluster, ClusterId, Fleet, State},
    names::{Fallback, Name, NameId, Names},
    policy::{ConfigError, Naming, NoConfig, Policy, Refusal, Selection, Ttl},
    selection::{Answer, Ask, Decision, Question, Target, WeightedSet},
    subject::{Place, PlaceName, Places, Subject, Zone},
    ttl::{AnswerKind, Outcome, Ttls},
};

/// The example in the README compiles.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

/// What most policies use.
pub mod prelude {
    pub use crate::{
        About, Answer, AnswerKind, Ask, Cluster, ClusterId, ConfigError, Decision, Name, NameId, Names, Naming, Needs,
        NoConfig, Outcome, Place, Places, Policy, Question, Refusal, Selection, State, Subject, Ttl, Ttls, WeightedSet,
        label, log, standard,
    };
}

/// For [`export!`](crate::export).
#[doc(hidden)]
pub mod __private {
    #[cfg(target_family = "wasm")]
    pub use crate::allocator::Bump;
    pub use crate::{
        bindings::mcsdns::policy::{log, types},
        guest,
    };
    pub use wit_bindgen;
}
