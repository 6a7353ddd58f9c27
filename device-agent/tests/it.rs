//! The wall display's rules as stories, and its program among real programs.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod it {
    #[cfg(feature = "direct")]
    mod direct;
    mod display;
    mod holds;
    mod house;
    mod program;
    mod signing;
    mod week;
    mod wire;
    mod world;
}
