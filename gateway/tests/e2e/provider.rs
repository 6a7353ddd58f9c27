//! The providers: npm's certified `oidc-provider` as a process, and the sandbox in this one.

use serde::Deserialize;
use serde_json::Value;
use tokenward_sandbox::secrecy::{Kind, Secrets};
use tokenward_sandbox::{Client, Config, Sandbox};

use super::gateway::Registration;
use super::program::{Program, http, tool};

/// The audiences of the real provider, each with its scopes.
pub(super) const QUOTES: (&str, &str) = ("https://quotes.sandbox.example", "read:quotes");
pub(super) const ACCOUNTS: (&str, &str) =
    ("https://accounts.sandbox.example", "read:accounts write:accounts");

/// A provider that no one here wrote: every refresh rotates, and one reuse ends the grant.
pub(super) struct RealProvider {
    pub(super) registration: Registration,
    ledger: String,
    _program: Program,
}

/// The provider's first line.
#[derive(Deserialize)]
struct Ready {
    issuer: String,
    client_id: String,
    client_secret: String,
    ledger: String,
}

impl RealProvider {
    /// Starts it with two audiences and access tokens of that many seconds.
    pub(super) async fn start(access_token_seconds: u32) -> Self {
        let mut program = Program::start(&tool("TOKENWARD_NODE"), |command| {
            let folder = tool("TOKENWARD_OIDC_PROVIDER_DIR");
            command.arg("server.mjs").current_dir(folder).arg("--until-stdin-closes");
            command.args(["--access-token-seconds", &access_token_seconds.to_string()]);
            for (audience, scopes) in [QUOTES, ACCOUNTS] {
                command.args(["--audience", &format!("{audience}={scopes}")]);
            }
        });
        let ready = program.line(|line| serde_json::from_str::<Ready>(line).ok()).await;
        let registration = Registration {
            issuer: ready.issuer,
            client_id: ready.client_id,
            client_secret: ready.client_secret,
            audience_parameter: "resource",
            secrets: Secrets::default(),
        };
        registration.secrets.learn(Kind::ClientSecret, &registration.client_secret);
        Self { registration, ledger: ready.ledger, _program: program }
    }

    /// Returns what happened at the provider so far.
    pub(super) async fn ledger(&self) -> Value {
        let answer = http().get(&self.ledger).send().await.unwrap();
        serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap()
    }
}

/// Starts the sandbox with one client, which knows a gateway at that port.
pub(super) async fn sandbox(gateway_port: u16) -> (Sandbox, Registration) {
    let (client_id, client_secret) = ("e2e", "only-for-this-test");
    let origin = format!("http://127.0.0.1:{gateway_port}");
    let client = Client {
        client_id: client_id.to_owned(),
        client_secret: Some(client_secret.to_owned()),
        redirect_uris: vec![format!("{origin}/auth/callback")],
        post_logout_redirect_uris: vec![format!("{origin}/")],
        backchannel_logout_uri: Some(format!("{origin}/auth/backchannel-logout")),
        ..Client::default()
    };
    let config = Config { client: vec![client], ..Config::default() };
    let sandbox = Sandbox::start(config).await.unwrap();
    let registration = Registration {
        issuer: sandbox.addresses().issuer.clone(),
        client_id: client_id.to_owned(),
        client_secret: client_secret.to_owned(),
        audience_parameter: "audience",
        secrets: sandbox.secrets().clone(),
    };
    (sandbox, registration)
}
