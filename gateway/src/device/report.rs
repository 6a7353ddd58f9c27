//! What displays tell of themselves, in one header of each request (RFC 9651 §3.2):
//!
//! `Tokenward-Device: v="0.1.0", panel="ssd1306-128x64", up, state=online, stale=0, fetch-ok=12`
//!
//! It is taken out of every request, whoever sent it. Of a display's session it is counted, and the
//! newest is kept in memory for operators. What breaks the form is ignored, and counted as such: a
//! display is never refused anything for it.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use http::{HeaderName, HeaderValue};
use serde::Serialize;
use tokenward::core::name::SessionKey;
use tokenward::core::time::Instant;
use tokenward::metrics::label::{DeviceFetch, DisplayWrite};

use crate::front::Front;

mod dictionary;

use dictionary::{Item, members};

/// The header.
pub(crate) const HEADER: HeaderName = HeaderName::from_static("tokenward-device");

/// The longest header that is read: twice what a display has to say.
const BYTES_MAX: usize = 512;

/// The characters of a version, and of a panel's name.
const NAME_CHARS_MAX: usize = 32;

/// The most events that one report may tell of: a display that draws ten times a second, offline
/// for a day. More is no display's.
const COUNT_MAX: u64 = 1_000_000;

/// The displays that are kept in mind; the one that was silent longest goes first.
const SEEN_MAX: usize = 4_096;

/// How long a silent display counts for the age of what the fleet shows: longer is out of service.
const COUNTED_FOR: Duration = Duration::from_secs(86_400);

/// The states that a display may be in.
const STATES: [&str; 8] =
    ["booting", "clock", "network", "sign-in", "online", "stale", "mfa", "ended"];

/// What displays have told.
#[derive(Debug, Default)]
pub(crate) struct Reports {
    seen: Mutex<BTreeMap<SessionKey, Seen>>,
    broken: AtomicU64,
}

/// One display, as it told of itself last.
#[derive(Clone, Debug)]
struct Seen {
    kind: String,
    at: Instant,
    view: View,
}

/// What a display tells of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct View {
    /// One of the states that a display may be in.
    pub(crate) state: Option<&'static str>,
    pub(crate) version: Option<String>,
    pub(crate) panel: Option<String>,
    /// Whether the panel answers.
    pub(crate) up: bool,
    /// How old what it shows is; `None` where it shows nothing.
    #[serde(rename = "stale_s")]
    pub(crate) stale: Option<u64>,
    /// Whether its clock is synchronised.
    pub(crate) clock: bool,
    #[serde(rename = "uptime_s")]
    pub(crate) uptime: Option<u64>,
}

/// One display, for operators.
#[derive(Debug, Serialize)]
pub(crate) struct Listed {
    /// The public id of its session.
    pub(crate) session: String,
    /// What it calls itself.
    pub(crate) kind: String,
    /// What it told of itself.
    #[serde(flatten)]
    pub(crate) view: View,
    /// How long ago it was heard of.
    pub(crate) seen_ago_s: u64,
}

/// A report that was understood.
#[derive(Debug, Default, PartialEq, Eq)]
struct Report {
    view: View,
    fetches: Vec<(DeviceFetch, u64)>,
    writes: Vec<(DisplayWrite, u64)>,
}

/// Takes note of what a session's display tells of itself; of any other session nothing is kept.
pub(crate) async fn note(front: &Front, key: &SessionKey, value: HeaderValue) {
    let reports = front.displays().reports();
    let Some(report) = Report::read(value.as_bytes()) else {
        return reports.count_broken();
    };
    let known = reports.seen().get(key).map(|seen| seen.kind.clone());
    let kind = match known {
        Some(kind) => Some(kind),
        None => match front.tokenward().describe(key).await {
            Ok(Some(view)) if view.state != "ended" => view.device,
            Ok(_) | Err(_) => None,
        },
    };
    let Some(kind) = kind else { return };
    let metrics = front.tokenward().metrics();
    for (outcome, count) in report.fetches {
        metrics.device_fetches(outcome, count);
    }
    for (outcome, count) in report.writes {
        metrics.display_writes(outcome, count);
    }
    let at = front.tokenward().clock().now();
    reports.keep(*key, Seen { kind, at, view: report.view });
}

/// Shows when the oldest content was fetched that a display shows, 0 where none shows any; to be
/// called before a scrape is answered, because displays go out of service without a word.
pub(crate) fn look_at_content(front: &Front) {
    let (metrics, clock) = (front.tokenward().metrics(), front.tokenward().clock());
    let age = front.displays().reports().oldest_content(clock.now());
    let fetched = age.map_or(0, |age| clock.unix().0.saturating_sub(age.as_secs()));
    metrics.device_content_fetched(fetched);
}

/// Lists the displays of living sessions, those that were heard of last first.
pub(crate) async fn listed(front: &Front, limit: usize) -> Vec<Listed> {
    let now = front.tokenward().clock().now();
    let mut all: Vec<(SessionKey, Seen)> = {
        let seen = front.displays().reports().seen();
        seen.iter().map(|(key, seen)| (*key, seen.clone())).collect()
    };
    all.sort_by_key(|(_, seen)| std::cmp::Reverse(seen.at));
    let mut listed = Vec::new();
    for (key, Seen { kind, at, view }) in all.into_iter().take(limit) {
        // A store that does not answer takes no display off the list.
        if matches!(front.tokenward().end_of(&key).await, Ok(Some(_))) {
            front.displays().reports().seen().remove(&key);
            continue;
        }
        let seen_ago_s = now.since(at).as_secs();
        listed.push(Listed { session: key.id(), kind, view, seen_ago_s });
    }
    listed
}

impl Reports {
    /// Returns how many reports broke the form.
    pub(crate) fn broken(&self) -> u64 {
        self.broken.load(Ordering::Relaxed)
    }

    fn count_broken(&self) {
        self.broken.fetch_add(1, Ordering::Relaxed);
    }

    fn keep(&self, key: SessionKey, seen: Seen) {
        let mut all = self.seen();
        if all.len() >= SEEN_MAX && !all.contains_key(&key) {
            let silent = all.iter().min_by_key(|(_, seen)| seen.at).map(|(key, _)| *key);
            silent.and_then(|key| all.remove(&key));
        }
        all.insert(key, seen);
    }

    /// Returns how old the oldest content is that a display of the fleet shows: the one to look at.
    fn oldest_content(&self, now: Instant) -> Option<Duration> {
        let all = self.seen();
        let counted = all.values().filter(|seen| now.since(seen.at) < COUNTED_FOR);
        let age = |seen: &Seen| Some(now.since(seen.at) + Duration::from_secs(seen.view.stale?));
        counted.filter_map(age).max()
    }

    fn seen(&self) -> MutexGuard<'_, BTreeMap<SessionKey, Seen>> {
        // Every change is complete before it can panic.
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Report {
    /// Reads a header; `None` where it breaks the form. Members that are not known are passed over:
    /// newer displays may have more to say.
    fn read(value: &[u8]) -> Option<Self> {
        if value.len() > BYTES_MAX {
            return None;
        }
        let mut report = Self::default();
        for (key, item) in members(std::str::from_utf8(value).ok()?)? {
            report.take(key, item)?;
        }
        Some(report)
    }

    fn take(&mut self, key: &str, item: Item) -> Option<()> {
        let view = &mut self.view;
        match key {
            "v" => view.version = Some(item.text(NAME_CHARS_MAX)?),
            "panel" => view.panel = Some(item.text(NAME_CHARS_MAX)?),
            "up" => view.up = item.flag()?,
            "clock" => view.clock = item.flag()?,
            "state" => {
                let said = item.token()?;
                view.state = Some(*STATES.iter().find(|state| **state == said)?);
            }
            "stale" => view.stale = Some(item.count()?),
            "uptime" => view.uptime = Some(item.count()?),
            _ => self.counted(key, item)?,
        }
        Some(())
    }

    fn counted(&mut self, key: &str, item: Item) -> Option<()> {
        let fetch = match key {
            "fetch-ok" => Some(DeviceFetch::Ok),
            "fetch-mfa" => Some(DeviceFetch::MfaRequired),
            "fetch-unauthorized" => Some(DeviceFetch::Unauthorized),
            "fetch-offline" => Some(DeviceFetch::Offline),
            "fetch-error" => Some(DeviceFetch::Error),
            _ => None,
        };
        let write = match key {
            "draw-ok" => Some(DisplayWrite::Ok),
            "draw-nack" => Some(DisplayWrite::Nack),
            "draw-bus" => Some(DisplayWrite::BusError),
            "draw-timeout" => Some(DisplayWrite::Timeout),
            "draw-skipped" => Some(DisplayWrite::Skipped),
            _ => None,
        };
        if fetch.is_none() && write.is_none() {
            return Some(());
        }
        let count = item.count().filter(|count| *count <= COUNT_MAX)?;
        self.fetches.extend(fetch.map(|outcome| (outcome, count)));
        self.writes.extend(write.map(|outcome| (outcome, count)));
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use tokenward_fuzz::fuzz;

    use super::*;

    fuzz!(device_reports, |bytes| {
        let Some(report) = Report::read(bytes) else { return };
        assert!(bytes.len() <= BYTES_MAX);
        let View { state, version, panel, .. } = &report.view;
        assert!(state.is_none_or(|state| STATES.contains(&state)));
        for name in [version, panel].into_iter().flatten() {
            assert!(name.len() <= NAME_CHARS_MAX && !name.contains(|c: char| c.is_control()));
        }
        let fetches = report.fetches.iter().map(|(_, count)| *count);
        assert!(
            fetches.chain(report.writes.iter().map(|(_, count)| *count)).all(|n| n <= COUNT_MAX)
        );
    });

    #[test]
    fn a_report_is_read_and_what_is_new_in_it_passed_over() {
        let said = r#"v="0.1.0", panel="ssd1306-128x64", up, state=online, stale=0, clock=?0,
            uptime=3600, fetch-ok=12, fetch-offline=1,draw-nack=2, later=?1, more="x""#;
        let report = Report::read(said.replace("\n           ", "").as_bytes()).expect("a report");
        assert_eq!(report.view.version.as_deref(), Some("0.1.0"));
        assert_eq!(report.view.state, Some("online"));
        assert!(report.view.up && !report.view.clock);
        assert_eq!((report.view.stale, report.view.uptime), (Some(0), Some(3600)));
        assert_eq!(report.fetches, [(DeviceFetch::Ok, 12), (DeviceFetch::Offline, 1)]);
        assert_eq!(report.writes, [(DisplayWrite::Nack, 2)]);
        assert_eq!(Report::read(b""), Some(Report::default()));
    }

    #[test]
    fn what_breaks_the_form_is_no_report() {
        let long = format!("v=\"{}\"", "x".repeat(600));
        for bad in [
            "v=0.1.0.1",
            "v=\"a",
            "v=\"a\\n\"",
            "v=\"é\"",
            "V=\"1\"",
            "up=yes",
            "up=?2",
            "state=gone",
            "state=\"online\"",
            "stale=-1",
            "stale=1.5",
            "stale=99999999999999999",
            "up,",
            ",up",
            "up up",
            "fetch=(ok=12)",
            "fetch-ok=1000001",
            "fetch-ok",
            "up;x=1",
            "=1",
            "v=",
            &long,
            "panel=\"123456789012345678901234567890123\"",
        ] {
            assert_eq!(Report::read(bad.as_bytes()), None, "{bad}");
        }
        assert_eq!(Report::read(&[0xff]), None);
    }
}
