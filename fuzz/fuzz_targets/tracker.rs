//! Calls: out of any records, and out of connections whose calls are known, with losses.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fleetscope_fuzz::tracker::fuzz(data));
