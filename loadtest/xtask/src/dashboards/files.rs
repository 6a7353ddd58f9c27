//! What others read of the dashboards' folder, held against those others: Grafana's published types,
//! Prometheus, Alertmanager, jsonnet and Docker's compose.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;
use tokenward_programs::failure::Failure;

use super::alerts::Wanted;
use crate::command;
use crate::setup::{self, Grafana, Program, Tools};
use crate::tree::Tree;

/// The programs that read the files.
pub(super) const READERS: [Program; 4] =
    [Program::Amtool, Program::DockerCompose, Program::Jsonnet, Program::Promtool];

/// Evaluates what a mixin hides from an import.
const MIXIN: &str = "local m = import 'mixin.libsonnet'; { boards: m.grafanaDashboards, \
                     groups: m.prometheusRules.groups + m.prometheusAlerts.groups }";

/// Lets everybody read what is theirs.
///
/// # Errors
/// `Missed` with the words of whoever refuses a file.
pub(super) fn read(tree: &Tree, tools: &Tools, wanted: &[Wanted]) -> Result<(), Failure> {
    let folder = tree.root().join("dashboards");
    types(tree, &folder.join("grafana/dashboards"))?;
    let run = |program: Program, arguments: &[&str], what: &str| {
        let mut command = Command::new(tools.path(program.variable()).unwrap_or(Path::new("")));
        command::told(command.args(arguments).current_dir(&folder), what)
    };
    run(Program::Promtool, &["check", "config", "prometheus/prometheus.yml"], "promtool")?;
    run(Program::Amtool, &["check-config", "alertmanager/alertmanager.yml"], "amtool")?;
    mixin(&run(Program::Jsonnet, &["--exec", MIXIN], "jsonnet")?, wanted)?;
    let composed = run(Program::DockerCompose, &["--file", "compose.yaml", "config"], "compose")?;
    mounted(&composed)
}

/// Holds the dashboards against the types that Grafana publishes.
fn types(tree: &Tree, boards: &Path) -> Result<(), Failure> {
    let folder = setup::grafana(tree, Grafana::Schema)?;
    let mut text = "import type { Board } from './schema';\n".to_owned();
    for (name, board) in self::boards(boards)? {
        text.push_str(&format!("export const {name}: Board = {board};\n"));
    }
    fs::write(folder.join("boards.ts"), text)
        .map_err(|error| Failure::io("write the dashboards as TypeScript", &error))?;
    let mut command = Command::new(folder.join("node_modules/.bin/tsc"));
    let what = "holding the dashboards against Grafana's types";
    command::run_quietly(command.args(["--project", "tsconfig.json"]).current_dir(&folder), what)
}

/// Returns the dashboards of a folder: each one's name, and its text.
pub(super) fn boards(folder: &Path) -> Result<Vec<(String, String)>, Failure> {
    let failed = |error| Failure::io("read the dashboards", &error);
    let mut boards = Vec::new();
    for file in fs::read_dir(folder).map_err(failed)?.flatten() {
        let name = file.path().file_stem().unwrap_or_default().to_string_lossy().into_owned();
        boards.push((name, fs::read_to_string(file.path()).map_err(failed)?));
    }
    boards.sort();
    Ok(boards)
}

/// A mixin must have every dashboard and every alert.
fn mixin(evaluated: &str, wanted: &[Wanted]) -> Result<(), Failure> {
    let mixin: Value =
        serde_json::from_str(evaluated).map_err(|error| Failure::Ours(error.to_string()))?;
    let boards = mixin["boards"].as_object().map_or(0, serde_json::Map::len);
    let groups = mixin["groups"].as_array().into_iter().flatten();
    let rules = groups.flat_map(|group| group["rules"].as_array().into_iter().flatten());
    let alerts = rules.filter(|rule| rule["alert"].is_string()).count();
    if boards == 6 && alerts == wanted.len() {
        return Ok(());
    }
    Err(Failure::Missed(format!(
        "the mixin has {boards} dashboards and {alerts} alerts of {}",
        wanted.len()
    )))
}

/// What is mounted from here must be here: compose would make an empty folder of its name.
fn mounted(composed: &str) -> Result<(), Failure> {
    let mut count = 0;
    for line in composed.lines().map(str::trim) {
        // The first compose writes a mount in one line, the second one in several.
        let short = line.strip_suffix(":ro").map(|line| line.trim_start_matches("- "));
        let short = short.and_then(|line| line.split(':').next());
        let Some(place) = short.or_else(|| line.strip_prefix("source: ")) else { continue };
        count += 1;
        if !Path::new(place).exists() {
            return Err(Failure::Missed(format!(
                "compose.yaml mounts {place}, which is not there"
            )));
        }
    }
    if count == 0 {
        return Err(Failure::Ours("compose mounts nothing that is read only".to_owned()));
    }
    Ok(())
}
