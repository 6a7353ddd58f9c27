//! The program itself, unmodified, with its real system calls on a `/dev/i2c-1` that is not there.

use std::fs::{self, File};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use rqrr::PreparedImage;
use tempfile::TempDir;
use tokenward_bus::{Adapter, Chip as Hung, Harness, Lines, Nack, Node, Wanted, Wire};

use crate::panel::chip::{Chip, Kind};
use crate::panel::rig::Peer as _;

const NODE: &str = "/dev/i2c-1";
const ADDRESS: u16 = 0x3c;

/// How long anything may take that takes a few seconds on an idle machine: the program itself waits
/// up to 10 s between its attempts here, and builds may run beside it.
const PATIENCE: Duration = Duration::from_secs(120);

/// Between two looks.
const GAP: Duration = Duration::from_millis(50);

/// The code that the gateway here gives to everybody, and never lets anybody use. Its link is so
/// long that letters and picture take turns at each question, once a second.
const LINK: &str = "https://acme.eu.auth0.com/activate?user_code=WDJB-MJHT";
const CODE: &str = "{\"device_code\":\"d\",\"user_code\":\"WDJB-MJHT\",\
    \"verification_uri\":\"https://acme.eu.auth0.com/activate\",\
    \"verification_uri_complete\":\"https://acme.eu.auth0.com/activate?user_code=WDJB-MJHT\",\
    \"expires_in\":900,\"interval\":1}";
const PENDING: &str = "{\"error\":\"authorization_pending\"}";
const DENIED: &str = "{\"error\":\"access_denied\"}";

/// Where the button is.
const LINE: u32 = 17;

#[test]
fn a_phone_reads_the_code_off_the_glass() {
    let wall = Wall::new();
    let mut display = wall.start();
    wall.shows_the_code();
    let id = Pid::from_raw(display.id().try_into().unwrap());
    kill(id, Signal::SIGTERM).unwrap();
    assert!(display.child().wait().unwrap().success());
    assert_eq!(wall.glass().seen().lit_count(), 0, "a display that ends leaves no picture");
    assert_eq!(wall.glass().unknown, [0; 0], "the chip knows every command");
}

#[test]
fn a_panel_that_comes_late_is_lit() {
    let wall = Wall::new();
    wall.adapter.set_wire(Wire::Cut);
    let _display = wall.start();
    assert!(wall.adapter.wait_until(PATIENCE, |ledger| ledger.nacks >= 2));
    wall.adapter.set_wire(Wire::Sound);
    wall.shows_the_code();
}

#[test]
fn a_wire_that_breaks_in_the_midst_of_a_picture_heals() {
    let wall = Wall::new();
    wall.adapter.set_wire(Wire::BreaksAfter(500));
    let _display = wall.start();
    assert!(wall.adapter.wait_until(PATIENCE, |ledger| ledger.nacks >= 1));
    // Who plugs a panel in again has taken its power away, too.
    wall.glass().power_cycle();
    wall.adapter.set_wire(Wire::Sound);
    wall.shows_the_code();
}

#[test]
fn an_adapter_that_goes_and_comes_back_is_opened_anew() {
    let wall = Wall::new();
    let _display = wall.start();
    wall.shows_the_code();
    wall.adapter.set_node(Node::Missing);
    wall.glass().power_cycle();
    assert!(wall.adapter.wait_until(PATIENCE, |ledger| ledger.refused >= 1));
    wall.adapter.set_node(Node::Present);
    wall.shows_the_code();
}

#[test]
fn a_slow_bus_shows_the_same() {
    let wall = Wall::new();
    wall.adapter.set_hertz(100_000);
    let _display = wall.start();
    wall.shows_the_code();
}

#[test]
fn two_threads_carry_the_display_and_nothing_new_is_written_down() {
    let wall = Wall::new();
    let display = wall.start();
    wall.shows_the_code();
    let threads = fs::read_dir(format!("/proc/{}/task", display.id())).unwrap().count();
    assert_eq!(threads, 2, "the loop and the panel");
    // Questions go on; only the lock lies in the folder.
    let asked = wall.asked.load(Ordering::Relaxed);
    wall.until(|| wall.asked.load(Ordering::Relaxed) >= asked + 5);
    let state = fs::read_dir(wall.folder.path().join("state")).unwrap();
    let names: Vec<_> = state.map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names, ["lock"]);
}

#[test]
fn systemd_hears_of_the_start_and_the_journal_of_a_pulled_wire_at_once() {
    let wall = Wall::new();
    wall.adapter.set_wire(Wire::Cut);
    let socket = wall.folder.path().join("notify");
    let system = UnixDatagram::bind(&socket).unwrap();
    system.set_read_timeout(Some(PATIENCE)).unwrap();
    let display = wall.harness_with("run", |command| {
        command.env("NOTIFY_SOCKET", &socket);
    });
    let mut told = [0; 64];
    let length = system.recv(&mut told).unwrap();
    assert_eq!(told[..length].trim_ascii(), b"READY=1");
    // After the first attempt it waits one second, and then two, and a beat is a minute.
    assert!(wall.adapter.wait_until(PATIENCE, |ledger| ledger.nacks >= 3));
    assert!(wall.log().contains("errno 121)"), "{}", wall.log());
    drop(display);
}

#[test]
fn a_button_asks_a_display_to_go_on_that_waits_for_a_person() {
    let wall = Wall::answering(DENIED);
    wall.lines.set_node(Node::Present);
    let _display = wall.start();
    let wanted = wall.lines.wait_for(LINE, PATIENCE).unwrap();
    // An input, low when it is pressed, pulled up, told of when it becomes active.
    assert_eq!(wanted, Wanted { flags: 4 | 2 | 256 | 16, debounce_us: 20_000 });
    // A code, and a no: from then on nothing is asked.
    let asked = || wall.asked.load(Ordering::Relaxed);
    wall.until(|| wall.log().contains("the sign-in was refused"));
    assert_eq!(asked(), 2);
    for presses in 1..=2 {
        wall.lines.press(LINE).unwrap();
        wall.until(|| asked() == 2 + 2 * presses);
    }
}

#[test]
fn a_button_that_cannot_be_had_is_told_and_stops_nothing() {
    let wall = Wall::new();
    wall.lines.set_node(Node::Denied);
    let _display = wall.start();
    wall.shows_the_code();
    assert!(wall.log().contains("errno 13); add the user to the group gpio"), "{}", wall.log());
}

#[test]
fn check_names_each_fault_and_its_remedy() {
    let says = |set: fn(&Adapter), words: &[&str]| {
        let wall = Wall::new();
        set(&wall.adapter);
        wall.lines.set_node(Node::Present);
        let (code, said) = wall.check();
        let line = said.lines().find(|line| line.contains("panel")).unwrap_or_default();
        for word in words {
            assert!(line.contains(word), "{word:?} is not in: {said}");
        }
        assert_eq!(code == Some(69), line.starts_with("NO"), "{said}");
    };
    says(|_| (), &["ok", "0x3c"]);
    says(|bus| bus.set_node(Node::Missing), &["NO", "errno 2)", "dtparam=i2c_arm=on"]);
    says(|bus| bus.set_node(Node::Denied), &["NO", "errno 13)", "group i2c"]);
    says(|bus| bus.set_wire(Wire::Cut), &["NO", "errno 121)", "wires"]);
    says(|bus| bus.set_smbus_only(true), &["NO", "errno 95)", "plain I2C"]);
    let owned = |bus: &Adapter| {
        bus.set_owned(0x3c, true);
        bus.set_owned(0x3d, true);
    };
    says(owned, &["NO", "errno 16)", "dtoverlay"]);
    let (_, said) = Wall::new().check();
    let line = said.lines().find(|line| line.contains("button")).unwrap();
    assert!(line.starts_with("NO") && line.contains("errno 2); `gpiodetect`"), "{said}");
}

/// A display's surroundings: an adapter with a panel, a gateway, a configuration.
struct Wall {
    adapter: Adapter,
    lines: Lines,
    chip: Arc<Mutex<Chip>>,
    /// How often the gateway was asked anything.
    asked: Arc<AtomicU64>,
    folder: TempDir,
}

/// The chip's model on the adapter's wires.
struct Glass(Arc<Mutex<Chip>>);

impl Hung for Glass {
    fn write(&mut self, bytes: &[u8]) -> Result<(), Nack> {
        let mut chip = self.0.lock().unwrap();
        for (at, byte) in bytes.iter().enumerate() {
            chip.take(*byte, at == 0);
        }
        Ok(())
    }

    fn read(&mut self, buffer: &mut [u8]) -> Result<(), Nack> {
        let chip = self.0.lock().unwrap();
        buffer.fill(chip.answer().ok_or(Nack(0))?);
        Ok(())
    }
}

impl Wall {
    fn new() -> Self {
        Self::answering(PENDING)
    }

    /// Makes surroundings whose gateway answers whether a person has used the code.
    fn answering(whether: &'static str) -> Self {
        let chip = Arc::new(Mutex::new(Chip::new(Kind::Ssd1306, 64)));
        let adapter = Adapter::default().with(ADDRESS, Glass(Arc::clone(&chip)));
        let folder = tempfile::tempdir().unwrap();
        let asked = Arc::default();
        let text = format!(
            "gateway = \"http://127.0.0.1:{}\"\ncontent = \"/api/quote\"\nstate_dir = \"{}\"\n\
             [panel]\nbus = \"{NODE}\"\n[button]\nline = {LINE}\n",
            gateway(&asked, whether),
            folder.path().join("state").display()
        );
        fs::write(folder.path().join("device.toml"), text).unwrap();
        Self { adapter, lines: Lines::default(), chip, asked, folder }
    }

    fn start(&self) -> Harness {
        self.harness("run")
    }

    fn check(&self) -> (Option<i32>, String) {
        let mut program = self.harness("check");
        let code = program.child().wait().unwrap().code();
        (code, self.log())
    }

    fn harness(&self, what: &str) -> Harness {
        self.harness_with(what, |_| ())
    }

    fn harness_with(&self, what: &str, prepare: impl FnOnce(&mut Command)) -> Harness {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tokenward-device"));
        command.args([what, "--config"]).arg(self.folder.path().join("device.toml"));
        prepare(&mut command);
        let log = File::create(self.folder.path().join("log")).unwrap();
        let parts = (&self.adapter, &self.lines);
        Harness::start_with_lines(&command, Path::new(NODE), parts, &log).unwrap()
    }

    /// Waits until something is so.
    fn until(&self, is_so: impl Fn() -> bool) {
        for _ in 0..PATIENCE.as_millis() / GAP.as_millis() {
            if is_so() {
                return;
            }
            thread::sleep(GAP);
        }
        panic!("{:?}", self.log());
    }

    fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap()
    }

    fn glass(&self) -> std::sync::MutexGuard<'_, Chip> {
        self.chip.lock().unwrap()
    }

    /// Waits until a phone reads the link off the glass; looks again after each message.
    fn shows_the_code(&self) {
        let mut messages = self.adapter.ledger().messages;
        while !self.reads().iter().any(|link| link.eq_ignore_ascii_case(LINK)) {
            let moved = self.adapter.wait_until(PATIENCE, |ledger| ledger.messages > messages);
            assert!(moved, "no more messages; it said: {}", self.log());
            messages = self.adapter.ledger().messages;
        }
    }

    /// Reads codes off the glass as a camera sees it: each dot a few pixels, in a dark room.
    fn reads(&self) -> Vec<String> {
        const DOT: usize = 3;
        const RIM: usize = 8 * DOT;
        let seen = self.glass().seen();
        let (width, height) = (128 * DOT + 2 * RIM, 64 * DOT + 2 * RIM);
        let mut image = PreparedImage::prepare_from_greyscale(width, height, |x, y| {
            let at = |dot: usize| dot.checked_sub(RIM).map_or(-1, |dot| (dot / DOT) as i32);
            if seen.lit(at(x), at(y)) { 220 } else { 20 }
        });
        let grids = image.detect_grids();
        grids.iter().filter_map(|grid| grid.decode().ok()).map(|(_, link)| link).collect()
    }
}

/// Starts a gateway that gives out one code, and always says the same of it; returns its port. It
/// ends with the test.
fn gateway(asked: &Arc<AtomicU64>, whether: &'static str) -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    let asked = Arc::clone(asked);
    thread::spawn(move || {
        for caller in listener.incoming().flatten() {
            let asked = Arc::clone(&asked);
            thread::spawn(move || answer(&caller, &asked, whether));
        }
    });
    port
}

/// Answers every request of a connection.
fn answer(caller: &TcpStream, asked: &AtomicU64, whether: &str) -> Option<()> {
    let mut reader = BufReader::new(caller);
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok().filter(|length| *length > 0)?;
        let (mut header, mut length) = (String::new(), 0);
        while reader.read_line(&mut header).ok()? > 2 {
            let lower = header.to_ascii_lowercase();
            let found = lower.strip_prefix("content-length:").map(|text| text.trim().parse());
            length = found.and_then(Result::ok).unwrap_or(length);
            header.clear();
        }
        reader.by_ref().take(length).read_to_end(&mut Vec::new()).ok()?;
        asked.fetch_add(1, Ordering::Relaxed);
        let (status, body) = match line.split(' ').nth(1)? {
            "/auth/device/code" => ("200 OK", CODE),
            "/auth/device/token" => ("400 Bad Request", whether),
            _ => ("401 Unauthorized", "{\"error\":\"login_required\"}"),
        };
        let reply = format!(
            "HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );
        (&*caller).write_all(reply.as_bytes()).ok()?;
    }
}
