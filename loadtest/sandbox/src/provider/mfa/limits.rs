//! How often a user may be wrong, and how often they are sent a message. Pure.

use std::collections::BTreeMap;

/// An hour, in milliseconds.
const HOUR_MS: u64 = 3_600_000;

/// Users counted at once; beyond it all counts start again, which only a load test sees.
const USERS_MAX: usize = 100_000;

/// Buckets of wrong codes and sent messages by subject.
#[derive(Debug, Default)]
pub(crate) struct Limits {
    wrong: BTreeMap<String, Bucket>,
    sent: BTreeMap<String, Vec<u64>>,
}

#[derive(Clone, Copy, Debug)]
struct Bucket {
    left: u32,
    /// When the bucket was last filled up by one.
    filled_at_ms: u64,
}

impl Limits {
    /// Tells whether the user may give a code.
    pub(crate) fn may_try(
        &mut self,
        subject: &str,
        (burst, refill_ms): (u32, u64),
        now_ms: u64,
    ) -> bool {
        let Some(bucket) = self.wrong.get_mut(subject) else {
            return burst > 0;
        };
        let passed = now_ms.saturating_sub(bucket.filled_at_ms);
        if let Some(gained) = passed.checked_div(refill_ms).filter(|gained| *gained > 0) {
            let gained_count = u32::try_from(gained).unwrap_or(u32::MAX);
            bucket.left = bucket.left.saturating_add(gained_count).min(burst);
            bucket.filled_at_ms += gained * refill_ms;
        }
        bucket.left > 0
    }

    /// Counts a wrong code.
    pub(crate) fn was_wrong(&mut self, subject: &str, burst: u32, now_ms: u64) {
        if self.wrong.len() >= USERS_MAX {
            self.wrong.clear();
        }
        let full = Bucket { left: burst, filled_at_ms: now_ms };
        let bucket = self.wrong.entry(subject.to_owned()).or_insert(full);
        bucket.left = bucket.left.saturating_sub(1);
    }

    /// Counts a message and tells whether it may be sent.
    pub(crate) fn may_send(&mut self, subject: &str, per_hour: u32, now_ms: u64) -> bool {
        if self.sent.len() >= USERS_MAX {
            self.sent.clear();
        }
        let sent = self.sent.entry(subject.to_owned()).or_default();
        sent.retain(|at_ms| now_ms.saturating_sub(*at_ms) < HOUR_MS);
        let allowed = u32::try_from(sent.len()).is_ok_and(|count| count < per_hour);
        if allowed {
            sent.push(now_ms);
        }
        allowed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ten_wrong_codes_then_one_in_six_minutes() {
        const RATE: (u32, u64) = (10, 360_000);
        let mut limits = Limits::default();
        for tried in 0..10 {
            assert!(limits.may_try("ada", RATE, 5), "{tried}");
            limits.was_wrong("ada", RATE.0, 5);
        }
        assert!(!limits.may_try("ada", RATE, 360_004));
        assert!(limits.may_try("alan", RATE, 5), "another user's bucket is their own");
        assert!(limits.may_try("ada", RATE, 360_005));
        limits.was_wrong("ada", RATE.0, 360_005);
        assert!(!limits.may_try("ada", RATE, 360_006));
        assert!(limits.may_try("ada", RATE, 360_005 + 20 * 360_000));
    }

    #[test]
    fn messages_are_counted_by_the_hour() {
        let mut limits = Limits::default();
        let mut send = |at_ms| limits.may_send("ada", 2, at_ms);
        assert_eq!([send(0), send(10), send(20)], [true, true, false]);
        assert_eq!([send(HOUR_MS), send(HOUR_MS + 5), send(HOUR_MS + 10)], [true, false, true]);
    }
}
