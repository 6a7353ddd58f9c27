//! The life of the program: one loop that turns what happens into inputs and effects into work.
//!
//! Two threads: this loop's, which never waits for the bus, and the panel's. Between two of them
//! stands a mailbox of one frame. When nothing happens the loop wakes once a minute, for the clock
//! on the panel and for the watchdog, which share that alarm.

mod beat;
#[cfg(feature = "metrics")]
mod scraped;
mod words;

use std::time::Duration;

use sd_notify::NotifyState;
use tokenward::Clock;
use tokenward::core::time::Instant;
use tokio::sync::mpsc;
#[cfg(feature = "metrics")]
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::agent::{Agent, Effect, Errand, Fetched, Input, Memory, Miss, Return, Stage};
use crate::alarm::Alarm;
use crate::config::Config;
use crate::feed::{Feed, Heard, Pace, Reply};
use crate::journal::{Journal, Level};
use crate::kernel;
use crate::life::beat::Beat;
use crate::numbers::{Condition, Numbers, Told};
use crate::panel::Handle;
use crate::screen;
use crate::state::Store;
use crate::view::{self, View};

/// How many arrivals may wait: one errand and one stream write them, and the loop takes them at
/// once.
const ARRIVALS_MAX: usize = 64;

/// What a person or the system asks of the program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// Go on, whatever it waits for.
    Asked,
    /// Draw again: the wire was pulled or plugged in.
    Looked,
    /// End.
    Quit,
}

/// What the program is made of.
#[derive(Debug)]
pub struct Parts {
    /// The configuration.
    pub config: Config,
    /// The way to the gateway.
    pub feed: Feed,
    /// Where the memory is kept.
    pub store: Store,
    /// What the store remembered.
    pub memory: Memory,
    /// The panel's thread.
    pub panel: Handle,
    /// Where the lines go.
    pub journal: Journal,
    /// What wakes the loop.
    pub alarm: Alarm,
    /// Whether there is a button to press.
    pub has_button: bool,
}

/// A running display.
pub struct Life {
    clock: Clock,
    agent: Agent,
    view: View,
    config: Config,
    feed: Feed,
    store: Store,
    panel: Handle,
    journal: Journal,
    alarm: Alarm,
    numbers: Numbers,
    started: Instant,
    beat: Beat,
    arrivals: mpsc::Receiver<Arrival>,
    arrived: mpsc::Sender<Arrival>,
    errand: Option<JoinHandle<()>>,
    stream: Option<JoinHandle<()>>,
    last_event_id: Option<String>,
    pace: Pace,
    was_up: Option<bool>,
}

/// What the tasks bring.
enum Arrival {
    Returned(Box<Returned>),
    Heard(Heard),
    #[cfg(feature = "metrics")]
    Scraped(oneshot::Sender<crate::scrape::Rows>),
    StreamOver {
        last_event_id: Option<String>,
        pace: Pace,
    },
}

/// An errand that is over.
struct Returned {
    number: u64,
    errand: Errand,
    reply: Reply,
    /// What rode on it.
    told: Told,
}

impl Life {
    /// Puts a display together; its first errand is begun by [`Life::run`].
    pub fn new(parts: Parts) -> Self {
        let Parts { config, feed, store, memory, panel, journal, alarm, has_button } = parts;
        let clock = Clock::system();
        let now = clock.now();
        let (arrived, arrivals) = mpsc::channel(ARRIVALS_MAX);
        Self {
            // Displays that a power cut ended together begin at different nanoseconds of their boots.
            agent: Agent::new(config.rhythm, memory, now.as_nanos() ^ clock.unix().0, now),
            view: View::new(config.rhythm.every, has_button, now),
            config,
            feed,
            store,
            panel,
            journal,
            alarm,
            numbers: Numbers::default(),
            started: now,
            beat: Beat::new(now),
            arrivals,
            arrived,
            errand: None,
            stream: None,
            last_event_id: None,
            pace: Pace::default(),
            was_up: None,
            clock,
        }
    }

    /// Runs until it is told to end; the glass is dark then.
    ///
    /// # Cancel safety
    /// The memory is whole at any moment.
    pub async fn run(mut self, mut orders: mpsc::Receiver<Order>) {
        self.light();
        tell_system(&[NotifyState::Ready]);
        #[cfg(feature = "metrics")]
        self.expose().await;
        loop {
            self.step(Input::Alarm);
            let wake_at = self.agent.wake_at().unwrap_or(Instant::FAR).min(self.beat.at());
            tokio::select! {
                arrival = self.arrivals.recv() => {
                    if let Some(arrival) = arrival {
                        self.arrive(arrival);
                    }
                }
                order = orders.recv() => match order {
                    Some(Order::Asked) => {
                        self.journal.say(Level::Notice, "asked to go on");
                        self.step(Input::Asked);
                    }
                    Some(Order::Looked) => self.light(),
                    Some(Order::Quit) | None => break,
                },
                () = self.panel.turned() => self.look_at_panel(),
                () = self.alarm.after(wake_at.left_at(self.clock.now())) => {}
            }
        }
        tell_system(&[NotifyState::Stopping]);
        for task in [self.errand.take(), self.stream.take()].into_iter().flatten() {
            task.abort();
        }
        if !self.panel.close() {
            self.journal.say(Level::Warning, "the panel's thread did not end in time");
        }
    }

    /// Gives the agent an input, does what it wants, and shows what became of it.
    fn step(&mut self, input: Input) {
        let now = self.clock.now();
        let unix = self.clock.unix().0;
        let right = kernel::is_clock_right(unix).then_some(unix);
        self.agent.handle(now, Input::Clock(right));
        self.agent.handle(now, input);
        let mut turns = false;
        while let Some(effect) = self.agent.next_effect() {
            match effect {
                Effect::Begin(number, errand) => {
                    // Who waits for a code to be used is shown its other picture at each question.
                    turns |= errand == Errand::Poll;
                    self.begin(number, errand);
                }
                Effect::Hush => {
                    if let Some(stream) = self.stream.take() {
                        stream.abort();
                    }
                    self.last_event_id = None;
                }
                Effect::Listen => self.listen(),
                Effect::Save => self.save(),
            }
        }
        let (level, line) = words::of(&self.agent);
        self.journal.say(level, &line);
        if self.beat.at() <= now {
            self.beat();
        } else if turns || self.view.is_news(&self.agent, now) {
            self.light();
        }
    }

    fn arrive(&mut self, arrival: Arrival) {
        match arrival {
            Arrival::Heard(Heard::Opened) => self.step(Input::StreamOpened),
            Arrival::Heard(Heard::Told(told)) => self.step(Input::Told(told)),
            #[cfg(feature = "metrics")]
            Arrival::Scraped(reply) => {
                // Whoever asked may have gone away.
                let _ = reply.send(self.rows());
            }
            Arrival::StreamOver { last_event_id, pace } => {
                (self.last_event_id, self.pace) = (last_event_id, pace);
                self.step(Input::StreamOver);
            }
            Arrival::Returned(returned) => {
                let Returned { number, errand, reply, told } = *returned;
                if reply.was_answered {
                    self.numbers.answered(told);
                }
                if errand == Errand::Fetch {
                    self.count(&reply.meaning);
                }
                self.step(Input::Returned(number, reply.meaning));
            }
        }
    }

    fn begin(&mut self, number: u64, errand: Errand) {
        if let Some(older) = self.errand.take() {
            older.abort();
        }
        let (header, told) = self.numbers.header(&self.condition(), self.panel.health().counts);
        let (feed, arrived) = (self.feed.clone(), self.arrived.clone());
        let Memory { handle, kept } = self.agent.memory().clone();
        let etag = kept.and_then(|kept| kept.etag);
        let code = self.agent.stage().code().cloned();
        let audience = match self.agent.stage() {
            Stage::Held(hold) => hold.demand.audience.clone(),
            Stage::AskPerson(_)
            | Stage::CodeOpen(_)
            | Stage::Ended { .. }
            | Stage::NeedsCode { .. }
            | Stage::Online => None,
        };
        self.errand = Some(tokio::spawn(async move {
            let reply = match (errand, handle, code) {
                (Errand::AskCode, _, _) => feed.ask_code(&header).await,
                (Errand::Poll, _, Some(code)) => feed.poll(&code, &header).await,
                (Errand::Fetch, Some(handle), _) => {
                    feed.fetch(&handle, etag.as_deref(), &header).await
                }
                (Errand::Look, Some(handle), _) => {
                    feed.look(&handle, audience.as_deref(), &header).await
                }
                // The agent begins each only in a stage that has what it needs.
                (Errand::Fetch | Errand::Look | Errand::Poll, _, _) => return,
            };
            // Where the loop is gone, nobody waits for it.
            let returned = Box::new(Returned { number, errand, reply, told });
            let _ = arrived.send(Arrival::Returned(returned)).await;
        }));
    }

    fn listen(&mut self) {
        let Some(handle) = self.agent.memory().handle.clone() else { return };
        let (feed, arrived) = (self.feed.clone(), self.arrived.clone());
        let (mut last_event_id, mut pace) = (self.last_event_id.clone(), self.pace);
        self.stream = Some(tokio::spawn(async move {
            let tell = |heard| {
                // The loop empties its mailbox at once; where it does not, the watchdog ends it.
                let _ = arrived.try_send(Arrival::Heard(heard));
            };
            feed.listen(&handle, &mut last_event_id, &mut pace, tell).await;
            let _ = arrived.send(Arrival::StreamOver { last_event_id, pace }).await;
        }));
    }

    fn save(&mut self) {
        if let Err(error) = self.store.save(self.agent.memory()) {
            // It lives on in memory: better a display until the next power cut than none.
            let line = format!("the state is not saved ({error}): look at the disk");
            self.journal.say(Level::Warning, &line);
        }
    }

    /// What is done once a minute: a frame, and a sign of life once the last one was dealt with.
    fn beat(&mut self) {
        if self.beat.proves_life(&self.panel.health()) {
            tell_system(&[NotifyState::Watchdog]);
        }
        self.light();
    }

    /// Says that the panel went away or came back.
    fn look_at_panel(&mut self) {
        let health = self.panel.health();
        if health.up != self.was_up && health.up.is_some() {
            self.was_up = health.up;
            let (level, line) = match health.fault {
                Some(fault) => (Level::Warning, format!("{fault}; {}", fault.remedy())),
                None => (Level::Notice, "the panel answers".to_owned()),
            };
            self.journal.say(level, &line);
        }
    }

    /// Leaves a frame for the panel, and plans the next one for the turn of the minute.
    fn light(&mut self) {
        let now = self.clock.now();
        let unix = Duration::from_millis(self.clock.unix_millis());
        let right = Some(unix).filter(|_| self.agent.is_clock_right());
        self.beat.plan(now, right);
        let wall = right.and_then(|unix| kernel::local_time(unix.as_secs()));
        let model = self.view.model(&self.agent, now, wall);
        let glass = self.config.fitting.make.glass();
        self.panel.show(screen::frame(&model, glass, &self.config.habits));
    }

    fn condition(&self) -> Condition {
        let now = self.clock.now();
        let is_stale = self.view.is_stale(&self.agent, now);
        let shows = self.agent.memory().kept.is_some();
        Condition {
            panel: self.config.fitting.make.name(),
            is_up: self.panel.health().up == Some(true),
            state: view::state_word(&self.agent, is_stale),
            stale: self.agent.age(now).filter(|_| shows).map(|age| age.as_secs()),
            is_clock_right: self.agent.is_clock_right(),
            uptime: now.since(self.started).as_secs(),
        }
    }

    fn count(&mut self, meaning: &Return) {
        let fetches = &mut self.numbers.fetches;
        let counter = match meaning {
            Return::Fetched(Fetched::Fresh { .. } | Fetched::Unchanged) => &mut fetches.ok,
            Return::Fetched(Fetched::Held(_)) => &mut fetches.mfa,
            Return::Fetched(Fetched::SignedOut) => &mut fetches.unauthorized,
            Return::Missed(Miss::Offline | Miss::CertificateTime) => &mut fetches.offline,
            Return::Missed(Miss::Busy(_) | Miss::Failed(_)) => &mut fetches.error,
            // What other errands bring is counted nowhere.
            Return::Coded(_) | Return::Looked(_) | Return::Polled(_) => return,
        };
        *counter += 1;
    }
}

/// Tells systemd, where it listens.
fn tell_system(states: &[NotifyState<'_>]) {
    // Where nobody listens there is no socket, and that is no failure.
    let _ = sd_notify::notify(states);
}
