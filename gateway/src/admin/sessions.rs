//! Sessions, as an operator sees and ends them.

use std::sync::Arc;

use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use futures_util::stream::{self, StreamExt as _};
use serde::{Deserialize, Serialize};
use serde_json::json;
use tokenward::core::event::LogoutKind;
use tokenward::core::name::SessionKey;
use tokenward::store::StoreError;
use tokenward::{Chronicle, LifecycleEvent, SessionView, Tokenward};

use super::{Admin, json};
use crate::pages::Trouble;
use crate::session::STORE_RETRY;

/// The sessions of a page where nobody says how many.
const PAGE: usize = 50;

/// The most sessions of a page: each is asked for.
const PAGE_MAX: usize = 200;

/// The sessions of a page that are asked at a time.
const ASKED_AT_ONCE: usize = 16;

/// The characters of a public id: twelve bytes in hexadecimal.
const ID_CHARS: usize = 24;

/// The code of a session's last fact.
pub const ENDED_EVENT: &str = "ended";

/// Which page of the sessions is wanted.
#[derive(Debug, Deserialize)]
pub(super) struct Wanted {
    after: Option<String>,
    limit: Option<usize>,
    q: Option<String>,
}

impl Wanted {
    /// Returns what is sought; empty where everything is wanted.
    pub(super) fn sought(&self) -> &str {
        self.q.as_deref().unwrap_or_default().trim()
    }

    /// Reports whether this is not the first page.
    pub(super) fn is_later(&self) -> bool {
        self.after.as_deref().is_some_and(|after| !after.is_empty())
    }
}

/// A page of sessions.
#[derive(Debug, Serialize)]
pub struct Page {
    /// The sessions, in the order of their ids.
    pub sessions: Vec<Listed>,
    /// How many living sessions there are altogether.
    pub total: u64,
    /// The `after` of the next page; absent at the end.
    pub next: Option<String>,
}

/// One session of a page.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub enum Listed {
    /// When it can be told about.
    View(Box<SessionView>),
    /// When its record cannot be read; the others are listed all the same.
    Unreadable {
        /// Its public id.
        id: String,
        /// `unreadable`.
        state: &'static str,
        /// Why, and who must act.
        reason: String,
    },
}

/// What is remembered of a session's course.
#[derive(Debug, Serialize)]
pub struct Story {
    /// Its public id.
    pub session: String,
    /// Whether it has ended.
    pub ended: bool,
    /// Its latest facts, oldest first.
    pub facts: Vec<LifecycleEvent>,
}

/// GET /api/sessions.
pub(super) async fn list(
    State(admin): State<Arc<Admin>>,
    headers: HeaderMap,
    wanted: Result<Query<Wanted>, QueryRejection>,
) -> Response {
    let answer = match wanted {
        Ok(Query(wanted)) => page(admin.front.tokenward(), wanted).await,
        Err(rejection) => Err(bad_request(format!("{}.", rejection.body_text()))),
    };
    match answer {
        Ok(page) => json(StatusCode::OK, page),
        Err(trouble) => trouble.reply(&headers),
    }
}

/// GET /api/sessions/{id}.
pub(super) async fn show(
    State(admin): State<Arc<Admin>>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Response {
    let tokenward = admin.front.tokenward();
    let answer = match find(&admin, &id).await {
        Ok(key) => tokenward.describe(&key).await.map_err(|error| store(&error)),
        Err(trouble) => Err(trouble),
    };
    match answer {
        Ok(Some(view)) => json(StatusCode::OK, view),
        Ok(None) => absent(&admin, &id).reply(&headers),
        Err(trouble) => trouble.reply(&headers),
    }
}

/// GET /api/sessions/{id}/timeline: of an ended session, what led to its end, for a day.
pub(super) async fn timeline(
    State(admin): State<Arc<Admin>>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Response {
    match admin.front.tokenward().timeline_by_id(&id).await {
        Ok(Some(Chronicle { ended, facts })) => {
            json(StatusCode::OK, Story { session: id, ended, facts })
        }
        Ok(None) => absent(&admin, &id).reply(&headers),
        Err(error) => store(&error).reply(&headers),
    }
}

/// DELETE /api/sessions/{id}.
pub(super) async fn end(
    State(admin): State<Arc<Admin>>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Response {
    let key = match find(&admin, &id).await {
        Ok(key) => key,
        Err(trouble) => return trouble.reply(&headers),
    };
    match admin.front.tokenward().end(&key, LogoutKind::Admin).await {
        Ok(_) => json(StatusCode::OK, json!({ "session": id, "ended": true })),
        Err(error) => store(&error).reply(&headers),
    }
}

/// POST /api/sessions/{id}/retry: tries what the session waits for at once.
pub(super) async fn retry(
    State(admin): State<Arc<Admin>>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Response {
    match find(&admin, &id).await {
        Ok(key) => {
            admin.front.tokenward().retry(&key);
            json(StatusCode::ACCEPTED, json!({ "session": id, "retrying": true }))
        }
        Err(trouble) => trouble.reply(&headers),
    }
}

/// Collects a page of sessions.
pub(super) async fn page(tokenward: &Tokenward, wanted: Wanted) -> Result<Page, Trouble> {
    let limit = match wanted.limit.unwrap_or(PAGE) {
        limit @ 1..=PAGE_MAX => limit,
        limit => {
            return Err(bad_request(format!("limit is {limit}; give 1 to {PAGE_MAX}.")));
        }
    };
    let after = match wanted.after.as_deref().filter(|after| !after.is_empty()) {
        None => None,
        Some(id) => Some(last_of(id).ok_or_else(|| {
            bad_request("after is no session id; take it from next of the page before.".to_owned())
        })?),
    };
    let keys = match wanted.sought() {
        "" => tokenward.list(after, limit + 1).await,
        sought => found(tokenward, sought, after, limit + 1).await,
    };
    let mut keys = keys.map_err(|error| store(&error))?;
    let more = keys.len() > limit;
    keys.truncate(limit);
    let next = keys.last().filter(|_| more).map(SessionKey::id);
    let total = tokenward.vault().count().await.map_err(|error| store(&error))?;
    Ok(Page { sessions: told(tokenward, keys).await, total, next })
}

/// Finds sessions by the beginning of their public id, or by the provider's whole name for the
/// person: the store has indexes for these, and sealed records for the rest.
async fn found(
    tokenward: &Tokenward,
    sought: &str,
    after: Option<SessionKey>,
    limit: usize,
) -> Result<Vec<SessionKey>, StoreError> {
    let by_id = match beginning(sought) {
        Some(before) => tokenward.list(before.max(after), limit).await?,
        None => Vec::new(),
    };
    let sought_id = sought.to_ascii_lowercase();
    let by_id = by_id.into_iter().take_while(|key| key.id().starts_with(&sought_id));
    let by_subject = tokenward.vault().of_subject(tokenward.provider().issuer(), sought).await?;
    let mut keys: Vec<SessionKey> = by_id.chain(by_subject).collect();
    keys.retain(|key| after.is_none_or(|after| *key > after));
    keys.sort_unstable();
    keys.dedup();
    Ok(keys)
}

/// Tells about sessions; one that ends meanwhile is left out.
pub(super) async fn told(tokenward: &Tokenward, keys: Vec<SessionKey>) -> Vec<Listed> {
    let asked = keys.into_iter().map(|key| {
        let tokenward = tokenward.clone();
        async move {
            match tokenward.describe(&key).await {
                Ok(view) => view.map(|view| Listed::View(Box::new(view))),
                Err(error) => Some(Listed::Unreadable {
                    id: key.id(),
                    state: "unreadable",
                    reason: error.to_string(),
                }),
            }
        }
    });
    stream::iter(asked)
        .buffered(ASKED_AT_ONCE)
        .filter_map(|listed| async { listed })
        .collect()
        .await
}

/// Finds a living session by its public id.
pub(super) async fn find(admin: &Admin, id: &str) -> Result<SessionKey, Trouble> {
    match admin.front.tokenward().find_by_id(id).await {
        Ok(Some(key)) => Ok(key),
        Ok(None) => Err(absent(admin, id)),
        Err(error) => Err(store(&error)),
    }
}

/// Returns the last key with this id, so that a page can begin after it.
fn last_of(id: &str) -> Option<SessionKey> {
    if id.len() != ID_CHARS || !id.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    let mut key = [0xff; 32];
    for (byte, digits) in key.iter_mut().zip(id.as_bytes().chunks(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?;
    }
    Some(SessionKey(key))
}

/// Returns the last key before all whose id begins like this: `Some(None)` where they come first,
/// `None` where no id begins like this.
#[expect(clippy::option_option, reason = "no such id, or a listing from the start")]
fn beginning(digits: &str) -> Option<Option<SessionKey>> {
    let is_digit = |byte: u8| byte.is_ascii_hexdigit();
    if digits.is_empty() || digits.len() > ID_CHARS || !digits.bytes().all(is_digit) {
        return None;
    }
    let first = format!("{digits:0<ID_CHARS$}");
    let SessionKey(mut key) = last_of(&first)?;
    key[ID_CHARS / 2..].fill(0);
    for byte in key.iter_mut().rev() {
        let (less, borrowed) = byte.overflowing_sub(1);
        *byte = less;
        if !borrowed {
            return Some(Some(SessionKey(key)));
        }
    }
    Some(None)
}

pub(super) fn absent(admin: &Admin, id: &str) -> Trouble {
    let detail = match admin.front.hub().end_of(id) {
        Some(end) => format!("The session is gone; {}.", end.text),
        None => "There is no living session with this id; GET /api/sessions lists them.".to_owned(),
    };
    Trouble::new(StatusCode::NOT_FOUND, "no_session", "No such session", detail)
}

pub(super) fn bad_request(detail: String) -> Trouble {
    Trouble::new(StatusCode::BAD_REQUEST, "invalid_request", "Not understood", detail)
}

pub(super) fn store(error: &StoreError) -> Trouble {
    tracing::error!(%error, "the store does not serve an operator");
    Trouble::new(
        StatusCode::SERVICE_UNAVAILABLE,
        "temporarily_unavailable",
        "The store does not answer",
        format!("The session store says: {error}."),
    )
    .retry_after(STORE_RETRY)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_search_begins_right_before_the_first_key_that_may_fit() {
        assert_eq!(beginning("000"), Some(None));
        let before = beginning("Ab1").flatten().unwrap();
        let fits =
            |byte: u8| SessionKey([[0xab, byte].as_slice(), &[0; 30]].concat().try_into().unwrap());
        assert!(before < fits(0x10) && before > fits(0x0f));
        for bad in ["", "g", "a b", &"0".repeat(25), "auth0|ada"] {
            assert_eq!(beginning(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn a_page_begins_after_every_key_with_the_id() {
        let key = last_of(&"0a".repeat(12)).unwrap();
        assert!(
            key > SessionKey([[0x0a; 12].as_slice(), &[0xfe; 20]].concat().try_into().unwrap())
        );
        assert_eq!(key.id(), "0a".repeat(12));
        for bad in ["", "0a", &"g".repeat(24), &"é".repeat(12), &"+a".repeat(12)] {
            assert_eq!(last_of(bad), None, "{bad}");
        }
    }
}
