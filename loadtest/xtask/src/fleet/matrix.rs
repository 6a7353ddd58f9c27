//! One exchange for each expiry, whatever the number of gateways and however slow the provider: all
//! gateways are asked for the same sessions at the same time, and the ledger is counted.

use std::thread;
use std::time::Duration;

use serde_json::json;
use tokenward_programs::clock::{self, Watch};
use tokenward_programs::control::Control;
use tokenward_programs::failure::Failure;
use tokenward_programs::http::Caller;

use super::gateways::{Gateways, Wish};
use super::ledger::{Ledger, Sums};
use super::redis::{Fsync, Layout, Redis};
use super::{Options, routes};
use crate::crash::crowd::{self, AUDIENCES, Member};
use crate::side_by_side::{self, Piece};
use crate::terminal;
use crate::tree::Tree;

/// The numbers of gateways.
const FLEETS: [Fleet; 4] = [
    Fleet { gateways: 1, name: "1 gateway" },
    Fleet { gateways: 2, name: "2 gateways" },
    Fleet { gateways: 4, name: "4 gateways" },
    Fleet { gateways: 8, name: "8 gateways" },
];
/// The provider's latencies, and lives of access tokens that are longer than an exchange for each
/// audience takes, one after the other.
const CELLS: [Cell; 3] = [
    Cell { latency_s: 0, life_s: 12 },
    Cell { latency_s: 1, life_s: 12 },
    Cell { latency_s: 10, life_s: 60 },
];
/// Sessions that are asked for at once.
const SESSIONS: u32 = 4;
/// How often all tokens run out.
const EXPIRIES: u32 = 2;
/// How long a caller goes on after it was told to come back: three hard deadlines.
const PATIENCE: Duration = Duration::from_secs(40);
/// How long a caller that was told to come back waits.
const COMES_BACK: Duration = Duration::from_millis(250);
/// What the sample APIs forgive beyond a token's end.
const API_LEEWAY_SECONDS: u32 = 3;

/// Gateways that share a Redis.
#[derive(Clone, Copy, Debug)]
struct Fleet {
    gateways: usize,
    name: &'static str,
}

/// How slow the provider is, and how long its tokens live.
#[derive(Clone, Copy, Debug)]
struct Cell {
    latency_s: u64,
    life_s: u32,
}

/// What was counted in a cell.
#[derive(Clone, Copy, Debug)]
struct Count {
    fleet: Fleet,
    cell: Cell,
    sums: Sums,
    /// Callers that were not answered in time.
    silent: u64,
}

impl Piece for Fleet {
    fn name(&self) -> &str {
        self.name
    }

    fn seconds(&self) -> u32 {
        u32::try_from(self.gateways).unwrap_or(u32::MAX)
    }
}

/// Counts, and prints `fleet reuse R lost L revoked V exchanges_per_expiry X` last.
///
/// # Errors
/// `Missed` where an expiry took more than one exchange, or a caller was not answered.
pub(crate) fn run(options: &Options, tree: &Tree) -> Result<(), Failure> {
    // They sleep most of the time, until tokens run out.
    let jobs = u8::try_from(FLEETS.len()).unwrap_or(1);
    let counts = side_by_side::play(&FLEETS, jobs, "fleets", |fleet| fleet.count(options, tree));
    let counts = counts.into_iter().collect::<Result<Vec<_>, _>>()?;
    let counts: Vec<Count> = counts.into_iter().flatten().collect();
    let head = ["gateways", "provider s", "expiries", "exchanges", "met", "unanswered"];
    let row = |count: &Count| {
        let Count { fleet, cell, sums, silent } = count;
        let expiries = sums.exchanges - sums.extra;
        [cell.latency_s, expiries, sums.exchanges, sums.overlaps, *silent].iter().fold(
            vec![fleet.gateways.to_string()],
            |mut row, number| {
                row.push(number.to_string());
                row
            },
        )
    };
    let head = head.map(str::to_owned).to_vec();
    let rows: Vec<_> = std::iter::once(head).chain(counts.iter().map(row)).collect();
    terminal::note(&terminal::table(&rows));
    let sum = |of: fn(&Count) -> u64| counts.iter().map(of).sum::<u64>();
    let all = Sums {
        exchanges: sum(|count| count.sums.exchanges),
        extra: sum(|count| count.sums.extra),
        ..Sums::default()
    };
    let (reuse, revoked) = (sum(|count| count.sums.reuse), sum(|count| count.sums.revoked));
    let silent = sum(|count| count.silent);
    terminal::result(&format!(
        "fleet reuse {reuse} lost {silent} revoked {revoked} exchanges_per_expiry {:.2}",
        all.per_expiry()
    ));
    let uneven = counts.iter().filter(|count| !count.is_even()).count();
    if uneven == 0 {
        return Ok(());
    }
    Err(Failure::Missed(format!(
        "in {uneven} of {} rows an expiry did not take exactly one exchange, or a caller was not \
         answered",
        counts.len()
    )))
}

impl Count {
    fn is_even(&self) -> bool {
        let Sums { exchanges, extra, reuse, revoked, overlaps, .. } = self.sums;
        let least = u64::from(SESSIONS) * AUDIENCES.len() as u64;
        extra + reuse + revoked + overlaps + self.silent == 0 && exchanges >= least
    }
}

impl Fleet {
    fn count(&self, options: &Options, tree: &Tree) -> Result<Vec<Count>, Failure> {
        let folder = tree.fresh_run(&format!("fleet-of-{}", self.gateways))?;
        let redis = Redis::start(&folder, Layout::Single, Fsync::Everysec)?;
        let wish = Wish {
            profile: options.profile(),
            gateways: self.gateways,
            public_port: None,
            access_token_seconds: CELLS[0].life_s,
            reuse_window_seconds: Some(options.reuse_window),
        };
        let mut gateways = Gateways::start(tree, &folder, &wish, &redis, routes)?;
        let control = gateways.control();
        control.post("tenant", &json!({ "api_leeway_s": API_LEEWAY_SECONDS }))?;
        let mut counts = Vec::new();
        for cell in CELLS {
            // New sessions, which have no token of another life.
            let members = crowd::adopt_all(&control, &gateways.admins(), SESSIONS)?;
            let (sums, silent) = cell.count(&control, &gateways, &members)?;
            counts.push(Count { fleet: *self, cell, sums, silent });
        }
        gateways.stop()?;
        drop(redis);
        Ok(counts)
    }
}

impl Cell {
    /// Lets all tokens run out some times, and each time asks all gateways for all sessions at once.
    fn count(
        self,
        control: &Control,
        gateways: &Gateways,
        members: &[Member],
    ) -> Result<(Sums, u64), Failure> {
        let tenant = json!({
            "token_latency_ms": self.latency_s * 1000,
            "access_token_lifetime_s": self.life_s,
        });
        control.post("tenant", &tenant)?;
        let life = Duration::from_secs(self.life_s.into());
        // With a ledger of its own a cell counts nothing of those before it.
        control.delete("ledger")?;
        let mut ledger = Ledger::open(control.clone(), Watch::start(), life);
        let mut silent = 0;
        for _ in 0..EXPIRIES {
            silent += ask_everywhere(gateways, members);
            // What is refreshed ahead meanwhile is one more expiry, and takes one exchange too.
            thread::sleep(life + Duration::from_secs(1));
        }
        ledger.read()?;
        Ok((ledger.sums, silent))
    }
}

/// Asks each gateway for each session and audience at the same time; returns how many callers were
/// not answered.
fn ask_everywhere(gateways: &Gateways, members: &[Member]) -> u64 {
    thread::scope(|scope| {
        let mut callers = Vec::new();
        for gateway in &gateways.all {
            for (member, audience) in
                members.iter().flat_map(|member| AUDIENCES.iter().map(move |one| (member, one)))
            {
                let url = format!("{}{}", gateway.origin(), audience.path);
                callers.push(scope.spawn(move || ask(&url, &member.authorization())));
            }
        }
        // One that panicked was not answered.
        let answered = callers.into_iter().map(|caller| caller.join().unwrap_or(false));
        answered.filter(|answered| !answered).count() as u64
    })
}

/// Asks until the answer is good, and tells whether it was in time.
fn ask(url: &str, authorization: &str) -> bool {
    let caller = Caller::new();
    let answered = clock::poll(PATIENCE, COMES_BACK, || {
        let answer = caller.fetch(url, &[("authorization", authorization)]).ok()?;
        (answer.status == 200).then_some(())
    });
    answered.is_some()
}
