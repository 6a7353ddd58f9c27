//! Holds the core against the vectors of other implementations, where a pure rule decides.
//!
//! What needs the provider's bytes is held by the framework, what is configured by the gateway.

mod exchanges;
mod reading;
mod scopes;
mod tokens;

use tokenward_vectors::hold;

#[test]
fn the_core_agrees_with_the_vectors() {
    hold(&[
        ("concurrency", exchanges::concurrency),
        ("expiry", tokens::expiry),
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
