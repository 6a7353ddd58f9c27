//! What both programs meet: a gateway's endpoints over TLS, and a Python that can draw.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use tokenward_programs::child::Child;
use tokenward_programs::failure::Failure;

use crate::command;
use crate::setup;
use crate::terminal;
use crate::tree::Tree;

/// What the peer is made of.
const PEER: [&str; 2] = ["luma.oled", "requests"];
/// How long the gateway may take to name its port.
const LIMIT: Duration = Duration::from_secs(30);

/// A gateway that runs, and where its certificate is.
#[derive(Debug)]
pub(super) struct Stage {
    _gateway: Child,
    /// Where the programs keep what they keep.
    pub(super) run: PathBuf,
    /// Where the gateway listens.
    pub(super) origin: String,
    /// The authority to trust.
    pub(super) certificate: PathBuf,
}

/// The peer's interpreter and program.
#[derive(Debug)]
pub(super) struct Peer {
    pub(super) python: PathBuf,
    pub(super) program: PathBuf,
}

impl Stage {
    /// Starts the gateway.
    ///
    /// # Errors
    /// `Unavailable` with the remedy.
    pub(super) fn open(tree: &Tree, run: &Path) -> Result<Self, Failure> {
        let (authority, certificate, key) = certificates(run)?;
        let mut command = Command::new(python()?);
        command.arg(script(tree, "gateway.py")).arg(&certificate).arg(&key);
        let log = run.join("gateway.log");
        let (gateway, port) = Child::start_and_listen("gateway", &command, &log, LIMIT)?;
        Ok(Self {
            _gateway: gateway,
            run: run.to_owned(),
            origin: format!("https://127.0.0.1:{port}"),
            certificate: authority,
        })
    }

    /// Writes the configuration of our program: the clock moves, and nothing else does.
    ///
    /// # Errors
    /// `Unavailable` when it cannot be written.
    pub(super) fn config(&self) -> Result<PathBuf, Failure> {
        let file = self.run.join("device.toml");
        let text = format!(
            "gateway = \"{}\"\ncontent = \"/api/quote\"\nca = {:?}\nstate_dir = {:?}\n\
             [glass]\norbit = false\ndim_after = \"off\"\n",
            self.origin,
            self.certificate,
            self.run.join("state"),
        );
        fs::write(&file, text).map_err(|error| Failure::io("write a configuration", &error))?;
        Ok(file)
    }
}

/// Makes an authority and a certificate of it: authority, certificate, key.
fn certificates(run: &Path) -> Result<(PathBuf, PathBuf, PathBuf), Failure> {
    let [authority, secret] = ["authority.crt", "authority.key"].map(|name| run.join(name));
    let [certificate, key] = ["gateway.crt", "gateway.key"].map(|name| run.join(name));
    let request = |subject: &str, into: &Path, secret: &Path| {
        let mut openssl = Command::new("openssl");
        openssl.args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]);
        openssl.args(["-nodes", "-days", "2", "-subj", subject]);
        openssl.arg("-keyout").arg(secret).arg("-out").arg(into);
        openssl
    };
    let mut first = request("/CN=Authority of a measurement", &authority, &secret);
    command::run_quietly(&mut first, "making an authority with openssl")?;
    let mut second = request("/CN=127.0.0.1", &certificate, &key);
    second.arg("-CA").arg(&authority).arg("-CAkey").arg(&secret);
    second.args(["-addext", "subjectAltName=IP:127.0.0.1"]);
    second.args(["-addext", "basicConstraints=critical,CA:FALSE"]);
    command::run_quietly(&mut second, "making a certificate with openssl 3")?;
    Ok((authority, certificate, key))
}

/// Installs the peer into a folder of its own, where that was not done before.
///
/// # Errors
/// `Unavailable` with the remedy.
pub(super) fn peer(tree: &Tree) -> Result<Peer, Failure> {
    let environment = tree.tools().join("luma");
    let (python, program) = (environment.join("bin/python3"), script(tree, "peer.py"));
    let stamp = environment.join(".installed");
    if stamp.is_file() {
        return Ok(Peer { python, program });
    }
    terminal::note("installing luma.oled and requests for Python into our own folder");
    let mut create = Command::new(self::python()?);
    command::run_quietly(create.args(["-m", "venv"]).arg(&environment), "python3 -m venv")?;
    let mut install = Command::new(environment.join("bin/pip"));
    install.args(["install", "--quiet", "--disable-pip-version-check"]).args(PEER);
    command::run_quietly(&mut install, "pip install")?;
    fs::write(&stamp, "").map_err(|error| Failure::io("write a stamp", &error))?;
    Ok(Peer { python, program })
}

fn script(tree: &Tree, name: &str) -> PathBuf {
    tree.root().join("loadtest/xtask/device").join(name)
}

fn python() -> Result<PathBuf, Failure> {
    setup::on_path("python3").ok_or_else(|| {
        let remedy = "the gateway of this measurement needs python3: apt-get install python3-venv";
        Failure::Unavailable(remedy.to_owned())
    })
}
