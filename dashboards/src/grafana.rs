//! A dashboard as Grafana's classic JSON, which versions 9 to 13 import.

use serde_json::{Value, json};

use crate::panel::{Board, Colour, Panel, Query, Shape, Unit};

/// The version of the classic schema: what Grafana 10 writes, and later ones migrate on load.
const SCHEMA: u32 = 39;

/// The columns of Grafana's grid.
const COLUMNS: u8 = 24;

/// By this tag the dashboards link to each other.
const TAG: &str = "tokenward";

/// What a label value means, wherever it is shown: success is green everywhere. What stands between
/// slashes is a pattern, for HTTP statuses.
const MEANINGS: [(Colour, &[&str]); 4] = [
    (
        Colour::Green,
        &[
            "success",
            "ok",
            "completed",
            "hit",
            "fresh",
            "rotated",
            "closed",
            "upstream",
            "created",
            "prevented",
            r"/^2\d\d$/",
        ],
    ),
    (
        Colour::Blue,
        &[
            "coalesced",
            "refreshed",
            "refreshing",
            "unchanged",
            "restored",
            "half_open",
            "gateway",
            r"/^[13]\d\d$/",
        ],
    ),
    (
        Colour::Yellow,
        &[
            "mfa_required",
            "mfa_pending",
            "stale",
            "rate_limited",
            "expired",
            "abandoned",
            "backoff",
            "conflict",
            "client_error",
            "canceled",
            r"/^4\d\d$/",
        ],
    ),
    (
        Colour::Red,
        &[
            "error",
            "failed",
            "invalid_code",
            "provider_error",
            "network",
            "timeout",
            "malformed",
            "store_error",
            "reuse_detected",
            "detected",
            "persist_failed",
            "gateway_error",
            "revoked",
            "open",
            "bus_error",
            "server_error",
            r"/^5\d\d$/",
        ],
    ),
];

impl Board {
    /// Returns the file's text.
    pub fn json(&self) -> String {
        let board = json!({
            "annotations": { "list": annotations() },
            "description": self.question,
            "editable": false,
            "fiscalYearStartMonth": 0,
            "graphTooltip": 1,
            "links": [{
                "asDropdown": true, "icon": "external link", "includeVars": true, "keepTime": true,
                "tags": [TAG], "title": "Tokenward", "type": "dashboards",
            }],
            "panels": self.placed(),
            "refresh": "30s",
            "schemaVersion": SCHEMA,
            "tags": [TAG],
            "templating": { "list": self.variables() },
            "time": { "from": "now-3h", "to": "now" },
            "timezone": "browser",
            "title": self.title,
            "uid": format!("tokenward-{}", self.file),
            "version": 1,
        });
        format!("{board:#}\n")
    }

    /// The rows and panels with their places; ids count from 1.
    fn placed(&self) -> Vec<Value> {
        let mut placed = Vec::new();
        let (mut top, mut id) = (0, 0);
        let mut next = || {
            id += 1;
            id
        };
        for row in &self.rows {
            placed.push(json!({
                "collapsed": false, "id": next(), "panels": [], "title": row.title, "type": "row",
                "gridPos": { "h": 1, "w": COLUMNS, "x": 0, "y": top },
            }));
            top += 1;
            let (mut left, mut tallest) = (0, 0);
            for panel in &row.panels {
                let height = panel.height();
                if left + panel.width > COLUMNS {
                    (left, top, tallest) = (0, top + tallest, 0);
                }
                let place = json!({ "h": height, "w": panel.width, "x": left, "y": top });
                placed.push(panel.json(next(), &place));
                (left, tallest) = (left + panel.width, tallest.max(height));
            }
            top += tallest;
        }
        placed
    }

    fn variables(&self) -> Vec<Value> {
        let mut list = vec![json!({
            "current": {}, "hide": 0, "includeAll": false, "label": "Data source", "multi": false,
            "name": "datasource", "options": [], "query": "prometheus", "refresh": 1, "regex": "",
            "type": "datasource",
        })];
        let home = if self.file == "devices" {
            "tokenward_device_content_timestamp_seconds"
        } else {
            "tokenward_build_info"
        };
        let within = r#"{job=~"$job", instance=~"$instance"}"#;
        list.push(variable("job", "Job", &format!("label_values({home}, job)")));
        let instance = format!(r#"label_values({home}{{job=~"$job"}}, instance)"#);
        list.push(variable("instance", "Instance", &instance));
        for (name, label, metric) in [
            ("audience", "Audience", "tokenward_token_requests_total"),
            ("route", "Route", "tokenward_http_requests_in_flight"),
        ] {
            let used = format!("${name}\"");
            let uses = |query: &Query| query.promql().contains(&used);
            if self.panels().any(|panel| panel.queries.iter().any(uses)) {
                list.push(variable(
                    name,
                    label,
                    &format!("label_values({metric}{within}, {name})"),
                ));
            }
        }
        list
    }
}

impl Panel {
    fn height(&self) -> u8 {
        match self.shape {
            Shape::Tile => 4,
            Shape::Bars
            | Shape::Lines
            | Shape::LogLines
            | Shape::Stack
            | Shape::Table
            | Shape::Text(_) => 8,
        }
    }

    fn json(&self, id: u32, place: &Value) -> Value {
        let mut panel = json!({
            "description": self.description, "gridPos": place, "id": id, "title": self.title,
            "type": self.kind(), "options": self.options(),
        });
        if !matches!(self.shape, Shape::Text(_)) {
            panel["datasource"] = json!({ "type": "prometheus", "uid": "${datasource}" });
            panel["fieldConfig"] = self.fields();
            panel["targets"] = self
                .queries
                .iter()
                .zip('A'..='Z')
                .map(|(query, letter)| self.target(query, letter))
                .collect();
        }
        if self.shape == Shape::Table {
            panel["transformations"] =
                json!([{ "id": "organize", "options": { "excludeByName": { "Time": true } } }]);
        }
        panel
    }

    fn kind(&self) -> &'static str {
        match self.shape {
            Shape::Tile => "stat",
            Shape::Lines | Shape::LogLines | Shape::Stack => "timeseries",
            Shape::Bars => "bargauge",
            Shape::Table => "table",
            Shape::Text(_) => "text",
        }
    }

    fn target(&self, query: &Query, letter: char) -> Value {
        let instant = matches!(self.shape, Shape::Bars | Shape::Table | Shape::Tile);
        json!({
            "datasource": { "type": "prometheus", "uid": "${datasource}" },
            "editorMode": "code",
            "exemplar": !instant,
            "expr": query.promql(),
            "format": if self.shape == Shape::Table { "table" } else { "time_series" },
            "instant": instant,
            "legendFormat": query.legend,
            "range": !instant,
            "refId": letter.to_string(),
        })
    }

    fn options(&self) -> Value {
        let last = json!({ "calcs": ["lastNotNull"], "fields": "", "values": false });
        match self.shape {
            Shape::Tile => json!({
                "colorMode": "background", "graphMode": "none", "justifyMode": "center",
                "orientation": "auto", "reduceOptions": last, "textMode": "value",
            }),
            Shape::Lines | Shape::LogLines | Shape::Stack => json!({
                "legend": {
                    "calcs": ["lastNotNull", "max"], "displayMode": "table", "placement": "bottom",
                    "showLegend": true,
                },
                "tooltip": { "mode": "multi", "sort": "desc" },
            }),
            Shape::Bars => json!({
                "displayMode": "gradient", "minVizHeight": 16, "minVizWidth": 0,
                "orientation": "horizontal", "reduceOptions": last, "showUnfilled": true,
            }),
            Shape::Table => json!({ "cellHeight": "sm", "showHeader": true }),
            Shape::Text(content) => json!({ "content": content, "mode": "markdown" }),
        }
    }

    fn fields(&self) -> Value {
        let mut steps = vec![json!({ "color": self.base.code(), "value": null })];
        steps.extend(
            self.steps.iter().map(|(at, colour)| json!({ "color": colour.code(), "value": at })),
        );
        let overrides: Vec<Value> = match self.shape {
            Shape::Lines | Shape::LogLines | Shape::Stack => meanings(),
            Shape::Bars | Shape::Table | Shape::Text(_) | Shape::Tile => Vec::new(),
        };
        let mut defaults = json!({
            "mappings": self.words.iter().map(mapping).collect::<Vec<_>>(),
            "thresholds": { "mode": "absolute", "steps": steps },
            "unit": self.unit.code(),
        });
        if self.unit == Unit::Ratio {
            (defaults["min"], defaults["max"]) = (json!(0), json!(1));
        }
        if matches!(self.shape, Shape::Lines | Shape::LogLines | Shape::Stack) {
            defaults["color"] = json!({ "mode": "palette-classic" });
            defaults["custom"] = self.drawn();
        }
        json!({ "defaults": defaults, "overrides": overrides })
    }

    fn drawn(&self) -> Value {
        let stacked = self.shape == Shape::Stack;
        let scale = match self.shape {
            Shape::LogLines => json!({ "log": 10, "type": "log" }),
            Shape::Bars
            | Shape::Lines
            | Shape::Stack
            | Shape::Table
            | Shape::Text(_)
            | Shape::Tile => json!({ "type": "linear" }),
        };
        json!({
            "drawStyle": "line",
            "fillOpacity": if stacked { 60 } else { 8 },
            "lineInterpolation": "linear",
            "lineWidth": if stacked { 0 } else { 2 },
            "scaleDistribution": scale,
            "showPoints": "never",
            "spanNulls": false,
            "stacking": { "group": "A", "mode": if stacked { "normal" } else { "none" } },
            "thresholdsStyle": { "mode": if self.steps.is_empty() { "off" } else { "dashed" } },
        })
    }
}

impl Unit {
    /// Returns Grafana's name of the unit.
    pub fn code(self) -> &'static str {
        match self {
            Self::Count => "short",
            Self::Ratio => "percentunit",
            Self::PerSecond => "cps",
            Self::RequestsPerSecond => "reqps",
            Self::Seconds => "s",
            Self::Bytes => "bytes",
            Self::BytesPerSecond => "Bps",
            Self::Plain => "none",
        }
    }
}

impl Colour {
    /// Returns Grafana's name of the colour.
    pub fn code(self) -> &'static str {
        match self {
            Self::Green => "green",
            Self::Yellow => "yellow",
            Self::Orange => "orange",
            Self::Red => "red",
            Self::Blue => "blue",
        }
    }
}

/// Deployments and alerts, drawn over every graph.
fn annotations() -> Vec<Value> {
    let source = json!({ "type": "prometheus", "uid": "${datasource}" });
    let mark = |name: &str, colour: &str, expr: &str, text: &str| {
        json!({
            "datasource": source, "enable": true, "expr": expr, "hide": false, "iconColor": colour,
            "name": name, "step": "30s", "textFormat": text, "titleFormat": name,
        })
    };
    vec![
        mark(
            "Another build",
            "blue",
            r#"count by (version, commit) (tokenward_build_info{job=~"$job"} unless tokenward_build_info{job=~"$job"} offset 1m)"#,
            "{{version}} {{commit}}",
        ),
        mark(
            "Alerts",
            "red",
            r#"count by (alertname) (ALERTS{alertstate="firing", component="tokenward"})"#,
            "{{alertname}}",
        ),
    ]
}

fn variable(name: &str, label: &str, query: &str) -> Value {
    json!({
        "allValue": ".+", "current": { "selected": true, "text": ["All"], "value": ["$__all"] },
        "datasource": { "type": "prometheus", "uid": "${datasource}" },
        "hide": 0, "includeAll": true, "label": label, "multi": true, "name": name, "options": [],
        "query": { "query": query, "refId": "variable" }, "refresh": 2, "regex": "", "sort": 1,
        "type": "query",
    })
}

fn mapping((value, word): &(&str, &str)) -> Value {
    match *value {
        "nan" => json!({
            "options": { "match": "nan", "result": { "color": "text", "text": word } },
            "type": "special",
        }),
        value => json!({ "options": { value: { "text": word } }, "type": "value" }),
    }
}

fn meanings() -> Vec<Value> {
    let colour = |name: &str, colour: Colour| {
        let by = if name.starts_with('/') { "byRegexp" } else { "byName" };
        json!({
            "matcher": { "id": by, "options": name },
            "properties": [{
                "id": "color", "value": { "fixedColor": colour.code(), "mode": "fixed" },
            }],
        })
    };
    let each = MEANINGS
        .iter()
        .flat_map(|(meant, names)| names.iter().map(move |name| colour(name, *meant)));
    each.collect()
}
