//! The program: one line when it is ready, SIGTERM to end it, exit codes for what is wrong.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use serde_json::Value;

const PROGRAM: &str = env!("CARGO_BIN_EXE_tokenward-sandbox");

#[test]
fn it_says_where_it_listens_and_ends_when_told() {
    let mut program = Command::new(PROGRAM).stdout(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(program.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let told: Value = serde_json::from_str(&line).unwrap();
    for place in ["/issuer", "/control", "/apis/quotes", "/apis/accounts", "/apis/echo", "/app"] {
        let address = told.pointer(place).and_then(Value::as_str).unwrap();
        let open = url::Url::parse(address).unwrap().socket_addrs(|| None).unwrap();
        assert!(std::net::TcpStream::connect(&open[..]).is_ok(), "{place} accepts connections");
    }
    let terminate = format!("kill -TERM {}", program.id());
    Command::new("sh").args(["-c", &terminate]).status().unwrap();
    assert_eq!(program.wait().unwrap().code(), Some(0));
}

#[test]
fn it_refuses_with_the_code_for_the_cause() {
    let held = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = format!("[listen]\napp = \"{}\"", held.local_addr().unwrap());
    let folder = tempfile::tempdir().unwrap();
    for (text, code, part) in
        [("[tenant]\nlee = 1", 78, "line 2: unknown field `lee`"), (&taken, 69, "cannot listen on")]
    {
        let path = folder.path().join("sandbox.toml");
        std::fs::write(&path, text).unwrap();
        let ended = Command::new(PROGRAM).arg("--config").arg(&path).output().unwrap();
        let said = String::from_utf8(ended.stderr).unwrap();
        assert_eq!((ended.status.code(), said.lines().count()), (Some(code), 1), "{said}");
        assert!(said.contains(part), "{said}");
    }
    let misused = Command::new(PROGRAM).arg("--what").output().unwrap();
    assert_eq!(misused.status.code(), Some(64));
}
