//! npm's certified `oidc-provider` as a process: every refresh rotates, and one reuse ends the grant.

use std::env;
use std::path::PathBuf;
use std::process::Stdio;

use serde::Deserialize;
use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, ChildStdin, Command};

use super::person::http;
use crate::program::PATIENCE;

/// The API, with its scope.
pub(super) const AUDIENCE: &str = "https://quotes.sandbox.example";
pub(super) const SCOPE: &str = "read:quotes";

/// How long its access tokens live: short, so that they are refreshed while a test looks on.
const ACCESS_TOKEN_SECONDS: &str = "4";

/// The provider; it ends with its input, so that a killed test leaves nothing behind.
pub(super) struct Provider {
    ready: Ready,
    _child: Child,
    _input: ChildStdin,
}

/// Its first line.
#[derive(Deserialize)]
struct Ready {
    issuer: String,
    display_id: String,
    ledger: String,
}

impl Provider {
    pub(super) async fn start() -> Self {
        let mut command = Command::new(tool("TOKENWARD_NODE"));
        command.current_dir(tool("TOKENWARD_OIDC_PROVIDER_DIR"));
        command.args(["server.mjs", "--until-stdin-closes"]);
        command.args(["--access-token-seconds", ACCESS_TOKEN_SECONDS]);
        command.args(["--audience", &format!("{AUDIENCE}={SCOPE}")]);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let line = tokio::time::timeout(PATIENCE, lines.next_line()).await.unwrap().unwrap();
        let ready = serde_json::from_str(&line.unwrap()).unwrap();
        Self { ready, _input: child.stdin.take().unwrap(), _child: child }
    }

    pub(super) fn issuer(&self) -> &str {
        &self.ready.issuer
    }

    /// Returns what the display is registered as: a client without a secret.
    pub(super) fn client_id(&self) -> &str {
        &self.ready.display_id
    }

    /// Returns what happened there so far.
    pub(super) async fn ledger(&self) -> Value {
        http().get(&self.ready.ledger).send().await.unwrap().json().await.unwrap()
    }
}

/// Returns where something is that the set-up has installed.
fn tool(variable: &str) -> PathBuf {
    let path = env::var_os(variable);
    path.unwrap_or_else(|| panic!("{variable} is not set: run cargo xtask test")).into()
}
