//! How each kind of panel looks, once for all dashboards.

use serde_json::{Value, json};

use super::json::Step;
use super::levels::Levels;
use super::panel::{Kind, Panel};

/// `options` of a panel.
pub(super) fn options(panel: &Panel) -> Value {
    let last = json!({ "calcs": ["lastNotNull"], "fields": "", "values": false });
    match panel.kind {
        Kind::TimeSeries | Kind::Stacked => json!({
            "legend": {
                "calcs": ["mean", "max", "lastNotNull"],
                "displayMode": "table",
                "placement": "bottom",
                "showLegend": true,
                "sortBy": "Max",
                "sortDesc": true,
            },
            "tooltip": { "mode": "multi", "sort": "desc" },
        }),
        Kind::Stat => json!({
            "colorMode": "value",
            "graphMode": "area",
            "justifyMode": "auto",
            "orientation": "auto",
            "reduceOptions": last,
            "textMode": "auto",
            "wideLayout": true,
        }),
        Kind::Gauge => json!({
            "orientation": "auto",
            "reduceOptions": last,
            "showThresholdLabels": false,
            "showThresholdMarkers": true,
            "sizing": "auto",
        }),
        Kind::BarGauge => json!({
            "displayMode": "gradient",
            "namePlacement": "auto",
            "orientation": "horizontal",
            "reduceOptions": last,
            "showUnfilled": true,
            "valueMode": "color",
        }),
        Kind::Table => json!({
            "cellHeight": "sm",
            "footer": { "show": false },
            "showHeader": true,
            "sortBy": panel.sorted_by.map(|column| json!({ "displayName": column, "desc": true })).into_iter().collect::<Vec<_>>(),
        }),
        Kind::Pie => json!({
            "displayLabels": ["value"],
            "legend": { "displayMode": "table", "placement": "bottom", "showLegend": true, "values": ["value", "percent"] },
            "pieType": "donut",
            "reduceOptions": last,
            "tooltip": { "mode": "single" },
        }),
        Kind::StateTimeline => json!({
            "alignValue": "left",
            "legend": { "displayMode": "list", "placement": "bottom", "showLegend": false },
            "mergeValues": true,
            "perPage": 20,
            "rowHeight": 0.8,
            "showValue": "never",
            "tooltip": { "mode": "single" },
        }),
        Kind::Heatmap => json!({
            "calculate": false,
            "cellGap": 1,
            "color": { "exponent": 0.5, "mode": "scheme", "scale": "exponential", "scheme": "Oranges", "steps": 64 },
            "exemplars": { "color": "rgba(255,0,255,0.7)" },
            "filterValues": { "le": 1e-9 },
            "legend": { "show": true },
            "rowsFrame": { "layout": "auto" },
            "tooltip": { "mode": "single", "yHistogram": true },
            "yAxis": { "axisPlacement": "left", "unit": panel.unit.id() },
        }),
    }
}

/// `fieldConfig.defaults.custom` of a panel.
pub(super) fn custom(panel: &Panel) -> Value {
    let stacked = panel.kind == Kind::Stacked;
    match panel.kind {
        Kind::TimeSeries | Kind::Stacked => json!({
            "drawStyle": "line",
            "fillOpacity": if stacked { 40 } else { 8 },
            "lineWidth": 1,
            "showPoints": "auto",
            "spanNulls": false,
            "stacking": { "group": "A", "mode": if stacked { "normal" } else { "none" } },
            "thresholdsStyle": { "mode": if panel.levels == Levels::Unjudged { "off" } else { "line" } },
        }),
        Kind::StateTimeline => json!({ "fillOpacity": 80, "lineWidth": 0 }),
        Kind::Table => json!({ "align": "auto", "cellOptions": { "type": "auto" }, "filterable": true }),
        Kind::Stat | Kind::Gauge | Kind::BarGauge | Kind::Pie | Kind::Heatmap => json!({}),
    }
}

/// How the series of a panel get their colours.
pub(super) const fn colour(panel: &Panel) -> &'static str {
    match panel.kind {
        Kind::TimeSeries | Kind::Stacked | Kind::Pie | Kind::Heatmap => "palette-classic",
        Kind::Stat | Kind::Gauge | Kind::BarGauge | Kind::Table | Kind::StateTimeline => "thresholds",
    }
}

/// The upper end of the scale: of gauges, which need one; half as much again as where the red begins, so that it can be seen. A line is
/// scaled to what there is.
pub(super) fn max(panel: &Panel, steps: &[Step]) -> Option<f64> {
    match panel.kind {
        Kind::Gauge => panel.unit.full().or_else(|| steps.last()?.value.map(|red| (red * 1.5).ceil())),
        Kind::BarGauge => panel.unit.full(),
        _ => None,
    }
}
