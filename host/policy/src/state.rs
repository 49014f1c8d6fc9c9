//! What belongs to one instance: its limits and its log.

use serde::Serialize;
use wasmtime::ResourceLimiter;

use crate::{
    budget::Budget,
    engine::{CORE_INSTANCES, MEMORIES, TABLES},
    error::Aspect,
};

/// How much a line of log weighs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum LogLevel {
    /// For the author.
    Debug,
    /// For the operator.
    Info,
    /// For the operator, who should do something.
    Warn,
}

/// Something a policy said.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LogLine {
    /// During which question; absent while it was loaded.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub aspect: Option<Aspect>,
    /// Its weight.
    pub level: LogLevel,
    /// Its text, shortened when the budget for log was used up.
    pub message: String,
}

/// The state of the host beside one instance.
#[derive(Debug)]
pub(crate) struct State {
    pub(crate) limiter: Limiter,
    pub(crate) log: Log,
}

impl State {
    pub(crate) fn new(budget: &Budget) -> Self {
        Self {
            limiter: Limiter {
                memory_limit: u64::from(budget.memory_bytes),
                memory: 0,
                table_limit: u64::from(budget.table_elements),
                table: 0,
            },
            log: Log {
                aspect: None,
                lines: Vec::new(),
                lines_left: budget.log_lines,
                bytes_left: budget.log_bytes,
                dropped: 0,
            },
        }
    }
}

/// What an instance said, as far as it is kept.
#[derive(Debug)]
pub(crate) struct Log {
    /// What it is being asked.
    pub(crate) aspect: Option<Aspect>,
    pub(crate) lines: Vec<LogLine>,
    /// Lines that were not kept.
    pub(crate) dropped: u64,
    lines_left: u32,
    bytes_left: u32,
}

impl Log {
    /// How many bytes of the next line will be kept; `None` when the line is dropped.
    pub(crate) fn room(&mut self) -> Option<usize> {
        if self.lines_left == 0 || self.bytes_left == 0 {
            self.dropped += 1;
            return None;
        }
        self.lines_left -= 1;
        usize::try_from(self.bytes_left).ok()
    }

    /// Keeps a line that there was room for.
    pub(crate) fn keep(&mut self, level: LogLevel, message: &str, room: usize) {
        let message = message.get(..message.floor_char_boundary(room)).unwrap_or_default();
        self.bytes_left = self.bytes_left.saturating_sub(u32::try_from(message.len()).unwrap_or(u32::MAX));
        self.lines.push(LogLine { aspect: self.aspect, level, message: message.to_owned() });
    }
}

/// Bounds what an instance may allocate.
///
/// The limits hold for all its memories and all its tables together: a limit for each could be had as many times as a
/// component cares to define memories.
#[derive(Debug)]
pub(crate) struct Limiter {
    memory_limit: u64,
    /// Bytes of all memories.
    pub(crate) memory: u64,
    table_limit: u64,
    table: u64,
}

/// A limit that was hit. Ends the call: an answer of "no more" would only make most policies crash somewhere else.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum LimitHit {
    #[error("memory limit: {wanted} bytes wanted, {limit} allowed")]
    Memory { wanted: u64, limit: u64 },
    #[error("table limit: {wanted} elements wanted, {limit} allowed")]
    Table { wanted: u64, limit: u64 },
}

impl ResourceLimiter for Limiter {
    fn memory_growing(&mut self, current: usize, desired: usize, _maximum: Option<usize>) -> wasmtime::Result<bool> {
        let wanted = grown(self.memory, current, desired);
        if wanted > self.memory_limit {
            return Err(LimitHit::Memory { wanted, limit: self.memory_limit }.into());
        }
        self.memory = wanted;
        Ok(true)
    }

    fn table_growing(&mut self, current: usize, desired: usize, _maximum: Option<usize>) -> wasmtime::Result<bool> {
        let wanted = grown(self.table, current, desired);
        if wanted > self.table_limit {
            return Err(LimitHit::Table { wanted, limit: self.table_limit }.into());
        }
        self.table = wanted;
        Ok(true)
    }

    fn instances(&self) -> usize {
        usize::try_from(CORE_INSTANCES).unwrap_or(usize::MAX)
    }

    fn memories(&self) -> usize {
        usize::try_from(MEMORIES).unwrap_or(usize::MAX)
    }

    fn tables(&self) -> usize {
        usize::try_from(TABLES).unwrap_or(usize::MAX)
    }
}

/// The total after one part of it has grown.
fn grown(total: u64, current: usize, desired: usize) -> u64 {
    let more = u64::try_from(desired.saturating_sub(current)).unwrap_or(u64::MAX);
    total.saturating_add(more)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(budget: Budget) -> State {
        State::new(&budget)
    }

    #[test]
    fn memories_count_together() {
        let mut limiter = state(Budget { memory_bytes: 3 << 16, ..Budget::default() }).limiter;
        assert!(limiter.memory_growing(0, 1 << 16, None).unwrap());
        assert!(limiter.memory_growing(0, 2 << 16, None).unwrap());
        let error = limiter.memory_growing(1 << 16, 2 << 16, None).unwrap_err();
        assert_eq!(error.downcast_ref(), Some(&LimitHit::Memory { wanted: 4 << 16, limit: 3 << 16 }));
    }

    #[test]
    fn tables_count_together() {
        let mut limiter = state(Budget { table_elements: 10, ..Budget::default() }).limiter;
        assert!(limiter.table_growing(0, 6, None).unwrap());
        let error = limiter.table_growing(0, 5, None).unwrap_err();
        assert_eq!(error.downcast_ref(), Some(&LimitHit::Table { wanted: 11, limit: 10 }));
    }

    #[test]
    fn the_log_keeps_what_fits_and_counts_the_rest() {
        let mut log = state(Budget { log_lines: 2, log_bytes: 5, ..Budget::default() }).log;
        for message in ["äää", "bbb", "ccc"] {
            if let Some(room) = log.room() {
                log.keep(LogLevel::Info, message, room);
            }
        }
        let kept: Vec<_> = log.lines.iter().map(|line| line.message.as_str()).collect();
        assert_eq!((kept, log.dropped), (vec!["ää", "b"], 1));
    }
}
