//! Everything that happened, in order, with the vendor's log codes, and the sums of it. No secret
//! comes in here: callers hand over hashes.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex};

use serde::Serialize;

use crate::hold;
use crate::provider::family::FamilyId;

pub use self::kind::Kind;

mod kind;

/// Events kept for reading; the sums in [`Summary`] go on counting. At about 300 bytes an event
/// this bounds the ledger at 60 MB.
const EVENTS_MAX: usize = 200_000;

/// Events handed out by one read, so that one answer stays below a few megabytes.
pub const PAGE_MAX: usize = 10_000;

/// One line of the ledger.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Entry {
    /// The family, as hexadecimal digits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub family: Option<String>,
    /// The generation presented (the vendor's tokenCounter).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub generation: Option<u32>,
    /// The newest generation after the event (the vendor's latestCounter).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub latest: Option<u32>,
    /// Whether the exchange forked the family inside the reuse window.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub fork: bool,
    /// The audience answered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub audience: Option<String>,
    /// The scopes granted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scope: Option<String>,
    /// The client.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client: Option<String>,
    /// The user's subject.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// The first digits of the hash of the token presented.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hash: Option<String>,
    /// A plain remark.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

/// A numbered and timed entry.
#[derive(Clone, Debug, Serialize)]
pub struct Event {
    /// Counts from 1.
    pub seq: u64,
    /// Milliseconds since the sandbox started.
    pub at_ms: u64,
    /// What happened.
    pub kind: Kind,
    /// The vendor's log code.
    #[serde(skip_serializing_if = "str::is_empty")]
    pub code: &'static str,
    /// The particulars.
    #[serde(flatten)]
    pub entry: Entry,
}

/// The sums of the ledger.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Summary {
    /// Requests to the token endpoint, refused and broken ones included.
    pub token_requests: u64,
    /// Refresh tokens exchanged.
    pub refreshes: u64,
    /// Refresh tokens refused.
    pub refreshes_refused: u64,
    /// Authorization codes exchanged.
    pub code_exchanges: u64,
    /// Device codes exchanged.
    pub device_exchanges: u64,
    /// Exchanges that replaced a refresh token, forks included.
    pub rotations: u64,
    /// Exchanges of the previous token inside the reuse window.
    pub forks: u64,
    /// Spent refresh tokens presented outside the reuse window.
    pub reuse_detected: u64,
    /// Families ended by a reuse.
    pub families_revoked: u64,
    /// Families ended by the limit per user and client.
    pub families_evicted: u64,
    /// Refresh tokens revoked on request.
    pub revocations: u64,
    /// Sign-outs at the provider.
    pub logouts: u64,
    /// Sign-ins at the provider.
    pub logins: u64,
    /// Clients that failed to authenticate.
    pub clients_refused: u64,
    /// Demands for a second factor: `mfa_required`, refused silent sign-ins, pages.
    pub mfa_challenges: u64,
    /// Demands completed, at the token endpoint or on a page.
    pub mfa_verified: u64,
    /// Wrong codes.
    pub mfa_wrong_codes: u64,
    /// Polls told that the user refused.
    pub mfa_rejected: u64,
    /// Polls told to go on.
    pub mfa_pending: u64,
    /// Polls told to slow down.
    pub mfa_slow_down: u64,
    /// Attempts and messages beyond the limits.
    pub mfa_rate_limited: u64,
    /// `mfa_token`s that were unknown, used, expired or another client's.
    pub mfa_tokens_refused: u64,
    /// Messages and pushes sent.
    pub mfa_sent: u64,
    /// Authenticators enrolled.
    pub mfa_enrolled: u64,
    /// Faults played.
    pub faults_played: u64,
    /// Most refreshes of one family in flight at once whose callers were all still connected: law
    /// L1 holds where this is at most 1.
    pub max_concurrent_per_family: u64,
    /// Most refreshes of one family at work at once, those of vanished callers included.
    pub max_processing_per_family: u64,
    /// Refreshes that arrived while another of their family, with a connected caller, was in flight.
    pub overlapping_refreshes_per_family: u64,
}

/// The ledger.
#[derive(Debug, Default)]
pub struct Ledger {
    book: Mutex<Book>,
    connected: Arc<Mutex<HashMap<FamilyId, u64>>>,
    processing: Arc<Mutex<HashMap<FamilyId, u64>>>,
}

#[derive(Debug, Default)]
struct Book {
    events: VecDeque<Event>,
    last_seq: u64,
    sums: Summary,
}

/// Counts a request of a family as in flight until dropped.
#[derive(Debug)]
#[must_use]
pub(crate) struct InFlight {
    family: FamilyId,
    counts: Arc<Mutex<HashMap<FamilyId, u64>>>,
}

impl Ledger {
    /// Writes one line.
    pub(crate) fn write(&self, at_ms: u64, kind: Kind, entry: Entry) {
        let mut book = hold(&self.book);
        book.sums.count(kind, &entry);
        book.last_seq += 1;
        let event = Event { seq: book.last_seq, at_ms, kind, code: kind.code(), entry };
        tracing::debug!(seq = event.seq, kind = ?kind, family = event.entry.family, "ledger");
        if book.events.len() >= EVENTS_MAX {
            book.events.pop_front();
        }
        book.events.push_back(event);
    }

    /// Counts a request to the token endpoint.
    pub(crate) fn count_token_request(&self) {
        hold(&self.book).sums.token_requests += 1;
    }

    /// Counts a refresh of a family as in flight while its caller is connected, and tells whether
    /// it has met another.
    pub(crate) fn connected(&self, family: FamilyId) -> (InFlight, bool) {
        let (guard, now) = enter(&self.connected, family);
        let sums = &mut hold(&self.book).sums;
        sums.max_concurrent_per_family = sums.max_concurrent_per_family.max(now);
        sums.overlapping_refreshes_per_family += u64::from(now > 1);
        (guard, now > 1)
    }

    /// Counts a refresh of a family as at work, whether or not its caller is connected.
    pub(crate) fn processing(&self, family: FamilyId) -> InFlight {
        let (guard, now) = enter(&self.processing, family);
        let sums = &mut hold(&self.book).sums;
        sums.max_processing_per_family = sums.max_processing_per_family.max(now);
        guard
    }

    /// Returns the events after a sequence number, at most [`PAGE_MAX`] of them.
    #[must_use]
    pub fn since(&self, seq: u64) -> Vec<Event> {
        let book = hold(&self.book);
        let first = book.events.partition_point(|event| event.seq <= seq);
        book.events.iter().skip(first).take(PAGE_MAX).cloned().collect()
    }

    /// Returns the sums.
    #[must_use]
    pub fn summary(&self) -> Summary {
        hold(&self.book).sums.clone()
    }

    /// Forgets events and sums; sequence numbers go on.
    pub fn clear(&self) {
        let mut book = hold(&self.book);
        book.events.clear();
        book.sums = Summary::default();
    }
}

impl Summary {
    fn count(&mut self, kind: Kind, entry: &Entry) {
        match kind {
            Kind::Refreshed => {
                self.refreshes += 1;
                self.forks += u64::from(entry.fork);
                self.rotations += u64::from(entry.fork || entry.latest > entry.generation);
            }
            Kind::RefreshRefused => self.refreshes_refused += 1,
            Kind::ReuseDetected => {
                self.refreshes_refused += 1;
                self.reuse_detected += 1;
            }
            Kind::Login => self.logins += 1,
            Kind::CodeExchanged => self.code_exchanges += 1,
            Kind::DeviceExchanged => self.device_exchanges += 1,
            Kind::FamilyRevoked => self.families_revoked += 1,
            Kind::FamilyEvicted => self.families_evicted += 1,
            Kind::Revoked => self.revocations += 1,
            Kind::Logout => self.logouts += 1,
            Kind::ClientRefused => self.clients_refused += 1,
            Kind::FaultPlayed => self.faults_played += 1,
            Kind::OtpVerified | Kind::OobVerified | Kind::RecoveryVerified => {
                self.mfa_verified += 1;
                self.rotations += u64::from(entry.latest > entry.generation);
            }
            Kind::MfaPagePassed => self.mfa_verified += 1,
            Kind::OtpWrong | Kind::OobWrong | Kind::RecoveryWrong | Kind::MfaPageFailed => {
                self.mfa_wrong_codes += 1;
            }
            Kind::MfaRequired => self.mfa_challenges += 1,
            Kind::MfaRejected => self.mfa_rejected += 1,
            Kind::MfaPending => self.mfa_pending += 1,
            Kind::MfaSlowDown => self.mfa_slow_down += 1,
            Kind::MfaRateLimited => self.mfa_rate_limited += 1,
            Kind::MfaTokenRefused => self.mfa_tokens_refused += 1,
            Kind::MfaEnrolled => self.mfa_enrolled += 1,
            Kind::MfaSmsSent | Kind::MfaVoiceSent | Kind::MfaEmailSent | Kind::MfaPushSent => {
                self.mfa_sent += 1;
            }
            Kind::MfaOtpAsked
            | Kind::MfaBadRequest
            | Kind::MfaEnrollStarted
            | Kind::MfaUnenrolled
            | Kind::SilentLogin
            | Kind::SilentLoginRefused
            | Kind::CodeRefused
            | Kind::BackchannelLogout
            | Kind::DeviceStarted
            | Kind::DeviceRefused
            | Kind::ClientCredentials
            | Kind::KeyRotated
            | Kind::Minted
            | Kind::RefreshesOverlap => {}
        }
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        let mut counts = hold(&self.counts);
        let left = counts.get(&self.family).copied().unwrap_or(1).saturating_sub(1);
        if left == 0 {
            counts.remove(&self.family);
        } else {
            counts.insert(self.family, left);
        }
    }
}

fn enter(counts: &Arc<Mutex<HashMap<FamilyId, u64>>>, family: FamilyId) -> (InFlight, u64) {
    let mut held = hold(counts);
    let count = held.entry(family).or_default();
    *count += 1;
    (InFlight { family, counts: Arc::clone(counts) }, *count)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_vanished_caller_does_not_count_as_concurrent() {
        let ledger = Ledger::default();
        let (first, _) = ledger.connected(7);
        let _at_work = ledger.processing(7);
        drop(first);
        let ((_second, met), _also_at_work) = (ledger.connected(7), ledger.processing(7));
        assert!(!met);
        let _other_family = ledger.connected(8);
        let sums = ledger.summary();
        assert_eq!((sums.max_concurrent_per_family, sums.max_processing_per_family), (1, 2));
        assert_eq!(sums.overlapping_refreshes_per_family, 0);
        let (_third, met) = ledger.connected(7);
        assert!(met);
        let sums = ledger.summary();
        assert_eq!((sums.max_concurrent_per_family, sums.overlapping_refreshes_per_family), (2, 1));
    }

    #[test]
    fn reading_goes_on_where_it_stopped() {
        let ledger = Ledger::default();
        for at_ms in [5, 6, 7] {
            ledger.write(at_ms, Kind::Login, Entry::default());
        }
        let seqs = |since| ledger.since(since).iter().map(|event| event.seq).collect::<Vec<_>>();
        assert_eq!((seqs(0), seqs(2), seqs(3)), (vec![1, 2, 3], vec![3], vec![]));
        ledger.clear();
        ledger.write(8, Kind::Login, Entry::default());
        assert_eq!((seqs(0), ledger.summary().logins), (vec![4], 1));
    }
}
