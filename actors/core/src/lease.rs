//! Who may spend a refresh token, and which writes move forward (laws L1, L2, L10, L11).
//!
//! The durable intent to exchange *is* the lease: journalling it takes the lease, and what it
//! leaves behind after a crash says which token is in doubt. [`begin`] and [`commit`] are the whole
//! rule; every store applies them inside one transaction on the session's [`Head`]. A store that can
//! fall back to an older state is told its leases again, by [`recall`].
//!
//! The provider cannot be fenced. A machine that lost its lease may still receive the only living
//! refresh token, so a commit is judged by the generation it consumed and never by the lease.

use std::time::Duration;

use crate::name::{Epoch, Generation, Owner};
use crate::time::Instant;

/// What a store knows of a session without opening its sealed record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// The generation of the refresh token that is kept.
    pub generation: Generation,
    /// The generation that was spent to receive it; `None` for the one of the sign-in.
    pub parent: Option<Generation>,
    /// The epoch of the exchange that brought it.
    pub born_in: Epoch,
    /// The largest epoch ever given.
    pub epoch: Epoch,
    /// The intent that has not been resolved, if any.
    pub intent: Option<Intent>,
    /// True once the session has ended: refuses every write for ever.
    pub tombstone: bool,
}

impl Head {
    /// Returns the head of a session that has just signed in.
    pub const fn new() -> Self {
        Self {
            generation: Generation(0),
            parent: None,
            born_in: Epoch(0),
            epoch: Epoch(0),
            intent: None,
            tombstone: false,
        }
    }
}

impl Default for Head {
    fn default() -> Self {
        Self::new()
    }
}

/// A durable statement that a refresh token is about to be spent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Intent {
    /// The number of the lease.
    pub epoch: Epoch,
    /// Who spends.
    pub owner: Owner,
    /// The generation that is spent.
    pub consumes: Generation,
    /// When it was written; `None` where it was written before the last boot.
    pub since: Option<Instant>,
    /// When nobody can still be waiting for the reply; `None` where it was written before the
    /// last boot.
    pub until: Option<Instant>,
    /// How long the provider may still work on a request whose connection is known to be dead.
    pub settle: Duration,
    /// True where an earlier intent on the same generation was never resolved: the token may have
    /// been spent already.
    pub again: bool,
}

/// A request for the lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Begin {
    /// Who asks.
    pub owner: Owner,
    /// The generation that is to be spent.
    pub consumes: Generation,
    /// How long the lease is to last.
    pub lease: Duration,
    /// As in [`Intent::settle`].
    pub settle: Duration,
    /// The epoch of the unresolved intent that the asker knows of and has waited out.
    pub takes_over: Option<Epoch>,
}

/// The answer to a [`Begin`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Begun {
    /// The intent is to be written: the asker may spend the token.
    Leased {
        /// What is to be written.
        intent: Intent,
        /// The largest epoch given before: whoever knows of an older one only has missed something.
        follows: Epoch,
    },
    /// Somebody else may be spending it.
    Busy(Intent),
    /// The token was replaced meanwhile: read the session again.
    Moved,
    /// The session has ended.
    Ended,
}

/// Decides whether `ask` may have the lease at `now`.
pub fn begin(head: &Head, ask: &Begin, now: Instant) -> Begun {
    if head.tombstone {
        return Begun::Ended;
    }
    if head.generation != ask.consumes {
        return Begun::Moved;
    }
    if let Some(intent) = head.intent
        && ask.takes_over != Some(intent.epoch)
    {
        return Begun::Busy(intent);
    }
    // A store that fell back may have forgotten an intent whose owner remembers it.
    let is_forgotten = ask.takes_over.is_some_and(|epoch| epoch > head.epoch);
    let intent = Intent {
        epoch: head.epoch.next().max(epoch_at(now)),
        owner: ask.owner,
        consumes: ask.consumes,
        since: Some(now),
        until: Some(now + ask.lease),
        settle: ask.settle,
        again: head.intent.is_some() || is_forgotten,
    };
    Begun::Leased { intent, follows: head.epoch }
}

/// Returns the least epoch of a lease given at `now`, in microseconds of the store's clock.
///
/// A store that falls back to an older state has forgotten which epochs it gave since. Counting on
/// would give them twice, and the later sibling would be taken for the earlier one; its clock is
/// beyond them all.
const fn epoch_at(now: Instant) -> Epoch {
    Epoch(now.as_nanos() / 1_000)
}

/// A wish to write what an exchange brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Commit {
    /// The generation that was spent.
    pub consumed: Generation,
    /// The lease under which it was spent.
    pub epoch: Epoch,
    /// True where the reply carried a new refresh token.
    pub rotated: bool,
}

/// The answer to a [`Commit`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The write moves forward: this is the head after it.
    Accept(Head),
    /// A newer token is there already: drop this one, and do not revoke it, because revoking one
    /// token of a family can end the whole family.
    Superseded,
    /// The session has ended: the pair that came late is to be revoked.
    Ended,
}

/// Decides whether `commit` may be written.
pub fn commit(head: &Head, commit: &Commit) -> Verdict {
    if head.tombstone {
        return Verdict::Ended;
    }
    // A store that has fallen back may lack the parent, which somebody else has yet to tell it again:
    // what it has is older all the same.
    let moves_on = match commit.rotated {
        true => commit.consumed >= head.generation,
        false => commit.consumed == head.generation,
    };
    // Without a new refresh token nothing is lost by dropping it, and a lease that was given since
    // may have written more.
    if !commit.rotated && commit.epoch != head.epoch {
        return Verdict::Superseded;
    }
    let later_sibling = head.parent == Some(commit.consumed) && commit.epoch > head.born_in;
    if !(moves_on || (later_sibling && commit.rotated)) {
        return Verdict::Superseded;
    }
    let mut after = *head;
    if head.intent.is_some_and(|intent| intent.epoch <= commit.epoch) {
        after.intent = None;
    }
    if commit.rotated {
        after.generation = head.generation.max(commit.consumed).next();
        after.parent = Some(commit.consumed);
        after.born_in = commit.epoch;
        // A store that lost its last writes may have forgotten that it gave this epoch.
        after.epoch = head.epoch.max(commit.epoch);
    }
    Verdict::Accept(after)
}

/// Decides what a store makes of a lease that its owner tells it again, because it may have forgotten
/// it: returns the head after it; `None` where the store knows it, or a later one.
///
/// The token that is being spent may be newer than what such a store has, which somebody else has yet
/// to tell it again; or older, where the one who held the lease before has saved after all. Nothing
/// may be spent beside it all the same (law L1).
pub fn recall(head: &Head, lease: &Intent) -> Option<Head> {
    let is_known = head.epoch >= lease.epoch;
    let after = Head { epoch: lease.epoch, intent: Some(*lease), ..*head };
    (!head.tombstone && !is_known).then_some(after)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Instant = Instant::from_nanos(1_000_000_000);

    fn ask(consumes: u64) -> Begin {
        Begin {
            owner: Owner(1),
            consumes: Generation(consumes),
            lease: Duration::from_secs(15),
            settle: Duration::from_secs(1),
            takes_over: None,
        }
    }

    fn leased(head: &mut Head, ask: Begin) -> Intent {
        let Begun::Leased { intent, follows } = begin(head, &ask, NOW) else {
            panic!("no lease: {head:?}")
        };
        assert_eq!(follows, head.epoch);
        head.epoch = intent.epoch;
        head.intent = Some(intent);
        intent
    }

    fn rotated(consumed: u64, epoch: Epoch) -> Commit {
        Commit { consumed: Generation(consumed), epoch, rotated: true }
    }

    fn accepted(head: &Head, asked: Commit) -> Head {
        let Verdict::Accept(after) = commit(head, &asked) else { panic!("refused: {head:?}") };
        after
    }

    #[test]
    fn l1_an_unresolved_intent_keeps_everybody_else_out() {
        let mut head = Head::new();
        let first = leased(&mut head, ask(0));
        assert_eq!(begin(&head, &ask(0), NOW), Begun::Busy(first));
        let patient = Begin { takes_over: Some(first.epoch), ..ask(0) };
        assert!(leased(&mut head, patient).again);
    }

    #[test]
    fn l3_a_doubt_that_the_store_has_forgotten_is_one_all_the_same() {
        let mut head = Head::new();
        let first = leased(&mut head, ask(0));
        let patient = Begin { takes_over: Some(first.epoch), ..ask(0) };
        assert!(leased(&mut Head::new(), patient).again);
        let kept = Commit { rotated: false, ..rotated(0, first.epoch) };
        assert!(!leased(&mut accepted(&head, kept), patient).again, "it was resolved");
    }

    #[test]
    fn l11_a_late_commit_without_lease_is_kept() {
        let mut head = Head::new();
        let first = leased(&mut head, ask(0));
        leased(&mut head, Begin { takes_over: Some(first.epoch), ..ask(0) });
        let after = accepted(&head, rotated(0, first.epoch));
        assert_eq!(after.generation, Generation(1));
        assert!(after.intent.is_some(), "the newer lease is still out");
    }

    #[test]
    fn l11_the_later_sibling_wins_whichever_order_they_arrive_in() {
        let mut head = Head::new();
        let first = leased(&mut head, ask(0));
        let second = leased(&mut head, Begin { takes_over: Some(first.epoch), ..ask(0) });

        let after_first = accepted(&head, rotated(0, first.epoch));
        let after_both = accepted(&after_first, rotated(0, second.epoch));
        assert_eq!((after_both.generation, after_both.intent), (Generation(2), None));

        let after_second = accepted(&head, rotated(0, second.epoch));
        assert_eq!(commit(&after_second, &rotated(0, first.epoch)), Verdict::Superseded);
    }

    #[test]
    fn l11_a_write_never_goes_back() {
        let mut head = Head::new();
        let first = leased(&mut head, ask(0));
        let mut head = accepted(&head, rotated(0, first.epoch));
        let second = leased(&mut head, ask(1));
        let head = accepted(&head, rotated(1, second.epoch));
        assert_eq!(commit(&head, &rotated(0, Epoch(9))), Verdict::Superseded);
        assert_eq!(begin(&head, &ask(1), NOW), Begun::Moved);
    }

    #[test]
    fn l11_an_epoch_that_the_store_has_forgotten_is_not_given_again() {
        let mut head = Head::new();
        let (before, given) = (head, leased(&mut head, ask(0)).epoch);
        let Begun::Leased { intent, .. } = begin(&before, &ask(0), NOW + Duration::from_secs(1))
        else {
            panic!("no lease: {before:?}")
        };
        assert!(intent.epoch > given, "the clock has gone on");

        // A clock that was set back does not bring one back.
        let mut head = accepted(&Head::new(), rotated(0, Epoch(7_000_000)));
        let next = leased(&mut head, ask(1)).epoch;
        assert_eq!((head.epoch, next), (Epoch(7_000_001), Epoch(7_000_001)));
    }

    #[test]
    fn l11_what_is_newer_than_a_store_that_fell_back_is_kept_without_its_parent() {
        let head = Head::new();
        let after = accepted(&head, rotated(3, Epoch(9)));
        assert_eq!((after.generation, after.parent), (Generation(4), Some(Generation(3))));
        assert_eq!(commit(&after, &rotated(2, Epoch(8))), Verdict::Superseded, "told again later");
        let kept = Commit { rotated: false, ..rotated(3, Epoch(0)) };
        assert_eq!(commit(&head, &kept), Verdict::Superseded, "nothing is lost without it");
    }

    #[test]
    fn l1_a_lease_that_was_forgotten_keeps_everybody_out_again() {
        let mut head = Head::new();
        let first = leased(&mut head, ask(0));
        assert_eq!(recall(&head, &first), None, "it is known");
        let late = leased(&mut head, Begin { takes_over: Some(first.epoch), ..ask(0) });
        let rotated_since = accepted(&Head::new(), rotated(0, first.epoch));
        assert_eq!(recall(&rotated_since, &first), None, "what came of it is known");
        let again = recall(&rotated_since, &late).expect("that of the later sibling is not");
        assert_eq!(begin(&again, &ask(1), NOW), Begun::Busy(late));
        assert_eq!(recall(&Head { tombstone: true, ..Head::new() }, &first), None, "law L10");

        let again = recall(&Head::new(), &first).expect("it is forgotten");
        assert_eq!(begin(&again, &ask(0), NOW), Begun::Busy(first));

        let mut head = rotated_since;
        let second = leased(&mut head, ask(1));
        let again = recall(&Head::new(), &second).expect("so is what it spends");
        assert_eq!(begin(&again, &ask(0), NOW), Begun::Busy(second));
        let again = accepted(&again, rotated(0, first.epoch));
        assert_eq!((again.generation, again.intent), (Generation(1), Some(second)));
        assert_eq!(accepted(&again, rotated(1, second.epoch)).intent, None);
    }

    #[test]
    fn a_reply_without_rotation_resolves_the_intent_and_keeps_the_generation() {
        let mut head = Head::new();
        let intent = leased(&mut head, ask(0));
        let kept = Commit { rotated: false, ..rotated(0, intent.epoch) };
        let after = accepted(&head, kept);
        assert_eq!((after.generation, after.intent), (Generation(0), None));
    }

    #[test]
    fn l10_a_tombstone_refuses_everything() {
        let head = Head { tombstone: true, ..Head::new() };
        assert_eq!(begin(&head, &ask(0), NOW), Begun::Ended);
        assert_eq!(commit(&head, &rotated(0, Epoch(1))), Verdict::Ended);
    }
}
