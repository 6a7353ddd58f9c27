//! What machines learn of each other through the store, and what they do where it forgets.

use std::time::Duration;

use tokenward_core::lease::{Begun, Verdict};
use tokenward_core::time::Instant;

use super::store::{self, Ask, Told};
use super::{Due, Mail, STORE_TAKES, World};

/// How long a machine remembers what it wrote: far longer than a replica is behind.
const REMEMBERED: Duration = Duration::from_secs(60);

/// How long nobody takes a lease from a store that fell back: everybody learns of it within that time,
/// and tells what only they know.
pub(crate) const TOLD_WITHIN: Duration = Duration::from_secs(2);

/// How much later than the one before it a machine finds the store that took the other's place: three
/// of them within the second in which each looks for a connection at least.
const FOUND_AFTER: Duration = Duration::from_millis(450);

/// How long what is told again travels at most. A server that is slower lets whoever asks for a lease
/// wait as well; a single way that is slower is beyond what is promised of leases, and not of tokens.
const TELLING_MAX: Duration = Duration::from_secs(1);

/// Under this number goes what belongs to no flight.
const NO_FLIGHT: u64 = 0;

/// Returns how long a wish may travel.
pub(super) fn slow_max(flight: u64, ask: &Ask) -> Duration {
    let is_told_again = flight == NO_FLIGHT && matches!(ask, Ask::Commit(..) | Ask::Hold(_));
    if is_told_again { TELLING_MAX } else { Duration::MAX }
}

impl World {
    /// Tells the other machines that the record was written, late and twice where notices are late.
    pub(super) fn notify(&mut self, writer: usize) {
        let Some(late) = self.notices else {
            return;
        };
        for machine in (0..self.machines.len()).filter(|machine| *machine != writer) {
            if self.machines[machine].session.is_some() {
                self.mail(machine, self.now + STORE_TAKES, Mail::Notice);
                if !late.is_zero() {
                    self.mail(machine, self.now + late, Mail::Notice);
                }
            }
        }
    }

    /// Lets the store fall back; whoever is connected to it learns that by the end of the connection,
    /// and of no answer that was still on its way.
    pub(super) fn store_falls_back(&mut self, span: Duration) {
        let before = self.store.record.entries.clone();
        let writers = self.store.fall_back(self.now - span);
        if writers.is_empty() {
            return;
        }
        // What was written by nobody who could write it again is gone for good.
        let is_gone = |writer: &(usize, u64)| {
            self.machines[writer.0].boot != writer.1 || !self.is_awake(writer.0)
        };
        let gone = writers.iter().any(is_gone);
        self.oracle.store_fell_back(gone, writers, self.now);
        self.oracle.forgets_entries(&before, &self.store.record.entries);
        self.store.told_until = self.now + TOLD_WITHIN;
        let mut found_at = self.now + STORE_TAKES;
        for machine in 0..self.machines.len() {
            if !self.machines[machine].down {
                self.machines[machine].found_at = found_at;
                self.mail(machine, found_at, Mail::Again);
                self.hears_no_later(machine, found_at);
            }
            found_at = found_at + FOUND_AFTER;
        }
    }

    /// Lets every answer that is on its way to a machine come at a moment, or before.
    fn hears_no_later(&mut self, machine: usize, at: Instant) {
        let late = |(due_at, due): &(&(Instant, u64), &Due)| {
            let is_answer = |mail: &Mail| matches!(mail, Mail::Told(..));
            due_at.0 > at
                && matches!(due, Due::Mail(to, _, mail) if *to == machine && is_answer(mail))
        };
        let late: Vec<_> = self.queue.iter().filter(late).map(|(place, _)| *place).collect();
        for place in late {
            if let Some(answer) = self.queue.remove(&place) {
                self.due(at, answer);
            }
        }
    }

    /// Writes again what was asked for lately, answered or not, and then the lease of which nobody
    /// knows what came: each is judged anew, and most is there already.
    pub(super) fn write_again(&mut self, machine: usize) {
        let written = std::mem::take(&mut self.machines[machine].written);
        let held = self.machines[machine].lease.map(Ask::Hold);
        let lately = written.into_iter().filter(|(at, _)| self.now.since(*at) < REMEMBERED);
        for ask in lately.map(|(_, ask)| ask).chain(held).collect::<Vec<_>>() {
            self.ask_store(machine, NO_FLIGHT, ask);
        }
    }

    /// Remembers a write that is on its way: whether or not it is answered, it may be forgotten.
    pub(super) fn remembers(&mut self, machine: usize, ask: &Ask) {
        let Ask::Commit(commit, _) = ask else { return };
        let is_same = |known: &Ask| matches!(known, Ask::Commit(other, _) if other == commit);
        let written = &mut self.machines[machine].written;
        written.retain(|(_, known)| !is_same(known));
        written.push((self.now, ask.clone()));
    }

    /// Takes the store's answer. One that was still under way when the connection ended is lost.
    pub(super) fn hears(&mut self, machine: usize, flight: u64, era: u64, ask: Ask, told: Told) {
        let lost = era != self.store.era && self.machines[machine].found_at <= self.now;
        let told = if lost { store::failed(&ask) } else { told };
        match &told {
            Told::Committed(None) | Told::Held(false) if flight == NO_FLIGHT => {
                return self.ask_store(machine, flight, ask);
            }
            Told::Held(_) => return,
            Told::Committed(Some(verdict)) => self.is_resolved(machine, &ask, *verdict),
            Told::Begun(Some(Begun::Leased { intent, .. })) => {
                self.machines[machine].lease = Some(*intent);
            }
            Told::Begun(_) | Told::Committed(None) | Told::Ended(_) | Told::Loaded(_) => {}
        }
        self.told(machine, flight, ask, told);
    }

    /// Forgets a lease whose commit was answered, and a write that the store does not want.
    fn is_resolved(&mut self, machine: usize, ask: &Ask, verdict: Verdict) {
        let Ask::Commit(commit, _) = ask else { return };
        let head = self.store.record.head;
        // A repeated asking finds what the first has written.
        let is_there = (head.parent, head.born_in) == (Some(commit.consumed), commit.epoch);
        let machine = &mut self.machines[machine];
        machine.lease = machine.lease.filter(|lease| lease.epoch > commit.epoch);
        if !is_there && !matches!(verdict, Verdict::Accept(_)) {
            machine
                .written
                .retain(|(_, known)| !matches!(known, Ask::Commit(other, _) if other == commit));
        }
    }
}
