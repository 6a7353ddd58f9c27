//! What the panel is told of the agent: facts become phases and words.

use std::time::Duration;

use tokenward::core::time::Instant;

use crate::agent::{Agent, Stage, Trouble};
use crate::model::{Age, Content, MfaRequired, Model, Phase, SignIn, WallTime};

/// How old a content may become beyond two missed looks before it is called stale.
const GRACE: Duration = Duration::from_secs(60);

/// Turns an agent into models for the panel, and counts what they need counted.
#[derive(Debug)]
pub struct View {
    started: Instant,
    fresh_for: Duration,
    has_button: bool,
    shown: Option<(Phase, Option<Content>)>,
    changed_at: Instant,
    turn: u64,
}

impl View {
    /// Starts a view of an agent that looks for news so often.
    pub fn new(every: Duration, has_button: bool, now: Instant) -> Self {
        Self {
            started: now,
            fresh_for: every * 2 + GRACE,
            has_button,
            shown: None,
            changed_at: now,
            turn: 0,
        }
    }

    /// Returns what is to be drawn at this moment.
    pub fn model(&mut self, agent: &Agent, now: Instant, wall: Option<WallTime>) -> Model {
        let shown = (self.phase(agent, now), self.content(agent, now));
        let is_same = self.shown.as_ref().is_some_and(|before| says_the_same(before, &shown));
        self.turn = if is_same { self.turn + 1 } else { 0 };
        if !is_same {
            self.changed_at = now;
        }
        let model = Model {
            phase: shown.0.clone(),
            content: shown.1.clone(),
            wall,
            minute: minutes(now.since(self.started)),
            unchanged_minutes: minutes(now.since(self.changed_at)),
            turn: self.turn,
        };
        self.shown = Some(shown);
        model
    }

    /// Reports whether another picture is to be seen than the one that was drawn last.
    pub fn is_news(&self, agent: &Agent, now: Instant) -> bool {
        let shown = (self.phase(agent, now), self.content(agent, now));
        self.shown.as_ref() != Some(&shown)
    }

    /// Reports whether the content is older than it should be.
    pub fn is_stale(&self, agent: &Agent, now: Instant) -> bool {
        match agent.age(now) {
            Some(age) => age > self.fresh_for || (agent.trouble().is_some() && age > GRACE),
            None => true,
        }
    }

    fn content(&self, agent: &Agent, now: Instant) -> Option<Content> {
        let kept = agent.memory().kept.as_ref()?;
        let age = agent.age(now).map_or(Age::Unknown, |age| Age::Known(whole_minutes(age)));
        let stale = self.is_stale(agent, now).then_some(age);
        Some(Content {
            text: kept.content.text.clone(),
            author: kept.content.author.clone(),
            stale,
        })
    }

    fn phase(&self, agent: &Agent, now: Instant) -> Phase {
        match agent.stage() {
            Stage::AskPerson(_) => Phase::AskPerson { button: self.has_button },
            Stage::CodeOpen(code) => Phase::SignIn(SignIn {
                user_code: code.user_code.clone(),
                uri: code.uri.clone(),
                uri_complete: code.uri_complete.clone(),
                left: whole_minutes(code.expires_at.left_at(now)),
            }),
            Stage::Ended { reason } => Phase::Ended { reason: end_in_words(reason.as_deref()) },
            Stage::Held(hold) => Phase::MfaRequired(MfaRequired {
                uri: hold.demand.step_up_uri.clone(),
                provider: hold.demand.provider.clone(),
                pushing: hold.is_pushing,
            }),
            Stage::NeedsCode { .. } => waiting(agent),
            // The last content says more than the trouble that it is shown with.
            Stage::Online if agent.memory().kept.is_some() => Phase::Online,
            Stage::Online => waiting(agent),
        }
    }
}

/// Returns the word for where the display stands that rides on its requests.
pub fn state_word(agent: &Agent, is_stale: bool) -> &'static str {
    match agent.stage() {
        Stage::AskPerson(_) | Stage::CodeOpen(_) => "sign-in",
        Stage::Ended { .. } => "ended",
        Stage::Held(_) => "mfa",
        Stage::NeedsCode { .. } | Stage::Online if agent.is_booting() => "booting",
        Stage::NeedsCode { .. } => match agent.trouble() {
            Some(Trouble::Clock) => "clock",
            Some(Trouble::Network) => "network",
            Some(Trouble::Busy | Trouble::Gateway(_)) | None => "sign-in",
        },
        Stage::Online if is_stale => "stale",
        Stage::Online => "online",
    }
}

/// The screen of a display that has nothing else to say.
fn waiting(agent: &Agent) -> Phase {
    match agent.trouble() {
        Some(Trouble::Clock) => Phase::WaitingForClock,
        Some(Trouble::Network) => Phase::NoNetwork { why: "gateway not reached".to_owned() },
        Some(Trouble::Busy) => Phase::Trouble {
            what: "gateway busy".to_owned(),
            remedy: "It is asked again when it said.".to_owned(),
        },
        Some(Trouble::Gateway(complaint)) => {
            Phase::Trouble { what: complaint.what.clone(), remedy: complaint.remedy.to_owned() }
        }
        None => Phase::Booting,
    }
}

/// Says why a session ended, to whoever stands before the display, in the gateway's own words.
fn end_in_words(reason: Option<&str>) -> String {
    let words = reason.map(|text| text.strip_prefix("session ended: ").unwrap_or(text));
    words.unwrap_or("signed out").to_owned()
}

/// Compares what a person would call two messages; a minute less to go makes no new one.
fn says_the_same(
    (phase, content): &(Phase, Option<Content>),
    (new_phase, new_content): &(Phase, Option<Content>),
) -> bool {
    let words = |content: &Option<Content>| {
        content.as_ref().map(|c| (c.text.clone(), c.author.clone(), c.stale.is_some()))
    };
    let is_same_phase = match (phase, new_phase) {
        (Phase::SignIn(before), Phase::SignIn(after)) => before.user_code == after.user_code,
        (before, after) => before == after,
    };
    is_same_phase && words(content) == words(new_content)
}

/// Rounds down to minutes, so that a picture that shows them changes once a minute.
fn whole_minutes(span: Duration) -> Duration {
    Duration::from_secs(minutes(span) * 60)
}

fn minutes(span: Duration) -> u64 {
    span.as_secs() / 60
}
