//! Holds the core against the vectors of other implementations, where a pure rule decides.
//!
//! What needs the provider's bytes is held by the framework, what is configured by the gateway.

mod exchanges;
mod reading;
mod scopes;
mod step_up;
mod tokens;

use tokenward_vectors::hold;

#[test]
fn the_core_agrees_with_the_vectors() {
    hold(&[
        ("concurrency", exchanges::concurrency),
        ("device_poll", step_up::device_poll),
        ("expiry", tokens::expiry),
        ("mfa_challenge_guard", step_up::challenge_guard),
        ("mfa_factor_map", step_up::factor_map),
        ("mfa_http_status", step_up::http_status),
        ("mfa_ttl_config", step_up::ttl_config),
        ("scope_compare", scopes::compare),
        ("scope_merge", scopes::merge),
        ("scope_missing", scopes::missing),
        ("scope_parse", scopes::parse),
        ("scope_request", scopes::request),
        ("session_ceiling", exchanges::ceiling),
        ("token_lookup", tokens::lookup),
        ("token_upsert", tokens::upsert),
    ]);
}
