//! What was found about the peers, as it is kept: figures with the machine, the versions and the
//! date that they belong to.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokenward_programs::date;
use tokenward_programs::failure::Failure;
use tokenward_programs::machine::Machine;

use super::Ground;
use crate::bench::contest::{self, Contender, Spread};
use crate::setup::{Program, debs};

/// Everything that one run has found.
#[derive(Debug, Deserialize, Serialize)]
pub(super) struct Results {
    /// When it was found, as RFC 3339 writes it.
    pub(super) date: String,
    /// Where.
    pub(super) machine: Machine,
    /// The version of each program, by its name.
    pub(super) versions: BTreeMap<String, String>,
    /// Connections that the load generator held open.
    pub(super) connections: u32,
    /// What a request has cost, ours first.
    pub(super) costs: Vec<Cost>,
    /// What happened where things went wrong.
    pub(super) faults: Vec<Fault>,
}

/// What a request has cost with one program.
#[derive(Debug, Deserialize, Serialize)]
pub(super) struct Cost {
    pub(super) program: String,
    /// CPU for each request, in microseconds.
    pub(super) cpu_us: Spread,
    /// Ours divided by it, round by round.
    pub(super) ratio: Spread,
    pub(super) rounds: usize,
    /// Requests in each round.
    pub(super) requests: u32,
}

/// Something that goes wrong.
#[derive(Debug, Deserialize, Serialize)]
pub(super) struct Fault {
    pub(super) title: String,
    /// What came of it, ours first.
    pub(super) outcomes: Vec<Outcome>,
}

/// What came of a fault with one program.
#[derive(Debug, Deserialize, Serialize)]
pub(super) struct Outcome {
    pub(super) program: String,
    /// Whether callers and session got through it unharmed.
    pub(super) held: bool,
    /// The harm, or how it went, in a few words.
    pub(super) brief: String,
    /// All that was seen.
    pub(super) told: String,
}

impl Results {
    /// Puts together what was found in this run.
    ///
    /// # Errors
    /// `Unavailable` when a program does not tell its version.
    pub(super) fn new(
        ground: &Ground,
        connections: u32,
        contenders: &[Contender],
        faults: Vec<Fault>,
    ) -> Result<Self, Failure> {
        let cost = |one: &Contender| Cost {
            program: one.name.to_owned(),
            cpu_us: one.cost(),
            ratio: contest::ratio(contenders.first().unwrap_or(one), one),
            rounds: one.rounds(),
            requests: one.requests(),
        };
        Ok(Self {
            date: date::utc(),
            machine: Machine::here(),
            versions: versions(ground)?,
            connections,
            costs: contenders.iter().map(cost).collect(),
            faults,
        })
    }

    /// Writes it as JSON.
    ///
    /// # Errors
    /// `Unavailable` when it cannot be written.
    pub(super) fn write(&self, path: &Path) -> Result<(), Failure> {
        let text = serde_json::to_string_pretty(self);
        let text = text.map_err(|error| Failure::Ours(error.to_string()))? + "\n";
        fs::write(path, text)
            .map_err(|error| Failure::io(&format!("write {}", path.display()), &error))
    }
}

fn versions(ground: &Ground) -> Result<BTreeMap<String, String>, Failure> {
    let nginx = ground.tools.path(Program::Nginx.variable());
    let nginx = nginx.ok_or_else(|| Failure::Ours("nginx was set up and is gone".to_owned()))?;
    let debian = |package: &str| debs::version(&ground.servers, package);
    let all = [
        ("tokenward", env!("CARGO_PKG_VERSION").to_owned()),
        ("nginx", said(Command::new(nginx).arg("-v"), "nginx/")?),
        ("haproxy", debian("haproxy")?),
        ("apache2", debian("apache2-bin")?),
        ("mod_auth_openidc", debian("libapache2-mod-auth-openidc")?),
        ("node", said(Command::new(&ground.node).arg("--version"), "v")?),
        ("express-openid-connect", npm(ground, "express-openid-connect")?),
        ("http-proxy-middleware", npm(ground, "http-proxy-middleware")?),
    ];
    Ok(all.into_iter().map(|(name, version)| (name.to_owned(), version)).collect())
}

/// Returns the word that follows `mark` in what a program says of itself.
fn said(command: &mut Command, mark: &str) -> Result<String, Failure> {
    let output = command.output().map_err(|error| Failure::io("ask for a version", &error))?;
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    let version = said.split_once(mark).and_then(|(_, rest)| rest.split_whitespace().next());
    let silent = || Failure::Unavailable(format!("no version in {:?}", said.trim()));
    version.map(str::to_owned).ok_or_else(silent)
}

fn npm(ground: &Ground, package: &str) -> Result<String, Failure> {
    let path = ground.tree.peers().join("node_modules").join(package).join("package.json");
    let text = fs::read_to_string(&path)
        .map_err(|error| Failure::io(&format!("read {}", path.display()), &error))?;
    let manifest: Value = serde_json::from_str(&text).unwrap_or_default();
    let silent = || Failure::Unavailable(format!("{} has no version", path.display()));
    manifest["version"].as_str().map(str::to_owned).ok_or_else(silent)
}
