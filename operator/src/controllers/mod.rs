//! Controllers: read, decide by pure functions, write.

pub mod agent_fleet;
mod compare;
mod program;
mod status;
