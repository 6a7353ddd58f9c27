//! What kept a session from asking again: the account of a reuse window.

use std::collections::BTreeSet;
use std::time::Duration;

use tokenward_core::time::Instant;

/// Everything that can keep a lost reply from being asked for again, as it was seen from outside.
#[derive(Debug, Default)]
pub(crate) struct Log {
    absences: Vec<Absence>,
    leases: Vec<Lease>,
    /// When the provider, or the breaker before it, asked to be left alone.
    waits: Vec<Span>,
    /// When an audience was held for a person, or refused.
    holds: Vec<(String, Span)>,
    /// The audiences that every session knows of.
    pub(crate) known: BTreeSet<String>,
    /// When the store failed, or let us wait.
    store_ill: Vec<Span>,
}

/// Why nothing was asked at a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Because {
    /// No machine was awake.
    NobodyAwake,
    /// An exchange was under way, or the law had to wait for the end of a lost one.
    Exchanging,
    /// The provider had asked to wait.
    Asked,
    /// Everything known was held for a person, or refused.
    Held,
    /// The store was failing.
    StoreIll,
    /// Nothing: the session was left alone.
    Idle,
}

/// How a span of time was spent.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Account {
    /// By [`Because`].
    pub(crate) spent: [Duration; 6],
    /// The longest while in which nothing kept the session from asking.
    pub(crate) idle_longest: Duration,
}

#[derive(Debug)]
struct Absence {
    machine: usize,
    span: Span,
    crash: bool,
}

#[derive(Debug)]
struct Lease {
    machine: usize,
    flight: u64,
    /// The last moment that belongs to it, as its own machine knows: the lease's end until
    /// something better is known.
    span: Span,
    /// The lease's end, which everybody else has to wait for.
    until: Instant,
    retry_from: Option<Instant>,
    landed: bool,
    /// True where the intent was resolved.
    resolved: bool,
}

type Span = (Instant, Instant);

/// As finely as an account looks.
const GRAIN: Duration = Duration::from_millis(50);

/// How long a failing store excuses: as long as a flight pauses before it writes again.
const STORE_PAUSE: Duration = Duration::from_secs(5);

/// How long before the end of the world: nothing ends later.
const NEVER: Instant = Instant::from_nanos(u64::MAX);

impl Log {
    pub(crate) fn crashed(&mut self, machine: usize, now: Instant) {
        self.absences.push(Absence { machine, span: (now, NEVER), crash: true });
    }

    pub(crate) fn restarts(&mut self, machine: usize, settle: Duration, now: Instant) {
        let gone = self.absences.iter_mut().filter(|gone| gone.machine == machine && gone.crash);
        for gone in gone.filter(|gone| gone.span.1 == NEVER) {
            gone.span.1 = now;
        }
        // Who comes back knows that its own connections are dead.
        let own = self.leases.iter_mut().filter(|own| own.machine == machine && !own.landed);
        for own in own {
            own.span.1 = own.span.1.min((now + settle).max(own.span.0));
        }
    }

    pub(crate) fn sleeps(&mut self, machine: usize, from: Instant, until: Instant) {
        self.absences.push(Absence { machine, span: (from, until), crash: false });
    }

    pub(crate) fn leased(&mut self, machine: usize, flight: u64, from: Instant, until: Instant) {
        let span = (from, until);
        let (retry_from, landed, resolved) = (None, false, false);
        self.leases.push(Lease { machine, flight, span, until, retry_from, landed, resolved });
    }

    /// Takes what an answer, or its loss, says about when the token may be sent again.
    pub(crate) fn may_retry(&mut self, flight: u64, from: Instant) {
        for lease in self.leases.iter_mut().filter(|lease| lease.flight == flight) {
            lease.retry_from = Some(from);
        }
    }

    /// Takes that what a flight learnt of its retry is known to nobody.
    pub(crate) fn is_unheard(&mut self, flight: u64) {
        for lease in self.leases.iter_mut().filter(|lease| lease.flight == flight) {
            lease.retry_from = None;
        }
    }

    /// Takes the death of a session's actor: what it knew better than the lease is forgotten.
    pub(crate) fn forgets(&mut self, machine: usize) {
        let own = self.leases.iter_mut().filter(|own| own.machine == machine && !own.resolved);
        for own in own {
            own.span.1 = own.until.max(own.span.0);
        }
    }

    /// Takes the end of a flight; `open` where its intent is still written.
    pub(crate) fn landed(&mut self, flight: u64, open: bool, now: Instant) {
        for lease in self.leases.iter_mut().filter(|lease| lease.flight == flight) {
            (lease.landed, lease.resolved) = (true, !open);
            lease.span.1 = match (lease.retry_from, open) {
                (Some(from), _) => from.max(now),
                (None, true) => lease.span.1.max(now),
                (None, false) => now,
            };
        }
    }

    pub(crate) fn store_fails(&mut self, now: Instant) {
        self.store_ill.push((now, now + STORE_PAUSE));
    }

    pub(crate) fn store_takes(&mut self, from: Instant, until: Instant) {
        self.store_ill.push((from, until + STORE_PAUSE));
    }

    pub(crate) fn asked_to_wait(&mut self, from: Instant, until: Instant) {
        self.waits.push((from, until));
    }

    pub(crate) fn held(&mut self, audience: &str, now: Instant) {
        self.holds.push((audience.to_owned(), (now, NEVER)));
    }

    pub(crate) fn refused(&mut self, audience: &str, from: Instant, until: Instant) {
        self.holds.push((audience.to_owned(), (from, until)));
    }

    /// Takes an operator's wish to try again what is held.
    pub(crate) fn released(&mut self, now: Instant) {
        for (_, span) in self.holds.iter_mut().filter(|(_, span)| span.1 == NEVER) {
            span.1 = now;
        }
    }

    /// Reports whether the store failed at some time between two moments.
    pub(crate) fn store_was_ill(&self, from: Instant, until: Instant) -> bool {
        self.store_ill.iter().any(|ill| ill.0 <= until && from <= ill.1)
    }

    /// Reports whether a machine was away at some time between two moments.
    pub(crate) fn was_away(&self, machine: usize, from: Instant, until: Instant) -> bool {
        let own = |gone: &&Absence| gone.machine == machine;
        self.absences.iter().filter(own).any(|gone| gone.span.0 < until && from < gone.span.1)
    }

    /// Returns when a machine's process ended between two moments.
    pub(crate) fn crash_between(
        &self,
        machine: usize,
        from: Instant,
        until: Instant,
    ) -> Option<Instant> {
        let own = |gone: &&Absence| gone.machine == machine && gone.crash;
        let ends = self.absences.iter().filter(own).map(|gone| gone.span.0);
        ends.filter(|at| from <= *at && *at < until).min()
    }

    /// Tells how the time between two moments was spent.
    pub(crate) fn account(&self, machines: usize, from: Instant, until: Instant) -> Account {
        let mut account = Account::default();
        let (mut at, mut idle) = (from, Duration::ZERO);
        while at < until {
            let because = self.because(machines, at);
            account.spent[because as usize] += GRAIN;
            idle = if because == Because::Idle { idle + GRAIN } else { Duration::ZERO };
            account.idle_longest = account.idle_longest.max(idle);
            at = at + GRAIN;
        }
        account
    }

    fn because(&self, machines: usize, at: Instant) -> Because {
        let within = |span: &Span| span.0 <= at && at < span.1;
        let away = |machine: usize| {
            self.absences.iter().any(|gone| gone.machine == machine && within(&gone.span))
        };
        // What the holder knows better than the lease, nobody else does.
        let leased = |lease: &Lease| match away(lease.machine) && !lease.resolved {
            true => within(&(lease.span.0, lease.until)),
            false => within(&lease.span),
        };
        let held = |audience: &String| {
            self.holds.iter().any(|(held, span)| held == audience && within(span))
        };
        if (0..machines).all(away) {
            Because::NobodyAwake
        } else if self.leases.iter().any(leased) {
            Because::Exchanging
        } else if self.waits.iter().any(within) {
            Because::Asked
        } else if self.known.iter().all(held) {
            Because::Held
        } else if self.store_ill.iter().any(within) {
            Because::StoreIll
        } else {
            Because::Idle
        }
    }
}
