//! What must not have been served.

use super::Seen;
use crate::plan::Api;

/// How many breaches are told one by one.
const TOLD_MAX: usize = 5;

/// What must not have been, counted, and some of it told.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Breaches {
    /// Answers with somebody else's access token, or another API's.
    pub wrong: u64,
    /// Answers with an access token that had expired when it was sent.
    pub expired: u64,
    /// Answers to calls that took so long that their access token may have expired on the way.
    pub outrun: u64,
    /// Answers to a session after its sign-out was confirmed.
    pub zombies: u64,
    /// Sentences on some of them.
    pub told: Vec<String>,
}

impl Breaches {
    /// Checks an answer with an access token.
    pub(super) fn check(
        &mut self,
        (number, subject): (usize, &str),
        api: Api,
        seen: &Seen,
        (is_gone, outran): (bool, bool),
    ) {
        let Seen { subject: seen_subject, audiences, seconds_left } = seen;
        let name = api.name();
        if seen_subject != subject {
            self.wrong += 1;
            self.tell(format!("{subject} was served the token of {seen_subject}"));
        } else if !audiences.iter().any(|audience| audience == api.audience()) {
            self.wrong += 1;
            self.tell(format!("{name} was sent a token for {}", audiences.join(", ")));
        }
        if *seconds_left == 0 && outran {
            self.outrun += 1;
        } else if *seconds_left == 0 {
            self.expired += 1;
            self.tell(format!("{name} was sent an expired token of {subject}"));
        }
        if is_gone {
            self.zombies += 1;
            self.tell(format!("session {number} was served by {name} after its sign-out"));
        }
    }

    fn tell(&mut self, sentence: String) {
        if self.told.len() < TOLD_MAX {
            self.told.push(sentence);
        }
    }
}
