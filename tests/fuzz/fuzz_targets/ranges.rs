#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| cunkou_fuzz_bodies::run("ranges", data));
