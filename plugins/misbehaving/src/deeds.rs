//! The deeds that take more than a line.

use std::hint::black_box;

use crate::bindings::mcsdns::policy::{
    log::{Level, log as say},
    types::{Target, WeightedSet},
};

/// Never returns.
pub(crate) fn run_for_ever() -> ! {
    loop {
        black_box(());
    }
}

/// Takes memory until there is none.
pub(crate) fn grow() -> ! {
    loop {
        black_box(vec![1_u8; 1 << 20].leak());
    }
}

/// Calls itself until there is no stack.
pub(crate) fn recurse(depth: u64) -> u64 {
    if black_box(depth) == u64::MAX { 0 } else { recurse(depth + 1) + black_box(1) }
}

/// Crashes without the ceremony of a panic.
pub(crate) fn trap() -> ! {
    #[cfg(target_family = "wasm")]
    core::arch::wasm32::unreachable();
    #[cfg(not(target_family = "wasm"))]
    std::process::abort();
}

/// Logs one line.
pub(crate) fn log(message: &str) {
    say(Level::Warn, message);
}

/// Logs for ever.
pub(crate) fn flood() -> ! {
    let line = "la ".repeat(1000);
    loop {
        say(Level::Info, &line);
    }
}

/// Text that is none.
pub(crate) fn not_utf_8() -> String {
    // SAFETY: none. This is what a policy in another language might hand over; nothing here looks into the text.
    unsafe { String::from_utf8_unchecked(vec![b'a', 0xff, 0xfe]) }
}

/// Addresses that nobody offered.
pub(crate) fn targets_out_of_range() -> Vec<Target> {
    vec![Target { cluster: 0, address: 4_000_000_000 }, Target { cluster: 4_000_000_000, address: 0 }]
}

/// A set without addresses, with properties that make no sense.
pub(crate) fn empty_set() -> Vec<WeightedSet> {
    vec![WeightedSet {
        set_identifier: String::new(),
        targets: Vec::new(),
        provider_specific: vec![("aws/weight".to_owned(), "heavy".to_owned())],
    }]
}
