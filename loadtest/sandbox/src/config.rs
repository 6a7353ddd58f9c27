//! The sandbox's configuration: a TOML file in which every key may be left out.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;

use jsonwebtoken::DecodingKey;
use serde::Deserialize;
use url::Url;

use crate::provider::registry::{Audience, Client, User};
use crate::provider::settings::Settings;

/// Everything a sandbox starts with.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Where it listens.
    pub listen: Listen,
    /// How the tenant behaves.
    pub tenant: Settings,
    /// Who can sign in.
    pub user: Vec<User>,
    /// Which clients are registered.
    pub client: Vec<Client>,
    /// Which audiences there are.
    pub audience: Vec<Audience>,
}

/// Where a sandbox listens; port 0 takes any free one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Listen {
    /// The provider.
    pub provider: SocketAddr,
    /// The control port; loopback only, for it signs anyone in.
    pub control: SocketAddr,
    /// The quotes API.
    pub quotes: SocketAddr,
    /// The accounts API.
    pub accounts: SocketAddr,
    /// The echo API.
    pub echo: SocketAddr,
    /// The demo page.
    pub app: SocketAddr,
}

/// Why a configuration was refused: one sentence with the remedy.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct ConfigError(String);

impl Default for Listen {
    fn default() -> Self {
        let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        Self { provider: any, control: any, quotes: any, accounts: any, echo: any, app: any }
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: Listen::default(),
            tenant: Settings::default(),
            user: ["Ada Lovelace", "Alan Turing", "Grace Hopper"].map(user).to_vec(),
            client: clients(),
            audience: vec![
                audience(crate::QUOTES_AUDIENCE, &["read:quotes"]),
                audience(crate::ACCOUNTS_AUDIENCE, &["read:accounts", "write:accounts"]),
                audience(crate::ECHO_AUDIENCE, &["use:echo"]),
            ],
        }
    }
}

impl Config {
    /// Reads a file.
    ///
    /// # Errors
    /// [`ConfigError`] with the one sentence to print.
    pub fn read(path: &Path) -> Result<Self, ConfigError> {
        let shown = path.display();
        let text = std::fs::read_to_string(path)
            .map_err(|error| ConfigError(format!("cannot read {shown}: {error}")))?;
        Self::parse(&text)
            .map_err(|ConfigError(sentence)| ConfigError(format!("{shown}: {sentence}")))
    }

    /// Reads TOML.
    ///
    /// # Errors
    /// [`ConfigError`] with the one sentence to print.
    pub fn parse(text: &str) -> Result<Self, ConfigError> {
        let config: Self = toml::from_str(text).map_err(|error| {
            let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
            let line = before.matches('\n').count() + 1;
            ConfigError(format!("line {line}: {}", error.message().replace('\n', ", ")))
        })?;
        config.check().map_err(ConfigError)?;
        Ok(config)
    }

    fn check(&self) -> Result<(), String> {
        if !self.listen.control.ip().is_loopback() {
            return Err("listen.control must be a loopback address: it signs anyone in".to_owned());
        }
        if self.tenant.access_token_lifetime_s == 0 || self.tenant.max_active == 0 {
            return Err(
                "tenant.access_token_lifetime_s and max_active must be at least 1".to_owned()
            );
        }
        unique("user", self.user.iter().map(|user| user.name.as_str()))?;
        unique("client", self.client.iter().map(|client| client.client_id.as_str()))?;
        unique("audience", self.audience.iter().map(|audience| audience.identifier.as_str()))?;
        self.client.iter().try_for_each(check_client)
    }
}

fn check_client(client: &Client) -> Result<(), String> {
    let name = &client.client_id;
    let uris = client.redirect_uris.iter().chain(&client.post_logout_redirect_uris);
    if let Some(bad) =
        uris.chain(&client.backchannel_logout_uri).find(|uri| Url::parse(uri).is_err())
    {
        return Err(format!("client {name}: {bad} is no absolute URL; write it with its scheme"));
    }
    let Some(pem) = &client.public_key_pem else {
        return Ok(());
    };
    let key =
        DecodingKey::from_ec_pem(pem.as_bytes()).or(DecodingKey::from_rsa_pem(pem.as_bytes()));
    key.map(|_| ()).map_err(|_| {
        format!("client {name}: public_key_pem is no EC or RSA public key; give it as PEM")
    })
}

fn unique<'a>(what: &str, names: impl Iterator<Item = &'a str>) -> Result<(), String> {
    let mut seen = BTreeSet::new();
    for name in names {
        if name.is_empty() || !seen.insert(name) {
            return Err(format!("{what} {name:?} is empty or given twice; remove one"));
        }
    }
    Ok(())
}

fn user(display_name: &str) -> User {
    let first = display_name.split(' ').next().unwrap_or(display_name);
    let name = first.to_ascii_lowercase();
    User {
        email: Some(format!("{name}@sandbox.example")),
        name,
        password: "sandbox".to_owned(),
        subject: None,
        display_name: Some(display_name.to_owned()),
        factors: Vec::new(),
    }
}

fn audience(identifier: &str, scopes: &[&str]) -> Audience {
    let scopes = scopes.iter().map(|&scope| scope.to_owned()).collect();
    Audience { identifier: identifier.to_owned(), scopes }
}

/// One client of each kind: the gateway of the demo, a browser application, a device.
fn clients() -> Vec<Client> {
    let origins = ["http://127.0.0.1:8080", "http://localhost:8080"];
    let at = |path: &str| origins.map(|origin| format!("{origin}{path}")).to_vec();
    vec![
        Client {
            client_id: "demo-web".to_owned(),
            client_secret: Some("demo-web-secret".to_owned()),
            redirect_uris: at("/auth/callback"),
            post_logout_redirect_uris: [at("/"), at("")].concat(),
            ..Client::default()
        },
        Client {
            client_id: "demo-public".to_owned(),
            redirect_uris: at("/auth/callback"),
            post_logout_redirect_uris: [at("/"), at("")].concat(),
            ..Client::default()
        },
        Client {
            client_id: "demo-device".to_owned(),
            metadata: BTreeMap::from([("device_type".to_owned(), "display".to_owned())]),
            ..Client::default()
        },
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_out_has_defaults() {
        let config =
            Config::parse("[tenant]\nleeway_s = 0\n[listen]\nprovider = \"127.0.0.1:9000\"");
        let config = config.unwrap();
        assert_eq!((config.tenant.leeway_s, config.tenant.access_token_lifetime_s), (0, 10));
        assert_eq!((config.listen.provider.port(), config.listen.control.port()), (9000, 0));
        assert_eq!(config.user.len(), 3);
    }

    #[test]
    fn a_bad_configuration_is_refused_with_one_sentence() {
        let rows = [
            ("[tenant]\nleeway = 1", "line 2: unknown field `leeway`"),
            ("[tenant]\nrotation = 1", "line 2: invalid type: integer `1`, expected a boolean"),
            ("[listen]\ncontrol = \"0.0.0.0:1\"", "loopback"),
            ("[[user]]\nname = \"a\"\n[[user]]\nname = \"a\"", "given twice"),
            ("[[client]]\nclient_id = \"a\"\nredirect_uris = [\"/cb\"]", "no absolute URL"),
            ("[[client]]\nclient_id = \"a\"\npublic_key_pem = \"x\"", "public_key_pem"),
            ("[tenant]\naccess_token_lifetime_s = 0", "at least 1"),
            ("listen = ", "line 1"),
        ];
        for (text, part) in rows {
            let sentence = Config::parse(text).unwrap_err().to_string();
            assert!(sentence.contains(part) && !sentence.contains('\n'), "{text}: {sentence}");
        }
    }
}
