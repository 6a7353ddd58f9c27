//! Who and what is registered with the tenant: users, clients, audiences.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::mfa::factor::Factor;

/// A user who can sign in.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct User {
    /// What the user types to sign in.
    pub name: String,
    /// The password; test gear keeps it in clear.
    #[serde(default = "default_password")]
    pub password: String,
    /// The subject; absent means `auth0|` and the name.
    #[serde(default)]
    pub subject: Option<String>,
    /// The name to show.
    #[serde(default)]
    pub display_name: Option<String>,
    /// The e-mail address.
    #[serde(default)]
    pub email: Option<String>,
    /// The second factors the user has enrolled.
    #[serde(default)]
    pub factors: Vec<Factor>,
}

/// A registered client.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Client {
    /// The client's identifier.
    pub client_id: String,
    /// Its secret; without secret and key the client is public.
    #[serde(default)]
    pub client_secret: Option<String>,
    /// The PEM of the public key that checks its `private_key_jwt` (RS256 or ES256).
    #[serde(default)]
    pub public_key_pem: Option<String>,
    /// The only method it may authenticate with; absent means any it has the means for.
    #[serde(default)]
    pub auth_method: Option<AuthMethod>,
    /// Where a sign-in may return to, compared exactly.
    #[serde(default)]
    pub redirect_uris: Vec<String>,
    /// Where a sign-out may return to, compared exactly.
    #[serde(default)]
    pub post_logout_redirect_uris: Vec<String>,
    /// Where logout tokens are sent.
    #[serde(default)]
    pub backchannel_logout_uri: Option<String>,
    /// Free facts about the client that tenant rules may read, such as `device_type`.
    #[serde(default)]
    pub metadata: BTreeMap<String, String>,
}

/// How a client authenticates.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum AuthMethod {
    /// The secret in the Authorization header.
    ClientSecretBasic,
    /// The secret in the body.
    ClientSecretPost,
    /// A JWT signed with the client's key.
    PrivateKeyJwt,
    /// Nothing: a public client.
    None,
}

/// An audience with the scopes it knows.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Audience {
    /// The audience's identifier.
    pub identifier: String,
    /// Its scopes.
    #[serde(default)]
    pub scopes: Vec<String>,
}

impl User {
    /// Returns the subject.
    #[must_use]
    pub fn subject(&self) -> String {
        self.subject.clone().unwrap_or_else(|| format!("auth0|{}", self.name))
    }

    /// Gives each second factor the identifier and the secret it lacks.
    #[must_use]
    pub fn prepared(mut self) -> Self {
        self.factors = self.factors.into_iter().map(Factor::prepared).collect();
        self
    }

    /// Tells whether the user can be asked for a second factor.
    #[must_use]
    pub fn enrolled(&self) -> bool {
        self.factors.iter().any(|factor| factor.active)
    }

    /// Returns the name to show.
    #[must_use]
    pub fn shown(&self) -> &str {
        self.display_name.as_deref().unwrap_or(&self.name)
    }
}

impl Client {
    /// Tells whether the client has no means to authenticate.
    #[must_use]
    pub fn public(&self) -> bool {
        self.client_secret.is_none() && self.public_key_pem.is_none()
    }
}

fn default_password() -> String {
    "sandbox".to_owned()
}
