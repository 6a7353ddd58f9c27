//! What happened lately, as people read it.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use tokenward::{EventStream, Heard, LifecycleEvent};

use crate::moment::{moment, of_day};

/// The facts that are kept for whoever opens the console.
const FACTS_MAX: usize = 40;

/// What goes on all the time and says nothing about anybody.
const ROUTINE: [&str; 3] = ["exchange_started", "refreshed", "restored"];

/// The latest facts of all sessions, without what is routine.
#[derive(Debug, Default)]
pub(super) struct Latest(Mutex<VecDeque<LifecycleEvent>>);

impl Latest {
    /// Returns the facts, the newest first.
    pub(super) fn facts(&self) -> Vec<LifecycleEvent> {
        let facts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        facts.iter().rev().cloned().collect()
    }

    fn hear(&self, fact: LifecycleEvent) {
        if ROUTINE.contains(&&*fact.event) {
            return;
        }
        // No holder stops half way.
        let mut facts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if facts.len() >= FACTS_MAX {
            facts.pop_front();
        }
        facts.push_back(fact);
    }
}

/// Keeps the latest facts until the framework is gone.
pub(super) async fn follow(latest: Arc<Latest>, mut facts: EventStream) {
    while let Some(heard) = facts.next().await {
        match heard {
            Heard::Event(fact) => latest.hear(fact),
            // Older than what is kept anyway.
            Heard::Missed(_) => {}
        }
    }
}

/// A fact as it is shown.
pub(super) struct Told {
    pub(super) moment: String,
    pub(super) of_day: String,
    pub(super) code: String,
    pub(super) colour: &'static str,
    pub(super) session: String,
    pub(super) text: String,
}

impl Told {
    pub(super) fn of(fact: &LifecycleEvent) -> Self {
        Self {
            moment: moment(fact.at_ms),
            of_day: of_day(fact.at_ms),
            code: fact.event.replace('_', " "),
            colour: colour(&fact.event),
            session: fact.session.clone(),
            text: sentence(&fact.text),
        }
    }
}

/// Begins a fact's words with a capital letter, unless it begins with an address.
fn sentence(text: &str) -> String {
    let first_word = text.split(' ').next().unwrap_or_default();
    let mut letters = text.chars();
    match letters.next() {
        Some(first) if !first_word.contains(':') => first.to_uppercase().chain(letters).collect(),
        Some(_) | None => text.to_owned(),
    }
}

fn colour(code: &str) -> &'static str {
    match code {
        "refreshed" | "signed_in" | "mfa_verified" | "released" => "good",
        "held" | "mfa_challenged" => "blue",
        "in_doubt" | "postponed" | "not_sent" | "mfa_abandoned" | "save_delayed" | "downscoped" => {
            "warn"
        }
        "mfa_failed"
        | "operator_must_act"
        | "store_failed"
        | "malformed"
        | "denied"
        | "rejected"
        | "audience_mismatched" => "bad",
        _ => "soft",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn l14_the_latest_facts_are_few_and_worth_reading() {
        let latest = Latest::default();
        for number in 0..100 {
            let event = if number % 2 == 0 { "refreshed" } else { "held" };
            latest.hear(LifecycleEvent {
                at_ms: number,
                session: "s".to_owned(),
                event: event.into(),
                audience: None,
                factor: None,
                text: "urn:a waits".to_owned(),
            });
        }
        let facts = latest.facts();
        assert_eq!((facts.len(), facts[0].at_ms), (FACTS_MAX, 99));
        assert!(facts.iter().all(|fact| fact.event == "held"));
        assert_eq!(sentence("urn:a waits"), "urn:a waits");
        assert_eq!(sentence("signed in"), "Signed in");
        assert_eq!(sentence(""), "");
    }
}
