//! The gateway from outside: real sockets, real threads, no clock of ours.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
#![expect(clippy::expect_used, reason = "a test that cannot go on has failed")]

mod it {
    mod admin;
    mod attacks;
    mod cli;
    mod config;
    mod config_store;
    mod desk;
    mod device;
    mod faults;
    mod heard;
    mod life;
    mod lifecycle;
    mod logout;
    mod openmetrics;
    mod played;
    mod protocols;
    mod readings;
    mod redis;
    mod sign_in;
    mod smuggling;
    mod step_up;
    mod streams;
    mod streams_ended;
    mod traces;
    mod upstreams;
    mod vectors;
    mod webhooks;
    mod wire;
    mod world;
}
