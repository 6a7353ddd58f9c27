//! A guest who needs no screen: signs in, calls both APIs until told to leave, and keeps score.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crate::failure::Failure;
use crate::terminal;
use crate::visitor::Visitor;
use crate::world::World;

/// Between two calls: each ten-second token serves many.
const GAP: Duration = Duration::from_millis(200);
/// What the guest calls in turn.
const PATHS: [&str; 2] = ["/api/quotes/quote", "/api/accounts/accounts"];
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
    /// Calls while the gateway was not there; only chaos may cause them.
    unanswered: u64,
    failed: Vec<String>,
}

impl Guest {
    /// Signs in, and starts to call.
    ///
    /// # Errors
    /// `Missed` when the sign-in does not work.
    pub(super) fn arrive(gateway: &str) -> Result<Self, Failure> {
        let mut visitor = Visitor::new(gateway);
        visitor
            .sign_in("ada")
            .map_err(|why| Failure::Missed(format!("signing in failed: {why}")))?;
        let leave = Arc::new(AtomicBool::new(false));
        let told = Arc::clone(&leave);
        Ok(Self {
            leave,
            work: thread::spawn(move || call_until(&visitor, &told)),
        })
    }

    /// Stops calling, tells the score and judges it with the provider's ledger.
    ///
    /// # Errors
    /// `Missed` when a call failed or a family was revoked.
    pub(super) fn leave(self, world: &World) -> Result<(), Failure> {
        self.leave.store(true, Ordering::Relaxed);
        let score = self
            .work
            .join()
            .map_err(|_| Failure::Ours("the guest panicked".to_owned()))?;
        let revoked = world.ledger("families_revoked");
        let rotations = world.ledger("rotations");
        let shown =
            |sum: Option<u64>| sum.map_or_else(|| "unknown".to_owned(), |sum| sum.to_string());
        terminal::result(&format!(
            "guest: {} calls answered, {} while the gateway was down, {} failed; {} rotations, {} families revoked",
            score.answered,
            score.unanswered,
            score.failed.len(),
            shown(rotations),
            shown(revoked),
        ));
        let broken = score.broken(rotations, revoked);
        if broken.is_empty() {
            return Ok(());
        }
        Err(Failure::Missed(format!(
            "the demo did not keep its promise: {}",
            broken.join("; ")
        )))
    }
}

impl Score {
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

fn call_until(visitor: &Visitor, leave: &AtomicBool) -> Score {
    let mut score = Score::default();
    for path in PATHS.iter().cycle() {
        if leave.load(Ordering::Relaxed) {
            break;
        }
        match visitor.call(path) {
            Ok(answer) if answer.status == 200 => score.answered += 1,
            Ok(answer) => score
                .failed
                .push(format!("{path} answered {}", answer.status)),
            Err(_) => score.unanswered += 1,
        }
        thread::sleep(GAP);
    }
    score
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_score_is_judged_with_the_provider_s_ledger() {
        let score = |answered, failed: &[&str]| Score {
            answered,
            unanswered: 3,
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
}
