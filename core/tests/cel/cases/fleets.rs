//! Of `AgentFleet`.

use serde_json::{Value, json};

use super::Pair;
use super::fleet_specs::{rule, with};

pub(super) fn cases() -> Vec<Pair> {
    values().into_iter().map(|(path, good, bad, says)| (with(path, good), with(path, bad), says)).collect()
}

/// A path, a value that is good there, one that is bad, and what is said about it.
fn values() -> Vec<(&'static str, Value, Value, &'static str)> {
    let rules = "/tasks/rules/0";
    let expressions = "/selector/matchExpressions";
    let timeout = "spec.scrape.scrapeTimeout: scrapeTimeout (default 10s) must not be longer than interval";
    let interval = "spec.scrape.interval: interval is from 1s to 1m: the rules take rates over 5m, which want some scrapes in them";
    let key = "spec.scrape.labels: keys are label keys: an optional DNS prefix and /, then at most 63 letters, digits, and - _ . inside";
    let own = "spec.scrape.labels: labels of fleetscope.io/ and app.kubernetes.io/ are the operator's own";
    let rise = "spec.grpc.buckets: bounds rise, and none is there twice";
    let unnamed = "spec.tasks.rules[0].name: a rule names its tasks: set name, or ignore: true";
    let named = "spec.tasks.rules[0].ignore: an ignored process has no name: remove name, or ignore";
    let values =
        "spec.selector.matchExpressions[0].values: In and NotIn take values, Exists and DoesNotExist take none";
    let in_b = json!([{ "key": "a", "operator": "In", "values": ["b"] }]);
    let codes = "/tasks/rules/0/resultByExitCode";
    let code =
        "spec.tasks.rules[0].resultByExitCode: keys are an exit code 0 to 255, a signal such as sigterm, oom, or *";
    let exists = json!([{ "key": "a", "operator": "Exists" }]);
    let ignore = json!({ "ignore": true, "match": { "executable": "a" } });
    vec![
        ("/scrape/interval", json!("15s"), json!("9s"), timeout),
        ("/scrape/scrapeTimeout", json!("15s"), json!("16s"), timeout),
        ("/scrape/interval", json!("1m"), json!("61s"), interval),
        ("/scrape/interval", json!("60s"), json!("1h"), interval),
        ("/scrape/scrapeTimeout", json!("1s"), json!("0s"), "spec.scrape.scrapeTimeout: scrapeTimeout is at least 1s"),
        ("/scrape/labels", json!({ "example.com/a": "b" }), json!({ "-a": "b" }), key),
        ("/scrape/labels", json!({ "fleetscope.com/a": "b" }), json!({ "fleetscope.io/a": "b" }), own),
        ("/grpc/buckets", json!([0.001, 0.5, 1, 2.5, 60]), json!([0.5, 0.25]), rise),
        ("/grpc/buckets", json!([]), json!([0.5, 1, 1, 2]), rise),
        ("/grpc/buckets", json!([1]), json!([2, 1]), rise),
        (rules, rule(), json!({ "match": { "executable": "a" } }), unnamed),
        (rules, ignore, json!({ "name": "a", "ignore": true, "match": { "executable": "a" } }), named),
        (expressions, in_b, json!([{ "key": "a", "operator": "In", "values": [] }]), values),
        (expressions, exists, json!([{ "key": "a", "operator": "Exists", "values": ["b"] }]), values),
        (codes, json!({ "255": "ok", "*": "ok" }), json!({ "256": "ok" }), code),
        (codes, json!({ "sigterm": "ok", "oom": "ok" }), json!({ "SIGTERM": "ok" }), code),
    ]
}
