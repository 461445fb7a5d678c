//! End-to-end, architecture and torture tests
