//! A real Redis of a test's own: its port, its directory, its end.
#![expect(clippy::expect_used, reason = "a step of a story that fails ends the story")]

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

use tempfile::TempDir;
use tokenward::store::redis::RedisSettings;

/// How often a test looks whether the server answers, and for how long at most.
const LOOK_EVERY: Duration = Duration::from_millis(20);
const LOOKS: usize = 500;

/// How many ports are tried: another process may take one in between.
const PORTS: usize = 10;

/// A server; it ends with the value.
pub(crate) struct RedisServer {
    child: Option<Child>,
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
        let arguments = arguments.iter().map(ToString::to_string).collect();
        let mut server = Self { child: None, dir, port: 0, arguments };
        for _ in 0..PORTS {
            let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
            server.port = free.local_addr().expect("bound").port();
            drop(free);
            if server.try_run() {
                return server;
            }
        }
        panic!("no redis-server starts: run `cargo xtask setup`");
    }

    pub(crate) fn settings(&self) -> RedisSettings {
        RedisSettings::parse(&format!("redis://127.0.0.1:{}/", self.port)).expect("a place")
    }

    /// Kills it as a power cut of the process would.
    pub(crate) fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().expect("killed");
            child.wait().expect("reaped");
        }
    }

    /// Starts it again where it was, with what it has kept.
    pub(crate) fn run(&mut self) {
        assert!(self.try_run(), "it starts again");
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

    fn try_run(&mut self) -> bool {
        let port = self.port.to_string();
        let command = Command::new("redis-server")
            .args(["--bind", "127.0.0.1", "--port", &port, "--save", "", "--loglevel", "warning"])
            .arg("--dir")
            .arg(self.dir.path())
            .args(&self.arguments)
            .stdout(Stdio::null())
            .spawn();
        self.child = Some(command.expect("redis-server is there: run `cargo xtask setup`"));
        for _ in 0..LOOKS {
            let up = |answer: String| answer.starts_with("+PONG") || answer.starts_with("-NOAUTH");
            if self.try_say("PING").is_ok_and(up) {
                return true;
            }
            let child = self.child.as_mut().expect("started");
            if child.try_wait().expect("asked").is_some() {
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
