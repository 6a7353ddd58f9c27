//! Reload, bounds on connections, and the calm end.

use std::time::Duration;

use bytes::Bytes;
use http::{Method, Response};
use http_body_util::Full;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::mpsc;

use super::world::{Gateway, PATIENCE, Upstream, config, connect, full, raw, read, status, usual};

#[tokio::test(flavor = "multi_thread")]
async fn a_reload_changes_routes_and_drops_no_connection() {
    let (first, second) = (Upstream::echo().await, Upstream::echo().await);
    let gateway = Gateway::before(&first).await;
    let running = gateway.running.as_ref().unwrap();
    let (mut sender, _connection) = connect(gateway.address).await;
    let mut get = async || {
        let request =
            gateway.request(Method::GET, "/api/x").body(Full::<Bytes>::default()).unwrap();
        sender.ready().await.unwrap();
        read(sender.send_request(request).await.unwrap()).await.status
    };
    assert_eq!(get().await, 200);
    running.reload(config(&usual(&second, ""))).unwrap();
    assert_eq!(get().await, 200);
    assert_eq!((first.seen().len(), second.seen().len()), (1, 1));

    let bad = usual(&second, "upstream_ca = \"/etc/hostname\"").replace("http://", "https://");
    let refused = running.reload(config(&bad)).unwrap_err().to_string();
    assert!(refused.contains("certificate"), "{refused}");
    let elsewhere = format!("prefix = \"/other\"\n---\n{}", usual(&second, ""));
    let listen = format!("listen = \"{}\"\n", gateway.address);
    drop(listen);
    let refused = running.reload(config(&elsewhere)).unwrap_err().to_string();
    assert!(refused.contains("prefix") && refused.contains("restart"), "{refused}");
    assert_eq!(get().await, 200, "the old configuration stays");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drain_lets_requests_finish_and_nobody_in() {
    let (arrived, mut arrivals) = mpsc::channel::<mpsc::Sender<()>>(1);
    let upstream = Upstream::raw(move |_, _| {
        let arrived = arrived.clone();
        async move {
            let (go, mut gone) = mpsc::channel(1);
            arrived.send(go).await.unwrap();
            gone.recv().await;
            Response::new(full("finished"))
        }
    })
    .await;
    let mut gateway = Gateway::before(&upstream).await;
    let mut idle = TcpStream::connect(gateway.address).await.unwrap();
    let (mut sender, _connection) = connect(gateway.address).await;
    let request = gateway.request(Method::GET, "/api/x").body(Full::<Bytes>::default()).unwrap();
    let asking =
        tokio::spawn(async move { read(sender.send_request(request).await.unwrap()).await });
    let go = arrivals.recv().await.unwrap();

    let draining = tokio::spawn(gateway.running.take().unwrap().drain());
    // An idle connection is closed at once: that it ends shows that the drain has begun.
    let mut nothing = Vec::new();
    tokio::time::timeout(PATIENCE, idle.read_to_end(&mut nothing)).await.unwrap().unwrap();
    // The other threads close their listeners at their own next turn.
    let shut = async {
        while TcpStream::connect(gateway.address).await.is_ok() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, shut).await.expect("nobody listens");
    assert!(!draining.is_finished(), "a request is in flight");

    go.send(()).await.unwrap();
    assert_eq!(asking.await.unwrap().text(), "finished");
    assert_eq!(tokio::time::timeout(PATIENCE, draining).await.unwrap().unwrap(), 0, "none was cut");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drain_ends_even_if_a_request_does_not() {
    let silent = Upstream::raw(|_, _| std::future::pending()).await;
    let settings = format!("[limits]\ndrain = \"100ms\"\n{}", usual(&silent, ""));
    let mut gateway = Gateway::start(&settings).await;
    let mut socket = TcpStream::connect(gateway.address).await.unwrap();
    socket.write_all(b"GET /x HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    tokio::time::sleep(Duration::from_millis(50)).await;
    let draining = gateway.running.take().unwrap().drain();
    assert_eq!(tokio::time::timeout(PATIENCE, draining).await.unwrap(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn l14_a_listener_takes_no_more_connections_than_it_may() {
    let upstream = Upstream::echo().await;
    let settings = format!("[limits]\nconnections = 2\n{}", usual(&upstream, ""));
    let gateway = Gateway::start(&settings).await;
    let (mut first, _first) = connect::<Full<Bytes>>(gateway.address).await;
    let (mut second, _second) = connect::<Full<Bytes>>(gateway.address).await;
    for sender in [&mut first, &mut second] {
        let request = gateway.request(Method::GET, "/x").body(Full::default()).unwrap();
        assert_eq!(read(sender.send_request(request).await.unwrap()).await.status, 200);
    }
    let reply = raw(gateway.address, b"").await;
    assert_eq!(status(&reply), 503, "{reply}");
    assert!(reply.to_ascii_lowercase().contains("retry-after: 1"), "{reply}");
    let (head, body) = reply.split_once("\r\n\r\n").unwrap();
    let length = format!("content-length: {}", body.len());
    assert!(head.contains(&length), "{length}: {head}");
    serde_json::from_str::<serde_json::Value>(body).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn l14_half_a_head_is_not_waited_for() {
    let upstream = Upstream::echo().await;
    let settings = format!("[limits]\nheader_read = \"1s\"\n{}", usual(&upstream, ""));
    let gateway = Gateway::start(&settings).await;
    for sent in [&b""[..], b"GET / HT", b"GET / HTTP/1.1\r\nHost: x\r\n"] {
        let mut socket = TcpStream::connect(gateway.address).await.unwrap();
        socket.write_all(sent).await.unwrap();
        let mut nothing = Vec::new();
        let ended = tokio::time::timeout(PATIENCE, socket.read_to_end(&mut nothing)).await;
        assert!(ended.is_ok(), "{sent:?}");
    }
}
