//! What authors of policies, and operators before they roll one out, look at policies with: cases with expected
//! answers, the conformance suite, benches, inspection, what-if differences, and bundles that hold one decision.
//!
//! Everything here runs a policy through the code that the controller runs it through: the same sandbox, the same guard
//! rails, the same planner, and for cases and differences the same Index.

pub mod bench;
pub mod bundle;
pub mod compose;
pub mod conformance;
pub mod difference;
pub mod fleets;
pub mod inspect;
pub mod interface;
pub mod judge;
pub mod junit;
pub mod known;
pub mod recorder;
pub mod spending;
pub mod suite;
pub mod workbench;
