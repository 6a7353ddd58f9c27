//! What befalls a fleet, in an order that chance chooses and a seed repeats.

use std::time::Duration;

use tokenward_programs::dice::Dice;

use super::redis::{Fsync, Layout};

/// The longest lease: whoever is frozen for longer finds that others have taken over.
const LEASE: Duration = Duration::from_secs(15);

/// One thing that befalls a fleet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    /// A gateway is killed and started again.
    Kill,
    /// A gateway is frozen for longer than a lease lasts.
    Freeze,
    /// A gateway loses its connections to Redis, and gets no new ones.
    Cut,
    /// A gateway's connections to Redis stay, and nothing comes through.
    Stall,
    /// A gateway's way to Redis gets long.
    Slow,
    /// Redis is killed and started again.
    CrashRedis,
    /// Redis comes back and answers that it loads, for some time.
    Loading,
    /// The master dies with writes that its replica does not have.
    FailOver,
    /// Slots move from one node of the cluster to another.
    MoveSlots,
}

/// A fault with its measures.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fault {
    pub(crate) kind: Kind,
    /// Which gateway, or which server.
    pub(crate) whom: usize,
    /// How long it lasts.
    pub(crate) lasts: Duration,
    /// How Redis flushes from then on.
    pub(crate) fsync: Fsync,
}

impl Kind {
    /// What can befall a fleet in a layout. Where Redis itself tells clients where it is, no
    /// relay can stand between.
    pub(crate) const fn all(layout: Layout) -> &'static [Self] {
        match layout {
            Layout::Single => &[
                Self::Kill,
                Self::CrashRedis,
                Self::Cut,
                Self::Freeze,
                Self::Loading,
                Self::Stall,
                Self::CrashRedis,
                Self::Slow,
            ],
            Layout::Sentinel => &[Self::FailOver, Self::Kill, Self::FailOver, Self::Freeze],
            Layout::Cluster => {
                &[Self::MoveSlots, Self::Kill, Self::MoveSlots, Self::CrashRedis, Self::Freeze]
            }
        }
    }

    /// Says it in words.
    pub(crate) const fn words(self) -> &'static str {
        match self {
            Self::Kill => "gateway killed",
            Self::Freeze => "gateway frozen",
            Self::Cut => "gateway cut off from Redis",
            Self::Stall => "gateway's Redis stalls",
            Self::Slow => "gateway's Redis is far",
            Self::CrashRedis => "Redis killed",
            Self::Loading => "Redis loads",
            Self::FailOver => "failover with lost writes",
            Self::MoveSlots => "slots moved",
        }
    }

    /// How long it lasts, at least and at most.
    const fn span(self) -> [Duration; 2] {
        let [least, most] = match self {
            Self::Kill => [50, 1_500],
            Self::Freeze => [1_000, 4_000],
            Self::Cut | Self::Stall => [2_000, 9_000],
            Self::Slow => [3_000, 6_000],
            Self::CrashRedis => [100, 2_500],
            Self::Loading => [1_000, 4_000],
            Self::FailOver => [200, 1_200],
            Self::MoveSlots => [0, 0],
        };
        [Duration::from_millis(least), Duration::from_millis(most)]
    }
}

/// The order of the faults.
#[derive(Debug)]
pub(crate) struct Schedule {
    layout: Layout,
    gateways: usize,
    dice: Dice,
    taken: usize,
}

impl Schedule {
    /// Starts a schedule: all kinds in turn, so that short runs see each.
    pub(crate) fn new(layout: Layout, gateways: usize, seed: u64) -> Self {
        Self { layout, gateways, dice: Dice::new(seed), taken: 0 }
    }

    /// Draws the next fault.
    pub(crate) fn next(&mut self) -> Fault {
        let kinds = Kind::all(self.layout);
        let kind = kinds[self.taken % kinds.len()];
        self.taken += 1;
        let [least, most] = kind.span();
        let beyond = if kind == Kind::Freeze { LEASE } else { Duration::ZERO };
        Fault {
            kind,
            whom: self.dice.pick(&[0, 1, 2, 3, 4, 5, 6, 7]) % self.gateways,
            lasts: beyond + self.dice.between(least, most),
            fsync: self.dice.pick(&[Fsync::Always, Fsync::Everysec]),
        }
    }

    /// Draws how long all is calm before the next fault.
    pub(crate) fn calm(&mut self) -> Duration {
        self.dice.between(Duration::from_millis(500), Duration::from_secs(4))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_repeats_its_faults_and_a_freeze_outlives_every_lease() {
        let draw = |seed| {
            let mut schedule = Schedule::new(Layout::Single, 3, seed);
            (0..40).map(|_| schedule.next()).collect::<Vec<_>>()
        };
        let told = |faults: &[Fault]| format!("{faults:?}");
        assert_eq!(told(&draw(7)), told(&draw(7)));
        assert_ne!(told(&draw(7)), told(&draw(8)));
        let frozen = draw(7).into_iter().filter(|fault| fault.kind == Kind::Freeze);
        assert!(frozen.inspect(|fault| assert!(fault.lasts > LEASE)).count() >= 4);
        assert!(draw(7).iter().all(|fault| fault.whom < 3));
    }
}
