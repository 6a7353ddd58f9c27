//! What the core promises, told as stories, replayed from vectors, and searched by simulation.

#![expect(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

mod it {
    mod tell;
    mod world;

    mod stories_exchange;
}
