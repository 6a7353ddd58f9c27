//! Pictures of the dashboards, drawn by Grafana's own components in a real browser.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde_json::{Value, json};
use tokenward_programs::clock;
use tokenward_programs::failure::Failure;

use super::files;
use super::played::{Request, serve};
use crate::command;
use crate::setup::{self, Grafana, Program, Tools};
use crate::terminal;
use crate::tree::Tree;

/// How wide a picture is, in pixels: what a laptop shows.
const WIDTH: u64 = 1_280;

/// A cell of Grafana's grid with its gap, and what stands above the grid, in pixels.
const CELL: u64 = 38;
const HEADING: u64 = 64;

/// The virtual time that a page has: it asks and draws in one second.
const BUDGET: &str = "--virtual-time-budget=20000";

/// How long a page's word may be on its way after the browser has ended.
const WORD_LIMIT: Duration = Duration::from_secs(5);
const WORD_GAP: Duration = Duration::from_millis(50);

/// The pictures that the front page shows, and how much of them, in pixels: the first rows, in less
/// than 150 kB each.
const SHOWN: [&str; 2] = ["mfa", "overview"];
const SHOWN_HEIGHT: u64 = 860;

/// What a page says of what it drew.
type Word = Arc<Mutex<Option<Value>>>;

/// Draws every dashboard from what `prometheus` saw in the last seconds.
///
/// # Errors
/// `Missed` where something could not be drawn.
pub(super) fn draw(
    tree: &Tree,
    tools: &Tools,
    prometheus: &str,
    seconds: u64,
) -> Result<(), Failure> {
    let folder = bundled(tree)?;
    let word = Word::default();
    let ear = Arc::clone(&word);
    let port = serve(move |request: &Request| {
        *lock(&ear) = serde_json::from_str(&request.body).ok();
        (200, String::new())
    })?;
    let boards = files::boards(&tree.root().join("dashboards/grafana/dashboards"))?;
    let mut troubles = Vec::new();
    let (mut panels, mut empty) = (0, 0);
    for (name, board) in &boards {
        let asked = Asked { board, prometheus, seconds, report: port };
        let picture = folder.join(format!("{name}.png"));
        asked.picture(tools, &folder, &picture, None)?;
        let told = clock::poll(WORD_LIMIT, WORD_GAP, || lock(&word).take());
        let told =
            told.ok_or_else(|| Failure::Missed(format!("the page of {name} never ended")))?;
        panels += told["drawn"].as_u64().unwrap_or_default();
        empty += told["empty"].as_u64().unwrap_or_default();
        let said = told["troubles"].as_array().into_iter().flatten();
        troubles.extend(said.map(|trouble| format!("{name}: {trouble}")));
        terminal::note(&format!("  {}", picture.display()));
        if SHOWN.contains(&name.as_str()) {
            let place = tree.root().join(format!("dashboards/pictures/{name}.png"));
            asked.picture(tools, &folder, &place, Some(SHOWN_HEIGHT))?;
            // The same words again.
            clock::poll(WORD_LIMIT, WORD_GAP, || lock(&word).take());
        }
    }
    for trouble in &troubles {
        terminal::note(&format!("  {trouble}"));
    }
    terminal::result(&format!(
        "dashboards pictures {} panels {panels} empty {empty} troubles {}",
        boards.len(),
        troubles.len()
    ));
    match troubles.is_empty() {
        true => Ok(()),
        false => Err(Failure::Missed("a dashboard could not be drawn whole".to_owned())),
    }
}

/// Installs what Grafana draws with, and bundles the page that uses it.
fn bundled(tree: &Tree) -> Result<PathBuf, Failure> {
    let folder = setup::grafana(tree, Grafana::Pictures)?;
    let mut command = Command::new(folder.join("node_modules/.bin/esbuild"));
    command.args([
        "page.tsx",
        "--bundle",
        "--minify",
        "--outdir=drawn",
        "--define:process.env.NODE_ENV=\"production\"",
        // Fonts go into the page; those of an editor that is not shown are left out.
        "--loader:.woff2=dataurl",
        "--loader:.svg=dataurl",
        "--loader:.ttf=empty",
        "--loader:.woff=empty",
        "--log-level=error",
    ]);
    command::run_quietly(command.current_dir(&folder), "bundling the page")?;
    Ok(folder.join("drawn"))
}

/// What a page is asked to draw.
struct Asked<'a> {
    board: &'a str,
    prometheus: &'a str,
    seconds: u64,
    report: u16,
}

impl Asked<'_> {
    /// Writes the page, and lets a browser take its picture.
    fn picture(
        &self,
        tools: &Tools,
        folder: &Path,
        picture: &Path,
        height: Option<u64>,
    ) -> Result<(), Failure> {
        let board: Value =
            serde_json::from_str(self.board).map_err(|error| Failure::Ours(error.to_string()))?;
        let places = board["panels"].as_array().into_iter().flatten();
        let end = |panel: &Value| {
            let at = |key: &str| panel["gridPos"][key].as_u64().unwrap_or_default();
            at("y") + at("h")
        };
        let whole = places.map(end).max().unwrap_or_default() * CELL + HEADING;
        let height = height.unwrap_or(whole);
        let asked = json!({
            "board": board, "prometheus": self.prometheus, "seconds": self.seconds,
            "report": format!("http://127.0.0.1:{}/told", self.report),
        });
        // A closing tag within a text would end the script.
        let asked = asked.to_string().replace('<', "\\u003c");
        let page = format!(
            "<!doctype html><meta charset=utf-8><link rel=stylesheet href=page.css>\
             <div id=page></div><script>window.ASKED={asked}</script><script src=page.js></script>"
        );
        let file = folder.join("page.html");
        fs::write(&file, page).map_err(|error| Failure::io("write a page", &error))?;
        let browser = tools.path(Program::Chromium.variable()).unwrap_or(Path::new("chromium"));
        let mut command = Command::new(browser);
        command
            // The sandbox of a browser wants what containers lack; the page is ours.
            .args(["--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", BUDGET])
            .arg(format!("--user-data-dir={}", folder.join("browser").display()))
            .arg(format!("--window-size={WIDTH},{height}"))
            .arg(format!("--screenshot={}", picture.display()))
            .arg(format!("file://{}", file.display()));
        command::run_quietly(&mut command, "drawing a dashboard")
    }
}

fn lock(word: &Word) -> std::sync::MutexGuard<'_, Option<Value>> {
    word.lock().unwrap_or_else(PoisonError::into_inner)
}
