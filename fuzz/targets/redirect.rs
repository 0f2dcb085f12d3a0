#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| leadgate_fuzz::redirect(input));
