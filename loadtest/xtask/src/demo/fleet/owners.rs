//! Who refreshes which session, as the gateways' own events tell.

use std::collections::BTreeMap;
use std::sync::mpsc::Receiver;

use crate::demo::calm::News;
use crate::demo::feed::{self, Event};
use crate::fleet::gateways::Gateways;

/// Events of every minute of a session's life: they move the live line and are not told.
const USUAL: [&str; 4] = ["exchange_started", "refreshed", "superseded", "elsewhere"];
/// How many letters name a session in the live line: so few that three gateways with all residents,
/// two of them harmed, fit in 80 columns.
const BRIEF: usize = 3;

/// What has befallen a gateway.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Condition {
    Well,
    Killed,
    Paused,
    CutOff,
}

/// The gateways with what each has done last.
#[derive(Debug)]
pub(super) struct Owners {
    gateways: Vec<Seen>,
    /// By session, as it is shown: which gateway refreshed it last.
    owner: BTreeMap<String, usize>,
}

#[derive(Debug)]
struct Seen {
    name: char,
    condition: Condition,
    events: Receiver<Event>,
}

impl Owners {
    /// Follows the events of all gateways.
    pub(super) fn follow(gateways: &Gateways) -> Self {
        let seen = gateways.all.iter().map(|gateway| Seen {
            name: gateway.name,
            condition: Condition::Well,
            events: feed::follow_as(gateway.admin("/api/events"), |event| event),
        });
        Self { gateways: seen.collect(), owner: BTreeMap::new() }
    }

    /// Takes in what the gateways have told, and returns what a person should hear of it.
    pub(super) fn hear(&mut self) -> Vec<News> {
        let mut news = Vec::new();
        for (at, gateway) in self.gateways.iter().enumerate() {
            while let Ok(event) = gateway.events.try_recv() {
                if event.event == "exchange_started"
                    && let Some(id) = event.shown_id()
                {
                    self.owner.insert(id.to_owned(), at);
                }
                if !USUAL.contains(&event.event.as_str()) {
                    let told = event.news();
                    news.push(News::plain(format!("{}  {}", gateway.name, told.text)));
                }
            }
        }
        news
    }

    pub(super) fn condition(&self, gateway: usize) -> Condition {
        self.gateways[gateway].condition
    }

    pub(super) fn becomes(&mut self, gateway: usize, condition: Condition) {
        self.gateways[gateway].condition = condition;
    }

    /// Draws the live line; the chosen gateway is in brackets.
    pub(super) fn line(&self, chosen: usize, redis_is_down: bool) -> String {
        let gateways = self.gateways.iter().enumerate().map(|(at, gateway)| {
            let owned = self.owner.iter().filter(|(_, owner)| **owner == at);
            let owned: Vec<&str> = owned.map(|(id, _)| id.get(..BRIEF).unwrap_or(id)).collect();
            let name = match at == chosen {
                true => format!("[{}]", gateway.name),
                false => format!(" {} ", gateway.name),
            };
            format!("{name} {} {}", gateway.condition.sign(), owned.join(" "))
        });
        // First, where it is seen however many sessions there are.
        let redis = redis_is_down.then(|| "Redis ✕".to_owned());
        redis.into_iter().chain(gateways).collect::<Vec<_>>().join(" │ ")
    }
}

impl Condition {
    const fn sign(self) -> &'static str {
        match self {
            Self::Well => "●",
            Self::Killed => "✕ killed",
            Self::Paused => "‖ paused",
            Self::CutOff => "✂ cut",
        }
    }

    /// Says why a key does nothing, and which one would.
    pub(super) const fn hint(self) -> &'static str {
        match self {
            Self::Well => "is well",
            Self::Killed => "is killed: press k first",
            Self::Paused => "is paused: press p first",
            Self::CutOff => "is cut off: press c first",
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    #[test]
    fn the_live_line_shows_who_refreshed_whom_last() {
        let (senders, receivers): (Vec<_>, Vec<_>) =
            (0..2).map(|_| mpsc::sync_channel::<Event>(4)).unzip();
        let gateways = receivers.into_iter().zip(['a', 'b']).map(|(events, name)| Seen {
            name,
            condition: Condition::Well,
            events,
        });
        let mut owners = Owners { gateways: gateways.collect(), owner: BTreeMap::new() };
        let tell = |at: usize, session: &str, event: &str| {
            let text = format!(
                r#"{{"session":"{session}","event":"{event}","audience":"x","text":"x {event}"}}"#
            );
            senders[at].send(serde_json::from_str(&text).unwrap()).unwrap();
        };
        tell(0, "11111111", "exchange_started");
        tell(1, "22222222", "exchange_started");
        assert_eq!(owners.hear(), []);
        assert_eq!(owners.line(0, false), "[a] ● 111 │  b  ● 222");
        tell(1, "11111111", "exchange_started");
        tell(1, "11111111", "ended");
        owners.becomes(0, Condition::Paused);
        let news = owners.hear();
        assert_eq!(news, [News::plain("b  111111  x ended".to_owned())]);
        let line = owners.line(1, true);
        assert_eq!(line, "Redis ✕ │  a  ‖ paused  │ [b] ● 111 222");
    }
}
