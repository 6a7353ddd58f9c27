//! What machines learn of each other through the store, and what they do where it forgets.

use std::time::Duration;

use tokenward_core::lease::Verdict;

use super::store::{self, Ask, Told};
use super::{Mail, STORE_TAKES, World};

/// How long a machine remembers what it wrote: far longer than a replica is behind.
const REMEMBERED: Duration = Duration::from_secs(60);

/// How long nobody takes a lease from a store that fell back: everybody learns of it within that time,
/// and tells what only they know.
const TOLD_WITHIN: Duration = Duration::from_secs(2);

/// Under this number goes what belongs to no flight.
const NO_FLIGHT: u64 = 0;

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

    /// Lets the store fall back; whoever is connected to it learns that at once.
    pub(super) fn store_falls_back(&mut self, span: Duration) {
        let forgotten = self.store.fall_back(self.now - span);
        // What was written by nobody who could write it again is gone for good.
        let is_gone = |writer: &(usize, u64)| {
            self.machines[writer.0].boot != writer.1 || !self.is_awake(writer.0)
        };
        let gone = forgotten.intent || forgotten.writers.iter().any(is_gone);
        if forgotten.writers.is_empty() {
            return;
        }
        self.oracle.store_fell_back(gone, self.now);
        self.store.told_until = self.now + TOLD_WITHIN;
        for machine in 0..self.machines.len() {
            if !self.machines[machine].down {
                self.mail(machine, self.now + STORE_TAKES, Mail::Again);
            }
        }
    }

    /// Writes again what was answered lately: each is judged anew, and most is there already.
    pub(super) fn write_again(&mut self, machine: usize) {
        let written = std::mem::take(&mut self.machines[machine].written);
        let lately = written.into_iter().filter(|(at, _)| self.now.since(*at) < REMEMBERED);
        for (_, ask) in lately.collect::<Vec<_>>() {
            self.ask_store(machine, NO_FLIGHT, ask);
        }
    }

    /// Takes the store's answer. One that was under way when the store fell back is as good as lost.
    pub(super) fn hears(&mut self, machine: usize, flight: u64, era: u64, ask: Ask, told: Told) {
        let told = if era == self.store.era { told } else { store::failed(&ask) };
        match &told {
            Told::Committed(None) if flight == NO_FLIGHT => {
                return self.ask_store(machine, flight, ask);
            }
            Told::Committed(Some(Verdict::Superseded)) => {
                let Ask::Commit(commit, _) = &ask else { return };
                let head = self.store.record.head;
                // A repeated asking finds what the first has written.
                if (head.parent, head.born_in) == (Some(commit.consumed), commit.epoch) {
                    self.machines[machine].written.push((self.now, ask.clone()));
                }
            }
            // What was not answered may have been written all the same.
            Told::Committed(Some(Verdict::Accept(_)) | None) => {
                self.machines[machine].written.push((self.now, ask.clone()));
            }
            Told::Begun(_)
            | Told::Committed(Some(Verdict::Ended))
            | Told::Ended(_)
            | Told::Loaded(_) => {}
        }
        self.told(machine, flight, ask, told);
    }
}
