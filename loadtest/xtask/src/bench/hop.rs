//! The whole hop, side by side: what a proxied request costs in CPU, as a multiple of nginx's.
//!
//! Both proxies take the same requests to the same upstream over keep-alive connections, in rounds
//! that alternate, so that what else the machine does hits both. nginx adds a static Authorization
//! header of the same length; the gateway identifies the session, routes, and injects its token.

mod peers;

use clap::Args;

use crate::bench::cpu;
use crate::child;
use crate::failure::Failure;
use crate::setup::{self, Program};
use crate::terminal;
use crate::tree::{Profile, Tree};
use crate::visitor::Visitor;
use crate::world::{self, Addresses, Launch, Route, World};

/// The path that both proxies serve.
const PATH: &str = "/hop";
/// Life of the token: longer than any run, so that no exchange falls into a round.
const ACCESS_TOKEN_SECONDS: u32 = 86_400;
/// Requests before the first round: connections, caches and branch predictors settle.
const WARM_UP_REQUESTS: u32 = 20_000;

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

/// A proxy under load.
struct Contender {
    name: &'static str,
    process: u32,
    origin: String,
    /// CPU per request of each round, in microseconds.
    rounds_us: Vec<f64>,
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
        world::build(&tree, Profile::Release)?;
    }
    let folder = tree.fresh_run("hop-peers")?;
    let upstream = peers::Upstream::start(&tools, &folder, cores.other)?;
    let mut world =
        World::start(&tree, "hop", launch(cores)?, |addresses| routes(addresses, &upstream))?;
    let mut visitor = Visitor::new(&world.origin());
    visitor.sign_in("ada").map_err(|why| Failure::Ours(format!("signing in failed: {why}")))?;
    let injected = injected_length(&world, &visitor)?;
    let nginx = peers::Proxy::start(&tools, &folder, cores.proxy, &upstream, injected)?;
    let mut contenders = [
        Contender::new("nginx", nginx.process(), nginx.origin()),
        Contender::new("tokenward", world.gateway.id(), world.origin()),
    ];
    let load = Load { options, tools: &tools, core: cores.other, cookie: visitor.cookie() };
    for contender in &contenders {
        load.drive(&contender.origin, WARM_UP_REQUESTS)?;
    }
    for round in 1..=options.rounds {
        let _running = terminal::spinner(&format!("round {round} of {}", options.rounds));
        for contender in &mut contenders {
            contender.measure(&load)?;
        }
    }
    world.stop()?;
    report(&contenders);
    Ok(())
}

/// The cores that the sides are kept on, so that the load does not run where it measures.
#[derive(Clone, Copy)]
struct Cores {
    proxy: Option<usize>,
    other: Option<usize>,
}

impl Cores {
    fn of_this_machine() -> Self {
        if std::thread::available_parallelism().is_ok_and(|cores| cores.get() > 1) {
            return Self { proxy: Some(0), other: Some(1) };
        }
        terminal::note("one core only: proxies and load share it, the ratio is less steady");
        Self { proxy: None, other: None }
    }
}

impl Contender {
    fn new(name: &'static str, process: u32, origin: String) -> Self {
        Self { name, process, origin, rounds_us: Vec::new() }
    }

    fn measure(&mut self, load: &Load<'_>) -> Result<(), Failure> {
        let before = cpu::spent_us(self.process)?;
        load.drive(&self.origin, load.options.requests)?;
        let spent = cpu::spent_us(self.process)?.saturating_sub(before);
        // Exact: the microseconds of a round are far below 2^52.
        self.rounds_us.push(spent as f64 / f64::from(load.options.requests));
        Ok(())
    }
}

/// The load generator with what all its rounds share.
struct Load<'a> {
    options: &'a Options,
    tools: &'a setup::Tools,
    core: Option<usize>,
    cookie: String,
}

impl Load<'_> {
    fn drive(&self, origin: &str, requests: u32) -> Result<(), Failure> {
        let Some(program) = self.tools.path(Program::H2load.variable()) else {
            return Err(Failure::Ours("h2load was set up and is gone".to_owned()));
        };
        let mut command = world::on_core(self.core, program);
        // A connection that says nothing for so long is stuck: the round fails instead of hanging.
        command.args(["--h1", "--threads=1", "--connection-inactivity-timeout=20s"]);
        command.arg(format!("--clients={}", self.options.connections));
        command.arg(format!("--requests={requests}"));
        command.arg(format!("--header=cookie: {}", self.cookie)).arg(format!("{origin}{PATH}"));
        let output = command.output().map_err(|error| Failure::io("start h2load", &error))?;
        let text = String::from_utf8_lossy(&output.stdout);
        if succeeded(&text) == Some(requests) {
            return Ok(());
        }
        Err(Failure::Ours(format!("not every request of {origin} was answered with 200:\n{text}")))
    }
}

/// Reads how many answers had a 2xx status.
fn succeeded(report: &str) -> Option<u32> {
    let line = report.lines().find_map(|line| line.strip_prefix("status codes: "))?;
    line.split_once(" 2xx")?.0.parse().ok()
}

fn launch(cores: Cores) -> Result<Launch, Failure> {
    Ok(Launch {
        profile: Profile::Release,
        port: child::port_or_free(0)?,
        admin_port: child::port_or_free(0)?,
        access_token_seconds: ACCESS_TOKEN_SECONDS,
        reuse_window_seconds: None,
        gateway_core: cores.proxy,
        other_core: cores.other,
    })
}

fn routes(addresses: &Addresses, upstream: &peers::Upstream) -> Vec<Route> {
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

/// Returns the length of the header that the gateway injects, for nginx to add one as long.
fn injected_length(world: &World, visitor: &Visitor) -> Result<usize, Failure> {
    let answer = visitor.call(peers::ECHO_PATH).map_err(Failure::Ours)?;
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

fn report(contenders: &[Contender; 2]) {
    let mut rows =
        vec![["CPU µs per request", "median", "least", "most"].map(str::to_owned).to_vec()];
    for contender in contenders {
        let (least, median, most) = spread(&contender.rounds_us);
        let shown = [median, least, most].map(|us| format!("{us:.2}"));
        rows.push(std::iter::once(contender.name.to_owned()).chain(shown).collect());
    }
    terminal::note(&terminal::table(&rows));
    let [nginx, tokenward] = contenders;
    let ratio = spread(&tokenward.rounds_us).1 / spread(&nginx.rounds_us).1;
    terminal::result(&format!("hop cpu tokenward/nginx {ratio:.2}"));
}

/// Returns the least, the median and the most of at least one value.
fn spread(values: &[f64]) -> (f64, f64, f64) {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let at = |index: usize| sorted.get(index).copied().unwrap_or(f64::NAN);
    (at(0), at(sorted.len() / 2), at(sorted.len().saturating_sub(1)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_answers_with_2xx_count() {
        let report = "requests: 9 total, 9 started\nstatus codes: 7 2xx, 0 3xx, 2 4xx, 0 5xx\n";
        assert_eq!(succeeded(report), Some(7));
        assert_eq!(succeeded("requests: 9 total"), None);
    }

    #[test]
    fn the_median_is_the_middle_round() {
        assert_eq!(spread(&[3.0, 1.0, 9.0, 2.0, 4.0]), (1.0, 3.0, 9.0));
        assert_eq!(spread(&[2.0]), (2.0, 2.0, 2.0));
    }
}
