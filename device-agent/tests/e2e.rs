//! The wall display before a provider that nobody here wrote. `cargo xtask test` installs it and
//! says where it is.
#![cfg(feature = "direct")]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

#[path = "it/program.rs"]
#[expect(dead_code, reason = "the other tests look at more of it")]
mod program;

mod e2e {
    mod api;
    mod direct;
    mod person;
    mod provider;
}
