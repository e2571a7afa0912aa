//! Whole-system stories: real binaries on loopback.
#![allow(missing_docs)]

mod cli;
mod county;
mod kill;
mod story;
mod story_js;
