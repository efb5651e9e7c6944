//! How a scrape proves who it is, and whom it trusts. Secrets are references, in the policy's own namespace.
#![expect(unreachable_pub, reason = "kube's KubeSchema derives each struct a second time, inside a function")]

use kube::KubeSchema;
use serde::{Deserialize, Serialize};

use super::super::scalars::SecretKey;

/// Name and password.
#[derive(KubeSchema, Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct BasicAuth {
    /// The Secret's key with the name. Required.
    pub username: SecretKey,
    /// The Secret's key with the password. Required.
    pub password: SecretKey,
}

/// A token in the header `Authorization`.
#[derive(KubeSchema, Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Authorization {
    /// The scheme, for example `Bearer`. Default Bearer.
    #[serde(default = "bearer", rename = "type")]
    #[schemars(length(min = 1, max = 64), regex(pattern = r"^[A-Za-z][-A-Za-z0-9]*$"))]
    #[x_kube(validation = Rule::new("self.lowerAscii() != 'basic'").message("for Basic, set basicAuth"))]
    pub scheme: String,
    /// The Secret's key with the token. Required.
    pub credentials: SecretKey,
}

fn bearer() -> String {
    "Bearer".to_owned()
}

/// OAuth 2, client credentials (RFC 6749, section 4.4).
#[derive(KubeSchema, Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct OAuth2 {
    /// The Secret's key with the client's id. Required.
    pub client_id: SecretKey,
    /// The Secret's key with the client's secret. Required.
    pub client_secret: SecretKey,
    /// Where the token comes from. Required.
    #[schemars(length(min = 1, max = 1024), regex(pattern = r"^https?://[!-~]+$"))]
    pub token_url: String,
    /// Scopes that are asked for. Default none.
    #[serde(default)]
    #[schemars(length(max = 32), inner(length(min = 1, max = 256)))]
    pub scopes: Vec<String>,
}

/// TLS.
#[derive(KubeSchema, Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("has(self.cert) == has(self.key)").message("cert and key go together"))]
pub struct Tls {
    /// The Secret's key with the authorities' certificates. Default: the system's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca: Option<SecretKey>,
    /// The Secret's key with the client's certificate. Default none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cert: Option<SecretKey>,
    /// The Secret's key with the client's private key. Default none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<SecretKey>,
    /// The name that the target's certificate must have. Default: the target's address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub server_name: Option<String>,
    /// The target's certificate is not checked: anybody may be the target then. Default false.
    #[serde(default)]
    pub insecure_skip_verify: bool,
}
