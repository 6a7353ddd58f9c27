//! Holds the framework against the vectors that only a provider's bytes, or the shell, decide.

#[path = "vectors/store.rs"]
pub(crate) mod store;
#[path = "vectors/tenants.rs"]
mod tenants;

use tokenward_vectors::hold;

use crate::provider::vectors::{refreshes, sign_ins};

#[test]
fn the_framework_agrees_with_the_vectors() {
    hold(&[
        ("concurrency", refreshes::concurrency),
        ("expiry", sign_ins::expiry),
        ("mrrt_server", tenants::mrrt),
        ("refresh_classify", refreshes::classify),
        ("refresh_request", refreshes::request),
        ("session_ceiling_login", sign_ins::born_expired),
        ("session_ceiling_parse", sign_ins::ceiling),
    ]);
}
