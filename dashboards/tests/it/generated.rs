//! What is committed is what the values say.

use std::collections::BTreeSet;
use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use tokenward_dashboards::{boards, files, home, rules};

#[test]
fn the_committed_files_are_the_generated_ones() {
    let mut expected = BTreeSet::new();
    for file in files() {
        let path = home().join(&file.path);
        let committed = fs::read_to_string(&path).unwrap_or_default();
        let differs = committed != file.text;
        assert!(!differs, "{} is out of date: run `cargo xtask dashboards`", path.display());
        expected.insert(path);
    }
    for folder in ["grafana/dashboards", "prometheus/dist", "prometheus/rules", "prometheus/tests"]
    {
        for entry in fs::read_dir(home().join(folder)).expect("a folder").flatten() {
            assert!(expected.contains(&entry.path()), "{} is nobody's", entry.path().display());
        }
    }
}

#[test]
fn panels_have_ids_of_their_own_and_do_not_overlap() {
    for board in boards::all() {
        let json: Value = serde_json::from_str(&board.json()).expect("JSON");
        let panels = json["panels"].as_array().expect("panels");
        let ids: BTreeSet<_> = panels.iter().map(|panel| panel["id"].as_u64()).collect();
        assert_eq!(ids.len(), panels.len(), "{}", board.file);
        let mut taken = BTreeSet::new();
        for panel in panels {
            let at = |key: &str| panel["gridPos"][key].as_u64().expect("a number");
            assert!(at("x") + at("w") <= 24, "{}: {}", board.file, panel["title"]);
            for (x, y) in (at("x")..at("x") + at("w"))
                .flat_map(|x| (at("y")..at("y") + at("h")).map(move |y| (x, y)))
            {
                assert!(taken.insert((x, y)), "{}: {} lies on another", board.file, panel["title"]);
            }
        }
    }
}

#[test]
fn each_runbook_belongs_to_an_alert_and_the_index_lists_it() {
    let alerts: BTreeSet<String> =
        rules::alerts().map(|alert| format!("{}.md", alert.name)).collect();
    for entry in fs::read_dir(home().join("runbooks")).expect("a folder").flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        assert!(name == "README.md" || alerts.contains(&name), "{name} is for no alert");
    }
    for alert in &alerts {
        assert!(rules::index().contains(&format!("]({alert})")), "{alert}");
    }
}

/// Each alert fires on its fault and on nothing that only looks like it, says Prometheus.
#[test]
fn promtool_agrees_with_rules_and_alerts() {
    let promtool = promtool().expect("promtool is installed by cargo xtask test: run that");
    let run = |arguments: &[&str], folder: &Path| {
        let said = Command::new(&promtool).args(arguments).current_dir(folder).output();
        let said = said.expect("promtool starts");
        let words = String::from_utf8_lossy(&said.stdout) + String::from_utf8_lossy(&said.stderr);
        (said.status.success(), words.into_owned())
    };
    for name in rules::files().into_iter().map(|(name, _)| name) {
        let (good, words) =
            run(&["check", "rules", &format!("{name}.yaml")], &home().join("prometheus/rules"));
        assert!(good, "{words}");
    }
    for name in ["mfa", "operation", "refresh"] {
        let file = format!("{name}.yaml");
        let (good, words) = run(&["test", "rules", &file], &home().join("prometheus/tests"));
        assert!(good, "{words}");
    }
}

fn promtool() -> Option<PathBuf> {
    let named = env::var_os("PROMTOOL").map(PathBuf::from);
    let path = env::var_os("PATH").unwrap_or_default();
    let found = env::split_paths(&path).map(|folder| folder.join("promtool"));
    named.into_iter().chain(found).find(|path| path.is_file())
}
