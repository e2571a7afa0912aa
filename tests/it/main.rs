//! Whole-system stories: real binaries on loopback.
#![allow(missing_docs)]

mod county;
mod story;
mod story_js;
