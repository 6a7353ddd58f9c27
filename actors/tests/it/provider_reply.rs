//! The token endpoint's answers as a table: the shared vectors, salvage, and no panic ever.

use std::time::Duration;

use http::{HeaderMap, HeaderValue};
use proptest::prelude::{Strategy, any, prop_oneof, proptest};
use serde_json::Value;
use tokenward::core::grant::{Reply, Unheard};
use tokenward::core::refusal::Fate;
use tokenward::core::time::UnixSeconds;
use tokenward::provider::Extent;
use tokenward::provider::reply::{self, Heard, Received};

fn read(status: u16, kind: &'static str, body: &[u8], extent: Extent) -> Heard {
    let mut headers = HeaderMap::new();
    headers.insert("content-type", HeaderValue::from_static(kind));
    let at = UnixSeconds(1_700_000_000);
    reply::read(&Received { status, headers: &headers, body, extent, at })
}

fn read_json(status: u16, body: &str) -> Reply {
    read(status, "application/json", body.as_bytes(), Extent::Whole).reply
}

/// Tells a reply in one line, refresh token first.
fn told(reply: &Reply) -> String {
    match reply {
        Reply::Granted(grant) => {
            let refresh_token = grant.refresh_token.as_ref().map_or("keep", |r| r.spend());
            let lifetime = grant.lifetime.map_or("?".to_owned(), |l| l.as_secs().to_string());
            let granted = grant.granted.as_ref().map_or("as asked".to_owned(), |s| s.to_string());
            format!("{refresh_token}: {} for {lifetime} s, {granted}", grant.access_token.expose())
        }
        Reply::Malformed(broken) => {
            let refresh_token = broken.refresh_token.as_ref().map_or("keep", |r| r.spend());
            format!("{refresh_token}: {}", broken.why)
        }
        Reply::Refused(refusal) => {
            format!("{} {:?}", refusal.code(), refusal.description.as_deref().unwrap_or(""))
        }
        Reply::Unheard(how) => how.code().to_owned(),
        Reply::NotSent(not_sent) => not_sent.cause.code().to_owned(),
    }
}

#[test]
fn l7_answers_are_classified_as_the_vectors_say() {
    let vectors: Value =
        serde_json::from_str(include_str!("../../../loadtest/vectors/cases/refresh_classify.json"))
            .unwrap();
    let mut transports = Vec::new();
    for vector in vectors["vectors"].as_array().unwrap() {
        let (id, input, expected) = (&vector["id"], &vector["input"], &vector["expected"]);
        let Some(status) = input["status"].as_u64() else {
            transports.push(input["transport"].as_str().unwrap());
            continue;
        };
        let body = &input["body"];
        let body = body.as_str().map_or_else(|| body.to_string(), str::to_owned);
        let reply = read_json(u16::try_from(status).unwrap(), &body);
        let (class, drops) = match &reply {
            Reply::Granted(grant) => {
                assert!(grant.refresh_token.is_none(), "{id}");
                ("ok", false)
            }
            Reply::Malformed(_) => ("malformed_success", false),
            Reply::Refused(refusal) => match refusal.fate() {
                Fate::Ends(cause) => {
                    if let Some(reason) = expected["reason"].as_str() {
                        assert_eq!(cause.code(), reason, "{id}");
                    }
                    ("terminal_reauth", true)
                }
                Fate::Denies => ("denied", false),
                Fate::Faults(_) => ("terminal_config", false),
                Fate::Waits | Fate::Doubts => ("transient", false),
                Fate::Holds => ("mfa_required", false),
                Fate::Rejects => ("rejected", false),
            },
            Reply::Unheard(_) | Reply::NotSent(_) => ("transient", false),
        };
        assert_eq!(class, expected["class"], "{id}");
        assert_eq!(drops, expected["drop_refresh_token"].as_bool().unwrap_or(false), "{id}");
    }
    // These two have no bytes; `provider.rs` plays them over real connections.
    assert_eq!(transports, ["connect_refused", "timeout_after_send"]);
}

/// Answers with the status 200, and what is made of them.
const SALVAGE: &[(&str, &str)] = &[
    (
        r#"{"access_token":"a","token_type":"Bearer","expires_in":60,"refresh_token":"r1"}"#,
        "r1: a for 60 s, as asked",
    ),
    (
        r#"{"access_token":"a","token_type":"bEARER","expires_in":"60","scope":"x y"}"#,
        "keep: a for 60 s, x y",
    ),
    (
        r#"{"access_token":"a","expires_in":60.9,"scope":" ","refresh_token":null}"#,
        "keep: a for 60 s, as asked",
    ),
    (r#"{"access_token":"a","refresh_token":""}"#, "keep: a for ? s, as asked"),
    (r#"{"access_token":"a","expires_in":null,"scope":null}"#, "keep: a for ? s, as asked"),
    (r#"{"access_token":"a","expires_in":9e30}"#, "keep: a for 315360000 s, as asked"),
    (r#"{"refresh_token":"r1"}"#, "r1: the answer has no access_token"),
    (r#"{"access_token":"","refresh_token":"r1"}"#, "r1: the access_token is empty"),
    (r#"{"access_token":["a"],"refresh_token":"r1"}"#, "r1: the answer has no access_token"),
    (
        r#"{"access_token":"a\nb","refresh_token":"r1"}"#,
        "r1: the access_token holds characters that do not fit a header field",
    ),
    (
        r#"{"access_token":"a","expires_in":-5,"refresh_token":"r1"}"#,
        "r1: expires_in is not a time to come",
    ),
    (
        r#"{"access_token":"a","expires_in":"NaN","refresh_token":"r1"}"#,
        "r1: expires_in is not a time to come",
    ),
    (
        r#"{"access_token":"a","expires_in":"soon","refresh_token":"r1"}"#,
        "r1: expires_in is not a number",
    ),
    (
        r#"{"access_token":"a","expires_in":[],"refresh_token":"r1"}"#,
        "r1: expires_in is not a number",
    ),
    (
        r#"{"access_token":"a","token_type":"mac","refresh_token":"r1"}"#,
        "r1: the token_type is not Bearer",
    ),
    (
        r#"{"access_token":"a","token_type":"DPoP","refresh_token":"r1"}"#,
        "r1: the access token is bound to a DPoP key that this client does not have",
    ),
    (r#"{"access_token":"a","scope":7,"refresh_token":"r1"}"#, "r1: the scope is not text"),
    (
        r#"{"access_token":"a","refresh_token":"r1"} trailing"#,
        "r1: the answer is not a JSON object",
    ),
    (r#"{"refresh_token":"r1","access_token":oops"#, "r1: the answer is not a JSON object"),
    (r#"{"error":"invalid_grant","refresh_token":"r1"}"#, "r1: the answer has no access_token"),
    (r#"{"error":"invalid_grant"}"#, r#"invalid_grant """#),
    ("{}", "keep: the answer has no access_token"),
    ("[]", "keep: the answer is not a JSON object"),
    ("", "keep: the answer is not a JSON object"),
    ("<html>", "keep: the answer is not a JSON object"),
];

#[test]
fn l2_the_refresh_token_of_a_200_survives_whatever_else_is_wrong() {
    for (body, expected) in SALVAGE {
        assert_eq!(told(&read_json(200, body)), *expected, "{body}");
    }
    let form = b"access_token=a&refresh_token=r%2F1";
    let heard = read(200, "application/x-www-form-urlencoded", form, Extent::Whole);
    assert_eq!(told(&heard.reply), "r/1: the answer is not a JSON object");
}

#[test]
fn l2_half_an_answer_is_worth_its_refresh_token() {
    let (with, without) =
        (r#"{"refresh_token":"r1","access_t"#, r#"{"access_token":"a","refresh_t"#);
    let cut = Extent::Cut(Unheard::ConnectionLost);
    for (status, body, extent, expected) in [
        (200, with, cut, "r1: the answer was cut off"),
        (200, without, cut, "connection_lost"),
        (200, without, Extent::Cut(Unheard::Deadline), "deadline"),
        (200, with, Extent::TooLong, "r1: the answer is too long"),
        (200, without, Extent::TooLong, "keep: the answer is too long"),
        (400, r#"{"err"#, cut, "connection_lost"),
        (400, r#"{"error":"invalid_grant","#, cut, r#"invalid_grant """#),
        (502, "<html", cut, r#"http_502 """#),
    ] {
        let heard = read(status, "application/json", body.as_bytes(), extent);
        assert_eq!(told(&heard.reply), expected, "{status} {body}");
    }
}

#[test]
fn l7_refusals_come_as_json_as_forms_or_as_nothing() {
    let long = format!(r#"{{"error":"{}","error_description":"a\nb"}}"#, "e".repeat(99));
    for (status, kind, body, expected) in [
        (400, "application/json", r#"{"error":"e","error_description":"d"}"#, r#"e "d""#),
        (400, "application/x-www-form-urlencoded", "error=e&error_description=d+f", r#"e "d f""#),
        (400, "text/html", "error=e", r#"http_400 """#),
        (400, "application/json", "", r#"http_400 """#),
        (400, "application/json", r#"{"error":7}"#, r#"http_400 """#),
        (302, "text/html", "", r#"http_302 """#),
        (504, "text/html", "<html>", "gateway_timeout"),
        (524, "text/html", "<html>", "gateway_timeout"),
        (504, "application/json", r#"{"error":"server_error"}"#, r#"server_error """#),
    ] {
        let reply = read(status, kind, body.as_bytes(), Extent::Whole).reply;
        assert_eq!(told(&reply), expected, "{status} {body}");
    }
    let cut = format!("{} \"a b\"", "e".repeat(64));
    assert_eq!(told(&read_json(400, &long)), cut, "foreign text is short and on one line");
}

#[test]
fn l8_a_demand_for_a_factor_keeps_challenge_and_enrolment_apart() {
    let body = r#"{"error":"mfa_required","mfa_token":"Fe26.s3cret","mfa_requirements":
        {"challenge":[{"type":"otp"},{"type":"push-notification"},{"x":1}],"enroll":["phone"]}}"#;
    let Reply::Refused(refusal) = read_json(403, body) else { panic!("not refused") };
    assert_eq!(refusal.fate(), Fate::Holds);
    assert!(!format!("{refusal:?}").contains("s3cret"));
    let demand = refusal.mfa.unwrap();
    assert_eq!(demand.mfa_token.unwrap().expose(), "Fe26.s3cret");
    assert_eq!(demand.challenge, ["otp", "push-notification"]);
    assert_eq!(demand.enroll, ["phone"]);
}

#[test]
fn l5_the_claims_of_a_jwt_come_along_and_stand_in_for_a_missing_lifetime() {
    // {"alg":"RS256"}.{"aud":["A","B"],"sub":"alice","iat":1000,"exp":1600}
    let jwt = "eyJhbGciOiJSUzI1NiJ9.eyJhdWQiOlsiQSIsIkIiXSwic3ViIjoiYWxpY2UiLCJpYXQiOjEwMDAsImV4cCI6MTYwMH0.c2ln";
    let Reply::Granted(grant) = read_json(200, &format!(r#"{{"access_token":"{jwt}"}}"#)) else {
        panic!("not granted")
    };
    assert_eq!(grant.lifetime, Some(Duration::from_secs(600)));
    let claims = grant.claims.unwrap();
    assert_eq!(claims.audiences, ["A", "B"]);
    assert_eq!(claims.subject.as_deref(), Some("alice"));
}

/// Bytes that nearly are an answer: pieces of one in any order, and noise.
fn bodies() -> impl Strategy<Value = Vec<u8>> {
    let pieces = [
        "{",
        "}",
        "[",
        "]",
        ",",
        ":",
        "\"",
        "\\",
        "\\u",
        "null",
        "-1",
        "1e999",
        " ",
        "\u{feff}",
        "\"refresh_token\"",
        "\"access_token\"",
        "\"expires_in\"",
        "\"scope\"",
        "\"error\"",
        "\"mfa_required\"",
        "\"mfa_requirements\"",
        "\"challenge\"",
        "\"a.b.c\"",
        "é",
    ];
    let piece = prop_oneof![
        (0..pieces.len()).prop_map(move |at| pieces[at].as_bytes().to_vec()),
        proptest::collection::vec(any::<u8>(), 0..4),
    ];
    proptest::collection::vec(piece, 0..40).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn l14_no_bytes_panic_the_reader(status in 100_u16..600, body in bodies(), extent in 0..3) {
        let extent = [Extent::Whole, Extent::TooLong, Extent::Cut(Unheard::Deadline)][extent as usize];
        read(status, "application/json", &body, extent);
        read(status, "application/x-www-form-urlencoded", &body, extent);
    }
}
