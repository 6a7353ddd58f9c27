//! Callers that wait, and audiences that are left alone for a while.

use std::collections::BTreeMap;

use super::{AHEAD_MAX, Answer, Need, Want};
use crate::name::WaiterId;
use crate::time::Instant;

/// The most callers that may wait for one session: ten thousand on one expired session are real
/// (a stampede after lunch), more are an attack on the memory.
pub(super) const WAITERS_MAX: usize = 16_384;

/// The callers of one session, in the order of their numbers.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    wants: BTreeMap<WaiterId, Want>,
    /// What they want, each once: all who want the same share it, so that thousands are told apart
    /// by a pointer and not by text that each has somewhere else in memory. Empty when nobody waits.
    needs: Vec<Need>,
    /// No deadline is earlier. May be too early after callers have gone: an alarm too many costs
    /// less than a scan for each caller.
    not_before: Option<Instant>,
}

impl Waiting {
    pub(super) fn push(&mut self, mut want: Want) -> Result<(), Want> {
        if self.wants.len() >= WAITERS_MAX {
            return Err(want);
        }
        match self.needs.iter().find(|known| **known == want.need) {
            Some(known) => want.need = known.clone(),
            None if self.needs.len() < AHEAD_MAX => self.needs.push(want.need.clone()),
            None => {}
        }
        self.not_before =
            Some(self.not_before.map_or(want.deadline, |earliest| earliest.min(want.deadline)));
        self.wants.insert(want.waiter, want);
        Ok(())
    }

    pub(super) fn forget(&mut self, waiter: WaiterId) {
        self.wants.remove(&waiter);
        if self.wants.is_empty() {
            *self = Self::default();
        }
    }

    pub(super) fn first(&self) -> Option<&Want> {
        self.wants.values().next()
    }

    pub(super) fn first_deadline(&self) -> Option<Instant> {
        self.not_before
    }

    /// Gives everybody until `deadline`, but nobody longer than their own patience.
    pub(super) fn extend(&mut self, deadline: Instant) {
        for want in self.wants.values_mut() {
            want.deadline = want.deadline.max(deadline).min(want.latest);
        }
        self.not_before = self.wants.values().map(|want| want.deadline).min();
    }

    pub(super) fn is_empty(&self) -> bool {
        self.wants.is_empty()
    }

    /// Takes out every caller for whom `answer` knows one.
    pub(super) fn answered(
        &mut self,
        mut answer: impl FnMut(&Want) -> Option<Answer>,
    ) -> Vec<(WaiterId, Answer)> {
        let mut answered = Vec::new();
        self.wants.retain(|waiter, want| match answer(want) {
            Some(found) => {
                answered.push((*waiter, found));
                false
            }
            None => true,
        });
        self.not_before = self.wants.values().map(|want| want.deadline).min();
        if self.wants.is_empty() {
            self.needs = Vec::new();
        }
        answered
    }
}

/// An audience that is not asked for until a moment, and what its callers are told meanwhile.
#[derive(Clone, Debug)]
pub(super) struct Parked {
    pub(super) need: Need,
    pub(super) until: Instant,
    pub(super) answer: Answer,
}
