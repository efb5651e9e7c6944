//! What is generated for Prometheus and Alertmanager in their own hands: `amtool` reads the configuration, and routes made-up alerts by it.
#![expect(clippy::unwrap_used, reason = "all of it is tests, the functions that they share included")]

mod receivers;
