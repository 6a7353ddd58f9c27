//! The threads that own the connections, and the bounded queues before them.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use rusqlite::Connection;
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

use super::reserve::Reserve;
use super::rows::Rows;
use super::sql;
use crate::clock::Clock;
use crate::store::{Answer, StoreError};

/// The most writes that share one transaction: beyond it the flush is a small part of the price,
/// and the first of a group would wait for the last.
pub const GROUP_MAX: usize = 512;

/// The most jobs that wait before a lane: the group that is written next and one more, so that the
/// thread never runs dry, and a bounded amount of sealed records.
const QUEUE_MAX: usize = 2 * GROUP_MAX;

/// How long a job waits for a place in the queue before its caller is told that the store is busy.
const QUEUE_WAIT_MAX: Duration = Duration::from_secs(5);

/// How long a caller waits for the disk. Disks that need longer are failing; the write may still
/// happen, as the contract allows.
const ANSWER_WAIT_MAX: Duration = Duration::from_secs(30);

/// The way to one kind of thread.
pub(super) struct Lane(mpsc::Sender<Box<dyn Job>>);

/// Whether a write may use the room that is set aside for a full disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Urgency {
    /// It can be asked for again when there is room.
    CanWait,
    /// A logout, or a token whose predecessor is spent.
    CannotWait,
}

/// What a thread works with.
pub(super) struct Pen {
    pub(super) connection: Connection,
    pub(super) clock: Clock,
    /// The number of the present boot in this store.
    pub(super) boot: i64,
    /// The store's file, for messages.
    pub(super) place: Arc<str>,
}

/// Hands `work` to a thread behind `lane` and waits for what comes of it.
///
/// The work may be done twice where the first transaction was lost, never after it was committed.
pub(super) fn ask<'a, T: Send + 'static>(
    lane: Option<&'a Lane>,
    urgency: Urgency,
    work: impl FnMut(&Rows<'_>) -> Result<T, StoreError> + Send + 'static,
) -> Answer<'a, T> {
    Box::pin(async move {
        let Lane(queue) = lane.ok_or(StoreError::Closed)?;
        let (reply, answer) = oneshot::channel();
        let job: Box<dyn Job> = Box::new(Task { work, urgency, outcome: None, reply });
        match timeout(QUEUE_WAIT_MAX, queue.send(job)).await {
            Err(_) => {
                return Err(StoreError::Busy { why: "its queue is full" });
            }
            Ok(Err(_)) => return Err(StoreError::Closed),
            Ok(Ok(())) => {}
        }
        match timeout(ANSWER_WAIT_MAX, answer).await {
            Err(_) => Err(StoreError::Busy { why: "the disk does not answer" }),
            Ok(Err(_)) => Err(StoreError::Closed),
            Ok(Ok(outcome)) => outcome,
        }
    })
}

/// Starts the thread that writes.
pub(super) fn writer(
    pen: Pen,
    mut reserve: Option<Reserve>,
) -> Result<(Lane, JoinHandle<()>), StoreError> {
    let (queue, mut jobs) = mpsc::channel(QUEUE_MAX);
    let thread = spawn("store-writer", Arc::clone(&pen.place), move || {
        let mut group: Vec<Box<dyn Job>> = Vec::with_capacity(GROUP_MAX);
        // Each job that waits when a transaction starts is part of it.
        while jobs.blocking_recv_many(&mut group, GROUP_MAX) > 0 {
            pen.settle(&mut group, reserve.as_mut());
        }
    })?;
    Ok((Lane(queue), thread))
}

/// Starts a reading thread for each pen; they share one queue.
pub(super) fn readers(pens: Vec<Pen>) -> Result<(Lane, Vec<JoinHandle<()>>), StoreError> {
    let (queue, jobs) = mpsc::channel(QUEUE_MAX);
    let jobs: Arc<Mutex<mpsc::Receiver<Box<dyn Job>>>> = Arc::new(Mutex::new(jobs));
    let mut threads = Vec::with_capacity(pens.len());
    for pen in pens {
        let jobs = Arc::clone(&jobs);
        threads.push(spawn("store-reader", Arc::clone(&pen.place), move || {
            loop {
                let next = jobs.lock().unwrap_or_else(PoisonError::into_inner).blocking_recv();
                let Some(mut job) = next else { break };
                job.run(&pen.rows());
                job.answer(Ok(()));
            }
        })?);
    }
    Ok((Lane(queue), threads))
}

fn spawn(
    name: &str,
    place: Arc<str>,
    body: impl FnOnce() + Send + 'static,
) -> Result<JoinHandle<()>, StoreError> {
    let builder = thread::Builder::new().name(name.to_owned());
    builder.spawn(body).map_err(|error| StoreError::io(place, &error))
}

impl Pen {
    fn rows(&self) -> Rows<'_> {
        Rows {
            connection: &self.connection,
            clock: &self.clock,
            boot: self.boot,
            place: &self.place,
        }
    }

    /// Does all jobs of a group and answers each.
    fn settle(&self, group: &mut Vec<Box<dyn Job>>, mut reserve: Option<&mut Reserve>) {
        if reserve.as_mut().is_some_and(|reserve| reserve.is_gone(self.clock.now())) {
            self.turn_away(group);
        }
        match self.together(group) {
            // A full disk can still take one small write after the log was emptied: each is
            // judged alone. Where it cannot, the reserve is for those that cannot wait.
            Err(StoreError::Full { .. }) => {
                self.make_room();
                for mut job in group.drain(..) {
                    let mut outcome = self.together(std::slice::from_mut(&mut job));
                    if matches!(outcome, Err(StoreError::Full { .. }))
                        && job.urgency() == Urgency::CannotWait
                        && let Some(reserve) = reserve.as_mut()
                    {
                        reserve.give_up(self.clock.now());
                        self.make_room();
                        outcome = self.together(std::slice::from_mut(&mut job));
                    }
                    job.answer(outcome);
                }
            }
            outcome => group.drain(..).for_each(|job| job.answer(outcome.clone())),
        }
    }

    /// Answers the jobs that can wait for room.
    fn turn_away(&self, group: &mut Vec<Box<dyn Job>>) {
        let (waiting, urgent): (Vec<_>, Vec<_>) =
            group.drain(..).partition(|job| job.urgency() == Urgency::CanWait);
        let full = StoreError::Full { place: Arc::clone(&self.place) };
        waiting.into_iter().for_each(|job| job.answer(Err(full.clone())));
        *group = urgent;
    }

    /// Does `jobs` in one transaction; an error is everybody's.
    fn together(&self, jobs: &mut [Box<dyn Job>]) -> Result<(), StoreError> {
        self.run("BEGIN IMMEDIATE")?;
        for job in jobs {
            job.run(&self.rows());
            // SQLite ends the whole transaction on some failures of one statement.
            if self.connection.is_autocommit() {
                return Err(job.fault().unwrap_or(StoreError::Busy { why: "a write was undone" }));
            }
        }
        self.run("COMMIT").inspect_err(|_| {
            // Where the failed commit has undone the transaction itself, there is none left.
            let _ = self.run("ROLLBACK");
        })
    }

    /// Moves the log into the store's file, so that the log can be written again from its start.
    fn make_room(&self) {
        // Where even that fails, the writes that follow say so.
        let _ = self.connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()));
    }

    fn run(&self, statement: &str) -> Result<(), StoreError> {
        let mut statement = self
            .connection
            .prepare_cached(statement)
            .map_err(|error| sql::fault(&self.place, error))?;
        statement.execute([]).map(drop).map_err(|error| sql::fault(&self.place, error))
    }
}

impl fmt::Debug for Lane {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} waiting", self.0.max_capacity() - self.0.capacity())
    }
}

/// Something to be done with the rows, and somebody to be told.
trait Job: Send {
    /// Does it, and keeps what came of it.
    fn run(&mut self, rows: &Rows<'_>);

    /// Tells whether it may use the room that is set aside.
    fn urgency(&self) -> Urgency;

    /// Returns what went wrong, if it did.
    fn fault(&self) -> Option<StoreError>;

    /// Tells what came of it, given what became of the transaction.
    fn answer(self: Box<Self>, transaction: Result<(), StoreError>);
}

struct Task<T, W> {
    work: W,
    urgency: Urgency,
    outcome: Option<Result<T, StoreError>>,
    reply: oneshot::Sender<Result<T, StoreError>>,
}

impl<T, W> Job for Task<T, W>
where
    T: Send,
    W: FnMut(&Rows<'_>) -> Result<T, StoreError> + Send,
{
    fn run(&mut self, rows: &Rows<'_>) {
        self.outcome = Some((self.work)(rows));
    }

    fn urgency(&self) -> Urgency {
        self.urgency
    }

    fn fault(&self) -> Option<StoreError> {
        self.outcome.as_ref()?.as_ref().err().cloned()
    }

    fn answer(self: Box<Self>, transaction: Result<(), StoreError>) {
        let outcome = match (transaction, self.outcome) {
            (_, Some(Err(own))) => Err(own),
            (Err(shared), _) => Err(shared),
            (Ok(()), Some(Ok(answer))) => Ok(answer),
            (Ok(()), None) => Err(StoreError::Closed),
        };
        // The caller may have gone; what it asked for is done all the same (law L4).
        let _ = self.reply.send(outcome);
    }
}
