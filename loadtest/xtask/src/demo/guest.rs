//! A guest who needs no screen: signs in, calls both APIs until told to leave, and keeps score.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use tokenward_programs::clock::Watch;
use tokenward_programs::control::Control;
use tokenward_programs::failure::Failure;
use tokenward_programs::http::Answer;

use crate::terminal;
use crate::visitor::Visitor;

/// Between two calls: each ten-second token serves many.
const GAP: Duration = Duration::from_millis(200);
/// What the guest calls in turn.
const PATHS: [&str; 2] = ["/api/quotes/quote", "/api/accounts/accounts"];
/// How long a path may go without a 200 under chaos: a restart, and the longest doubt after it (a
/// lease of 15 s).
const DOUBT_LIMIT: Duration = Duration::from_secs(17);
/// The most failures that are told one by one.
const TOLD_MAX: usize = 5;

/// A guest at work.
#[derive(Debug)]
pub(super) struct Guest {
    leave: Arc<AtomicBool>,
    work: JoinHandle<Score>,
}

#[derive(Debug, Default)]
struct Score {
    answered: u64,
    /// Calls while the gateway was not there.
    unanswered: u64,
    /// Calls that were told to come back: 503 with a Retry-After.
    postponed: u64,
    failed: Vec<String>,
}

impl Guest {
    /// Signs in, and starts to call. Only under chaos may a call stay unanswered, or be told to come
    /// back for as long as its session may be in doubt.
    ///
    /// # Errors
    /// `Missed` when the sign-in does not work.
    pub(super) fn arrive(gateway: &str, chaos: bool) -> Result<Self, Failure> {
        let mut visitor = Visitor::new(gateway);
        visitor
            .sign_in("ada")
            .map_err(|why| Failure::Missed(format!("signing in failed: {why}")))?;
        let leave = Arc::new(AtomicBool::new(false));
        let told = Arc::clone(&leave);
        Ok(Self { leave, work: thread::spawn(move || call_until(&visitor, chaos, &told)) })
    }

    /// Stops calling, tells the score and judges it with the provider's ledger.
    ///
    /// # Errors
    /// `Missed` when a call failed or a family was revoked.
    pub(super) fn leave(self, control: &Control) -> Result<(), Failure> {
        self.leave.store(true, Ordering::Relaxed);
        let score = self.work.join().map_err(|_| Failure::Ours("the guest panicked".to_owned()))?;
        let revoked = control.sum("families_revoked");
        let rotations = control.sum("rotations");
        let shown =
            |sum: Option<u64>| sum.map_or_else(|| "unknown".to_owned(), |sum| sum.to_string());
        terminal::result(&format!(
            "guest: {} calls answered, {} while the gateway was down, {} told to come back, {} failed; \
             {} rotations, {} families revoked",
            score.answered,
            score.unanswered,
            score.postponed,
            score.failed.len(),
            shown(rotations),
            shown(revoked),
        ));
        let broken = score.broken(rotations, revoked);
        if broken.is_empty() {
            return Ok(());
        }
        Err(Failure::Missed(format!("the demo did not keep its promise: {}", broken.join("; "))))
    }
}

impl Score {
    /// Counts an answer; `patient` where a call may go without.
    fn hear(&mut self, path: &str, answer: &Result<Answer, String>, patient: bool) {
        match answer {
            Ok(answer) if answer.status == 200 => self.answered += 1,
            Ok(answer) if patient && answer.is_postponed() => self.postponed += 1,
            Ok(answer) => self.failed.push(format!("{path} answered {}", answer.status)),
            Err(_) if patient => self.unanswered += 1,
            Err(why) => self.failed.push(format!("{path} was not answered: {why}")),
        }
    }

    /// Returns what must not have been; empty when all went well.
    fn broken(mut self, rotations: Option<u64>, revoked: Option<u64>) -> Vec<String> {
        self.failed.truncate(TOLD_MAX);
        let mut broken = self.failed;
        if self.answered == 0 {
            broken.push("no call was answered".to_owned());
        }
        if rotations.is_none_or(|rotations| rotations == 0) {
            broken.push("the provider saw no rotation".to_owned());
        }
        if revoked != Some(0) {
            broken.push("the provider revoked a family, or its ledger is out of reach".to_owned());
        }
        broken
    }
}

fn call_until(visitor: &Visitor, chaos: bool, leave: &AtomicBool) -> Score {
    let mut score = Score::default();
    let mut served = PATHS.map(|_| Watch::start());
    for at in (0..PATHS.len()).cycle() {
        if leave.load(Ordering::Relaxed) {
            break;
        }
        let answer = visitor.call(PATHS[at]);
        score.hear(PATHS[at], &answer, chaos && served[at].elapsed() < DOUBT_LIMIT);
        if answer.is_ok_and(|answer| answer.status == 200) {
            served[at] = Watch::start();
        }
        thread::sleep(GAP);
    }
    score
}

#[cfg(test)]
mod tests {
    use tokenward_programs::http::{HeaderMap, HeaderValue};

    use super::*;

    #[test]
    fn a_score_is_judged_with_the_provider_s_ledger() {
        let score = |answered, failed: &[&str]| Score {
            answered,
            unanswered: 3,
            postponed: 1,
            failed: failed.iter().map(|&text| text.to_owned()).collect(),
        };
        for (score, rotations, revoked, broken) in [
            (score(9, &[]), Some(2), Some(0), 0),
            (score(9, &["/a answered 401"]), Some(2), Some(0), 1),
            (score(9, &["x"; 50]), Some(2), Some(0), TOLD_MAX),
            (score(0, &[]), Some(2), Some(0), 1),
            (score(9, &[]), Some(0), Some(1), 2),
            (score(9, &[]), None, None, 2),
        ] {
            let text = format!("{score:?} {rotations:?} {revoked:?}");
            assert_eq!(score.broken(rotations, revoked).len(), broken, "{text}");
        }
    }

    #[test]
    fn only_patience_excuses_silence_and_delay() {
        let answer = |status, retry_after: bool| {
            let mut headers = HeaderMap::new();
            if retry_after {
                headers.insert("retry-after", HeaderValue::from_static("1"));
            }
            Ok(Answer { status, headers, body: String::new() })
        };
        for (answer, patient, failed) in [
            (answer(200, false), false, 0),
            (answer(503, true), true, 0),
            (answer(503, true), false, 1),
            (answer(503, false), true, 1),
            (answer(401, false), true, 1),
            (Err("refused".to_owned()), true, 0),
            (Err("refused".to_owned()), false, 1),
        ] {
            let mut score = Score::default();
            score.hear("/a", &answer, patient);
            assert_eq!(score.failed.len(), failed, "{answer:?} {patient}");
        }
    }
}
