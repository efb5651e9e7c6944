//! End to end, on a real cluster: one module per user story. `make e2e` brings the cluster, the images and the monitoring;
//! the suite installs the chart itself. First come the tests of `beside`, several at a time; then, one after the other, those of `alone`,
//! as they take parts of the cluster away, and in the end `zz_verbs`, as it looks back at all of them.
#![expect(clippy::unwrap_used, reason = "all of it is tests, the functions that they share included")]

mod alone;
mod beside;
mod conversation;
mod scene;
mod zz_verbs;
