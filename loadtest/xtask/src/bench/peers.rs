//! `cargo xtask bench peers`: what a request costs with what people would otherwise pick, and what
//! those programs do where things go wrong.
//!
//! nginx and HAProxy are the floor: they pass on and add a header that never changes. mod_auth_openidc
//! (as Debian has it) and express-openid-connect with http-proxy-middleware do the gateway's job,
//! with the same provider, upstream and person.

mod apache;
mod express;
mod faults;
mod peer;
mod picture;
mod results;

use std::path::{Path, PathBuf};

use clap::Args;
use tokenward_programs::failure::Failure;

use crate::bench::contest::{self, Contender, Cores, Load};
use crate::bench::hop;
use crate::bench::peers::peer::{Peer, Seat};
use crate::bench::peers::results::Results;
use crate::bench::plain::{self, Upstream};
use crate::setup::debs::{self, Wanted};
use crate::setup::npm;
use crate::setup::{self, Program, Tools};
use crate::terminal;
use crate::tree::{Profile, Tree};
use crate::world;

/// The servers that are measured against, unpacked where nothing of the machine is changed.
const SERVERS: Wanted = Wanted {
    folder: "peers",
    programs: &["apache2-bin", "haproxy", "libapache2-mod-auth-openidc"],
    single: &[],
    behind: &[],
    backports: false,
    pinned: &[],
};

/// By how much fewer requests those get that take ten and fifty times as long: their rounds are
/// still seconds, and a tick of the kernel's clock is ten milliseconds.
const FEWER_FOR_APACHE: u32 = 4;
const FEWER_FOR_EXPRESS: u32 = 20;

/// How the peers are measured.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Rounds for each
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(3..=99))]
    rounds: u32,
    /// Connections held open by the load generator
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..=1024))]
    connections: u32,
    /// Requests in a round; those that take long get fewer
    #[arg(long, default_value_t = 60_000, value_parser = clap::value_parser!(u32).range(20_000..=10_000_000))]
    requests: u32,
    /// Measures the programs as they were built last
    #[arg(long)]
    as_built: bool,
    /// Plays the fault table only
    #[arg(long, conflicts_with = "no_faults")]
    only_faults: bool,
    /// Leaves the fault table out
    #[arg(long)]
    no_faults: bool,
    /// Writes all figures with machine, versions and date
    #[arg(long, value_name = "FILE", conflicts_with = "only_faults")]
    json: Option<PathBuf>,
    /// Draws costs and faults
    #[arg(long, value_name = "FILE", conflicts_with_all = ["only_faults", "no_faults"])]
    svg: Option<PathBuf>,
}

/// What all of them stand on.
#[derive(Debug)]
struct Ground {
    tree: Tree,
    tools: Tools,
    /// The root of the unpacked servers.
    servers: PathBuf,
    node: PathBuf,
    folder: PathBuf,
    cores: Cores,
}

/// Measures, and prints `peers cpu nginx A haproxy B mod_auth_openidc C express D` last.
///
/// # Errors
/// `Unavailable` when a program is lacking or does not come up; `Ours` when a request failed.
pub(super) fn run(options: &Options) -> Result<(), Failure> {
    let ground = Ground::ready(options.as_built)?;
    let mut faults = Vec::new();
    if !options.no_faults {
        terminal::heading("what goes wrong");
        faults = faults::play(&ground)?;
        terminal::note(&faults::table(&faults));
    }
    if options.only_faults {
        return Ok(());
    }
    terminal::heading("what a request costs");
    let contenders = measure(&ground, options)?;
    terminal::note(&contest::table(&contenders));
    let found = Results::new(&ground, options.connections, &contenders, faults)?;
    if let Some(path) = &options.json {
        found.write(path)?;
    }
    if let Some(path) = &options.svg {
        picture::write(&found, path)?;
    }
    let [tokenward, others @ ..] = contenders.as_slice() else {
        return Err(Failure::Ours("nobody was measured".to_owned()));
    };
    let mut line = "peers cpu".to_owned();
    for other in others {
        let ratio = contest::ratio(tokenward, other);
        let place = if ratio.median < 0.1 { 3 } else { 2 };
        let [least, median, most] =
            [ratio.least, ratio.median, ratio.most].map(|value| format!("{value:.place$}"));
        terminal::note(&format!("tokenward/{}: {median} ({least} to {most})", other.name));
        line.push_str(&format!(" {} {median}", other.name));
    }
    terminal::result(&line);
    Ok(())
}

impl Ground {
    fn ready(as_built: bool) -> Result<Self, Failure> {
        let tree = Tree::find()?;
        let tools = setup::programs(&[Program::Nginx, Program::H2load])?;
        let servers = debs::unpacked(&tree, &SERVERS)?;
        let node = npm::node()?;
        let (source, installed) = (tree.peers_source(), tree.peers());
        let what = "express-openid-connect and http-proxy-middleware";
        npm::install((&source, &installed), &["server.mjs"], what, || Ok(()))?;
        if !as_built {
            world::build(&tree, Profile::Dist)?;
        }
        let folder = tree.fresh_run("peers")?;
        Ok(Self { tree, tools, servers, node, folder, cores: Cores::of_this_machine() })
    }

    fn program(&self, name: &str) -> PathBuf {
        self.servers.join("usr/sbin").join(name)
    }

    /// Returns where the libraries of the unpacked servers are.
    fn libraries(&self) -> Result<PathBuf, Failure> {
        let parent = self.servers.join("usr/lib");
        let found = std::fs::read_dir(&parent)
            .map_err(|error| Failure::io("read the servers' folder", &error))?;
        let mut folders = found.flatten().map(|entry| entry.path());
        let is_libraries = |path: &PathBuf| {
            path.file_name().is_some_and(|n| n.to_string_lossy().contains("-linux-gnu"))
        };
        folders
            .find(is_libraries)
            .ok_or_else(|| Failure::Unavailable(format!("{} holds no libraries", parent.display())))
    }

    fn under(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }
}

/// Starts all, drives them in turn, and returns them with ours first.
fn measure(ground: &Ground, options: &Options) -> Result<Vec<Contender>, Failure> {
    let Ground { tree, tools, folder, cores, .. } = ground;
    let upstream = Upstream::start(tools, folder, cores.other)?;
    let (mut world, visitor) = hop::gateway(tree, "peers-gateway", *cores, &upstream)?;
    let injected = hop::injected_length(&world, &visitor)?;
    let nginx = plain::nginx(tools, folder, cores.proxy, &upstream, injected)?;
    let haproxy = plain::haproxy(
        &ground.program("haproxy"),
        &ground.libraries()?,
        folder,
        cores.proxy,
        (&upstream, injected),
    )?;
    let seat = Seat {
        issuer: world.addresses.issuer.clone(),
        upstream: upstream.origin(),
        core: cores.proxy,
    };
    let control = world.control();
    let apache = apache::start(ground, &control, &seat)?;
    let express = express::start(ground, &control, &seat)?;
    let signed_in = |peer: &Peer| Ok::<_, Failure>(peer.sign_in(hop::PATH)?.cookie());
    let (for_apache, for_express) = (signed_in(&apache)?, signed_in(&express)?);
    let (cookie, requests) = (visitor.cookie(), options.requests);
    let plain = |name, proxy: &plain::Plain| {
        Contender::new(name, proxy.process(), proxy.origin(), &cookie, requests)
    };
    let mut contenders = vec![
        Contender::new("tokenward", world.gateway.id(), world.origin(), &cookie, requests),
        plain("nginx", &nginx),
        plain("haproxy", &haproxy),
        apache.contender(&for_apache, requests / FEWER_FOR_APACHE),
        express.contender(&for_express, requests / FEWER_FOR_EXPRESS),
    ];
    let load = Load { tools, cores: *cores, connections: options.connections, path: hop::PATH };
    load.compare(&mut contenders, options.rounds, hop::WARM_UP_REQUESTS)?;
    world.stop()?;
    Ok(contenders)
}

/// Returns a path as text for a server's file.
fn shown(path: &Path) -> String {
    path.display().to_string()
}
