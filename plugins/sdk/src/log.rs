//! Lines for the people who run the policy: in the host's log, in `explain` and in the harness.
//!
//! It is the only thing a policy can do beside answering. The host keeps so many lines and bytes of a decision and
//! drops the rest, and a line costs as much as some thousand instructions: say what is unusual, not what is done.

/// How loud a line is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// For authors.
    Debug,
    /// For operators who look.
    Info,
    /// For operators who should look.
    Warn,
}

/// For authors.
pub fn debug(message: &str) {
    write(Level::Debug, message);
}

/// For operators who look.
pub fn info(message: &str) {
    write(Level::Info, message);
}

/// For operators who should look.
pub fn warn(message: &str) {
    write(Level::Warn, message);
}

#[cfg(target_family = "wasm")]
fn write(level: Level, message: &str) {
    use crate::bindings::mcsdns::policy::log;

    let level = match level {
        Level::Debug => log::Level::Debug,
        Level::Info => log::Level::Info,
        Level::Warn => log::Level::Warn,
    };
    log::log(level, message);
}

#[cfg(not(target_family = "wasm"))]
fn write(level: Level, message: &str) {
    crate::testing::keep_line(level, message);
}
