//! What a policy may use.

use serde::{Deserialize, Serialize};

/// What one policy may use. The same numbers hold in the controller and on an author's machine, and each overrun is an
/// error of its own.
///
/// Fuel is the limit that decides: it counts instructions, so a decision ends at the same point on any machine. Wall
/// time is the net below it, for what fuel does not see, and generous, because on a busy machine a thread may wait for
/// a while without having done anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
#[non_exhaustive]
pub struct Budget {
    /// Time for all calls of one decision, in milliseconds.
    pub wall_millis: u32,
    /// Instructions, roughly, for all calls of one decision.
    pub fuel: u64,
    /// Linear memory of an instance, all its memories together.
    pub memory_bytes: u32,
    /// Elements of tables of an instance, all its tables together.
    pub table_elements: u32,
    /// Bytes that one call may hand to the host, its answer included.
    pub output_bytes: u32,
    /// Names of one record.
    pub names: u32,
    /// Clusters and addresses answered for one record, all its names together.
    pub targets: u32,
    /// Lines of log that are kept of one decision; the rest is counted and dropped.
    pub log_lines: u32,
    /// Bytes of log that are kept of one decision.
    pub log_bytes: u32,
    /// Size of the component.
    pub component_bytes: u32,
    /// Size of the configuration.
    pub config_bytes: u32,
    /// Time for `configure`, in milliseconds.
    pub configure_millis: u32,
    /// Instructions, roughly, for `configure`.
    pub configure_fuel: u64,
}

impl Default for Budget {
    fn default() -> Self {
        Self {
            wall_millis: 250,
            fuel: 50_000_000,
            memory_bytes: 16 << 20,
            table_elements: 10_000,
            output_bytes: 1 << 20,
            names: 2_000,
            targets: 50_000,
            log_lines: 64,
            log_bytes: 8 << 10,
            component_bytes: 8 << 20,
            config_bytes: 1 << 20,
            configure_millis: 5_000,
            configure_fuel: 2_000_000_000,
        }
    }
}

impl Budget {
    /// What an operator may allow at most unless they say otherwise.
    #[must_use]
    pub fn ceiling() -> Self {
        Self {
            wall_millis: 5_000,
            fuel: 5_000_000_000,
            memory_bytes: 64 << 20,
            table_elements: 20_000,
            output_bytes: 16 << 20,
            names: 10_000,
            targets: 1_000_000,
            log_lines: 10_000,
            log_bytes: 1 << 20,
            component_bytes: 32 << 20,
            config_bytes: 8 << 20,
            configure_millis: 60_000,
            configure_fuel: 100_000_000_000,
        }
    }

    /// The first limit that is higher than that of `ceiling`: its name as written in a budget, the value asked for, and
    /// the highest that is allowed.
    #[must_use]
    pub fn above(&self, ceiling: &Self) -> Option<(&'static str, u64, u64)> {
        let limits = [
            ("wallMillis", self.wall_millis.into(), ceiling.wall_millis.into()),
            ("fuel", self.fuel, ceiling.fuel),
            ("memoryBytes", self.memory_bytes.into(), ceiling.memory_bytes.into()),
            ("tableElements", self.table_elements.into(), ceiling.table_elements.into()),
            ("outputBytes", self.output_bytes.into(), ceiling.output_bytes.into()),
            ("names", self.names.into(), ceiling.names.into()),
            ("targets", self.targets.into(), ceiling.targets.into()),
            ("logLines", self.log_lines.into(), ceiling.log_lines.into()),
            ("logBytes", self.log_bytes.into(), ceiling.log_bytes.into()),
            ("componentBytes", self.component_bytes.into(), ceiling.component_bytes.into()),
            ("configBytes", self.config_bytes.into(), ceiling.config_bytes.into()),
            ("configureMillis", self.configure_millis.into(), ceiling.configure_millis.into()),
            ("configureFuel", self.configure_fuel, ceiling.configure_fuel),
        ];
        limits.into_iter().find(|(_, asked, allowed)| asked > allowed)
    }
}

/// What the engine as a whole may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct EngineLimits {
    /// No policy gets a budget beyond this.
    pub ceiling: Budget,
    /// Instances alive at the same time, at least three; a decision that needs one more waits.
    pub instances: u32,
    /// Stack of a call, in bytes. Must be well below the stack of any thread that decides (Rust gives threads 2 MiB).
    pub stack_bytes: u32,
    /// How much of a memory is kept and cleared for the next instance instead of being given back to the system.
    pub keep_resident_bytes: u32,
}

impl Default for EngineLimits {
    fn default() -> Self {
        Self { ceiling: Budget::ceiling(), instances: 32, stack_bytes: 512 << 10, keep_resident_bytes: 256 << 10 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_below_the_ceiling() {
        assert_eq!(Budget::default().above(&Budget::ceiling()), None);
    }

    #[test]
    fn a_budget_above_the_ceiling_names_the_limit() {
        let greedy = Budget { names: 10_001, ..Budget::default() };
        assert_eq!(greedy.above(&Budget::ceiling()), Some(("names", 10_001, 10_000)));
    }

    #[test]
    fn a_budget_may_be_written_in_part_and_misspelt_limits_are_refused() {
        let budget: Budget = serde_json::from_str(r#"{"fuel": 7}"#).unwrap();
        assert_eq!(budget, Budget { fuel: 7, ..Budget::default() });
        assert!(serde_json::from_str::<Budget>(r#"{"fuell": 7}"#).is_err());
    }
}
