//! Judges a world by the laws alone, without a look into the core.

mod family;
mod log;
mod requests;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use tokenward_core::event::{EndReason, Trigger};
use tokenward_core::name::Generation;
use tokenward_core::refusal::EndCause;
use tokenward_core::session::exchange::TokenRequest;
use tokenward_core::session::{Answer, Need, Offer};
use tokenward_core::time::Instant;

pub(crate) use self::family::Cause;
use self::log::Log;
pub(crate) use self::requests::Request;
use super::line::told;
use super::machine::Clock;
use super::provider::{Provider, serial};
use super::store::Store;

/// What has been seen, and what was wrong with it.
#[derive(Debug, Default)]
pub(crate) struct Oracle {
    /// Broken laws, in the order in which they broke.
    pub(crate) laws: Vec<String>,
    pub(crate) waiters: BTreeMap<u64, Waiter>,
    pub(crate) tally: Tally,
    pub(crate) requests: Vec<Request>,
    pub(crate) log: Log,
    pub(crate) settle: Duration,
    pub(crate) machines: usize,
    pub(crate) has_ceiling: bool,
    /// The events that were told.
    pub(crate) told: u64,
    any_crash: bool,
    /// When the store last fell back, and whether something was gone for good by then.
    fell_back: Option<Instant>,
    forgot: bool,
    /// Whose writes were forgotten then.
    to_write_again: BTreeSet<usize>,
    /// When the reply to a flight was known to be lost.
    cut_at: BTreeMap<u64, Instant>,
    /// When each refresh token became durable.
    saved_at: BTreeMap<usize, Instant>,
    /// Until when a machine was told to leave the provider alone.
    told_to_wait: BTreeMap<usize, Instant>,
    /// Whether a machine slept over the end of its lease with a reply on its way.
    overslept: bool,
    whims: bool,
    parent: Option<Generation>,
    sends: VecDeque<Instant>,
    durable: BTreeSet<u64>,
    /// The access tokens that the store has forgotten.
    unkept: BTreeSet<u64>,
    /// The refresh tokens that reached a living machine.
    received: BTreeSet<usize>,
    /// By access token: when it ends, counted from its receipt.
    ends_at: BTreeMap<u64, Instant>,
    served: BTreeMap<(usize, String), Instant>,
    demanded: BTreeMap<(usize, String), Instant>,
    ended: BTreeMap<usize, EndReason>,
    refused: bool,
    reused: bool,
}

/// What a world has counted.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Tally {
    pub(crate) sends: u64,
    pub(crate) granted: u64,
    /// Families lost to what no client can prevent, by [`Cause`].
    pub(crate) lost: [u64; Cause::ALL.len()],
}

impl Tally {
    /// Adds what another world has counted.
    pub(crate) fn add(&mut self, other: &Tally) {
        self.sends += other.sends;
        self.granted += other.granted;
        for (sum, one) in self.lost.iter_mut().zip(other.lost) {
            *sum += one;
        }
    }
}

/// One caller that waits.
#[derive(Debug)]
pub(crate) struct Waiter {
    machine: usize,
    need: Need,
    deadline: Instant,
    /// Whether a token is known that must be served at once.
    at_once: bool,
}

/// How late after its deadline a caller may be told: one turn of the alarm.
const LATE_MAX: Duration = Duration::from_millis(50);

/// The most requests in [`LOOP_SPAN`]: more is a loop.
const LOOP_SENDS_MAX: usize = 40;
const LOOP_SPAN: Duration = Duration::from_secs(10);

/// How long a held audience must be left alone.
const HOLD_PAUSE: Duration = Duration::from_secs(6 * 3600);

/// How long before its end a token need not be served any more: the serve margin, and what the
/// clocks of machines may be apart.
const MARGIN_MAX: Duration = Duration::from_millis(5_500);

impl Oracle {
    pub(crate) fn broken(&mut self, now: Instant, law: &str) {
        let at = now.since(super::START).as_secs_f64();
        self.laws.push(format!("{law} (at {at:.3}s)"));
    }

    pub(crate) fn crashed(&mut self, machine: usize, now: Instant) {
        self.any_crash = true;
        self.stops(machine, now);
        self.log.crashed(machine, now);
        self.forgets(machine);
        self.ended.remove(&machine);
        for request in self.requests.iter_mut().filter(|request| request.machine == machine) {
            request.closed = true;
        }
    }

    pub(crate) fn restarts(&mut self, machine: usize, now: Instant) {
        self.log.restarts(machine, self.settle, now);
    }

    pub(crate) fn sleeps(&mut self, machine: usize, from: Instant, until: Instant) {
        self.stops(machine, from);
        self.log.sleeps(machine, from, until);
    }

    /// Takes the loss of a session's memory: its callers learn it elsewhere.
    pub(crate) fn forgets(&mut self, machine: usize) {
        self.waiters.retain(|_, waiter| waiter.machine != machine);
        self.served.retain(|(at, _), _| *at != machine);
        self.demanded.retain(|(at, _), _| *at != machine);
        self.told_to_wait.remove(&machine);
    }

    /// Takes an operator's wish to try again: a hold that the provider has lifted is over.
    pub(crate) fn operator_retried(&mut self, is_lifted: bool, now: Instant) {
        if is_lifted {
            self.log.released(now);
        }
        self.demanded.clear();
        self.told_to_wait.clear();
    }

    /// Takes note that tokens may be withheld from whoever has not shown a factor.
    pub(crate) fn people_are_asked(&mut self) {
        self.whims = true;
    }

    pub(crate) fn wants(
        &mut self,
        machine: usize,
        waiter: u64,
        need: &Need,
        deadline: Instant,
        forced: bool,
        now: Instant,
    ) {
        let served = self.served.get(&(machine, told(need)));
        let at_once = !forced
            && !self.whims
            && !self.overslept
            && served.is_some_and(|serve_until| now < *serve_until);
        let need = need.clone();
        self.waiters.insert(waiter, Waiter { machine, need, deadline, at_once });
    }

    pub(crate) fn was_served(&mut self, waiter: u64, now: Instant) {
        if self.waiters.get(&waiter).is_some_and(|waiter| waiter.at_once) {
            self.broken(now, "L6 a token that is still good is not served");
        }
    }

    pub(crate) fn answered(
        &mut self,
        machine: usize,
        clock: Clock,
        waiter: u64,
        answer: &Answer,
        now: Instant,
    ) {
        let Some(waiter) = self.waiters.remove(&waiter) else {
            return self.broken(now, "L4 an answer to nobody");
        };
        if now > waiter.deadline + LATE_MAX && !self.log.was_away(machine, waiter.deadline, now) {
            self.broken(now, "L4 an answer after the deadline");
        }
        let Answer::Granted(offer) = answer else {
            if waiter.at_once && !matches!(answer, Answer::Ended(_)) {
                self.broken(now, "L6 a token that is still good is not served");
            }
            return;
        };
        self.tally.granted += 1;
        if self.ended.contains_key(&machine) {
            self.broken(now, "L10 a token from an ended session");
        }
        let wanted = waiter.need.scopes.resource();
        let right = offer.entry.audience == waiter.need.audience
            && (wanted.is_empty() || offer.entry.granted.covers(&wanted));
        if !right {
            self.broken(now, "L5 a token for something else");
        }
        self.judge_offer(clock, offer, now);
        let ends_at = self.ends_at.get(&number(offer)).copied().unwrap_or(Instant::ZERO);
        if ends_at <= now {
            self.broken(now, "L5 a token that has ended");
        }
        // What the store has forgotten is in this machine's memory until another one's record comes.
        if !self.unkept.contains(&number(offer)) {
            self.served.insert((machine, told(&waiter.need)), ends_at - MARGIN_MAX);
        }
    }

    pub(crate) fn published(
        &mut self,
        machine: usize,
        clock: Clock,
        offers: &[Offer],
        now: Instant,
    ) {
        for offer in offers {
            self.judge_offer(clock, offer, now);
        }
        if self.ended.contains_key(&machine) && !offers.is_empty() {
            self.broken(now, "L10 an ended session is published");
        }
    }

    fn judge_offer(&mut self, clock: Clock, offer: &Offer, now: Instant) {
        if !self.durable.contains(&number(offer)) {
            self.broken(now, "L2 a token is shown before it is saved");
        }
        if self
            .ends_at
            .get(&number(offer))
            .is_some_and(|ends_at| clock.back(offer.serve_until) > *ends_at)
        {
            self.broken(now, "L12 a token is shown beyond its end");
        }
    }

    /// Judges what a flight asks for, before it leaves.
    pub(crate) fn asks(&mut self, machine: usize, need: &Need, trigger: Trigger, now: Instant) {
        let demanded = self.demanded.get(&(machine, told(need)));
        let lately = demanded.is_some_and(|at| now.since(*at) < HOLD_PAUSE);
        // Where the store has forgotten an intent, what was learnt under it is forgotten with it.
        let asked = self.told_to_wait.get(&machine).filter(|_| self.fell_back.is_none());
        if asked.is_some_and(|until| now < *until) {
            self.broken(now, "L7 the provider is asked before the time that it named");
        }
        if lately && !matches!(trigger, Trigger::Doubt | Trigger::StepUp) {
            self.broken(now, "L8 a held audience is asked for again");
        }
        self.sends.push_back(now);
        while self.sends.front().is_some_and(|at| now.since(*at) > LOOP_SPAN) {
            self.sends.pop_front();
        }
        if self.sends.len() > LOOP_SENDS_MAX {
            self.sends.clear();
            self.broken(now, "L8 an exchange loop");
        }
    }

    pub(crate) fn sends_right_token(
        &mut self,
        machine: usize,
        request: &TokenRequest,
        store: &Store,
        leased_at: Option<Instant>,
        now: Instant,
    ) {
        let leased_at = leased_at.unwrap_or(Instant::ZERO);
        if self.may_be_forgotten(leased_at, now) {
            return;
        }
        if store.moved_at < leased_at && store.record.head.intent.is_none() {
            self.broken(now, "L2 a refresh token is spent without a durable intent");
        }
        let is_kept = store.record.refresh_token.as_ref() == Some(&request.refresh_token);
        if !is_kept && store.ended.is_none() && store.moved_at < leased_at {
            self.broken(now, "L3 a refresh token that was answered is sent again");
        }
        if self.ended.contains_key(&machine) && store.ended_at.is_some_and(|at| at < leased_at) {
            self.broken(now, "L10 an ended session asks the provider");
        }
    }

    pub(crate) fn leaves(&mut self, machine: usize, waiter: u64) {
        if self.waiters.get(&waiter).is_some_and(|waiting| waiting.machine == machine) {
            self.waiters.remove(&waiter);
        }
    }

    pub(crate) fn saves(&mut self, before: Generation, store: &Store, now: Instant) {
        if store.record.head.generation < before {
            self.broken(now, "L11 the generation goes back");
        }
        if store.record.entries.len() > 64 || store.record.holds.len() > 32 {
            self.broken(now, "L14 a record without bounds");
        }
        // A machine that lost its lease has saved after all: the one that took over may yet bring a
        // sibling, and what the two bring besides refresh tokens is not joined.
        let head = &store.record.head;
        let moved = head.generation > before;
        let sibling = moved && head.parent == self.parent;
        self.overslept |= moved && (head.intent.is_some() || sibling);
        if moved {
            self.parent = head.parent;
            if let Some(refresh_token) = &store.record.refresh_token {
                self.saved_at.insert(serial(refresh_token), now);
            }
        }
        for entry in &store.record.entries {
            let access_token = serial_of(entry.access_token.expose());
            self.durable.insert(access_token);
            self.unkept.remove(&access_token);
        }
    }

    pub(crate) fn ends(
        &mut self,
        machine: usize,
        reason: EndReason,
        provider: &Provider,
        now: Instant,
    ) {
        self.ended.insert(machine, reason);
        if reason == EndReason::Ceiling && !self.has_ceiling {
            self.broken(now, "L12 a session ends by a ceiling that it does not have");
        }
        let proven = provider.revoked.is_some();
        if let EndReason::Refused(
            EndCause::InvalidGrant | EndCause::ReplyLost | EndCause::ReplyLostTooLong,
        ) = reason
            && !proven
            && !self.refused
        {
            self.broken(now, "L7 a session is ended without proof");
        }
    }

    pub(crate) fn panicked(&mut self, machine: usize) {
        self.forgets(machine);
        self.log.forgets(machine);
    }

    /// Takes that nobody knows of an end whose tombstone is still to be written.
    pub(crate) fn forgets_end(&mut self, machine: usize) {
        self.ended.remove(&machine);
    }

    pub(crate) fn has_ended(&self, machine: usize) -> bool {
        self.ended.contains_key(&machine)
    }

    /// Judges what is left over when a world has come to rest.
    pub(crate) fn rests(&mut self, awake: impl Fn(usize) -> bool, now: Instant) {
        let forgotten = self
            .waiters
            .values()
            .any(|waiter| waiter.deadline + LATE_MAX < now && awake(waiter.machine));
        if forgotten {
            self.broken(now, "L4 a caller was never answered");
        }
    }

    /// Takes a verification whose reply was lost: it may have met the demand, and one question
    /// tells.
    pub(crate) fn tried_unheard(&mut self, need: &Need) {
        let need = told(need);
        self.demanded.retain(|(_, known), _| *known != need);
    }

    /// Takes a save that was dropped: what it said is not known to the session.
    pub(crate) fn drops(&mut self, machine: usize) {
        self.demanded.retain(|(at, _), _| *at != machine);
        self.told_to_wait.remove(&machine);
    }
}

fn number(offer: &Offer) -> u64 {
    serial_of(offer.entry.access_token.expose())
}

fn serial_of(access_token: &str) -> u64 {
    access_token.rsplit('.').next().and_then(|text| text.parse().ok()).unwrap_or(0)
}
