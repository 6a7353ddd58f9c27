//! The program under test, as an operator runs it: a file, a state directory, signals.

use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};

use nix::sys::signal::Signal;
use tempfile::TempDir;
use tokenward_sandbox::secrecy::{Kind, Secrets, Watch};
use tokenward_sandbox::{ACCOUNTS_AUDIENCE, QUOTES_AUDIENCE, Sandbox};
use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;

use super::program::{PATIENCE, Program, eventually, free_port, http};

/// The program.
pub(super) const TOKENWARD: &str = env!("CARGO_BIN_EXE_tokenward");
/// The file with the client's secret, beside the configuration: what is in the environment can be
/// read of the process.
const SECRET_FILE: &str = "client-secret";

/// The client that the gateway is at a provider.
#[derive(Clone)]
pub(super) struct Registration {
    pub(super) issuer: String,
    pub(super) client_id: String,
    pub(super) client_secret: String,
    /// The parameter by which the provider is asked for an audience.
    pub(super) audience_parameter: &'static str,
    /// What nobody but the provider and the gateway may know.
    pub(super) secrets: Secrets,
}

impl Registration {
    /// A registration at a provider that nobody runs, for tests that need none.
    pub(super) fn absent() -> Self {
        Self {
            issuer: "http://127.0.0.1:9/".to_owned(),
            client_id: "absent".to_owned(),
            client_secret: "absent".to_owned(),
            audience_parameter: "none",
            secrets: Secrets::default(),
        }
    }
}

/// Where the program reads its configuration and keeps its state.
pub(super) struct Place {
    pub(super) port: u16,
    admin_port: u16,
    folder: TempDir,
    registration: Registration,
}

impl Place {
    pub(super) fn new(registration: &Registration) -> Self {
        Self::at(free_port(), registration)
    }

    /// Takes a port that the provider has been told before.
    pub(super) fn at(port: u16, registration: &Registration) -> Self {
        Self {
            port,
            admin_port: free_port(),
            folder: tempfile::tempdir().unwrap(),
            registration: registration.clone(),
        }
    }

    /// Writes the configuration: the usual beginning, and `tables` with the routes.
    pub(super) fn write(&self, tables: &str) {
        let Registration { issuer, client_id, audience_parameter, .. } = &self.registration;
        let text = format!(
            "listen = \"127.0.0.1:{}\"\nstate_dir = \"{}\"\n[admin]\nlisten = \"127.0.0.1:{}\"\n\
             [provider]\nissuer = \"{issuer}\"\nclient_id = \"{client_id}\"\n\
             client_secret = {{ file = \"{SECRET_FILE}\" }}\n\
             audience_parameter = \"{audience_parameter}\"\n{tables}",
            self.port,
            self.state().display(),
            self.admin_port,
        );
        std::fs::write(self.file(), text).unwrap();
        let secret = &self.registration.client_secret;
        std::fs::write(self.folder.path().join(SECRET_FILE), secret).unwrap();
    }

    /// Returns the state directory.
    pub(super) fn state(&self) -> PathBuf {
        self.folder.path().join("state")
    }

    pub(super) fn file(&self) -> PathBuf {
        self.folder.path().join("tokenward.toml")
    }

    /// Returns an address of the operator's listener.
    pub(super) fn admin(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.admin_port)
    }

    /// Returns the folder of the file, for what it refers to.
    pub(super) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Runs a command of the program to its end, with `input` on its standard input.
    pub(super) async fn run(&self, arguments: &[&str], input: &str) -> Output {
        let mut command = Command::new(TOKENWARD);
        command.args(arguments).arg("--config").arg(self.file()).kill_on_drop(true);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut stdin = child.stdin.take().unwrap();
        // A program that does not read its input may have closed it.
        let _ = stdin.write_all(input.as_bytes()).await;
        drop(stdin);
        let ended = tokio::time::timeout(PATIENCE, child.wait_with_output()).await;
        ended.unwrap_or_else(|_| panic!("tokenward {arguments:?} does not end")).unwrap()
    }
}

/// A running gateway. When it is dropped, its log and its files are searched for secrets (law L13).
pub(super) struct Gateway {
    watch: Watch,
    pub(super) place: Place,
    pub(super) program: Program,
}

impl Gateway {
    /// Starts a gateway with these tables in its file, and waits until it is ready.
    pub(super) async fn start(place: Place, tables: &str) -> Self {
        place.write(tables);
        let program = launch(&place);
        Self::ready(place, program).await
    }

    /// Starts a gateway that may have so many files open and no more.
    pub(super) async fn start_with_files(place: Place, tables: &str, open_files: u32) -> Self {
        place.write(tables);
        let program = Program::start(Path::new("prlimit"), |command| {
            command.arg(format!("--nofile={open_files}:{open_files}")).arg(TOKENWARD);
            command.args(["serve", "--config"]).arg(place.file());
        });
        Self::ready(place, program).await
    }

    async fn ready(place: Place, program: Program) -> Self {
        let watch = Watch::over(&place.registration.secrets);
        watch.folder(&place.state());
        watch.file(program.log_file());
        let mut gateway = Self { watch, place, program };
        gateway.wait_until_ready().await;
        gateway
    }

    /// Ends it with SIGKILL, in the middle of whatever it does.
    pub(super) async fn kill(&mut self) {
        self.program.signal(Signal::SIGKILL);
        self.program.ended().await;
    }

    /// Starts it again at the same place.
    pub(super) async fn restart(&mut self) {
        self.watch.note("the log before the restart", self.program.log());
        self.program = launch(&self.place);
        self.watch.file(self.program.log_file());
        self.wait_until_ready().await;
    }

    pub(super) fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.place.port)
    }

    /// Learns what nobody may find in its log and its files.
    pub(super) fn keep_secret(&self, kind: Kind, text: &str) {
        self.watch.secrets().learn(kind, text);
    }

    /// Makes a session of a refresh token by `tokenward adopt`; returns its handle.
    pub(super) async fn adopt(&self, audience: &str, subject: &str, refresh_token: &str) -> String {
        let arguments = ["adopt", "--audience", audience, "--subject", subject];
        let output = self.place.run(&arguments, refresh_token).await;
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let handle = String::from_utf8(output.stdout).unwrap().trim().to_owned();
        self.keep_secret(Kind::RefreshToken, refresh_token);
        self.keep_secret(Kind::SessionHandle, &handle);
        handle
    }

    async fn wait_until_ready(&mut self) {
        let (http, url) = (http(), self.place.admin("/readyz"));
        eventually("the gateway is ready", PATIENCE, async || {
            let answer = http.get(&url).send().await.ok()?;
            (answer.status() == 200).then_some(())
        })
        .await;
    }
}

fn launch(place: &Place) -> Program {
    Program::start(Path::new(TOKENWARD), |command| {
        command.args(["serve", "--config"]).arg(place.file());
    })
}

/// The routes to a sandbox: its two APIs, and its page for everything else.
pub(super) fn routes(sandbox: &Sandbox) -> String {
    let addresses = sandbox.addresses();
    let api = |name: &str, audience: &str, scopes: &str| {
        format!(
            "[[route]]\npath = \"/api/{name}/\"\nstrip_prefix = true\nupstream = \"{}\"\n\
             audience = \"{audience}\"\nscopes = \"{scopes}\"\n",
            addresses.apis[name]
        )
    };
    format!(
        "{}{}[[route]]\npath = \"/\"\nupstream = \"{}\"\n",
        api("quotes", QUOTES_AUDIENCE, "read:quotes"),
        api("accounts", ACCOUNTS_AUDIENCE, "read:accounts"),
        addresses.app
    )
}
