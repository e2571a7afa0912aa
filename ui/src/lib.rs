//! Everything a person sees in a browser: view models in screen terms become HTML.
//!
//! **Invariants:** pure; the only HTML; every word shown stands here, Chinese beside English, so
//! that neither can be forgotten; every page works without a script; no inline script or style.

pub mod assets;
pub mod layout;
pub mod page;
pub mod part;
pub mod words;

pub use layout::{Shell, User};
pub use words::Lang;
