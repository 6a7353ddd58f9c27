//! Holds the framework against the vectors that only a provider's bytes, or the shell, decide.

#[path = "vectors/step_up.rs"]
mod step_up;
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
        ("mfa_authenticator_filter", step_up::authenticator_filter),
        ("mfa_classify", step_up::classify),
        ("mfa_context", step_up::context),
        ("mfa_verify_grant", step_up::verify_grant),
        ("mrrt_server", tenants::mrrt),
        ("oob_poll", step_up::oob_poll),
        ("refresh_classify", refreshes::classify),
        ("refresh_request", refreshes::request),
        ("session_ceiling_login", sign_ins::born_expired),
        ("session_ceiling_parse", sign_ins::ceiling),
    ]);
}
