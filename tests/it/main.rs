//! Whole-system stories: real binaries on loopback.
#![allow(missing_docs)]

mod at_rest;
mod backup;
mod bad_input;
mod beside;
mod bundle;
mod ceremony;
mod certificates;
mod cli;
mod conflict;
mod county;
mod duty;
mod enrol;
mod erasure;
mod evil;
mod faults;
mod filers;
mod flood;
mod forgotten_pin;
mod keys;
mod kill;
mod lane;
mod link;
mod looks;
mod people;
mod previous;
mod receipt;
mod routes;
mod screens;
mod storage;
mod story;
mod story_js;
mod story_no_js;
