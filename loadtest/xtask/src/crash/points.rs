//! The points of an exchange's way where a kill can fall, and in which order they are taken.

/// A point on an exchange's way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Point {
    /// Anywhere.
    Random,
    /// As the intent is written, before the request is sent.
    BeforeSend,
    /// While the provider has the request and has not committed.
    BeforeCommit,
    /// After the provider committed, while its reply is on its way.
    AfterCommit,
    /// As the reply arrives, before it is saved.
    BeforeSave,
    /// Right after a save.
    AfterSave,
    /// While the store moves its log into its file.
    Compaction,
}

impl Point {
    /// In this order the kills go; chance comes twice as often as any chosen point.
    const ROUND: [Self; 8] = [
        Self::Random,
        Self::BeforeSend,
        Self::BeforeCommit,
        Self::AfterCommit,
        Self::Random,
        Self::BeforeSave,
        Self::AfterSave,
        Self::Compaction,
    ];

    /// All points, each once.
    pub(super) const ALL: [Self; 7] = [
        Self::Random,
        Self::BeforeSend,
        Self::BeforeCommit,
        Self::AfterCommit,
        Self::BeforeSave,
        Self::AfterSave,
        Self::Compaction,
    ];

    /// Tells whether the point is on an exchange's way, so that some must be under way.
    pub(super) const fn needs_life(self) -> bool {
        match self {
            Self::Random | Self::Compaction => false,
            Self::BeforeSend
            | Self::BeforeCommit
            | Self::AfterCommit
            | Self::BeforeSave
            | Self::AfterSave => true,
        }
    }

    /// Says it in words.
    pub(super) const fn words(self) -> &'static str {
        match self {
            Self::Random => "at random",
            Self::BeforeSend => "before the send",
            Self::BeforeCommit => "before the provider commits",
            Self::AfterCommit => "after the provider committed",
            Self::BeforeSave => "before the save",
            Self::AfterSave => "after the save",
            Self::Compaction => "during compaction",
        }
    }
}

/// Whose turn it is.
#[derive(Debug)]
pub(super) struct Turns {
    only: Option<Point>,
    round: usize,
    /// Compactions that had their turn while none was near: each is made up for.
    owed: u32,
}

impl Turns {
    /// Starts a lane's turns: at `only` one point, or at all, each lane with another one first.
    pub(super) const fn new(only: Option<Point>, lane: u32) -> Self {
        Self { only, round: lane as usize, owed: 0 }
    }

    /// Returns where the next kill falls. Compactions come every few seconds and cannot be called
    /// for, so that their turn waits until one is `near`.
    pub(super) fn next(&mut self, near: bool) -> Point {
        if let Some(only) = self.only {
            return only;
        }
        if near && self.owed > 0 {
            self.owed -= 1;
            return Point::Compaction;
        }
        let point = Point::ROUND[self.round % Point::ROUND.len()];
        self.round += 1;
        if point != Point::Compaction || near {
            return point;
        }
        self.owed += 1;
        Point::Random
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_compaction_that_is_far_is_made_up_for() {
        let mut turns = Turns::new(None, 6);
        let taken: Vec<Point> =
            [false, false, true, true, false].map(|near| turns.next(near)).to_vec();
        use Point::{AfterSave, BeforeSend, Compaction, Random};
        assert_eq!(taken, [AfterSave, Random, Compaction, Random, BeforeSend]);
        assert_eq!(Turns::new(Some(Compaction), 0).next(false), Compaction);
    }
}
