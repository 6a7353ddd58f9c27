//! A program that does the gateway's job.

use serde_json::json;
use tokenward_programs::child::Child;
use tokenward_programs::control::Control;
use tokenward_programs::failure::Failure;

use crate::bench::contest::Contender;
use crate::visitor::Visitor;
use crate::world::CLIENT_SECRET;

/// Where the peers return to from the provider.
pub(super) const RETURN_PATH: &str = "/signed-in";
/// The API that all inject tokens for.
pub(super) const AUDIENCE: &str = "https://quotes.sandbox.example";
/// What they ask the provider for.
pub(super) const SCOPE: &str = "openid offline_access read:quotes";

/// What a peer is put before.
#[derive(Clone, Debug)]
pub(super) struct Seat {
    /// The provider.
    pub(super) issuer: String,
    /// Where requests go.
    pub(super) upstream: String,
    /// The core that it is kept on.
    pub(super) core: Option<usize>,
}

/// One that runs.
#[derive(Debug)]
pub(super) struct Peer {
    pub(super) name: &'static str,
    pub(super) port: u16,
    pub(super) server: Child,
    /// Where a person signs out.
    pub(super) sign_out: String,
}

impl Peer {
    /// Returns its origin.
    pub(super) fn origin(&self) -> String {
        origin(self.port)
    }

    /// Signs a person in who wants to go to a path.
    ///
    /// # Errors
    /// `Ours` where the sign-in got stuck.
    pub(super) fn sign_in(&self, path: &str) -> Result<Visitor, Failure> {
        let mut visitor = Visitor::new(&self.origin());
        visitor.walk_to(path, path, "ada").map_err(|why| {
            Failure::Ours(format!("signing in through {} failed: {why}", self.name))
        })?;
        Ok(visitor)
    }

    /// Puts it under load, with so many requests in a round.
    pub(super) fn contender(&self, cookie: &str, requests: u32) -> Contender {
        Contender::new(self.name, self.server.id(), self.origin(), cookie, requests)
    }
}

/// Tells the provider of a client that listens on a port.
///
/// # Errors
/// `Ours` when the sandbox refuses.
pub(super) fn register(control: &Control, client_id: &str, port: u16) -> Result<(), Failure> {
    let client = json!({
        "client_id": client_id,
        "client_secret": CLIENT_SECRET,
        "redirect_uris": [format!("{}{RETURN_PATH}", origin(port))],
        "post_logout_redirect_uris": [origin(port), format!("{}/", origin(port))],
    });
    control.post("clients", &client).map(drop)
}

/// Returns the origin of a port of this machine.
pub(super) fn origin(port: u16) -> String {
    format!("http://127.0.0.1:{port}")
}
