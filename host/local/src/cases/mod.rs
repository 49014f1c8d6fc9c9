//! Cases: a folder with manifests and the answer they must lead to.
//!
//! ```text
//! CASE/case.yaml            description, time, settings (all optional)
//! CASE/host/, CASE/clusters/NAME/   as everywhere
//! CASE/hosts                addresses of host names (optional)
//! CASE/expected.yaml        the DNSEndpoints, and conditions where they matter
//! CASE/steps/NAME/          what happens then, in the order of the names (optional): step.yaml, manifests that take
//!                           the place of earlier ones of the same name, hosts, expected.yaml
//! ```
//!
//! Beside the answer, every step of every case shows two more things: carrying it out twice writes nothing the second
//! time, and neither does a process that is started anew.

mod format;
mod packed;
mod run;

pub use self::{
    format::{CaseFile, Expected, Grace, StepFile, lines},
    packed::PackedCases,
    run::{CaseError, Mode, Outcome, discover, run, run_with},
};
