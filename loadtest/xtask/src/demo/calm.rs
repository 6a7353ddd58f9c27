//! Many events, few lines: what comes close together becomes one line.

use std::time::Duration;

/// How long news wait for others like them: short enough to feel live.
const WINDOW: Duration = Duration::from_secs(1);
/// The most different lines that wait at once; beyond it the oldest is told early.
const WAITING_MAX: usize = 32;

/// Something to tell.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct News {
    pub(super) text: String,
    /// What has begun; the news of its end stand for both.
    pub(super) opens: Option<String>,
    /// What has ended.
    pub(super) closes: Option<String>,
}

/// Lines that wait to be told, oldest first. Times count from the demo's start.
#[derive(Debug, Default)]
pub(super) struct Calm {
    waiting: Vec<Waiting>,
}

#[derive(Debug)]
struct Waiting {
    since: Duration,
    news: News,
    count: u32,
}

impl News {
    /// Makes news that stand alone.
    pub(super) fn plain(text: String) -> Self {
        Self { text, opens: None, closes: None }
    }
}

impl Calm {
    /// Takes news in, and returns a line that must make room for them.
    pub(super) fn take(&mut self, now: Duration, news: News) -> Option<String> {
        if news.closes.is_some() {
            self.waiting.retain(|waiting| waiting.news.opens != news.closes);
        }
        if let Some(known) = self.waiting.iter_mut().find(|waiting| waiting.news == news) {
            known.count += 1;
            return None;
        }
        let early = (self.waiting.len() >= WAITING_MAX).then(|| self.waiting.remove(0).line());
        self.waiting.push(Waiting { since: now, news, count: 1 });
        early
    }

    /// Returns the lines whose window is over.
    pub(super) fn due(&mut self, now: Duration) -> Vec<String> {
        let over =
            self.waiting.partition_point(|waiting| now.saturating_sub(waiting.since) >= WINDOW);
        self.waiting.drain(..over).map(Waiting::line).collect()
    }

    /// Returns all lines that still wait.
    pub(super) fn rest(&mut self) -> Vec<String> {
        self.waiting.drain(..).map(Waiting::line).collect()
    }
}

impl Waiting {
    fn line(self) -> String {
        let seconds = self.since.as_secs();
        let many = if self.count > 1 { format!("  (×{})", self.count) } else { String::new() };
        format!("{:>3}:{:02}  {}{many}", seconds / 60, seconds % 60, self.news.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(text: &str) -> News {
        News::plain(text.to_owned())
    }

    #[test]
    fn equal_news_become_one_line_with_a_count() {
        let at = Duration::from_millis;
        let mut calm = Calm::default();
        for (ms, text) in [(61_000, "a"), (61_100, "b"), (61_900, "a")] {
            assert_eq!(calm.take(at(ms), plain(text)), None);
        }
        assert_eq!(calm.due(at(61_999)), Vec::<String>::new());
        assert_eq!(calm.due(at(62_000)), ["  1:01  a  (×2)"]);
        assert_eq!(calm.rest(), ["  1:01  b"]);
    }

    #[test]
    fn a_quick_end_stands_for_its_beginning_and_a_slow_one_does_not() {
        let at = Duration::from_secs;
        let asking = || News { opens: Some("x".to_owned()), ..plain("asking") };
        let refreshed = || News { closes: Some("x".to_owned()), ..plain("refreshed") };
        let mut calm = Calm::default();
        calm.take(at(1), asking());
        calm.take(at(1), refreshed());
        assert_eq!(calm.due(at(2)), ["  0:01  refreshed"]);
        calm.take(at(3), asking());
        assert_eq!(calm.due(at(4)), ["  0:03  asking"]);
        calm.take(at(5), refreshed());
        assert_eq!(calm.rest(), ["  0:05  refreshed"]);
    }

    #[test]
    fn a_flood_of_different_news_keeps_a_bound() {
        let mut calm = Calm::default();
        let early: Vec<String> =
            (0..40).filter_map(|n| calm.take(Duration::ZERO, plain(&n.to_string()))).collect();
        assert_eq!(early.len(), 40 - WAITING_MAX);
        assert_eq!(early.first().map(String::as_str), Some("  0:00  0"));
    }
}
