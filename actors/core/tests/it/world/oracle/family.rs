//! Whose fault it is when the provider revokes a family: only what no client can prevent is
//! excused, and every excuse is checked with numbers.

use std::time::Duration;

use tokenward_core::snapshot::Entry;
use tokenward_core::time::Instant;

use super::log::Because;
use super::{Oracle, Request, serial_of};
use crate::it::world::line::Twist;
use crate::it::world::provider::{Provider, Reuse};
use crate::it::world::sharing::TOLD_WITHIN;

/// What no client can prevent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cause {
    /// The provider takes no token twice, and a reply was lost.
    NoWindow,
    /// A request came to the provider after the law had given it up.
    LateRequest,
    /// Something in between sent a request twice, and let us hear that the second was refused.
    SentTwice,
    /// A machine slept over the end of its lease with a reply on its way, another one asked in its
    /// place, and that reply was lost or late.
    Overslept,
    /// No machine was awake for most of the window.
    NobodyAwake,
    /// The repetitions were lost as well: the time of the window went into them.
    LostAgain,
    /// The provider asked to wait for most of the window.
    ToldToWait,
    /// Everything known was held for a person, or refused, for most of the window.
    Held,
    /// The store failed for most of the window, or kept a reply from being saved in its lease.
    StoreIll,
    /// The store fell back, and nobody was there to write again what it had forgotten.
    StoreForgot,
}

impl Cause {
    pub(crate) const ALL: [(Cause, &'static str); 10] = [
        (Cause::NoWindow, "no reuse window"),
        (Cause::LateRequest, "late request"),
        (Cause::SentTwice, "sent twice in between"),
        (Cause::Overslept, "slept over the lease"),
        (Cause::NobodyAwake, "nobody awake"),
        (Cause::LostAgain, "lost again"),
        (Cause::ToldToWait, "told to wait"),
        (Cause::Held, "nothing to ask for"),
        (Cause::StoreIll, "store ill"),
        (Cause::StoreForgot, "store forgot"),
    ];
}

/// How long a session may be left alone while a reply is lost and nothing forbids to ask again: a
/// sweep, and the patience after a failure.
const IDLE_MAX: Duration = Duration::from_millis(10_500);

/// How long a request and its reply travel at least.
const TRAVEL: Duration = Duration::from_millis(300);

impl Oracle {
    /// Takes that the store has fallen back to an older state and forgotten what `writers` wrote;
    /// `gone` where one of them cannot write it again.
    pub(crate) fn store_fell_back(&mut self, gone: bool, writers: Vec<(usize, u64)>, now: Instant) {
        self.fell_back = Some(now);
        self.forgot |= gone;
        self.to_write_again = writers.into_iter().map(|(machine, _)| machine).collect();
        self.served.clear();
        self.demanded.clear();
    }

    /// Takes that a machine stops: what the store has just forgotten of it is not written again in
    /// time.
    pub(super) fn stops(&mut self, machine: usize, now: Instant) {
        self.forgot |= self.is_untold(now) && self.to_write_again.contains(&machine);
    }

    /// Reports whether a lease that was given at a moment may be forgotten: until it is told again, or
    /// for good.
    pub(super) fn may_be_forgotten(&self, leased_at: Instant, now: Instant) -> bool {
        let before = self.fell_back.is_some_and(|at| at >= leased_at);
        before && (self.forgot || self.is_untold(now))
    }

    /// Takes the access tokens that the store had before it fell back, and those it has since: one
    /// that came without a new refresh token is not told again.
    pub(crate) fn forgets_entries(&mut self, before: &[Entry], after: &[Entry]) {
        let number = |entry: &Entry| serial_of(entry.access_token.expose());
        self.unkept.extend(before.iter().map(number));
        for entry in after {
            self.unkept.remove(&number(entry));
        }
    }

    /// Reports whether the store has just fallen back, and not everybody may have told it again what
    /// it has forgotten.
    pub(super) fn is_untold(&self, now: Instant) -> bool {
        self.fell_back.is_some_and(|at| now.since(at) < TOLD_WITHIN)
    }

    /// Judges the request that ended a family.
    pub(super) fn judge_reuse(
        &mut self,
        number: usize,
        reuse: Reuse,
        provider: &Provider,
        now: Instant,
    ) {
        let judged = match reuse {
            _ if self.forgot => Ok(Cause::StoreForgot),
            Reuse::ChildSpent { .. } => self.late(number, now),
            Reuse::OlderSibling { newest } => self.sibling(number, newest),
            Reuse::AfterWindow { since } => self.after_window(number, since, provider.window, now),
        };
        match judged {
            Ok(cause) => self.tally.lost[cause as usize] += 1,
            Err(why) => {
                let token = self.requests[number].serial;
                self.broken(now, &format!("L3 a family is revoked for r{token}: {why}"));
            }
        }
    }

    /// The request was lawful when it left, and came when the law had given it up.
    fn late(&self, number: usize, now: Instant) -> Result<Cause, String> {
        let request = &self.requests[number];
        match self.is_late(request, now) {
            true => Ok(Cause::LateRequest),
            false => {
                let took = now.since(request.departed_at);
                Err(format!("what it brought was spent, and it came after {took:?}"))
            }
        }
    }

    fn is_late(&self, request: &Request, arrived_at: Instant) -> bool {
        let took = arrived_at.since(request.departed_at);
        let crash = self.log.crash_between(request.machine, request.departed_at, arrived_at);
        let outlived = crash.is_some_and(|at| at + self.settle < arrived_at);
        request.stalled || took > request.request.deadline || outlived
    }

    /// Two exchanges spent one parent, and the older child was kept.
    fn sibling(&self, number: usize, newest: usize) -> Result<Cause, String> {
        let older = self.requests[number].serial;
        let brought = |child: usize| self.requests.iter().find(|one| one.child == Some(child));
        let (Some(first), Some(second)) = (brought(older), brought(newest)) else {
            return Err("nobody asked for it".to_owned());
        };
        if second.decided_at.is_some_and(|at| self.is_late(second, at)) {
            return Ok(Cause::LateRequest);
        }
        if second.closed && matches!(second.twist, Some(Twist::Twice(_))) {
            return Ok(Cause::SentTwice);
        }
        let Some(saved_at) = self.saved_at.get(&older) else {
            return Err("it was never saved".to_owned());
        };
        // In time, the reply is here before the hard deadline and saved before the lease ends. Of one
        // moment, the lease was first: after the save the store would have refused it.
        let took = saved_at.since(first.departed_at);
        if *saved_at >= second.leased_at && took > first.request.deadline {
            if self.log.was_away(first.machine, first.departed_at, *saved_at) {
                return Ok(Cause::Overslept);
            }
            if self.log.store_was_ill(first.departed_at, *saved_at) {
                return Ok(Cause::StoreIll);
            }
        }
        Err(format!("r{newest} is newer, and it was saved after {took:?}"))
    }

    /// The first reply was lost, and no repetition came in time.
    fn after_window(
        &self,
        number: usize,
        since: Instant,
        window: Duration,
        now: Instant,
    ) -> Result<Cause, String> {
        if window <= TRAVEL {
            return Ok(Cause::NoWindow);
        }
        let request = &self.requests[number];
        if self.is_late(request, now) && request.departed_at <= since + window {
            return Ok(Cause::LateRequest);
        }
        let mut spent = self.requests.iter().filter(|one| one.serial == request.serial);
        if let Some(first) = spent.find(|one| one.decided_at == Some(since)) {
            if self.is_late(first, since) {
                return Ok(Cause::LateRequest);
            }
            if first.closed && matches!(first.twist, Some(Twist::Twice(_))) {
                return Ok(Cause::SentTwice);
            }
        }
        let account = self.log.account(self.machines, since, since + window - TRAVEL);
        if account.idle_longest > IDLE_MAX {
            let idle = account.idle_longest;
            return Err(format!("its window is over, and the session was left alone for {idle:?}"));
        }
        let causes = [
            (Because::NobodyAwake, Cause::NobodyAwake),
            (Because::Exchanging, Cause::LostAgain),
            (Because::Asked, Cause::ToldToWait),
            (Because::Held, Cause::Held),
            (Because::StoreIll, Cause::StoreIll),
        ];
        let (_, cause) = causes
            .into_iter()
            .max_by_key(|(because, _)| account.spent[*because as usize])
            .unwrap_or((Because::Exchanging, Cause::LostAgain));
        Ok(cause)
    }

    /// Reports whether the provider's newest refresh token reached us, and nobody died on the way
    /// to revoke it.
    pub(crate) fn could_revoke(&self, provider: &Provider) -> bool {
        let newest = provider.newest();
        !self.any_crash && (newest == 0 || self.received.contains(&newest))
    }
}
