//! A Redis of a test's own, which keeps what it answers.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// How often a test looks whether the server answers, and how many times at most.
const LOOK_EVERY: Duration = Duration::from_millis(20);
const LOOKS: usize = 500;

/// How many ports are tried: another process may take one in between.
const PORTS: usize = 10;

/// A server; it ends with the value.
pub(super) struct RedisServer {
    child: Option<Child>,
    directory: tempfile::TempDir,
    port: u16,
}

impl RedisServer {
    pub(super) fn start() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let mut server = Self { child: None, directory, port: 0 };
        for _ in 0..PORTS {
            let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
            server.port = free.local_addr().unwrap().port();
            drop(free);
            if server.try_run() {
                return server;
            }
        }
        panic!("no redis-server starts: run `cargo xtask setup`");
    }

    /// The configuration of a gateway that uses it.
    pub(super) fn table(&self) -> String {
        format!("[store]\nredis = \"redis://127.0.0.1:{}/\"\n", self.port)
    }

    pub(super) fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            // It may have ended by itself.
            drop(child.kill());
            child.wait().unwrap();
        }
    }

    /// Runs it again with what it has kept.
    pub(super) fn run(&mut self) {
        assert!(self.try_run(), "it starts again on its port");
    }

    fn try_run(&mut self) -> bool {
        let port = self.port.to_string();
        let child = Command::new("redis-server")
            .args(["--bind", "127.0.0.1", "--port", &port, "--save", ""])
            .args(["--appendonly", "yes", "--appendfsync", "always"])
            .arg("--dir")
            .arg(self.directory.path())
            .stdout(Stdio::null())
            .spawn();
        self.child = Some(child.expect("redis-server is there: run `cargo xtask setup`"));
        for _ in 0..LOOKS {
            if self.answers() {
                return true;
            }
            if self.child.as_mut().unwrap().try_wait().unwrap().is_some() {
                self.kill();
                return false;
            }
            std::thread::sleep(LOOK_EVERY);
        }
        false
    }

    fn answers(&self) -> bool {
        let Ok(mut socket) = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)) else {
            return false;
        };
        let mut answer = [0; 5];
        let said = socket.write_all(b"PING\r\n").and_then(|()| socket.read_exact(&mut answer));
        said.is_ok() && answer == *b"+PONG"
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        self.kill();
    }
}
