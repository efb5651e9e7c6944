//! Log lines on standard error: for people, or one JSON object each.

use std::io::{IsTerminal as _, stderr};

use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::ParseError;
use tracing_subscriber::fmt;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::{SubscriberInitExt as _, TryInitError};

use crate::args::LogFormat;

/// Why logging could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum LoggingError {
    /// The filter is not one.
    #[error("failed to parse log filter `{filter}`: write error, warn, info, debug, trace, or target=level pairs")]
    Filter {
        /// As it was given.
        filter: String,
        /// Where it is wrong.
        source: ParseError,
    },
    /// Somebody else set a logger already.
    #[error("failed to install logger")]
    Install(#[from] TryInitError),
}

/// Sends log lines of the process to standard error, those that `filter` lets through.
pub fn install(format: LogFormat, filter: &str) -> Result<(), LoggingError> {
    let filter = EnvFilter::builder()
        .parse(filter)
        .map_err(|source| LoggingError::Filter { filter: filter.to_owned(), source })?;
    let registry = tracing_subscriber::registry().with(filter);
    match format {
        LogFormat::Text => {
            registry.with(fmt::layer().with_writer(stderr).with_ansi(stderr().is_terminal())).try_init()?;
        }
        LogFormat::Json => {
            registry.with(fmt::layer().with_writer(stderr).json().flatten_event(true)).try_init()?;
        }
    }
    Ok(())
}
