//! The demo: provider, sample APIs, gateway and a wall display as real processes, one link to click,
//! one calm line per event of a session's life, and keys for what may go wrong.

mod calm;
mod chaos;
mod display;
mod feed;
mod fleet;
mod guest;
mod keys;
mod person;
mod show;
mod tried;
mod voice;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use clap::Args;
use signal_hook::consts::{SIGINT, SIGTERM};
use tokenward_programs::failure::Failure;
use tokenward_programs::port;

use crate::demo::chaos::Chaos;
use crate::demo::guest::Guest;
use crate::demo::show::Show;
use crate::terminal;
use crate::tree::{Profile, Tree};
use crate::world::{self, Addresses, Launch, Route, World};

/// Life of an access token in the demo: short, so that every minute shows several refreshes.
const ACCESS_TOKEN_SECONDS: u32 = 10;
/// Where the gateway listens unless told otherwise.
const PORT: u16 = 8080;
/// Where its admin listener listens: the gateway's own default.
const ADMIN_PORT: u16 = 9464;
/// What is built for it.
const PROGRAMS: [&str; 3] = ["tokenward-device", "tokenward-gateway", "tokenward-sandbox"];
/// How often the demo looks for news, keys and Ctrl-C.
const TICK: Duration = Duration::from_millis(100);

/// What the demo is asked for.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Kills the gateway with SIGKILL every ten seconds and starts it again
    #[arg(long)]
    chaos: bool,
    /// Starts so many gateways on one Redis instead, with keys to kill, pause or cut off any
    #[arg(long, value_name = "GATEWAYS", conflicts_with = "chaos",
          value_parser = clap::value_parser!(u8).range(2..=6))]
    fleet: Option<u8>,
    /// The port to listen on; a free one is taken when something else listens there
    #[arg(long, default_value_t = PORT)]
    port: u16,
    /// Signs in and calls the APIs by itself for so many seconds, then stops and judges
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(5..=3600))]
    headless_for: Option<u64>,
}

/// The step of the test run: so many seconds by itself, under chaos and on any port, then the keys of
/// the fleet.
///
/// # Errors
/// As [`run`]; `Missed` where a key does not do what it says.
pub(crate) fn step(seconds: u64) -> Result<(), Failure> {
    run(&Options { chaos: true, fleet: None, port: 0, headless_for: Some(seconds) })?;
    tried::run()
}

/// Runs the demo until Ctrl-C, or for as long as asked.
///
/// # Errors
/// `Unavailable` when a program does not come up or ends by itself; `Missed` when a headless run
/// saw a failed call or a revoked family.
pub(crate) fn run(options: &Options) -> Result<(), Failure> {
    if let Some(gateways) = options.fleet {
        return fleet::run(options, gateways);
    }
    let tree = Tree::find()?;
    let stop = stop_flag()?;
    terminal::note("building the gateway, the sandbox and the wall display");
    world::build_all(&tree, Profile::Debug, &PROGRAMS)?;
    let launch = launch(options.port)?;
    let starting = terminal::spinner("starting the provider, the sample APIs and the gateway");
    let mut world = World::start_with(&tree, "demo", launch, routes, |_| "[device]\n".to_owned())?;
    person::arrive(&world)?;
    drop(starting);
    invite(&world);
    let guest =
        options.headless_for.map(|_| Guest::arrive(&world.origin(), options.chaos)).transpose()?;
    let mut show = Show::open(&tree, &world, options.headless_for.is_some())?;
    let ran = watch(&mut world, &mut show, options, &stop);
    let judged =
        guest.map_or(Ok(()), |guest| guest.leave(&world.control())).and(show.close(&world));
    let stopped = world.stop();
    terminal::result("stopped");
    ran.and(judged).and(stopped)
}

fn watch(
    world: &mut World,
    show: &mut Show,
    options: &Options,
    stop: &AtomicBool,
) -> Result<(), Failure> {
    let limit = options.headless_for.map(Duration::from_secs);
    let mut chaos = options.chaos.then(Chaos::new);
    while !stop.load(Ordering::Relaxed) && limit.is_none_or(|limit| show.elapsed() < limit) {
        thread::sleep(TICK);
        if let Some(chaos) = &mut chaos {
            chaos.strike_when_due(show.elapsed(), world, |line| show.tell(line))?;
        }
        world.check()?;
        if show.turn(world)?.is_break() {
            break;
        }
    }
    Ok(())
}

fn stop_flag() -> Result<Arc<AtomicBool>, Failure> {
    let flag = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM] {
        signal_hook::flag::register(signal, Arc::clone(&flag))
            .map_err(|error| Failure::io("listen for Ctrl-C", &error))?;
    }
    Ok(flag)
}

fn launch(wanted: u16) -> Result<Launch, Failure> {
    let port = port::wanted_or_free(wanted)?;
    let admin_port = port::wanted_or_free(ADMIN_PORT)?;
    for (wanted, port) in [(wanted, port), (ADMIN_PORT, admin_port)] {
        if wanted != port && wanted != 0 {
            terminal::note(&format!("port {wanted} is taken: using {port}"));
        }
    }
    Ok(Launch {
        profile: Profile::Debug,
        port,
        admin_port,
        access_token_seconds: ACCESS_TOKEN_SECONDS,
        reuse_window_seconds: None,
        gateway_core: None,
        other_core: None,
    })
}

fn routes(addresses: &Addresses) -> Vec<Route> {
    let api = |path: &str, upstream: &str, audience: &str, scopes: &[&str]| Route {
        path: path.to_owned(),
        upstream: upstream.to_owned(),
        audience: Some(audience.to_owned()),
        scopes: scopes.iter().map(|&scope| scope.to_owned()).collect(),
        strip_prefix: true,
    };
    vec![
        Route::public("/", &addresses.app),
        api(
            "/api/quotes/",
            &addresses.apis.quotes,
            "https://quotes.sandbox.example",
            &["read:quotes"],
        ),
        api(
            "/api/accounts/",
            &addresses.apis.accounts,
            "https://accounts.sandbox.example",
            &["read:accounts", "write:accounts"],
        ),
    ]
}

fn invite(world: &World) {
    let origin = world.origin();
    let ledger = format!("{}/ledger/summary", world.addresses.control.trim_end_matches('/'));
    let tries = [
        (format!("curl -i {origin}/api/quotes/quote"), "401: nobody is signed in here"),
        (format!("curl -s {ledger}"), "what the provider has seen"),
        (format!("curl -s {}", world.admin("/api/sessions")), "who is signed in, and how fresh"),
        (format!("curl -s {}", world.admin("/metrics")), "numbers for Prometheus"),
    ];
    let width = tries.iter().map(|(line, _)| line.len()).max().unwrap_or(0);
    let tries: Vec<String> =
        tries.iter().map(|(line, says)| format!("    {line:<width$}   {says}")).collect();
    terminal::result(&format!(
        "
Tokenward is running. Click here, and sign in as anyone:

    {origin}/

The page calls two APIs with access tokens that live for {ACCESS_TOKEN_SECONDS} seconds. The console of the
operator, with everybody's sessions: {}

A wall display calls one of them too: p lets a telephone scan its panel, m switches an MFA rule on
and off, w pulls its wire. To try by hand:

{}

Configuration, state and logs of this run: {}
Ctrl-C stops everything. What happens:
",
        world.admin("/"),
        tries.join("\n"),
        world.folder().display(),
    ));
}
