//! `cargo xtask dashboards`: writes dashboards and rules, and proves them against the real thing.

mod acts;
mod alerts;
mod display;
mod files;
mod ledger;
mod panels;
mod pictures;
mod played;
mod scene;
mod watchers;

use std::fs;
use std::thread;

use clap::{Args, Subcommand};
use tokenward_programs::clock::{self, Watch};
use tokenward_programs::failure::Failure;

use self::alerts::Hook;
use self::panels::Panels;
use self::played::Played;
use self::scene::Scene;
use self::watchers::Watchers;
use crate::command;
use crate::setup::{self, Program};
use crate::stage;
use crate::terminal;
use crate::tree::{Profile, Tree};
use crate::world;

/// The life of an access token, in seconds: a refresh each two seconds, ahead of time.
const LIFE: u32 = 4;

/// What is done with the dashboards; without a word they are written.
#[derive(Debug, Args)]
pub(crate) struct Options {
    #[command(subcommand)]
    what: Option<What>,
}

#[derive(Debug, Clone, Copy, Subcommand)]
enum What {
    /// Writes dashboards, rules, their unit tests and the index of the runbooks
    Write,
    /// Plays faults before a real Prometheus and Alertmanager: every panel must show something, every
    /// alert must fire, be delivered and clear, and the counters must agree with the provider's ledger
    Check,
    /// Does what `check` does, then draws every dashboard with Grafana's own components
    Pictures,
}

impl Options {
    /// The step of the test run.
    pub(crate) fn step() -> Self {
        Self { what: Some(What::Check) }
    }
}

/// Writes or checks.
///
/// # Errors
/// `Missed` where a panel stays empty, an alert does not fire or clear, or a counter is wrong.
pub(crate) fn run(options: &Options) -> Result<(), Failure> {
    let tree = Tree::find()?;
    match options.what.unwrap_or(What::Write) {
        What::Write => {
            generator(&tree, &["write"])?;
            generator(&tree, &["lint"])
        }
        What::Check => check(&tree, false),
        What::Pictures => check(&tree, true),
    }
}

fn generator(tree: &Tree, arguments: &[&str]) -> Result<(), Failure> {
    let mut command = command::cargo();
    command.args(["run", "--quiet", "--package", "tokenward-dashboards", "--"]).args(arguments);
    command::run_visibly(command.current_dir(tree.root()), "generating dashboards and rules")
}

fn check(tree: &Tree, draws: bool) -> Result<(), Failure> {
    let mut needed = vec![Program::Prometheus, Program::Alertmanager];
    needed.extend(files::READERS);
    needed.extend(draws.then_some(Program::Chromium));
    let tools = setup::programs(&needed)?;
    let hook = Hook::open()?;
    let more = gateway_file(tree, &hook)?;
    world::build(tree, Profile::Debug)?;
    let world = stage::start(tree, "dashboards", LIFE, |_| more.clone())?;
    let folder = world.folder().to_owned();
    let rules = folder.join("rules");
    fs::create_dir_all(&rules).map_err(|error| Failure::io("make a folder", &error))?;
    generator(tree, &["test-rules", &rules.display().to_string()])?;
    let wanted = alerts::wanted(&rules)?;
    files::read(tree, &tools, &wanted)?;

    let played = Played::open()?;
    let watchers = Watchers::start(&tools, &folder, &world, &hook, &played)?;
    let mut panels = Panels::read(&tree.root().join("dashboards/grafana/dashboards"))?;
    let mut scene = Scene::new(world, hook, played);
    let (watch, since) = (Watch::start(), clock::unix_seconds());
    let outcome = thread::scope(|scope| {
        let looking = scope.spawn(|| panels.look(&watchers, scene.over()));
        let outcome = acts::play(&scene, &wanted);
        scene.finish();
        // A panic is a bug of ours, and says so itself.
        let _ = looking.join();
        outcome
    });
    look_for_exemplars(&watchers, &scene, since);
    let seconds = watch.elapsed().as_secs();
    let drawn = draws.then(|| pictures::draw(tree, &tools, watchers.prometheus(), seconds));
    let stopped = scene.stop();
    outcome?;
    let broken = scene.broken();
    stopped?;
    drawn.transpose()?;
    conclude(&panels, &wanted, &scene, &broken)
}

/// Writes what the gateway's file has beside the usual: every request is traced, displays may sign
/// in, and there is a webhook whose receiver is gone.
fn gateway_file(tree: &Tree, hook: &Hook) -> Result<String, Failure> {
    let file = tree.tools().join("dashboards-webhook");
    fs::create_dir_all(tree.tools()).map_err(|error| Failure::io("make a folder", &error))?;
    // Thirty-two bytes for a receiver that refuses everything and lives as long as this.
    fs::write(&file, format!("whsec_{}=\n", "A".repeat(43)))
        .map_err(|error| Failure::io("write a webhook's secret", &error))?;
    Ok(format!(
        "[device]\ninterval = \"{}s\"\n[trace]\notlp = \"{}\"\nsample = 1.0\n[[webhook]]\n\
         url = \"{}\"\nsecret = {{ file = {file:?} }}\n",
        display::INTERVAL.as_secs(),
        hook.collector(),
        hook.gone()
    ))
}

/// A scrape must have brought traces of requests and of refreshes to Prometheus.
fn look_for_exemplars(watchers: &Watchers, scene: &Scene, since: u64) {
    for metric in ["tokenward_http_request_duration_seconds", "tokenward_refresh_duration_seconds"]
    {
        match watchers.exemplars(metric, since) {
            Ok(count) if count > 0 => {
                terminal::note(&format!("Prometheus keeps {count} exemplars of {metric}"));
            }
            Ok(_) => scene.note(format!("Prometheus has no exemplar of {metric}")),
            Err(why) => scene.note(format!("exemplars of {metric}: {why}")),
        }
    }
}

fn conclude(
    panels: &Panels,
    wanted: &[alerts::Wanted],
    scene: &Scene,
    broken: &[String],
) -> Result<(), Failure> {
    for fault in broken {
        terminal::note(&format!("  {fault}"));
    }
    let empty = panels.empty();
    for panel in &empty {
        terminal::note(&format!("  never showed anything: {panel}"));
    }
    let fired = wanted.iter().filter(|alert| scene.hook().fired(alert)).count();
    let total = wanted.len();
    terminal::result(&format!(
        "dashboards panels {} empty {} alerts {total} fired {fired}",
        panels.count(),
        empty.len()
    ));
    if broken.is_empty() && empty.is_empty() && fired == total {
        return Ok(());
    }
    Err(Failure::Missed("the dashboards do not show what happened".to_owned()))
}
