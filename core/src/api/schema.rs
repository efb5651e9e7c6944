//! What derived schemas lack: bounds on the types of Kubernetes, and no explicit null.
//!
//! The API server estimates the cost of each CEL rule from the bounds of what it touches and refuses a CRD without
//! them; and an explicit `null` would reach CEL as a present value, so no field accepts it.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceDefinition, JSONSchemaProps, JSONSchemaPropsOrArray, JSONSchemaPropsOrBool,
};
use schemars::{Schema, SchemaGenerator, json_schema};

/// The longest message of a condition, in bytes (apimachinery, meta/v1 `Condition`).
pub const MESSAGE_MAX: usize = 32_768;

/// A label value of Kubernetes, or nothing.
const LABEL_VALUE: &str = "^(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?$";
/// A label key of Kubernetes: an optional DNS prefix and `/`, then the name.
const LABEL_KEY: &str = "^([a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$";

/// Selector of pods.
pub(super) fn selector(_: &mut SchemaGenerator) -> Schema {
    selector_of("pod")
}

/// Selector of fleets, by the labels of their `AgentFleet` objects.
pub(super) fn fleets(_: &mut SchemaGenerator) -> Schema {
    selector_of("fleet")
}

/// Selector of namespaces.
pub(super) fn namespaces(_: &mut SchemaGenerator) -> Schema {
    selector_of("namespace")
}

/// Selector of Services.
pub(super) fn services(_: &mut SchemaGenerator) -> Schema {
    selector_of("Service")
}

/// `LabelSelector` with bounds, and with the rules that apimachinery checks where it converts one.
fn selector_of(what: &str) -> Schema {
    json_schema!({
        "type": "object",
        "x-kubernetes-map-type": "atomic",
        "properties": {
            "matchLabels": {
                "description": format!("Labels that a {what} must have, with these values. Default none."),
                "type": "object",
                "maxProperties": 32,
                "additionalProperties": { "type": "string", "maxLength": 63, "pattern": LABEL_VALUE },
            },
            "matchExpressions": {
                "description": format!("Conditions that the labels of a {what} must meet, all of them. Default none."),
                "type": "array",
                "maxItems": 32,
                "x-kubernetes-list-type": "atomic",
                "items": {
                    "type": "object",
                    "required": ["key", "operator"],
                    "properties": {
                        "key": {
                            "description": "The label's key. Required.",
                            "type": "string", "minLength": 1, "maxLength": 317, "pattern": LABEL_KEY,
                        },
                        "operator": {
                            "description": "How the label compares with `values`. Required.",
                            "type": "string", "enum": ["In", "NotIn", "Exists", "DoesNotExist"],
                        },
                        "values": {
                            "description": "The values for In and NotIn; none for Exists and DoesNotExist. Default none.",
                            "type": "array",
                            "maxItems": 64,
                            "x-kubernetes-list-type": "atomic",
                            "items": { "type": "string", "maxLength": 63, "pattern": LABEL_VALUE },
                        },
                    },
                    "x-kubernetes-validations": [{
                        "rule": "(self.operator in ['In', 'NotIn']) == (has(self.values) && self.values.size() > 0)",
                        "message": "In and NotIn take values, Exists and DoesNotExist take none",
                        "fieldPath": ".values",
                    }],
                },
            },
        },
    })
}

/// The list of conditions, keyed by type, with apimachinery's bounds.
pub(super) fn conditions(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "array",
        "maxItems": 16,
        "x-kubernetes-list-type": "map",
        "x-kubernetes-list-map-keys": ["type"],
        "items": {
            "type": "object",
            "required": ["type", "status", "reason", "message", "lastTransitionTime"],
            "properties": {
                "type": {
                    "description": "Ready, Accepted, Programmed, Selected, NodesReady or Degraded.",
                    "type": "string", "maxLength": 316,
                },
                "status": { "description": "True, False or Unknown.", "type": "string", "enum": ["True", "False", "Unknown"] },
                "observedGeneration": {
                    "description": "The metadata.generation that this condition is about.",
                    "type": "integer", "format": "int64", "minimum": 0,
                },
                "lastTransitionTime": { "description": "When status last changed.", "type": "string", "format": "date-time" },
                "reason": {
                    "description": "Why, as one word of a fixed set.",
                    "type": "string", "minLength": 1, "maxLength": 1024,
                    "pattern": "^[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?$",
                },
                "message": { "description": "Why, as a sentence.", "type": "string", "maxLength": MESSAGE_MAX },
            },
        },
    })
}

/// The CRD as it is installed: derived, then without `nullable` and the title that schemars gives the root.
pub fn finish(mut crd: CustomResourceDefinition) -> CustomResourceDefinition {
    for version in &mut crd.spec.versions {
        if let Some(schema) = version.schema.as_mut().and_then(|v| v.open_api_v3_schema.as_mut()) {
            forbid_null(schema);
            schema.title = None;
        }
    }
    crd
}

fn forbid_null(schema: &mut JSONSchemaProps) {
    schema.nullable = None;
    for property in schema.properties.iter_mut().flat_map(|all| all.values_mut()) {
        forbid_null(property);
    }
    match &mut schema.items {
        Some(JSONSchemaPropsOrArray::Schema(items)) => forbid_null(items),
        Some(JSONSchemaPropsOrArray::Schemas(all)) => all.iter_mut().for_each(forbid_null),
        None => {}
    }
    if let Some(JSONSchemaPropsOrBool::Schema(values)) = &mut schema.additional_properties {
        forbid_null(values);
    }
}
