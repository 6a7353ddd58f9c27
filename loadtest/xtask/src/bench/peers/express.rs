//! Node.js with express-openid-connect and http-proxy-middleware.

use serde_json::json;
use tokenward_programs::child::Child;
use tokenward_programs::control::Control;
use tokenward_programs::failure::Failure;
use tokenward_programs::port;

use super::Ground;
use super::peer::{AUDIENCE, Peer, SCOPE, Seat, origin, register};
use crate::bench::contest;
use crate::world::{self, CLIENT_SECRET};

const CLIENT_ID: &str = "express-openid-connect";

/// Starts it before an upstream.
///
/// # Errors
/// `Unavailable` with the end of its log.
pub(super) fn start(ground: &Ground, control: &Control, seat: &Seat) -> Result<Peer, Failure> {
    let port = port::wanted_or_free(0)?;
    register(control, CLIENT_ID, port)?;
    let folder = ground.under(&format!("express-{port}"));
    contest::folder(&folder)?;
    let settings = json!({
        "issuer": seat.issuer,
        "origin": origin(port),
        "port": port,
        "client_id": CLIENT_ID,
        "client_secret": CLIENT_SECRET,
        "scope": SCOPE,
        "audience": AUDIENCE,
        "upstream": seat.upstream,
    });
    let mut command = world::on_core(seat.core, &ground.node);
    command.arg("server.mjs").current_dir(ground.tree.peers());
    // What else is set decides how Express logs and what it checks.
    command.env("NODE_ENV", "production").env("PEER_SETTINGS", settings.to_string());
    let mut server = Child::start("Node.js", &command, &folder.join("express.log"))?;
    server.wait_until_it_listens(port)?;
    Ok(Peer { name: "express", port, server, sign_out: "/sign-out".to_owned() })
}
