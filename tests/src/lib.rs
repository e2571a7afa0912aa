//! The harness of the whole-system tests: a county of real processes that ends with its test.

pub mod county;
