//! What can be told about a session, without its secrets.

use serde::Serialize;
use tokio::sync::oneshot;

use crate::access::Tokenward;
use crate::core::event::EndReason;
use crate::core::name::SessionKey;
use crate::core::session::State;
use crate::core::snapshot::{Entry, Snapshot};
use crate::core::time::{Instant, UnixSeconds};
use crate::events::LifecycleEvent;
use crate::router::RouterMessage;
use crate::session::{SessionMessage, View};
use crate::store::{Restored, StoreError};

/// A session, for its person and for operators. Holds nothing secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SessionView {
    /// The public id.
    pub id: String,
    /// The provider's name for the person.
    pub subject: String,
    /// The issuer.
    pub provider: String,
    /// What the device calls itself that it is the session of; absent for browsers and programs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub device: Option<String>,
    /// `fresh`, `refreshing`, `in_doubt`, `backoff`, `operator_fault` or `ended`.
    pub state: &'static str,
    /// Why it ended, or what it waits for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<&'static str>,
    /// How many seconds until it tries again, where it waits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_in_s: Option<u64>,
    /// Whether it is in memory.
    pub resident: bool,
    /// Whether it can be refreshed.
    pub refreshable: bool,
    /// The number of rotations so far.
    pub generation: u64,
    /// When the person authenticated, as the provider says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub authenticated_at: Option<u64>,
    /// When it must end, as the provider says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ends_at: Option<u64>,
    /// What it holds for each audience.
    pub audiences: Vec<AudienceView>,
}

/// What is remembered of a session's course.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chronicle {
    /// Whether it has ended.
    pub ended: bool,
    /// Its latest facts, oldest first; the end is the last one.
    pub facts: Vec<LifecycleEvent>,
}

/// What a session holds for one audience.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct AudienceView {
    /// The API.
    pub audience: String,
    /// `fresh`, `expired` or `held`.
    pub state: &'static str,
    /// What was asked for.
    pub requested: String,
    /// What was granted.
    pub granted: String,
    /// How many seconds the access token has left.
    pub expires_in_s: u64,
}

impl Tokenward {
    /// Describes a session; `None` where there is none.
    ///
    /// # Errors
    /// [`StoreError`] where its record cannot be read.
    pub async fn describe(&self, key: &SessionKey) -> Result<Option<SessionView>, StoreError> {
        let now = self.shared.clock.now();
        if let Some(known) = self.view(key).await {
            let mut view = view(key, &known.snapshot, &known.state, true, now);
            if known.elsewhere {
                (view.state, view.reason) = ("refreshing", Some("elsewhere"));
            }
            return Ok(Some(view));
        }
        Ok(match self.shared.load(*key).await? {
            Restored::Living(snapshot) => Some(view(key, &snapshot, &State::Fresh, false, now)),
            Restored::Ended(_) | Restored::Absent => None,
        })
    }

    /// Returns why a session is over; `None` where it goes on, or where there is none.
    ///
    /// # Errors
    /// [`StoreError`] where its record cannot be read.
    pub async fn end_of(&self, key: &SessionKey) -> Result<Option<EndReason>, StoreError> {
        Ok(match self.restored(key).await? {
            Restored::Ended(reason) => Some(reason),
            Restored::Absent | Restored::Living(_) => None,
        })
    }

    /// Finds a living session by its public id; `None` where there is none.
    ///
    /// # Errors
    /// [`StoreError`] where the store cannot be asked.
    pub async fn find_by_id(&self, id: &str) -> Result<Option<SessionKey>, StoreError> {
        let Some(before) = key_before(id) else {
            return Ok(None);
        };
        let candidates = self.shared.vault.list(before, 1).await?;
        Ok(candidates.into_iter().find(|key| key.id() == id))
    }

    /// Lists living sessions after `after`, at most `limit`.
    ///
    /// # Errors
    /// [`StoreError`] where the store cannot be asked.
    pub async fn list(
        &self,
        after: Option<SessionKey>,
        limit: usize,
    ) -> Result<Vec<SessionKey>, StoreError> {
        self.shared.vault.list(after, limit).await
    }

    /// Returns what is remembered of a session's latest history, oldest first.
    pub fn timeline(&self, key: &SessionKey) -> Vec<LifecycleEvent> {
        self.shared.events.timeline(key)
    }

    /// Returns what is remembered of the session with this public id, whether it lives or has
    /// ended; `None` where there is neither.
    ///
    /// # Errors
    /// [`StoreError`] where the store cannot be asked.
    pub async fn timeline_by_id(&self, id: &str) -> Result<Option<Chronicle>, StoreError> {
        if let Some(key) = self.find_by_id(id).await? {
            return Ok(Some(Chronicle { ended: false, facts: self.timeline(&key) }));
        }
        let Some((first, last)) = keys_of(id) else {
            return Ok(None);
        };
        let Some(epitaph) = self.shared.vault.epitaph(first, last).await? else {
            return Ok(None);
        };
        let mut facts = self.timeline(&epitaph.key);
        if facts.is_empty() {
            facts = epitaph.facts;
        }
        if facts.is_empty() {
            let at_ms = epitaph.at.map_or(0, |at| self.shared.clock.unix_millis_of(at));
            facts.push(self.shared.events.end_in_words(&epitaph.key, epitaph.reason, at_ms));
        }
        Ok(Some(Chronicle { ended: true, facts }))
    }

    /// Returns what is known of a session, in memory or else in its record.
    pub(crate) async fn restored(&self, key: &SessionKey) -> Result<Restored, StoreError> {
        let Some(View { snapshot, state, .. }) = self.view(key).await else {
            return self.shared.load(*key).await;
        };
        Ok(match state {
            State::Ended(reason) => Restored::Ended(reason),
            State::Backoff { .. }
            | State::Exchanging { .. }
            | State::Fresh
            | State::InDoubt { .. }
            | State::OperatorFault { .. } => Restored::Living(Box::new(snapshot)),
        })
    }

    async fn view(&self, key: &SessionKey) -> Option<View> {
        self.shared.directory.find(key)?;
        let (reply, answer) = oneshot::channel();
        let message = SessionMessage::Describe(reply);
        self.shared.router(key).send(RouterMessage::Deliver(*key, message));
        tokio::time::timeout(self.shared.policies().deadlines.soft, answer).await.ok()?.ok()
    }
}

fn view(
    key: &SessionKey,
    snapshot: &Snapshot,
    state: &State,
    resident: bool,
    now: Instant,
) -> SessionView {
    let (state, reason, retry_at) = match state {
        State::Backoff { until } => ("backoff", None, Some(*until)),
        State::Ended(reason) => ("ended", Some(reason.code()), None),
        State::Exchanging { trigger, .. } => ("refreshing", Some(trigger.code()), None),
        State::Fresh if snapshot.head.intent.is_some() => ("in_doubt", None, None),
        State::Fresh => ("fresh", None, None),
        State::InDoubt { retry_at, .. } => ("in_doubt", None, Some(*retry_at)),
        State::OperatorFault { fault, until } => {
            ("operator_fault", Some(fault.code()), Some(*until))
        }
    };
    SessionView {
        id: key.id(),
        subject: snapshot.subject.to_string(),
        provider: snapshot.provider.to_string(),
        device: snapshot.device.as_ref().map(|device| device.kind.as_str().to_owned()),
        state,
        reason,
        retry_in_s: retry_at.map(|at| at.left_at(now).as_secs()),
        resident,
        refreshable: snapshot.refresh_token.is_some(),
        generation: snapshot.head.generation.0,
        authenticated_at: snapshot.authentication.at.map(|UnixSeconds(at)| at),
        ends_at: snapshot.ceiling.map(|UnixSeconds(at)| at),
        audiences: audiences(snapshot, now),
    }
}

fn audiences(snapshot: &Snapshot, now: Instant) -> Vec<AudienceView> {
    let entry = |entry: &Entry| AudienceView {
        audience: entry.audience.to_string(),
        state: if entry.expires_at() > now { "fresh" } else { "expired" },
        requested: entry.requested.to_string(),
        granted: entry.granted.to_string(),
        expires_in_s: entry.expires_at().left_at(now).as_secs(),
    };
    // The token of the sign-in and its successor may differ in scopes that only the provider
    // looks at: for people they are one.
    let outlived = |entry: &&Entry| {
        let same = |other: &&Entry| {
            other.audience == entry.audience
                && other.granted.resource() == entry.granted.resource()
                && other.born_in > entry.born_in
        };
        snapshot.entries.iter().any(|other| same(&other))
    };
    let held = snapshot.holds.iter().map(|hold| AudienceView {
        audience: hold.audience.to_string(),
        state: "held",
        requested: hold.scopes.to_string(),
        granted: String::new(),
        expires_in_s: 0,
    });
    let entries = snapshot.entries.iter().filter(|entry| !outlived(entry));
    entries.map(entry).chain(held).collect()
}

/// The key right before all keys with this id: `Some(None)` where that is the very beginning.
#[expect(clippy::option_option, reason = "no such id, or a listing from the start")]
fn key_before(id: &str) -> Option<Option<SessionKey>> {
    keys_of(id).map(|(SessionKey(first), _)| predecessor(first).map(SessionKey))
}

/// The first and the last key that may have this id.
fn keys_of(id: &str) -> Option<(SessionKey, SessionKey)> {
    if id.len() != 24 || !id.is_ascii() {
        return None;
    }
    let (mut first, mut last) = ([0; 32], [0xff; 32]);
    for (at, digits) in id.as_bytes().chunks(2).enumerate() {
        let digits = std::str::from_utf8(digits).ok()?;
        let byte = u8::from_str_radix(digits, 16).ok()?;
        (first[at], last[at]) = (byte, byte);
    }
    Some((SessionKey(first), SessionKey(last)))
}

fn predecessor(mut key: [u8; 32]) -> Option<[u8; 32]> {
    for byte in key.iter_mut().rev() {
        let (less, borrowed) = byte.overflowing_sub(1);
        *byte = less;
        if !borrowed {
            return Some(key);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_leads_to_the_key_before_its_first() {
        let mut key = [0xff; 32];
        key[..12].copy_from_slice(&[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]);
        key[11] = 0;
        let id = SessionKey([
            0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7,
            7, 7, 7,
        ])
        .id();
        assert_eq!(key_before(&id), Some(Some(SessionKey(key))));
        assert_eq!(key_before(&"0".repeat(24)), Some(None));
        for bad in ["", "00", &"g".repeat(24), &"é".repeat(12)] {
            assert_eq!(key_before(bad), None, "{bad:?}");
        }
    }
}
