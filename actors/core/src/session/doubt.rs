//! In doubt: nobody knows whether the refresh token was spent, and the provider's reuse window is
//! open for a while only (law L3).

use std::time::Duration;

use super::answers::is_held;
use super::{AHEAD_MAX, Answer, Effect, Need, PARKED_FOR, Session, State};
use crate::event::Event;
use crate::grant::Unheard;
use crate::lease::Intent;
use crate::name::Epoch;
use crate::policy::Deadlines;
use crate::refusal::{EndCause, Fate};
use crate::scope::ScopeSet;
use crate::snapshot::Hold;
use crate::step_up::Origin;
use crate::time::Instant;

/// What was asked for since the session fell in doubt and was not answered, the latest last.
#[derive(Clone, Debug, Default)]
pub(super) struct Doubted(Vec<Need>);

impl Session {
    /// Tells the session that whoever wrote its unresolved intent is dead and its connection with
    /// it: the provider needs no more than its settling time.
    pub fn orphaned(mut self, now: Instant) -> Self {
        if let (State::InDoubt { retry_at, .. }, Some(intent)) =
            (&mut self.state, self.snapshot.head.intent)
        {
            *retry_at = (*retry_at).min(now + intent.settle);
        }
        self
    }

    /// Tells the session that other machines exchange its refresh token too: whoever wrote its
    /// unresolved intent may be about to resolve it, and callers wait for word of that.
    pub fn among_others(mut self, now: Instant) -> Self {
        if let Some(intent) = self.snapshot.head.intent {
            // A reply is lost only when the lease is over.
            self.effects.retain(|told| !matches!(told, Effect::Emit(Event::InDoubt { .. })));
            self.wait_for_word(&intent, now);
        }
        self
    }

    /// Reports whether another machine is exchanging the refresh token, as far as is known.
    pub fn is_elsewhere(&self) -> bool {
        matches!(self.state, State::InDoubt { epoch, .. } if self.elsewhere == Some(epoch))
    }

    /// Leaves the exchange to the machine whose intent this is, for as long as it may take.
    pub(super) fn wait_for_word(&mut self, intent: &Intent, now: Instant) {
        let deadline = now + self.policies.deadlines.lease;
        let retry_at = intent.until.unwrap_or(deadline).min(deadline);
        self.elsewhere = Some(intent.epoch);
        self.state = State::InDoubt { epoch: intent.epoch, retry_at, look_at: None };
        self.emit(Event::Elsewhere { wait: retry_at.left_at(now) });
    }

    /// Gives up waiting for word of another machine's exchange: its reply is lost.
    pub(super) fn no_word_came(&mut self, now: Instant) {
        if let Some(intent) = self.snapshot.head.intent.filter(|_| self.is_elsewhere()) {
            self.elsewhere = None;
            self.wake_in_doubt(&intent, now, now);
        }
    }

    pub(super) fn fall_in_doubt(
        &mut self,
        epoch: Epoch,
        how: Option<Unheard>,
        retry_at: Instant,
        now: Instant,
    ) {
        // Whoever else was exchanging, the doubt is our own now.
        self.elsewhere = None;
        self.state = State::InDoubt { epoch, retry_at, look_at: None };
        self.emit(Event::InDoubt { how, since: None, wait: retry_at.left_at(now) });
    }

    /// Wakes with an intent whose writer is gone.
    pub(super) fn wake_in_doubt(&mut self, intent: &Intent, retry_at: Instant, now: Instant) {
        let wait = retry_at.left_at(now);
        self.state = State::InDoubt { epoch: intent.epoch, retry_at, look_at: None };
        self.emit(Event::InDoubt { how: None, since: intent.since, wait });
    }

    /// Names what lies behind a refusal that ends the session: a token that was sent for the second
    /// time is refused because its first exchange spent it.
    pub(super) fn root_of(&self, cause: EndCause) -> EndCause {
        let again = self.snapshot.head.intent.is_some_and(|intent| intent.again);
        match cause {
            EndCause::InvalidGrant if again && self.policies.deadlines.reuse_window.is_zero() => {
                EndCause::ReplyLost
            }
            EndCause::InvalidGrant if again => EndCause::ReplyLostTooLong,
            EndCause::InvalidGrant
            | EndCause::ReplyLost
            | EndCause::ReplyLostTooLong
            | EndCause::UserBlocked
            | EndCause::UserDeleted => cause,
        }
    }

    /// Stays in doubt where a refusal has not resolved the intent.
    pub(super) fn doubt_on(&mut self, fate: Fate, asked: Option<Duration>, now: Instant) {
        let over = matches!(self.state, State::Ended(_));
        let Some(intent) = self.snapshot.head.intent.filter(|_| !over) else { return };
        let patience = match fate {
            Fate::Doubts | Fate::Faults(_) | Fate::Waits => self.patience(asked),
            // The provider is well: something else can be asked for before the window is over.
            Fate::Denies | Fate::Ends(_) | Fate::Holds | Fate::Rejects => Duration::ZERO,
        };
        self.fall_in_doubt(intent.epoch, None, now + patience.max(intent.settle), now);
        self.publish();
    }

    /// Remembers that the reply for `need` was lost; returns whether it is the first of this doubt.
    pub(super) fn loses(&mut self, need: Need) -> bool {
        let is_first = self.doubted.is_none();
        let Doubted(lost) = self.doubted.get_or_insert_default();
        lost.retain(|known| *known != need);
        if lost.len() >= AHEAD_MAX {
            lost.remove(0);
        }
        lost.push(need);
        is_first
    }

    /// Takes a refusal for `need`: where it leaves the doubt open, `answered` tells whether the
    /// provider has said that it will not grant this.
    pub(super) fn still_doubts(&mut self, need: &Need, answered: bool) {
        if self.snapshot.head.intent.is_none() {
            self.doubted = None;
        } else if answered {
            let Doubted(lost) = self.doubted.get_or_insert_default();
            lost.retain(|known| known != need);
        } else {
            self.loses(need.clone());
        }
    }

    /// How long to wait in doubt: every lost call may be the one that spent the token, so its retry
    /// must reach the provider inside the reuse window that this call has opened.
    pub(super) fn patience(&mut self, asked: Option<Duration>) -> Duration {
        let Deadlines { lease, reuse_window, .. } = self.policies.deadlines;
        let wait = self.wait(self.failures.max(1), asked);
        match asked {
            None if !reuse_window.is_zero() => {
                wait.min(DOUBT_PATIENCE_MAX).min(reuse_window.saturating_sub(lease) / 2)
            }
            Some(_) | None => wait,
        }
    }

    /// Returns what to ask for when the purpose is to learn whether the refresh token lives, or
    /// when there will be something: what is held or parked would teach nothing.
    pub(super) fn doubt_work(&self, now: Instant) -> Result<Need, Instant> {
        if let Some(want) = self.waiting.first() {
            return Ok(want.need.clone());
        }
        let primary = &self.snapshot.primary;
        let scopes = &self.policies.audience(primary).scopes;
        let configured = self.policies.audiences.iter().map(|(audience, p)| (audience, &p.scopes));
        let kept = self.snapshot.entries.iter().map(|entry| (&entry.audience, &entry.requested));
        let lost = self.doubted.iter().flat_map(|Doubted(lost)| lost.iter().rev());
        let lost = lost.map(|need| (&need.audience, &need.scopes));
        // Last of all the plain refresh, which the sign-in allows whatever else is refused.
        let plain = ScopeSet::default();
        let all = lost.chain([(primary, scopes)]).chain(configured).chain(kept);
        let known: Vec<_> = all
            .chain([(primary, &plain)])
            .map(|(audience, scopes)| Need { audience: audience.clone(), scopes: scopes.clone() })
            .collect();
        let open = known.iter().find(|need| self.may_refresh(need, now));
        // What is granted and of no use brings a refresh token all the same.
        let open = open.or_else(|| known.iter().find(|need| self.is_unusable(need, now))).cloned();
        let open = open.or_else(|| self.due_probe(now));
        open.or_else(|| self.held_in_doubt()).ok_or_else(|| {
            let probes = self.snapshot.holds.iter().filter_map(|hold| hold.probe_at);
            let parked = self.parked.iter().map(|parked| parked.until);
            let freed = parked.filter(|until| now < *until);
            probes.chain(freed).chain([now + PARKED_FOR]).min().unwrap_or(now)
        })
    }

    /// Returns a held need to ask for once where nothing else is known: the lost reply may have been
    /// that of a verification or of a probe, whose family must be found again inside the reuse
    /// window.
    fn held_in_doubt(&self) -> Option<Need> {
        let is_lost = |hold: &&Hold| {
            self.doubted.as_ref().is_none_or(|Doubted(lost)| lost.contains(&hold.need()))
        };
        let mut holds = self.snapshot.holds.iter().filter(is_lost);
        holds.find(|hold| hold.origin == Origin::Provider).map(Hold::need)
    }

    fn is_unusable(&self, need: &Need, now: Instant) -> bool {
        !is_held(&self.snapshot, &need.audience, &need.scopes)
            && self.may_fetch(need, now)
            && matches!(self.parked_answer(need, now), Some(Answer::Unusable(_)))
    }
}

/// The longest wait between two tries in doubt that the provider did not ask for: few sessions are
/// in doubt at once, the breaker stands before them, and each try missed may be the last one inside
/// the reuse window.
const DOUBT_PATIENCE_MAX: Duration = Duration::from_secs(5);
