//! Metrics of what is not there: a gateway with troubles that cannot be made from outside (crashing
//! actors, mailboxes that fill, more names than there is room for, another machine that holds
//! leases).

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use tokenward_programs::failure::Failure;

/// The longest body that is taken: Alertmanager's messages have a few kilobytes.
const BODY_MAX: usize = 1 << 20;

/// How long a peer may take to say what it wants.
const READ_LIMIT: Duration = Duration::from_secs(5);

/// A request that was heard.
#[derive(Debug)]
pub(super) struct Request {
    pub(super) path: String,
    pub(super) body: String,
}

/// The played programs.
#[derive(Clone, Debug)]
pub(super) struct Played {
    port: u16,
    ill: Arc<AtomicBool>,
    /// Each scrape is one more of everything.
    beats: Arc<AtomicU64>,
}

impl Played {
    /// Starts to listen; all is well at first.
    ///
    /// # Errors
    /// `Unavailable` when there is no port.
    pub(super) fn open() -> Result<Self, Failure> {
        let ill = Arc::new(AtomicBool::new(false));
        let beats = Arc::new(AtomicU64::new(0));
        let (sick, counted) = (Arc::clone(&ill), Arc::clone(&beats));
        let faults = AtomicU64::new(0);
        let port = serve(move |_: &Request| {
            let sick = sick.load(Ordering::Relaxed);
            let beat = counted.fetch_add(1, Ordering::Relaxed);
            let faults = faults.fetch_add(u64::from(sick), Ordering::Relaxed);
            (200, gateway(sick, beat, faults))
        })?;
        Ok(Self { port, ill, beats })
    }

    /// Returns host and port.
    pub(super) fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Switches the troubles on or off.
    pub(super) fn ail(&self, ill: bool) {
        self.ill.store(ill, Ordering::Relaxed);
    }

    /// Reports whether the troubles are on.
    pub(super) fn is_ill(&self) -> bool {
        self.ill.load(Ordering::Relaxed)
    }

    /// Returns how often it was asked.
    pub(super) fn beats(&self) -> u64 {
        self.beats.load(Ordering::Relaxed)
    }
}

/// Answers each request with the status and text that `answer` says, on a free port, until the
/// program ends.
///
/// # Errors
/// `Unavailable` when there is no port.
pub(super) fn serve(
    answer: impl Fn(&Request) -> (u16, String) + Send + Sync + 'static,
) -> Result<u16, Failure> {
    let failed = |error| Failure::io("listen on a free port", &error);
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map_err(failed)?;
    let port = listener.local_addr().map_err(failed)?.port();
    let answer = Arc::new(answer);
    thread::spawn(move || {
        for socket in listener.incoming().flatten() {
            let answer = Arc::clone(&answer);
            thread::spawn(move || {
                // A peer that goes away in the middle wants no answer.
                let _ = converse(socket, &*answer);
            });
        }
    });
    Ok(port)
}

fn converse(
    socket: TcpStream,
    answer: &(impl Fn(&Request) -> (u16, String) + ?Sized),
) -> std::io::Result<()> {
    socket.set_read_timeout(Some(READ_LIMIT))?;
    let mut reader = BufReader::new(&socket);
    let mut line = String::new();
    reader.read_line(&mut line)?;
    let path = line.split(' ').nth(1).unwrap_or_default().to_owned();
    let mut length = 0;
    loop {
        line.clear();
        reader.read_line(&mut line)?;
        let header = line.trim_end().to_ascii_lowercase();
        if header.is_empty() {
            break;
        }
        if let Some(value) = header.strip_prefix("content-length:") {
            length = value.trim().parse().unwrap_or(0).min(BODY_MAX);
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    let request = Request { path, body: String::from_utf8_lossy(&body).into_owned() };
    let (status, text) = answer(&request);
    let head = "content-type: text/plain; version=0.0.4\r\nconnection: close";
    write!(&socket, "HTTP/1.1 {status} \r\n{head}\r\ncontent-length: {}\r\n\r\n{text}", text.len())
}

fn gateway(ill: bool, beat: u64, faults: u64) -> String {
    let waiting = if ill { 6_000 } else { 0 };
    format!(
        "# TYPE tokenward_actor_restarts_total counter\n\
         tokenward_actor_restarts_total{{actor=\"session\",reason=\"panic\"}} {faults}\n\
         # TYPE tokenward_actor_mailbox_messages gauge\n\
         tokenward_actor_mailbox_messages{{actor=\"router\"}} {waiting}\n\
         # TYPE tokenward_label_overflow_total counter\n\
         tokenward_label_overflow_total{{label=\"route\"}} {faults}\n\
         # TYPE tokenward_store_operations_total counter\n\
         tokenward_store_operations_total{{backend=\"redis\",op=\"lease\",outcome=\"ok\"}} {beat}\n\
         tokenward_store_operations_total{{backend=\"redis\",op=\"lease\",outcome=\"conflict\"}} \
         {faults}\n"
    )
}
