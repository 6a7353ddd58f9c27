//! A machine of the world: its process, its clock, and what befalls them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokenward_core::lease::Intent;
use tokenward_core::name::{Owner, WaiterId};
use tokenward_core::session::exchange::{Flight, Reading};
use tokenward_core::session::{Input, Need, Session, State, Want};
use tokenward_core::time::Instant;

use super::store::Ask;
use super::{Due, START, SWEEP, World};

/// How many exchanges a caller waits for at most.
const PATIENCE: u32 = 3;

/// What a boot clock shows when a machine has just booted.
const BOOTED: Instant = Instant::from_nanos(20_000_000_000);

/// One process that may hold the session in memory.
#[derive(Debug, Default)]
pub(crate) struct Machine {
    /// The number of the process on this machine.
    pub(crate) boot: u64,
    pub(crate) down: bool,
    pub(crate) asleep_until: Instant,
    pub(crate) clock: Clock,
    pub(crate) session: Option<Session>,
    /// How often the session was brought to life.
    pub(super) seat: u64,
    /// The exchanges under way, by number.
    pub(crate) flights: BTreeMap<u64, Aloft>,
    /// How long after a landing it is told once more.
    pub(crate) lands_twice: Option<Duration>,
    /// Whether what is told was told before.
    pub(super) repeated: bool,
    pub(super) alarm_at: Option<Instant>,
    /// The writes that were asked for lately, oldest first.
    pub(super) written: Vec<(Instant, Ask)>,
    /// The lease of which nobody knows what came.
    pub(super) lease: Option<Intent>,
    /// When it has a connection to the store that took the other's place.
    pub(super) found_at: Instant,
}

/// An exchange under way.
#[derive(Debug)]
pub(crate) struct Aloft {
    pub(crate) flight: Flight,
    pub(crate) leased_at: Instant,
    /// True where the session that launched it is gone.
    pub(crate) stray: bool,
}

/// A machine's boot clock, as far as it differs from the world's.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Clock {
    /// Which boot it counts from: moments of different ones do not compare.
    pub(crate) boot: u64,
    ahead: Duration,
    behind: Duration,
}

impl Clock {
    pub(crate) fn ahead(ahead: Duration) -> Self {
        Self { ahead, ..Self::default() }
    }

    /// Returns what the clock shows at a moment of the world.
    pub(crate) fn at(self, moment: Instant) -> Instant {
        moment + self.ahead - self.behind
    }

    /// Returns the moment of the world at which the clock shows `shown`.
    pub(crate) fn back(self, shown: Instant) -> Instant {
        shown + self.behind - self.ahead
    }
}

impl World {
    pub(super) fn want(
        &mut self,
        machine: usize,
        waiter: u64,
        need: &Need,
        within: Duration,
        old: Option<&str>,
    ) {
        if !self.is_awake(machine) {
            return;
        }
        self.activate(machine);
        if self.machines[machine].session.is_none() {
            self.fact(machine, || format!("#{waiter} finds the session ended"));
            return;
        }
        let local = self.machines[machine].clock.at(self.now);
        let newest = self.store.record.head.born_in;
        let replaces = old.map(|old| self.born.get(old).copied().unwrap_or(newest));
        let (deadline, latest) = (local + within, local + within * PATIENCE);
        let by = self.now + within * PATIENCE;
        self.oracle.wants(machine, waiter, need, by, replaces.is_some(), self.now);
        let (waiter, need) = (WaiterId(waiter), need.clone());
        self.input(machine, Input::Want(Want { waiter, need, replaces, deadline, latest }));
        self.oracle.was_served(waiter.0, self.now);
    }

    /// Ends a process; with `boot` the whole machine, whose clock begins anew.
    pub(super) fn crash(&mut self, machine: usize, boot: bool) {
        self.oracle.crashed(machine, self.now);
        let Machine { boot: process, mut clock, .. } = self.machines[machine];
        // The machines of a fleet count by one clock, that of their store.
        if boot && self.machines.len() == 1 {
            let behind = self.now.since(BOOTED);
            clock = Clock { boot: clock.boot + 1, ahead: Duration::ZERO, behind };
        }
        self.machines[machine] =
            Machine { boot: process + 1, down: true, clock, ..Machine::default() };
    }

    pub(super) fn restart(&mut self, machine: usize) {
        if self.machines[machine].down {
            self.machines[machine].down = false;
            self.oracle.restarts(machine, self.now);
            // What is in doubt is resumed first, from an index, without a caller.
            if self.store.record.head.intent.is_some() {
                self.activate(machine);
            }
        }
    }

    /// Lets the session's actor die; what is under way goes on.
    pub(super) fn panic(&mut self, machine: usize) {
        if self.machines[machine].session.take().is_none() {
            return;
        }
        self.machines[machine].alarm_at = None;
        for aloft in self.machines[machine].flights.values_mut() {
            aloft.stray = true;
        }
        self.oracle.panicked(machine);
        if self.store.ended.is_none() {
            self.oracle.forgets_end(machine);
        }
        self.activate(machine);
    }

    /// Puts the session back into the store where nothing would be missed.
    pub(super) fn rests(&mut self, machine: usize) {
        let idle =
            |session: &Session| session.is_idle() && !matches!(session.state(), State::Ended(_));
        if self.machines[machine].session.as_ref().is_some_and(idle) {
            self.machines[machine].session = None;
            self.machines[machine].alarm_at = None;
        }
    }

    pub(super) fn suspend(&mut self, machine: usize, span: Duration) {
        let until = (self.now + span).max(self.machines[machine].asleep_until);
        self.machines[machine].asleep_until = until;
        self.oracle.sleeps(machine, self.now, until);
    }

    pub(super) fn activate(&mut self, machine: usize) {
        if self.machines[machine].session.is_some() || self.machines[machine].down {
            return;
        }
        let Machine { clock, boot, .. } = self.machines[machine];
        let now = clock.at(self.now);
        let Reading::Living(snapshot) = self.store.read(clock, now) else {
            return;
        };
        for hold in &snapshot.holds {
            self.oracle.log.held(hold.audience.as_str(), self.now);
        }
        let owner = snapshot.head.intent.map(|intent| intent.owner);
        let orphaned = owner.is_some_and(|owner| {
            (owner.0 >> 64) as usize == machine && owner != self.owner(machine)
        });
        let policies = Arc::new(self.policies.clone());
        let seed = boot * 31 + machine as u64;
        let mut session =
            Session::new(*snapshot, policies, seed, now).ending_at(self.ceiling_at(machine));
        if orphaned {
            session = session.orphaned(now);
        }
        self.machines[machine].session = Some(session);
        self.machines[machine].seat += 1;
        self.input(machine, Input::Alarm);
    }

    /// When the wall clock will show the ceiling, by the machine's own clock.
    fn ceiling_at(&self, machine: usize) -> Option<Instant> {
        let passed = self.now.since(START).as_millis() as i64 + self.wall_ms;
        let ceiling = self.ceiling?.as_millis() as i64;
        let left = u64::try_from(ceiling - passed).unwrap_or(0);
        Some(self.machines[machine].clock.at(self.now) + Duration::from_millis(left))
    }

    /// Looks for an intent that nobody has resolved in time, on every machine.
    pub(super) fn sweep(&mut self) {
        self.due(self.now + SWEEP, Due::Sweep);
        for machine in 0..self.machines.len() {
            let clock = self.machines[machine].clock;
            if !self.is_awake(machine) || !self.store.is_overdue(clock, clock.at(self.now)) {
                continue;
            }
            match self.machines[machine].session {
                Some(_) => self.observe(machine),
                None => self.activate(machine),
            }
        }
    }

    /// Reads the record again, because somebody else may have moved it on.
    pub(super) fn observe(&mut self, machine: usize) {
        let clock = self.machines[machine].clock;
        if let Reading::Living(snapshot) = self.store.read(clock, clock.at(self.now)) {
            self.input(machine, Input::Observed(snapshot));
        }
    }

    pub(crate) fn is_awake(&self, machine: usize) -> bool {
        let machine = &self.machines[machine];
        !machine.down && machine.asleep_until <= self.now
    }

    pub(super) fn owner(&self, machine: usize) -> Owner {
        Owner((machine as u128) << 64 | u128::from(self.machines[machine].boot))
    }
}
