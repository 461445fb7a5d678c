//! Write Tamis plugins in Rust: one struct, one trait, one macro
