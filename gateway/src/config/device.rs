//! How devices sign in: what they may ask for, and how long their codes last.

use std::path::Path;
use std::time::Duration;

use tokenward::core::device_sign_in::INTERVAL;
use tokenward::core::device_sign_in::codes::Terms;
use tokenward::core::name::Audience;

use super::units::Span;
use super::{Fault, RouteConfig, file};
use crate::device::ROOT;
use crate::route::below;

/// How devices sign in (RFC 8628).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceConfig {
    /// The audiences that a device may ask for, and gets where it names none.
    pub audiences: Vec<Audience>,
    /// How codes are given out.
    pub terms: Terms,
}

/// How long a person has, where nobody says: time to find a phone.
const LIFETIME: Duration = Duration::from_secs(900);

/// The bounds of `device.code_lifetime`: below, nobody has signed in with a forgotten password;
/// above, a code is a thing to be found lying about.
const LIFETIMES: std::ops::RangeInclusive<Duration> =
    Duration::from_secs(60)..=Duration::from_secs(3_600);

/// The bounds of `device.interval`: below, devices do nothing but ask; above, people wait.
const INTERVALS: std::ops::RangeInclusive<Duration> =
    Duration::from_secs(1)..=Duration::from_secs(60);

/// How many codes may be open where nobody says: each is a person who stands before a screen.
const CODES: usize = 1_000;

/// The bounds of `device.max_codes`: with more of them open, guessing gets too easy.
const CODES_MAX: std::ops::RangeInclusive<usize> = 1..=10_000;

/// Checks the `[device]` table, whose presence lets devices sign in.
pub(super) fn check(
    path: &Path,
    raw: Option<file::Device>,
    routes: &[RouteConfig],
    faults: &mut Vec<Fault>,
) -> Option<DeviceConfig> {
    let raw = raw?;
    for (index, _) in routes.iter().enumerate().filter(|(_, route)| below(ROOT, &route.path)) {
        let wrong = format!(
            "{ROOT}/ is where people approve devices, and [device] is there; choose another path"
        );
        faults.push(Fault::new(path, &format!("route[{index}].path"), wrong));
    }
    let mut known: Vec<Audience> = Vec::new();
    for audience in routes.iter().filter_map(|route| route.audience.as_ref()) {
        if !known.contains(audience) {
            known.push(audience.clone());
        }
    }
    let audiences = match raw.audiences {
        None => known,
        Some(listed) => {
            let (given, unknown): (Vec<_>, Vec<_>) = listed
                .0
                .iter()
                .map(String::as_str)
                .partition(|text| known.iter().any(|audience| audience.as_str() == *text));
            for text in unknown {
                let wrong = format!("{text:?} is the audience of no route; correct it");
                faults.push(Fault::new(path, "device.audiences", wrong));
            }
            given.into_iter().filter_map(|text| Audience::parse(text).ok()).collect()
        }
    };
    if audiences.is_empty() && faults.is_empty() {
        let wrong = "there is none that a device could ask for; give a route an audience, or leave \
                     the table out";
        faults.push(Fault::new(path, "device.audiences", wrong));
    }
    let span = |given: Option<Span>, default| given.map_or(default, |span| span.0);
    let lifetime = span(raw.code_lifetime, LIFETIME);
    if !LIFETIMES.contains(&lifetime) {
        let wrong = "it is not between 1m and 1h; leave it out for 15 minutes";
        faults.push(Fault::new(path, "device.code_lifetime", wrong));
    }
    let interval = span(raw.interval, INTERVAL);
    if !INTERVALS.contains(&interval) {
        let wrong = "it is not between 1s and 60s; leave it out for 5 seconds";
        faults.push(Fault::new(path, "device.interval", wrong));
    }
    let open_max = raw.max_codes.unwrap_or(CODES);
    if !CODES_MAX.contains(&open_max) {
        let wrong = "it is not between 1 and 10000; leave it out for 1000";
        faults.push(Fault::new(path, "device.max_codes", wrong));
    }
    Some(DeviceConfig { audiences, terms: Terms { lifetime, interval, open_max } })
}
