//! What a panic said, and where: a trap has neither.

use std::panic::PanicHookInfo;

/// Lets every panic leave a line in the log, which the host shows beside the trap that follows. The hook is part of the
/// memory that decisions start from, so it is installed once for all of them.
#[cfg(target_family = "wasm")]
pub(crate) fn log_them() {
    static INSTALLED: std::sync::Once = std::sync::Once::new();
    INSTALLED.call_once(|| std::panic::set_hook(Box::new(|info| crate::log::warn(&line(info)))));
}

/// One line: `panicked at src/lib.rs:20:42: boom`.
fn line(info: &PanicHookInfo<'_>) -> String {
    let place = info.location().map_or_else(String::new, |place| format!(" at {place}"));
    let message = info.payload_as_str().map_or_else(String::new, |message| format!(": {message}"));
    format!("panicked{place}{message}")
}

#[cfg(test)]
mod tests {
    use std::{
        panic::{catch_unwind, set_hook, take_hook},
        sync::Mutex,
    };

    use super::*;

    #[test]
    fn a_panic_is_one_line_with_its_place() {
        static SAID: Mutex<Vec<String>> = Mutex::new(Vec::new());
        let usual = take_hook();
        set_hook(Box::new(|info| SAID.lock().unwrap().push(line(info))));
        let index = std::hint::black_box(7);
        let ended = catch_unwind(|| panic!("boom {index}"));
        set_hook(usual);
        assert!(ended.is_err());
        let said = SAID.lock().unwrap();
        let own = said.iter().find(|line| line.ends_with(": boom 7")).unwrap();
        assert!(own.starts_with("panicked at ") && own.contains("panics.rs:"), "{own}");
    }
}
