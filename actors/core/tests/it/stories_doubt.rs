//! Replies that never came (L3).

use super::tell::tell;

#[test]
fn l3_a_garbage_200_is_asked_again_when_the_provider_has_settled() {
    tell(
        "
        0s     | provider: garbage                  |
        0s     | #1 wants A                         | lease; ask A with r0; !malformed; !in_doubt; lease; ask A with r0; save r2; #1 gets A.1
        5s     |                                    |
        ",
    );
}

#[test]
fn l3_a_lost_reply_is_waited_out_and_asked_again_without_a_caller() {
    tell(
        "
        0s     | provider: lost                     |
        0s     | #1 wants A                         | lease; ask A with r0; #1 told not now(exchanging)
        9s     |                                    |
        12s    |                                    | !in_doubt; lease; ask A with r0; save r2
        14s    |                                    |
        ",
    );
}

#[test]
fn l3_a_cut_connection_is_asked_again_when_the_provider_has_settled() {
    tell(
        "
        0s     | provider: cut                      |
        0s     | #1 wants A                         | lease; ask A with r0; !in_doubt; lease; ask A with r0; save r2; #1 gets A.1
        5s     |                                    |
        ",
    );
}

#[test]
fn l3_a_504_is_waited_out_to_the_hard_deadline() {
    tell(
        "
        0s     | provider: 504 9s                   |
        0s     | #1 wants A within 30s              | lease; ask A with r0; !in_doubt
        12s    |                                    | lease; ask A with r0; save r2; #1 gets A.2
        14s    |                                    |
        ",
    );
}

#[test]
fn l3_a_bare_502_may_have_spent_the_token() {
    tell(
        "
        0s     | provider: spent behind 502         |
        0s     | #1 wants A                         | lease; ask A with r0; !postponed; !in_doubt; lease; ask A with r0; save r2; #1 gets A.1
        5s     |                                    |
        ",
    );
}

#[test]
fn l3_a_crash_before_the_call_is_resumed_after_the_restart() {
    tell(
        "
        0s     | #1 wants A                         | lease
        0.0012s | crash                              |
        3s     | restart                            | !in_doubt; lease; ask A with r0; save r1
        6s     |                                    |
        ",
    );
}

#[test]
fn l3_a_crash_after_the_call_is_resumed_inside_the_window() {
    tell(
        "
        0s     | #1 wants A                         | lease; ask A with r0
        0.1s   | crash                              |
        5s     | restart                            | !in_doubt; lease; ask A with r0; save r2
        8s     |                                    |
        ",
    );
}

#[test]
fn l3_a_crash_between_the_reply_and_the_save_loses_nothing() {
    tell(
        "
        0s     | #1 wants A                         | lease; ask A with r0
        0.2025s | crash                              |
        1s     | restart                            | !in_doubt; lease; ask A with r0; save r2
        5s     | #2 wants A                         | #2 gets A.2
        6s     |                                    |
        ",
    );
}

#[test]
fn l3_l8_a_held_audience_does_not_resolve_the_doubt_of_another() {
    tell(
        "
        0s     | #1 wants A:a                       | lease; ask A:a with r0; save r1; #1 gets A.1
        1s     | mfa on A                           |
        1s     | provider: cut                      |
        1s     | #2 wants B                         | lease; ask B with r1
        1.1s   | #3 wants A                         | !in_doubt; lease; ask B with r1; save r3; #2 gets B.2; lease; ask A with r3; save; !held; #3 told mfa_required
        20s    |                                    |
        ",
    );
}

#[test]
fn l3_outside_the_window_it_is_tried_once_and_names_the_lost_reply_when_it_ends() {
    tell(
        "
        given  | window 0s                          |
        0s     | provider: lost                     |
        0s     | #1 wants A                         | lease; ask A with r0; #1 told not now(exchanging); !in_doubt; lease; ask A with r0; !ended; end reply_lost_without_reuse_window
        14s    |                                    |
        15s    | #2 wants A                         | #2 told ended(reply_lost_without_reuse_window)
        16s    |                                    |
        ",
    );
}

#[test]
fn l3_what_is_of_no_use_resolves_a_doubt_where_nothing_else_is_left() {
    tell(
        "
        0s     | provider: for Z                    |
        0s     | #1 wants A                         | lease; ask A with r0; save r1; !audience_mismatched; #1 told unusable(audience_mismatched)
        1s     | provider: cut                      |
        1s     | provider: 400 invalid_scope        |
        1s     | #2 wants B                         | lease; ask B with r1; !in_doubt; lease; ask B with r1; !rejected; !in_doubt; #2 told rejected(invalid_scope); lease; ask A with r1; save r3
        30s    |                                    |
        ",
    );
}

#[test]
fn l3_a_probe_whose_reply_was_lost_is_asked_for_again_until_the_provider_answers() {
    tell(
        "
        0s     | mfa on A                           |
        0s     | #1 wants A                         | lease; ask A with r0; save; !held; #1 told mfa_required
        1s     | provider: spent behind 502         |
        1s     | provider: spent behind 502         |
        1s     | mfa off A                          |
        1s     | operator retries                   | lease; ask A with r0; !postponed; !in_doubt; lease; ask A with r0; !postponed; !in_doubt; lease; ask A with r0; save r3; !released
        30s    |                                    |
        ",
    );
}

#[test]
fn l6_a_token_that_a_slow_store_has_outlived_is_no_reason_to_stop_asking() {
    tell(
        "
        given  | life 10s                           |
        0s     | #1 wants A within 30s              | lease; ask A with r0
        0.15s  | store slow 12s                     | save r1; lease; ask A with r1; save r2; #1 gets A.2
        30s    |                                    |
        ",
    );
}

#[test]
fn l3_a_verification_that_failed_behind_an_edge_is_settled_like_a_refresh() {
    tell(
        "
        0s     | mfa on B                           |
        0s     | #1 wants B                         | lease; ask B with r0; save; !held; #1 told mfa_required
        1s     | provider: 503                      |
        1s     | #2 verifies B by otp right         | lease; verify B with m1; !mfa_abandoned; !in_doubt; !mfa_failed; #2 steps: in_doubt
        3s     |                                    | lease; ask A with r0; save r1; lease; ask B with r1; save; !held
        5s     |                                    |
        ",
    );
}
