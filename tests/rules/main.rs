//! What is generated, before the programs and schemas that read it in a cluster: promtool, and prometheus-operator's own definitions. No cluster is needed.
#![expect(clippy::unwrap_used, reason = "all of it is tests, the functions that they share included")]

mod scrape;
