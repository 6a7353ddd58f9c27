//! The stories that Tokenward was built for, end to end through real processes: a gateway, and a
//! sandbox that plays the provider, the APIs and the person's telephone.
//!
//! A story is judged by what the callers got and by the provider's ledger, never by what the gateway
//! says of itself.

mod seed_000;
mod seed_001;
mod seed_002;
mod seed_003;
mod seed_004;
mod stage;

use clap::Args;
use tokenward_programs::failure::Failure;

use crate::side_by_side::{self, Piece};
use crate::stories::stage::Stage;
use crate::terminal;
use crate::tree::{Profile, Tree};
use crate::world;

/// How many stories are played at once: most of their time is waiting.
const AT_ONCE: u8 = 6;

/// Which stories are played.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Plays only the stories whose name or words contain this
    #[arg(long, value_name = "TEXT")]
    only: Option<String>,
    /// How many stories are played at once
    #[arg(long, default_value_t = AT_ONCE, value_parser = clap::value_parser!(u8).range(1..=32))]
    jobs: u8,
}

impl Options {
    /// The step of the test run.
    pub(crate) fn step() -> Self {
        Self { only: None, jobs: AT_ONCE }
    }
}

/// One story.
struct Story {
    /// The seed that tells it, and its place there.
    name: &'static str,
    /// What happens, in words.
    words: &'static str,
    /// How long the provider's access tokens live in it, in seconds.
    life: u32,
    /// Keys of the gateway's file beyond the usual ones.
    file: fn(&world::Addresses) -> String,
    /// Plays it; what must not have been is left on the stage.
    play: fn(&mut Stage) -> Result<(), Failure>,
}

impl Story {
    /// Describes a story in which the gateway needs nothing unusual.
    const fn usual(
        name: &'static str,
        words: &'static str,
        life: u32,
        play: fn(&mut Stage) -> Result<(), Failure>,
    ) -> Self {
        Self { name, words, life, file: |_| String::new(), play }
    }
}

/// Plays the stories, one line for each, and `stories N failed F` last.
///
/// # Errors
/// `Missed` when one failed; `Unavailable` when a program does not come up.
pub(crate) fn run(options: &Options) -> Result<(), Failure> {
    let tree = Tree::find()?;
    let wanted = options.only.as_deref().unwrap_or_default();
    let told = |story: &&Story| story.name.contains(wanted) || story.words.contains(wanted);
    let stories: Vec<&'static Story> = all().filter(told).collect();
    if stories.is_empty() {
        return Err(Failure::Unavailable(format!("no story speaks of {wanted:?}")));
    }
    world::build(&tree, Profile::Debug)?;
    let played = side_by_side::play(&stories, options.jobs, "stories", |story| tell(&tree, story));
    let mut failed = 0_usize;
    for (story, broken) in stories.iter().zip(&played) {
        let outcome = if broken.is_empty() { "ok" } else { "FAILED" };
        terminal::result(&format!("story {} {outcome}: {}", story.name, story.words));
        for fault in broken {
            terminal::note(&format!("  {}: {fault}", story.name));
        }
        failed += usize::from(!broken.is_empty());
    }
    terminal::result(&format!("stories {} failed {failed}", played.len()));
    match failed {
        0 => Ok(()),
        _ => Err(Failure::Missed(format!("{failed} stories failed"))),
    }
}

fn all() -> impl Iterator<Item = &'static Story> {
    let seeds = [
        seed_000::STORIES,
        seed_001::STORIES,
        seed_002::STORIES,
        seed_003::STORIES,
        seed_004::STORIES,
    ];
    seeds.into_iter().flatten()
}

impl Piece for &'static Story {
    fn name(&self) -> &str {
        self.name
    }

    fn seconds(&self) -> u32 {
        0
    }
}

fn tell(tree: &Tree, story: &Story) -> Vec<String> {
    let mut stage = match Stage::open(tree, story) {
        Ok(stage) => stage,
        Err(failure) => return vec![failure.to_string()],
    };
    let outcome = (story.play)(&mut stage);
    let mut broken = stage.close();
    broken.extend(outcome.err().map(|failure| failure.to_string()));
    broken
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_story_has_a_name_of_its_own() {
        let names: BTreeSet<&str> = all().map(|story| story.name).collect();
        assert_eq!(names.len(), all().count());
    }
}
