//! The configuration files of the programs, as an operator would write them.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde::{Deserialize, Serialize};
use tokenward_programs::failure::Failure;
use tokenward_programs::gateway;

use crate::plan::{Api, Plan};

/// The client that the gateways are at the sandbox's tenant.
pub(super) const CLIENT_ID: &str = "tokenward-load";
/// A secret for a tenant that lives as long as the run and listens on this machine only.
pub(super) const CLIENT_SECRET: &str = "only-for-the-sandbox-on-this-machine";
/// By this variable the gateway reads it.
pub(super) const SECRET_VARIABLE: &str = "TOKENWARD_CLIENT_SECRET";
/// Where the sandbox listens, as its first line says.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Addresses {
    pub(super) issuer: String,
    pub(super) control: String,
    apis: BTreeMap<String, String>,
}

#[derive(Serialize)]
pub(super) struct SandboxFile {
    tenant: TenantTable,
    client: [ClientTable; 1],
}

#[derive(Serialize)]
struct TenantTable {
    access_token_lifetime_s: u64,
}

#[derive(Serialize)]
struct ClientTable {
    client_id: &'static str,
    client_secret: &'static str,
    redirect_uris: Vec<String>,
}

#[derive(Serialize)]
struct GatewayFile<'a> {
    listen: String,
    state_dir: &'a Path,
    provider: ProviderTable<'a>,
    admin: AdminTable,
    #[serde(skip_serializing_if = "Option::is_none")]
    store: Option<StoreTable>,
    route: Vec<RouteTable>,
}

#[derive(Serialize)]
struct ProviderTable<'a> {
    issuer: &'a str,
    client_id: &'a str,
    client_secret: BTreeMap<&'a str, &'a str>,
    reuse_window: String,
}

#[derive(Serialize)]
struct AdminTable {
    listen: String,
}

#[derive(Serialize)]
struct StoreTable {
    redis: String,
}

#[derive(Serialize)]
struct RouteTable {
    path: String,
    upstream: String,
    audience: &'static str,
    scopes: [&'static str; 1],
    strip_prefix: bool,
}

/// Returns the sandbox's file, for gateways on these ports.
pub(super) fn sandbox(plan: &Plan, ports: &[u16]) -> SandboxFile {
    let callback = |port: &u16| format!("http://127.0.0.1:{port}/auth/callback");
    SandboxFile {
        tenant: TenantTable {
            access_token_lifetime_s: plan.provider.access_token_life.0.as_secs(),
        },
        client: [ClientTable {
            client_id: CLIENT_ID,
            client_secret: CLIENT_SECRET,
            redirect_uris: ports.iter().map(callback).collect(),
        }],
    }
}

/// Makes a gateway's folder and writes its file into it.
///
/// # Errors
/// `Unavailable` when it cannot be written.
pub(super) fn write_gateway(
    plan: &Plan,
    folder: &Path,
    addresses: &Addresses,
    (port, admin): (u16, u16),
    redis: Option<u16>,
) -> Result<(), Failure> {
    fs::create_dir_all(folder).map_err(|error| Failure::io("make a gateway's folder", &error))?;
    let route = |api: Api| RouteTable {
        path: format!("/{}/", api.name()),
        upstream: addresses.apis.get(api.name()).cloned().unwrap_or_default(),
        audience: api.audience(),
        scopes: [api.scope()],
        strip_prefix: true,
    };
    let file = GatewayFile {
        listen: format!("127.0.0.1:{port}"),
        state_dir: &gateway::state(folder),
        provider: ProviderTable {
            issuer: &addresses.issuer,
            client_id: CLIENT_ID,
            client_secret: BTreeMap::from([("env", SECRET_VARIABLE)]),
            reuse_window: format!("{}s", plan.provider.reuse_window.0.as_secs()),
        },
        admin: AdminTable { listen: format!("127.0.0.1:{admin}") },
        store: redis.map(|port| StoreTable { redis: format!("redis://127.0.0.1:{port}/") }),
        route: Api::all().into_iter().map(route).collect(),
    };
    write(&folder.join("gateway.toml"), &file)
}

/// Writes a configuration file.
///
/// # Errors
/// `Unavailable` when it cannot be written.
pub(super) fn write(path: &Path, file: &impl Serialize) -> Result<(), Failure> {
    let text = toml::to_string(file).map_err(|error| Failure::Ours(error.to_string()))?;
    fs::write(path, text).map_err(|error| Failure::io("write a program's file", &error))
}
