//! A real Redis of a test's own: its port, its directory, its end.
#![expect(clippy::expect_used, reason = "a step of a story that fails ends the story")]

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

use tempfile::TempDir;
use tokenward::store::redis::{Password, RedisSettings};

/// How often a test looks whether the server answers, and for how long at most.
const LOOK_EVERY: Duration = Duration::from_millis(20);
const LOOKS: usize = 500;

/// Where a server keeps its append-only file, in its directory.
const LOG: &str = "appendonlydir";

/// How many ports are tried: another process may take one in between.
const PORTS: usize = 10;

/// What the manual has an operator give the gateway's user.
pub(crate) const RULES: &str = "~{tw:* ~{tw}* &tw:* +@read +@write +@scripting +@connection +@pubsub \
                                +time +info +cluster";

/// A server; it ends with the value.
pub(crate) struct RedisServer {
    child: Option<Child>,
    /// Kills the server when this process ends without having done so: a static is never dropped,
    /// and what is left over would keep the pipes of whoever reads a test's words.
    warden: Option<Child>,
    dir: TempDir,
    port: u16,
    arguments: Vec<String>,
}

impl RedisServer {
    /// Starts one that keeps what it answers.
    pub(crate) fn start() -> Self {
        Self::start_with(&["--appendonly", "yes", "--appendfsync", "always"])
    }

    pub(crate) fn start_with(arguments: &[&str]) -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let mut all: Vec<String> = ["--save", ""].map(str::to_owned).to_vec();
        all.extend(arguments.iter().map(ToString::to_string));
        Self::on_a_free_port(dir, all)
    }

    fn on_a_free_port(dir: TempDir, arguments: Vec<String>) -> Self {
        let mut server = Self { child: None, warden: None, dir, port: 0, arguments };
        for _ in 0..PORTS {
            server.port = free_port();
            if server.try_run(is_up) {
                return server;
            }
        }
        panic!("no redis-server starts: run `cargo xtask setup`");
    }

    /// Starts one that follows `master`.
    pub(crate) fn replica_of(master: &Self) -> Self {
        let port = master.port.to_string();
        Self::start_with(&["--replicaof", "127.0.0.1", &port, "--appendonly", "yes"])
    }

    /// Starts a Sentinel that watches over `master` as "main".
    pub(crate) fn sentinel_of(master: &Self) -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let file = dir.path().join("sentinel.conf");
        let watched = master.port;
        let text = format!(
            "sentinel monitor main 127.0.0.1 {watched} 1\n\
             sentinel down-after-milliseconds main 500\n\
             sentinel failover-timeout main 2000\n"
        );
        std::fs::write(&file, text).expect("written");
        let arguments = vec![file.display().to_string(), "--sentinel".to_owned()];
        Self::on_a_free_port(dir, arguments)
    }

    /// Starts a cluster of three.
    pub(crate) fn cluster() -> [Self; 3] {
        let nodes = [(); 3].map(|()| {
            // Beside the port of the node itself: plus 10,000 there may be none.
            let bus = free_port().to_string();
            Self::start_with(&["--cluster-enabled", "yes", "--cluster-port", &bus])
        });
        let listed: Vec<String> =
            nodes.iter().map(|node| format!("127.0.0.1:{}", node.port)).collect();
        let arguments: Vec<&str> = listed.iter().map(String::as_str).collect();
        let create = [&["--cluster", "create"], &arguments[..], &["--cluster-yes"]].concat();
        run_cli(&create);
        for node in &nodes {
            let joined = || node.say("CLUSTER INFO").contains("cluster_state:ok");
            assert!((0..LOOKS).any(|_| joined() || wait()), "the cluster comes together");
        }
        nodes
    }

    /// Moves slots of this node of a cluster to another, while it is used.
    pub(crate) fn move_slots(&self, to: &Self, slots: u32) {
        let id = |node: &Self| {
            let answer = node.say("CLUSTER MYID");
            answer.lines().nth(1).expect("an id").trim().to_owned()
        };
        let (from, to, slots) = (id(self), id(to), slots.to_string());
        let at = format!("127.0.0.1:{}", self.port);
        run_cli(&[
            "--cluster",
            "reshard",
            &at,
            "--cluster-from",
            &from,
            "--cluster-to",
            &to,
            "--cluster-slots",
            &slots,
            "--cluster-yes",
        ]);
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    pub(crate) fn settings(&self) -> RedisSettings {
        RedisSettings::parse(&format!("redis://127.0.0.1:{}/", self.port)).expect("a place")
    }

    /// Gives a user these rights; returns how it enters.
    pub(crate) fn admit(&self, user: &str, rules: &str) -> RedisSettings {
        let password = format!("s3cret-{user}");
        assert_eq!(self.say(&format!("ACL SETUSER {user} on >{password} {rules}")), "+OK\r\n");
        let (username, password) = (Some(user.to_owned()), Some(Password::new(&password)));
        RedisSettings { username, password, ..self.settings() }
    }

    /// Copies what it has kept.
    pub(crate) fn copy(&self) -> TempDir {
        let copy = tempfile::tempdir().expect("a directory");
        copy_files(&self.dir.path().join(LOG), copy.path());
        copy
    }

    /// Starts it again with what a copy has, and leaves it while it loads that.
    pub(crate) fn run_loading(&mut self, copy: &TempDir) {
        let log = self.dir.path().join(LOG);
        std::fs::remove_dir_all(&log).and_then(|()| std::fs::create_dir(&log)).expect("emptied");
        copy_files(copy.path(), &log);
        let loads = |answer: &str| answer.starts_with("-LOADING");
        assert!(self.try_run(loads), "it takes its time");
    }

    /// Kills it as a power cut of the process would.
    pub(crate) fn kill(&mut self) {
        // The warden first: it knows a number, which could be another's once the server is reaped.
        for mut child in self.warden.take().into_iter().chain(self.child.take()) {
            child.kill().expect("killed");
            child.wait().expect("reaped");
        }
    }

    /// Starts it again where it was, with what it has kept.
    pub(crate) fn run(&mut self) {
        assert!(self.try_run(is_up), "it starts again");
    }

    /// Throws everything away.
    pub(crate) fn empty(&self) {
        assert_eq!(self.say("FLUSHALL"), "+OK\r\n");
    }

    /// Says one line to it; returns what it answers at once.
    pub(crate) fn say(&self, line: &str) -> String {
        self.try_say(line).expect("it answers")
    }

    fn try_say(&self, line: &str) -> std::io::Result<String> {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port))?;
        stream.write_all(format!("{line}\r\n").as_bytes())?;
        let mut answer = vec![0; 64 * 1024];
        let length = stream.read(&mut answer)?;
        Ok(String::from_utf8_lossy(&answer[..length]).into_owned())
    }

    fn try_run(&mut self, is_there: fn(&str) -> bool) -> bool {
        let port = self.port.to_string();
        // Whoever set up the machine may have named another.
        let program = std::env::var_os("REDIS_SERVER").unwrap_or_else(|| "redis-server".into());
        let command = Command::new(program)
            .args(&self.arguments)
            .args(["--bind", "127.0.0.1", "--port", &port, "--loglevel", "warning"])
            .arg("--dir")
            .arg(self.dir.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        let child = command.expect("redis-server is there: run `cargo xtask setup`");
        self.warden = Some(warden_of(&child));
        self.child = Some(child);
        for _ in 0..LOOKS {
            if self.try_say("PING").is_ok_and(|answer| is_there(&answer)) {
                return true;
            }
            let child = self.child.as_mut().expect("started");
            if child.try_wait().expect("asked").is_some() {
                self.kill();
                return false;
            }
            sleep(LOOK_EVERY);
        }
        false
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        self.kill();
    }
}

fn is_up(answer: &str) -> bool {
    answer.starts_with("+PONG") || answer.starts_with("-NOAUTH")
}

fn copy_files(from: &Path, to: &Path) {
    for file in from.read_dir().expect("it is there") {
        let file = file.expect("readable");
        std::fs::copy(file.path(), to.join(file.file_name())).expect("copied");
    }
}

/// Starts what kills `server` when our end of its pipe is closed, however this process ends.
fn warden_of(server: &Child) -> Child {
    let command = Command::new("sh")
        .args(["-c", "cat; kill -9 \"$0\"", &server.id().to_string()])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
    command.expect("a shell")
}

pub(crate) fn free_port() -> u16 {
    let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    free.local_addr().expect("bound").port()
}

fn run_cli(arguments: &[&str]) {
    let output = Command::new("redis-cli").args(arguments).output().expect("redis-cli is there");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
}

/// Waits until it is worth looking again.
fn wait() -> bool {
    sleep(LOOK_EVERY);
    false
}
