//! Apache with mod_auth_openidc, as Debian has both.

use std::fs;

use nix::unistd::Uid;
use tokenward_programs::child::Child;
use tokenward_programs::control::Control;
use tokenward_programs::failure::Failure;
use tokenward_programs::port;

use super::peer::{AUDIENCE, Peer, RETURN_PATH, SCOPE, Seat, origin, register};
use super::{Ground, shown};
use crate::bench::contest;
use crate::world::{self, CLIENT_SECRET};

const CLIENT_ID: &str = "mod-auth-openidc";

/// What a proxy with sign-in needs of Apache, in the order in which they depend on each other.
const MODULES: [&str; 8] = [
    "mpm_event",
    "authn_core",
    "authz_core",
    "authz_user",
    "headers",
    "proxy",
    "proxy_http",
    "auth_openidc",
];

/// Starts it before an upstream.
///
/// # Errors
/// `Unavailable` with the end of its log.
pub(super) fn start(ground: &Ground, control: &Control, seat: &Seat) -> Result<Peer, Failure> {
    let port = port::wanted_or_free(0)?;
    register(control, CLIENT_ID, port)?;
    let folder = ground.under(&format!("apache-{port}"));
    contest::folder(&folder)?;
    let file = folder.join("httpd.conf");
    fs::write(&file, written(ground, seat, port, &shown(&folder)))
        .map_err(|error| Failure::io("write Apache's file", &error))?;
    let mut command = world::on_core(seat.core, &ground.program("apache2"));
    // One process in the foreground: a worker would outlive a killed master.
    command.arg("-X").arg("-f").arg(&file).env("LD_LIBRARY_PATH", ground.libraries()?);
    let mut server = Child::start("Apache", &command, &folder.join("error.log"))?;
    server.wait_until_it_listens(port)?;
    let back = format!("{}/", origin(port)).replace(':', "%3A").replace('/', "%2F");
    let sign_out = format!("{RETURN_PATH}?logout={back}");
    Ok(Peer { name: "mod_auth_openidc", port, server, sign_out })
}

fn written(ground: &Ground, seat: &Seat, port: u16, folder: &str) -> String {
    let modules = shown(&ground.servers.join("usr/lib/apache2/modules"));
    let mut text = format!(
        "ServerRoot \"{folder}\"\nServerName 127.0.0.1\nListen 127.0.0.1:{port}\n\
         PidFile \"{folder}/pid\"\nErrorLog \"{folder}/error.log\"\nLogLevel error\n"
    );
    for module in MODULES {
        text.push_str(&format!("LoadModule {module}_module \"{modules}/mod_{module}.so\"\n"));
    }
    if Uid::effective().is_root() {
        text.push_str("User nobody\nGroup nogroup\n");
    }
    let (issuer, upstream) = (&seat.issuer, &seat.upstream);
    let (own, audience) = (origin(port), AUDIENCE.replace(':', "%3A").replace('/', "%2F"));
    text.push_str(&format!(
        "StartServers 1\nServerLimit 1\nThreadLimit 256\nThreadsPerChild 256\n\
         MaxRequestWorkers 256\nKeepAlive On\nMaxKeepAliveRequests 0\nKeepAliveTimeout 60\n\
         OIDCProviderMetadataURL {issuer}.well-known/openid-configuration\n\
         OIDCClientID {CLIENT_ID}\nOIDCClientSecret {CLIENT_SECRET}\n\
         OIDCRedirectURI {own}{RETURN_PATH}\n\
         OIDCCryptoPassphrase seals-for-as-long-as-the-measurement\n\
         OIDCScope \"{SCOPE}\"\nOIDCAuthRequestParams audience={audience}\n\
         OIDCRefreshAccessTokenBeforeExpiry 1\nOIDCPassClaimsAs environment\n\
         <Location />\nAuthType openid-connect\nRequire valid-user\n\
         RequestHeader set Authorization \"Bearer %{{OIDC_access_token}}e\"\n\
         RequestHeader unset Cookie\nProxyPass {upstream}/\n</Location>\n"
    ));
    text
}
