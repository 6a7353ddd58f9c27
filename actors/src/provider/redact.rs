//! Takes what we sent out of what a provider says: some repeat a refused token in their error,
//! which goes to operators, timelines and pages (law L13).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::HeaderValue;
use zeroize::Zeroizing;

use crate::core::refusal::Refusal;

/// The parameters of a request that are no secrets. All others are taken for some, so that a new
/// grant is guarded before anybody thinks of it.
const PUBLIC: [&str; 10] = [
    "acr_values",
    "audience",
    "challenge_type",
    "client_assertion_type",
    "client_id",
    "grant_type",
    "redirect_uri",
    "resource",
    "scope",
    "token_type_hint",
];

/// How many bytes in a row give something away: less than the sixteen that a guess could start
/// from, and more than words have in common by chance.
const PIECE: usize = 12;

/// The shortest value that is looked for: a shorter one is part of any sentence.
const SECRET_BYTES_MIN: usize = 3;

/// What stands where a secret stood.
const GAP: &str = "[\u{2026}]";

/// Removes the secrets of a request, whole or in pieces, from the texts of its refusal.
pub(super) fn redact(refusal: &mut Refusal, form: &[u8], authorization: Option<&HeaderValue>) {
    let texts = [&mut refusal.error, &mut refusal.description];
    if texts.iter().all(|text| text.is_none()) {
        return;
    }
    let mut secrets: Vec<Zeroizing<String>> = url::form_urlencoded::parse(form)
        .filter(|(name, _)| !PUBLIC.contains(&name.as_ref()))
        .map(|(_, value)| Zeroizing::new(value.into_owned()))
        .collect();
    secrets.extend(authorization.into_iter().flat_map(of_header));
    secrets.retain(|secret| secret.len() >= SECRET_BYTES_MIN);
    for text in texts.into_iter().flatten() {
        for secret in &secrets {
            *text = without(text, secret);
        }
    }
}

/// Returns what an Authorization field gives away: its credentials, and the secret in them.
fn of_header(value: &HeaderValue) -> Vec<Zeroizing<String>> {
    let text = value.to_str().unwrap_or_default();
    let credentials = text.split_once(' ').map_or(text, |(_, credentials)| credentials);
    let pair = STANDARD.decode(credentials).ok().map(Zeroizing::new);
    let secret = pair.as_deref().and_then(|pair| {
        let at = pair.iter().position(|&byte| byte == b':')?;
        let encoded = [b"s=", &pair[at + 1..]].concat();
        let (_, secret) = url::form_urlencoded::parse(&encoded).next()?;
        Some(Zeroizing::new(secret.into_owned()))
    });
    std::iter::once(Zeroizing::new(credentials.to_owned())).chain(secret).collect()
}

/// Returns `text` without any piece of `secret`; texts and secrets are short, so that comparing
/// each place of one with each of the other takes less than a millisecond.
fn without(text: &str, secret: &str) -> String {
    let least = PIECE.min(secret.len());
    let mut kept = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(next) = rest.chars().next() {
        let common = longest_common_start(rest, secret);
        if common >= least {
            kept.push_str(GAP);
            rest = &rest[common..];
        } else {
            kept.push(next);
            rest = &rest[next.len_utf8()..];
        }
    }
    kept
}

/// Returns how many bytes at the beginning of `text` stand somewhere in `secret`, in whole
/// characters.
fn longest_common_start(text: &str, secret: &str) -> usize {
    let starts = secret.char_indices().map(|(at, _)| {
        let pairs = text.chars().zip(secret[at..].chars());
        pairs.take_while(|(a, b)| a == b).map(|(a, _)| a.len_utf8()).sum()
    });
    starts.max().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn l13_what_we_sent_is_taken_out_of_what_the_provider_says() {
        let token = "v1.AAAAkQ_hZ0bXN0b3JlLW5vdGhpbmctb2Yt";
        let form =
            format!("grant_type=refresh_token&scope=read:accounts:all&refresh_token={token}");
        let basic =
            HeaderValue::from_str(&format!("Basic {}", STANDARD.encode("web:p%26q"))).unwrap();
        for (said, left) in [
            (format!("unknown token {token}, sorry"), "unknown token […], sorry"),
            (format!("unknown token {}…", &token[..20]), "unknown token […]…"),
            (format!("it ends with {}", &token[20..]), "it ends with […]"),
            (token.to_owned(), "[…]"),
            ("no read:accounts:all for you".to_owned(), "no read:accounts:all for you"),
            ("the secret p&q is wrong".to_owned(), "the secret […] is wrong"),
            ("vergiß v1. nicht".to_owned(), "vergiß v1. nicht"),
        ] {
            let mut refusal = Refusal {
                error: Some(said.clone()),
                description: Some(said.clone()),
                ..Refusal::default()
            };
            redact(&mut refusal, form.as_bytes(), Some(&basic));
            assert_eq!(refusal.code(), left, "{said}");
            assert_eq!(refusal.description.as_deref(), Some(left), "{said}");
        }
    }
}
