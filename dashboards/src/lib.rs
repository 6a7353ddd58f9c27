//! Grafana dashboards and Prometheus rules for Tokenward, written as values.
//!
//! [`files`] lists everything that is generated from them: dashboards, recording and alert rules,
//! the rules' unit tests, the index of the runbooks, and the mixin. The files are committed, and a
//! test fails where they differ. [`lint`] holds each name in them against the catalogue of
//! [`tokenward::metrics`].

use std::path::{Path, PathBuf};

pub mod boards;
pub mod lint;
pub mod panel;
pub mod rules;

mod grafana;
mod mixin;

use self::rules::Pace;

/// One generated file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct File {
    /// Its path in this package's folder.
    pub path: PathBuf,
    /// What is in it.
    pub text: String,
}

impl File {
    fn new(path: impl AsRef<Path>, text: String) -> Self {
        Self { path: path.as_ref().to_owned(), text }
    }
}

/// Returns every generated file.
pub fn files() -> Vec<File> {
    let boards = boards::all();
    let mut files: Vec<File> = boards
        .iter()
        .map(|board| File::new(format!("grafana/dashboards/{}.json", board.file), board.json()))
        .collect();
    for (name, groups) in rules::files() {
        files.push(File::new(
            format!("prometheus/rules/{name}.yaml"),
            rules::yaml::rules(&groups, Pace::Real),
        ));
        files.push(File::new(format!("prometheus/dist/{name}.json"), rules::json(&groups)));
        if groups.iter().any(|group| !group.alerts.is_empty()) {
            let tests = rules::yaml::tests(name, &groups);
            files.push(File::new(format!("prometheus/tests/{name}.yaml"), tests));
        }
    }
    files.push(File::new("runbooks/README.md", rules::index()));
    files.push(File::new("mixin.libsonnet", mixin::text(&boards)));
    files
}

/// Returns the folder of this package as it was built.
pub fn home() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}
