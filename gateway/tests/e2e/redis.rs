//! A redis-server of a test's own.

use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;

use super::program::{PATIENCE, Program, eventually, free_port, tool};

/// A server that keeps what it has for as long as it runs.
pub(super) struct RedisServer {
    pub(super) port: u16,
    _program: Program,
}

impl RedisServer {
    pub(super) async fn start() -> Self {
        let port = free_port();
        let program = Program::start(&tool("REDIS_SERVER"), |command| {
            let at = port.to_string();
            command.args(["--bind", "127.0.0.1", "--port", &at, "--save", ""]);
            command.args(["--loglevel", "warning"]);
        });
        eventually("redis-server listens", PATIENCE, async || {
            TcpStream::connect(("127.0.0.1", port)).await.ok()
        })
        .await;
        Self { port, _program: program }
    }

    /// Returns the table that names it in a gateway's file.
    pub(super) fn table(&self) -> String {
        table(self.port)
    }
}

/// Returns the table of a server on this port.
pub(super) fn table(port: u16) -> String {
    format!("[store]\nredis = \"redis://127.0.0.1:{port}/\"\n")
}

/// Counts the keys that the server on this port has.
pub(super) async fn keys(port: u16) -> u64 {
    let mut stream = BufReader::new(TcpStream::connect(("127.0.0.1", port)).await.unwrap());
    stream.write_all(b"DBSIZE\r\n").await.unwrap();
    let mut line = String::new();
    stream.read_line(&mut line).await.unwrap();
    line.trim().trim_start_matches(':').parse().unwrap()
}
