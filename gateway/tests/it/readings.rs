//! Path tricks: whatever a server makes of a path, it serves what belongs to the route whose access
//! token was injected, or it is never asked.

use std::fmt::Write as _;

use super::world::{Gateway, Seen, Upstream, raw, status};

/// Paths and the audiences that their resources belong to, as the upstream has them.
const RESOURCES: [(&str, &str); 4] =
    [("/pay/in", "urn:in"), ("/pay", "urn:pay"), ("/api.v1", "urn:api"), ("", "urn:root")];

/// The same where a route's own path is taken off, and another put in its place.
const BASED: [(&str, &str); 2] = [("/one/deep", "urn:one"), ("/two", "urn:two")];

/// How servers read a path before they find what it names. Each is what one family of them does.
const STYLES: [(&str, Style); 7] = [
    ("as it is", Style { ..Style::STRICT }),
    ("nginx", Style { decodes: 1, merges: true, climbs: true, ..Style::STRICT }),
    ("node", Style { folds: true, backslash: true, climbs: true, ..Style::STRICT }),
    ("node, decoding", Style { decodes: 1, folds: true, ..Style::STRICT }),
    (
        "java",
        Style {
            cuts: true,
            decodes: 1,
            backslash: true,
            merges: true,
            climbs: true,
            ..Style::STRICT
        },
    ),
    (
        "java, decoding first",
        Style { decodes: 1, cuts_late: true, merges: true, climbs: true, ..Style::STRICT },
    ),
    (
        "windows",
        Style {
            decodes: 2,
            overlong: true,
            backslash: true,
            pads: true,
            folds: true,
            merges: true,
            climbs: true,
            ends_at_nul: true,
            cuts_late: true,
            ..Style::STRICT
        },
    ),
];

#[derive(Clone, Copy)]
struct Style {
    /// Cuts path parameters before and after decoding.
    cuts: bool,
    cuts_late: bool,
    decodes: u32,
    /// Takes overlong UTF-8 for what it spells.
    overlong: bool,
    backslash: bool,
    ends_at_nul: bool,
    /// Drops dots and blanks at the end of a name.
    pads: bool,
    merges: bool,
    climbs: bool,
    /// Ignores letter case.
    folds: bool,
}

impl Style {
    const STRICT: Self = Self {
        cuts: false,
        cuts_late: false,
        decodes: 0,
        overlong: false,
        backslash: false,
        ends_at_nul: false,
        pads: false,
        merges: false,
        climbs: false,
        folds: false,
    };

    /// Returns the path as this server understands it.
    fn read(&self, path: &str) -> String {
        let mut bytes = path.as_bytes().to_vec();
        if self.cuts {
            bytes = without_parameters(&bytes);
        }
        for _ in 0..self.decodes {
            bytes = decoded(&bytes);
        }
        if self.overlong {
            bytes = shortest(&bytes);
        }
        if self.cuts_late {
            bytes = without_parameters(&bytes);
        }
        if self.ends_at_nul {
            bytes.truncate(bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len()));
        }
        if self.backslash {
            bytes.iter_mut().filter(|byte| **byte == b'\\').for_each(|byte| *byte = b'/');
        }
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let text = if self.folds { text.to_ascii_lowercase() } else { text };
        self.walked(&text)
    }

    fn walked(&self, text: &str) -> String {
        let mut names: Vec<&str> = Vec::new();
        for name in text.split('/').skip(1) {
            let is_dots = matches!(name, "." | "..");
            let name = match self.pads && !is_dots {
                true => name.trim_end_matches(['.', ' ']),
                false => name,
            };
            match name {
                "." if self.climbs => {}
                ".." if self.climbs => drop(names.pop()),
                "" if self.merges => {}
                _ => names.push(name),
            }
        }
        names.iter().fold(String::new(), |path, name| path + "/" + name)
    }
}

fn without_parameters(bytes: &[u8]) -> Vec<u8> {
    let segments = bytes.split(|byte| *byte == b'/');
    let names = segments.map(|segment| segment.split(|byte| *byte == b';').next().unwrap());
    names.collect::<Vec<_>>().join(&b'/')
}

fn decoded(bytes: &[u8]) -> Vec<u8> {
    percent_encoding::percent_decode(bytes).collect()
}

/// Decodes two-byte and three-byte UTF-8 without asking whether it could be shorter.
fn shortest(bytes: &[u8]) -> Vec<u8> {
    let mut plain = Vec::new();
    let mut rest = bytes;
    while let Some((first, after)) = rest.split_first() {
        let (code, used) = match (*first, after) {
            (0xc0..=0xc1, [second, ..]) => ((first & 0x1f) << 6 | second & 0x3f, 2),
            (0xe0, [second @ 0x80..=0x81, third, ..]) => ((second & 1) << 6 | third & 0x3f, 3),
            _ => (*first, 1),
        };
        plain.push(code);
        rest = &rest[used..];
    }
    plain
}

/// Returns the audience whose resource a server of this style would serve.
fn owner<'a>(style: &Style, table: &[(&str, &'a str)], path: &str) -> Option<&'a str> {
    let read = style.read(path);
    let below = |prefix: &str| {
        let rest = read.strip_prefix(prefix);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    table.iter().find(|(prefix, _)| below(prefix)).map(|(_, audience)| *audience)
}

/// A gateway with the routes of [`RESOURCES`], and those of [`BASED`] before another upstream.
async fn gateway(upstream: &Upstream, based: &Upstream) -> Gateway {
    let mut routes = String::new();
    for (path, audience) in RESOURCES {
        let at = upstream.address;
        write!(
            routes,
            "[[route]]\npath = \"{path}/\"\nupstream = \"http://{at}\"\naudience = \"{audience}\"\n"
        )
        .unwrap();
    }
    for ((base, audience), path) in BASED.iter().zip(["/first", "/second"]) {
        let at = based.address;
        write!(
            routes,
            "[[route]]\npath = \"{path}\"\nupstream = \"http://{at}{base}\"\nstrip_prefix = true\n\
             audience = \"{audience}\"\n"
        )
        .unwrap();
    }
    Gateway::start(&routes).await
}

/// Sends a path as it is; `Ok` with how many requests arrived at `upstreams`, else the status.
async fn send(gateway: &Gateway, path: &str) -> u16 {
    let bearer = gateway.bearer();
    let head = format!(
        "GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: {bearer}\r\n\r\n"
    );
    status(&raw(gateway.address, head.as_bytes()).await)
}

/// Holds what an upstream saw against what each style of server would make of it.
fn assert_owned(seen: &[Seen], table: &[(&str, &str)], sent: &str) {
    for request in seen {
        let injected = request.header("authorization").unwrap();
        let injected = injected.strip_prefix("Bearer first for ").unwrap();
        for (name, style) in &STYLES {
            let owner = owner(style, table, request.uri.path());
            assert_eq!(owner, Some(injected), "{sent:?} as {} read by {name}", request.uri);
        }
    }
}

/// Every trick, and whether it is forwarded (as what) or refused.
const TRICKS: &[(&str, &str)] = &[
    ("/pay/x", "/pay/x"),
    ("/pay", "/pay"),
    ("/payx", "/payx"),
    ("/p%61y/x", "/pay/x"),
    ("/pay/in/x", "/pay/in/x"),
    ("/pay/x;v=1/y", "/pay/x;v=1/y"),
    ("/pay/caf%C3%A9", "/pay/caf%C3%A9"),
    ("/pay/100%25", "/pay/100%25"),
    ("/first/x", "/one/deep/x"),
    ("/first", "/one/deep/"),
    ("/first/..x", "/one/deep/..x"),
    ("/x/../pay/y", ""),
    ("/./pay/y", ""),
    ("/first/../second", ""),
    ("/first/..%2ftwo", ""),
    ("/x/%2e%2e/pay/y", ""),
    ("/x/%2E./pay/y", ""),
    ("/x/..;/pay/y", ""),
    ("/x/..%3b/pay/y", ""),
    ("/x/..%20/pay/y", ""),
    ("/x/..%00/pay/y", ""),
    ("/x/.../pay", ""),
    ("/x%2f..%2fpay", ""),
    ("/pay%2fin/x", ""),
    ("//pay/y", ""),
    ("/pay//in/x", ""),
    ("/;/pay/y", ""),
    ("/pay/;x/in/y", ""),
    ("/pay;x/y", ""),
    ("/pay/in;x/y", ""),
    ("/pay%3bx/y", ""),
    ("/pay\\in\\x", ""),
    ("/pay%5cin", ""),
    ("\\pay", ""),
    ("/PAY/y", ""),
    ("/pay/IN/y", ""),
    ("/%50ay/y", ""),
    ("/pay./y", ""),
    ("/pay/in./y", ""),
    ("/pay%20/y", ""),
    ("/pay%2e/y", ""),
    ("/pay%3f/y", ""),
    ("/pay%23/y", ""),
    ("/pay%00/y", ""),
    ("/x%00/../pay", ""),
    ("/x/%252e%252e/pay/y", ""),
    ("/pay%252fin/y", ""),
    ("/x/%25252e%25252e/pay", ""),
    ("/x/%c0%ae%c0%ae/pay/y", ""),
    ("/x%c0%af..%c0%afpay", ""),
    ("/x/%e0%80%ae%e0%80%ae/pay", ""),
    ("/x/%25c0%25ae%25c0%25ae/pay", ""),
    ("/x%ff/y", ""),
    ("/x/%u002e%u002e/pay", ""),
    ("/x/%2/pay", ""),
    ("/x\t/pay", ""),
    ("/API.V1/y", ""),
    ("/api%2ev1/y", "/api.v1/y"),
    ("/api.v1./y", ""),
    ("/apixv1/y", "/apixv1/y"),
    ("*", ""),
    ("pay/y", ""),
    ("http://x/pay/../api.v1", ""),
];

#[tokio::test(flavor = "multi_thread")]
async fn l5_no_trick_opens_one_routes_resource_with_anothers_token() {
    let (upstream, based) = (Upstream::echo().await, Upstream::echo().await);
    let gateway = gateway(&upstream, &based).await;
    for (path, expected) in TRICKS {
        let before = (upstream.seen().len(), based.seen().len());
        let status = send(&gateway, path).await;
        let (seen, other) = (upstream.seen().split_off(before.0), based.seen().split_off(before.1));
        let arrived: Vec<_> = seen.iter().chain(&other).map(|seen| seen.uri.path()).collect();
        if expected.is_empty() {
            assert_eq!((status, &arrived[..]), (400, &[][..]), "{path:?}");
        } else {
            assert_eq!((status, &arrived[..]), (200, &[*expected][..]), "{path:?}");
        }
        assert_owned(&seen, &RESOURCES, path);
        assert_owned(&other, &BASED, path);
    }
}

/// What nasty paths are made of.
const PIECES: &[&str] = &[
    "/",
    "/",
    "/",
    "/pay",
    "pay",
    "in",
    "/in/",
    "api.v1",
    "first",
    "/first/",
    "second",
    "two",
    "one",
    "x",
    "A",
    "PAY",
    "In",
    ".",
    "..",
    "...",
    "%2e",
    "%2E",
    "%2f",
    "%5c",
    "\\",
    ";",
    ";a=b",
    "%3b",
    "%00",
    "%20",
    "%09",
    "%25",
    "%252e",
    "%252f",
    "%c0%ae",
    "%c0%af",
    "%c3%a9",
    "%e0%80%af",
    "%ff",
    "%61",
    "%3f",
    "%23",
    "%",
    "%u002e",
    "~",
    "+",
    ":",
    "@",
];

/// How many paths are drawn: a few seconds of them.
const DRAWN: u64 = 1500;

#[tokio::test(flavor = "multi_thread")]
async fn l5_no_path_at_all_opens_one_routes_resource_with_anothers_token() {
    let (upstream, based) = (Upstream::echo().await, Upstream::echo().await);
    let gateway = gateway(&upstream, &based).await;
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut draw = |below: usize| {
        // Xorshift: any sequence serves, as long as it is the same each time.
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        usize::try_from(state % below as u64).unwrap()
    };
    let mut forwarded = 0;
    for _ in 0..DRAWN {
        let pieces = 1 + draw(8);
        let path = (0..pieces).fold("/".to_owned(), |path, _| path + PIECES[draw(PIECES.len())]);
        let before = (upstream.seen().len(), based.seen().len());
        let status = send(&gateway, &path).await;
        assert!(matches!(status, 200 | 400), "{path:?}: {status}");
        let (seen, other) = (upstream.seen().split_off(before.0), based.seen().split_off(before.1));
        forwarded += seen.len() + other.len();
        assert_owned(&seen, &RESOURCES, &path);
        assert_owned(&other, &BASED, &path);
    }
    assert!(forwarded > 100, "the alphabet has honest paths, too: {forwarded}");
}
