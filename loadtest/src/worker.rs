//! Sends requests over connections that stay open, and understands the answers.
//!
//! All of it runs on one thread beside the pacer's: what is measured is the gateway, and a second
//! core of the generator would be taken from it.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use http::{HeaderName, HeaderValue};
use tokenward_programs::clock::Watch;
use tokenward_programs::failure::Failure;
use tokio::sync::{Mutex, mpsc};
use tokio::time::timeout;

use self::line::Line;
use crate::board::{Board, Heard};
use crate::fleet::Session;
use crate::pacer::Due;
use crate::plan::{Api, Http, Plan};
use crate::record::Cause;

mod answer;
mod line;

/// Requests that may wait for a connection: three seconds of the highest rate a plan is likely to
/// have. What does not fit is counted as not sent.
pub const QUEUE_MAX: usize = 65_536;
/// Between two rounds of a roll call, for those who were told to come back.
const ROLL_GAP: Duration = Duration::from_millis(200);

/// Everything that all lanes share.
#[derive(Debug)]
pub struct Crowd {
    /// What was heard.
    pub board: RefCell<Board>,
    callers: Vec<Caller>,
    apis: Vec<Api>,
    give_up: Duration,
    watch: std::cell::Cell<Watch>,
    lines: Vec<Rc<Line>>,
}

/// What one session's requests carry.
#[derive(Debug)]
struct Caller {
    name: HeaderName,
    /// Marked as sensitive, so that no log shows it.
    credential: HeaderValue,
}

impl Crowd {
    /// Opens the lanes of a plan towards the gateways.
    ///
    /// # Errors
    /// `Ours` when a session's credential is none that a header may carry.
    pub fn new(
        plan: &Plan,
        ports: &[u16],
        sessions: &[Session],
        board: Board,
    ) -> Result<Self, Failure> {
        let caller = |session: &Session| {
            let mut credential = HeaderValue::try_from(&session.credential)
                .map_err(|_| Failure::Ours("a session's credential is no header".to_owned()))?;
            credential.set_sensitive(true);
            Ok(Caller { name: HeaderName::from_static(session.header), credential })
        };
        let load = &plan.load;
        let streams = match load.http {
            Http::One => 1,
            Http::Two => load.streams,
        };
        let lines = (0..load.connections).flat_map(|number| {
            // All streams of an HTTP/2 connection share it.
            let line = Rc::new(Line::new(load.http, ports.to_vec(), number as usize));
            (0..streams).map(move |_| Rc::clone(&line))
        });
        Ok(Self {
            board: RefCell::new(board),
            callers: sessions.iter().map(caller).collect::<Result<_, Failure>>()?,
            apis: load.apis.clone(),
            give_up: load.give_up.0,
            watch: std::cell::Cell::new(Watch::start()),
            lines: lines.collect(),
        })
    }

    /// Sets the stop-watch by which everything is timed back to zero.
    pub fn begin(&self, watch: Watch) {
        self.watch.set(watch);
    }

    /// Sends what the pacer hands over, until it has no more.
    ///
    /// # Cancel safety
    /// Dropping the future gives up the requests in flight, unheard.
    pub async fn drive(self: &Rc<Self>, queue: mpsc::Receiver<Due>) {
        let queue = Rc::new(Mutex::new(queue));
        let lanes: Vec<_> = self
            .lines
            .iter()
            .map(|line| {
                let (crowd, line, queue) = (Rc::clone(self), Rc::clone(line), Rc::clone(&queue));
                tokio::task::spawn_local(async move {
                    loop {
                        // The lock is fair: whoever has waited longest sends next.
                        let due = queue.lock().await.recv().await;
                        let Some(due) = due else { break };
                        crowd.send(&line, (due.seat as usize, due.api), Some(due.at)).await;
                    }
                })
            })
            .collect();
        for lane in lanes {
            // A lane that panicked has left its requests unheard, which the sums show.
            let _ = lane.await;
        }
    }

    /// Lets each session call each API, again and again until it was answered as it should be.
    ///
    /// # Cancel safety
    /// Dropping the future leaves the roll call unfinished.
    pub async fn call_roll(self: &Rc<Self>, limit: Duration) {
        self.board.borrow_mut().call_roll();
        let watch = Watch::start();
        loop {
            let missing = self.board.borrow().missing(&self.apis);
            if missing.is_empty() || watch.elapsed() > limit {
                return;
            }
            self.call_all(missing).await;
            if !self.board.borrow().missing(&self.apis).is_empty() {
                tokio::time::sleep(ROLL_GAP).await;
            }
        }
    }

    /// Ends a roll call: whoever was not answered is lost.
    pub fn close_roll(&self) {
        self.board.borrow_mut().close_roll(&self.apis);
    }

    async fn call_all(self: &Rc<Self>, calls: Vec<(usize, Api)>) {
        let calls = Rc::new(RefCell::new(calls));
        let lanes: Vec<_> = self
            .lines
            .iter()
            .map(|line| {
                let (crowd, line, calls) = (Rc::clone(self), Rc::clone(line), Rc::clone(&calls));
                tokio::task::spawn_local(async move {
                    loop {
                        let call = calls.borrow_mut().pop();
                        let Some(call) = call else { break };
                        crowd.send(&line, call, None).await;
                    }
                })
            })
            .collect();
        for lane in lanes {
            // As in `drive`.
            let _ = lane.await;
        }
    }

    async fn send(&self, line: &Line, whose: (usize, Api), due: Option<Duration>) {
        let watch = self.watch.get();
        let sent = watch.elapsed();
        let waited = due.is_some_and(|due| sent.saturating_sub(due) > self.give_up);
        let heard = match self.callers.get(whose.0) {
            Some(_) if waited => Heard::Silence(Cause::Waited),
            Some(caller) => {
                let call = line.call(whose.1, (&caller.name, &caller.credential));
                timeout(self.give_up, call).await.unwrap_or(Heard::Silence(Cause::TimedOut))
            }
            None => return,
        };
        let ended = watch.elapsed();
        self.board.borrow_mut().hear(whose, due, (sent, ended), &heard);
    }
}
