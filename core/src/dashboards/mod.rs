//! Grafana dashboards, as JSON: what is shown of the fleets, and of Fleetscope itself.
//!
//! In: the thresholds of the alerts by their names, and for a fleet's own dashboard which fleet it is. Out: dashboards in
//! Grafana's model, and all their queries. Each board is data: rows of panels with their queries, words and judgement. How that becomes
//! JSON is decided in one place for all of them, so that two panels of a kind never look different.
//!
//! # Layout
//! - `overview`, `tasks`, `grpc`, `llm`, `tools`, `nodes`: one board each
//! - `panel`, `query`: what a board is made of
//! - `levels`: from the threshold of an alert to green, yellow and red
//! - `variables`, `annotations`, `links`: what the boards share
//! - `layout`: places in the grid
//! - `build`, `options`, `json`: from a board to Grafana's model
//!
//! Expressions contain `$fleets` where a list of label matchers selects the fleets; the scope of a dashboard says which.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::catalogue;

mod annotations;
mod build;
mod grpc;
mod json;
mod layout;
mod levels;
mod links;
mod llm;
mod nodes;
mod options;
mod overview;
mod panel;
mod query;
mod tasks;
mod tools;
mod variables;

pub use query::Query;

use self::panel::Board;
use self::variables::Scope;

/// Threshold of an alert by its name: the catalogue's, or that of the fleet's profile.
pub type Thresholds<'a> = &'a dyn Fn(&str) -> Option<f64>;

/// One dashboard.
#[derive(Clone, Debug, PartialEq)]
pub struct Dashboard {
    /// Stable: links and bookmarks name it.
    pub uid: String,
    /// In Grafana's model.
    pub model: Value,
}

// === impl Dashboard ===

impl Dashboard {
    /// The text of its file.
    pub fn text(&self) -> String {
        format!("{:#}\n", self.model)
    }
}

/// The boards, in the order in which links show them.
fn boards() -> Vec<Board> {
    vec![overview::board(), tasks::board(), grpc::board(), llm::board(), tools::board(), nodes::board()]
}

/// The dashboards of an installation, for all its fleets.
pub fn all(thresholds: Thresholds<'_>) -> Vec<Dashboard> {
    boards()
        .into_iter()
        .map(|board| Dashboard {
            uid: board.uid.to_owned(),
            model: build::model(&board, &Scope::Variables, thresholds),
        })
        .collect()
}

/// The overview bound to one fleet: its variables are constants, its links lead to the other dashboards for this fleet.
pub fn fleet_dashboard(namespace: &str, name: &str, thresholds: Thresholds<'_>) -> Value {
    let scope = Scope::Fleet { namespace: namespace.to_owned(), name: name.to_owned() };
    build::model(&overview::board(), &scope, thresholds)
}

/// Every query of [`all`], in order of the dashboards and panels.
pub fn queries() -> Vec<Query> {
    boards().iter().flat_map(|board| query::of(board, &Scope::Variables)).collect()
}

/// The threshold of an alert as the catalogue has it, for [`all`].
pub fn catalogue_threshold(alert: &str) -> Option<f64> {
    catalogue::alert(alert)?.threshold.as_ref()?.value.parse().ok()
}

/// Names of the alerts whose thresholds the dashboards show.
pub fn alerts() -> BTreeSet<&'static str> {
    let boards = boards();
    boards.iter().flat_map(Board::panels).flat_map(panel::Panel::alerts).collect()
}

#[cfg(test)]
mod tests;
