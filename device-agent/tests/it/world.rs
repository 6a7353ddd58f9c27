//! A world for one display without a clock or a network: a gateway, a person and a calendar.

use std::time::Duration;

use tokenward::SessionHandle;
use tokenward::core::refusal::Refusal;
use tokenward::core::time::Instant;
use tokenward_device::agent::{
    Agent, Code, Coded, Demand, Effect, Errand, Fetched, Input, Looked, Memory, Miss, Polled,
    Return, Rhythm, Told,
};
use tokenward_device::content::Content;

pub(super) const SECOND: Duration = Duration::from_secs(1);
pub(super) const MINUTE: Duration = Duration::from_secs(60);
pub(super) const HOUR: Duration = Duration::from_secs(60 * 60);
pub(super) const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// The moment every story begins: a while after the machine's boot.
const BEGIN: Instant = Instant::from_nanos(30_000_000_000);

/// The wall clock's seconds at that moment, once it is right.
const UNIX: u64 = 1_790_000_000;

/// How long each answer takes.
const TRIP: Duration = Duration::from_millis(200);

/// How many steps a story may take: a week of looks every ten minutes has a thousand.
const STEPS_MAX: u32 = 100_000;

/// What somebody changes in the world.
#[derive(Clone, Debug)]
pub(super) enum Change {
    Asked,
    Busy(Option<Duration>),
    ClockRight,
    Consents,
    Denies,
    FactorShown,
    FalseRelease,
    Mended,
    NetworkCut,
    NetworkUp,
    Pushed,
    Quote(&'static str),
    Revoked,
    RuleForAll,
    WellAgain,
}

/// What was counted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Counted {
    pub(super) codes: u32,
    pub(super) fetches: u32,
    pub(super) held: u32,
    pub(super) looks: u32,
    pub(super) polls: u32,
    pub(super) saves: u32,
    pub(super) streams: u32,
    pub(super) early: u32,
}

pub(super) struct World {
    pub(super) agent: Agent,
    pub(super) now: Instant,
    pub(super) counted: Counted,
    /// When each errand was begun.
    pub(super) begun: Vec<(Instant, Errand)>,
    script: Vec<(Instant, Change)>,
    flight: Option<(Instant, u64, Errand)>,
    is_streaming: bool,
    is_online: bool,
    is_clock_right: bool,
    is_held: bool,
    session: Option<()>,
    consent: Option<Result<(), ()>>,
    busy: Option<(Option<Duration>, Option<Instant>)>,
    quote: &'static str,
    pub(super) slow_downs: u32,
    last_poll: Option<Instant>,
}

impl World {
    /// Starts a display that nobody has signed in, in a world where everything works.
    pub(super) fn new(probe: Option<Duration>) -> Self {
        Self::with(probe, Memory::default())
    }

    /// Starts a display that is signed in.
    pub(super) fn signed_in(probe: Option<Duration>) -> Self {
        let memory = Memory { handle: Some(SessionHandle::random()), kept: None };
        let mut world = Self::with(probe, memory);
        world.session = Some(());
        world
    }

    fn with(probe: Option<Duration>, memory: Memory) -> Self {
        let rhythm = Rhythm { every: 10 * MINUTE, probe };
        let mut world = Self {
            agent: Agent::new(rhythm, memory, 7, BEGIN),
            now: BEGIN,
            counted: Counted::default(),
            begun: Vec::new(),
            script: Vec::new(),
            flight: None,
            is_streaming: false,
            is_online: true,
            is_clock_right: true,
            is_held: false,
            session: None,
            consent: None,
            busy: None,
            quote: "Live.",
            slow_downs: 0,
            last_poll: None,
        };
        world.give(Input::Clock(Some(UNIX)));
        world
    }

    /// Starts with the clock at the epoch and no network, as a machine does after a power cut.
    pub(super) fn dark(mut self) -> Self {
        self.is_clock_right = false;
        self.is_online = false;
        self.give(Input::Clock(None));
        self
    }

    /// Plans a change, so long after the beginning.
    pub(super) fn at(mut self, after: Duration, change: Change) -> Self {
        self.script.push((BEGIN + after, change));
        self.script.sort_by_key(|(at, _)| *at);
        self
    }

    /// Runs until so long after the beginning.
    pub(super) fn run(&mut self, until: Duration) {
        let until = BEGIN + until;
        for _ in 0..STEPS_MAX {
            let change = self.script.first().map(|(at, _)| *at);
            let landing = self.flight.map(|(at, _, _)| at);
            let alarm = self.agent.wake_at();
            let next = [change, landing, alarm].into_iter().flatten().min().unwrap_or(Instant::FAR);
            if next > until {
                self.now = until;
                return;
            }
            self.now = next.max(self.now);
            if change == Some(next) {
                let (_, change) = self.script.remove(0);
                self.change(change);
            } else if landing == Some(next) {
                let (_, number, errand) = self.flight.take().unwrap();
                let reply = self.answer(errand);
                self.give(Input::Returned(number, reply));
            } else {
                self.give(Input::Alarm);
            }
        }
        panic!("the display never rests: {:?}", self.counted);
    }

    /// Gives the display an input, and does what it wants.
    pub(super) fn give(&mut self, input: Input) {
        self.agent.handle(self.now, input);
        while let Some(effect) = self.agent.next_effect() {
            match effect {
                Effect::Begin(number, errand) => self.begin(number, errand),
                Effect::Hush => self.is_streaming = false,
                Effect::Listen => self.listen(),
                Effect::Save => self.counted.saves += 1,
            }
        }
    }

    fn begin(&mut self, number: u64, errand: Errand) {
        // A newer errand takes the place of one whose answer is of no use.
        self.flight = Some((self.now + TRIP, number, errand));
        self.begun.push((self.now, errand));
        match errand {
            Errand::AskCode => {}
            Errand::Fetch => self.counted.fetches += 1,
            Errand::Look => self.counted.looks += 1,
            Errand::Poll => self.counted.polls += 1,
        }
        if self.busy.is_some_and(|(_, until)| until.is_some_and(|until| self.now < until)) {
            self.counted.early += 1;
        }
    }

    fn listen(&mut self) {
        self.counted.streams += 1;
        self.is_streaming = self.is_online && self.is_clock_right && self.session.is_some();
        let opened = self.is_streaming;
        self.give(if opened { Input::StreamOpened } else { Input::StreamOver });
    }

    fn change(&mut self, change: Change) {
        match change {
            Change::Asked => self.give(Input::Asked),
            Change::Busy(asked) => self.busy = Some((asked, None)),
            Change::ClockRight => {
                self.is_clock_right = true;
                self.give(Input::Clock(Some(UNIX + self.now.since(BEGIN).as_secs())));
            }
            Change::Consents => self.consent = Some(Ok(())),
            Change::Denies => self.consent = Some(Err(())),
            Change::FactorShown => {
                self.is_held = false;
                self.tell(Told::Released);
            }
            Change::FalseRelease => self.tell(Told::Released),
            Change::Mended => self.is_held = false,
            Change::NetworkCut => {
                self.is_online = false;
                if std::mem::take(&mut self.is_streaming) {
                    self.give(Input::StreamOver);
                }
            }
            Change::NetworkUp => self.is_online = true,
            Change::Pushed => self.tell(Told::Pushing),
            Change::Quote(quote) => self.quote = quote,
            Change::Revoked => {
                self.session = None;
                self.tell(Told::Ended(Some("logged_out_by_admin".to_owned())));
            }
            Change::RuleForAll => self.is_held = true,
            Change::WellAgain => self.busy = None,
        }
    }

    fn tell(&mut self, told: Told) {
        if self.is_streaming {
            self.give(Input::Told(told));
        }
    }

    fn answer(&mut self, errand: Errand) -> Return {
        if !self.is_online {
            return Return::Missed(Miss::Offline);
        }
        if !self.is_clock_right {
            return Return::Missed(Miss::CertificateTime);
        }
        if let Some((asked, until)) = &mut self.busy {
            *until = asked.map(|asked| self.now + asked);
            return Return::Missed(Miss::Busy(*asked));
        }
        match errand {
            Errand::AskCode => {
                self.counted.codes += 1;
                Return::Coded(Coded { code: code(), expires_in: 15 * MINUTE })
            }
            Errand::Fetch => Return::Fetched(self.fetch()),
            Errand::Look => Return::Looked(match (self.session, self.is_held) {
                (None, _) => Looked::SignedOut,
                (Some(()), true) => Looked::Held(demand()),
                (Some(()), false) => Looked::Free,
            }),
            Errand::Poll => Return::Polled(self.poll()),
        }
    }

    fn fetch(&mut self) -> Fetched {
        if self.session.is_none() {
            return Fetched::SignedOut;
        }
        if self.is_held {
            self.counted.held += 1;
            return Fetched::Held(demand());
        }
        let content = Content { text: self.quote.to_owned(), author: None };
        let known = self.agent.memory().kept.as_ref().is_some_and(|kept| kept.content == content);
        if known { Fetched::Unchanged } else { Fetched::Fresh { content, etag: None } }
    }

    fn poll(&mut self) -> Polled {
        let gap = self.last_poll.map(|at| self.now.since(at));
        self.last_poll = Some(self.now);
        let error = match self.consent.take() {
            Some(Ok(())) => {
                self.session = Some(());
                self.is_streaming = false;
                return Polled::Granted(SessionHandle::random());
            }
            Some(Err(())) => "access_denied",
            None if gap.is_some_and(|gap| gap < 5 * SECOND) => "slow_down",
            None if self.slow_downs > 0 => {
                self.slow_downs -= 1;
                "slow_down"
            }
            None => "authorization_pending",
        };
        Polled::Refused(Refusal {
            status: 400,
            error: Some(error.to_owned()),
            ..Refusal::default()
        })
    }
}

fn code() -> Code {
    Code {
        device_code: "dc".to_owned().into(),
        user_code: "WDJB-MJHT".to_owned(),
        uri: "https://gw.example/d".to_owned(),
        uri_complete: None,
        interval: 5 * SECOND,
        pause: 5 * SECOND,
        expires_at: Instant::ZERO,
        spent: 0,
    }
}

fn demand() -> Demand {
    let step_up_uri = Some("https://gw.example/d/HLDX-QWRT".to_owned());
    Demand { step_up_uri, audience: Some("urn:quotes".to_owned()), provider: None }
}
