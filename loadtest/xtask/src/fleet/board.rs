//! What all callers heard, written down once.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokenward_programs::http::Answer;

use crate::crash::crowd::{AUDIENCES, Heard, Member, understand};

/// The most broken promises that are kept in words; all are counted.
const TOLD_MAX: usize = 10;

/// The board.
#[derive(Debug)]
pub(crate) struct Board {
    /// For each gateway: even while it is up, odd while it is killed or frozen.
    eras: Vec<AtomicU64>,
    /// For each gateway: whether it can reach its Redis, as a balancer learns from `/readyz`.
    cut_off: Vec<AtomicU64>,
    /// Counts how often everybody was to be answered anew.
    round: AtomicU64,
    counts: [AtomicU64; 4],
    notes: Mutex<Notes>,
}

#[derive(Debug)]
struct Notes {
    seats: Vec<Seat>,
    broken: Vec<String>,
}

/// What one session was told.
#[derive(Clone, Debug)]
struct Seat {
    id: String,
    /// For each audience the round in which it was last answered with 200.
    served_in: [Option<u64>; AUDIENCES.len()],
    /// The gateway's sentence where it was told to sign in anew.
    ended: Option<String>,
}

/// How often each kind of answer was heard.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tally {
    pub(crate) answered: u64,
    /// Told to come back: 503 with a Retry-After.
    pub(crate) postponed: u64,
    /// Calls to a gateway that was killed or frozen meanwhile.
    pub(crate) unanswered: u64,
    pub(crate) broken: u64,
    /// The first broken promises, in words.
    pub(crate) told: Vec<String>,
}

impl Board {
    pub(crate) fn new(members: &[Member], gateways: usize) -> Self {
        let seat = |member: &Member| Seat {
            id: member.id.clone(),
            served_in: [None; AUDIENCES.len()],
            ended: None,
        };
        let zeroes = || (0..gateways).map(|_| AtomicU64::new(0)).collect();
        Self {
            eras: zeroes(),
            cut_off: zeroes(),
            round: AtomicU64::new(0),
            counts: [const { AtomicU64::new(0) }; 4],
            notes: Mutex::new(Notes {
                seats: members.iter().map(seat).collect(),
                broken: Vec::new(),
            }),
        }
    }

    /// Returns the era of a gateway.
    pub(crate) fn era(&self, gateway: usize) -> u64 {
        self.eras[gateway].load(Ordering::SeqCst)
    }

    /// Notes that a gateway goes down or comes up.
    pub(crate) fn turns(&self, gateway: usize) {
        self.eras[gateway].fetch_add(1, Ordering::SeqCst);
    }

    /// Notes whether a gateway can reach its Redis.
    pub(crate) fn cut_off(&self, gateway: usize, is_cut_off: bool) {
        self.cut_off[gateway].store(is_cut_off.into(), Ordering::SeqCst);
    }

    /// Tells whether a balancer would send callers to a gateway.
    pub(crate) fn is_ready(&self, gateway: usize) -> bool {
        self.era(gateway).is_multiple_of(2) && self.cut_off[gateway].load(Ordering::SeqCst) == 0
    }

    /// Begins a new round: everybody is to be answered anew.
    pub(crate) fn begin_round(&self) {
        self.round.fetch_add(1, Ordering::SeqCst);
    }

    /// Writes down what a call brought that began in the gateway's era `before`, in this round.
    pub(crate) fn hear(
        &self,
        (seat, audience, gateway): (usize, usize, usize),
        (before, round): (u64, u64),
        answer: Result<Answer, String>,
    ) {
        let up_throughout = before == self.era(gateway) && before.is_multiple_of(2);
        let kind = match understand(answer, up_throughout) {
            Heard::Served => {
                self.notes().seats[seat].served_in[audience] = Some(round);
                0
            }
            Heard::Postponed => 1,
            Heard::Unanswered => 2,
            Heard::Ended(why) => {
                self.notes().seats[seat].ended.get_or_insert(why);
                0
            }
            Heard::Broken(what) => {
                let mut notes = self.notes();
                if notes.broken.len() < TOLD_MAX {
                    let path = AUDIENCES[audience].path;
                    notes.broken.push(format!("gateway {gateway}, {path}: {what}"));
                }
                3
            }
        };
        self.counts[kind].fetch_add(1, Ordering::Relaxed);
    }

    /// Returns the number of this round.
    pub(crate) fn round(&self) -> u64 {
        self.round.load(Ordering::SeqCst)
    }

    /// Returns the sessions that have ended, with the gateway's sentence, and those that were not
    /// answered for every audience in this round.
    pub(crate) fn missing(&self) -> Vec<(String, Option<String>)> {
        let round = self.round();
        let is_served = |seat: &&Seat| seat.served_in.iter().all(|served| *served == Some(round));
        let notes = self.notes();
        let missing = notes.seats.iter().filter(|seat| seat.ended.is_some() || !is_served(seat));
        missing.map(|seat| (seat.id.clone(), seat.ended.clone())).collect()
    }

    /// Returns the audiences of a session that are silent in this round.
    pub(crate) fn silent(&self, seat: usize) -> Vec<usize> {
        let round = self.round();
        let seat = &self.notes().seats[seat];
        let silent = |audience: &usize| seat.served_in[*audience] != Some(round);
        if seat.ended.is_some() {
            return Vec::new();
        }
        (0..AUDIENCES.len()).filter(silent).collect()
    }

    pub(crate) fn tally(&self) -> Tally {
        let [answered, postponed, unanswered, broken] =
            self.counts.each_ref().map(|count| count.load(Ordering::Relaxed));
        let told = self.notes().broken.clone();
        Tally { answered, postponed, unanswered, broken, told }
    }

    fn notes(&self) -> MutexGuard<'_, Notes> {
        self.notes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use tokenward_programs::http::HeaderMap;

    use super::*;

    #[test]
    fn a_session_is_missing_until_every_audience_has_answered_in_this_round() {
        let members = [Member::known("s")];
        let board = Board::new(&members, 2);
        let good = || Ok(Answer { status: 200, headers: HeaderMap::new(), body: String::new() });
        (0..3).for_each(|audience| board.hear((0, audience, 1), (0, 0), good()));
        assert!(board.missing().is_empty());
        board.begin_round();
        board.hear((0, 0, 1), (0, 1), good());
        assert_eq!((board.missing().len(), board.silent(0)), (1, vec![1, 2]));
    }

    #[test]
    fn only_a_gateway_that_was_up_all_the_time_owes_an_answer() {
        let board = Board::new(&[Member::known("s")], 2);
        let lost = || Err("connection refused".to_owned());
        board.turns(1);
        board.hear((0, 0, 1), (1, 0), lost());
        board.hear((0, 0, 1), (0, 0), lost());
        board.hear((0, 0, 0), (0, 0), lost());
        let Tally { unanswered, broken, .. } = board.tally();
        assert_eq!((unanswered, broken, board.is_ready(0), board.is_ready(1)), (2, 1, true, false));
    }
}
