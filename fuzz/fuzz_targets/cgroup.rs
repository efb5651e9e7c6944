//! Paths of cgroups.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fleetscope_fuzz::cgroup::fuzz(data));
