//! Log lines on standard error: text for people, JSON for collectors.

use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::ParseError;

use crate::args::LogFormat;

/// Starts logging.
///
/// # Errors
/// When `level` is no filter.
pub fn start(level: &str, format: LogFormat) -> Result<(), ParseError> {
    let lines = tracing_subscriber::fmt().with_env_filter(EnvFilter::try_new(level)?).with_writer(std::io::stderr);
    match format {
        LogFormat::Text => lines.init(),
        LogFormat::Json => lines.json().flatten_event(true).init(),
    }
    Ok(())
}
