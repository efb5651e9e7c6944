//! The decoder of header blocks: beside a library's, after joining in mid-life, and after losses.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fleetscope_fuzz::hpack::fuzz(data));
