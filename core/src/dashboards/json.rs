//! Grafana's model of a dashboard, the part of it that is in use: field names and shapes are Grafana's, schema version 41.

use serde::Serialize;
use serde_json::Value;

/// Version of the model: that of Grafana 12. An older Grafana ignores what it does not know; a newer one migrates.
pub(super) const SCHEMA_VERSION: u32 = 41;

/// A dashboard. It has no `id`: that is a number of one installation's database.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Model {
    pub(super) uid: String,
    pub(super) title: String,
    pub(super) description: String,
    pub(super) tags: [&'static str; 1],
    pub(super) schema_version: u32,
    pub(super) editable: bool,
    /// 1: the cross hair is shared between panels.
    pub(super) graph_tooltip: u8,
    pub(super) refresh: &'static str,
    pub(super) time: TimeRange,
    pub(super) timezone: &'static str,
    pub(super) annotations: List<Annotation>,
    pub(super) templating: List<VariableModel>,
    pub(super) links: Vec<Link>,
    pub(super) panels: Vec<PanelModel>,
}

/// What Grafana wraps some lists into.
#[derive(Debug, Serialize)]
pub(super) struct List<T> {
    pub(super) list: Vec<T>,
}

#[derive(Debug, Serialize)]
pub(super) struct TimeRange {
    pub(super) from: &'static str,
    pub(super) to: &'static str,
}

/// Reference to a data source.
#[derive(Clone, Copy, Debug, Serialize)]
pub(super) struct DataSource {
    #[serde(rename = "type")]
    pub(super) kind: &'static str,
    pub(super) uid: &'static str,
}

/// The Prometheus that the variable names.
pub(super) const PROMETHEUS: DataSource = DataSource { kind: "prometheus", uid: "${datasource}" };
/// Grafana itself.
pub(super) const GRAFANA: DataSource = DataSource { kind: "grafana", uid: "-- Grafana --" };

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Annotation {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) built_in: Option<u8>,
    pub(super) name: &'static str,
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub(super) kind: Option<&'static str>,
    pub(super) datasource: DataSource,
    pub(super) enable: bool,
    pub(super) hide: bool,
    pub(super) icon_color: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) title_format: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) text_format: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) tag_keys: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) target: Option<AnnotationTarget>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct AnnotationTarget {
    pub(super) ref_id: &'static str,
    pub(super) expr: String,
    pub(super) interval: &'static str,
}

/// A variable; which fields it has depends on its type.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct VariableModel {
    pub(super) name: &'static str,
    #[serde(rename = "type")]
    pub(super) kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) label: Option<&'static str>,
    /// 0: shown, 2: not.
    pub(super) hide: u8,
    pub(super) query: Value,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) datasource: Option<DataSource>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) definition: Option<String>,
    pub(super) regex: &'static str,
    /// 1: asked for when the dashboard is loaded, 2: also when the time range changes.
    pub(super) refresh: u8,
    /// 1: by name, rising.
    pub(super) sort: u8,
    pub(super) multi: bool,
    pub(super) include_all: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) all_value: Option<&'static str>,
    pub(super) current: Value,
    pub(super) options: Vec<Value>,
}

/// A link at the top of a dashboard.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Link {
    pub(super) title: String,
    #[serde(rename = "type")]
    pub(super) kind: &'static str,
    pub(super) icon: &'static str,
    pub(super) tags: Vec<&'static str>,
    pub(super) url: String,
    pub(super) as_dropdown: bool,
    pub(super) include_vars: bool,
    pub(super) keep_time: bool,
    pub(super) tooltip: &'static str,
}

/// A place in the grid.
#[derive(Clone, Copy, Debug, Serialize)]
pub(super) struct GridPos {
    pub(super) x: u32,
    pub(super) y: u32,
    pub(super) w: u32,
    pub(super) h: u32,
}

/// A panel, or the heading of a row, which has fewer fields.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct PanelModel {
    pub(super) id: u32,
    #[serde(rename = "type")]
    pub(super) kind: &'static str,
    pub(super) title: &'static str,
    pub(super) grid_pos: GridPos,
    #[serde(flatten)]
    pub(super) content: Content,
}

/// What is in a panel.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(super) enum Content {
    /// A heading: the panels below it follow in the list.
    Heading { collapsed: bool, panels: [Value; 0] },
    /// A panel.
    Panel(Box<PanelContent>),
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct PanelContent {
    pub(super) description: String,
    pub(super) datasource: DataSource,
    pub(super) field_config: FieldConfig,
    pub(super) options: Value,
    pub(super) targets: Vec<TargetModel>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) transformations: Vec<Value>,
}

#[derive(Debug, Serialize)]
pub(super) struct FieldConfig {
    pub(super) defaults: Defaults,
    pub(super) overrides: Vec<Override>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Defaults {
    pub(super) unit: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) decimals: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) min: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) max: Option<f64>,
    pub(super) color: Colour,
    pub(super) thresholds: Steps,
    pub(super) no_value: &'static str,
    pub(super) custom: Value,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) links: Vec<DataLink>,
}

#[derive(Debug, Serialize)]
pub(super) struct Colour {
    pub(super) mode: &'static str,
}

#[derive(Debug, Serialize)]
pub(super) struct Steps {
    pub(super) mode: &'static str,
    pub(super) steps: Vec<Step>,
}

/// From a value on, this colour; the first has none.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct Step {
    pub(super) value: Option<f64>,
    pub(super) color: &'static str,
}

/// Properties of the series or the column of a name.
#[derive(Debug, Serialize)]
pub(super) struct Override {
    pub(super) matcher: Matcher,
    pub(super) properties: Vec<Property>,
}

#[derive(Debug, Serialize)]
pub(super) struct Matcher {
    pub(super) id: &'static str,
    pub(super) options: &'static str,
}

#[derive(Debug, Serialize)]
pub(super) struct Property {
    pub(super) id: &'static str,
    pub(super) value: Value,
}

/// Where a click on a value leads to.
#[derive(Debug, Serialize)]
pub(super) struct DataLink {
    pub(super) title: String,
    pub(super) url: String,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct TargetModel {
    pub(super) ref_id: String,
    pub(super) datasource: DataSource,
    pub(super) editor_mode: &'static str,
    pub(super) expr: String,
    pub(super) legend_format: &'static str,
    pub(super) format: &'static str,
    pub(super) instant: bool,
    pub(super) range: bool,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(super) exemplar: bool,
}

// === impl Step ===

impl Step {
    /// Where all begins.
    pub(super) const fn base(color: &'static str) -> Self {
        Self { value: None, color }
    }

    /// From `value` on.
    pub(super) const fn at(value: f64, color: &'static str) -> Self {
        Self { value: Some(value), color }
    }
}
