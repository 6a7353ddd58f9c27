//! nginx as an upstream that nobody here wrote: HTTP/1.1, kept-alive connections, its own parser.

use std::net::SocketAddr;
use std::path::Path;

use tempfile::TempDir;
use tokio::net::TcpStream;

use super::program::{PATIENCE, Program, eventually, free_port, tool};

/// The page that a person of the tests meets behind the gateway.
const PAGE: &str = r#"<!doctype html>
<html lang="en"><meta charset="utf-8"><title>Behind the gateway</title>
<link rel="icon" href="data:,">
<style>body { font: 1.1rem/1.6 system-ui, sans-serif; margin: 12vh auto; max-width: 26rem; }</style>
<h1>Behind the gateway</h1>
<p><a id="in" href="/auth/login?return_to=/">Sign in</a></p>
<form method="post" action="/auth/logout"><button id="out">Sign out</button></form>
</html>
"#;

/// A running nginx.
pub(super) struct Nginx {
    pub(super) address: String,
    _program: Program,
    _folder: TempDir,
}

impl Nginx {
    /// Starts it: `/` is the page, `/fixed` answers 200 bytes, and all else goes on to `behind`.
    /// But for the page, whoever comes without Authorization is turned away.
    pub(super) async fn start(behind: SocketAddr) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let port = free_port();
        let file = folder.path().join("nginx.conf");
        std::fs::write(&file, configuration(folder.path(), port, behind)).unwrap();
        std::fs::create_dir(folder.path().join("pages")).unwrap();
        std::fs::write(folder.path().join("pages/index.html"), PAGE).unwrap();
        let program = Program::start(&tool("NGINX"), |command| {
            command.arg("-e").arg("stderr").arg("-p").arg(folder.path()).arg("-c").arg(file);
        });
        let address = format!("127.0.0.1:{port}");
        eventually("nginx listens", PATIENCE, async || TcpStream::connect(&address).await.ok())
            .await;
        Self { address, _program: program, _folder: folder }
    }
}

fn configuration(folder: &Path, port: u16, behind: SocketAddr) -> String {
    let folder = folder.display();
    let scratch: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .map(|kind| format!("  {kind}_temp_path {folder}/{kind};\n"))
        .concat();
    let fixed = "0123456789".repeat(20);
    format!(
        "daemon off;\nmaster_process off;\npid {folder}/pid;\nerror_log stderr warn;\n\
         events {{ worker_connections 1024; }}\n\
         http {{\n  access_log off;\n  default_type text/plain;\n{scratch}\
         \x20 types {{ text/html html; }}\n  keepalive_requests 100000;\n\
         \x20 upstream behind {{ server {behind}; keepalive 32; }}\n\
         \x20 server {{\n    listen 127.0.0.1:{port};\n    root {folder}/pages;\n\
         \x20   location = / {{ try_files /index.html =404; }}\n\
         \x20   location = /fixed {{\n\
         \x20     if ($http_authorization = \"\") {{ return 401; }}\n      return 200 \"{fixed}\";\n    }}\n\
         \x20   location / {{\n      if ($http_authorization = \"\") {{ return 401; }}\n\
         \x20     proxy_http_version 1.1;\n      proxy_set_header Connection \"\";\n\
         \x20     proxy_pass http://behind;\n    }}\n  }}\n}}\n"
    )
}
