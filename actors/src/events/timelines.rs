//! What is remembered of the sessions' latest history.

use std::borrow::Cow;
use std::collections::{HashMap, VecDeque};

use super::LifecycleEvent;
use super::words::{LostReply, Past, in_words};
use crate::clock::Clock;
use crate::core::event::Event;
use crate::core::name::SessionKey;

/// How many facts of one session are remembered: about an hour of ten-second tokens.
pub(super) const FACTS: usize = 64;

/// How many facts a tombstone keeps: those that lead to an end, in some three kilobytes.
pub(super) const LAST_WORDS: usize = 16;

/// How many sessions are remembered; the ones that were silent longest are forgotten first.
pub(super) const SESSIONS: usize = 4_096;

/// The latest history of many sessions.
#[derive(Default)]
pub(super) struct Timelines {
    courses: HashMap<SessionKey, Course>,
    /// The sessions in the order in which they were first heard of.
    order: VecDeque<SessionKey>,
}

/// What is remembered of one session.
#[derive(Default)]
struct Course {
    facts: VecDeque<LifecycleEvent>,
    /// The first reply that was lost since the last success.
    lost: Option<LostReply>,
}

impl Timelines {
    /// Puts a fact into words, and remembers it.
    pub(super) fn remember(
        &mut self,
        clock: &Clock,
        key: &SessionKey,
        event: &Event,
    ) -> LifecycleEvent {
        let now_ms = clock.unix_millis();
        let course = self.course_of(*key);
        if let Event::InDoubt { how, since, .. } = event {
            let at_ms = since.map_or(now_ms, |since| clock.unix_millis_of(since));
            course.lost.get_or_insert(LostReply { at_ms, how: *how, known_ms: now_ms });
        } else if matches!(event, Event::Refreshed { .. } | Event::SignedIn { .. }) {
            course.lost = None;
        }
        let told = fact(key, event, now_ms, &Past { clock, lost: course.lost });
        if course.facts.len() >= FACTS {
            course.facts.pop_front();
        }
        course.facts.push_back(told.clone());
        told
    }

    /// Returns a session's last facts, `most` at most, oldest first.
    pub(super) fn last(&self, key: &SessionKey, most: usize) -> Vec<LifecycleEvent> {
        let facts = self.courses.get(key).map(|course| &course.facts);
        facts
            .map(|facts| facts.iter().skip(facts.len().saturating_sub(most)).cloned().collect())
            .unwrap_or_default()
    }

    fn course_of(&mut self, key: SessionKey) -> &mut Course {
        if !self.courses.contains_key(&key) {
            if self.order.len() >= SESSIONS
                && let Some(oldest) = self.order.pop_front()
            {
                self.courses.remove(&oldest);
            }
            self.order.push_back(key);
        }
        self.courses.entry(key).or_default()
    }
}

/// Puts an event into words.
pub(super) fn fact(key: &SessionKey, event: &Event, at_ms: u64, past: &Past<'_>) -> LifecycleEvent {
    LifecycleEvent {
        at_ms,
        session: key.id(),
        event: Cow::Borrowed(event.code()),
        audience: event.audience().map(ToString::to_string),
        factor: event.factor().map(|factor| Cow::Borrowed(factor.code())),
        text: in_words(event, past),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::core::event::EndReason;
    use crate::core::refusal::EndCause;

    fn key(number: u32) -> SessionKey {
        let mut key = [0; 32];
        key[..4].copy_from_slice(&number.to_be_bytes());
        SessionKey(key)
    }

    #[test]
    fn l14_timelines_are_bounded_both_ways() {
        let (clock, _hand) = Clock::manual();
        let mut timelines = Timelines::default();
        for _ in 0..FACTS + 5 {
            timelines.remember(&clock, &key(0), &Event::Restored);
        }
        assert_eq!(timelines.last(&key(0), usize::MAX).len(), FACTS);
        assert_eq!(timelines.last(&key(0), LAST_WORDS).len(), LAST_WORDS);
        for number in 1..=SESSIONS as u32 {
            timelines.remember(&clock, &key(number), &Event::SignedIn { device: None });
        }
        assert!(timelines.last(&key(0), 1).is_empty(), "the oldest is forgotten");
        assert_eq!(timelines.last(&key(1), 9).len(), 1);
    }

    #[test]
    fn l16_an_end_after_a_lost_reply_names_the_loss_and_the_remedy() {
        let (clock, hand) = Clock::manual();
        let mut timelines = Timelines::default();
        let since = Some(clock.now());
        let began = httpdate::fmt_http_date(
            std::time::UNIX_EPOCH + Duration::from_millis(clock.unix_millis()),
        );
        hand.advance(Duration::from_secs(90));
        let ended = |cause| Event::Ended { reason: EndReason::Refused(cause) };
        let doubt = Event::InDoubt { how: None, since, wait: Duration::from_millis(500) };
        let told = timelines.remember(&clock, &key(0), &doubt).text;
        assert!(told.contains("the gateway was killed during"), "{told}");
        assert!(told.contains(&began), "{told} lacks {began}");
        timelines.remember(&clock, &key(0), &Event::Restored);
        let told = timelines.remember(&clock, &key(0), &ended(EndCause::ReplyLost)).text;
        for part in [&*began, "lost when the gateway was killed", "no reuse window", "30 s"] {
            assert!(told.contains(part), "{told} lacks {part}");
        }

        let told = timelines.remember(&clock, &key(1), &ended(EndCause::ReplyLostTooLong)).text;
        assert!(told.contains("an earlier exchange") && told.contains("was over"), "{told}");
    }
}
