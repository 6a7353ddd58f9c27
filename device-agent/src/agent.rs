//! The rules of the wall display: everything that can happen to it, and what follows.
//!
//! One entry ([`Agent::handle`]), one exit ([`Agent::next_effect`]), one alarm
//! ([`Agent::wake_at`]); no clock, no network, no disk. After each input the effects are drained
//! before the next input.
//!
//! The rule that gave the display its agent: a demand for another factor ends all automatic
//! asking. It goes on when the gateway tells that the demand was met, when a person asks for it,
//! or by one slow probe, and in no other way.

mod holding;
mod memory;
mod reply;
mod signing;
mod stage;
mod stream;

use std::collections::VecDeque;
use std::time::Duration;

use tokenward::core::policy::Backoff;
use tokenward::core::session::backoff::{self, Dice};
use tokenward::core::time::Instant;

pub use self::memory::{Kept, Memory};
pub use self::reply::{Coded, Complaint, Fetched, Looked, Miss, Polled, Return, Told};
pub use self::stage::{Code, Demand, Hold, Stage, Trouble, Wants};
use self::stream::Stream;

/// How often a display looks for news where nobody says: a quote of the day changes once a day,
/// and ten minutes are soon enough for a person who has changed it.
pub const EVERY: Duration = Duration::from_secs(10 * 60);

/// How often a held display probes where nobody says: the owner of the tenant may mend a rule
/// without anybody meeting the demand, and four questions a day burden no one.
pub const PROBE: Duration = Duration::from_secs(6 * 60 * 60);

/// The pause between two looks that people or events cause, so that a finger on the button is no
/// flood.
const SOON: Duration = Duration::from_secs(2);

/// The ceiling of the first pause after a failure.
const RETRY_FIRST: Duration = Duration::from_secs(1);

/// The highest ceiling: a display that was offline for a night is back within five minutes.
const RETRY_MOST: Duration = Duration::from_secs(5 * 60);

/// The longest Retry-After that is followed: a day, after which a mistaken one has done its worst.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(24 * 60 * 60);

/// The pause while the clock is wrong: it is set within seconds of the network's coming.
const CLOCK_PAUSE: Duration = Duration::from_secs(15);

/// How long the words stay on the panel that say why a session ended, before a code takes their
/// place: who stands before it can read them.
const END_SHOWN: Duration = Duration::from_secs(30);

/// How often the display asks, where the configuration says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rhythm {
    /// The pause between two looks for news.
    pub every: Duration,
    /// The pause between two probes of a held display; `None` for no probes.
    pub probe: Option<Duration>,
}

/// Everything that can happen to a display.
#[derive(Debug)]
pub enum Input {
    /// When the moment named by [`Agent::wake_at`] has come, or at any other time.
    Alarm,
    /// When a person asks to go on: a button, SIGHUP or SIGUSR1.
    Asked,
    /// When the kernel was asked whether the clock is right; with its seconds where it is.
    Clock(Option<u64>),
    /// When the errand of this number is over; of any but the one under way it is no news.
    Returned(u64, Return),
    /// When the stream of events is open.
    StreamOpened,
    /// When the stream of events is over, or could not be opened.
    StreamOver,
    /// When the gateway told something of the session.
    Told(Told),
}

/// What the shell does for the display.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Run the errand under this number; an older one that still runs is of no use any more.
    Begin(u64, Errand),
    /// Close the stream of events.
    Hush,
    /// Open the stream of events.
    Listen,
    /// Make the memory durable before the next effect.
    Save,
}

/// One question to the gateway.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Errand {
    /// Ask for a code that a person can sign the display in with.
    AskCode,
    /// Fetch the content.
    Fetch,
    /// See whether the session is still held, without using it.
    Look,
    /// Ask whether a person has used the code.
    Poll,
}

/// One wall display.
#[derive(Debug)]
pub struct Agent {
    rhythm: Rhythm,
    stage: Stage,
    memory: Memory,
    stream: Stream,
    trouble: Option<Trouble>,
    /// When the shown content was fetched or confirmed, within this run.
    confirmed_at: Option<Instant>,
    /// The wall clock's seconds at the last look, where they are right, and when that look was.
    wall: Option<(u64, Instant)>,
    flight: Option<(u64, Errand)>,
    due: Option<(Instant, Errand)>,
    fetched_at: Option<Instant>,
    /// Until when the gateway asked to be left alone.
    spared_until: Option<Instant>,
    errands: u64,
    failures: u32,
    has_asked: bool,
    dice: Dice,
    effects: VecDeque<Effect>,
}

impl Agent {
    /// Starts a display with what it remembers; the first errand is due at once.
    pub fn new(rhythm: Rhythm, memory: Memory, seed: u64, now: Instant) -> Self {
        let (stage, errand) = match memory.handle {
            Some(_) => (Stage::Online, Errand::Fetch),
            None => (Stage::NeedsCode { spent: 0 }, Errand::AskCode),
        };
        Self {
            rhythm,
            stage,
            memory,
            stream: Stream::default(),
            trouble: None,
            confirmed_at: None,
            wall: None,
            flight: None,
            due: Some((now, errand)),
            fetched_at: None,
            spared_until: None,
            errands: 0,
            failures: 0,
            has_asked: false,
            dice: Dice::new(seed),
            effects: VecDeque::new(),
        }
    }

    /// Takes what happened; the effects are there to be drained afterwards.
    pub fn handle(&mut self, now: Instant, input: Input) {
        match input {
            Input::Alarm => {}
            Input::Asked => self.asked(now),
            Input::Clock(seconds) => self.clock_read(now, seconds),
            Input::Returned(number, reply) => self.returned(now, number, reply),
            Input::StreamOpened => self.stream_opened(now),
            Input::StreamOver => self.stream.over(now, &mut self.dice),
            Input::Told(told) => self.told(now, told),
        }
        self.proceed(now);
    }

    /// Returns what is to be done next.
    pub fn next_effect(&mut self) -> Option<Effect> {
        self.effects.pop_front()
    }

    /// Returns when [`Input::Alarm`] is due; `None` where only something else can go on.
    pub fn wake_at(&self) -> Option<Instant> {
        let errand = self.due.filter(|_| self.flight.is_none()).map(|(at, _)| at);
        let code = self.stage.code().map(|code| code.expires_at);
        let stream = if self.is_signed_in() { self.stream.due() } else { None };
        [errand, code, stream].into_iter().flatten().min()
    }

    /// Returns where the display stands.
    pub fn stage(&self) -> &Stage {
        &self.stage
    }

    /// Returns what keeps it from the gateway; `None` where the last question was answered.
    pub fn trouble(&self) -> Option<&Trouble> {
        self.trouble.as_ref()
    }

    /// Returns what is to survive a restart.
    pub fn memory(&self) -> &Memory {
        &self.memory
    }

    /// Reports whether no question has been answered, or failed, since the start.
    pub fn is_booting(&self) -> bool {
        !self.has_asked
    }

    /// Reports whether the clock was right at the last look.
    pub fn is_clock_right(&self) -> bool {
        self.wall.is_some()
    }

    fn is_signed_in(&self) -> bool {
        matches!(self.stage, Stage::Online | Stage::Held(_))
    }

    /// Does what has become due.
    fn proceed(&mut self, now: Instant) {
        self.expire_code(now);
        if self.is_signed_in() && self.stream.opens(now) {
            self.effects.push_back(Effect::Listen);
        }
        if self.flight.is_none()
            && let Some((at, errand)) = self.due
            && at <= now
        {
            self.due = None;
            self.begin(now, errand);
        }
    }

    fn begin(&mut self, now: Instant, errand: Errand) {
        self.errands += 1;
        self.flight = Some((self.errands, errand));
        if errand == Errand::Fetch {
            self.fetched_at = Some(now);
        }
        self.effects.push_back(Effect::Begin(self.errands, errand));
    }

    /// Plans a fetch for a person or an event, a little after the last one.
    fn fetch_soon(&mut self, now: Instant) {
        let soonest = self.fetched_at.map(|at| at + SOON);
        let earliest = [soonest, self.spared_until].into_iter().flatten().max();
        self.due = Some((earliest.map_or(now, |at| at.max(now)), Errand::Fetch));
    }

    fn asked(&mut self, now: Instant) {
        match self.stage {
            Stage::AskPerson(_) | Stage::Ended { .. } | Stage::NeedsCode { .. } => {
                self.stage = Stage::NeedsCode { spent: 0 };
                self.due = Some((now, Errand::AskCode));
            }
            // To ask sooner than the provider allows would only slow the answer down.
            Stage::CodeOpen(_) => {}
            Stage::Online | Stage::Held(_) => self.fetch_soon(now),
        }
    }

    fn clock_read(&mut self, now: Instant, seconds: Option<u64>) {
        self.wall = seconds.map(|seconds| (seconds, now));
        if self.wall.is_some()
            && self.trouble == Some(Trouble::Clock)
            && let Some((at, _)) = &mut self.due
        {
            *at = now;
        }
    }

    fn returned(&mut self, now: Instant, number: u64, reply: Return) {
        let Some((_, errand)) = self.flight.filter(|(flying, _)| *flying == number) else {
            return;
        };
        self.flight = None;
        self.has_asked = true;
        match reply {
            Return::Coded(coded) => self.coded(now, coded),
            Return::Fetched(fetched) => self.fetched(now, fetched),
            Return::Looked(looked) => self.looked(now, looked),
            Return::Polled(polled) => self.polled(now, polled),
            Return::Missed(miss) if errand == Errand::Poll => self.poll_missed(now, miss),
            Return::Missed(miss) => self.missed(now, errand, miss),
        }
    }

    fn fetched(&mut self, now: Instant, fetched: Fetched) {
        self.answered();
        match fetched {
            Fetched::Fresh { content, etag } => {
                self.keep(now, content, etag);
                self.confirmed(now);
            }
            Fetched::Unchanged => self.confirmed(now),
            Fetched::Held(demand) => self.held(now, demand),
            Fetched::SignedOut => self.end(now, None),
        }
    }

    /// Counts a failure, and plans the same errand for later.
    fn missed(&mut self, now: Instant, errand: Errand, miss: Miss) {
        if errand == Errand::Look {
            // The ways out of a hold stand as they are; the next stream looks again.
            return;
        }
        let asked = miss.asked();
        self.trouble = Some(Trouble::of(miss, self.is_clock_right()));
        let pause = if self.trouble == Some(Trouble::Clock) {
            // A wrong clock is no failure of anybody's, and mends itself at once.
            CLOCK_PAUSE
        } else {
            self.failures = self.failures.saturating_add(1);
            retry_after(self.failures, asked, &mut self.dice)
        };
        let planned = (now + pause, errand);
        self.spared_until = asked.map(|_| planned.0);
        match self.due {
            // What a person or an event planned meanwhile comes sooner, and is no loop.
            Some((at, _)) if asked.is_none() && at < planned.0 => {}
            Some(_) | None => self.due = Some(planned),
        }
    }

    fn answered(&mut self) {
        self.trouble = None;
        self.failures = 0;
        self.spared_until = None;
    }

    /// Gives the session up, and asks for a code after the reason could be read.
    fn end(&mut self, now: Instant, reason: Option<String>) {
        self.memory.handle = None;
        self.effects.push_back(Effect::Save);
        self.stream = Stream::default();
        self.effects.push_back(Effect::Hush);
        self.flight = None;
        self.stage = Stage::Ended { reason };
        self.due = Some((now + END_SHOWN, Errand::AskCode));
    }

    fn told(&mut self, now: Instant, told: Told) {
        if !self.is_signed_in() {
            return;
        }
        match told {
            Told::Ended(reason) => self.end(now, reason),
            // The event may be about another API of the session: the content's own answer counts.
            Told::Held if self.stage == Stage::Online => self.fetch_soon(now),
            Told::Held => {}
            Told::Missed => self.look(now),
            Told::Pushing => self.pushing(),
            Told::Released => self.released(now),
        }
    }
}

/// Returns the pause after so many failures in a row.
fn retry_after(failures: u32, asked: Option<Duration>, dice: &mut Dice) -> Duration {
    let policy = Backoff { first: RETRY_FIRST, most: RETRY_MOST, ..Backoff::default() };
    backoff::wait(&policy, failures, asked.map(|asked| asked.min(RETRY_AFTER_MAX)), dice)
}
