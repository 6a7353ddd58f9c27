//! The laboratory: tokens of ten seconds, one instance, many users.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use tokenward_programs::clock::Watch;
use tokenward_programs::failure::Failure;

use super::Story;
use super::stage::{Stage, word};
use crate::stage::QUOTES;

/// The life of an access token, in seconds, as the laboratory sets it.
const LIFE: u32 = 10;
/// Longer than two lives.
const WHILE: Duration = Duration::from_secs(24);
/// Users of the one instance.
const USERS: u32 = 12;

pub(super) const STORIES: &[Story] = &[Story::usual(
    "004.1",
    "tokens of ten seconds, twelve users: every call is served, each user's token is replaced in time",
    LIFE,
    laboratory,
)];

fn laboratory(stage: &mut Stage) -> Result<(), Failure> {
    let users = stage.programs(USERS)?;
    let mut seen: BTreeMap<usize, BTreeSet<String>> = BTreeMap::new();
    let mut subjects = BTreeSet::new();
    let watch = Watch::start();
    while watch.elapsed() < WHILE {
        for (number, user) in users.iter().enumerate() {
            let token = stage.served(user, QUOTES, "a user");
            subjects.insert(word(&token, "sub"));
            seen.entry(number).or_default().insert(word(&token, "jti_prefix"));
        }
        std::thread::sleep(Duration::from_millis(200));
    }
    let own = subjects.len();
    stage.expect(own == users.len(), || format!("{own} subjects were seen of {USERS}"));
    for (number, tokens) in &seen {
        // Refreshed ahead at half their life at the earliest, so that at most six fit in.
        let count = tokens.len();
        stage.expect((2..=6).contains(&count), || format!("user {number} had {count} tokens"));
    }
    stage.sum_is("refreshes_refused", 0, "at the end");
    Ok(())
}
