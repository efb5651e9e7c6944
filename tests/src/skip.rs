//! Tests that cannot run on this machine say why, and are counted as skipped.

use std::fs::OpenOptions;
use std::io::Write as _;

/// Prints why a test does not run, and appends it to the file that `FLEETSCOPE_SKIP_LOG` names, from which `make test` sums up.
/// The test returns afterwards.
///
/// # Panics
///
/// If that file cannot be written.
#[expect(clippy::print_stderr, reason = "it is for whoever runs the tests")]
pub fn skip(test: &str, reason: &str) {
    eprintln!("skipped: {test}: {reason}");
    let Some(path) = std::env::var_os("FLEETSCOPE_SKIP_LOG") else { return };
    let mut file = OpenOptions::new()
        .create(true)
        .append(true)
        .open(path)
        .expect("FLEETSCOPE_SKIP_LOG names a file that can be written");
    writeln!(file, "{test}\t{reason}").expect("FLEETSCOPE_SKIP_LOG can be written");
}
