//! How a scrape proves who it is, and whom it trusts: references to Secrets where prometheus-operator reads them, paths of files where
//! Prometheus itself does.

use serde_json::{Map, Value, json};

use crate::api::ScrapePolicySpec;
use crate::api::scalars::SecretKey;

/// Folder with a folder for each Secret: where prometheus-operator mounts those of `spec.secrets` of a Prometheus.
pub const SECRETS: &str = "/etc/prometheus/secrets";

/// A Secret's key that a policy names.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Reference<'a> {
    /// The field, for example `spec.basicAuth.password`.
    pub path: &'static str,
    /// The Secret, in the policy's namespace, and its key.
    pub secret: &'a SecretKey,
}

/// The Secrets' keys that a policy names, so that whoever can see Secrets can tell which are missing.
pub fn secrets(spec: &ScrapePolicySpec) -> Vec<Reference<'_>> {
    let basic = spec
        .basic_auth
        .iter()
        .flat_map(|basic| [("spec.basicAuth.username", &basic.username), ("spec.basicAuth.password", &basic.password)]);
    let token = spec.authorization.iter().map(|token| ("spec.authorization.credentials", &token.credentials));
    let oauth2 = spec.oauth2.iter().flat_map(|oauth2| {
        [("spec.oauth2.clientId", &oauth2.client_id), ("spec.oauth2.clientSecret", &oauth2.client_secret)]
    });
    let tls = spec.tls.iter().flat_map(|tls| {
        let keys = [("spec.tls.ca", &tls.ca), ("spec.tls.cert", &tls.cert), ("spec.tls.key", &tls.key)];
        keys.into_iter().filter_map(|(path, secret)| Some((path, secret.as_ref()?)))
    });
    basic.chain(token).chain(oauth2).chain(tls).map(|(path, secret)| Reference { path, secret }).collect()
}

/// Fields of an endpoint, or of a ScrapeConfig.
pub(super) fn references(spec: &ScrapePolicySpec) -> Map<String, Value> {
    let mut fields = Map::new();
    let key = |secret: &SecretKey| json!({ "name": secret.name, "key": secret.key });
    let secret = |secret: &SecretKey| json!({ "secret": key(secret) });
    if let Some(basic) = &spec.basic_auth {
        let value = json!({ "username": key(&basic.username), "password": key(&basic.password) });
        fields.insert("basicAuth".to_owned(), value);
    }
    if let Some(token) = &spec.authorization {
        let value = json!({ "type": token.scheme, "credentials": key(&token.credentials) });
        fields.insert("authorization".to_owned(), value);
    }
    if let Some(oauth2) = &spec.oauth2 {
        let mut value = json!({
            "clientId": secret(&oauth2.client_id),
            "clientSecret": key(&oauth2.client_secret),
            "tokenUrl": oauth2.token_url,
        });
        if !oauth2.scopes.is_empty() {
            value["scopes"] = json!(oauth2.scopes);
        }
        fields.insert("oauth2".to_owned(), value);
    }
    if let Some(tls) = &spec.tls {
        let mut value = Map::new();
        value.extend(tls.ca.iter().map(|ca| ("ca".to_owned(), secret(ca))));
        value.extend(tls.cert.iter().map(|cert| ("cert".to_owned(), secret(cert))));
        value.extend(tls.key.iter().map(|own| ("keySecret".to_owned(), key(own))));
        value.extend(tls.server_name.iter().map(|name| ("serverName".to_owned(), json!(name))));
        if tls.insecure_skip_verify {
            value.insert("insecureSkipVerify".to_owned(), json!(true));
        }
        fields.insert("tlsConfig".to_owned(), value.into());
    }
    fields
}

/// Fields of a job of prometheus.yml. OAuth 2 has none: its client id is no file (see [`super::check`]).
pub(super) fn files(spec: &ScrapePolicySpec) -> Map<String, Value> {
    let mut fields = Map::new();
    if let Some(basic) = &spec.basic_auth {
        let value = json!({ "username_file": file(&basic.username), "password_file": file(&basic.password) });
        fields.insert("basic_auth".to_owned(), value);
    }
    if let Some(token) = &spec.authorization {
        let value = json!({ "type": token.scheme, "credentials_file": file(&token.credentials) });
        fields.insert("authorization".to_owned(), value);
    }
    if let Some(tls) = &spec.tls {
        let mut value = Map::new();
        for (name, secret) in [("ca_file", &tls.ca), ("cert_file", &tls.cert), ("key_file", &tls.key)] {
            value.extend(secret.iter().map(|secret| (name.to_owned(), json!(file(secret)))));
        }
        value.extend(tls.server_name.iter().map(|name| ("server_name".to_owned(), json!(name))));
        if tls.insecure_skip_verify {
            value.insert("insecure_skip_verify".to_owned(), json!(true));
        }
        fields.insert("tls_config".to_owned(), value.into());
    }
    fields
}

/// Where Prometheus finds a Secret's key.
fn file(secret: &SecretKey) -> String {
    format!("{SECRETS}/{}/{}", secret.name, secret.key)
}
