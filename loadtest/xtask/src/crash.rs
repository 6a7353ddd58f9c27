//! The crash loop: real gateways under load, killed again and again at the worst moments, and what
//! their sessions and the providers' ledgers say about it afterwards.
//!
//! Several lanes run side by side, each a world of its own: one provider, one gateway, one crowd.

mod aim;
mod course;
pub(crate) mod crowd;
mod doubt;
mod judge;
mod lane;
mod points;
mod trace;

use clap::Args;
use tokenward_programs::dice::Dice;
use tokenward_programs::failure::Failure;

use crate::crash::lane::{Lane, Shared};
use crate::crash::points::Point;
use crate::terminal;
use crate::tree::{Profile, Tree};
use crate::world;

/// Life of an access token, in seconds: so short that most sessions are in the middle of an exchange
/// when a kill falls.
const SHORT_LIFE: u32 = 2;
/// The same where the provider takes no refresh token twice: every session that is struck in the
/// middle is lost by right, and enough must be left to be struck by the later kills.
const LONG_LIFE: u32 = 20;

/// What the crash loop is asked for.
#[derive(Clone, Debug, Args)]
pub(crate) struct Options {
    /// How often a gateway is killed, over all lanes
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    kills: u32,
    /// Chooses moments and latencies; drawn and told where it is absent
    #[arg(long)]
    seed: Option<u64>,
    /// How long the provider takes the previous refresh token
    #[arg(long, value_name = "SECONDS", default_value_t = 60,
          value_parser = clap::value_parser!(u32).range(0..=600))]
    reuse_window: u32,
    /// How long the gateway lives at least between two kills
    #[arg(long, value_name = "SECONDS", default_value_t = 0,
          value_parser = clap::value_parser!(u64).range(0..=60))]
    life: u64,
    /// Latency of the token endpoint; drawn anew for each life where it is absent
    #[arg(long, value_name = "MILLISECONDS", value_parser = clap::value_parser!(u64).range(0..=10_000))]
    latency: Option<u64>,
    /// The only point where kills fall; all in turn where it is absent
    #[arg(long)]
    point: Option<Point>,
    /// Sessions under load in each lane
    #[arg(long, default_value_t = 12, value_parser = clap::value_parser!(u32).range(1..=200))]
    sessions: u32,
    /// Gateways that are killed side by side, each with a provider and a crowd of its own
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..=64))]
    lanes: u32,
    /// Kills optimised programs, as they are installed
    #[arg(long)]
    release: bool,
}

impl Options {
    /// The step of the test run.
    pub(crate) fn step(kills: u32) -> Self {
        Self {
            kills,
            seed: None,
            reuse_window: 60,
            life: 0,
            latency: None,
            point: None,
            sessions: 12,
            lanes: 4,
            release: false,
        }
    }

    fn access_token_seconds(&self) -> u32 {
        if self.reuse_window == 0 { LONG_LIFE } else { SHORT_LIFE }
    }

    fn profile(&self) -> Profile {
        if self.release { Profile::Release } else { Profile::Debug }
    }

    /// Returns how many kills the lane with this number makes: all have the same, or one more.
    fn share(&self, lane: u32) -> u32 {
        self.kills / self.lanes + u32::from(lane < self.kills % self.lanes)
    }
}

/// Runs the loop, and prints `crash kills N lost L revoked R` last.
///
/// # Errors
/// `Missed` when a session was lost, a family revoked, or a call answered as none may be;
/// `Unavailable` when a program does not come up.
pub(crate) fn run(options: &Options) -> Result<(), Failure> {
    let tree = Tree::find()?;
    let seed = options.seed.unwrap_or_else(Dice::random_seed);
    terminal::note("building the gateway and the sandbox");
    world::build(&tree, options.profile())?;
    // A build beside a long run must not put another program under it.
    let tree = tree.with_copies(options.profile(), "crash", &["tokenward", "tokenward-sandbox"])?;
    let lanes = options.lanes.min(options.kills);
    let options = &Options { lanes, ..options.clone() };
    let lanes = (0..lanes).map(|number| Lane::open(options, &tree, number, seed));
    let lanes = lanes.collect::<Result<Vec<_>, _>>()?;
    terminal::note(&format!(
        "{} lanes of {} sessions, {} audiences, {}-second tokens, reuse window {} s; \
         repeat with --seed {seed}; state and logs: {}",
        lanes.len(),
        options.sessions,
        crowd::AUDIENCES.len(),
        options.access_token_seconds(),
        options.reuse_window,
        lanes.iter().map(|lane| lane.folder().display().to_string()).collect::<Vec<_>>().join(", ")
    ));
    let courses = {
        let shared = Shared::new(terminal::progress(options.kills, "kills"));
        lane::run_all(options, lanes, &shared)?
    };
    judge::judge(options, &courses)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lanes_share_all_kills() {
        for (kills, lanes) in [(30, 4), (5_000, 3), (4, 4), (1, 1)] {
            let options = Options { lanes, ..Options::step(kills) };
            let shares: Vec<u32> = (0..lanes).map(|lane| options.share(lane)).collect();
            assert_eq!(shares.iter().sum::<u32>(), kills);
            assert!(shares.iter().all(|share| share.abs_diff(shares[0]) <= 1), "{shares:?}");
        }
    }
}
