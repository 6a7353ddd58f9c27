//! Callers and upstreams that are slow, that break off, or that answer what nobody asked.

use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use super::world::{Gateway, PATIENCE, Upstream, raw, status, usual};

/// Waits until `told` is true.
async fn until(told: impl Fn() -> bool) {
    let wait = async {
        while !told() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(PATIENCE, wait).await.expect("it comes about");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_breaks_off_is_never_taken_for_a_whole_one() {
    let upstream = Upstream::echo().await;
    let gateway = Gateway::before(&upstream).await;
    let phases = [
        ("", false),
        ("POST / HT", false),
        ("POST / HTTP/1.1\r\nHost: x\r\nContent-Le", false),
        ("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n", true),
        ("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nabc", true),
        ("POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n", true),
        ("POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nab", true),
        ("POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n", true),
        ("POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n", true),
    ];
    for (sent, _) in phases {
        for half in [false, true] {
            let mut socket = TcpStream::connect(gateway.address).await.unwrap();
            socket.write_all(sent.as_bytes()).await.unwrap();
            if half {
                socket.shutdown().await.unwrap();
                let mut reply = Vec::new();
                let closed = tokio::time::timeout(PATIENCE, socket.read_to_end(&mut reply)).await;
                assert!(closed.is_ok(), "{sent:?}: the connection ends");
                assert!(!reply.starts_with(b"HTTP/1.1 2"), "{sent:?}");
            }
        }
    }
    let begun = 2 * phases.iter().filter(|(_, begun)| *begun).count();
    until(|| gateway.notes.ended.lock().unwrap().len() == begun).await;
    let whole = upstream.seen().into_iter().find(|seen| &*seen.body != b"broken");
    assert!(whole.is_none(), "{whole:?}");
    assert_eq!(gateway.get("/x").await.status, 200, "everybody else is served");
}

#[tokio::test(flavor = "multi_thread")]
async fn l14_a_body_that_stands_still_is_not_waited_for() {
    let upstream = Upstream::echo().await;
    let stingy = "timeouts = { idle = \"200ms\", response = \"5s\" }";
    let routes =
        usual(&upstream, stingy).replace("path = \"/\"\n", &format!("path = \"/\"\n{stingy}\n"));
    let gateway = Gateway::start(&routes).await;
    for sent in [
        "POST /x HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nabc",
        "POST /x HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n",
    ] {
        let mut socket = TcpStream::connect(gateway.address).await.unwrap();
        socket.write_all(sent.as_bytes()).await.unwrap();
        let mut reply = Vec::new();
        let ended = tokio::time::timeout(PATIENCE, socket.read_to_end(&mut reply)).await;
        assert!(ended.is_ok(), "{sent:?}");
        let reply = String::from_utf8_lossy(&reply);
        assert!(matches!(status(&reply), 0 | 400 | 408), "{reply}");
    }
    until(|| gateway.notes.ended.lock().unwrap().len() == 2).await;
    assert!(upstream.seen().iter().all(|seen| &*seen.body == b"broken"));
}

/// An upstream that answers each connection's requests with the bytes given, one after the other.
async fn bytes(answers: &'static [&'static str]) -> std::net::SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (mut socket, _) = listener.accept().await.unwrap();
            tokio::spawn(async move {
                let mut head = Vec::new();
                for answer in answers {
                    while !head.ends_with(b"\r\n\r\n") {
                        let Ok(byte) = socket.read_u8().await else { return };
                        head.push(byte);
                    }
                    head.clear();
                    if socket.write_all(answer.as_bytes()).await.is_err() {
                        return;
                    }
                }
            });
        }
    });
    address
}

async fn answered(answers: &'static [&'static str]) -> (Gateway, String) {
    let at = bytes(answers).await;
    let gateway =
        Gateway::start(&format!("[[route]]\npath = \"/\"\nupstream = \"http://{at}\"\n")).await;
    let reply = ask(&gateway).await;
    (gateway, reply)
}

async fn ask(gateway: &Gateway) -> String {
    raw(gateway.address, b"GET /x HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broken_answer_is_the_upstreams_fault() {
    for answer in [
        &["HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n"][..],
        &["HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nok"],
        &["HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\nok"],
        &["HTTP/1.1 200 OK\r\nA: b\0c\r\nContent-Length: 2\r\n\r\nok"],
        &["HTTP/1.1 200 OK\r\nA: b\rSet-Cookie: c=d\r\nContent-Length: 2\r\n\r\nok"],
        &["HTTP/1.1 200 OK\r\nA b: c\r\nContent-Length: 2\r\n\r\nok"],
        &["HTTP/1.1 20 OK\r\nContent-Length: 2\r\n\r\nok"],
        &["HTTP/9.9 200 OK\r\nContent-Length: 2\r\n\r\nok"],
        &["<html>no HTTP at all</html>\r\n\r\n"],
        &[""],
    ] {
        let (_gateway, reply) = answered(answer).await;
        assert_eq!(status(&reply), 502, "{answer:?}: {reply}");
        assert!(reply.contains("upstream_failed"), "{reply}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn early_hints_are_not_the_answer() {
    let (_gateway, reply) = answered(&[
        "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 103 Early Hints\r\n\r\n\
         HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
    ])
    .await;
    assert_eq!(status(&reply), 200, "{reply}");
    assert_eq!(reply.matches("HTTP/1.1").count(), 1, "{reply}");
    assert!(reply.ends_with("ok"), "{reply}");
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_gets_what_an_upstream_said_after_anothers_answer() {
    for answers in [
        // A second answer right behind the first.
        &[
            "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison",
        ][..],
        // A body whose two lengths differ: what is left over must not become the next answer.
        &[
            "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n\
           HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison",
        ],
        &["HTTP/1.1 204 No Content\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison"],
        &["HTTP/1.1 304 Not Modified\r\nContent-Length: 44\r\n\r\n\
           HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison"],
    ] {
        let (gateway, first) = answered(answers).await;
        assert!(!first.contains("poison"), "{first}");
        for _ in 0..3 {
            let next = ask(&gateway).await;
            assert!(!next.contains("poison"), "{answers:?}: {next}");
        }
    }
}
