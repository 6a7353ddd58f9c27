//! The callers: each goes on calling through every outage, whatever it is told.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use tokenward_programs::adoption::{self, Adopted, Family, Wish};
use tokenward_programs::control::Control;
use tokenward_programs::dice::Dice;
use tokenward_programs::failure::Failure;
use tokenward_programs::http::Caller;

pub(super) use self::board::{Board, Missing, Recovery, Tally};
pub(crate) use self::board::{Heard, understand};
use crate::world::{CLIENT_ID, World};

mod board;

/// Callers of each session: two at once meet every exchange.
const CALLERS: usize = 2;
/// Between two calls of one caller, at least and at most: some ten calls for each access token.
const GAP: [Duration; 2] = [Duration::from_millis(60), Duration::from_millis(240)];

/// An API that the crowd calls.
#[derive(Debug)]
pub(crate) struct Audience {
    pub(crate) identifier: &'static str,
    pub(crate) scopes: &'static [&'static str],
    /// The gateway's route.
    pub(crate) prefix: &'static str,
    /// What is called behind it.
    pub(crate) path: &'static str,
}

/// The sandbox's three APIs.
pub(crate) const AUDIENCES: [Audience; 3] = [
    Audience {
        identifier: "https://quotes.sandbox.example",
        scopes: &["read:quotes"],
        prefix: "/quotes/",
        path: "/quotes/quote",
    },
    Audience {
        identifier: "https://accounts.sandbox.example",
        scopes: &["read:accounts"],
        prefix: "/accounts/",
        path: "/accounts/accounts",
    },
    Audience {
        identifier: "https://echo.sandbox.example",
        scopes: &["use:echo"],
        prefix: "/echo/",
        path: "/echo/anything",
    },
];

/// A session of the crowd.
#[derive(Clone, Debug)]
pub(crate) struct Member {
    /// The session's public id.
    pub(crate) id: String,
    handle: String,
}

impl Member {
    /// Returns what a program sends for this session.
    pub(crate) fn authorization(&self) -> String {
        format!("Bearer {}", self.handle)
    }

    /// Makes a member of whom only the id is known.
    #[cfg(test)]
    pub(crate) fn known(id: &str) -> Self {
        Self { id: id.to_owned(), handle: String::new() }
    }
}

/// Starts token families at the provider, and lets the gateway adopt each as a session.
///
/// # Errors
/// `Ours` when either refuses.
pub(crate) fn gather(world: &World, count: u32) -> Result<Vec<Member>, Failure> {
    adopt_all(&world.control(), &[world.admin("")], count)
}

/// Does as [`gather`] with several gateways, given by their admin listeners, which adopt in turn.
///
/// # Errors
/// As [`gather`].
pub(crate) fn adopt_all(
    control: &Control,
    admins: &[String],
    count: u32,
) -> Result<Vec<Member>, Failure> {
    let [first, ..] = AUDIENCES;
    let scope = first.scopes.join(" ");
    let wish = Wish { count, client_id: CLIENT_ID, audience: first.identifier, scope: &scope };
    let families = adoption::mint(control, &wish)?;
    let caller = Caller::new();
    let turns = families.iter().zip(admins.iter().cycle());
    let member = |adopted: Adopted| Member { id: adopted.session, handle: adopted.handle };
    let adopt = |(family, admin): (&Family, &String)| {
        adoption::adopt(admin, &caller, family, first.identifier).map(member)
    };
    turns.map(adopt).collect()
}

/// The callers at work.
#[derive(Debug)]
pub(super) struct Crowd {
    leave: Arc<AtomicBool>,
    callers: Vec<JoinHandle<()>>,
}

impl Crowd {
    /// Lets all callers of all sessions start.
    pub(super) fn start(
        origin: &str,
        members: &[Member],
        board: &Arc<Board>,
        dice: &mut Dice,
    ) -> Self {
        let leave = Arc::new(AtomicBool::new(false));
        let seats = (0..members.len()).flat_map(|seat| (0..CALLERS).map(move |_| seat));
        let callers = seats.map(|seat| {
            let mut caller = Calling {
                seat,
                authorization: members[seat].authorization(),
                origin: origin.to_owned(),
                caller: Caller::new(),
                board: Arc::clone(board),
                dice: Dice::new(dice.roll()),
            };
            let leave = Arc::clone(&leave);
            thread::spawn(move || caller.call_until(&leave))
        });
        let callers = callers.collect();
        Self { leave, callers }
    }

    /// Sends all callers home.
    pub(super) fn stop(self) {
        self.leave.store(true, Ordering::Relaxed);
        for caller in self.callers {
            // One that panicked has left its session without calls: the board misses it.
            let _ = caller.join();
        }
    }
}

/// One caller of one session.
#[derive(Debug)]
struct Calling {
    seat: usize,
    authorization: String,
    origin: String,
    caller: Caller,
    board: Arc<Board>,
    dice: Dice,
}

impl Calling {
    fn call_until(&mut self, leave: &AtomicBool) {
        let first = self.dice.pick(&[0, 1, 2]);
        for audience in (0..AUDIENCES.len()).cycle().skip(first) {
            if leave.load(Ordering::Relaxed) {
                break;
            }
            let before = self.board.era();
            let url = format!("{}{}", self.origin, AUDIENCES[audience].path);
            let answer = self.caller.fetch(&url, &[("authorization", &self.authorization)]);
            self.board.hear(self.seat, audience, before, answer);
            thread::sleep(self.dice.between(GAP[0], GAP[1]));
        }
    }
}
