#![no_main]

use std::sync::Once;

/// The reader of spreadsheets may panic inside `cunkou_edge::sheet`, which contains that. LibFuzzer's
/// hook would end the process before anything could; what is not contained still ends it.
static QUIET: Once = Once::new();

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    QUIET.call_once(|| std::panic::set_hook(Box::new(|_| {})));
    cunkou_fuzz_bodies::run("xlsx", data)
});
