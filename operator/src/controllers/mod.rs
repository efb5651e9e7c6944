//! Controllers: read, decide by pure functions, write.
//!
//! - `kind`: what a kind says about itself; one file per kind beside it
//! - `control`: the watch of a kind's objects, and who is due
//! - `turn`: one reconcile, of whichever kind
//! - `program`: objects as they are wanted, and no others
//! - `announce`: Events

mod agent_fleet;
mod announce;
mod compare;
mod control;
mod kind;
mod program;
mod scrape_policy;
mod status;
mod turn;

pub(crate) use agent_fleet::Fleet;
pub(crate) use control::{control, signalled};
pub(crate) use scrape_policy::Scrape;
pub use turn::STATUS_MANAGER;
