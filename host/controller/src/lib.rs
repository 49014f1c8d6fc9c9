//! Watches and writers on real API servers
