//! Whole-system stories: real binaries on loopback.
#![allow(missing_docs)]

mod at_rest;
mod bad_input;
mod cli;
mod conflict;
mod county;
mod filers;
mod kill;
mod screens;
mod story;
mod story_js;
mod story_no_js;
