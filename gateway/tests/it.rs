//! The gateway from outside: real sockets, real threads, no clock of ours.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
#![expect(clippy::expect_used, reason = "a test that cannot go on has failed")]

mod it {
    mod config;
    mod life;
    mod lifecycle;
    mod played;
    mod protocols;
    mod smuggling;
    mod streams;
    mod upstreams;
    mod world;
}
