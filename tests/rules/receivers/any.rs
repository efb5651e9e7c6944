//! Any receivers and routes that the schema accepts.
#![expect(unreachable_pub, reason = "kube's KubeSchema derives each struct a second time, inside a function")]

use fleetscope_core::api::admission::{Refused, admit};
use fleetscope_core::api::finish;
use fleetscope_core::api::receivers::Routing;
use kube::{CustomResource, CustomResourceExt as _, KubeSchema};
use proptest::collection::{btree_map, btree_set, vec};
use proptest::option::of;
use proptest::prelude::*;
use proptest::strategy::Union;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// A kind with nothing but these fields, for its schema.
#[derive(CustomResource, KubeSchema, Clone, Debug, Deserialize, PartialEq, Serialize)]
#[kube(group = "fleetscope.io", version = "v1alpha1", kind = "RoutingOnly", namespaced)]
pub struct RoutingOnlySpec {
    #[serde(flatten)]
    routing: Routing,
}

/// Reads a spec as the API server would.
pub(super) fn read(spec: &Value) -> Result<Routing, Refused> {
    let object = json!({
        "apiVersion": "fleetscope.io/v1alpha1", "kind": "RoutingOnly", "metadata": { "name": "a" }, "spec": spec,
    });
    let object = admit(&finish(RoutingOnly::crd()), &object)?;
    Ok(serde_json::from_value::<RoutingOnly>(object).expect("what the schema accepts is of the types").spec.routing)
}

const NAME: &str = "[a-z0-9]([-a-z0-9]{0,8}[a-z0-9])?";
const SUBDOMAIN: &str = "[a-z0-9]([-a-z0-9]{0,5}[a-z0-9])?([.][a-z0-9]([-a-z0-9]{0,5}[a-z0-9])?){0,2}";
const KEY: &str = "([-_a-zA-Z0-9]|[.][-_a-zA-Z0-9])[-._a-zA-Z0-9]{0,9}";
const TEXT: &str = "([^$]|[$]+[^$(]){1,20}[$]?";
const LINE: &str = "([^$\\x00-\\x1f]|[$]+[^$(\\x00-\\x1f]){1,12}[$]?";
const URL: &str =
    "https?://[A-Za-z0-9]([-A-Za-z0-9.]{0,8}[A-Za-z0-9])?(:[0-9]{1,5})?([/?]([!-#&-~]|%[0-9A-Fa-f]{2}){0,12})?";

/// Up to three policies of one Alertmanager.
pub(super) fn policies() -> impl Strategy<Value = Vec<Value>> {
    vec(policy(), 1..4)
}

fn policy() -> impl Strategy<Value = Value> {
    btree_map(NAME, (receiver(), any::<bool>()), 0..5).prop_flat_map(|receivers| {
        let names: Vec<String> = receivers.keys().cloned().collect();
        let receivers: Vec<Value> = receivers
            .into_iter()
            .map(|(name, ((kind, value), resolved))| json!({ "name": name, "sendResolved": resolved, kind: value }))
            .collect();
        let (routes, default) = if names.is_empty() {
            (Just(Vec::new()).boxed(), Just(None).boxed())
        } else {
            let name = proptest::sample::select(names);
            (vec(route(name.clone().boxed()), 0..5).boxed(), of(name).boxed())
        };
        (Just(receivers), routes, default, any::<bool>()).prop_map(|(receivers, routes, default, inhibit)| {
            given(json!({ "receivers": receivers, "routes": routes, "defaultReceiver": default, "inhibit": inhibit }))
        })
    })
}

fn route(receiver: BoxedStrategy<String>) -> impl Strategy<Value = Value> {
    let severities = btree_set(proptest::sample::select(vec!["critical", "warning", "info"]), 0..4);
    let lists = (severities, vec(NAME, 0..3), vec(SUBDOMAIN, 0..3), vec("[A-Za-z_*][A-Za-z0-9_*]{0,9}", 0..3));
    let group_by = of(btree_set("[a-zA-Z_][a-zA-Z0-9_]{0,9}", 1..4));
    let times = (0_u32..3601, 1_u32..300, 300_u32..432_000);
    (receiver, lists, group_by, times, any::<bool>()).prop_map(
        |(receiver, lists, group_by, (wait, interval, repeat), on)| {
            given(json!({
                "receiver": receiver,
                "severities": lists.0,
                "namespaces": lists.1,
                "fleets": lists.2,
                "alerts": lists.3,
                "groupBy": group_by,
                "groupWait": format!("{wait}s"),
                "groupInterval": format!("{interval}m"),
                "repeatInterval": format!("{}s", repeat.max(interval * 60)),
                "continue": on,
            }))
        },
    )
}

fn receiver() -> impl Strategy<Value = (&'static str, Value)> {
    let slack = (secret(), of(LINE), of(LINE), of(TEXT), of(TEXT)).prop_map(|(url, channel, username, title, text)| {
        json!({ "urlSecret": url, "channel": channel, "username": username, "title": title, "text": text })
    });
    let email = (
        ("[a-z]{1,8}@[a-z.]{1,8}", "[a-z]{1,8}@[a-z.]{1,8}", "[A-Za-z0-9]([-A-Za-z0-9.]{0,8}[A-Za-z0-9])?:[0-9]{1,5}"),
        of((LINE, secret())),
        any::<bool>(),
        btree_map("[A-Z][a-z0-9]{0,5}(-[A-Z][a-z0-9]{0,5}){0,2}", LINE, 0..3),
    )
        .prop_map(|((to, from, smarthost), auth, tls, headers)| {
            let (username, password) = auth.unzip();
            json!({
                "to": to, "from": from, "smarthost": smarthost, "authUsername": username, "authPasswordSecret": password,
                "requireTls": tls, "headers": headers,
            })
        });
    let http = prop_oneof![
        secret().prop_map(|token| json!({ "bearerTokenSecret": token })),
        (secret(), secret()).prop_map(
            |(user, password)| json!({ "basicAuth": { "usernameSecret": user, "passwordSecret": password } })
        ),
    ];
    let url = prop_oneof![
        URL.prop_map(|url| json!({ "url": url })),
        secret().prop_map(|secret| json!({ "urlSecret": secret })),
    ];
    let webhook = (url, of(http), 0_u32..100_001).prop_map(|(mut webhook, http, most)| {
        webhook["httpConfig"] = http.unwrap_or_default();
        webhook["maxAlerts"] = most.into();
        webhook
    });
    let severity = of(proptest::sample::select(vec!["critical", "error", "warning", "info"]));
    let pagerduty = (secret(), severity, of(URL))
        .prop_map(|(key, severity, url)| json!({ "routingKeySecret": key, "severity": severity, "url": url }));
    let priority = of(proptest::sample::select(vec!["P1", "P2", "P3", "P4", "P5"]));
    let opsgenie = (secret(), priority, of(URL))
        .prop_map(|(key, priority, url)| json!({ "apiKeySecret": key, "priority": priority, "apiUrl": url }));
    let teams = (secret(), of(TEXT), of(TEXT))
        .prop_map(|(url, title, text)| json!({ "webhookUrlSecret": url, "title": title, "text": text }));
    Union::new([
        slack.prop_map(|value| ("slack", given(value))).boxed(),
        email.prop_map(|value| ("email", given(value))).boxed(),
        webhook.prop_map(|value| ("webhook", given(value))).boxed(),
        pagerduty.prop_map(|value| ("pagerduty", given(value))).boxed(),
        opsgenie.prop_map(|value| ("opsgenie", given(value))).boxed(),
        teams.prop_map(|value| ("teams", given(value))).boxed(),
    ])
}

fn secret() -> impl Strategy<Value = Value> {
    (SUBDOMAIN, KEY).prop_map(|(name, key)| json!({ "name": name, "key": key }))
}

/// Without the fields that are not given.
fn given(mut value: Value) -> Value {
    if let Value::Object(fields) = &mut value {
        fields.retain(|_, value| !value.is_null());
    }
    value
}
