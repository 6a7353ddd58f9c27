//! Requests to the provider, from their leaving to the end of waiting for their replies.

use std::time::Duration;

use tokenward_core::event::Trigger;
use tokenward_core::grant::{Reply, Unheard};
use tokenward_core::refusal::Fate;
use tokenward_core::session::exchange::TokenRequest;
use tokenward_core::time::Instant;

use super::{Oracle, serial_of, told};
use crate::it::world::line::Twist;
use crate::it::world::provider::{Provider, Revoked, serial};

/// One request to the provider.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) machine: usize,
    pub(crate) boot: u64,
    pub(crate) flight: u64,
    /// The number of the refresh token that it spends.
    pub(crate) serial: usize,
    pub(crate) request: TokenRequest,
    pub(crate) twist: Option<Twist>,
    pub(crate) trigger: Trigger,
    pub(crate) leased_at: Instant,
    pub(crate) departed_at: Instant,
    pub(crate) arrives_at: Option<Instant>,
    pub(crate) decided_at: Option<Instant>,
    /// The number of the refresh token that it brought.
    pub(crate) child: Option<usize>,
    pub(crate) stalled: bool,
    pub(crate) closed: bool,
}

/// How long what the provider has denied or rejected is left alone.
const PARKED: Duration = Duration::from_secs(60);

impl Oracle {
    /// Takes a request that leaves, and returns its number.
    pub(crate) fn departs(&mut self, request: Request, now: Instant) -> usize {
        self.tally.sends += 1;
        // An earlier request may be under way only where the law has given it up.
        let two = self.requests.iter().any(|other| {
            let under_way = other.arrives_at.is_some() && other.decided_at.is_none();
            let awaited =
                !other.closed && !self.log.was_away(other.machine, other.departed_at, now);
            let known = !self.may_be_forgotten(other.leased_at, now);
            (under_way || awaited) && known && !self.given_up(other, now)
        });
        if two {
            self.broken(now, "L1 two exchanges are in flight");
        }
        self.requests.push(request);
        self.requests.len() - 1
    }

    /// Reports whether the law need not wait for a request any more.
    fn given_up(&self, request: &Request, now: Instant) -> bool {
        let waited = now.since(request.departed_at) >= request.request.deadline;
        let crash = self.log.crash_between(request.machine, request.departed_at, now);
        let dead = crash.is_some_and(|at| at + self.settle <= now);
        let cut = self.cut_at.get(&request.flight).is_some_and(|at| *at + self.settle <= now);
        waited || dead || cut || request.stalled
    }

    /// Takes what the provider decided, and judges a revoked family.
    pub(crate) fn decided(
        &mut self,
        number: usize,
        child: Option<usize>,
        provider: &Provider,
        reply: Option<&Reply>,
        now: Instant,
    ) {
        self.requests[number].decided_at.get_or_insert(now);
        self.requests[number].child = child.or(self.requests[number].child);
        let Request { request, twist, .. } = &self.requests[number];
        // A token that lives shorter than the one it replaces is the provider's whim.
        self.whims |= matches!(twist, Some(Twist::Lives(_)));
        if let Some(Reply::Granted(_)) = reply {
            let need = told(&request.need);
            self.demanded.retain(|(_, known), _| *known != need);
        }
        // Whoever hears of a new refresh token knows that the provider is well.
        if child.is_some() {
            self.told_to_wait.clear();
        }
        if let Some(Reply::Refused(refusal)) = reply {
            self.refused |= refusal.error.as_deref() == Some("invalid_grant");
        }
        if let Some(Revoked::Reuse(reuse)) = &provider.revoked
            && !std::mem::replace(&mut self.reused, true)
        {
            self.judge_reuse(number, *reuse, provider, now);
        }
    }

    /// Takes a reply that reached the machine that waits for it.
    pub(crate) fn receives(&mut self, number: usize, reply: &Reply, now: Instant) {
        let Request { machine, flight, departed_at, .. } = self.requests[number];
        self.overslept |= self.log.was_away(machine, departed_at, now);
        self.log.may_retry(flight, self.retry_from(number, reply, now));
        if let Reply::Unheard(Unheard::ConnectionLost) = reply {
            self.cut_at.insert(flight, now);
        }
        let refresh_token = match reply {
            Reply::Granted(grant) => {
                // A newer token may live shorter, wherever it is heard of.
                let need = told(&self.requests[number].request.need);
                self.served.retain(|(_, known), _| *known != need);
                let audience = self.requests[number].request.need.audience.to_string();
                let access_token = serial_of(grant.access_token.expose());
                if grant.claims.as_ref().is_some_and(|claims| !claims.audiences.contains(&audience))
                {
                    self.log.refused(&audience, now, now + PARKED);
                }
                self.ends_at.insert(access_token, now + grant.lifetime.unwrap_or_default());
                grant.refresh_token.as_ref()
            }
            Reply::Malformed(malformed) => {
                self.cut_at.insert(flight, now);
                malformed.refresh_token.as_ref()
            }
            Reply::Refused(refusal) => {
                let Request { request, trigger, .. } = &self.requests[number];
                // What is learnt in doubt is kept in memory only, and may be asked once more.
                let is_held = refusal.error.as_deref() == Some("mfa_required");
                if is_held && *trigger != Trigger::Doubt && !self.is_untold(now) {
                    self.demanded.insert((machine, told(&request.need)), now);
                }
                if matches!(refusal.fate(), Fate::Denies | Fate::Rejects) {
                    self.log.refused(request.need.audience.as_str(), now, now + PARKED);
                }
                self.cut_at.insert(flight, now);
                // The provider counts from when it said so: a reply that lay unread while its machine
                // slept may be over, and somebody else's exchange may have shown that all is well.
                let said_at = self.requests[number].decided_at.unwrap_or(now);
                self.waits_for(machine, refusal.wait, said_at, now);
                None
            }
            Reply::NotSent(not_sent) => {
                self.waits_for(machine, not_sent.wait, now, now);
                None
            }
            Reply::Unheard(_) => None,
        };
        self.received.extend(refresh_token.map(serial));
    }

    /// From when the law lets the token be sent again after this reply, or its loss.
    fn retry_from(&self, number: usize, reply: &Reply, now: Instant) -> Instant {
        let given_up = self.requests[number].departed_at + self.requests[number].request.deadline;
        match reply {
            Reply::Granted(_) => now,
            Reply::Refused(refusal) if refusal.status == 504 => given_up,
            Reply::Malformed(_) | Reply::NotSent(_) | Reply::Refused(_) => now + self.settle,
            Reply::Unheard(Unheard::ConnectionLost) => (now + self.settle).min(given_up).max(now),
            Reply::Unheard(Unheard::Deadline | Unheard::GatewayTimeout) => given_up.max(now),
        }
    }

    fn waits_for(
        &mut self,
        machine: usize,
        wait: Option<Duration>,
        said_at: Instant,
        now: Instant,
    ) {
        if let Some(wait) = wait {
            self.log.asked_to_wait(now, now + wait);
            self.told_to_wait.insert(machine, said_at + wait);
        }
    }

    /// Takes that the session is not told of a reply: another one launched its flight.
    pub(crate) fn is_unheard(&mut self, machine: usize) {
        self.told_to_wait.remove(&machine);
        self.demanded.retain(|(at, _), _| *at != machine);
    }

    /// Takes the end of a flight.
    pub(crate) fn lands(&mut self, flight: u64, open: bool, stray: bool, now: Instant) {
        if stray {
            self.log.is_unheard(flight);
        }
        self.log.landed(flight, open, now);
    }

    pub(crate) fn asker(&self, number: usize) -> (usize, u64) {
        (self.requests[number].machine, self.requests[number].boot)
    }

    /// Takes the end of waiting for a reply; true where it had ended already.
    pub(crate) fn closes(&mut self, number: usize) -> bool {
        std::mem::replace(&mut self.requests[number].closed, true)
    }
}
