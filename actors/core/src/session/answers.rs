//! What callers and readers are told, and what is worth an exchange.

use std::sync::Arc;
use std::time::Duration;

use super::{AHEAD_MAX, FORCED_PAUSE, Need, Session, State, Want, demand, step_up};
use crate::event::{EndReason, Trigger};
use crate::name::{Audience, Epoch};
use crate::policy::{KeepFresh, Margins, Policies};
use crate::refusal::OperatorFault;
use crate::scope::ScopeSet;
use crate::snapshot::{Entry, Hold, Lookup, Snapshot, lookup};
use crate::time::Instant;

use super::Effect;

/// What a caller is told.
#[derive(Clone, Debug)]
pub enum Answer {
    /// Too many callers wait for this session.
    Busy,
    /// The provider decided against it; the code is the provider's `error`.
    Denied(String),
    /// The provider grants no more than the session has.
    Downscoped {
        /// What is lacking.
        missing: ScopeSet,
    },
    /// The session is over: a new sign-in is needed.
    Ended(EndReason),
    /// Here it is; thousands may be told at once, and share it.
    Granted(Arc<Offer>),
    /// A person must show another factor.
    MfaRequired(Box<Hold>),
    /// Not within the caller's time.
    NotNow {
        /// When it may be worth asking again.
        retry_after: Duration,
        /// The reason code of what is waited for.
        why: &'static str,
    },
    /// The configuration is wrong: the operator must act.
    OperatorFault(OperatorFault),
    /// The audience or the scopes were refused; the code is the provider's `error`.
    Rejected(String),
    /// The API has just refused the newest access token there is; another is not asked for yet.
    Unchanged,
    /// The provider's reply was of no use; the code says how.
    Unusable(&'static str),
}

/// An access token as readers see it.
#[derive(Clone, Debug)]
pub struct Offer {
    /// The token with what it grants.
    pub entry: Entry,
    /// From when a reader should nudge the session.
    pub refresh_from: Instant,
    /// Until when it may be handed out.
    pub serve_until: Instant,
}

/// Returns when a stored session should be woken to be kept fresh without traffic; `None` where no
/// audience asks for it. Of a held one it is the time of its slow probe (law L8): nobody else may
/// ever come to find that the provider's rule is gone.
pub fn due_at(snapshot: &Snapshot, policies: &Policies, now: Instant) -> Option<Instant> {
    snapshot.refresh_token.as_ref()?;
    let kept = policies.audiences.iter().filter(|(_, policy)| policy.keep_fresh.is_always());
    kept.filter_map(|(audience, policy)| {
        let mut held = snapshot.holds.iter().filter(|hold| hold.is_for(audience, &policy.scopes));
        if let Some(hold) = held.next() {
            return hold.probe_at;
        }
        let at = match lookup(&snapshot.entries, audience, &policy.scopes, policy.margins, now) {
            Lookup::Hit(entry) | Lookup::Downscoped { entry, .. } => {
                entry.refresh_from(policy.margins)
            }
            Lookup::Miss => now,
        };
        demand::may_fetch(snapshot, policies, audience, at).then_some(at)
    })
    .min()
}

pub(super) fn is_held(snapshot: &Snapshot, audience: &Audience, scopes: &ScopeSet) -> bool {
    snapshot.holds.iter().any(|hold| hold.is_for(audience, scopes))
}

/// The code of an API that a device was not approved for.
const NOT_APPROVED: &str = "not_approved";

// === impl Session ===

impl Session {
    /// Decides what a caller can be told at once; `None` where an exchange is worth waiting for.
    pub(super) fn judge(
        &self,
        need: &Need,
        replaces: Option<Epoch>,
        now: Instant,
    ) -> Option<Answer> {
        if let State::Ended(reason) = self.state {
            return Some(Answer::Ended(reason));
        }
        if !self.snapshot.may_use(&need.audience) {
            return Some(Answer::Denied(NOT_APPROVED.to_owned()));
        }
        let before = self.stands_before(need, now);
        if let Some(hold) = before {
            // What is under way may let go of it.
            return (!self.is_stepping(need)).then(|| Answer::MfaRequired(Box::new(hold)));
        }
        let margins = self.margins(&need.audience);
        match lookup(&self.snapshot.entries, &need.audience, &need.scopes, margins, now) {
            Lookup::Hit(entry) if replaces.is_none_or(|refused| entry.born_in > refused) => {
                return Some(Answer::Granted(Arc::new(self.offer(entry))));
            }
            Lookup::Hit(_) if self.forced_lately(&need.audience, now) => {
                return Some(Answer::Unchanged);
            }
            Lookup::Downscoped { missing, .. } => return Some(Answer::Downscoped { missing }),
            Lookup::Hit(_) | Lookup::Miss => {}
        }
        if self.is_stepping(need) {
            return None;
        }
        let held = step_up::of(&self.snapshot.holds, need).cloned();
        let held = held
            .or_else(|| if self.may_fetch(need, now) { None } else { self.own_hold(need, now) });
        if let Some(hold) = held {
            return Some(Answer::MfaRequired(Box::new(hold)));
        }
        if self.snapshot.refresh_token.is_none() {
            return Some(Answer::Ended(EndReason::NoRefreshToken));
        }
        self.parked_answer(need, now)
    }

    /// Decides whether `want` cannot be met before its deadline.
    pub(super) fn hopeless(&self, want: &Want, now: Instant) -> Option<Answer> {
        let (until, why) = match self.state {
            State::OperatorFault { fault, until } if now < until => {
                return Some(Answer::OperatorFault(fault));
            }
            State::Backoff { until } => (until, "backoff"),
            // Word of its end may come at any moment.
            State::InDoubt { .. } if self.is_elsewhere() => return None,
            State::InDoubt { retry_at, .. } => (retry_at, "in_doubt"),
            State::Ended(_)
            | State::Exchanging { .. }
            | State::Fresh
            | State::OperatorFault { .. } => return None,
        };
        (until > want.deadline).then(|| not_now(until.left_at(now), why))
    }

    /// Answers every caller who can be told something.
    pub(super) fn settle_waiters(&mut self, now: Instant) -> u32 {
        let mut waiting = std::mem::take(&mut self.waiting);
        // Thousands may want the same few things: each is judged once.
        let mut judged: Vec<(Need, Option<Epoch>, Option<Answer>)> = Vec::new();
        let answered = waiting.answered(|want| {
            let same = |known: &&(Need, Option<Epoch>, Option<Answer>)| {
                known.1 == want.replaces && known.0 == want.need
            };
            let answer = match judged.iter().find(same) {
                Some((_, _, answer)) => answer.clone(),
                None => {
                    let answer = self.judge(&want.need, want.replaces, now);
                    if judged.len() < AHEAD_MAX {
                        judged.push((want.need.clone(), want.replaces, answer.clone()));
                    }
                    answer
                }
            };
            answer.or_else(|| self.hopeless(want, now))
        });
        self.waiting = waiting;
        let count = u32::try_from(answered.len()).unwrap_or(u32::MAX);
        for (waiter, answer) in answered {
            self.answer(waiter, answer);
        }
        count
    }

    /// Tells the callers whose time is over to come back.
    pub(super) fn dismiss_late(&mut self, now: Instant) {
        if self.waiting.first_deadline().is_none_or(|at| now < at) {
            return;
        }
        let (until, why) = match self.state {
            State::Backoff { until } | State::OperatorFault { until, .. } => (until, "backoff"),
            State::InDoubt { retry_at, .. } if self.is_elsewhere() => (retry_at, "exchanging"),
            State::InDoubt { retry_at, .. } => (retry_at, "in_doubt"),
            State::Ended(_) | State::Exchanging { .. } | State::Fresh => (now, "exchanging"),
        };
        let wait = until.left_at(now);
        let late = self.waiting.answered(|want| (want.deadline <= now).then(|| not_now(wait, why)));
        for (waiter, answer) in late {
            self.answer(waiter, answer);
        }
    }

    /// Shows readers what may be handed out.
    pub(super) fn publish(&mut self) {
        let entries = self.snapshot.entries.iter();
        let shown = entries.filter(|entry| !self.is_refused_upstream(entry));
        let offers = shown.map(|entry| self.offer(entry)).collect();
        self.effects.push_back(Effect::Publish(offers));
    }

    pub(super) fn parked_answer(&self, need: &Need, now: Instant) -> Option<Answer> {
        let parked = self.parked.iter().find(|parked| parked.need == *need && now < parked.until);
        parked.map(|parked| parked.answer.clone())
    }

    /// Returns what the next flight is to bring: callers first, then what nears its end.
    pub(super) fn next_work(&mut self, now: Instant) -> Option<(Need, Trigger)> {
        if let Some(want) = self.waiting.first() {
            let trigger = want.replaces.map_or(Trigger::Demand, |_| Trigger::Forced);
            return Some((want.need.clone(), trigger));
        }
        self.snapshot.refresh_token.as_ref()?;
        while let Some(need) = self.ahead.pop_front() {
            if self.may_refresh(&need, now) && self.refresh_due(&need, now) {
                return Some((need, Trigger::Ahead));
            }
        }
        if let Some(probe) = self.due_probe(now) {
            return Some((probe, Trigger::Ahead));
        }
        let due = self
            .kept_fresh()
            .find(|(need, at)| *at <= now && self.parked_answer(need, now).is_none());
        due.map(|(need, _)| (need, Trigger::Ahead))
    }

    pub(super) fn due_probe(&self, now: Instant) -> Option<Need> {
        let mut holds = self.snapshot.holds.iter();
        let due = holds.find(|hold| hold.probe_at.is_some_and(|at| at <= now));
        due.map(Hold::need)
    }

    pub(super) fn ahead_at(&self) -> Option<Instant> {
        self.snapshot.refresh_token.as_ref()?;
        self.kept_fresh().map(|(_, at)| at).min()
    }

    pub(super) fn may_launch(&self) -> bool {
        matches!(self.state, State::Fresh)
    }

    /// Reports whether `need` may be asked for without a caller: what is held waits for a person,
    /// what is parked for its time.
    pub(super) fn may_refresh(&self, need: &Need, now: Instant) -> bool {
        !is_held(&self.snapshot, &need.audience, &need.scopes)
            && self.parked_answer(need, now).is_none()
            && self.may_fetch(need, now)
    }

    /// Reports whether the access token for `need` has reached its refresh-ahead margin.
    pub(super) fn refresh_due(&self, need: &Need, now: Instant) -> bool {
        let margins = self.margins(&need.audience);
        match lookup(&self.snapshot.entries, &need.audience, &need.scopes, margins, now) {
            Lookup::Hit(entry) => self.offer(entry).refresh_from <= now,
            Lookup::Downscoped { .. } => false,
            Lookup::Miss => true,
        }
    }

    /// The audiences that are kept fresh without traffic, and when each is due.
    fn kept_fresh(&self) -> impl Iterator<Item = (Need, Instant)> + '_ {
        let always = |keep: KeepFresh| keep.is_always();
        self.policies
            .audiences
            .iter()
            .filter(move |(_, policy)| always(policy.keep_fresh))
            .filter_map(|(audience, policy)| {
                let need = Need { audience: audience.clone(), scopes: policy.scopes.clone() };
                if is_held(&self.snapshot, audience, &policy.scopes) {
                    return None;
                }
                let parked = self.parked.iter().find(|parked| parked.need == need);
                let parked_until = parked.map_or(Instant::ZERO, |parked| parked.until);
                let at = self.fresh_until(&need).unwrap_or(Instant::ZERO).max(parked_until);
                let allowed = demand::may_fetch(&self.snapshot, &self.policies, audience, at);
                allowed.then_some((need, at))
            })
    }

    /// Until when asking for `need` would bring nothing better.
    fn fresh_until(&self, need: &Need) -> Option<Instant> {
        self.telling(need).map(|entry| self.offer(entry).refresh_from).max()
    }

    /// When the last access token that was granted for `need` ends.
    pub(super) fn ends_at(&self, need: &Need) -> Option<Instant> {
        self.telling(need).map(Entry::expires_at).max()
    }

    /// The tokens that were granted for `need`, or for more: they tell what the provider grants.
    fn telling(&self, need: &Need) -> impl Iterator<Item = &Entry> {
        let wanted = need.scopes.resource();
        let audience = need.audience.clone();
        self.snapshot.entries.iter().filter(move |entry| {
            let asked = entry.requested.resource();
            entry.audience == audience && (asked.covers(&wanted) || entry.granted.covers(&wanted))
        })
    }

    pub(super) fn offer(&self, entry: &Entry) -> Offer {
        let margins = self.margins(&entry.audience);
        // Readers cannot ask whether the audience's policy is still met.
        let allowed = demand::allowed_until(&self.snapshot, &self.policies, &entry.audience);
        let serve_until = entry.serve_until(margins).min(allowed.unwrap_or(Instant::ZERO));
        let refresh_from = match self.state {
            // Where refreshing just failed, readers are not to nudge again before it may be tried.
            State::Backoff { until } | State::OperatorFault { until, .. } => {
                until.max(self.jittered(entry, margins))
            }
            State::Ended(_) | State::Exchanging { .. } | State::Fresh | State::InDoubt { .. } => {
                self.jittered(entry, margins)
            }
        };
        Offer { entry: entry.clone(), refresh_from, serve_until }
    }

    /// Up to a tenth of the margin earlier, different for each token, so that sessions which signed
    /// in together do not refresh together.
    fn jittered(&self, entry: &Entry, margins: Margins) -> Instant {
        let most = margins.capped(entry.lifetime).refresh_ahead / 10;
        let seed = entry.received_at.as_nanos() ^ entry.born_in.0.rotate_left(32);
        entry.refresh_from(margins) - super::Dice::new(seed).up_to(most)
    }

    /// Without a refresh token nothing better will come, so a token is served to its very end.
    fn margins(&self, audience: &Audience) -> Margins {
        match self.snapshot.refresh_token {
            Some(_) => {
                let policy = self.policies.audiences.get(audience);
                policy.map(|policy| policy.margins).unwrap_or_default()
            }
            None => Margins { refresh_ahead: Duration::ZERO, serve: Duration::ZERO },
        }
    }

    fn forced_lately(&self, audience: &Audience, now: Instant) -> bool {
        self.forced.get(audience).is_some_and(|at| now.since(*at) < FORCED_PAUSE)
    }
}

/// At least a second: a smaller `Retry-After` cannot be said in HTTP.
fn not_now(wait: Duration, why: &'static str) -> Answer {
    Answer::NotNow { retry_after: wait.max(Duration::from_secs(1)), why }
}
