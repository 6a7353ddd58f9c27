//! What the core promises, told as stories, replayed from vectors, and searched by simulation.

#![expect(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

mod it {
    mod sim;
    mod simulation;
    mod stories_bounds;
    mod stories_doubt;
    mod stories_exchange;
    mod stories_fate;
    mod stories_holds;
    mod stories_logout;
    mod stories_machines;
    mod stories_margins;
    mod stories_right_token;
    mod stories_rules;
    mod stories_step_up;
    mod stories_step_up_races;
    mod stories_time;
    mod tell;
    mod vectors;
    mod world;
}
