//! Guard rails.
