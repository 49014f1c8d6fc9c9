//! Components for tests, built from source with this crate.

/// The policy that misbehaves on request.
pub const MISBEHAVING: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/misbehaving.wasm"));

/// The same for one question only.
pub const TTL_ONLY: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/ttl-only.wasm"));
