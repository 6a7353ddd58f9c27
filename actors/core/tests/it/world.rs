//! A world around the core: machines, one store, one strict provider, and a clock that is pushed.
//!
//! Everything that happens from outside is a line of text ([`line`]), so that a schedule found by
//! the simulation is a story, and a story is a schedule. The same lines give the same world.

mod journey;
pub(crate) mod line;
pub(crate) mod oracle;
pub(crate) mod provider;
mod setting;
pub(crate) mod store;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokenward_core::event::{EndReason, LogoutKind};
use tokenward_core::grant::Reply;
use tokenward_core::name::{Audience, Epoch, Owner, WaiterId};
use tokenward_core::policy::Policies;
use tokenward_core::secret::RefreshToken;
use tokenward_core::session::exchange::{Flight, Reading};
use tokenward_core::session::{Answer, Effect, Input, Need, Session, Want};
use tokenward_core::snapshot::Snapshot;
use tokenward_core::time::Instant;

use self::line::{Line, Verb};
use self::oracle::Oracle;
use self::provider::Provider;
use self::store::{Ask, Store, Told};

/// The moment at which every story begins.
pub(crate) const START: Instant = Instant::from_nanos(1_000_000_000_000);

/// How many exchanges a caller waits for at most.
const PATIENCE: u32 = 3;

/// The most events of one world; an alarm that is always due would never let it rest.
const EVENTS_MAX: u64 = 100_000;

/// How long the store takes to write, and as long again to say so.
const STORE_TAKES: Duration = Duration::from_millis(1);

/// Machines, store, provider, and what they have to do.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) now: Instant,
    pub(crate) store: Store,
    pub(crate) provider: Provider,
    pub(crate) oracle: Oracle,
    /// What followed, where somebody listens.
    pub(crate) facts: Option<Vec<String>>,
    pub(crate) settle: Duration,
    /// Whether machines are told when another one has moved the session on.
    notices: bool,
    pub(crate) machines: Vec<Machine>,
    policies: Policies,
    ceiling_at: Option<Instant>,
    queue: BTreeMap<(Instant, u64), Due>,
    order: u64,
    events: u64,
    /// The exchange that brought each access token that was handed out.
    born: BTreeMap<String, Epoch>,
}

/// One process that may hold the session in memory.
#[derive(Debug, Default)]
pub(crate) struct Machine {
    pub(crate) boot: u64,
    pub(crate) down: bool,
    pub(crate) asleep_until: Instant,
    pub(crate) session: Option<Session>,
    pub(crate) flight: Option<Flight>,
    leased_at: Instant,
    alarm_at: Option<Instant>,
}

/// What is due at a moment.
#[derive(Debug)]
enum Due {
    Arrival(usize),
    /// Something for a machine: forgotten where the machine has crashed meanwhile.
    Mail(usize, u64, Box<Mail>),
}

#[derive(Debug)]
enum Mail {
    Alarm,
    Ask(Ask),
    Told(Ask, Told),
    Notice,
    Reply(usize, Reply),
    Paused,
}

impl World {
    /// Makes a world from its setting: words as in `window 60s`, separated by commas.
    pub(crate) fn new(setting: &str) -> Self {
        let primary = Audience::parse("A").unwrap();
        let root = Some(RefreshToken::new("r0"));
        let record = Snapshot::new("https://idp.example/".into(), "alice".into(), primary, root);
        let mut world = World {
            now: START,
            store: Store::new(record),
            provider: Provider::new(),
            oracle: Oracle::default(),
            facts: None,
            settle: Duration::from_secs(2),
            notices: false,
            machines: vec![Machine::default()],
            policies: Policies::default(),
            ceiling_at: None,
            queue: BTreeMap::new(),
            order: 0,
            events: 0,
            born: BTreeMap::new(),
        };
        world.oracle.settle = world.settle;
        for clause in setting.split(',').map(str::trim).filter(|clause| !clause.is_empty()) {
            world.set(clause);
        }
        world
    }

    /// Lets everything happen that is due before `at`, or at it.
    pub(crate) fn run_until(&mut self, at: Instant) {
        while let Some((&(due, order), _)) = self.queue.first_key_value() {
            if due > at {
                break;
            }
            let Some(what) = self.queue.remove(&(due, order)) else {
                break;
            };
            self.now = due;
            self.events += 1;
            if self.events == EVENTS_MAX {
                self.oracle.broken(due, "L14 a world without rest");
            }
            if self.events >= EVENTS_MAX {
                self.queue.clear();
                break;
            }
            self.take(what);
        }
        self.now = at;
    }

    /// Lets one line happen.
    pub(crate) fn happen(&mut self, line: Line) {
        let Line { machine, verb } = line;
        match verb {
            Verb::Pass => {}
            Verb::Next(twist) => self.provider.next.push_back(twist),
            Verb::Always(twist) => {
                self.provider.next.clear();
                self.provider.always = twist;
            }
            Verb::Mfa(audience, true) => {
                self.oracle.fault(self.now);
                self.provider.mfa.insert(audience);
            }
            Verb::Mfa(audience, false) => {
                self.provider.mfa.remove(&audience);
            }
            Verb::StoreFails(times) => self.store.failures += times,
            Verb::StoreLosesAnswers(times) => self.store.lost_answers += times,
            Verb::StoreWell => (self.store.failures, self.store.lost_answers) = (0, 0),
            Verb::Crash => self.crash(machine),
            Verb::Restart => self.restart(machine),
            Verb::Suspend(span) => {
                self.oracle.fault(self.now);
                self.machines[machine].asleep_until = self.now + span;
            }
            Verb::Policy(need, always) => {
                self.policy(&need, always);
                let policies = Arc::new(self.policies.clone());
                for machine in 0..self.machines.len() {
                    self.input(machine, Input::PoliciesReplaced(Arc::clone(&policies)));
                }
            }
            Verb::Want(who, need, within, replaces) => {
                for waiter in who {
                    self.want(machine, waiter, &need, within, replaces.as_deref());
                }
            }
            Verb::Leave(waiter) => {
                self.oracle.leaves(machine, waiter);
                self.input(machine, Input::Forget(WaiterId(waiter)));
            }
            Verb::Nudge(need) => self.input(machine, Input::Nudged(need)),
            Verb::LogOut => {
                self.activate(machine);
                let reason = EndReason::LoggedOut(LogoutKind::User);
                self.input(machine, Input::End(reason));
            }
            Verb::Retry => {
                self.oracle.operator_retried();
                self.input(machine, Input::Retry);
            }
            Verb::Alarm => self.input(machine, Input::Alarm),
        }
    }

    fn want(
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
        let deadline = self.now + within;
        let newest = self.store.record.head.born_in;
        let replaces = old.map(|old| self.born.get(old).copied().unwrap_or(newest));
        let latest = self.now + within * PATIENCE;
        self.oracle.wants(machine, waiter, need, latest, replaces.is_some(), self.now);
        let (waiter, need) = (WaiterId(waiter), need.clone());
        self.input(machine, Input::Want(Want { waiter, need, replaces, deadline, latest }));
        self.oracle.was_served(waiter.0, self.now);
    }

    fn crash(&mut self, machine: usize) {
        self.oracle.fault(self.now);
        self.oracle.crashed(machine, self.now);
        let boot = self.machines[machine].boot + 1;
        self.machines[machine] = Machine { boot, down: true, ..Machine::default() };
    }

    fn restart(&mut self, machine: usize) {
        if self.machines[machine].down {
            self.machines[machine].down = false;
            // What is in doubt is resumed first, from an index, without a caller.
            if self.store.doubt().is_some() {
                self.activate(machine);
            }
        }
    }

    fn activate(&mut self, machine: usize) {
        if self.machines[machine].session.is_some() || self.machines[machine].down {
            return;
        }
        let Reading::Living(snapshot) = self.store.read() else {
            return;
        };
        let orphaned =
            snapshot.head.intent.is_some_and(|intent| (intent.owner.0 >> 64) as usize == machine);
        let policies = Arc::new(self.policies.clone());
        let seed = self.machines[machine].boot * 31 + machine as u64;
        let mut session =
            Session::new(*snapshot, policies, seed, self.now).ending_at(self.ceiling_at);
        if orphaned {
            session = session.orphaned(self.now);
        }
        self.machines[machine].session = Some(session);
        self.input(machine, Input::Alarm);
    }

    pub(crate) fn is_awake(&self, machine: usize) -> bool {
        let machine = &self.machines[machine];
        !machine.down && machine.asleep_until <= self.now
    }

    fn owner(&self, machine: usize) -> Owner {
        Owner((machine as u128) << 64 | u128::from(self.machines[machine].boot))
    }

    /// Tells a machine's session what happened, and carries out what follows.
    fn input(&mut self, machine: usize, input: Input) {
        let now = self.now;
        let Some(session) = &mut self.machines[machine].session else {
            return;
        };
        session.handle(now, input);
        while let Some(effect) =
            self.machines[machine].session.as_mut().and_then(Session::next_effect)
        {
            self.effect(machine, effect);
        }
        let wake_at = self.machines[machine].session.as_ref().and_then(Session::wake_at);
        if let Some((at, _)) = wake_at
            && self.machines[machine].alarm_at.is_none_or(|set| at < set || set < now)
        {
            let at = at.max(now + Duration::from_nanos(1));
            self.machines[machine].alarm_at = Some(at);
            self.mail(machine, at, Mail::Alarm);
        }
    }

    fn effect(&mut self, machine: usize, effect: Effect) {
        match effect {
            Effect::Answer(waiter, answer) => {
                if let Answer::Granted(offer) = &answer
                    && self.facts.is_some()
                {
                    let name = offer.entry.access_token.expose().to_owned();
                    self.born.insert(name, offer.entry.born_in);
                }
                self.oracle.answered(machine, waiter.0, &answer, self.now);
                self.answer_fact(machine, waiter.0, &answer);
            }
            Effect::Emit(event) => {
                const USUAL: [&str; 2] = ["exchange_started", "refreshed"];
                if !USUAL.contains(&event.code()) {
                    self.fact(machine, || format!("!{}", event.code()));
                }
            }
            Effect::End { reason, revoke } => {
                self.oracle.ends(machine, reason, &self.provider, self.now);
                self.ask_store(machine, Ask::End(reason, revoke));
            }
            Effect::Launch(flight) => {
                if self.machines[machine].flight.is_some() {
                    self.oracle.broken(self.now, "L1 a second flight on one machine");
                }
                self.machines[machine].flight = Some(*flight);
                self.journey(machine);
            }
            Effect::Publish(offers) => self.oracle.published(machine, &offers, self.now),
        }
    }

    fn take(&mut self, due: Due) {
        match due {
            Due::Arrival(request) => self.arrive(request),
            Due::Mail(machine, boot, mail) => {
                if self.machines[machine].boot != boot {
                    return;
                }
                if !self.is_awake(machine) {
                    let at = self.machines[machine].asleep_until;
                    return self.mail(machine, at, *mail);
                }
                match *mail {
                    Mail::Alarm => {
                        self.machines[machine].alarm_at = None;
                        self.input(machine, Input::Alarm);
                    }
                    Mail::Ask(ask) => self.store_takes(machine, ask),
                    Mail::Told(ask, told) => self.told(machine, ask, told),
                    Mail::Reply(request, reply) => self.replied(machine, request, reply),
                    Mail::Notice => {
                        if let Reading::Living(snapshot) = self.store.read() {
                            self.input(machine, Input::Observed(snapshot));
                        }
                    }
                    Mail::Paused => self.paused(machine),
                }
            }
        }
    }

    fn ask_store(&mut self, machine: usize, ask: Ask) {
        self.mail(machine, self.now + STORE_TAKES, Mail::Ask(ask));
    }

    /// Tells the other machines that the record was written.
    fn notify(&mut self, writer: usize) {
        for machine in (0..self.machines.len()).filter(|machine| *machine != writer) {
            if self.notices && self.machines[machine].session.is_some() {
                self.mail(machine, self.now + STORE_TAKES, Mail::Notice);
            }
        }
    }

    fn mail(&mut self, machine: usize, at: Instant, mail: Mail) {
        let boot = self.machines[machine].boot;
        self.due(at, Due::Mail(machine, boot, Box::new(mail)));
    }

    /// Mails a reply to the process that asked, which may have died.
    fn reply(&mut self, request: usize, at: Instant, reply: Reply) {
        let (machine, boot) = self.oracle.asker(request);
        self.due(at, Due::Mail(machine, boot, Box::new(Mail::Reply(request, reply))));
    }

    fn due(&mut self, at: Instant, due: Due) {
        self.order += 1;
        self.queue.insert((at, self.order), due);
    }

    /// Notes what followed, in the words of the machine it followed on.
    pub(crate) fn fact(&mut self, machine: usize, text: impl FnOnce() -> String) {
        let many = self.machines.len() > 1;
        if let Some(facts) = &mut self.facts {
            let name = char::from(b'a' + machine as u8);
            facts.push(if many { format!("{name}: {}", text()) } else { text() });
        }
    }
}
