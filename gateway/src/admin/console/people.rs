//! The pages about sessions: the list, one session with its course, and what can be done with it.

use std::sync::Arc;

use askama::Template;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use tokenward::core::event::LogoutKind;
use tokenward::{AudienceView, Chronicle, SessionView};

use super::board::Part;
use super::facts::Told;
use super::{dressed, words};
use crate::admin::Admin;
use crate::admin::sessions::{self, Listed, Wanted};
use crate::moment::{moment, of_day};
use crate::pages::Trouble;

#[derive(Template)]
#[template(path = "console/sessions.html")]
struct SessionsPage<'a> {
    nonce: &'a str,
    version: &'static str,
    at: &'static str,
    sought: &'a str,
    total: String,
    rows: Vec<Row>,
    /// Where the next page is.
    next: Option<String>,
    /// Whether this is not the first page.
    later: bool,
}

/// A session in the list.
struct Row {
    id: String,
    subject: String,
    state: StateWords,
    audiences: Vec<AudienceRow>,
}

/// What an audience's entry is called, and what is known of it.
struct AudienceRow {
    name: String,
    state: &'static str,
    colour: &'static str,
    left: String,
    granted: String,
    requested: String,
}

/// A state in words.
struct StateWords {
    name: &'static str,
    colour: &'static str,
    more: String,
}

#[derive(Template)]
#[template(path = "console/session.html")]
struct SessionPage<'a> {
    nonce: &'a str,
    version: &'static str,
    at: &'static str,
    id: &'a str,
    subject: &'a str,
    over: bool,
    who: &'a str,
    story: &'a str,
}

#[derive(Template)]
#[template(path = "console/who.html")]
struct Who<'a> {
    view: &'a SessionView,
    state: StateWords,
    audiences: Vec<AudienceRow>,
    authenticated: Option<(String, String)>,
    ends: Option<(String, String)>,
}

#[derive(Template)]
#[template(path = "console/story.html")]
struct StoryPart {
    facts: Vec<Told>,
    over: bool,
}

/// GET /sessions.
pub(in crate::admin) async fn sessions(
    State(admin): State<Arc<Admin>>,
    headers: HeaderMap,
    wanted: Result<Query<Wanted>, QueryRejection>,
) -> Response {
    let answer = match wanted {
        Ok(Query(wanted)) => {
            let (sought, later) = (wanted.sought().to_owned(), wanted.is_later());
            let page = sessions::page(admin.front.tokenward(), wanted).await;
            page.map(|page| (page, sought, later))
        }
        Err(rejection) => Err(sessions::bad_request(format!("{}.", rejection.body_text()))),
    };
    let (page, sought, later) = match answer {
        Ok(answer) => answer,
        Err(trouble) => return trouble.way_out("Sessions", "/sessions").reply(&headers),
    };
    if let [Listed::View(only)] = page.sessions.as_slice()
        && only.id == sought
    {
        return to_session(&only.id);
    }
    let next = page.next.map(|after| {
        let query = url::form_urlencoded::Serializer::new(String::new())
            .append_pair("q", &sought)
            .append_pair("after", &after)
            .finish();
        format!("/sessions?{query}")
    });
    let (total, version) = (words::count(page.total), env!("CARGO_PKG_VERSION"));
    let rows: Vec<Row> = page.sessions.into_iter().map(row).collect();
    let (sought, at) = (&*sought, "sessions");
    dressed(|nonce| SessionsPage { nonce, version, at, sought, total, rows, next, later }.render())
}

/// GET /sessions/{id}.
pub(in crate::admin) async fn session(
    State(admin): State<Arc<Admin>>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Response {
    let known = match known(&admin, &id).await {
        Ok(known) => known,
        Err(trouble) => return trouble.way_out("Sessions", "/sessions").reply(&headers),
    };
    let who = known.view.as_ref().map(who).unwrap_or_default();
    let story = story(&known.chronicle);
    let subject = known.view.as_ref().map_or("", |view| &view.subject);
    let (version, over) = (env!("CARGO_PKG_VERSION"), known.view.is_none());
    dressed(|nonce| {
        let (id, at, who, story) = (&*id, "session", &*who, &*story);
        SessionPage { nonce, version, at, id, subject, over, who, story }.render()
    })
}

/// POST /sessions/{id}/end.
pub(in crate::admin) async fn end(
    State(admin): State<Arc<Admin>>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Response {
    let ended = match sessions::find(&admin, &id).await {
        Ok(key) => admin.front.tokenward().end(&key, LogoutKind::Admin).await,
        Err(trouble) => return trouble.way_out("Sessions", "/sessions").reply(&headers),
    };
    match ended {
        Ok(_) => to_session(&id),
        Err(error) => sessions::store(&error).reply(&headers),
    }
}

/// POST /sessions/{id}/retry.
pub(in crate::admin) async fn retry(
    State(admin): State<Arc<Admin>>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Response {
    match sessions::find(&admin, &id).await {
        Ok(key) => {
            admin.front.tokenward().retry(&key);
            to_session(&id)
        }
        Err(trouble) => trouble.way_out("Sessions", "/sessions").reply(&headers),
    }
}

/// Draws the parts of a session's page that change.
pub(super) async fn parts(admin: &Admin, id: &str) -> Vec<Part> {
    match known(admin, id).await {
        Ok(known) => {
            let who = known.view.as_ref().map(who).unwrap_or_default();
            vec![("who", who), ("story", story(&known.chronicle))]
        }
        Err(_) => Vec::new(),
    }
}

/// What is known of a session, living or not.
struct Known {
    /// Absent once it has ended.
    view: Option<SessionView>,
    chronicle: Chronicle,
}

async fn known(admin: &Admin, id: &str) -> Result<Known, Trouble> {
    let tokenward = admin.front.tokenward();
    let store = |error| sessions::store(&error);
    let chronicle = tokenward.timeline_by_id(id).await.map_err(store)?;
    let chronicle = chronicle.ok_or_else(|| sessions::absent(admin, id))?;
    let view = match tokenward.find_by_id(id).await.map_err(store)? {
        Some(key) => tokenward.describe(&key).await.map_err(store)?,
        None => None,
    };
    Ok(Known { view: view.filter(|view| view.state != "ended"), chronicle })
}

/// The id is known, so that it is hexadecimal.
fn to_session(id: &str) -> Response {
    let place = HeaderValue::try_from(format!("/sessions/{id}"));
    let place = place.unwrap_or(HeaderValue::from_static("/sessions"));
    (StatusCode::SEE_OTHER, [(header::LOCATION, place)]).into_response()
}

fn row(listed: Listed) -> Row {
    match listed {
        Listed::View(view) => Row {
            state: state(&view),
            audiences: view.audiences.iter().map(audience).collect(),
            id: view.id,
            subject: view.subject,
        },
        Listed::Unreadable { id, reason, .. } => Row {
            id,
            subject: "?".to_owned(),
            state: StateWords { name: "unreadable", colour: "bad", more: reason },
            audiences: Vec::new(),
        },
    }
}

fn who(view: &SessionView) -> String {
    let time = |at: u64| (moment(at * 1_000), of_day(at * 1_000));
    let who = Who {
        view,
        state: state(view),
        audiences: view.audiences.iter().map(audience).collect(),
        authenticated: view.authenticated_at.map(time),
        ends: view.ends_at.map(time),
    };
    // Writing to a text fails only where a value's Display does; these are texts and numbers.
    who.render().unwrap_or_default()
}

fn story(chronicle: &Chronicle) -> String {
    let facts = chronicle.facts.iter().rev().map(Told::of).collect();
    StoryPart { facts, over: chronicle.ended }.render().unwrap_or_default()
}

fn state(view: &SessionView) -> StateWords {
    let held: Vec<_> = view.audiences.iter().filter(|held| held.state == "held").collect();
    let again = view.retry_in_s.map(|wait| format!("tries again in {}", words::span(wait)));
    let again = again.unwrap_or_default();
    let (name, colour, more) = match (view.state, held.first()) {
        ("fresh", Some(first)) => {
            let others = held.len() - 1;
            let more = if others == 0 { String::new() } else { format!(" and {others} more") };
            ("waits for a person", "blue", format!("for {}{more}", first.audience))
        }
        ("fresh", None) if !view.refreshable => {
            ("fresh", "warn", "ends with its access token: no refresh token".to_owned())
        }
        ("fresh", None) => ("fresh", "good", String::new()),
        ("refreshing", _) => ("refreshing", "teal", String::new()),
        ("in_doubt", _) => ("in doubt", "warn", format!("a reply was lost; {again}")),
        ("backoff", _) => ("waiting", "warn", format!("the provider is busy or away; {again}")),
        ("operator_fault", _) => {
            ("refused", "bad", format!("the provider refuses this client; {again}"))
        }
        (other, _) => (other, "soft", String::new()),
    };
    let more = more.trim_end_matches("; ").to_owned();
    StateWords { name, colour, more }
}

fn audience(view: &AudienceView) -> AudienceRow {
    let (state, colour, left) = match view.state {
        "fresh" => ("fresh", "good", format!("{} left", words::span(view.expires_in_s))),
        "held" => ("waits for a person", "blue", String::new()),
        _ => ("to be refreshed", "soft", String::new()),
    };
    AudienceRow {
        name: view.audience.clone(),
        state,
        colour,
        left,
        granted: view.granted.clone(),
        requested: view.requested.clone(),
    }
}
