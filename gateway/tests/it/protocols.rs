//! HTTP/1.1 and HTTP/2 on both sides, trailers, gRPC, TLS.

use std::convert::Infallible;
use std::path::Path;
use std::sync::Arc;

use bytes::{Buf, BufMut, Bytes};
use http::{HeaderMap, HeaderValue, Method, Request, Response, Version, header};
use http_body::Frame;
use http_body_util::{BodyExt as _, Full, StreamBody};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::pki_types::{CertificateDer, ServerName};
use tokio::net::TcpStream;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::{Code, Status};

use super::world::{Gateway, Reply, TestBody, Upstream, config, connect, read, text, usual};

/// An upstream that answers with its request's body and version, and a trailer.
async fn trailing() -> Upstream {
    Upstream::start(|seen| {
        let body = format!("{:?} {}", seen.version, String::from_utf8_lossy(&seen.body));
        let mut trailers = HeaderMap::new();
        trailers.insert("x-check", HeaderValue::from_static("sum"));
        let frames =
            [Ok::<_, Infallible>(Frame::data(Bytes::from(body))), Ok(Frame::trailers(trailers))];
        let body: TestBody = StreamBody::new(futures_util::stream::iter(frames)).boxed_unsync();
        Response::builder().header("trailer", "x-check").body(body).unwrap()
    })
    .await
}

async fn over_http2(gateway: &Gateway, request: Request<Full<Bytes>>) -> Reply {
    let io = TokioIo::new(TcpStream::connect(gateway.address).await.unwrap());
    let builder = hyper::client::conn::http2::Builder::new(TokioExecutor::new());
    let (mut sender, connection) = builder.handshake(io).await.unwrap();
    tokio::spawn(connection);
    read(sender.send_request(request).await.unwrap()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn every_protocol_meets_every_protocol() {
    let upstream = trailing().await;
    for (upstream_http2, spoken) in [(false, "HTTP/1.1"), (true, "HTTP/2.0")] {
        let gateway = Gateway::start(&usual(&upstream, &format!("http2 = {upstream_http2}"))).await;
        for caller_http2 in [false, true] {
            let uri = if caller_http2 { "http://gw.example/api/x?q" } else { "/api/x?q" };
            let mut request = Request::builder()
                .method(Method::POST)
                .uri(uri)
                .header(header::AUTHORIZATION, gateway.bearer())
                .header(header::TE, "trailers")
                .header(header::COOKIE, "a=1")
                .header(header::COOKIE, "b=2");
            if !caller_http2 {
                request = request.header(header::HOST, "gw.example");
            }
            let request = request.body(Full::new(Bytes::from("body"))).unwrap();
            let reply = match caller_http2 {
                true => over_http2(&gateway, request).await,
                false => {
                    let (mut sender, _connection) = connect(gateway.address).await;
                    read(sender.send_request(request).await.unwrap()).await
                }
            };
            let case = format!("caller HTTP/2 {caller_http2}, upstream {spoken}");
            assert_eq!(reply.text(), format!("{spoken} body"), "{case}");
            assert_eq!(reply.trailers.expect(&case)["x-check"], "sum", "{case}");
            let seen = upstream.last();
            assert_eq!(seen.uri.path_and_query().unwrap(), "/api/x?q");
            assert_eq!(seen.header("authorization"), Some("Bearer first for urn:a"), "{case}");
            assert_eq!(seen.header("cookie"), Some("a=1; b=2"), "{case}");
            assert_eq!(seen.header("x-forwarded-host"), Some("gw.example"), "{case}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn request_trailers_reach_an_http2_upstream() {
    let upstream = Upstream::echo().await;
    let gateway = Gateway::start(&usual(&upstream, "http2 = true")).await;
    let mut trailers = HeaderMap::new();
    trailers.insert("x-check", HeaderValue::from_static("sum"));
    let frames =
        [Ok::<_, Infallible>(Frame::data(Bytes::from("body"))), Ok(Frame::trailers(trailers))];
    let body = StreamBody::new(futures_util::stream::iter(frames));
    let io = TokioIo::new(TcpStream::connect(gateway.address).await.unwrap());
    let builder = hyper::client::conn::http2::Builder::new(TokioExecutor::new());
    let (mut sender, connection) = builder.handshake(io).await.unwrap();
    tokio::spawn(connection);
    let request = Request::post("http://gw.example/api/x")
        .header(header::AUTHORIZATION, gateway.bearer())
        .body(body)
        .unwrap();
    assert_eq!(read(sender.send_request(request).await.unwrap()).await.status, 200);
    let seen = upstream.last();
    assert_eq!((seen.version, &*seen.body), (Version::HTTP_2, &b"body"[..]));
    assert_eq!(seen.trailers.unwrap()["x-check"], "sum");
}

/// Messages of bytes, as they are: what prost would generate, without protoc.
#[derive(Clone, Default)]
struct Plain;

impl Codec for Plain {
    type Encode = Bytes;
    type Decode = Bytes;
    type Encoder = Plain;
    type Decoder = Plain;

    fn encoder(&mut self) -> Plain {
        Plain
    }

    fn decoder(&mut self) -> Plain {
        Plain
    }
}

impl Encoder for Plain {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, item: Bytes, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        buffer.put(item);
        Ok(())
    }
}

impl Decoder for Plain {
    type Item = Bytes;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        let length = buffer.remaining();
        Ok(Some(buffer.copy_to_bytes(length)))
    }
}

/// Counts down from the request's number, then says what the number was in its status.
struct CountDown;

impl tonic::server::ServerStreamingService<Bytes> for CountDown {
    type Response = Bytes;
    type ResponseStream = futures_util::stream::Iter<std::vec::IntoIter<Result<Bytes, Status>>>;
    type Future = std::future::Ready<Result<tonic::Response<Self::ResponseStream>, Status>>;

    fn call(&mut self, request: tonic::Request<Bytes>) -> Self::Future {
        let from: u8 = request.into_inner()[0];
        let mut items: Vec<_> = (1..=from).rev().map(|n| Ok(Bytes::from(vec![n]))).collect();
        items.push(Err(Status::out_of_range(format!("below {from}"))));
        std::future::ready(Ok(tonic::Response::new(futures_util::stream::iter(items))))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn grpc_streams_with_its_status_in_the_trailers() {
    let upstream = Upstream::raw(|request, _| async move {
        assert_eq!(request.headers()["authorization"], "Bearer first for urn:a");
        assert_eq!(request.headers()["te"], "trailers");
        let request = request.map(tonic::body::Body::new);
        let response = tonic::server::Grpc::new(Plain).server_streaming(CountDown, request).await;
        response.map(|body| {
            let bytes = body.map_frame(|frame| frame);
            bytes.map_err(|status| -> Infallible { panic!("{status}") }).boxed_unsync()
        })
    })
    .await;
    let gateway = Gateway::start(&usual(&upstream, "http2 = true")).await;
    let address = format!("http://{}", gateway.address);
    let channel = tonic::transport::Endpoint::try_from(address).unwrap().connect().await.unwrap();
    let mut client = tonic::client::Grpc::new(channel);
    client.ready().await.unwrap();
    let mut request = tonic::Request::new(futures_util::stream::iter([Bytes::from_static(&[3])]));
    request.metadata_mut().insert("authorization", gateway.bearer().parse().unwrap());
    let path = http::uri::PathAndQuery::from_static("/api/count.Down/From");
    let mut stream = client.streaming(request, path, Plain).await.unwrap().into_inner();
    for expected in [3, 2, 1] {
        assert_eq!(stream.message().await.unwrap().unwrap(), [expected][..]);
    }
    let status = stream.message().await.unwrap_err();
    assert_eq!((status.code(), status.message()), (Code::OutOfRange, "below 3"));
}

/// A certificate for `localhost`, in files.
struct Certificate {
    der: CertificateDer<'static>,
    pem: String,
    key_pem: String,
}

impl Certificate {
    fn new() -> Self {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        Self {
            der: made.cert.der().clone(),
            pem: made.cert.pem(),
            key_pem: made.signing_key.serialize_pem(),
        }
    }

    fn write(&self, directory: &Path) {
        std::fs::write(directory.join("cert.pem"), &self.pem).unwrap();
        std::fs::write(directory.join("key.pem"), &self.key_pem).unwrap();
    }
}

async fn tls(gateway: &Gateway, trusted: &Certificate, alpn: &[u8]) -> Result<TlsTalk, String> {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(trusted.der.clone()).unwrap();
    let ring = Arc::new(rustls::crypto::ring::default_provider());
    let mut client = rustls::ClientConfig::builder_with_provider(ring)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    client.alpn_protocols = vec![alpn.to_vec()];
    let socket = TcpStream::connect(gateway.address).await.unwrap();
    let name = ServerName::try_from("localhost").unwrap();
    let stream = tokio_rustls::TlsConnector::from(Arc::new(client)).connect(name, socket).await;
    let io = TokioIo::new(stream.map_err(|error| error.to_string())?);
    if alpn == b"h2" {
        let builder = hyper::client::conn::http2::Builder::new(TokioExecutor::new());
        let (sender, connection) = builder.handshake(io).await.unwrap();
        tokio::spawn(connection);
        return Ok(TlsTalk::Http2(sender));
    }
    let (sender, connection) = hyper::client::conn::http1::handshake(io).await.unwrap();
    tokio::spawn(connection);
    Ok(TlsTalk::Http1(sender))
}

enum TlsTalk {
    Http1(hyper::client::conn::http1::SendRequest<Full<Bytes>>),
    Http2(hyper::client::conn::http2::SendRequest<Full<Bytes>>),
}

impl TlsTalk {
    async fn get(&mut self) -> Reply {
        let request = Request::get("https://localhost/x").body(Full::default()).unwrap();
        match self {
            TlsTalk::Http2(sender) => {
                sender.ready().await.unwrap();
                read(sender.send_request(request).await.unwrap()).await
            }
            TlsTalk::Http1(sender) => {
                let mut request = request;
                sender.ready().await.unwrap();
                *request.uri_mut() = http::Uri::from_static("/x");
                request.headers_mut().insert(header::HOST, HeaderValue::from_static("localhost"));
                read(sender.send_request(request).await.unwrap()).await
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn tls_speaks_both_protocols_and_takes_new_certificates_without_a_break() {
    let directory = tempfile::tempdir().unwrap();
    let (old, new) = (Certificate::new(), Certificate::new());
    old.write(directory.path());
    let upstream = Upstream::echo().await;
    let files = format!(
        "[tls]\ncert = \"{0}/cert.pem\"\nkey = \"{0}/key.pem\"\n{1}",
        directory.path().display(),
        usual(&upstream, "")
    );
    let gateway = Gateway::start(&files).await;
    let mut before = tls(&gateway, &old, b"http/1.1").await.unwrap();
    assert_eq!(before.get().await.text(), "GET /x");
    assert_eq!(upstream.last().header("x-forwarded-proto"), Some("https"));
    assert_eq!(tls(&gateway, &old, b"h2").await.unwrap().get().await.text(), "GET /x");

    let running = gateway.running.as_ref().unwrap();
    std::fs::write(directory.path().join("cert.pem"), "no certificate").unwrap();
    let refused = running.reload(config(&files)).unwrap_err().to_string();
    assert!(refused.contains("cert.pem"), "{refused}");
    assert!(tls(&gateway, &old, b"h2").await.is_ok(), "the old certificate stays");

    new.write(directory.path());
    running.reload(config(&files)).unwrap();
    assert!(tls(&gateway, &old, b"h2").await.is_err(), "the old certificate is gone");
    assert_eq!(tls(&gateway, &new, b"h2").await.unwrap().get().await.status, 200);
    assert_eq!(before.get().await.status, 200, "old connections stay");
    assert!(text("").contains("provider"));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_encrypted_upstream_is_verified() {
    // The upstream is another gateway, which speaks TLS to us.
    let directory = tempfile::tempdir().unwrap();
    let certificate = Certificate::new();
    certificate.write(directory.path());
    let behind = Upstream::echo().await;
    let at = directory.path().display();
    let inner = Gateway::start(&format!(
        "[tls]\ncert = \"{at}/cert.pem\"\nkey = \"{at}/key.pem\"\n{}",
        usual(&behind, "")
    ))
    .await;
    let port = inner.address.port();
    let outer = Gateway::start(&format!(
        "[[route]]\npath = \"/good\"\nupstream = \"https://localhost:{port}\"\nupstream_ca = \"{at}/cert.pem\"\n\
         [[route]]\npath = \"/bad\"\nupstream = \"https://localhost:{port}\"\n"
    ))
    .await;
    let reply = outer.get("/good").await;
    assert_eq!(reply.text(), "GET /good");
    assert!(outer.get("/bad").await.problem("detail").contains("tls"));
}
