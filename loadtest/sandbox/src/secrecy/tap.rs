//! Everything that the present process logs.

use std::io::{self, Write};
use std::sync::{Arc, Mutex, OnceLock};

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::fmt::format::FmtSpan;

use crate::hold;

/// What is heard: all that the programs under test say, and what their libraries say of requests.
/// The sandbox is left out: its log is its own. So are ractor's spans, one for each actor.
const FILTER: &str = "info,tokenward=trace,tokenward_gateway=trace,reqwest=trace,\
                      ractor=off,tokenward_sandbox=off";

/// The most that is kept of it, in bytes; what comes later is dropped and counted.
const KEPT_MAX: usize = 64 << 20;

static LOG: OnceLock<Arc<Mutex<Log>>> = OnceLock::new();

#[derive(Default)]
struct Log {
    bytes: Vec<u8>,
    dropped: usize,
}

/// Hears what is logged from its making on, by whichever test of the process.
#[derive(Debug)]
pub struct Tap {
    from: usize,
}

impl Tap {
    /// Begins to listen; the first one of a process takes its log over.
    #[must_use]
    pub fn open() -> Self {
        let from = hold(log()).bytes.len();
        Self { from }
    }

    /// Returns what was logged since.
    ///
    /// # Panics
    /// Where more was logged than is kept: a test that missed some must not pass.
    #[must_use]
    pub fn heard(&self) -> Vec<u8> {
        let log = hold(log());
        assert_eq!(log.dropped, 0, "the log of this process is too long to be kept");
        log.bytes[self.from..].to_vec()
    }
}

fn log() -> &'static Mutex<Log> {
    LOG.get_or_init(|| {
        let log = Arc::new(Mutex::new(Log::default()));
        let writer = Writer(Arc::clone(&log));
        let lines = tracing_subscriber::fmt()
            .with_env_filter(EnvFilter::new(FILTER))
            .with_span_events(FmtSpan::NEW)
            .with_ansi(false)
            .with_writer(writer);
        // Fails where the process logs elsewhere already: then there is nothing to hear.
        let _taken = lines.try_init();
        log
    })
}

#[derive(Clone)]
struct Writer(Arc<Mutex<Log>>);

impl<'a> MakeWriter<'a> for Writer {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

impl Write for Writer {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let mut log = hold(&self.0);
        if log.bytes.len() + line.len() > KEPT_MAX {
            log.dropped += line.len();
        } else {
            log.bytes.extend_from_slice(line);
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
