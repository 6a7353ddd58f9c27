//! What all callers heard, written down once.

use std::iter::Sum;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokenward_programs::clock::Watch;
use tokenward_programs::http::Answer;

use super::{AUDIENCES, Member};

/// The most broken promises that are kept in words; all are counted.
const TOLD_MAX: usize = 10;

/// The board. An era is one stretch of the gateway's being up or down; it counts from 0, and is
/// even while the gateway is up. A life is an even era's half.
#[derive(Debug)]
pub(in super::super) struct Board {
    era: AtomicU64,
    answered: AtomicU64,
    postponed: AtomicU64,
    unanswered: AtomicU64,
    broken: AtomicU64,
    notes: Mutex<Notes>,
}

#[derive(Debug)]
struct Notes {
    seats: Vec<Seat>,
    started: Watch,
    starts: Vec<Duration>,
    recoveries: Vec<Recovery>,
    broken: Vec<String>,
}

/// What one session was told.
#[derive(Clone, Debug)]
struct Seat {
    id: String,
    /// For each audience the life that has last answered it with 200.
    served_in: [Option<u64>; AUDIENCES.len()],
    /// The era in which it was told to sign in anew, and the gateway's sentence.
    ended: Option<(u64, String)>,
}

/// How long after the gateway's start a session had been answered for every audience.
#[derive(Clone, Copy, Debug)]
pub(in super::super) struct Recovery {
    pub(in super::super) seat: usize,
    pub(in super::super) life: u64,
    pub(in super::super) took: Duration,
}

/// A session that did not live on.
#[derive(Clone, Debug)]
pub(in super::super) struct Missing {
    pub(in super::super) id: String,
    /// The era in which it ended, and the gateway's sentence; `None` where it was only silent.
    pub(in super::super) ended: Option<(u64, String)>,
}

/// How often each kind of answer was heard.
#[derive(Clone, Debug, Default)]
pub(in super::super) struct Tally {
    pub(in super::super) answered: u64,
    pub(in super::super) postponed: u64,
    pub(in super::super) unanswered: u64,
    pub(in super::super) broken: u64,
    /// The first broken promises, in words.
    pub(in super::super) told: Vec<String>,
}

/// What an answer means.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Heard {
    /// 200.
    Served,
    /// 503 with a Retry-After.
    Postponed,
    /// Nothing, while the gateway was down or went down.
    Unanswered,
    /// 401 of the gateway itself: the session has ended.
    Ended(String),
    /// Anything else, in words.
    Broken(String),
}

impl Board {
    pub(in super::super) fn new(members: &[Member]) -> Self {
        let seat = |member: &Member| Seat {
            id: member.id.clone(),
            served_in: [None; AUDIENCES.len()],
            ended: None,
        };
        Self {
            era: AtomicU64::new(0),
            answered: AtomicU64::new(0),
            postponed: AtomicU64::new(0),
            unanswered: AtomicU64::new(0),
            broken: AtomicU64::new(0),
            notes: Mutex::new(Notes {
                seats: members.iter().map(seat).collect(),
                started: Watch::start(),
                starts: Vec::new(),
                recoveries: Vec::new(),
                broken: Vec::new(),
            }),
        }
    }

    pub(in super::super) fn era(&self) -> u64 {
        self.era.load(Ordering::SeqCst)
    }

    /// Notes that the gateway is about to be killed.
    pub(in super::super) fn goes_down(&self) {
        self.era.fetch_add(1, Ordering::SeqCst);
    }

    /// Notes that the gateway, started when `started` was, became ready after `took`; returns the
    /// number of its life.
    pub(in super::super) fn comes_up(&self, started: Watch, took: Duration) -> u64 {
        let mut notes = self.notes();
        notes.started = started;
        notes.starts.push(took);
        drop(notes);
        // Odd while the gateway is down: the era after it is twice the number of its life.
        self.era.fetch_add(1, Ordering::SeqCst).div_ceil(2)
    }

    /// Writes down what a call brought that began in the era `before`.
    pub(in super::super) fn hear(
        &self,
        seat: usize,
        audience: usize,
        before: u64,
        answer: Result<Answer, String>,
    ) {
        let after = self.era();
        let up_throughout = before == after && before.is_multiple_of(2);
        let heard = understand(answer, up_throughout);
        let life = before / 2;
        let count = match heard {
            Heard::Served => {
                if up_throughout {
                    self.notes().serve(seat, audience, life);
                }
                &self.answered
            }
            Heard::Postponed => &self.postponed,
            Heard::Unanswered => &self.unanswered,
            Heard::Ended(why) => {
                self.notes().seats[seat].ended.get_or_insert((after, why));
                &self.answered
            }
            Heard::Broken(what) => {
                let mut notes = self.notes();
                if notes.broken.len() < TOLD_MAX {
                    notes.broken.push(format!("{}: {what}", AUDIENCES[audience].path));
                }
                &self.broken
            }
        };
        count.fetch_add(1, Ordering::Relaxed);
    }

    pub(in super::super) fn answered(&self) -> u64 {
        self.answered.load(Ordering::Relaxed)
    }

    /// Returns the sessions that were not answered for every audience in the present life, or that
    /// have ended at all.
    pub(in super::super) fn missing(&self) -> Vec<Missing> {
        let life = self.era() / 2;
        let notes = self.notes();
        let missing =
            notes.seats.iter().filter(|seat| seat.ended.is_some() || !seat.is_served(life));
        missing.map(|seat| Missing { id: seat.id.clone(), ended: seat.ended.clone() }).collect()
    }

    /// Tells whether half of the sessions have been answered for every audience in this life, or
    /// have ended.
    pub(in super::super) fn is_lively(&self) -> bool {
        let life = self.era() / 2;
        let notes = self.notes();
        notes.seats.iter().filter(|seat| seat.ended.is_some() || seat.is_served(life)).count() * 2
            >= notes.seats.len()
    }

    pub(in super::super) fn recoveries(&self) -> Vec<Recovery> {
        self.notes().recoveries.clone()
    }

    /// Returns how long each start took until the gateway was ready.
    pub(in super::super) fn starts(&self) -> Vec<Duration> {
        self.notes().starts.clone()
    }

    pub(in super::super) fn tally(&self) -> Tally {
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        Tally {
            answered: read(&self.answered),
            postponed: read(&self.postponed),
            unanswered: read(&self.unanswered),
            broken: read(&self.broken),
            told: self.notes().broken.clone(),
        }
    }

    fn notes(&self) -> MutexGuard<'_, Notes> {
        self.notes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<'a> Sum<&'a Tally> for Tally {
    fn sum<I: Iterator<Item = &'a Tally>>(all: I) -> Self {
        all.fold(Self::default(), |sum, one| Self {
            answered: sum.answered + one.answered,
            postponed: sum.postponed + one.postponed,
            unanswered: sum.unanswered + one.unanswered,
            broken: sum.broken + one.broken,
            told: sum.told.iter().chain(&one.told).take(TOLD_MAX).cloned().collect(),
        })
    }
}

impl Notes {
    fn serve(&mut self, number: usize, audience: usize, life: u64) {
        let took = self.started.elapsed();
        let seat = &mut self.seats[number];
        let served_before = seat.is_served(life);
        seat.served_in[audience] = Some(life);
        if seat.is_served(life) && !served_before {
            self.recoveries.push(Recovery { seat: number, life, took });
        }
    }
}

impl Seat {
    fn is_served(&self, life: u64) -> bool {
        self.served_in.iter().all(|served| *served == Some(life))
    }
}

/// Understands an answer; nothing may stay unanswered while the gateway was up all the time.
pub(crate) fn understand(answer: Result<Answer, String>, up_throughout: bool) -> Heard {
    let answer = match answer {
        Ok(answer) => answer,
        Err(why) if up_throughout => return Heard::Broken(why),
        Err(_) => return Heard::Unanswered,
    };
    let kind = answer.header("content-type").unwrap_or_default();
    match answer.status {
        200 => Heard::Served,
        _ if answer.is_postponed() => Heard::Postponed,
        401 if kind.starts_with("application/problem+json") => {
            let problem: serde_json::Value = serde_json::from_str(&answer.body).unwrap_or_default();
            Heard::Ended(problem["detail"].as_str().unwrap_or("no detail").to_owned())
        }
        // What an API refuses holds no secret: the sandbox echoes hashes only.
        status => Heard::Broken(format!("answered {status} {}", answer.body.trim())),
    }
}

#[cfg(test)]
mod tests {
    use tokenward_programs::http::{HeaderMap, HeaderName, HeaderValue};

    use super::*;

    fn answer(status: u16, headers: &[(&'static str, &'static str)], body: &str) -> Answer {
        let headers: HeaderMap = headers
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)))
            .collect();
        Answer { status, headers, body: body.to_owned() }
    }

    #[test]
    fn only_good_answers_and_honest_delays_are_in_order() {
        let problem = [("content-type", "application/problem+json")];
        let lost = || Err("connection refused".to_owned());
        for (answer, up, expected) in [
            (Ok(answer(200, &[], "")), true, "Served"),
            (Ok(answer(503, &[("retry-after", "1")], "")), true, "Postponed"),
            (Ok(answer(503, &[], "")), true, "Broken(\"answered 503 \")"),
            (Ok(answer(401, &problem, "{\"detail\":\"over\"}")), true, "Ended(\"over\")"),
            (Ok(answer(401, &[], "{}")), true, "Broken(\"answered 401 {}\")"),
            (Ok(answer(502, &[], "")), false, "Broken(\"answered 502 \")"),
            (lost(), false, "Unanswered"),
            (lost(), true, "Broken(\"connection refused\")"),
        ] {
            assert_eq!(format!("{:?}", understand(answer, up)), expected);
        }
    }

    #[test]
    fn a_session_is_missing_until_every_audience_has_answered_in_this_life() {
        let members = [Member { id: "s".to_owned(), handle: String::new() }];
        let board = Board::new(&members);
        let serve = |audience, before| board.hear(0, audience, before, Ok(answer(200, &[], "")));
        (0..3).for_each(|audience| serve(audience, 0));
        assert!(board.missing().is_empty());
        board.goes_down();
        assert_eq!(board.comes_up(Watch::start(), Duration::ZERO), 1);
        assert_eq!(board.missing().len(), 1);
        serve(0, 0);
        (0..2).for_each(|audience| serve(audience, 2));
        assert_eq!(board.missing().len(), 1, "one audience is still silent");
        serve(2, 2);
        assert!(board.missing().is_empty());
        assert_eq!(board.recoveries().iter().map(|one| one.life).collect::<Vec<_>>(), [0, 1]);
    }
}
