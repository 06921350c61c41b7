#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| stemma_fuzz::decode::block(data));
