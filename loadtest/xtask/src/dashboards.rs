//! `cargo xtask dashboards`: writes dashboards and rules, and proves them against the real thing.

mod acts;
mod alerts;
mod ledger;
mod panels;
mod played;
mod scene;
mod watchers;

use std::thread;

use clap::{Args, Subcommand};

use self::alerts::Hook;
use self::panels::Panels;
use self::played::Played;
use self::scene::Scene;
use self::watchers::Watchers;
use crate::child;
use crate::failure::Failure;
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
        What::Check => check(&tree),
    }
}

fn generator(tree: &Tree, arguments: &[&str]) -> Result<(), Failure> {
    let mut command = child::cargo();
    command.args(["run", "--quiet", "--package", "tokenward-dashboards", "--"]).args(arguments);
    child::run_visibly(command.current_dir(tree.root()), "generating dashboards and rules")
}

fn check(tree: &Tree) -> Result<(), Failure> {
    let tools = setup::programs(&[Program::Prometheus, Program::Alertmanager])?;
    world::build(tree, Profile::Debug)?;
    let world = stage::start(tree, "dashboards", LIFE, |_| String::new())?;
    let folder = world.folder().to_owned();
    let rules = folder.join("rules");
    std::fs::create_dir_all(&rules).map_err(|error| Failure::io("make a folder", &error))?;
    generator(tree, &["test-rules", &rules.display().to_string()])?;

    let hook = Hook::open()?;
    let played = Played::open()?;
    let watchers = Watchers::start(&tools, &folder, &world, &hook, &played)?;
    let mut panels = Panels::read(&tree.root().join("dashboards/grafana/dashboards"))?;
    let wanted = alerts::wanted(&rules)?;
    let mut scene = Scene::new(world, hook, played);
    let outcome = thread::scope(|scope| {
        let looking = scope.spawn(|| panels.look(&watchers, scene.over()));
        let outcome = acts::play(&scene, &wanted);
        scene.finish();
        // A panic is a bug of ours, and says so itself.
        let _ = looking.join();
        outcome
    });
    let stopped = scene.stop();
    let broken = outcome?;
    stopped?;
    conclude(&panels, &wanted, &scene, &broken)
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
