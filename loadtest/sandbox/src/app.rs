//! The demo page: what a user sees behind the gateway. It holds no session of its own.

use axum::Router;
use axum::http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE};
use axum::response::IntoResponse;
use axum::routing::get;

/// The page may load and call its own origin only. There is no form-action: browsers apply it to
/// the redirects after a form too, and signing out leads to the provider.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; \
                      connect-src 'self'; img-src 'self'; base-uri 'none'; frame-ancestors 'none'";

/// Returns the page and its parts.
pub(crate) fn router() -> Router {
    let page = || file("text/html; charset=utf-8", include_str!("../assets/app.html"));
    let script = || file("text/javascript; charset=utf-8", include_str!("../assets/app.js"));
    let style = || file("text/css; charset=utf-8", include_str!("../assets/app.css"));
    let icon = || file("image/svg+xml", include_str!("../assets/app.svg"));
    Router::new()
        .route("/", get(move || async move { page() }))
        .route("/app.js", get(move || async move { script() }))
        .route("/app.css", get(move || async move { style() }))
        .route("/app.svg", get(move || async move { icon() }))
}

fn file(kind: &'static str, text: &'static str) -> impl IntoResponse {
    let headers = [
        (CONTENT_TYPE, kind),
        (CONTENT_SECURITY_POLICY, POLICY),
        // The page must be the one this sandbox serves, whichever ran on the port before.
        (CACHE_CONTROL, "no-cache"),
    ];
    (headers, text)
}
