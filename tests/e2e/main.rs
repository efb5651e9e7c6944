//! End to end, on a real cluster: one module per user story. `make e2e` brings the cluster, the images and the monitoring;
//! the suite installs the chart itself. Tests run one after the other, in the order of their names, as some of them take parts of the
//! cluster away; `zz_verbs` is the last one, as it looks back at all of them.
#![expect(clippy::unwrap_used, reason = "all of it is tests, the functions that they share included")]

mod alerting;
mod capabilities;
mod cli;
mod conversation;
mod dashboards;
mod exactness;
mod formats;
mod grpc;
mod lifecycle;
mod monitors;
mod namespaced;
mod nodes;
mod optional_kinds;
mod overload;
mod policies;
mod refusals;
mod rollout;
mod rules;
mod scene;
mod selected;
mod short_lived;
mod status;
mod uninstall;
mod zz_verbs;
