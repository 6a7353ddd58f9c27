//! The wall display's rules as stories, and its program among real programs.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod it {
    mod holds;
    mod signing;
    mod week;
    mod world;
}
