//! The callers of a fleet: at a steady pace, each session in turn, often at two gateways at once.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use tokenward_programs::clock::Watch;
use tokenward_programs::dice::Dice;
use tokenward_programs::http::Caller;

use super::board::Board;
use crate::crash::crowd::{AUDIENCES, Member};

/// Callers that wait for an answer at the same time at most: those that a frozen gateway keeps
/// waiting are few ([`STRAYS`]).
const CALLERS: usize = 96;
/// Calls that wait for a free caller; beyond it the pace gives way.
const WAITING_MAX: usize = 16;
/// How long a caller waits: longer than the gateway's soft deadline, which is three times as long
/// where exchanges for other audiences of the session come first.
const PATIENCE: Duration = Duration::from_secs(26);
/// One of so many calls goes to a gateway that a balancer would spare.
const STRAYS: u64 = 16;
/// Between two looks at the clock.
const TICK: Duration = Duration::from_millis(2);

/// The callers at work.
#[derive(Debug)]
pub(crate) struct Crowd {
    leave: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

/// Where and how often the crowd calls.
#[derive(Clone, Debug)]
pub(crate) struct Pace {
    /// Origins of the gateways.
    pub(crate) gateways: Vec<String>,
    /// Pairs of calls in a second.
    pub(crate) per_second: u32,
    pub(crate) seed: u64,
}

/// One call to make.
#[derive(Clone, Copy, Debug)]
struct Call {
    seat: usize,
    audience: usize,
    gateway: usize,
}

impl Crowd {
    /// Lets all callers start.
    pub(crate) fn start(pace: Pace, members: &[Member], board: &Arc<Board>) -> Self {
        let leave = Arc::new(AtomicBool::new(false));
        let (sender, calls) = sync_channel(WAITING_MAX);
        let calls = Arc::new(Mutex::new(calls));
        let credentials: Arc<[String]> = members.iter().map(Member::authorization).collect();
        let gateways: Arc<[String]> = pace.gateways.iter().cloned().collect();
        let callers = (0..CALLERS).map(|_| {
            let calling = Calling {
                caller: Caller::patient(PATIENCE),
                credentials: Arc::clone(&credentials),
                gateways: Arc::clone(&gateways),
                board: Arc::clone(board),
            };
            let calls = Arc::clone(&calls);
            thread::spawn(move || calling.take_from(&calls))
        });
        let mut threads: Vec<JoinHandle<()>> = callers.collect();
        let (board, left, seats) = (Arc::clone(board), Arc::clone(&leave), members.len());
        threads.push(thread::spawn(move || lead(&pace, seats, &board, &sender, &left)));
        Self { leave, threads }
    }

    /// Sends all callers home.
    pub(crate) fn stop(self) {
        self.leave.store(true, Ordering::Relaxed);
        for thread in self.threads {
            // One that panicked has left sessions without calls: the board misses them.
            let _ = thread.join();
        }
    }
}

/// Hands out calls at the pace that is asked for, until all are to leave.
fn lead(pace: &Pace, seats: usize, board: &Board, calls: &SyncSender<Call>, leave: &AtomicBool) {
    let mut dice = Dice::new(pace.seed);
    let watch = Watch::start();
    let (mut sent, mut turn) = (0, 0);
    while !leave.load(Ordering::Relaxed) {
        let owed = watch.elapsed().as_secs_f64() * f64::from(pace.per_second);
        if f64::from(sent) >= owed {
            thread::sleep(TICK);
            continue;
        }
        sent += 1;
        turn = (turn + 1) % (seats * AUDIENCES.len());
        let seat = turn % seats;
        let pair = pair(board, seat, (turn / seats + seat) % AUDIENCES.len(), pace, &mut dice);
        for call in pair {
            let mut call = Some(call);
            while let Some(waiting) = call.take() {
                if let Err(TrySendError::Full(waiting)) = calls.try_send(waiting)
                    && !leave.load(Ordering::Relaxed)
                {
                    thread::sleep(TICK);
                    call = Some(waiting);
                }
            }
        }
    }
}

/// Two calls for one session at once: for one audience or for two, at one gateway or at two.
fn pair(board: &Board, seat: usize, audience: usize, pace: &Pace, dice: &mut Dice) -> [Call; 2] {
    // Whoever has not been answered in this round goes first: rounds shall end.
    let silent = board.silent(seat);
    let audience = silent.first().copied().unwrap_or(audience);
    let other = if dice.roll().is_multiple_of(2) { audience } else { dice.pick(&[0, 1, 2]) };
    let mut gateway = || {
        let count = pace.gateways.len() as u64;
        let any = |dice: &mut Dice| usize::try_from(dice.roll() % count).unwrap_or(0);
        let first = any(dice);
        if board.is_ready(first) || dice.roll().is_multiple_of(STRAYS) {
            return first;
        }
        let ready = (0..pace.gateways.len()).filter(|gateway| board.is_ready(*gateway));
        let ready: Vec<usize> = ready.collect();
        if ready.is_empty() { first } else { ready[any(dice) % ready.len()] }
    };
    let (here, there) = (gateway(), gateway());
    [Call { seat, audience, gateway: here }, Call { seat, audience: other, gateway: there }]
}

/// One caller.
#[derive(Debug)]
struct Calling {
    caller: Caller,
    credentials: Arc<[String]>,
    gateways: Arc<[String]>,
    board: Arc<Board>,
}

impl Calling {
    /// Makes calls until none is handed out any more.
    fn take_from(&self, calls: &Mutex<Receiver<Call>>) {
        loop {
            let call = calls.lock().unwrap_or_else(PoisonError::into_inner).recv();
            let Ok(Call { seat, audience, gateway }) = call else {
                return;
            };
            let since = (self.board.era(gateway), self.board.round());
            let url = format!("{}{}", self.gateways[gateway], AUDIENCES[audience].path);
            let headers = [("authorization", self.credentials[seat].as_str())];
            let answer = self.caller.fetch(&url, &headers);
            self.board.hear((seat, audience, gateway), since, answer);
        }
    }
}
