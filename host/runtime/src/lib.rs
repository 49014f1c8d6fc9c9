//! The loop that drives the Index: facts in, effects out, decisions on worker threads
