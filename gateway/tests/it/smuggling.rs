//! Requests with two readings, byte for byte: each is refused, and nothing hidden gets through.

use super::world::{Gateway, Upstream, raw, status};

/// What must not appear at the upstream, whatever it is hidden in.
const HIDDEN: &str = "GET /hidden HTTP/1.1\r\nHost: x\r\n\r\n";

#[tokio::test(flavor = "multi_thread")]
async fn what_servers_read_differently_is_refused() {
    let upstream = Upstream::echo().await;
    let gateway = Gateway::before(&upstream).await;
    let large = format!("GET / HTTP/1.1\r\nHost: x\r\nX: {}\r\n\r\n", "x".repeat(300_000));
    let far = format!("GET /{} HTTP/1.1\r\nHost: x\r\n\r\n", "x".repeat(70_000));
    let many = format!("GET / HTTP/1.1\r\nHost: x\r\n{}\r\n", "a: b\r\n".repeat(150));
    let hidden_after_length = format!(
        "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n{HIDDEN}",
        HIDDEN.len() + 5
    );
    let hidden_in_upgrade = format!(
        "GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nContent-Length: 3\r\n\r\nabc{HIDDEN}"
    );
    for (request, expected) in [
        ("GET / HTTP/1.1\r\nHost: x\r\n\r\n", 200),
        ("GET / HTTP/1.0\r\n\r\n", 200),
        ("GET http://x/ HTTP/1.1\r\nHost: x\r\n\r\n", 200),
        ("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc", 200),
        ("POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: Chunked\r\n\r\n0\r\n\r\n", 200),
        // Lengths.
        (&*hidden_after_length, 400),
        (
            "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
            400,
        ),
        ("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nContent-Length: 3\r\n\r\nabc", 400),
        ("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabc", 400),
        ("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3, 3\r\n\r\nabc", 400),
        ("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: -3\r\n\r\n", 400),
        ("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: +3\r\n\r\nabc", 400),
        ("POST / HTTP/1.1\r\nHost: x\r\nContent-Length : 3\r\n\r\nabc", 400),
        // Codings.
        ("POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 400),
        ("POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n", 400),
        (
            "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            400,
        ),
        ("POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: identity\r\n\r\n", 400),
        ("POST / HTTP/1.0\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
        // Upgrades and methods.
        (&*hidden_in_upgrade, 400),
        ("CONNECT x:443 HTTP/1.1\r\nHost: x:443\r\n\r\n", 405),
        ("TRACE / HTTP/1.1\r\nHost: x\r\n\r\n", 405),
        ("OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n", 400),
        // Sizes.
        (&*large, 431),
        (&*many, 431),
        (&*far, 414),
    ] {
        let reply = raw(gateway.address, request.as_bytes()).await;
        let shown = &request[..request.len().min(200)];
        assert_eq!(status(&reply), expected, "{shown:?}: {reply}");
        assert!(!reply.contains("/hidden"), "{shown:?}: {reply}");
    }
    assert!(upstream.seen().iter().all(|seen| seen.uri.path() != "/hidden"));
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_after_an_upgrade_that_we_do_not_speak_is_believed() {
    let upstream = Upstream::echo().await;
    let gateway = Gateway::before(&upstream).await;
    let hidden_after_h2c =
        format!("GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n{HIDDEN}");
    let reply = raw(gateway.address, hidden_after_h2c.as_bytes()).await;
    assert_eq!(reply.matches("HTTP/1.1").count(), 1, "{reply}");
    assert!(upstream.seen().iter().all(|seen| seen.uri.path() != "/hidden"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_head_with_two_readings_is_refused() {
    let upstream = Upstream::echo().await;
    let gateway = Gateway::before(&upstream).await;
    for (request, expected) in [
        // Hosts.
        ("GET / HTTP/1.1\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost:\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: x\r\nHost: x\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: x/y\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: a@x\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: x:1:2\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: x:65536\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: x%2fy\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: x, y\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: x\\y\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: x\ty\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: [::1\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: \u{e9}\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\n Host: y\r\nHost: x\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost : x\r\n\r\n", 400),
        ("GET http://y/ HTTP/1.1\r\nHost: x\r\n\r\n", 400),
        ("GET http://a@x/ HTTP/1.1\r\nHost: a@x\r\n\r\n", 400),
        ("GET http://x/ HTTP/1.1\r\n\r\n", 400),
        // Lines.
        ("GET / HTTP/1.1\r\nHost: x\r\nX: a\r\n b\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: x\r\nX: a\rb\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: x\r\nX: a\0b\r\n\r\n", 400),
        ("GET /a b HTTP/1.1\r\nHost: x\r\n\r\n", 400),
        ("GET / HTTP/9.9\r\nHost: x\r\n\r\n", 400),
    ] {
        let reply = raw(gateway.address, request.as_bytes()).await;
        assert_eq!(status(&reply), expected, "{request:?}: {reply}");
    }
    assert!(upstream.seen().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broken_chunk_is_the_callers_fault_and_nothing_after_it_a_request() {
    let upstream = Upstream::echo().await;
    let gateway = Gateway::before(&upstream).await;
    let zeros = "0".repeat(200);
    for body in [
        "3\r\nabcXX",
        "3\r\nabc\n0\r\n\r\n",
        "4\r\nabc\r\n0\r\n\r\n",
        "2\r\nabc\r\n0\r\n\r\n",
        "-1\r\nabc\r\n0\r\n\r\n",
        "0x3\r\nabc\r\n0\r\n\r\n",
        "3 3\r\nabc\r\n0\r\n\r\n",
        ";x\r\nabc\r\n0\r\n\r\n",
        "\r\nabc\r\n0\r\n\r\n",
        "ffffffffffffffffff\r\nabc\r\n0\r\n\r\n",
        "3;a=\"\n\"\r\nabc\r\n0\r\n\r\n",
        "3\r\nabc\r\n0\r\nA: b\rc\r\n\r\n",
        &format!("{zeros}3\r\nabX"),
    ] {
        let request = format!(
            "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n{body}{HIDDEN}"
        );
        let reply = raw(gateway.address, request.as_bytes()).await;
        assert!(matches!(status(&reply), 0 | 400), "{body:?}: {reply}");
        assert_eq!(reply.matches("HTTP/1.1").count().max(1), 1, "{body:?}: {reply}");
    }
    let whole = |seen: &super::world::Seen| &*seen.body != b"broken";
    assert!(!upstream.seen().iter().any(whole), "{:?}", upstream.seen());
}

#[tokio::test(flavor = "multi_thread")]
async fn pipelined_requests_are_answered_in_order() {
    let upstream = Upstream::echo().await;
    let gateway = Gateway::before(&upstream).await;
    let requests = "GET /1 HTTP/1.1\r\nHost: x\r\n\r\n\
        POST /2 HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc\
        POST /3 HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n\
        GET /4 HTTP/1.1\r\nHost: x\r\n\r\n";
    let reply = raw(gateway.address, requests.as_bytes()).await;
    let places: Vec<_> =
        ["GET /1", "POST /2", "POST /3", "GET /4"].map(|line| reply.find(line).unwrap()).into();
    assert!(places.is_sorted(), "{reply}");
}
