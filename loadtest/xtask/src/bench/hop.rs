//! The whole hop, side by side: what a proxied request costs in CPU, as a multiple of nginx's.
//!
//! Both proxies take the same requests to the same upstream over keep-alive connections, in rounds
//! that alternate, so that what else the machine does hits both. nginx adds a static Authorization
//! header of the same length; the gateway identifies the session, routes, and injects its token.

use clap::Args;
use tokenward_programs::failure::Failure;
use tokenward_programs::port;

use crate::bench::contest::{self, Contender, Cores, Load, Spread};
use crate::bench::plain::{self, Upstream};
use crate::setup::{self, Program};
use crate::terminal;
use crate::tree::{Profile, Tree};
use crate::visitor::Visitor;
use crate::world::{self, Addresses, Launch, Route, World};

/// The path that both proxies serve.
pub(super) const PATH: &str = "/hop";
/// Life of the token: longer than any run, so that no exchange falls into a round.
const ACCESS_TOKEN_SECONDS: u32 = 86_400;
/// Requests before the first round: connections, caches and branch predictors settle.
pub(super) const WARM_UP_REQUESTS: u32 = 20_000;

/// How the hop is measured.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Rounds for each proxy
    #[arg(long, default_value_t = 7, value_parser = clap::value_parser!(u32).range(5..=99))]
    rounds: u32,
    /// Connections held open by the load generator
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..=1024))]
    connections: u32,
    /// Requests in a round
    #[arg(long, default_value_t = 100_000, value_parser = clap::value_parser!(u32).range(1_000..=10_000_000))]
    requests: u32,
    /// Measures the programs as they were built last
    #[arg(long)]
    as_built: bool,
}

/// Measures, and prints `hop cpu tokenward/nginx R` last.
///
/// # Errors
/// `Unavailable` when a program is lacking or does not come up; `Ours` when a request failed.
pub(super) fn run(options: &Options) -> Result<(), Failure> {
    let tree = Tree::find()?;
    let tools = setup::programs(&[Program::Nginx, Program::H2load])?;
    let cores = Cores::of_this_machine();
    if !options.as_built {
        world::build(&tree, Profile::Dist)?;
    }
    let folder = tree.fresh_run("hop-peers")?;
    let upstream = Upstream::start(&tools, &folder, cores.other)?;
    let (mut world, visitor) = gateway(&tree, "hop", cores, &upstream)?;
    let injected = injected_length(&world, &visitor)?;
    let nginx = plain::nginx(&tools, &folder, cores.proxy, &upstream, injected)?;
    let cookie = visitor.cookie();
    let contender =
        |name, process, origin| Contender::new(name, process, origin, &cookie, options.requests);
    let mut contenders = [
        contender("nginx", nginx.process(), nginx.origin()),
        contender("tokenward", world.gateway.id(), world.origin()),
    ];
    let load = Load { tools: &tools, cores, connections: options.connections, path: PATH };
    load.compare(&mut contenders, options.rounds, WARM_UP_REQUESTS)?;
    world.stop()?;
    terminal::note(&contest::table(&contenders));
    let [nginx, tokenward] = &contenders;
    let Spread { least, median, most } = contest::ratio(tokenward, nginx);
    terminal::note(&format!("round by round the ratio was between {least:.2} and {most:.2}"));
    terminal::result(&format!("hop cpu tokenward/nginx {median:.2}"));
    Ok(())
}

/// Starts provider and gateway before the upstream, and signs somebody in.
///
/// # Errors
/// `Unavailable` when one does not come up; `Ours` when the sign-in got stuck.
pub(super) fn gateway(
    tree: &Tree,
    name: &str,
    cores: Cores,
    upstream: &Upstream,
) -> Result<(World, Visitor), Failure> {
    let world = World::start(tree, name, launch(cores)?, |addresses| routes(addresses, upstream))?;
    let mut visitor = Visitor::new(&world.origin());
    visitor.sign_in("ada").map_err(|why| Failure::Ours(format!("signing in failed: {why}")))?;
    Ok((world, visitor))
}

fn launch(cores: Cores) -> Result<Launch, Failure> {
    Ok(Launch {
        profile: Profile::Dist,
        port: port::wanted_or_free(0)?,
        admin_port: port::wanted_or_free(0)?,
        access_token_seconds: ACCESS_TOKEN_SECONDS,
        reuse_window_seconds: None,
        gateway_core: cores.proxy,
        other_core: cores.other,
    })
}

fn routes(addresses: &Addresses, upstream: &Upstream) -> Vec<Route> {
    vec![
        Route {
            path: PATH.to_owned(),
            upstream: upstream.origin(),
            audience: Some("https://quotes.sandbox.example".to_owned()),
            scopes: vec!["read:quotes".to_owned()],
            strip_prefix: false,
        },
        Route::public("/", &addresses.app),
    ]
}

/// Returns the length of the header that the gateway injects, for others to add one as long.
///
/// # Errors
/// `Ours` when it injects none.
pub(super) fn injected_length(world: &World, visitor: &Visitor) -> Result<usize, Failure> {
    let answer = visitor.call(plain::ECHO_PATH).map_err(Failure::Ours)?;
    if answer.status != 200 {
        return Err(Failure::Ours(format!(
            "the gateway answered {} through the measured route; its log is in {}",
            answer.status,
            world.folder().display()
        )));
    }
    if answer.body.starts_with("Bearer ") {
        return Ok(answer.body.len());
    }
    Err(Failure::Ours("the gateway injected no Authorization header".to_owned()))
}
