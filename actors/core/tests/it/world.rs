//! A world around the core: machines, one store, one strict provider, and a clock that is pushed.
//!
//! Everything that happens from outside is a line of text ([`line`]), so that a schedule found by
//! the simulation is a story, and a story is a schedule. The same lines give the same world.

pub(crate) mod factor;
mod journey;
pub(crate) mod line;
mod machine;
pub(crate) mod oracle;
pub(crate) mod provider;
mod setting;
mod sharing;
pub(crate) mod store;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokenward_core::event::{EndReason, LogoutKind};
use tokenward_core::grant::Reply;
use tokenward_core::name::{Audience, Epoch, WaiterId};
use tokenward_core::policy::Policies;
use tokenward_core::secret::RefreshToken;
use tokenward_core::session::exchange::Landing;
use tokenward_core::session::{Answer, Effect, Input, Need, Session};
use tokenward_core::snapshot::Snapshot;
use tokenward_core::time::Instant;

use self::line::{Line, Point, Verb};
use self::machine::{Aloft, Machine};
use self::oracle::Oracle;
use self::provider::Provider;
use self::store::{Ask, Store, Told};

/// The moment at which every story begins.
pub(crate) const START: Instant = Instant::from_nanos(1_000_000_000_000);

/// The most events of one world; an alarm that is always due would never let it rest.
const EVENTS_MAX: u64 = 100_000;

/// How long the store takes to write, and as long again to say so.
const STORE_TAKES: Duration = Duration::from_millis(1);

/// How often each machine looks for intents that nobody has resolved.
const SWEEP: Duration = Duration::from_secs(5);

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
    /// How late machines are told, and told again, when another one has moved the session on;
    /// `None` where they are not told.
    notices: Option<Duration>,
    pub(crate) machines: Vec<Machine>,
    policies: Policies,
    /// When the session must end, by the wall clock, from [`START`].
    ceiling: Option<Duration>,
    /// How far the wall clock has jumped, in milliseconds.
    wall_ms: i64,
    /// What is to happen when an exchange reaches a point.
    armed: Vec<(Point, Line)>,
    launches: u64,
    queue: BTreeMap<(Instant, u64), Due>,
    order: u64,
    events: u64,
    /// The exchange that brought each access token that was handed out.
    born: BTreeMap<String, Epoch>,
}

/// What is due at a moment.
#[derive(Debug)]
enum Due {
    Arrival(usize),
    /// The same request, sent once more by something in between.
    Echo(usize),
    Line(Line),
    Sweep,
    /// Something for a machine: forgotten where the machine has crashed meanwhile.
    Mail(usize, u64, Box<Mail>),
}

/// What reaches a machine, or leaves it for the store; a number tells which exchange it is about.
#[derive(Debug)]
enum Mail {
    Alarm,
    Ask(u64, Ask),
    /// With the store's era when it answered.
    Told(u64, u64, Ask, Told),
    /// The store has fallen back: what this machine wrote lately may be gone.
    Again,
    Landed(u64, u64, Box<Landing>),
    Notice,
    Reply(usize, Reply),
    Paused(u64),
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
            notices: None,
            machines: vec![Machine::default()],
            policies: Policies::default(),
            ceiling: None,
            wall_ms: 0,
            armed: Vec::new(),
            launches: 0,
            queue: BTreeMap::new(),
            order: 0,
            events: 0,
            born: BTreeMap::new(),
        };
        world.oracle.settle = world.settle;
        world.oracle.machines = 1;
        for clause in setting.split(',').map(str::trim).filter(|clause| !clause.is_empty()) {
            world.set(clause);
        }
        let known = world.policies.audiences.keys().chain([&world.store.record.primary]);
        world.oracle.log.known = known.map(ToString::to_string).collect();
        world.due(START + SWEEP, Due::Sweep);
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
            self.events += u64::from(!matches!(what, Due::Sweep));
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
                self.oracle.log.held(audience.as_str(), self.now);
                self.provider.mfa.insert(audience);
            }
            Verb::Mfa(audience, false) => {
                self.provider.mfa.remove(&audience);
            }
            Verb::StoreFails(times) => self.store.failures += times,
            Verb::StoreLosesAnswers(times) => self.store.lost_answers += times,
            Verb::StoreWell => self.store.heals(),
            Verb::StoreHearsTwice => self.store.hears_twice = true,
            Verb::StoreSlow(span) => self.store.slow = span,
            Verb::StoreTellsLate(span) => self.store.late = span,
            Verb::StoreFallsBack(span) => self.store_falls_back(span),
            Verb::Crash => self.crash(machine, false),
            Verb::Reboot => self.crash(machine, true),
            Verb::Restart => self.restart(machine),
            Verb::Panic => self.panic(machine),
            Verb::Rests => self.rests(machine),
            Verb::LandsTwice(span) => self.machines[machine].lands_twice = Some(span),
            Verb::Suspend(span) => self.suspend(machine, span),
            Verb::WallJumps(ms) => self.wall_ms += ms,
            Verb::At(point, verb) => {
                let verb = *verb;
                self.armed.push((point, Line { machine, verb }));
            }
            Verb::Calm => self.armed.clear(),
            Verb::Policy(need, always) => self.reload(&need, always),
            Verb::Want(who, need, within, replaces) => {
                for waiter in who {
                    self.want(machine, waiter, &need, within, replaces.as_deref());
                }
            }
            Verb::Leave(waiter) => {
                self.oracle.leaves(machine, waiter);
                self.input(machine, Input::Forget(WaiterId(waiter)));
            }
            Verb::Factor(verb) => self.factor(machine, verb),
            Verb::Nudge(need) => self.input(machine, Input::Nudged(need)),
            Verb::LogOut => {
                self.activate(machine);
                let reason = EndReason::LoggedOut(LogoutKind::User);
                self.input(machine, Input::End(reason));
            }
            Verb::Retry => {
                self.oracle.operator_retried(self.provider.mfa.is_empty(), self.now);
                self.input(machine, Input::Retry);
            }
            Verb::Alarm => self.input(machine, Input::Alarm),
        }
    }

    fn reload(&mut self, need: &Need, always: bool) {
        self.policy(need, always);
        let policies = Arc::new(self.policies.clone());
        for machine in 0..self.machines.len() {
            self.input(machine, Input::PoliciesReplaced(Arc::clone(&policies)));
        }
    }

    /// Lets happen what waited for this point of an exchange, right after what is under way.
    fn reach(&mut self, point: Point) {
        let (here, elsewhere) =
            std::mem::take(&mut self.armed).into_iter().partition(|(at, _)| *at == point);
        self.armed = elsewhere;
        let here: Vec<(Point, Line)> = here;
        for (_, line) in here {
            self.due(self.now, Due::Line(line));
        }
    }

    /// Tells a machine's session what happened, and carries out what follows.
    fn input(&mut self, machine: usize, input: Input) {
        let clock = self.machines[machine].clock;
        let now = clock.at(self.now);
        let lands = matches!(input, Input::Landed(..)).then(|| self.oracle.told);
        let Some(session) = &mut self.machines[machine].session else {
            return;
        };
        session.handle(now, input);
        while let Some(effect) =
            self.machines[machine].session.as_mut().and_then(Session::next_effect)
        {
            self.effect(machine, effect);
        }
        let silent = lands == Some(self.oracle.told) && !self.machines[machine].repeated;
        if silent && !self.oracle.has_ended(machine) {
            self.oracle.broken(self.now, "L16 an exchange ends without a word");
        }
        let wake_at = self.machines[machine].session.as_ref().and_then(Session::wake_at);
        if let Some((at, _)) = wake_at
            && self.machines[machine].alarm_at.is_none_or(|set| at < set || set < now)
        {
            let at = at.max(now + Duration::from_nanos(1));
            self.machines[machine].alarm_at = Some(at);
            self.mail(machine, clock.back(at), Mail::Alarm);
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
                let clock = self.machines[machine].clock;
                self.oracle.answered(machine, clock, waiter.0, &answer, self.now);
                self.answer_fact(machine, waiter.0, &answer);
            }
            Effect::Emit(event) => {
                self.oracle.told += 1;
                const USUAL: [&str; 2] = ["exchange_started", "refreshed"];
                if !USUAL.contains(&event.code()) {
                    self.fact(machine, || format!("!{}", event.code()));
                }
            }
            Effect::End { reason, revoke } => {
                self.oracle.ends(machine, reason, &self.provider, self.now);
                self.ask_store(machine, 0, Ask::End(reason, revoke));
            }
            Effect::Launch(flight) => {
                if self.machines[machine].flights.values().any(|aloft| !aloft.stray) {
                    self.oracle.broken(self.now, "L1 a second flight on one machine");
                }
                self.launches += 1;
                let aloft = Aloft { flight: *flight, leased_at: START, stray: false };
                self.machines[machine].flights.insert(self.launches, aloft);
                self.journey(machine, self.launches);
            }
            Effect::Report(waiter, report) => {
                self.oracle.told += 1;
                self.reported(machine, waiter.0, &report);
            }
            Effect::Publish(offers) => {
                let clock = self.machines[machine].clock;
                self.oracle.published(machine, clock, &offers, self.now);
            }
        }
    }

    fn take(&mut self, due: Due) {
        match due {
            Due::Arrival(request) => self.arrive(request),
            Due::Echo(request) => self.arrives_again(request),
            Due::Line(line) => self.happen(line),
            Due::Sweep => self.sweep(),
            Due::Mail(machine, boot, mail) => {
                if self.machines[machine].boot != boot {
                    return;
                }
                if !self.is_awake(machine) {
                    let at = self.machines[machine].asleep_until;
                    return self.mail(machine, at, *mail);
                }
                self.open(machine, *mail);
            }
        }
    }

    fn open(&mut self, machine: usize, mail: Mail) {
        match mail {
            Mail::Alarm => {
                self.machines[machine].alarm_at = None;
                self.input(machine, Input::Alarm);
            }
            // What is sent on a connection that is over is sent once more on the next one.
            Mail::Ask(flight, ask) if self.now < self.machines[machine].found_at => {
                self.mail(machine, self.machines[machine].found_at, Mail::Ask(flight, ask));
            }
            // Its connection is another, on which it waits for what others know.
            Mail::Ask(flight, ask @ Ask::Begin(_)) if self.now < self.store.told_until => {
                self.mail(machine, self.store.told_until, Mail::Ask(flight, ask));
            }
            Mail::Ask(flight, ask) => self.store_takes(machine, flight, ask),
            Mail::Told(flight, era, ask, told) => self.hears(machine, flight, era, ask, told),
            Mail::Again => self.write_again(machine),
            Mail::Reply(request, reply) => self.replied(machine, request, reply),
            Mail::Notice => self.observe(machine),
            Mail::Paused(flight) => self.paused(machine, flight),
            Mail::Landed(seat, ..) if seat != self.machines[machine].seat => {}
            Mail::Landed(_, number, landing) => {
                self.machines[machine].repeated = true;
                self.input(machine, Input::Landed(number, landing));
                self.machines[machine].repeated = false;
            }
        }
    }

    fn ask_store(&mut self, machine: usize, flight: u64, ask: Ask) {
        self.remembers(machine, &ask);
        let slow = std::mem::take(&mut self.store.slow).min(sharing::slow_max(flight, &ask));
        if !slow.is_zero() {
            self.oracle.log.store_takes(self.now, self.now + slow);
        }
        self.mail(machine, self.now + STORE_TAKES + slow, Mail::Ask(flight, ask));
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
