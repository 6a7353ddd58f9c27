//! One redis-server of our own: its port, its folder, and what may befall it.

use std::path::{Path, PathBuf};
use std::process::Command;

use tokenward_programs::child::Child;
use tokenward_programs::failure::Failure;
use tokenward_programs::port;

use crate::command;
use crate::setup::{self, Program};

/// How often a server is started on another port: a node of a cluster also listens 10,000 above its
/// port, where the kernel gives ports to everybody.
const STARTS: u32 = 4;

/// A server that can be killed and started again.
#[derive(Debug)]
pub(crate) struct Server {
    name: String,
    port: u16,
    folder: PathBuf,
    program: PathBuf,
    arguments: Vec<String>,
    child: Child,
}

impl Server {
    /// Starts a server with a folder of its own below `above`, its log and its data in it.
    ///
    /// # Errors
    /// `Unavailable` when redis-server is lacking, or does not come up.
    pub(crate) fn start(above: &Path, name: &str, settings: &[&str]) -> Result<Self, Failure> {
        let folder = above.join(name);
        std::fs::create_dir_all(&folder).map_err(|error| Failure::io("make a folder", &error))?;
        let mut tries = 1;
        loop {
            let port = port::steady()?;
            let mut arguments: Vec<String> = [
                "--port",
                &port.to_string(),
                "--bind",
                "127.0.0.1",
                "--dir",
                &folder.display().to_string(),
                "--logfile",
                "redis.log",
                // Snapshots beside the log would only take the cores that others run on.
                "--save",
                "",
            ]
            .map(str::to_owned)
            .to_vec();
            arguments.extend(settings.iter().map(|&word| word.to_owned()));
            match Self::launch(name, port, folder.clone(), arguments) {
                Err(Failure::Unavailable(_)) if tries < STARTS => tries += 1,
                started => return started,
            }
        }
    }

    /// Starts a sentinel, which rewrites the file that it is given.
    ///
    /// # Errors
    /// As [`Server::start`].
    pub(crate) fn start_sentinel(above: &Path, name: &str, watched: u16) -> Result<Self, Failure> {
        let folder = above.join(name);
        std::fs::create_dir_all(&folder).map_err(|error| Failure::io("make a folder", &error))?;
        let port = port::steady()?;
        let file = folder.join("sentinel.conf");
        let text = format!(
            "port {port}\nbind 127.0.0.1\ndir {}\nlogfile redis.log\n\
             sentinel monitor {MASTER} 127.0.0.1 {watched} 2\n\
             sentinel down-after-milliseconds {MASTER} 1500\n\
             sentinel failover-timeout {MASTER} 6000\n",
            folder.display()
        );
        std::fs::write(&file, text).map_err(|error| Failure::io("write a file", &error))?;
        let arguments = vec![file.display().to_string(), "--sentinel".to_owned()];
        Self::launch(name, port, folder, arguments)
    }

    fn launch(
        name: &str,
        port: u16,
        folder: PathBuf,
        arguments: Vec<String>,
    ) -> Result<Self, Failure> {
        let program = program()?;
        let child = spawn(name, &program, &arguments, &folder)?;
        let name = name.to_owned();
        let mut server = Self { name, port, folder, program, arguments, child };
        server.wait_until_ready()?;
        Ok(server)
    }

    /// Returns the port that it listens on.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Kills it as a power cut of its machine would, but for what the kernel has of its files.
    pub(crate) fn kill(&mut self) {
        self.child.kill();
    }

    /// Starts it again on its port, with what its folder holds.
    ///
    /// # Errors
    /// `Unavailable` when it does not come up.
    pub(crate) fn restart(&mut self) -> Result<(), Failure> {
        self.child = spawn(&self.name, &self.program, &self.arguments, &self.folder)?;
        self.wait_until_ready()
    }

    /// Stops the clock of the server alone.
    pub(crate) fn freeze(&self) {
        self.child.freeze();
    }

    /// Asks it something; the answer's lines come as redis-cli prints them.
    ///
    /// # Errors
    /// `Missed` with its words where it does not answer.
    pub(crate) fn ask(&self, words: &[&str]) -> Result<String, Failure> {
        ask(&self.name, self.port, words)
    }

    fn wait_until_ready(&mut self) -> Result<(), Failure> {
        let (name, port) = (&self.name, self.port);
        self.child.wait_until(|| ask(name, port, &["PING"]).is_ok_and(|told| told.trim() == "PONG"))
    }
}

/// Under this name the sentinels watch.
pub(crate) const MASTER: &str = "tokenward";

/// Returns redis-cli with its words for one server.
pub(super) fn cli(port: u16) -> Command {
    let mut command = Command::new("redis-cli");
    command.args(["-h", "127.0.0.1", "-p", &port.to_string()]);
    command
}

fn ask(name: &str, port: u16, words: &[&str]) -> Result<String, Failure> {
    let mut command = cli(port);
    command.args(words);
    command::told(&mut command, &format!("{name} {}", words.join(" ")))
}

fn spawn(name: &str, program: &Path, words: &[String], folder: &Path) -> Result<Child, Failure> {
    let mut command = Command::new(program);
    command.args(words).current_dir(folder);
    Child::start(name, &command, &folder.join("words.log"))
}

fn program() -> Result<PathBuf, Failure> {
    let tools = setup::programs(&[Program::Redis])?;
    let path = tools.path(Program::Redis.variable()).map(Path::to_owned);
    path.ok_or_else(|| Failure::Ours("redis-server was set up and is gone".to_owned()))
}
