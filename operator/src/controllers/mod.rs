//! Controllers: read, decide by pure functions, write.
//!
//! - `kind`: what a kind says about itself; one file per kind beside it
//! - `guard`: objects that may not be readable
//! - `control`: the watch of a kind's objects, and who asks for a turn
//! - `dispatch`, `line`: turns, in the order in which they were asked for
//! - `changes`: lists that are read again, as changes
//! - `memory`: what is remembered between two turns
//! - `turn`: one reconcile, of whichever kind: work, then tell
//! - `work`: decide and program
//! - `program`: objects as they are wanted, and no others
//! - `selected`: who takes them
//! - `tell`: the status, as it is written
//! - `announce`: Events

mod agent_fleet;
mod alert_policy;
mod alerts;
mod announce;
mod changes;
mod cluster_alert_policy;
mod compare;
mod control;
mod dispatch;
mod guard;
mod kind;
mod line;
mod memory;
mod model_price_list;
mod program;
mod scrape_policy;
mod selected;
mod status;
mod tell;
mod turn;
mod work;

pub(crate) use agent_fleet::Fleet;
pub(crate) use alert_policy::Alerts;
pub(crate) use cluster_alert_policy::ClusterAlerts;
pub(crate) use control::control;
pub(crate) use model_price_list::Prices;
pub(crate) use scrape_policy::Scrape;
pub use tell::STATUS_MANAGER;
