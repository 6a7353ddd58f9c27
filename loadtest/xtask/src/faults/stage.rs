//! One row's own provider, gateway and callers.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, TcpStream};
use std::sync::{Barrier, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};
use tokenward_programs::clock::{self, Watch};
use tokenward_programs::control::Control;
use tokenward_programs::failure::Failure;
use tokenward_programs::http::{Answer, Caller};

use super::outcome::{Calls, Entry, Ledger, Outcome};
use crate::stage::{self, ACCOUNTS, SAME_ORIGIN, Who};
use crate::tree::Tree;
use crate::visitor::Visitor;
use crate::world::World;

/// The life of an access token where a row wants no second exchange, in seconds.
pub(super) const LONG: u32 = 3_600;
/// How long anything is waited for that must happen: longer than a lease, and than the longest
/// pause of a breaker.
pub(super) const PATIENCE: Duration = Duration::from_secs(45);
/// How long a call may wait for its answer: the gateway answers within the patience of its policies,
/// 24 s, however often it asks its provider meanwhile.
const ANSWER_LIMIT: Duration = Duration::from_secs(30);
/// How often something is looked for.
const GAP: Duration = Duration::from_millis(10);
/// Between two calls of one caller that comes again and again.
const CALL_GAP: Duration = Duration::from_millis(50);

/// The stage.
#[derive(Debug)]
pub(super) struct Stage {
    pub(super) world: World,
    pub(super) control: Control,
    calls: Mutex<Calls>,
}

impl Stage {
    /// Starts provider and gateway; access tokens live for `life` seconds.
    ///
    /// # Errors
    /// `Unavailable` when one does not come up.
    pub(super) fn open(tree: &Tree, name: &str, life: u32) -> Result<Self, Failure> {
        let world = stage::start(tree, &format!("faults-{name}"), life, |_| String::new())?;
        let control = world.control();
        Ok(Self { world, control, calls: Mutex::default() })
    }

    /// Makes sessions whose access tokens have all run out.
    ///
    /// # Errors
    /// `Ours` when sandbox or gateway refuse.
    pub(super) fn sessions(&self, count: u32) -> Result<Vec<Who>, Failure> {
        let programs = stage::programs(&self.world, count)?;
        self.control.delete("ledger")?;
        Ok(programs)
    }

    /// Lets the session exchange once, for another API than the row is about: a gateway that has been
    /// at work knows how long its provider takes. What was seen so far is forgotten.
    ///
    /// # Errors
    /// `Missed` where that did not work.
    pub(super) fn warm_up(&self, who: &Who) -> Result<(), Failure> {
        self.until_served(who, ACCOUNTS)?;
        *self.calls() = Calls::default();
        self.control.delete("ledger")
    }

    /// Signs somebody in with a browser.
    ///
    /// # Errors
    /// `Ours` where the sign-in got stuck.
    pub(super) fn browser(&self, login: &str) -> Result<Who, Failure> {
        let mut visitor = Visitor::new(&self.world.origin());
        visitor.sign_in(login).map_err(Failure::Ours)?;
        Ok(Who::with(&visitor))
    }

    /// Arms a fault.
    ///
    /// # Errors
    /// `Ours` with the sandbox's words.
    pub(super) fn arm(&self, fault: &Value) -> Result<(), Failure> {
        self.control.post("faults", fault).map(drop)
    }

    /// Changes the tenant.
    ///
    /// # Errors
    /// `Ours` with the sandbox's words.
    pub(super) fn tenant(&self, patch: &Value) -> Result<(), Failure> {
        self.control.post("tenant", patch).map(drop)
    }

    /// Plugs the provider into the network, or out of it.
    ///
    /// # Errors
    /// `Ours` with the sandbox's words.
    pub(super) fn network(&self, up: bool) -> Result<(), Failure> {
        self.control.post("network", &json!({ "up": up })).map(drop)
    }

    /// Calls an API once; the answer counts.
    pub(super) fn call(&self, who: &Who, path: &str) -> Result<Answer, String> {
        let watch = Watch::start();
        let answer = self.ask(who, path);
        self.calls().hear(&answer, watch.elapsed());
        answer
    }

    /// Calls an API once, and expects a status and a word in the answer's body; anything else is a
    /// failed call.
    pub(super) fn refused(&self, who: &Who, path: &str, status: u16, word: &str) {
        match self.ask(who, path) {
            Ok(answer) if answer.status == status && answer.body.contains(word) => {}
            Ok(answer) => self.calls().fail(format!("{path} answered {}", answer.status)),
            Err(why) => self.calls().fail(why),
        }
    }

    /// Calls an API from so many callers at the same time; all answers count.
    pub(super) fn at_once(&self, who: &[&Who], path: &str, callers: usize) {
        let start = Barrier::new(callers);
        thread::scope(|scope| {
            for caller in 0..callers {
                let (start, who) = (&start, who[caller % who.len()]);
                scope.spawn(move || {
                    start.wait();
                    // Counted where it is heard.
                    let _ = self.call(who, path);
                });
            }
        });
    }

    /// Calls an API again and again until it answers 200; says how long that took. All answers count.
    ///
    /// # Errors
    /// `Missed` when it did not in time.
    pub(super) fn until_served(&self, who: &Who, path: &str) -> Result<Duration, Failure> {
        let watch = Watch::start();
        let served = || self.call(who, path).is_ok_and(|answer| answer.status == 200).then_some(());
        clock::poll(PATIENCE, CALL_GAP, served).ok_or_else(|| {
            let waited = PATIENCE.as_secs();
            Failure::Missed(format!("{path} was not served again within {waited} s"))
        })?;
        Ok(watch.elapsed())
    }

    /// Waits as [`Stage::until_served`] does for what takes a minute, without counting the answers.
    ///
    /// # Errors
    /// `Missed` when it did not in time.
    pub(super) fn until_served_late(&self, who: &Who, path: &str) -> Result<Duration, Failure> {
        let watch = Watch::start();
        let served = || self.ask(who, path).is_ok_and(|answer| answer.status == 200).then_some(());
        let never = || Failure::Missed(format!("{path} was never served again"));
        clock::poll(2 * PATIENCE, CALL_GAP, served).ok_or_else(never)?;
        Ok(watch.elapsed())
    }

    /// Calls an API again and again for so long. All answers count.
    pub(super) fn call_for(&self, time: Duration, who: &Who, path: &str) {
        let watch = Watch::start();
        while watch.elapsed() < time {
            // Counted where it is heard.
            let _ = self.call(who, path);
            thread::sleep(CALL_GAP);
        }
    }

    /// Sends a POST to the gateway as a page of its own would.
    ///
    /// # Errors
    /// The transport's words when no answer came.
    pub(super) fn post(&self, who: &Who, path: &str) -> Result<Answer, String> {
        let headers = [who.header(), ("accept", "application/json"), SAME_ORIGIN];
        Caller::new().post_form(&format!("{}{path}", self.world.origin()), &headers, &[])
    }

    /// Opens a connection of its own and sends a request on it, without waiting for the answer.
    ///
    /// # Errors
    /// `Unavailable` when the gateway cannot be reached.
    pub(super) fn line(&self, who: &Who, path: &str) -> Result<Line, Failure> {
        let gone = |error| Failure::io("reach the gateway", &error);
        let port = self.world.port();
        let mut socket = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).map_err(gone)?;
        let (name, value) = who.header();
        let request = format!(
            "GET {path} HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\nconnection: close\r\n{name}: {value}\r\n\r\n"
        );
        socket.write_all(request.as_bytes()).map_err(gone)?;
        Ok(Line { socket })
    }

    /// Returns the provider's sums.
    ///
    /// # Errors
    /// `Ours` when the ledger is out of reach.
    pub(super) fn ledger(&self) -> Result<Ledger, Failure> {
        let sums = self.control.read("ledger/summary")?;
        serde_json::from_value(sums).map_err(|error| Failure::Ours(error.to_string()))
    }

    /// Returns the provider's ledger, in order.
    ///
    /// # Errors
    /// `Ours` when it is out of reach.
    pub(super) fn entries(&self) -> Result<Vec<Entry>, Failure> {
        let page = self.control.read("ledger?since=0")?;
        serde_json::from_value(page["events"].clone())
            .map_err(|error| Failure::Ours(error.to_string()))
    }

    /// Waits until the provider's ledger shows something.
    ///
    /// # Errors
    /// `Missed` when it does not in time.
    pub(super) fn until(&self, what: &str, shows: impl Fn(&Ledger) -> bool) -> Result<(), Failure> {
        let looked = || self.ledger().is_ok_and(|ledger| shows(&ledger)).then_some(());
        let never = || Failure::Missed(format!("it never came to pass that {what}"));
        clock::poll(PATIENCE, GAP, looked).ok_or_else(never)
    }

    /// Takes what has been seen so far, and then proves that these sessions live: each must get an
    /// access token by one more exchange.
    ///
    /// # Errors
    /// `Missed` where one does not.
    pub(super) fn outcome(&self, living: &[&Who], path: &str) -> Result<Outcome, Failure> {
        let ledger = self.ledger()?;
        let calls = self.calls().clone();
        for who in living {
            self.until_served(who, path)?;
        }
        let after = self.ledger()?;
        let ledger = Ledger {
            reuse_detected: after.reuse_detected,
            families_revoked: after.families_revoked,
            max_concurrent_per_family: after.max_concurrent_per_family,
            ..ledger
        };
        let exchanged = after.refreshes >= ledger.refreshes + living.len() as u64;
        let (remark, broken) = (String::new(), Vec::new());
        let outcome = Outcome { calls, ledger, lived: "live", remark, broken };
        Ok(outcome.judged().must(living.is_empty() || exchanged, |_| {
            "the sessions were not exchanged once more, which was to prove that they live"
                .to_owned()
        }))
    }

    /// Calls an API without counting the answer.
    ///
    /// # Errors
    /// The transport's words when no answer came.
    pub(super) fn ask(&self, who: &Who, path: &str) -> Result<Answer, String> {
        let url = format!("{}{path}", self.world.origin());
        Caller::patient(ANSWER_LIMIT).fetch(&url, &[who.header()])
    }

    fn calls(&self) -> MutexGuard<'_, Calls> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A connection of its own. Dropping it closes it.
#[derive(Debug)]
pub(super) struct Line {
    socket: TcpStream,
}

impl Line {
    /// Waits for the first bytes of the answer.
    ///
    /// # Errors
    /// `Missed` when there are none.
    pub(super) fn begins(&mut self) -> Result<(), Failure> {
        let mut first = [0; 12];
        let read = self.patient().and_then(|()| self.socket.read_exact(&mut first));
        read.map_err(|error| Failure::Missed(format!("no answer began: {error}")))?;
        match &first {
            b"HTTP/1.1 200" => Ok(()),
            other => Err(Failure::Missed(format!(
                "the stream began with {}",
                String::from_utf8_lossy(other)
            ))),
        }
    }

    /// Tells whether the gateway closes it, however much it says before.
    pub(super) fn closes(mut self) -> bool {
        let mut piece = [0; 4_096];
        if self.patient().is_err() {
            return false;
        }
        loop {
            match self.socket.read(&mut piece) {
                Ok(0) => return true,
                Ok(_) => {}
                // A reset closes it, too; a silence does not.
                Err(error) => return error.kind() == std::io::ErrorKind::ConnectionReset,
            }
        }
    }

    fn patient(&self) -> std::io::Result<()> {
        self.socket.set_read_timeout(Some(PATIENCE))
    }
}
