//! Several gateways with one provider: each has a folder, a state directory and ports of its own,
//! and reaches the shared Redis over straits of its own where the layout allows it.

use std::fs;
use std::path::{Path, PathBuf};

use tokenward_programs::child::Child;
use tokenward_programs::control::Control;
use tokenward_programs::failure::Failure;
use tokenward_programs::gateway;
use tokenward_programs::port;

use super::redis::server::MASTER;
use super::redis::{Layout, Redis};
use super::strait::Strait;
use crate::tree::{Profile, Tree};
use crate::world::{self, Addresses, Launch, Route};

/// How a fleet is started.
#[derive(Clone, Debug)]
pub(crate) struct Wish {
    pub(crate) profile: Profile,
    pub(crate) gateways: usize,
    /// The port that browsers are sent back to; of the first gateway where nobody stands before it.
    pub(crate) public_port: Option<u16>,
    pub(crate) access_token_seconds: u32,
    pub(crate) reuse_window_seconds: Option<u32>,
}

/// The running programs.
#[derive(Debug)]
pub(crate) struct Gateways {
    pub(crate) addresses: Addresses,
    pub(crate) all: Vec<Gateway>,
    sandbox: Child,
    tree: Tree,
    folder: PathBuf,
}

/// One gateway.
#[derive(Debug)]
pub(crate) struct Gateway {
    pub(crate) name: char,
    pub(crate) child: Child,
    /// Where Redis can be kept from it; none where Redis itself tells where it is.
    pub(crate) strait: Option<Strait>,
    launch: Launch,
    folder: PathBuf,
}

impl Gateways {
    /// Starts the provider and all gateways, and waits until they are ready.
    ///
    /// # Errors
    /// `Unavailable` when a program does not come up.
    pub(crate) fn start(
        tree: &Tree,
        folder: &Path,
        wish: &Wish,
        redis: &Redis,
        routes: impl Fn(&Addresses) -> Vec<Route>,
    ) -> Result<Self, Failure> {
        let launches = (0..wish.gateways).map(|_| launch(wish)).collect::<Result<Vec<_>, _>>()?;
        let first = launches.first().map_or(0, |launch| launch.port);
        let front = Launch { port: wish.public_port.unwrap_or(first), ..launch(wish)? };
        let (sandbox, addresses) = world::start_sandbox(tree, &front, folder)?;
        let names = 'a'..='z';
        let mut all: Vec<Gateway> = Vec::new();
        for (name, launch) in names.zip(launches) {
            let folder = folder.join(format!("gateway-{name}"));
            fs::create_dir(&folder).map_err(|error| Failure::io("make a folder", &error))?;
            let strait = match redis.layout() {
                Layout::Single => Some(Strait::open(redis.master().port())?),
                Layout::Sentinel | Layout::Cluster => None,
            };
            let more = shared(redis, strait.as_ref());
            world::write_gateway_file(&folder, &launch, &addresses, routes(&addresses), &more)?;
            if let Some(first) = all.first() {
                gateway::share_keys(&first.folder, &folder)?;
            }
            let child = world::start_gateway(tree, &launch, &folder)?;
            let mut gateway = Gateway { name, child, strait, launch, folder };
            // One after the other: the first makes what the others take over.
            gateway.wait()?;
            all.push(gateway);
        }
        Ok(Self { addresses, all, sandbox, tree: tree.clone(), folder: folder.to_owned() })
    }

    /// Starts a gateway again that was killed, and waits until it is ready.
    ///
    /// # Errors
    /// `Unavailable` with the end of its log.
    pub(crate) fn restart(&mut self, which: usize) -> Result<(), Failure> {
        self.launch_again(which)?;
        self.all[which].wait()
    }

    /// Starts a gateway again that was killed.
    ///
    /// # Errors
    /// `Unavailable` when it cannot be started.
    pub(crate) fn launch_again(&mut self, which: usize) -> Result<(), Failure> {
        let gateway = &mut self.all[which];
        gateway.child = world::start_gateway(&self.tree, &gateway.launch, &gateway.folder)?;
        Ok(())
    }

    /// Fails when a program has ended by itself.
    ///
    /// # Errors
    /// `Unavailable` with the end of its log.
    pub(crate) fn check(&mut self) -> Result<(), Failure> {
        let children = self.all.iter_mut().map(|gateway| &mut gateway.child);
        for child in children.chain([&mut self.sandbox]) {
            if !child.was_stopped() && child.ended().is_some() {
                return Err(child.died("ended by itself"));
            }
        }
        Ok(())
    }

    /// Stops the gateways, then the provider that they may still need while they drain.
    ///
    /// # Errors
    /// `Ours` when one did not stop cleanly; the others are stopped all the same.
    pub(crate) fn stop(&mut self) -> Result<(), Failure> {
        let stopped = self.all.iter_mut().map(|gateway| gateway.child.stop());
        let stopped = stopped.fold(Ok(()), Result::and);
        self.sandbox.stop().and(stopped)
    }

    /// Returns the sandbox's control port.
    pub(crate) fn control(&self) -> Control {
        Control::at(&self.addresses.control)
    }

    /// Returns the folder of this run.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Returns the addresses of all admin listeners.
    pub(crate) fn admins(&self) -> Vec<String> {
        self.all.iter().map(|gateway| gateway.admin("")).collect()
    }
}

impl Gateway {
    /// Returns its origin.
    pub(crate) fn origin(&self) -> String {
        format!("http://127.0.0.1:{}", self.launch.port)
    }

    /// Returns the port that it listens on.
    pub(crate) fn port(&self) -> u16 {
        self.launch.port
    }

    /// Returns an address of its admin listener.
    pub(crate) fn admin(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.launch.admin_port)
    }

    fn wait(&mut self) -> Result<(), Failure> {
        let address = self.admin("/readyz");
        gateway::wait_until_ready(&mut self.child, &address)
    }
}

fn launch(wish: &Wish) -> Result<Launch, Failure> {
    Ok(Launch {
        profile: wish.profile,
        port: port::steady()?,
        admin_port: port::steady()?,
        access_token_seconds: wish.access_token_seconds,
        reuse_window_seconds: wish.reuse_window_seconds,
        gateway_core: None,
        other_core: None,
    })
}

/// Returns what a gateway's file says about what all share.
fn shared(redis: &Redis, strait: Option<&Strait>) -> String {
    let doors: Vec<String> = match strait {
        Some(strait) => vec![format!("127.0.0.1:{}", strait.port())],
        None => redis.doors().iter().map(|port| format!("127.0.0.1:{port}")).collect(),
    };
    let doors = doors.join(",");
    let place = match redis.layout() {
        Layout::Single => format!("redis://{doors}/"),
        Layout::Sentinel => format!("redis+sentinel://{doors}/{MASTER}"),
        Layout::Cluster => format!("redis+cluster://{doors}"),
    };
    format!("[store]\nredis = {place:?}\n")
}
