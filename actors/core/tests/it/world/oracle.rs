//! Judges a world by the laws alone, without a look into the core.

mod reuse;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use tokenward_core::event::{EndReason, Trigger};
use tokenward_core::grant::Reply;
use tokenward_core::name::Generation;
use tokenward_core::refusal::EndCause;
use tokenward_core::session::exchange::TokenRequest;
use tokenward_core::session::{Answer, Need, Offer};
use tokenward_core::time::Instant;

use super::line::{Twist, told};
use super::provider::{Provider, Revoked, serial};
use super::store::Store;

/// What has been seen, and what was wrong with it.
#[derive(Debug, Default)]
pub(crate) struct Oracle {
    /// Broken laws, in the order in which they broke.
    pub(crate) laws: Vec<String>,
    pub(crate) waiters: BTreeMap<u64, Waiter>,
    pub(crate) tally: Tally,
    pub(crate) requests: Vec<Request>,
    faults: Vec<Instant>,
    pub(crate) settle: Duration,
    /// Whether a machine slept over the end of its lease with a reply on its way.
    overslept: bool,
    whims: bool,
    parent: Option<Generation>,
    crashes: Vec<(usize, Instant)>,
    sends: VecDeque<Instant>,
    durable: BTreeSet<u64>,
    /// The refresh tokens that reached a living machine.
    received: BTreeSet<usize>,
    /// By access token: when it ends, counted from its receipt.
    ends_at: BTreeMap<u64, Instant>,
    served: BTreeMap<(usize, String), Instant>,
    demanded: BTreeMap<(usize, String), Instant>,
    ended: BTreeMap<usize, EndReason>,
    refused: bool,
}

/// What a world has counted.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Tally {
    pub(crate) sends: u64,
    pub(crate) granted: u64,
    /// Families revoked by what no client can prevent: a request that outlived its machine, a
    /// machine that slept over its lease, and a second fault that kept the retry out of the window.
    pub(crate) physical: [u64; 3],
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

/// One request to the provider.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) machine: usize,
    pub(crate) boot: u64,
    pub(crate) request: TokenRequest,
    pub(crate) twist: Option<Twist>,
    pub(crate) trigger: Trigger,
    pub(crate) arrives_at: Option<Instant>,
    pub(crate) lease_until: Option<Instant>,
    pub(crate) departed_at: Instant,
    pub(crate) stalled: bool,
    pub(crate) closed: bool,
    pub(crate) arrived: bool,
}

/// How late after its deadline a caller may be told: one turn of the alarm.
const LATE_MAX: Duration = Duration::from_millis(50);

/// The most requests in [`LOOP_SPAN`]: more is a loop.
const LOOP_SENDS_MAX: usize = 40;
const LOOP_SPAN: Duration = Duration::from_secs(10);

/// How long a held audience must be left alone.
const HOLD_PAUSE: Duration = Duration::from_secs(6 * 3600);

/// How long before its end a token need not be served any more.
const MARGIN_MAX: Duration = Duration::from_secs(5);

impl Oracle {
    pub(crate) fn broken(&mut self, now: Instant, law: &str) {
        let at = now.since(super::START).as_secs_f64();
        self.laws.push(format!("{law} (at {at:.3}s)"));
    }

    pub(crate) fn fault(&mut self, now: Instant) {
        self.faults.push(now);
    }

    pub(crate) fn crashed(&mut self, machine: usize, now: Instant) {
        self.crashes.push((machine, now));
        self.waiters.retain(|_, waiter| waiter.machine != machine);
        self.served.retain(|(at, _), _| *at != machine);
        self.demanded.retain(|(at, _), _| *at != machine);
        self.ended.remove(&machine);
        for request in self.requests.iter_mut().filter(|request| request.machine == machine) {
            request.closed = true;
        }
    }

    pub(crate) fn operator_retried(&mut self) {
        self.demanded.clear();
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

    pub(crate) fn answered(&mut self, machine: usize, waiter: u64, answer: &Answer, now: Instant) {
        let Some(waiter) = self.waiters.remove(&waiter) else {
            return self.broken(now, "L4 an answer to nobody");
        };
        if now > waiter.deadline + LATE_MAX && self.quiet_since(waiter.deadline) {
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
        self.judge_offer(offer, now);
        let ends_at = self.ends_at.get(&number(offer)).copied().unwrap_or(Instant::ZERO);
        if ends_at <= now {
            self.broken(now, "L5 a token that has ended");
        }
        self.served.insert((machine, told(&waiter.need)), ends_at - MARGIN_MAX);
    }

    pub(crate) fn published(&mut self, machine: usize, offers: &[Offer], now: Instant) {
        for offer in offers {
            self.judge_offer(offer, now);
        }
        if self.ended.contains_key(&machine) && !offers.is_empty() {
            self.broken(now, "L10 an ended session is published");
        }
    }

    fn judge_offer(&mut self, offer: &Offer, now: Instant) {
        if !self.durable.contains(&number(offer)) {
            self.broken(now, "L2 a token is shown before it is saved");
        }
        if self.ends_at.get(&number(offer)).is_some_and(|ends_at| offer.serve_until > *ends_at) {
            self.broken(now, "L12 a token is shown beyond its end");
        }
    }

    /// Judges what a flight asks for, before it leaves.
    pub(crate) fn asks(&mut self, machine: usize, need: &Need, trigger: Trigger, now: Instant) {
        let demanded = self.demanded.get(&(machine, told(need)));
        let lately = demanded.is_some_and(|at| now.since(*at) < HOLD_PAUSE);
        if lately && trigger != Trigger::Doubt {
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
        leased_at: Instant,
        now: Instant,
    ) {
        let is_kept = store.record.refresh_token.as_ref() == Some(&request.refresh_token);
        if !is_kept && store.moved_at < leased_at {
            self.broken(now, "L3 a refresh token that was answered is sent again");
        }
        if self.ended.contains_key(&machine) && store.ended_at.is_some_and(|at| at < leased_at) {
            self.broken(now, "L10 an ended session asks the provider");
        }
    }

    /// Takes a request that leaves, and returns its number.
    pub(crate) fn departs(&mut self, request: Request, now: Instant) -> usize {
        self.tally.sends += 1;
        let orphan = |other: &Request| self.crashes.iter().any(|(m, _)| *m == other.machine);
        let two = self.requests.iter().any(|other| {
            let leased = other.lease_until.is_some_and(|until| now < until);
            let under_way = !other.arrived && !other.stalled && !orphan(other);
            under_way || (!other.closed && leased && !other.stalled)
        });
        if two {
            self.broken(now, "L1 two exchanges are in flight");
        }
        self.requests.push(request);
        self.requests.len() - 1
    }

    pub(crate) fn arrives(&mut self, number: usize) -> Request {
        self.requests[number].arrived = true;
        self.requests[number].clone()
    }

    /// Takes what the provider decided, and judges a revoked family.
    pub(crate) fn decided(
        &mut self,
        number: usize,
        provider: &Provider,
        reply: Option<&Reply>,
        now: Instant,
    ) {
        let Request { request, twist, .. } = self.requests[number].clone();
        // A token that lives shorter than the one it replaces is the provider's whim.
        self.whims |= matches!(twist, Some(Twist::Lives(_)));
        if let Some(Reply::Granted(_)) = reply {
            let need = told(&request.need);
            self.demanded.retain(|(_, known), _| *known != need);
        }
        if let Some(Reply::Refused(refusal)) = reply {
            self.refused |= refusal.error.as_deref() == Some("invalid_grant");
        }
        if let Some(Revoked::Reuse { in_window, since }) = &provider.revoked
            && !std::mem::replace(&mut self.refused, true) | (self.tally.physical == [0; 3])
        {
            self.judge_reuse(number, *in_window, *since, provider, now);
        }
    }

    /// Takes a reply that reached the machine that waits for it.
    pub(crate) fn receives(&mut self, number: usize, reply: &Reply, now: Instant) {
        let lease_until = self.requests[number].lease_until;
        self.overslept |= lease_until.is_some_and(|until| until < now);
        let refresh_token = match reply {
            Reply::Granted(grant) => {
                // A newer token may live shorter, wherever it is heard of.
                let need = told(&self.requests[number].request.need);
                self.served.retain(|(_, known), _| *known != need);
                let access_token = serial_of(grant.access_token.expose());
                self.ends_at.insert(access_token, now + grant.lifetime.unwrap_or_default());
                grant.refresh_token.as_ref()
            }
            Reply::Malformed(malformed) => malformed.refresh_token.as_ref(),
            Reply::Refused(refusal) => {
                let Request { machine, request, trigger, .. } = &self.requests[number];
                // What is learnt in doubt is kept in memory only, and may be asked once more.
                let is_held = refusal.error.as_deref() == Some("mfa_required");
                if is_held && *trigger != Trigger::Doubt {
                    self.demanded.insert((*machine, told(&request.need)), now);
                }
                None
            }
            Reply::NotSent(_) | Reply::Unheard(_) => None,
        };
        self.received.extend(refresh_token.map(serial));
    }

    pub(crate) fn leaves(&mut self, machine: usize, waiter: u64) {
        if self.waiters.get(&waiter).is_some_and(|waiting| waiting.machine == machine) {
            self.waiters.remove(&waiter);
        }
    }

    pub(crate) fn asker(&self, number: usize) -> (usize, u64) {
        (self.requests[number].machine, self.requests[number].boot)
    }

    /// Takes the end of waiting for a reply; true where it had ended already.
    pub(crate) fn closes(&mut self, number: usize) -> bool {
        std::mem::replace(&mut self.requests[number].closed, true)
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
        }
        for entry in &store.record.entries {
            self.durable.insert(serial_of(entry.access_token.expose()));
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
        let proven = matches!(provider.revoked, Some(Revoked::Reuse { .. } | Revoked::OnRequest));
        if let EndReason::Refused(EndCause::InvalidGrant) = reason
            && !proven
            && !self.refused
        {
            self.broken(now, "L7 a session is ended without proof");
        }
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

    /// Takes a save that was dropped: what it said is not known to the session.
    pub(crate) fn drops(&mut self, machine: usize) {
        self.demanded.retain(|(at, _), _| *at != machine);
    }

    fn quiet_since(&self, moment: Instant) -> bool {
        self.faults.iter().all(|at| *at + Duration::from_secs(60) < moment)
    }
}

fn number(offer: &Offer) -> u64 {
    serial_of(offer.entry.access_token.expose())
}

fn serial_of(access_token: &str) -> u64 {
    access_token.rsplit('.').next().and_then(|text| text.parse().ok()).unwrap_or(0)
}
