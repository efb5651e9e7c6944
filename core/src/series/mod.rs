//! Series under a cap: observations in, a consistent snapshot out.
//!
//! A series is a metric of the table, an [`Identity`] and the values of the metric's own labels. [`Limits`] bound how many
//! there are: what finds no room is counted under `_OTHER` (see `overflow.rs` for the order in which labels give way) and in
//! `fleetscope_series_dropped_total`. So the sum over all series of a counter or a histogram is always the sum of what was
//! observed. Series of pods that are gone stay for a grace period ([`Registry::retire`], [`Registry::sweep`]) for the last scrape.
//!
//! Nothing here panics on an observation, whatever its numbers and labels are: what cannot be counted is refused and counted as refused.
//!
//! # Layout
//! - `registry`: the registry: observations, retirement
//! - `identity`: identities and fleets, interned, with how much they hold
//! - `entry`: one metric's entries
//! - `overflow`: where an observation goes when there is no room
//! - `handle`: a series that is put into again and again
//! - `layout`, `native`: how a histogram's buckets are laid out, and its exponential ones
//! - `value`: numbers and histograms, and how an observation changes them
//! - `start`: when a series was zero
//! - `snapshot`: what the encoders read

mod entry;
mod handle;
mod identity;
mod layout;
mod native;
mod overflow;
mod registry;
mod snapshot;
mod start;
mod value;

#[cfg(test)]
mod tests;

pub use handle::Handle;
pub use identity::Identity;
pub use layout::Layout;
pub use native::{Native, Span};
pub use registry::{Limits, Registry};
pub use snapshot::{Family, Filter, Selection, Series, Snapshot};
pub use value::Value;
