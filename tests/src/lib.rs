//! The harness of the whole-system tests: a county of real processes that ends with its test, a
//! real browser that is told what to do by visible labels.

pub mod agent;
pub mod at_rest;
pub mod bare;
pub mod browser;
pub mod county;
pub mod enrolled;
pub mod net;
pub mod pictures;
pub mod security;
pub mod trust;
pub mod weather;
pub mod wild;
