//! From a board to Grafana's model.

use serde_json::{Value, json};

use super::Thresholds;
use super::json::{
    Colour, Content, Defaults, FieldConfig, List, Matcher, Model, Override, PROMETHEUS, PanelContent, PanelModel,
    Property, SCHEMA_VERSION, Steps, TargetModel, TimeRange,
};
use super::layout::Flow;
use super::levels::{Levels, NAMED};
use super::panel::{Board, Kind, Panel, Row, Unit};
use super::query::{Column, Target};
use super::variables::Scope;
use super::{annotations, boards, links, options};
use crate::metrics::Source;
use crate::resources::names;

/// A dashboard as JSON.
pub(super) fn model(board: &Board, scope: &Scope, thresholds: Thresholds<'_>) -> Value {
    let (uid, title) = match scope {
        Scope::Variables => (board.uid.to_owned(), format!("Fleetscope / {}", board.title)),
        Scope::Fleet { namespace, name } => {
            let fleet = format!("{namespace}/{name}");
            (format!("fleetscope-fleet-{}", names::digest(&fleet)), format!("Fleetscope / {fleet}"))
        }
    };
    let mut flow = Flow::default();
    let mut panels = Vec::new();
    for (row, number) in board.rows.iter().zip(ROW_IDS..) {
        panels.push(heading(row, number, &mut flow));
        panels.extend(row.panels.iter().map(|panel| panel_model(panel, &mut flow, scope, thresholds)));
    }
    let others: Vec<_> = boards().iter().map(|board| (board.uid, board.title)).collect();
    let model = Model {
        uid,
        title,
        description: board.description.to_owned(),
        tags: [links::TAG],
        schema_version: SCHEMA_VERSION,
        editable: true,
        graph_tooltip: 1,
        refresh: "30s",
        time: TimeRange { from: "now-1h", to: "now" },
        timezone: "browser",
        annotations: annotations::model(scope),
        templating: List { list: board.variables.iter().filter_map(|variable| variable.model(scope)).collect() },
        links: links::top(scope, &others),
        panels,
    };
    serde_json::to_value(model).expect("plain data is written as JSON")
}

/// Numbers of headings begin where those of panels end.
const ROW_IDS: u32 = 65_530;

fn heading(row: &Row, id: u32, flow: &mut Flow) -> PanelModel {
    let content = Content::Heading { collapsed: false, panels: [] };
    PanelModel { id, kind: "row", title: row.title, grid_pos: flow.heading(), content }
}

fn panel_model(panel: &Panel, flow: &mut Flow, scope: &Scope, thresholds: Thresholds<'_>) -> PanelModel {
    let [what, good, bad] = panel.words;
    let content = PanelContent {
        description: format!("{what}\n\nGood: {good}\n\nBad: {bad}"),
        datasource: PROMETHEUS,
        field_config: FieldConfig { defaults: defaults(panel, thresholds), overrides: overrides(panel, thresholds) },
        options: options::options(panel),
        targets: panel
            .targets
            .iter()
            .zip('A'..)
            .map(|(target, letter)| target_model(panel, target, letter, scope))
            .collect(),
        transformations: transformations(panel),
    };
    PanelModel {
        id: panel.id(),
        kind: panel.kind.id(),
        title: panel.title,
        grid_pos: flow.panel(panel.size),
        content: Content::Panel(Box::new(content)),
    }
}

fn defaults(panel: &Panel, thresholds: Thresholds<'_>) -> Defaults {
    let source = panel.targets.first().map_or(Source::Fleetscope, |target| target.source);
    let steps = panel.levels.steps(thresholds);
    Defaults {
        unit: panel.unit.id(),
        decimals: panel.unit.decimals(),
        min: Some(0.0),
        max: options::max(panel, &steps),
        color: Colour { mode: options::colour(panel) },
        thresholds: Steps { mode: "absolute", steps },
        no_value: match source {
            Source::Telemetry => "No telemetry of agents",
            Source::Scrape => "No metrics of the agents' own",
            Source::Kernel | Source::Fleetscope => "None",
        },
        custom: options::custom(panel),
        links: panel.drill.map(links::drill).into_iter().collect(),
    }
}

fn target_model(panel: &Panel, target: &Target, letter: char, scope: &Scope) -> TargetModel {
    TargetModel {
        ref_id: letter.to_string(),
        datasource: PROMETHEUS,
        editor_mode: "code",
        expr: target.expr(scope),
        legend_format: target.legend,
        format: match panel.kind {
            Kind::Table => "table",
            Kind::Heatmap => "heatmap",
            _ => "time_series",
        },
        instant: panel.kind.is_instant(),
        range: !panel.kind.is_instant(),
        exemplar: target.exemplar,
    }
}

/// The queries of a table become its columns: rows with the same labels are joined, columns get their names.
fn transformations(panel: &Panel) -> Vec<Value> {
    if panel.kind != Kind::Table {
        return Vec::new();
    }
    let mut names = serde_json::Map::new();
    for (target, letter) in panel.targets.iter().zip('A'..) {
        let Some(column) = target.column else { continue };
        // With one query alone Grafana calls its value just so.
        let value = if panel.targets.len() == 1 { "Value".to_owned() } else { format!("Value #{letter}") };
        names.insert(value, column.name.into());
    }
    vec![
        json!({ "id": "merge", "options": {} }),
        json!({ "id": "organize", "options": { "excludeByName": { "Time": true }, "indexByName": {}, "renameByName": names } }),
    ]
}

/// Colours of series that have a meaning, and units and judgements of columns.
fn overrides(panel: &Panel, thresholds: Thresholds<'_>) -> Vec<Override> {
    if panel.kind == Kind::Table {
        let columns = panel.targets.iter().filter_map(|target| target.column);
        return columns.map(|column| column_override(column, thresholds)).collect();
    }
    let meaning = panel.targets.iter().any(|target| {
        ["{{status}}", "{{result}}"].contains(&target.legend) || NAMED.iter().any(|(name, _)| *name == target.legend)
    });
    if !meaning || options::colour(panel) != "palette-classic" {
        return Vec::new();
    }
    let fixed = |(name, colour): &(&'static str, &'static str)| Override {
        matcher: Matcher { id: "byName", options: name },
        properties: vec![Property { id: "color", value: json!({ "mode": "fixed", "fixedColor": colour }) }],
    };
    NAMED.iter().map(fixed).collect()
}

fn column_override(column: Column, thresholds: Thresholds<'_>) -> Override {
    let mut properties = vec![Property { id: "unit", value: column.unit.id().into() }];
    if let Some(decimals) = column.unit.decimals() {
        properties.push(Property { id: "decimals", value: decimals.into() });
    }
    if column.levels != Levels::Unjudged {
        let steps = json!({ "mode": "absolute", "steps": column.levels.steps(thresholds) });
        let cell = if column.words { "color-background" } else { "color-text" };
        properties.push(Property { id: "thresholds", value: steps });
        properties.push(Property { id: "custom.cellOptions", value: json!({ "type": cell }) });
    }
    if column.words {
        let words = column.levels.words(thresholds);
        let mappings: Vec<Value> = words
            .into_iter()
            .map(|word| {
                let result = json!({ "text": word.text, "color": word.colour });
                json!({ "type": "range", "options": { "from": word.from, "to": word.to, "result": result } })
            })
            .collect();
        properties.push(Property { id: "mappings", value: mappings.into() });
    }
    if column.unit == Unit::Ratio {
        properties.push(Property { id: "max", value: 1.into() });
    }
    Override { matcher: Matcher { id: "byName", options: column.name }, properties }
}
