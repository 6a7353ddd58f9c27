//! What the provider saw, read while it goes on: exchanges, those beyond one for each expiry, and
//! those that met.

use std::collections::HashMap;
use std::time::Duration;

use serde::Deserialize;
use tokenward_programs::clock::Watch;
use tokenward_programs::control::Control;
use tokenward_programs::failure::Failure;

/// The most exceptions that are kept in words; all are counted.
const KEPT_MAX: usize = 200;
/// The most pages read in one go: each holds 10,000 events.
const PAGES_MAX: usize = 50;

/// The ledger as far as it was read.
#[derive(Debug)]
pub(crate) struct Ledger {
    control: Control,
    watch: Watch,
    /// Exchanges of one audience that are closer than this do not follow an expiry.
    apart: Duration,
    read_to: u64,
    /// By family and audience: when it was last exchanged, on the provider's clock.
    last: HashMap<(String, String), u64>,
    /// What our watch shows when the provider's clock shows nothing, as near as is known.
    offset: Option<Duration>,
    pub(crate) sums: Sums,
    pub(crate) seen: Vec<Seen>,
}

/// What is counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Sums {
    /// Refresh tokens exchanged.
    pub(crate) exchanges: u64,
    /// Those among them that came before an expiry.
    pub(crate) extra: u64,
    /// Those that spent a token again inside the reuse window.
    pub(crate) forks: u64,
    /// Those that arrived while another of their family was in flight.
    pub(crate) overlaps: u64,
    pub(crate) reuse: u64,
    pub(crate) revoked: u64,
}

/// One exchange that was not as all others are.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    /// On our watch.
    pub(crate) at: Duration,
    pub(crate) family: String,
    pub(crate) what: What,
}

/// In what it was unlike the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum What {
    /// A token was spent again inside the reuse window.
    Fork,
    /// It arrived while another of its family was in flight.
    Overlap,
    /// A token was spent again too late.
    Reuse,
}

impl What {
    /// Says it in words.
    pub(crate) const fn words(self) -> &'static str {
        match self {
            Self::Fork => "sent again inside the reuse window",
            Self::Overlap => "met another exchange of its session",
            Self::Reuse => "was a reuse",
        }
    }
}

/// An event as the sandbox writes it, as far as it counts here.
#[derive(Debug, Deserialize)]
struct Event {
    seq: u64,
    at_ms: u64,
    kind: String,
    #[serde(default)]
    family: String,
    #[serde(default)]
    audience: String,
    #[serde(default)]
    fork: bool,
}

impl Sums {
    /// Returns how many exchanges there were for each expiry; nothing where there was none.
    pub(crate) fn per_expiry(self) -> f64 {
        let expiries = self.exchanges - self.extra;
        // Exact: both are far below 2^52.
        if expiries == 0 { 0.0 } else { self.exchanges as f64 / expiries as f64 }
    }

    /// Returns what has been counted since `before`.
    pub(crate) const fn since(self, before: Self) -> Self {
        Self {
            exchanges: self.exchanges - before.exchanges,
            extra: self.extra - before.extra,
            forks: self.forks - before.forks,
            overlaps: self.overlaps - before.overlaps,
            reuse: self.reuse - before.reuse,
            revoked: self.revoked - before.revoked,
        }
    }
}

impl Ledger {
    /// Opens a ledger of tokens that live for `life`; moments are those of `watch`.
    pub(crate) fn open(control: Control, watch: Watch, life: Duration) -> Self {
        Self {
            control,
            watch,
            // A token is refreshed at half its life at the earliest, less a tenth of that half.
            apart: life * 2 / 5,
            read_to: 0,
            last: HashMap::new(),
            offset: None,
            sums: Sums::default(),
            seen: Vec::new(),
        }
    }

    /// Reads what is new.
    ///
    /// # Errors
    /// `Ours` where the sandbox's ledger is not as it should be.
    pub(crate) fn read(&mut self) -> Result<(), Failure> {
        for _ in 0..PAGES_MAX {
            let page = self.control.read(&format!("ledger?since={}", self.read_to))?;
            let events: Vec<Event> = serde_json::from_value(page["events"].clone())
                .map_err(|error| Failure::Ours(format!("the sandbox's ledger: {error}")))?;
            let now = self.watch.elapsed();
            let Some(newest) = events.last() else {
                break;
            };
            let offset = now.saturating_sub(Duration::from_millis(newest.at_ms));
            self.offset = Some(self.offset.map_or(offset, |known| known.min(offset)));
            for event in events {
                self.take(event);
            }
        }
        Ok(())
    }

    fn take(&mut self, event: Event) {
        self.read_to = event.seq;
        let at = self.offset.unwrap_or_default() + Duration::from_millis(event.at_ms);
        let family = event.family.clone();
        let mut see = |what| {
            if self.seen.len() < KEPT_MAX {
                self.seen.push(Seen { at, family: family.clone(), what });
            }
        };
        match event.kind.as_str() {
            "refreshed" => {
                self.sums.exchanges += 1;
                if event.fork {
                    self.sums.forks += 1;
                    see(What::Fork);
                }
                let topic = (event.family, event.audience);
                let before = self.last.insert(topic, event.at_ms);
                let apart = before.map(|before| Duration::from_millis(event.at_ms - before));
                self.sums.extra += u64::from(apart.is_some_and(|apart| apart < self.apart));
            }
            "refreshes_overlap" => {
                self.sums.overlaps += 1;
                see(What::Overlap);
            }
            "reuse_detected" => {
                self.sums.reuse += 1;
                see(What::Reuse);
            }
            "family_revoked" => self.sums.revoked += 1,
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refreshed(seq: u64, at_ms: u64, audience: &str, fork: bool) -> Event {
        let kind = "refreshed".to_owned();
        Event { seq, at_ms, kind, family: "f".to_owned(), audience: audience.to_owned(), fork }
    }

    #[test]
    fn exchanges_close_together_are_more_than_one_for_an_expiry() {
        let life = Duration::from_secs(10);
        let mut ledger = Ledger::open(Control::at("http://nowhere"), Watch::start(), life);
        for (seq, at_ms, audience, fork) in [
            (1, 0, "a", false),
            (2, 100, "b", false),
            (3, 4_500, "a", false),
            (4, 5_000, "a", true),
            (5, 9_800, "a", false),
        ] {
            ledger.take(refreshed(seq, at_ms, audience, fork));
        }
        let Sums { exchanges, extra, forks, .. } = ledger.sums;
        assert_eq!((exchanges, extra, forks), (5, 1, 1));
        assert!((ledger.sums.per_expiry() - 1.25).abs() < 1e-9);
        assert_eq!(ledger.seen.len(), 1);
    }
}
