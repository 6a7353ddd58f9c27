//! `tokenward sessions`: what a running gateway knows of its sessions.

use clap::{Args, Subcommand};
use serde::Deserialize;
use serde_json::Value;

use super::operator::Target;
use super::words::{moment, span, table};
use super::{Failure, note, say, say_json};
use crate::admin::ENDED_EVENT;

/// What is asked about sessions.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Lists living sessions.
    List(List),
    /// Shows one session: its state, and what it holds for each API.
    Show(One),
    /// Tells what happened to a session lately, in plain words.
    ///
    /// Of a session that has ended, what led to its end is kept for a day.
    Explain(One),
    /// Ends a session; its person must sign in again, and its refresh token is revoked.
    End(One),
}

/// Which sessions are to be listed.
#[derive(Debug, Args)]
pub(super) struct List {
    #[command(flatten)]
    target: Target,
    /// Only the session with this id, or the sessions of this person (the claim `sub`)
    #[arg(long, value_name = "ID or SUBJECT")]
    search: Option<String>,
    /// Begins after the session with this id
    #[arg(long, value_name = "ID")]
    after: Option<String>,
    /// How many to list
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u16).range(1..=200))]
    limit: u16,
    /// Prints JSON
    #[arg(long)]
    json: bool,
}

/// Which session is meant.
#[derive(Debug, Args)]
pub(super) struct One {
    /// The session's id, as `tokenward sessions list` shows it
    id: String,
    #[command(flatten)]
    target: Target,
    /// Prints JSON
    #[arg(long)]
    json: bool,
}

#[derive(Deserialize)]
struct Page {
    sessions: Vec<Session>,
    total: u64,
    next: Option<String>,
}

/// A session; of one whose record cannot be read, only the first three are there.
#[derive(Deserialize)]
struct Session {
    id: String,
    state: String,
    reason: Option<String>,
    #[serde(default)]
    subject: String,
    #[serde(default)]
    provider: String,
    device: Option<String>,
    retry_in_s: Option<u64>,
    #[serde(default)]
    refreshable: bool,
    #[serde(default)]
    generation: u64,
    authenticated_at: Option<u64>,
    ends_at: Option<u64>,
    #[serde(default)]
    audiences: Vec<Held>,
}

#[derive(Deserialize)]
struct Held {
    audience: String,
    state: String,
    granted: String,
    expires_in_s: u64,
}

#[derive(Deserialize)]
struct Story {
    ended: bool,
    facts: Vec<Fact>,
}

#[derive(Deserialize)]
struct Fact {
    at_ms: u64,
    event: String,
    text: String,
}

/// Asks the running gateway.
pub(super) async fn run(command: &Command) -> Result<(), Failure> {
    match command {
        Command::List(list) => listed(list).await,
        Command::Show(one) => shown(one).await,
        Command::Explain(one) => explained(one).await,
        Command::End(one) => ended(one).await,
    }
}

async fn listed(list: &List) -> Result<(), Failure> {
    let limit = list.limit.to_string();
    let mut query = vec![("limit", limit.as_str())];
    query.extend(list.search.as_deref().map(|search| ("q", search)));
    query.extend(list.after.as_deref().map(|after| ("after", after)));
    let page: Value = list.target.operator()?.get(&["sessions"], &query).await?;
    if list.json {
        say_json(&page);
        return Ok(());
    }
    let page: Page = understood(page)?;
    let mut rows = vec![["ID", "STATE", "PERSON", "ACCESS TOKENS"].map(str::to_owned).to_vec()];
    rows.extend(page.sessions.iter().map(Session::row));
    if page.sessions.is_empty() {
        note("no session fits");
    } else {
        say(&table(&rows));
    }
    let more = page.next.map(|next| format!("; the next ones: --after {next}"));
    note(&format!(
        "{} of {} living sessions{}",
        page.sessions.len(),
        page.total,
        more.unwrap_or_default()
    ));
    Ok(())
}

async fn shown(one: &One) -> Result<(), Failure> {
    let session: Value = one.target.operator()?.get(&["sessions", &one.id], &[]).await?;
    if one.json {
        say_json(&session);
        return Ok(());
    }
    let session: Session = understood(session)?;
    say(&session.described());
    Ok(())
}

async fn explained(one: &One) -> Result<(), Failure> {
    let path = ["sessions", &one.id, "timeline"];
    let story: Value = one.target.operator()?.get(&path, &[]).await?;
    if one.json {
        say_json(&story);
        return Ok(());
    }
    let story: Story = understood(story)?;
    for fact in &story.facts {
        let mark = if fact.event == ENDED_EVENT { "■" } else { "·" };
        say(&format!("{}  {mark} {}", moment(fact.at_ms), fact.text));
    }
    note(match (story.facts.is_empty(), story.ended) {
        (_, true) => "the session has ended; times are UTC",
        (true, false) => "nothing happened to the session since the gateway started",
        (false, false) => "the session lives; times are UTC",
    });
    Ok(())
}

async fn ended(one: &One) -> Result<(), Failure> {
    let answer: Value = one.target.operator()?.delete(&["sessions", &one.id]).await?;
    if one.json {
        say_json(&answer);
    } else {
        say(&format!("session {} has ended; its refresh token is being revoked", one.id));
    }
    Ok(())
}

impl Session {
    fn row(&self) -> Vec<String> {
        let tokens: Vec<String> = self.audiences.iter().map(Held::in_short).collect();
        let person = match &self.device {
            Some(kind) => format!("{} at {kind}", self.subject),
            None => self.subject.clone(),
        };
        vec![self.id.clone(), self.state.clone(), person, tokens.join(", ")]
    }

    fn described(&self) -> String {
        let mut rows = vec![
            ("session", self.id.clone()),
            ("person", self.subject.clone()),
            ("provider", self.provider.clone()),
            ("state", self.state_in_words()),
            ("rotations", self.generation.to_string()),
        ];
        rows.extend(self.device.clone().map(|kind| ("device", kind)));
        if !self.refreshable {
            rows.push(("refresh", "no refresh token: it ends with its access token".to_owned()));
        }
        let dates = [("authenticated", self.authenticated_at), ("must end", self.ends_at)];
        for (name, at) in dates {
            rows.extend(at.map(|at| (name, format!("{} UTC", moment(at.saturating_mul(1_000))))));
        }
        for held in &self.audiences {
            rows.push(("audience", held.audience.clone()));
            rows.push(("", held.in_words()));
        }
        let rows = rows.into_iter().map(|(name, value)| vec![name.to_owned(), value]);
        table(&rows.collect::<Vec<_>>())
    }

    fn state_in_words(&self) -> String {
        let reason = self.reason.as_deref().map(|reason| format!(" ({reason})"));
        let retry = self.retry_in_s.map(|wait| format!(", next try in {}", span(wait)));
        format!("{}{}{}", self.state, reason.unwrap_or_default(), retry.unwrap_or_default())
    }
}

impl Held {
    fn in_short(&self) -> String {
        match self.state.as_str() {
            "fresh" => format!("{} {}", self.audience, span(self.expires_in_s)),
            state => format!("{} {state}", self.audience),
        }
    }

    fn in_words(&self) -> String {
        let state = match self.state.as_str() {
            "fresh" => format!("fresh for {}", span(self.expires_in_s)),
            state => state.to_owned(),
        };
        match self.granted.as_str() {
            "" => state,
            granted => format!("{state}, granted {granted}"),
        }
    }
}

fn understood<T: serde::de::DeserializeOwned>(answer: Value) -> Result<T, Failure> {
    serde_json::from_value(answer).map_err(|error| {
        Failure::unavailable(format!("the gateway answers in another version's words ({error})"))
    })
}
