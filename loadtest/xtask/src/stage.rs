//! What every play has in common: three APIs, their callers, and a world that comes up.

use tokenward_programs::failure::Failure;
use tokenward_programs::port;

use crate::crash::crowd;
use crate::tree::{Profile, Tree};
use crate::visitor::Visitor;
use crate::world::{Addresses, Launch, Route, World};

/// The three APIs: the path that is called for each.
pub(crate) const QUOTES: &str = "/quotes/quote";
pub(crate) const ACCOUNTS: &str = "/accounts/accounts";
pub(crate) const ECHO: &str = "/echo/anything";

/// What a browser says of a request that a page of the gateway itself sends.
pub(crate) const SAME_ORIGIN: (&str, &str) = ("sec-fetch-site", "same-origin");

/// How often a world is started anew: another program may have taken a free port meanwhile.
const STARTS: u32 = 3;

/// A session's credential, as its holder sends it.
#[derive(Clone, Debug)]
pub(crate) struct Who {
    /// The session's public id; nothing for browsers and displays, which do not know it.
    pub(crate) id: Option<String>,
    header: &'static str,
    value: String,
}

impl Who {
    /// Returns a browser's credential.
    pub(crate) fn with(visitor: &Visitor) -> Self {
        Self { id: None, header: "cookie", value: visitor.cookie() }
    }

    /// Returns the credential of a program or a display that has this session handle.
    pub(crate) fn holding(handle: &str) -> Self {
        Self { id: None, header: "authorization", value: format!("Bearer {handle}") }
    }

    /// Returns the header that carries the credential.
    pub(crate) fn header(&self) -> (&'static str, &str) {
        (self.header, &self.value)
    }
}

/// Starts provider and gateway; access tokens live for `life` seconds. `more` is text for the end
/// of the gateway's file; where it names one of the usual routes itself, the usual one is left out.
///
/// # Errors
/// `Unavailable` when one does not come up.
pub(crate) fn start(
    tree: &Tree,
    name: &str,
    life: u32,
    more: impl Fn(&Addresses) -> String,
) -> Result<World, Failure> {
    let usual = |addresses: &Addresses| {
        let more = more(addresses);
        let named = |route: &Route| more.contains(&format!("\"{}\"", route.path));
        routes(addresses).into_iter().filter(|route| !named(route)).collect()
    };
    let mut tries = 1;
    loop {
        match World::start_with(tree, name, launch(life)?, usual, &more) {
            Err(Failure::Unavailable(_)) if tries < STARTS => tries += 1,
            started => return started,
        }
    }
}

/// Makes sessions that no person sits at: displays, programs. Their access tokens have all run out.
///
/// # Errors
/// `Ours` when sandbox or gateway refuse.
pub(crate) fn programs(world: &World, count: u32) -> Result<Vec<Who>, Failure> {
    let who = |member: crowd::Member| Who {
        header: "authorization",
        value: member.authorization(),
        id: Some(member.id),
    };
    Ok(crowd::gather(world, count)?.into_iter().map(who).collect())
}

fn launch(life: u32) -> Result<Launch, Failure> {
    Ok(Launch {
        profile: Profile::Debug,
        port: port::wanted_or_free(0)?,
        admin_port: port::wanted_or_free(0)?,
        access_token_seconds: life,
        reuse_window_seconds: None,
        gateway_core: None,
        other_core: None,
    })
}

/// Returns the routes to the three APIs.
pub(crate) fn routes(addresses: &Addresses) -> Vec<Route> {
    let apis = &addresses.apis;
    let route = |name: &str, upstream: &String, scopes: &[&str]| Route {
        path: format!("/{name}/"),
        upstream: upstream.clone(),
        audience: Some(format!("https://{name}.sandbox.example")),
        scopes: scopes.iter().map(|&scope| scope.to_owned()).collect(),
        strip_prefix: true,
    };
    vec![
        route("quotes", &apis.quotes, &["read:quotes"]),
        route("accounts", &apis.accounts, &["read:accounts", "write:accounts"]),
        route("echo", &apis.echo, &["use:echo"]),
    ]
}
