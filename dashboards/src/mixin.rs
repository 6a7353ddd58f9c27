//! The entry for those who collect dashboards and rules with jsonnet.

use crate::panel::Board;
use crate::rules;

/// Returns a mixin that imports the generated files: they are JSON, which every jsonnet reads.
pub(crate) fn text(boards: &[Board]) -> String {
    let mut text =
        "// Written by `cargo xtask dashboards`.\n{\n  grafanaDashboards+:: {\n".to_owned();
    for board in boards {
        let file = board.file;
        text.push_str(&format!(
            "    'tokenward-{file}.json': (import 'grafana/dashboards/{file}.json'),\n"
        ));
    }
    text.push_str("  },\n");
    for (field, records) in [("prometheusRules", true), ("prometheusAlerts", false)] {
        text.push_str(&format!("  {field}+:: {{\n    groups+: "));
        let files = rules::files().into_iter().filter(|(name, _)| (*name == "slo") == records);
        let imports: Vec<String> = files
            .map(|(name, _)| format!("(import 'prometheus/dist/{name}.json').groups"))
            .collect();
        text.push_str(&imports.join("\n      + "));
        text.push_str(",\n  },\n");
    }
    text.push_str("}\n");
    text
}
