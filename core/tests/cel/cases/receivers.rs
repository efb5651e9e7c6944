//! Of receivers and routes, which both kinds of alert policies have.

use serde_json::{Value, json};

use super::Pair;
use super::receiver_specs::{email, receiver, secret, slack, with, with_route};

pub(super) fn cases() -> Vec<Pair> {
    let named = |name: &str| json!({ "name": name, "slack": slack() });
    let exactly = "spec.receivers[0]: a receiver is exactly one of slack, email, webhook, pagerduty, opsgenie, teams";
    let mut both = receiver("slack", slack());
    both["email"] = email();
    let mut half = email();
    half["authUsername"] = json!("me");
    let mut whole = half.clone();
    whole["authPasswordSecret"] = secret("mail");
    let header = |name: &str| {
        let mut mail = email();
        mail["headers"] = json!({ name: "x" });
        with("email", mail)
    };
    let mail_to = |field: &str, value: &str| {
        let mut mail = email();
        mail[field] = json!(value);
        with("email", mail)
    };
    let http = |http: Value| with("webhook", json!({ "url": "https://example.com/", "httpConfig": http }));
    let basic = json!({ "usernameSecret": secret("u"), "passwordSecret": secret("p") });
    let unique = "spec.receivers: receivers have different names";
    let exists = "spec.routes: each route's receiver is one of receivers";
    let default = "spec.defaultReceiver: defaultReceiver is one of receivers";
    let group_by = "spec.routes[0].groupBy: groupBy names labels, at least one, and none twice";
    let interval = "spec.routes[0].groupInterval: groupInterval is from 1s to 24h";
    let repeat = "spec.routes[0].repeatInterval: repeatInterval is from 1m to 120h";
    let order = "spec.routes[0].repeatInterval: repeatInterval (default 4h) must not be shorter than groupInterval (default 5m)";
    let headers = "spec.receivers[0].email.headers: names of headers are words with a capital first letter and dashes between them: Reply-To";
    let webhook = "spec.receivers[0].webhook: a webhook has either url or urlSecret";
    let auth = "spec.receivers[0].webhook.httpConfig: httpConfig has either bearerTokenSecret or basicAuth";
    vec![
        (json!({ "receivers": [named("a"), named("b")] }), json!({ "receivers": [named("a"), named("a")] }), unique),
        (with_route(json!({})), with_route(json!({ "receiver": "b" })), exists),
        (
            json!({ "receivers": [named("a")], "defaultReceiver": "a" }),
            json!({ "receivers": [named("a")], "defaultReceiver": "b" }),
            default,
        ),
        (with("slack", slack()), json!({ "receivers": [{ "name": "a" }] }), exactly),
        (with("email", email()), json!({ "receivers": [both] }), exactly),
        (
            with("email", whole),
            with("email", half),
            "spec.receivers[0].email.authUsername: authUsername and authPasswordSecret go together",
        ),
        (
            mail_to("to", "A <a@example.com>, b@example.com"),
            mail_to("to", "nobody"),
            "spec.receivers[0].email.to: to is an address: name@example.com",
        ),
        (
            mail_to("from", "Fleetscope <a@b.c>"),
            mail_to("from", "nobody"),
            "spec.receivers[0].email.from: from is an address: name@example.com",
        ),
        (header("Reply-To"), header("reply-to"), headers),
        (header("X-Priority"), header("X_Priority"), headers),
        (with("webhook", json!({ "url": "http://h:1/p?q=%20" })), with("webhook", json!({})), webhook),
        (
            with("webhook", json!({ "urlSecret": secret("w") })),
            with("webhook", json!({ "url": "http://h/", "urlSecret": secret("w") })),
            webhook,
        ),
        (http(json!({ "bearerTokenSecret": secret("t") })), http(json!({})), auth),
        (
            http(json!({ "basicAuth": basic })),
            http(json!({ "basicAuth": basic, "bearerTokenSecret": secret("t") })),
            auth,
        ),
        (with_route(json!({ "groupBy": ["task"] })), with_route(json!({ "groupBy": [] })), group_by),
        (with_route(json!({ "groupBy": ["task", "fleet"] })), with_route(json!({ "groupBy": ["a", "a"] })), group_by),
        (
            with_route(json!({ "groupWait": "0s" })),
            with_route(json!({ "groupWait": "61m" })),
            "spec.routes[0].groupWait: groupWait is at most 1h",
        ),
        (with_route(json!({ "groupInterval": "1s" })), with_route(json!({ "groupInterval": "0s" })), interval),
        (
            with_route(json!({ "groupInterval": "24h", "repeatInterval": "24h" })),
            with_route(json!({ "groupInterval": "25h", "repeatInterval": "25h" })),
            interval,
        ),
        (
            with_route(json!({ "repeatInterval": "1m", "groupInterval": "1m" })),
            with_route(json!({ "repeatInterval": "59s", "groupInterval": "1s" })),
            repeat,
        ),
        (with_route(json!({ "repeatInterval": "120h" })), with_route(json!({ "repeatInterval": "121h" })), repeat),
        (with_route(json!({ "repeatInterval": "5m" })), with_route(json!({ "repeatInterval": "4m" })), order),
    ]
}
