//! The cookies that are set and removed here, all with the same attributes.

use std::time::Duration;

use axum::http::{HeaderMap, HeaderValue, header};
use cookie::{Cookie, SameSite, time};

/// Puts a cookie into a browser. Lax, so that it comes along when the provider leads back.
pub(crate) fn put(headers: &mut HeaderMap, name: &str, value: &str, https: bool, keep: Duration) {
    let seconds = i64::try_from(keep.as_secs()).unwrap_or(i64::MAX);
    let cookie = Cookie::build((name, value))
        .path("/")
        .http_only(true)
        .same_site(SameSite::Lax)
        .secure(https)
        .max_age(time::Duration::seconds(seconds))
        .build();
    // Names and values here are plain ASCII.
    if let Ok(cookie) = HeaderValue::try_from(cookie.to_string()) {
        headers.append(header::SET_COOKIE, cookie);
    }
}

/// Takes a cookie out of a browser.
pub(crate) fn remove(headers: &mut HeaderMap, name: &str, https: bool) {
    put(headers, name, "", https, Duration::ZERO);
}
