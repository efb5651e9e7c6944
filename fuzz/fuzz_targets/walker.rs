//! The walk over HTTP/2 that the kernel makes: any bytes, and valid frames beside a plain parser.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fleetscope_fuzz::walker::fuzz(data));
