//! A sandbox and a gateway as real processes: what the demo shows and the bench measures.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde::{Deserialize, Serialize};
use tokenward_programs::child::Child;
use tokenward_programs::control::Control;
use tokenward_programs::failure::Failure;
use tokenward_programs::gateway;
use tokenward_programs::sandbox;

use crate::command;
use crate::dist;
use crate::tree::{Profile, Tree};

/// The client that the gateway is at the sandbox's tenant.
pub(crate) const CLIENT_ID: &str = "tokenward-demo";
/// A secret for a tenant that lives as long as the command and listens on this machine only.
pub(crate) const CLIENT_SECRET: &str = "only-for-the-sandbox-on-this-machine";
/// By this variable the gateway reads it, as an operator would have it.
const SECRET_VARIABLE: &str = "TOKENWARD_CLIENT_SECRET";
/// One route of the gateway, with the keys of its configuration file.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Route {
    pub(crate) path: String,
    pub(crate) upstream: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) audience: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) scopes: Vec<String>,
    #[serde(skip_serializing_if = "is_false")]
    pub(crate) strip_prefix: bool,
}

impl Route {
    /// Makes a route that needs no session and injects nothing.
    pub(crate) fn public(path: &str, upstream: &str) -> Self {
        Self {
            path: path.to_owned(),
            upstream: upstream.to_owned(),
            audience: None,
            scopes: Vec::new(),
            strip_prefix: false,
        }
    }
}

/// Where the sandbox listens, as its first line says.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Addresses {
    pub(crate) issuer: String,
    pub(crate) control: String,
    pub(crate) apis: Apis,
    pub(crate) app: String,
}

/// Where the sample APIs listen.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Apis {
    pub(crate) quotes: String,
    pub(crate) accounts: String,
    pub(crate) echo: String,
}

/// How the programs are started.
#[derive(Clone, Debug)]
pub(crate) struct Launch {
    pub(crate) profile: Profile,
    /// The port that the gateway listens on.
    pub(crate) port: u16,
    /// The port of its admin listener.
    pub(crate) admin_port: u16,
    /// How long the sandbox's access tokens live, in seconds.
    pub(crate) access_token_seconds: u32,
    /// What the gateway is told of the provider's reuse window; `None` leaves it its default.
    pub(crate) reuse_window_seconds: Option<u32>,
    /// The core that the gateway is kept on.
    pub(crate) gateway_core: Option<usize>,
    /// The core that everything else is kept on.
    pub(crate) other_core: Option<usize>,
}

/// The running programs.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) addresses: Addresses,
    pub(crate) gateway: Child,
    sandbox: Child,
    launch: Launch,
    tree: Tree,
    folder: PathBuf,
}

#[derive(Serialize)]
struct SandboxFile<'a> {
    tenant: TenantTable,
    client: [ClientTable<'a>; 1],
}

#[derive(Serialize)]
struct TenantTable {
    access_token_lifetime_s: u32,
}

#[derive(Serialize)]
struct ClientTable<'a> {
    client_id: &'a str,
    client_secret: &'a str,
    redirect_uris: Vec<String>,
    post_logout_redirect_uris: Vec<String>,
    backchannel_logout_uri: String,
}

#[derive(Serialize)]
struct GatewayFile<'a> {
    listen: String,
    state_dir: &'a Path,
    provider: ProviderTable<'a>,
    admin: AdminTable,
    route: Vec<Route>,
}

#[derive(Serialize)]
struct ProviderTable<'a> {
    issuer: &'a str,
    client_id: &'a str,
    client_secret: BTreeMap<&'a str, &'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reuse_window: Option<String>,
}

#[derive(Serialize)]
struct AdminTable {
    listen: String,
}

impl World {
    /// Starts the sandbox, writes the gateway's file, starts the gateway and waits until it is ready.
    ///
    /// # Errors
    /// `Unavailable` with the end of the log of the program that did not come up.
    pub(crate) fn start(
        tree: &Tree,
        name: &str,
        launch: Launch,
        routes: impl FnOnce(&Addresses) -> Vec<Route>,
    ) -> Result<Self, Failure> {
        Self::start_with(tree, name, launch, routes, |_| String::new())
    }

    /// Starts as [`World::start`] does, with more text at the end of the gateway's file.
    ///
    /// # Errors
    /// As [`World::start`].
    pub(crate) fn start_with(
        tree: &Tree,
        name: &str,
        launch: Launch,
        routes: impl FnOnce(&Addresses) -> Vec<Route>,
        more: impl FnOnce(&Addresses) -> String,
    ) -> Result<Self, Failure> {
        let folder = tree.fresh_run(name)?;
        let (sandbox, addresses) = start_sandbox(tree, &launch, &folder)?;
        write_gateway_file(&folder, &launch, &addresses, routes(&addresses), &more(&addresses))?;
        let gateway = start_gateway(tree, &launch, &folder)?;
        let tree = tree.clone();
        let mut world = Self { addresses, gateway, sandbox, launch, tree, folder };
        world.wait_until_ready()?;
        Ok(world)
    }

    /// Starts the gateway again after it was killed, and waits until it is ready.
    ///
    /// # Errors
    /// `Unavailable` with the end of its log.
    pub(crate) fn restart_gateway(&mut self) -> Result<(), Failure> {
        self.launch_gateway()?;
        self.wait_until_ready()
    }

    /// Starts the gateway again, and does not wait for it.
    ///
    /// # Errors
    /// `Unavailable` when the process cannot be started.
    pub(crate) fn launch_gateway(&mut self) -> Result<(), Failure> {
        self.gateway = start_gateway(&self.tree, &self.launch, &self.folder)?;
        Ok(())
    }

    /// Fails when a program has ended by itself.
    ///
    /// # Errors
    /// `Unavailable` with the end of its log.
    pub(crate) fn check(&mut self) -> Result<(), Failure> {
        for child in [&mut self.gateway, &mut self.sandbox] {
            if child.ended().is_some() {
                return Err(child.died("ended by itself"));
            }
        }
        Ok(())
    }

    /// Stops the gateway, then the provider that it may still need while it drains.
    ///
    /// # Errors
    /// `Ours` when one did not stop cleanly; the other is stopped all the same.
    pub(crate) fn stop(&mut self) -> Result<(), Failure> {
        let gateway = self.gateway.stop();
        self.sandbox.stop().and(gateway)
    }

    /// Returns the origin of the gateway.
    pub(crate) fn origin(&self) -> String {
        format!("http://127.0.0.1:{}", self.launch.port)
    }

    /// Returns the port that the gateway listens on.
    pub(crate) fn port(&self) -> u16 {
        self.launch.port
    }

    /// Returns an address of the gateway's admin listener.
    pub(crate) fn admin(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.launch.admin_port)
    }

    /// Returns the folder of this run.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Returns the sandbox's control port.
    pub(crate) fn control(&self) -> Control {
        Control::at(&self.addresses.control)
    }

    /// Returns the gateway's state directory.
    pub(crate) fn state(&self) -> PathBuf {
        gateway::state(&self.folder)
    }

    fn wait_until_ready(&mut self) -> Result<(), Failure> {
        let address = self.admin("/readyz");
        gateway::wait_until_ready(&mut self.gateway, &address)
    }
}

/// Lets Cargo build gateway and sandbox, with its own progress for the person to see.
///
/// # Errors
/// `Missed` when they do not build.
pub(crate) fn build(tree: &Tree, profile: Profile) -> Result<(), Failure> {
    match profile {
        Profile::Dist => dist::build(tree),
        Profile::Debug | Profile::Release | Profile::Device => {
            build_all(tree, profile, &["tokenward-gateway", "tokenward-sandbox"])
        }
    }
}

/// Lets Cargo build the programs of packages as [`build`] does.
///
/// # Errors
/// As [`build`].
pub(crate) fn build_all(tree: &Tree, profile: Profile, packages: &[&str]) -> Result<(), Failure> {
    let mut command = command::cargo();
    command.args(["build", "--bins"]);
    for package in packages {
        command.args(["--package", package]);
    }
    command.args(profile.cargo());
    command::run_visibly(command.current_dir(tree.root()), "building the programs")
}

/// Returns a command that stays on one core, where one is wanted.
pub(crate) fn on_core(core: Option<usize>, program: &Path) -> Command {
    let Some(core) = core else {
        return Command::new(program);
    };
    let mut command = Command::new("taskset");
    command.args(["--cpu-list", &core.to_string()]).arg(program);
    command
}

/// Starts the provider with its sample APIs.
///
/// # Errors
/// `Unavailable` when it does not come up.
pub(crate) fn start_sandbox(
    tree: &Tree,
    launch: &Launch,
    folder: &Path,
) -> Result<(Child, Addresses), Failure> {
    let at = |path: &str| {
        ["127.0.0.1", "localhost"]
            .map(|host| format!("http://{host}:{}{path}", launch.port))
            .to_vec()
    };
    let file = SandboxFile {
        tenant: TenantTable { access_token_lifetime_s: launch.access_token_seconds },
        client: [ClientTable {
            client_id: CLIENT_ID,
            client_secret: CLIENT_SECRET,
            redirect_uris: at("/auth/callback"),
            post_logout_redirect_uris: [at("/"), at("")].concat(),
            backchannel_logout_uri: format!(
                "http://127.0.0.1:{}/auth/backchannel-logout",
                launch.port
            ),
        }],
    };
    let text = toml::to_string(&file).map_err(|error| Failure::Ours(error.to_string()))?;
    fs::write(folder.join(sandbox::FILE), text)
        .map_err(|error| Failure::io("write the sandbox's file", &error))?;
    let program = tree.built(launch.profile, "tokenward-sandbox");
    sandbox::start(on_core(launch.other_core, &program), folder)
}

/// Writes a gateway's file into its folder; `more` is text for its end.
///
/// # Errors
/// `Unavailable` when it cannot be written.
pub(crate) fn write_gateway_file(
    folder: &Path,
    launch: &Launch,
    addresses: &Addresses,
    route: Vec<Route>,
    more: &str,
) -> Result<(), Failure> {
    let state = gateway::state(folder);
    let file = GatewayFile {
        listen: format!("127.0.0.1:{}", launch.port),
        state_dir: &state,
        provider: ProviderTable {
            issuer: &addresses.issuer,
            client_id: CLIENT_ID,
            client_secret: BTreeMap::from([("env", SECRET_VARIABLE)]),
            reuse_window: launch.reuse_window_seconds.map(|seconds| format!("{seconds}s")),
        },
        admin: AdminTable { listen: format!("127.0.0.1:{}", launch.admin_port) },
        route,
    };
    let text = toml::to_string(&file).map_err(|error| Failure::Ours(error.to_string()))?;
    fs::write(folder.join("gateway.toml"), text + more)
        .map_err(|error| Failure::io("write the gateway's file", &error))
}

/// Starts the gateway whose file is in the folder.
///
/// # Errors
/// `Unavailable` when it cannot be started.
pub(crate) fn start_gateway(tree: &Tree, launch: &Launch, folder: &Path) -> Result<Child, Failure> {
    let mut command = on_core(launch.gateway_core, &tree.built(launch.profile, "tokenward"));
    command.args(["serve", "--config"]).arg(folder.join("gateway.toml"));
    command.env(SECRET_VARIABLE, CLIENT_SECRET);
    Child::start("the gateway", &command, &folder.join("gateway.log"))
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands over a reference")]
fn is_false(value: &bool) -> bool {
    !value
}
