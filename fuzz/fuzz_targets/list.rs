#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| regstorm_fuzz::list(bytes));
