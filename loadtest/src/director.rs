//! Plays what goes wrong at its time, and watches the programs meanwhile: their processor time and
//! memory, and the provider's ledger.

use std::process;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::thread;
use std::time::Duration;

use serde_json::json;
use tokenward_programs::clock::Watch;
use tokenward_programs::failure::Failure;
use tokenward_programs::http::Caller;

use self::meter::Meter;
use self::script::{Cue, Step};
use crate::board::Ends;
use crate::exchanges::Exchanges;
use crate::fleet::{Fleet, Session};
use crate::plan::{Api, Plan};

pub use self::meter::Sample;

mod meter;
mod script;

/// How often the director looks whether something is to be done.
const BEAT: Duration = Duration::from_millis(50);
/// How often the ledger is read: it keeps 200,000 events, far more than a second brings.
const READING_GAP: Duration = Duration::from_secs(1);
/// Events handed out by one reading of the ledger.
const PAGE: usize = 10_000;

/// What director and senders tell each other.
#[derive(Debug, Default)]
pub struct Signals {
    /// The load is over.
    pub over: AtomicBool,
    /// A step did not work: there is nothing more to measure.
    pub failed: AtomicBool,
    /// What is being played, for the line of progress.
    now: Mutex<Vec<String>>,
}

/// What the director found.
#[derive(Debug)]
pub struct Notes {
    /// The programs, to be asked and stopped.
    pub fleet: Fleet,
    /// The exchanges.
    pub exchanges: Exchanges,
    /// What the gateways used, from the start of the load on.
    pub samples: Vec<Sample>,
    /// When what was played, from the start of the load on.
    pub played: Vec<Played>,
    /// What this program and the sandbox used meanwhile, in microseconds.
    pub beside_us: [u64; 2],
}

/// Something that was played.
#[derive(Clone, Debug, PartialEq)]
pub struct Played {
    /// When it began and ended.
    pub at: [Duration; 2],
    /// What it was.
    pub words: String,
}

/// A director whose acts are over. The programs that it started live as long as this: a child dies
/// with the thread that started it (PR_SET_PDEATHSIG of prctl(2)), so the thread must outlast them.
#[derive(Debug)]
pub struct Backstage {
    _leave: mpsc::Sender<()>,
}

/// A director in a thread of its own.
#[derive(Debug)]
pub struct Directing {
    notes: mpsc::Receiver<Result<Notes, Failure>>,
    backstage: Backstage,
}

/// The director at work.
pub struct Director {
    fleet: Fleet,
    sessions: Vec<Session>,
    ends: Arc<Ends>,
    signals: Arc<Signals>,
    watch: Watch,
    exchanges: Exchanges,
    meter: Meter,
    read_at: Duration,
}

impl Signals {
    /// Returns what is being played.
    #[must_use]
    pub fn now(&self) -> String {
        self.now.lock().unwrap_or_else(PoisonError::into_inner).join(", ")
    }

    fn change(&self, change: impl FnOnce(&mut Vec<String>)) {
        change(&mut self.now.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

/// Reads the ledger to its end.
///
/// # Errors
/// `Ours` when it cannot be read.
pub fn catch_up(fleet: &Fleet, exchanges: &mut Exchanges) -> Result<(), Failure> {
    let control = fleet.control();
    loop {
        let events = control.events(exchanges.last_seq())?;
        let count = events.len();
        exchanges.hear(events);
        if count < PAGE {
            return Ok(());
        }
    }
}

impl Directing {
    /// Waits for the end, and returns what was found.
    ///
    /// # Errors
    /// The first step that did not work.
    pub fn end(self) -> Result<(Notes, Backstage), Failure> {
        let notes = self.notes.recv();
        let notes = notes.map_err(|_| Failure::Ours("the director panicked".to_owned()))??;
        Ok((notes, self.backstage))
    }
}

impl Director {
    /// Takes over the programs.
    #[must_use]
    pub fn new(
        fleet: Fleet,
        sessions: Vec<Session>,
        exchanges: Exchanges,
        ends: Arc<Ends>,
        signals: Arc<Signals>,
    ) -> Self {
        let meter = Meter::new(&fleet.processes());
        let (watch, read_at) = (Watch::start(), Duration::ZERO);
        Self { fleet, sessions, ends, signals, watch, exchanges, meter, read_at }
    }

    /// Returns how it is told that the load is over, and tells what it plays.
    #[must_use]
    pub fn signals(&self) -> Arc<Signals> {
        Arc::clone(&self.signals)
    }

    /// Plays the acts of a plan in a thread of its own, until the load is over.
    ///
    /// # Errors
    /// `Unavailable` when the machine has no thread left.
    pub fn start(self, plan: &Plan, watch: Watch) -> Result<Directing, Failure> {
        let (leave, left) = mpsc::channel();
        let (told, notes) = mpsc::channel();
        let (plan, signals) = (plan.clone(), self.signals());
        thread::Builder::new()
            .name("director".to_owned())
            .spawn(move || {
                let outcome = self.direct(&plan, watch);
                signals.failed.store(outcome.is_err(), Ordering::Relaxed);
                // Nobody listens where the run has ended; the programs are gone with the notes then.
                let _ = told.send(outcome);
                let _ = left.recv();
            })
            .map_err(|error| Failure::io("start the director's thread", &error))?;
        Ok(Directing { notes, backstage: Backstage { _leave: leave } })
    }

    /// Plays the acts of a plan until the load is over; what was broken is mended at the end.
    ///
    /// # Errors
    /// The first step that did not work.
    fn direct(mut self, plan: &Plan, watch: Watch) -> Result<Notes, Failure> {
        self.watch = watch;
        let mut played = Vec::new();
        let mut cues = script::of(plan).into_iter().peekable();
        self.meter.read(&self.fleet.processes(), self.watch.elapsed());
        let beside = [process::id(), self.fleet.sandbox()];
        let before = beside.map(meter::cpu_us);
        while !self.signals.over.load(Ordering::Relaxed) {
            while let Some(cue) = cues.next_if(|cue| cue.at <= self.watch.elapsed()) {
                self.play(&cue, &mut played)?;
            }
            self.look()?;
            thread::sleep(BEAT);
        }
        self.meter.read(&self.fleet.processes(), self.watch.elapsed());
        let after = beside.map(meter::cpu_us);
        for cue in cues.filter(|cue| cue.step.mends()) {
            // What had not begun need not be mended either; doing so changes nothing.
            self.play(&cue, &mut played)?;
        }
        catch_up(&self.fleet, &mut self.exchanges)?;
        let Self { fleet, exchanges, meter, .. } = self;
        let beside_us = [0, 1].map(|at: usize| after[at].saturating_sub(before[at]));
        Ok(Notes { fleet, exchanges, samples: meter.samples(), played, beside_us })
    }

    fn look(&mut self) -> Result<(), Failure> {
        let elapsed = self.watch.elapsed();
        if elapsed < self.read_at {
            return Ok(());
        }
        self.read_at = elapsed + READING_GAP;
        self.meter.read(&self.fleet.processes(), elapsed);
        catch_up(&self.fleet, &mut self.exchanges)
    }

    fn play(&mut self, cue: &Cue, played: &mut Vec<Played>) -> Result<(), Failure> {
        let began = self.watch.elapsed();
        self.take(cue.step)?;
        let ended = self.watch.elapsed();
        let open = played.iter_mut().rev().find(|act: &&mut Played| act.words == cue.words);
        match (cue.step.mends(), open) {
            (true, Some(act)) => act.at[1] = ended,
            (true, None) => {}
            (false, _) => played.push(Played { at: [began, ended], words: cue.words.clone() }),
        }
        self.signals.change(|now| match cue.step.mends() {
            true => now.retain(|words| *words != cue.words),
            false if cue.lasts => now.push(cue.words.clone()),
            false => {}
        });
        Ok(())
    }

    fn take(&mut self, step: Step) -> Result<(), Failure> {
        let control = self.fleet.control();
        match step {
            Step::Slow(ms) | Step::Usual(ms) => control.tenant(&json!({ "token_latency_ms": ms })),
            Step::Network(up) => control.network(up),
            Step::Limit(share) => {
                let fault = json!({
                    "endpoint": "token", "kind": "rate_limited", "only": "refresh_token",
                    "rate": share, "reset_s": 1,
                });
                control.post("faults", &fault).map(drop)
            }
            Step::Disarm => control.disarm(),
            Step::Demand(api) => control.tenant(&demand(api)),
            Step::Lift => {
                control.tenant(&json!({ "mfa": { "rules": [] } }))?;
                // By themselves the gateways ask again only after hours.
                self.fleet.retry_all()
            }
            Step::Kill(gateway) => {
                self.meter.read(&self.fleet.processes(), self.watch.elapsed());
                self.fleet.kill(gateway);
                catch_up(&self.fleet, &mut self.exchanges)?;
                self.exchanges.gateway_died();
                Ok(())
            }
            Step::Restart(gateway) => {
                // What was on its way when the gateway died has arrived since: nobody heard the answer.
                catch_up(&self.fleet, &mut self.exchanges)?;
                self.exchanges.gateway_died();
                self.fleet.restart(gateway)?;
                self.meter.reborn(&self.fleet.processes());
                Ok(())
            }
            Step::SignOut(share) => self.sign_out(share),
        }
    }

    /// Signs a share of the sessions out, as their people would.
    fn sign_out(&self, share: f64) -> Result<(), Failure> {
        let caller = Caller::new();
        let ports = self.fleet.ports();
        let every = (1.0 / share.max(f64::MIN_POSITIVE)).round().max(1.0) as usize;
        for (seat, session) in self.sessions.iter().enumerate().step_by(every) {
            let port = ports.get(seat % ports.len().max(1)).copied().unwrap_or_default();
            let url = format!("http://127.0.0.1:{port}/auth/logout");
            self.ends.begin(seat, self.watch.elapsed());
            let headers = [(session.header, session.credential.as_str())];
            let answer = caller.post_json(&url, &headers, &json!({})).map_err(Failure::Ours)?;
            if answer.status != 200 {
                let status = answer.status;
                return Err(Failure::Ours(format!("signing out was answered with {status}")));
            }
            self.ends.confirm(seat, self.watch.elapsed());
        }
        Ok(())
    }
}

/// A rule that demands another factor of every refresh for one API.
fn demand(api: Api) -> serde_json::Value {
    let rule = json!({
        "when": { "protocol": "oauth2-refresh-token", "audiences": [api.audience()] },
        "then": "challenge",
    });
    json!({ "mfa": { "rules": [rule], "policy_applies_to_refresh": true } })
}
