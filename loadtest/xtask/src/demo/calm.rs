//! Many events, few lines: equal news that come close together become one line with a count.

use std::time::Duration;

/// How long news wait for others like them: short enough to feel live.
const WINDOW: Duration = Duration::from_secs(1);
/// The most different lines that wait at once; beyond it the oldest is told early.
const WAITING_MAX: usize = 32;

/// Lines that wait to be told, oldest first. Times count from the demo's start.
#[derive(Debug, Default)]
pub(super) struct Calm {
    waiting: Vec<News>,
}

#[derive(Debug)]
struct News {
    since: Duration,
    text: String,
    count: u32,
}

impl Calm {
    /// Takes a line in, and returns one that must make room for it.
    pub(super) fn take(&mut self, now: Duration, text: String) -> Option<String> {
        if let Some(known) = self.waiting.iter_mut().find(|news| news.text == text) {
            known.count += 1;
            return None;
        }
        let early = (self.waiting.len() >= WAITING_MAX).then(|| self.waiting.remove(0).line());
        self.waiting.push(News {
            since: now,
            text,
            count: 1,
        });
        early
    }

    /// Returns the lines whose window is over.
    pub(super) fn due(&mut self, now: Duration) -> Vec<String> {
        let over = self
            .waiting
            .partition_point(|news| now.saturating_sub(news.since) >= WINDOW);
        self.waiting.drain(..over).map(News::line).collect()
    }

    /// Returns all lines that still wait.
    pub(super) fn rest(&mut self) -> Vec<String> {
        self.waiting.drain(..).map(News::line).collect()
    }
}

impl News {
    fn line(self) -> String {
        let seconds = self.since.as_secs();
        let many = if self.count > 1 {
            format!("  (×{})", self.count)
        } else {
            String::new()
        };
        format!(
            "{:>3}:{:02}  {}{many}",
            seconds / 60,
            seconds % 60,
            self.text
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_news_become_one_line_with_a_count() {
        let at = Duration::from_millis;
        let mut calm = Calm::default();
        for (ms, text) in [(61_000, "a"), (61_100, "b"), (61_900, "a")] {
            assert_eq!(calm.take(at(ms), text.to_owned()), None);
        }
        assert_eq!(calm.due(at(61_999)), Vec::<String>::new());
        assert_eq!(calm.due(at(62_000)), ["  1:01  a  (×2)"]);
        assert_eq!(calm.rest(), ["  1:01  b"]);
    }

    #[test]
    fn a_flood_of_different_news_keeps_a_bound() {
        let mut calm = Calm::default();
        let early: Vec<String> = (0..40)
            .filter_map(|n| calm.take(Duration::ZERO, n.to_string()))
            .collect();
        assert_eq!(early.len(), 40 - WAITING_MAX);
        assert_eq!(early.first().map(String::as_str), Some("  0:00  0"));
    }
}
