//! Which sessions each kill has left in doubt, as the restarted gateway says.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::iter::Sum;

use serde::Deserialize;
use tokenward_programs::failure::Failure;
use tokenward_programs::http::Caller;

use super::crowd::{Member, Recovery};
use super::points::Point;
use crate::world::World;

/// The doubts of all lives.
#[derive(Debug)]
pub(super) struct Doubts {
    caller: Caller,
    seats: HashMap<String, usize>,
    /// Life and seat.
    found: BTreeSet<(u64, usize)>,
    by_point: BTreeMap<&'static str, Struck>,
}

/// What the kills at one point have done.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Struck {
    pub(super) kills: u32,
    /// Kills that fell where they were aimed at.
    pub(super) hits: u32,
    /// Sessions left in doubt.
    pub(super) in_doubt: usize,
}

#[derive(Deserialize)]
struct Page {
    sessions: Vec<Listed>,
}

#[derive(Deserialize)]
struct Listed {
    id: String,
    state: String,
}

impl Doubts {
    pub(super) fn new(members: &[Member]) -> Self {
        let seats = members.iter().enumerate().map(|(seat, member)| (member.id.clone(), seat));
        Self {
            caller: Caller::new(),
            seats: seats.collect(),
            found: BTreeSet::new(),
            by_point: BTreeMap::new(),
        }
    }

    /// Asks the gateway, which has just started its `life`, who is in doubt. A settling time is
    /// half a second at least, so that nobody has been resumed yet.
    ///
    /// # Errors
    /// `Ours` when it does not list its sessions.
    pub(super) fn look(
        &mut self,
        world: &World,
        life: u64,
        point: Point,
        hit: bool,
    ) -> Result<(), Failure> {
        let answer = self.caller.fetch(&world.admin("/api/sessions?limit=200"), &[]);
        let answer = answer.map_err(Failure::Ours)?;
        let page: Page = serde_json::from_str(&answer.body).map_err(|error| {
            Failure::Ours(format!("the list of sessions is something else: {error}"))
        })?;
        let in_doubt = page.sessions.iter().filter(|listed| listed.state == "in_doubt");
        let seats: Vec<usize> =
            in_doubt.filter_map(|listed| self.seats.get(&listed.id).copied()).collect();
        let struck = self.by_point.entry(point.words()).or_default();
        struck.kills += 1;
        struck.hits += u32::from(hit);
        struck.in_doubt += seats.len();
        self.found.extend(seats.into_iter().map(|seat| (life, seat)));
        Ok(())
    }

    /// Returns how many sessions were left in doubt, over all kills.
    pub(super) fn count(&self) -> usize {
        self.found.len()
    }

    /// Tells whether a session was in doubt when the gateway's life began that answered in `era`:
    /// in an odd one, where the gateway goes or comes, the one before or the one after.
    pub(super) fn had(&self, id: &str, era: u64) -> bool {
        let lives = [era / 2, era.div_ceil(2)];
        let found = |seat: &usize| lives.iter().any(|life| self.found.contains(&(*life, *seat)));
        self.seats.get(id).is_some_and(found)
    }

    /// Tells whether this is the recovery of a session that was in doubt.
    pub(super) fn is_of(&self, recovery: &Recovery) -> bool {
        self.found.contains(&(recovery.life, recovery.seat))
    }

    /// Returns how often the gateway was killed.
    pub(super) fn kills(&self) -> u32 {
        self.by_point.values().map(|struck| struck.kills).sum()
    }

    /// Returns what the kills at a point have done.
    pub(super) fn at(&self, point: Point) -> Struck {
        self.by_point.get(point.words()).copied().unwrap_or_default()
    }
}

impl Sum for Struck {
    fn sum<I: Iterator<Item = Self>>(all: I) -> Self {
        all.fold(Self::default(), |sum, one| Self {
            kills: sum.kills + one.kills,
            hits: sum.hits + one.hits,
            in_doubt: sum.in_doubt + one.in_doubt,
        })
    }
}
