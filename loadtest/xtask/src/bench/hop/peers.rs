//! nginx twice: as the upstream of both proxies, and as the proxy to be measured against.

use std::fs;
use std::net::{Ipv4Addr, TcpStream};
use std::path::Path;
use std::time::Duration;

use crate::child::{self, Child};
use crate::clock;
use crate::failure::Failure;
use crate::setup::{Program, Tools};
use crate::world;

/// The path at which the upstream answers the Authorization header that it got. It is asked once,
/// for its length; what is measured is answered without it.
pub(super) const ECHO_PATH: &str = "/hop/injected";
/// The answer's body, in bytes.
const BODY_BYTES: usize = 200;
/// nginx starts in milliseconds.
const READY_LIMIT: Duration = Duration::from_secs(10);
const READY_GAP: Duration = Duration::from_millis(10);
/// Idle connections that the proxy keeps to the upstream: the most that the load generator opens.
const KEPT_CONNECTIONS: usize = 1024;

/// The upstream that answers 200 bytes.
#[derive(Debug)]
pub(super) struct Upstream {
    port: u16,
    _server: Child,
}

/// nginx as a plain proxy with a static Authorization header.
#[derive(Debug)]
pub(super) struct Proxy {
    port: u16,
    server: Child,
}

impl Upstream {
    /// Starts it.
    ///
    /// # Errors
    /// `Unavailable` with the end of its log.
    pub(super) fn start(
        tools: &Tools,
        folder: &Path,
        core: Option<usize>,
    ) -> Result<Self, Failure> {
        let body = "x".repeat(BODY_BYTES);
        let inside = format!(
            "server {{ listen 127.0.0.1:PORT; keepalive_requests 100000000; \
             default_type text/plain; location / {{ return 200 {body}; }} \
             location = {ECHO_PATH} {{ return 200 $http_authorization; }} }}"
        );
        let (port, server) = start(tools, &folder.join("upstream"), core, &inside)?;
        Ok(Self { port, _server: server })
    }

    /// Returns its origin.
    pub(super) fn origin(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }
}

impl Proxy {
    /// Starts it with a header of the given length.
    ///
    /// # Errors
    /// `Unavailable` with the end of its log.
    pub(super) fn start(
        tools: &Tools,
        folder: &Path,
        core: Option<usize>,
        upstream: &Upstream,
        injected: usize,
    ) -> Result<Self, Failure> {
        let credentials = "a".repeat(injected.saturating_sub("Bearer ".len()));
        let inside = format!(
            "upstream backend {{ server 127.0.0.1:{}; keepalive {KEPT_CONNECTIONS}; \
             keepalive_requests 100000000; }} \
             server {{ listen 127.0.0.1:PORT; keepalive_requests 100000000; \
             location / {{ proxy_pass http://backend; proxy_http_version 1.1; \
             proxy_set_header Connection \"\"; proxy_set_header Host $host; proxy_set_header Cookie \"\"; \
             proxy_set_header Authorization \"Bearer {credentials}\"; }} }}",
            upstream.port
        );
        let (port, server) = start(tools, &folder.join("proxy"), core, &inside)?;
        Ok(Self { port, server })
    }

    /// Returns the number of its process.
    pub(super) fn process(&self) -> u32 {
        self.server.id()
    }

    /// Returns its origin.
    pub(super) fn origin(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }
}

/// Starts an nginx with all its files in one folder; `PORT` stands for a free port. It is one process:
/// a worker would outlive a killed master.
fn start(
    tools: &Tools,
    folder: &Path,
    core: Option<usize>,
    inside: &str,
) -> Result<(u16, Child), Failure> {
    let Some(program) = tools.path(Program::Nginx.variable()) else {
        return Err(Failure::Ours("nginx was set up and is gone".to_owned()));
    };
    let port = child::port_or_free(0)?;
    fs::create_dir_all(folder).map_err(|error| Failure::io("make nginx's folder", &error))?;
    let place = folder.display();
    let text = format!(
        "daemon off; master_process off; pid {place}/pid; error_log {place}/error.log warn; \
         events {{ worker_connections 8192; }} \
         http {{ access_log off; tcp_nodelay on; client_body_temp_path {place}/body; \
         proxy_temp_path {place}/proxied; fastcgi_temp_path {place}/f; uwsgi_temp_path {place}/u; \
         scgi_temp_path {place}/s; {} }}",
        inside.replace("PORT", &port.to_string())
    );
    let file = folder.join("nginx.conf");
    fs::write(&file, text).map_err(|error| Failure::io("write nginx's file", &error))?;
    let mut command = world::on_core(core, program);
    command.arg("-p").arg(folder).arg("-c").arg(&file);
    let mut server = Child::start("nginx", &command, &folder.join("start.log"))?;
    let up = clock::poll(READY_LIMIT, READY_GAP, || {
        TcpStream::connect((Ipv4Addr::LOCALHOST, port)).ok()
    });
    if up.is_none() {
        return Err(server.died("did not listen"));
    }
    Ok((port, server))
}
