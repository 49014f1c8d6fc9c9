//! End-to-end tests on real API servers and the demo
