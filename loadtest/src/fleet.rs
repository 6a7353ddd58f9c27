//! The programs under load, as real processes: a sandbox, one gateway or several, and Redis where
//! they share sessions.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::json;
use tokenward_programs::child::Child;
use tokenward_programs::failure::Failure;
use tokenward_programs::gateway;
use tokenward_programs::http::Caller;
use tokenward_programs::port;
use tokenward_programs::sandbox;

use self::files::Addresses;
use crate::plan::{Plan, Store};

pub use self::control::Control;
pub use self::sign_in::{Session, sign_in};

mod control;
mod files;
mod sign_in;

/// Sessions on a page of a gateway's list: the most that it gives.
const LISTED: u32 = 200;
/// What the sample APIs forgive beyond a token's end, in seconds: a token that is served too late
/// must show in the API's answer, rather than be refused there and replaced on the way.
const API_LEEWAY_S: u64 = 3_600;

/// Where the programs are.
#[derive(Clone, Debug)]
pub struct Programs {
    folder: PathBuf,
    apart: bool,
}

/// The running programs.
#[derive(Debug)]
pub struct Fleet {
    gateways: Vec<Gateway>,
    sandbox: Child,
    redis: Option<Child>,
    addresses: Addresses,
    programs: Programs,
    /// Removed with everything in it when the fleet is gone.
    folder: tempfile::TempDir,
}

#[derive(Debug)]
struct Gateway {
    child: Child,
    port: u16,
    admin: u16,
    folder: PathBuf,
}

impl Programs {
    /// Looks for the programs in a folder, or beside this one.
    ///
    /// # Errors
    /// `Unavailable` when they are not there.
    pub fn find(folder: Option<&Path>, apart: bool) -> Result<Self, Failure> {
        let folder = match folder {
            Some(folder) => folder.to_owned(),
            None => env::current_exe()
                .ok()
                .and_then(|program| program.parent().map(Path::to_owned))
                .ok_or_else(|| Failure::Unavailable("this program has no folder".to_owned()))?,
        };
        for program in [GATEWAY, SANDBOX] {
            if !folder.join(program).is_file() {
                return Err(Failure::Unavailable(format!(
                    "{program} is not beside this program: build it with `cargo build --release \
                     --bins`, or say where it is with --programs"
                )));
            }
        }
        Ok(Self { folder, apart })
    }

    /// Returns what the gateway says when asked for its version.
    #[must_use]
    pub fn version(&self) -> String {
        let said = Command::new(self.folder.join(GATEWAY)).arg("--version").output();
        let said = said.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned());
        let profile = match self.folder.file_name().and_then(|name| name.to_str()) {
            Some("debug") => " (not optimised)",
            Some(_) | None => "",
        };
        said.unwrap_or_else(|_| "unknown".to_owned()) + profile
    }

    /// Tells whether gateways are kept on a core of their own.
    #[must_use]
    pub const fn are_apart(&self) -> bool {
        self.apart
    }

    fn command(&self, program: &str) -> Command {
        let program_path = self.folder.join(program);
        if !self.apart {
            return Command::new(program_path);
        }
        let mut command = Command::new("taskset");
        let cores = if program == GATEWAY { FIRST_CORE.to_owned() } else { other_cores() };
        command.args(["--cpu-list", &cores]).arg(program_path);
        command
    }
}

const GATEWAY: &str = "tokenward";
const SANDBOX: &str = "tokenward-sandbox";
/// The core of the gateways, where they have one of their own.
const FIRST_CORE: &str = "0";

/// Returns the cores that are left to generator and sandbox, as taskset writes them.
#[must_use]
pub fn other_cores() -> String {
    let count = std::thread::available_parallelism().map_or(2, std::num::NonZero::get);
    format!("1-{}", count.max(2) - 1)
}

impl Fleet {
    /// Starts everything and waits until it is ready.
    ///
    /// # Errors
    /// `Unavailable` with the end of the log of the program that did not come up.
    pub fn start(plan: &Plan, programs: &Programs) -> Result<Self, Failure> {
        let folder = tempfile::Builder::new().prefix("tokenward-load-").tempdir();
        let folder = folder.map_err(|error| Failure::io("make the run's folder", &error))?;
        let count = plan.gateway.count;
        let ports =
            (0..2 * count).map(|_| port::steady()).collect::<Result<Vec<u16>, Failure>>()?;
        let (public, admin) = ports.split_at(count as usize);
        let (sandbox, addresses) = start_sandbox(plan, programs, folder.path(), public)?;
        let redis = match plan.gateway.store {
            Store::Embedded => None,
            Store::Redis => Some(start_redis(folder.path())?),
        };
        let redis_port = redis.as_ref().map(|(_, port)| *port);
        let (redis, programs) = (redis.map(|(child, _)| child), programs.clone());
        let gateways = Vec::with_capacity(public.len());
        let mut fleet = Self { gateways, sandbox, redis, addresses, programs, folder };
        for (number, (&port, &admin)) in public.iter().zip(admin).enumerate() {
            let folder = fleet.folder.path().join(format!("gateway-{number}"));
            files::write_gateway(plan, &folder, &fleet.addresses, (port, admin), redis_port)?;
            if let [first, ..] = fleet.gateways.as_slice() {
                gateway::share_keys(&first.folder, &folder)?;
            }
            let child = start_gateway(&fleet.programs, &folder, number)?;
            fleet.gateways.push(Gateway { child, port, admin, folder });
            fleet.wait_until_ready(number)?;
        }
        fleet.control().tenant(&json!({
            "leeway_s": plan.provider.reuse_window.0.as_secs(),
            "token_latency_ms": plan.provider.latency.millis(),
            "api_leeway_s": API_LEEWAY_S,
        }))?;
        Ok(fleet)
    }

    /// Returns the ports that the gateways listen on.
    #[must_use]
    pub fn ports(&self) -> Vec<u16> {
        self.gateways.iter().map(|gateway| gateway.port).collect()
    }

    /// Returns the sandbox's control port.
    #[must_use]
    pub fn control(&self) -> Control {
        Control::at(&self.addresses.control)
    }

    /// Returns the process numbers of the gateways.
    #[must_use]
    pub fn processes(&self) -> Vec<u32> {
        self.gateways.iter().map(|gateway| gateway.child.id()).collect()
    }

    /// Returns the process number of the sandbox.
    #[must_use]
    pub fn sandbox(&self) -> u32 {
        self.sandbox.id()
    }

    /// Kills a gateway with SIGKILL.
    pub fn kill(&mut self, number: usize) {
        if let Some(gateway) = self.gateways.get_mut(number) {
            gateway.child.kill();
        }
    }

    /// Starts a gateway again after it was killed, and waits until it is ready.
    ///
    /// # Errors
    /// `Unavailable` with the end of its log.
    pub fn restart(&mut self, number: usize) -> Result<(), Failure> {
        if let Some(gateway) = self.gateways.get_mut(number) {
            gateway.child = start_gateway(&self.programs, &gateway.folder, number)?;
        }
        self.wait_until_ready(number)
    }

    /// Returns what each gateway's metrics say.
    ///
    /// # Errors
    /// `Ours` when one does not answer.
    pub fn metrics(&self) -> Result<Vec<String>, Failure> {
        let caller = Caller::new();
        let read = |gateway: &Gateway| {
            let answer = caller.fetch(&gateway.admin_url("/metrics"), &[]);
            answer.map(|answer| answer.body).map_err(Failure::Ours)
        };
        self.gateways.iter().map(read).collect()
    }

    /// Tells the first gateway, as an operator would, to try at once whatever its sessions wait for.
    ///
    /// # Errors
    /// `Ours` when it does not answer as it should.
    pub fn retry_all(&self) -> Result<(), Failure> {
        let Some(gateway) = self.gateways.first() else {
            return Ok(());
        };
        let caller = Caller::new();
        let mut after = String::new();
        loop {
            let url = gateway.admin_url(&format!("/api/sessions?limit={LISTED}&after={after}"));
            let page = caller.fetch(&url, &[]).map_err(Failure::Ours)?;
            let page = page.json("listing the sessions")?;
            for session in page["sessions"].as_array().into_iter().flatten() {
                let id = session["id"].as_str().unwrap_or_default();
                let url = gateway.admin_url(&format!("/api/sessions/{id}/retry"));
                let told = caller.post_json(&url, &[], &json!({})).map_err(Failure::Ours)?;
                told.json("retrying a session")?;
            }
            match page["next"].as_str() {
                Some(next) => next.clone_into(&mut after),
                None => return Ok(()),
            }
        }
    }

    /// Stops the gateways, then the provider that they may still need while they drain.
    ///
    /// # Errors
    /// `Ours` when one did not stop cleanly; the others are stopped all the same.
    pub fn stop(&mut self) -> Result<(), Failure> {
        let gateways = self.gateways.iter_mut().map(|gateway| gateway.child.stop());
        let stopped: Vec<_> = gateways.collect();
        let sandbox = self.sandbox.stop();
        if let Some(redis) = &mut self.redis {
            redis.kill();
        }
        stopped.into_iter().chain([sandbox]).collect()
    }

    fn wait_until_ready(&mut self, number: usize) -> Result<(), Failure> {
        let Some(gateway) = self.gateways.get_mut(number) else {
            return Ok(());
        };
        let address = gateway.admin_url("/readyz");
        gateway::wait_until_ready(&mut gateway.child, &address)
    }
}

impl Gateway {
    fn admin_url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.admin)
    }
}

fn start_sandbox(
    plan: &Plan,
    programs: &Programs,
    folder: &Path,
    ports: &[u16],
) -> Result<(Child, Addresses), Failure> {
    files::write(&folder.join(sandbox::FILE), &files::sandbox(plan, ports))?;
    sandbox::start(programs.command(SANDBOX), folder)
}

fn start_gateway(programs: &Programs, folder: &Path, number: usize) -> Result<Child, Failure> {
    let mut command = programs.command(GATEWAY);
    command.args(["serve", "--config"]).arg(folder.join("gateway.toml"));
    command.env(files::SECRET_VARIABLE, files::CLIENT_SECRET);
    let name = format!("gateway {}", number + 1);
    Child::start(&name, &command, &folder.join("gateway.log"))
}

/// Starts a Redis that keeps what it was told across a crash of its own, as a store of tokens must.
fn start_redis(folder: &Path) -> Result<(Child, u16), Failure> {
    let folder = folder.join("redis");
    fs::create_dir_all(&folder).map_err(|error| Failure::io("make Redis's folder", &error))?;
    let port = port::steady()?;
    let log = folder.join("redis.log");
    let mut command = Command::new("redis-server");
    command.args(["--bind", "127.0.0.1", "--port", &port.to_string(), "--appendonly", "yes"]);
    command.args(["--appendfsync", "always", "--save", "", "--dir"]).arg(&folder);
    command.arg("--logfile").arg(&log);
    let mut child = Child::start("Redis", &command, &log)?;
    match child.wait_until_it_listens(port) {
        Ok(()) => Ok((child, port)),
        Err(_) => Err(child.died("did not start; install it with `apt-get install redis-server`")),
    }
}
