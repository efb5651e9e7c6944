//! Records of processes and cgroups.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fleetscope_fuzz::records::fuzz(data));
