//! The display's own `/metrics`: off unless the configuration gives it an address.
//!
//! One route, answered on the loop's own thread, to one caller after the other. The rows are those
//! that a gateway exports for all of its displays; names and helps come from its catalogue.

use std::fmt::Write as _;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokenward::metrics::CONTENT_TYPE;
use tokenward::metrics::catalogue::Metric;
use tokenward::metrics::catalogue::operation::{
    BUILD, DEVICE_CONTENT_TIMESTAMP, DEVICE_DISPLAY_WRITES, DEVICE_FETCHES,
};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use crate::numbers::Fetches;
use crate::panel::Counts;

/// The longest head that is read: Prometheus' own has 300 bytes.
const HEAD_BYTES_MAX: usize = 4096;

/// How long one caller may take for question and answer; the next one waits for its end.
const CALL_MAX: Duration = Duration::from_secs(5);

/// The pause after a caller could not be let in: the kernel lacks files or memory for it.
const PAUSE: Duration = Duration::from_secs(1);

/// The kind of an answer that is no rows.
const WORDS: &str = "text/plain; charset=utf-8";

/// What there is to read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rows {
    /// What became of fetches.
    pub fetches: Fetches,
    /// What became of frames.
    pub draws: Counts,
    /// When the shown content was fetched, where anybody knows.
    pub content_unix: Option<u64>,
}

/// The address that the rows are read from.
#[derive(Debug)]
pub struct Scrape(TcpListener);

impl Scrape {
    /// Takes the address.
    ///
    /// # Errors
    /// Fails where something else has it.
    pub async fn bind(address: SocketAddr) -> io::Result<Self> {
        Ok(Self(TcpListener::bind(address).await?))
    }

    /// Returns the address, with the port that was given for 0.
    ///
    /// # Errors
    /// Fails where the kernel does not tell.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.0.local_addr()
    }

    /// Answers until `rows` gives none any more.
    pub async fn serve(self, mut rows: impl AsyncFnMut() -> Option<Rows>) {
        loop {
            let Ok((caller, _)) = self.0.accept().await else {
                tokio::time::sleep(PAUSE).await;
                continue;
            };
            let Some(rows) = rows().await else { return };
            // Who dawdles or goes away has no answer, and that is no failure of ours.
            let _ = tokio::time::timeout(CALL_MAX, answer(caller, &rows)).await;
        }
    }
}

impl Rows {
    /// Writes the rows as Prometheus reads them (text format 0.0.4).
    pub fn text(&self) -> String {
        let (fetches, draws) = (&self.fetches, &self.draws);
        let mut text = String::new();
        counters(
            &mut text,
            &DEVICE_FETCHES,
            &[
                ("ok", fetches.ok),
                ("mfa_required", fetches.mfa),
                ("unauthorized", fetches.unauthorized),
                ("offline", fetches.offline),
                ("error", fetches.error),
            ],
        );
        counters(
            &mut text,
            &DEVICE_DISPLAY_WRITES,
            &[
                ("ok", draws.ok),
                ("nack", draws.nack),
                ("bus_error", draws.bus),
                ("timeout", draws.timeout),
                ("skipped", draws.skipped),
            ],
        );
        // Writing to a string cannot fail, here and below.
        if let Some(unix) = self.content_unix {
            begin(&mut text, &DEVICE_CONTENT_TIMESTAMP, "gauge");
            let _ = writeln!(text, "{} {unix}", DEVICE_CONTENT_TIMESTAMP.name);
        }
        begin(&mut text, &BUILD, "gauge");
        let commit = option_env!("TOKENWARD_COMMIT").unwrap_or("unknown");
        let version = env!("CARGO_PKG_VERSION");
        let _ = writeln!(text, "{}{{version=\"{version}\",commit=\"{commit}\"}} 1", BUILD.name);
        text
    }
}

fn counters(text: &mut String, metric: &Metric, rows: &[(&str, u64)]) {
    begin(text, metric, "counter");
    for (outcome, count) in rows {
        let _ = writeln!(text, "{}{{outcome=\"{outcome}\"}} {count}", metric.name);
    }
}

fn begin(text: &mut String, metric: &Metric, kind: &str) {
    let _ = writeln!(text, "# HELP {} {}\n# TYPE {} {kind}", metric.name, metric.help, metric.name);
}

async fn answer(mut caller: TcpStream, rows: &Rows) -> io::Result<()> {
    let (status, kind, body) = match head(&mut caller).await? {
        Asked::Rows => ("200 OK", CONTENT_TYPE, rows.text()),
        Asked::OtherPath => ("404 Not Found", WORDS, "the numbers are at /metrics\n".to_owned()),
        Asked::OtherMethod => ("405 Method Not Allowed", WORDS, "only GET\n".to_owned()),
        Asked::TooMuch => ("431 Request Header Fields Too Large", WORDS, String::new()),
        Asked::Nonsense => ("400 Bad Request", WORDS, String::new()),
    };
    let reply = format!(
        "HTTP/1.1 {status}\r\nallow: GET\r\ncontent-type: {kind}\r\ncontent-length: {}\r\n\
         connection: close\r\n\r\n{body}",
        body.len()
    );
    caller.write_all(reply.as_bytes()).await?;
    caller.shutdown().await
}

/// What a caller asked for.
enum Asked {
    Rows,
    OtherPath,
    OtherMethod,
    TooMuch,
    Nonsense,
}

/// Reads a head to its end, and takes its first line apart (RFC 9112 §3).
async fn head(caller: &mut TcpStream) -> io::Result<Asked> {
    let mut head = [0; HEAD_BYTES_MAX];
    let mut length = 0;
    while !head[..length].windows(4).any(|end| end == b"\r\n\r\n") {
        match caller.read(&mut head[length..]).await? {
            0 if length == HEAD_BYTES_MAX => return Ok(Asked::TooMuch),
            0 => return Ok(Asked::Nonsense),
            count => length += count,
        }
    }
    let line = head[..length].split(|byte| *byte == b'\r').next().unwrap_or_default();
    let mut words = line.split(|byte| *byte == b' ');
    let (method, target, version) = (words.next(), words.next(), words.next());
    if words.next().is_some() || !version.is_some_and(|text| text.starts_with(b"HTTP/1.")) {
        return Ok(Asked::Nonsense);
    }
    let path = target.and_then(|target| target.split(|byte| *byte == b'?').next());
    Ok(match (method, path) {
        (Some(b"GET"), Some(b"/metrics")) => Asked::Rows,
        (Some(b"GET"), _) => Asked::OtherPath,
        _ => Asked::OtherMethod,
    })
}

#[cfg(test)]
mod tests {
    use tokenward::metrics::label::{DeviceFetch, DisplayWrite};

    use super::*;

    /// How long a loopback call may take on a busy machine.
    const LIMIT: Duration = Duration::from_secs(30);

    const SOME: Rows = Rows {
        fetches: Fetches { ok: 3, mfa: 1, unauthorized: 0, offline: 2, error: 0 },
        draws: Counts { ok: 9, nack: 4, bus: 0, timeout: 0, skipped: 1 },
        content_unix: Some(1_790_000_000),
    };

    #[test]
    fn the_rows_are_those_of_the_catalogue() {
        let text = SOME.text();
        for (metric, codes) in
            [(&DEVICE_FETCHES, DeviceFetch::CODES), (&DEVICE_DISPLAY_WRITES, DisplayWrite::CODES)]
        {
            assert!(text.contains(&format!("# HELP {} {}\n", metric.name, metric.help)), "{text}");
            for code in codes {
                let row = format!("{}{{outcome=\"{code}\"}} ", metric.name);
                assert!(text.contains(&row), "no {row} in {text}");
            }
        }
        assert!(text.contains("tokenward_device_fetches_total{outcome=\"offline\"} 2\n"), "{text}");
        assert!(text.contains("tokenward_device_content_timestamp_seconds 1790000000\n"), "{text}");
        assert!(text.contains("tokenward_build_info{version=\""), "{text}");
        let never = Rows::default().text();
        assert!(!never.contains("timestamp"), "no content is not one of 1970: {never}");
    }

    #[tokio::test]
    async fn l14_callers_are_answered_in_turn_and_within_bounds() {
        let scrape = Scrape::bind(SocketAddr::from(([127, 0, 0, 1], 0))).await.unwrap();
        let address = scrape.address().unwrap();
        let serving = tokio::spawn(scrape.serve(async || Some(SOME)));
        let long = format!("GET /metrics HTTP/1.1\r\nx: {}", "x".repeat(HEAD_BYTES_MAX));
        for (sent, status) in [
            ("GET /metrics HTTP/1.1\r\nhost: x\r\n\r\n", "200"),
            ("GET /metrics?x=1 HTTP/1.0\r\n\r\n", "200"),
            ("GET / HTTP/1.1\r\n\r\n", "404"),
            ("POST /metrics HTTP/1.1\r\n\r\n", "405"),
            ("GET /metrics\r\n\r\n", "400"),
            ("GET /metrics HTTP/1.1 x\r\n\r\n", "400"),
            ("\0\r\n\r\n", "400"),
            ("GET /met", "400"),
            (&long[..HEAD_BYTES_MAX], "431"),
        ] {
            let asking = async {
                let mut caller = TcpStream::connect(address).await.unwrap();
                caller.write_all(sent.as_bytes()).await.unwrap();
                caller.shutdown().await.unwrap();
                let mut told = String::new();
                caller.read_to_string(&mut told).await.unwrap();
                told
            };
            let told = tokio::time::timeout(LIMIT, asking).await.unwrap();
            assert!(told.starts_with(&format!("HTTP/1.1 {status} ")), "{sent:.60}: {told}");
            let is_whole = told.ends_with(&SOME.text());
            assert_eq!(is_whole, status == "200", "{told}");
        }
        serving.abort();
    }
}
