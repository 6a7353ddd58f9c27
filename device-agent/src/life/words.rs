//! Where a display stands, in a line for whoever reads its journal.

use crate::agent::{Agent, Stage, Trouble, Wants};
use crate::journal::Level;

/// Says where an agent stands; nothing secret, and no code that a person could be made to use.
pub(super) fn of(agent: &Agent) -> (Level, String) {
    if let Some(trouble) = agent.trouble() {
        return (Level::Warning, in_trouble(trouble));
    }
    match agent.stage() {
        Stage::AskPerson(Wants::Presence) => {
            (Level::Warning, "nobody used the last codes: press the button, or restart".to_owned())
        }
        Stage::AskPerson(Wants::Consent) => {
            (Level::Warning, "the sign-in was refused: press the button, or restart".to_owned())
        }
        Stage::CodeOpen(_) => {
            (Level::Notice, "waiting for a person to use the code on the panel".to_owned())
        }
        Stage::Ended { reason } => {
            let reason = reason.as_deref().unwrap_or("the session is over");
            (Level::Warning, format!("signed out: {reason}"))
        }
        Stage::Held(hold) => {
            let audience = hold.demand.audience.as_deref().unwrap_or("the content");
            (Level::Warning, format!("{audience} wants another factor: scan the code on the panel"))
        }
        Stage::NeedsCode { .. } => (Level::Notice, "asking for a code".to_owned()),
        Stage::Online => (Level::Notice, "signed in".to_owned()),
    }
}

fn in_trouble(trouble: &Trouble) -> String {
    match trouble {
        Trouble::Busy => "the gateway is busy; asking again when it said".to_owned(),
        Trouble::Clock => "the clock is not set: waiting for the network's time".to_owned(),
        Trouble::Gateway(complaint) => format!("{}: {}", complaint.what, complaint.remedy),
        Trouble::Network => "the gateway is not reached; asking again".to_owned(),
    }
}
