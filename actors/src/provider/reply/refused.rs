//! An answer that says no, reduced to what decides (RFC 6749 §5.2, WIRE a1).

use http::header::CONTENT_TYPE;
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use crate::core::grant::{Reply, Unheard};
use crate::core::refusal::{DESCRIPTION_BYTES_MAX, ERROR_BYTES_MAX, MfaDemand, Refusal};
use crate::core::secret::MfaToken;
use crate::core::step_up::ContextId;
use crate::provider::reply::Received;
use crate::provider::reply::members::{self, Members};
use crate::provider::reply::wait;
use crate::provider::wire::Extent;

/// The factor types kept of a demand: the providers known have eight.
const FACTORS_MAX: usize = 16;

/// The longest factor type.
const FACTOR_BYTES_MAX: usize = 64;

/// Reads an answer whose status says no.
pub(super) fn read(received: &Received<'_>) -> Reply {
    let refusal = refusal(received);
    match (received.status, &refusal.error, received.extent) {
        // 524 is the content network's 504. With an `error` it is the provider that answers.
        (504 | 524, None, _) => Reply::Unheard(Unheard::GatewayTimeout),
        // A status alone decides little where the body was to say more.
        (400..=499, None, Extent::Cut(how)) => Reply::Unheard(how),
        _ => Reply::Refused(refusal),
    }
}

/// Reads the refusal in a 200, if it is one.
pub(super) fn in_success(received: &Received<'_>, members: &Members<'_>) -> Option<Refusal> {
    members.lenient_text("error")?;
    Some(refusal(received))
}

/// Reads what the body and the header fields say.
pub(super) fn refusal(received: &Received<'_>) -> Refusal {
    let members = Members::of(received.body);
    let form = Form::of(received);
    let read = |name: &str, most: usize| {
        let text = members.lenient_text(name).or_else(|| form.text(name))?;
        Some(cut(&text, most))
    };
    let error = read("error", ERROR_BYTES_MAX);
    let mfa = matches!(error.as_deref(), Some("mfa_required" | "a0.mfa_required"))
        .then(|| demand(&members));
    Refusal {
        status: received.status,
        error,
        description: read("error_description", DESCRIPTION_BYTES_MAX),
        wait: wait::asked(received.headers, received.at),
        mfa,
    }
}

fn demand(members: &Members<'_>) -> MfaDemand {
    let listed = members.present("mfa_requirements");
    let requirements = listed.unwrap_or_default();
    let factors = |name| {
        let list = Members::of(requirements).value(name).unwrap_or_default();
        members::elements(list)
            .filter_map(factor)
            .filter(|factor| factor.len() <= FACTOR_BYTES_MAX)
            .take(FACTORS_MAX)
            .collect()
    };
    MfaDemand {
        mfa_token: members.lenient_text("mfa_token").map(|text| mfa_token(&text)),
        challenge: factors("challenge"),
        enroll: factors("enroll"),
        is_listed: listed.is_some(),
    }
}

/// Names an mfa_token by its hash, so that whoever sees the name cannot use it (law L9).
fn mfa_token(text: &str) -> MfaToken {
    MfaToken::new(text, ContextId(Sha256::digest(text.as_bytes()).into()))
}

/// Reads `{"type": "otp"}`, or plain `"otp"`.
fn factor(element: &[u8]) -> Option<String> {
    let text = Members::of(element).text("type").or_else(|| members::decode(element))?;
    Some(text.to_string())
}

struct Form<'a>(Option<&'a [u8]>);

impl<'a> Form<'a> {
    fn of(received: &Received<'a>) -> Self {
        let kind = received.headers.get(CONTENT_TYPE);
        let is_form =
            kind.is_some_and(|kind| kind.as_bytes().starts_with(b"application/x-www-form"));
        Self(is_form.then_some(received.body))
    }

    fn text(&self, name: &str) -> Option<Zeroizing<String>> {
        url::form_urlencoded::parse(self.0?)
            .find(|(key, value)| key == name && !value.is_empty())
            .map(|(_, value)| Zeroizing::new(value.into_owned()))
    }
}

/// Cuts a foreign text to `most` bytes and keeps it on one line, fit for a log.
fn cut(text: &str, most: usize) -> String {
    let mut kept = String::new();
    for c in text.chars().map(|c| if c.is_control() { ' ' } else { c }) {
        if kept.len() + c.len_utf8() > most {
            break;
        }
        kept.push(c);
    }
    kept
}
