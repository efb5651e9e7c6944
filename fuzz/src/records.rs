//! The parser of records of processes and cgroups (`fleetscope_core::records`): any bytes are a record or an error, and what a
//! record borrows lies within the bytes and within the limits of the ABI.

use fleetscope_core::records::{Argv, CgroupMade, Exec, Record, RecordError, parse};
use fleetscope_ebpf::{ARGV_MAX, CGROUP_PATH_MAX, PATH_MAX};

/// The target.
pub fn fuzz(data: &[u8]) {
    match parse(data) {
        Ok(Record::Exec(Exec { path, argv, process, .. })) => {
            assert!(path.is_none_or(|path| !path.is_empty() && path.len() < PATH_MAX));
            assert!(!process.comm().contains(&0));
            if let Argv::Whole(argv) | Argv::Cut(argv) = argv {
                assert!(argv.len() <= ARGV_MAX);
            }
        }
        Ok(Record::CgroupMade(CgroupMade { path, .. })) => {
            // One that fills its room may have been cut.
            assert!(path.is_none_or(|path| !path.is_empty() && path.len() < CGROUP_PATH_MAX - 1));
        }
        Ok(Record::Exit(_) | Record::CgroupGone(_)) => {}
        Err(error) => {
            assert!(RecordError::REASONS.contains(&error.reason()));
            if let RecordError::Truncated { got, needed, .. } = error {
                assert!(got == data.len() && got < needed);
            }
        }
    }
    // What follows a record is padding of the ring buffer, whatever is in it.
    if parse(data).is_ok() {
        let padded = [data, &[0xa5; 8]].concat();
        assert_eq!(parse(data), parse(&padded));
    }
}
