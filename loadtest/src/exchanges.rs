//! What the provider's ledger says about exchanges: how many there were, and how many there had to
//! be.

use std::collections::HashMap;

use serde::Deserialize;

/// From which share of an access token's life on an exchange for its successor is in order:
/// refresh-ahead begins at half of a short life, and its jitter takes a tenth of that.
const DUE_PERCENT: u64 = 45;
/// How many exchanges without need are told one by one.
const TOLD_MAX: usize = 5;

/// One line of the ledger, as far as it is read here.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Event {
    /// Counts from 1.
    pub seq: u64,
    /// Milliseconds since the sandbox started.
    pub at_ms: u64,
    /// What happened.
    pub kind: String,
    /// The family.
    pub family: String,
    /// The audience answered.
    pub audience: String,
    /// Whether the refresh token had been presented before.
    pub fork: bool,
}

/// The sums of the ledger, as far as they are read here.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Sums {
    /// Requests to the token endpoint.
    pub token_requests: u64,
    /// Spent refresh tokens presented outside the reuse window.
    pub reuse_detected: u64,
    /// Families ended by a reuse.
    pub families_revoked: u64,
    /// Most refreshes of one family in flight at once.
    pub max_concurrent_per_family: u64,
}

/// The exchanges so far.
#[derive(Clone, Debug, Default)]
pub struct Exchanges {
    life_ms: u64,
    last_seq: u64,
    /// Events that were gone before they could be read.
    missed: u64,
    /// The gateway's life, by its number, and the moment of the newest token.
    newest: HashMap<(String, String), (u32, u64)>,
    gateway_life: u32,
    demands: HashMap<String, u32>,
    counts: Counts,
    told: Vec<String>,
}

/// How many exchanges there were, by their reason.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Refresh tokens exchanged.
    pub refreshed: u64,
    /// Exchanges that were needed: for a first token, for one that came to its end, or for one that
    /// a killed gateway took with it.
    pub needed: u64,
    /// Exchanges of a refresh token that had been presented before: the answer was lost.
    pub repeated: u64,
    /// Exchanges while the token at hand had most of its life before it.
    pub needless: u64,
}

impl Exchanges {
    /// Makes one for access tokens that live so long.
    #[must_use]
    pub fn new(life_ms: u64) -> Self {
        Self { life_ms, ..Self::default() }
    }

    /// Returns the number of the newest event that was read.
    #[must_use]
    pub const fn last_seq(&self) -> u64 {
        self.last_seq
    }

    /// Reads on in the ledger.
    pub fn hear(&mut self, events: Vec<Event>) {
        for event in events {
            self.missed += event.seq.saturating_sub(self.last_seq + 1);
            self.last_seq = event.seq;
            match event.kind.as_str() {
                "code_exchanged" => self.keep(event),
                "refreshed" => {
                    self.count(&event);
                    self.keep(event);
                }
                "mfa_required" => *self.demands.entry(event.family).or_default() += 1,
                _ => {}
            }
        }
    }

    /// Notes that a gateway died: what it knew of its tokens' ages died with it. To be noted once
    /// more before the next one starts, for the answers that nobody was left to hear.
    pub fn gateway_died(&mut self) {
        self.gateway_life += 1;
    }

    /// Returns the counts so far.
    #[must_use]
    pub const fn counts(&self) -> Counts {
        self.counts
    }

    /// Returns how many events were gone before they could be read.
    #[must_use]
    pub const fn missed(&self) -> u64 {
        self.missed
    }

    /// Returns some of the exchanges that no token's end explains.
    #[must_use]
    pub fn told(&self) -> &[String] {
        &self.told
    }

    /// Returns the most demands for another factor that one session met.
    #[must_use]
    pub fn most_demands(&self) -> u32 {
        self.demands.values().copied().max().unwrap_or(0)
    }

    fn count(&mut self, event: &Event) {
        self.counts.refreshed += 1;
        let key = (event.family.clone(), event.audience.clone());
        let due = match self.newest.get(&key) {
            None => true,
            Some((life, _)) if *life != self.gateway_life => true,
            Some((_, at_ms)) => {
                event.at_ms.saturating_sub(*at_ms) * 100 >= self.life_ms * DUE_PERCENT
            }
        };
        if event.fork {
            self.counts.repeated += 1;
        } else if due {
            self.counts.needed += 1;
        } else {
            self.counts.needless += 1;
            if self.told.len() < TOLD_MAX {
                let age = event.at_ms.saturating_sub(self.newest.get(&key).map_or(0, |at| at.1));
                let Event { family, audience, .. } = event;
                self.told.push(format!("family {family}, {audience}: after {age} ms"));
            }
        }
    }

    fn keep(&mut self, event: Event) {
        self.newest.insert((event.family, event.audience), (self.gateway_life, event.at_ms));
    }
}

impl Counts {
    /// Returns what was added since an earlier reading.
    #[must_use]
    pub const fn since(self, earlier: Self) -> Self {
        Self {
            refreshed: self.refreshed - earlier.refreshed,
            needed: self.needed - earlier.needed,
            repeated: self.repeated - earlier.repeated,
            needless: self.needless - earlier.needless,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads lines of `ms kind family audience`, with `!` for a fork and `-` for a dead gateway.
    fn heard(lines: &[&str]) -> Exchanges {
        let mut exchanges = Exchanges::new(10_000);
        for (at, line) in lines.iter().enumerate() {
            let words: Vec<&str> = line.split(' ').collect();
            let [ms, kind, family, audience] = words[..] else {
                exchanges.gateway_died();
                continue;
            };
            exchanges.hear(vec![Event {
                seq: at as u64 + 1,
                at_ms: ms.parse().unwrap(),
                kind: kind.trim_end_matches('!').to_owned(),
                family: family.to_owned(),
                audience: audience.to_owned(),
                fork: kind.ends_with('!'),
            }]);
        }
        exchanges
    }

    #[test]
    fn an_exchange_is_needed_once_for_each_end_of_a_token() {
        let counts = |lines: &[&str]| {
            let Counts { refreshed, needed, repeated, needless } = heard(lines).counts();
            assert_eq!(refreshed, needed + repeated + needless);
            (needed, repeated, needless)
        };
        let (first, login) = ("0 refreshed f q", "0 code_exchanged f q");
        for (lines, expected) in [
            (vec![first], (1, 0, 0)),
            (vec![login], (0, 0, 0)),
            (vec![login, "4499 refreshed f q"], (0, 0, 1)),
            (vec![login, "4500 refreshed f q"], (1, 0, 0)),
            (vec![first, "5 refreshed f q"], (1, 0, 1)),
            (vec![first, "5 refreshed f a", "9 refreshed g q"], (3, 0, 0)),
            (vec![first, "6000 refreshed f q", "9000 refreshed f q"], (2, 0, 1)),
            (vec![first, "-", "5 refreshed f q", "9 refreshed f q"], (2, 0, 1)),
            (vec![first, "900 refreshed! f q"], (1, 1, 0)),
        ] {
            assert_eq!(counts(&lines), expected, "{lines:?}");
        }
        assert_eq!(heard(&[first, "5 refreshed f q"]).told(), ["family f, q: after 5 ms"]);
    }

    #[test]
    fn what_could_not_be_read_is_known() {
        let mut exchanges = Exchanges::new(1);
        exchanges.hear(vec![Event { seq: 3, ..Event::default() }]);
        assert_eq!((exchanges.missed(), exchanges.last_seq()), (2, 3));
    }

    #[test]
    fn demands_are_counted_by_session() {
        let exchanges = heard(&["1 mfa_required f a", "2 mfa_required g a", "3 mfa_required f a"]);
        assert_eq!(exchanges.most_demands(), 2);
    }
}
