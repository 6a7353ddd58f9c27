//! Proxies that do no more than pass on and add a static header, and nginx as the upstream of all.

use std::fs;
use std::path::Path;

use tokenward_programs::child::Child;
use tokenward_programs::failure::Failure;
use tokenward_programs::port;

use crate::bench::contest;
use crate::setup::{Program, Tools};
use crate::world;

/// The path at which the upstream answers the Authorization header that it got. It is asked once,
/// for its length; what is measured is answered without it.
pub(super) const ECHO_PATH: &str = "/hop/injected";
/// The answer's body, in bytes.
const BODY_BYTES: usize = 200;
/// Idle connections that the proxy keeps to the upstream: the most that the load generator opens.
const KEPT_CONNECTIONS: usize = 1024;

/// The upstream that answers 200 bytes.
#[derive(Debug)]
pub(super) struct Upstream {
    port: u16,
    _server: Child,
}

/// A plain proxy with a static Authorization header.
#[derive(Debug)]
pub(super) struct Plain {
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

impl Plain {
    /// Returns the number of its process.
    pub(super) fn process(&self) -> u32 {
        self.server.id()
    }

    /// Returns its origin.
    pub(super) fn origin(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }
}

/// Starts nginx before the upstream, with a header of the given length.
///
/// # Errors
/// `Unavailable` with the end of its log.
pub(super) fn nginx(
    tools: &Tools,
    folder: &Path,
    core: Option<usize>,
    upstream: &Upstream,
    injected: usize,
) -> Result<Plain, Failure> {
    let inside = format!(
        "upstream backend {{ server 127.0.0.1:{}; keepalive {KEPT_CONNECTIONS}; \
         keepalive_requests 100000000; }} \
         server {{ listen 127.0.0.1:PORT; keepalive_requests 100000000; \
         location / {{ proxy_pass http://backend; proxy_http_version 1.1; \
         proxy_set_header Connection \"\"; proxy_set_header Host $host; proxy_set_header Cookie \"\"; \
         proxy_set_header Authorization \"{}\"; }} }}",
        upstream.port,
        credentials(injected)
    );
    let (port, server) = start(tools, &folder.join("proxy"), core, &inside)?;
    Ok(Plain { port, server })
}

/// Starts HAProxy, with one thread, as [`nginx`] is started.
///
/// # Errors
/// `Unavailable` with the end of its log.
pub(super) fn haproxy(
    program: &Path,
    libraries: &Path,
    folder: &Path,
    core: Option<usize>,
    (upstream, injected): (&Upstream, usize),
) -> Result<Plain, Failure> {
    let port = port::wanted_or_free(0)?;
    let folder = folder.join("haproxy");
    contest::folder(&folder)?;
    let text = format!(
        "global\n  nbthread 1\n  maxconn 4096\n\
         defaults\n  mode http\n  timeout connect 5s\n  timeout client 60s\n  timeout server 60s\n\
         frontend callers\n  bind 127.0.0.1:{port}\n  default_backend upstream\n\
         backend upstream\n  http-reuse always\n  http-request del-header Cookie\n  \
         http-request set-header Authorization \"{}\"\n  server only 127.0.0.1:{}\n",
        credentials(injected),
        upstream.port
    );
    let file = folder.join("haproxy.cfg");
    fs::write(&file, text).map_err(|error| Failure::io("write HAProxy's file", &error))?;
    let mut command = world::on_core(core, program);
    command.arg("-db").arg("-f").arg(&file).env("LD_LIBRARY_PATH", libraries);
    let mut server = Child::start("HAProxy", &command, &folder.join("start.log"))?;
    server.wait_until_it_listens(port)?;
    Ok(Plain { port, server })
}

/// Returns a value of the Authorization header with so many bytes.
fn credentials(length: usize) -> String {
    format!("Bearer {}", "a".repeat(length.saturating_sub("Bearer ".len())))
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
    let port = port::wanted_or_free(0)?;
    contest::folder(folder)?;
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
    server.wait_until_it_listens(port)?;
    Ok((port, server))
}
