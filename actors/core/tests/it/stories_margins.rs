//! Callers who come and go, and tokens that age (L4, L6).

use super::tell::tell;

#[test]
fn l4_a_caller_who_leaves_does_not_cancel_the_exchange() {
    tell(
        "
        0s     | #1 wants A                         | lease; ask A with r0
        0.05s  | #1 leaves                          | save r1
        1s     | #2 wants A                         | #2 gets A.1
        2s     |                                    |
        ",
    );
}

#[test]
fn l4_callers_are_told_at_their_deadline_and_the_exchange_serves_the_next() {
    tell(
        "
        0s     | provider: late 10s                 |
        0s     | #1 wants A within 8s               | lease; ask A with r0; #1 told not now(exchanging)
        9s     |                                    | save r1
        11s    | #2 wants A                         | #2 gets A.1
        12s    |                                    |
        ",
    );
}

#[test]
fn l6_a_token_is_served_while_its_early_refresh_fails() {
    tell(
        "
        given  | life 100s                          |
        0s     | #1 wants A                         | lease; ask A with r0; save r1; #1 gets A.1
        50s    | provider always: unreachable       |
        50s    | reader nudges A                    | lease; ask A with r1; save; !not_sent
        51s    | #2 wants A                         | #2 gets A.1
        60s    | provider well                      |
        94s    | #3 wants A                         | #3 gets A.1
        96s    | #4 wants A                         | lease; ask A with r1; save r2; #4 gets A.2
        97s    |                                    |
        ",
    );
}

#[test]
fn l6_ten_second_tokens_are_refreshed_at_half_time_and_served_for_eight() {
    tell(
        "
        given  | life 10s                           |
        0s     | #1 wants A                         | lease; ask A with r0; save r1; #1 gets A.1
        3s     | reader nudges A                    |
        5.3s   | reader nudges A                    | lease; ask A with r1; save r2
        13.3s  | #2 wants A                         | #2 gets A.2
        13.7s  | #3 wants A                         | lease; ask A with r2; save r3; #3 gets A.3
        14s    |                                    |
        ",
    );
}

#[test]
fn l6_what_is_kept_fresh_needs_no_traffic() {
    tell(
        "
        given  | life 10s, keep A:a                 |
        0s     | #1 wants A:a                       | lease; ask A:a with r0; save r1; #1 gets A.1
        1s     |                                    |
        4s     |                                    | lease; ask A:a with r1; save r2
        6s     |                                    | lease; ask A:a with r2; save r3
        11s    |                                    |
        ",
    );
}

#[test]
fn l6_without_a_refresh_token_a_token_is_all_there_is() {
    tell(
        "
        given  | no refresh token                   |
        0s     | #1 wants A                         | #1 told ended(no_refresh_token)
        1s     | reader nudges A                    |
        2s     |                                    |
        ",
    );
}

#[test]
fn l6_a_token_that_is_born_too_short_is_not_asked_for_in_a_loop() {
    tell(
        "
        0s     | provider always: lives 0s          |
        0s     | #1 wants A                         | lease; ask A with r0; save r1; #1 told unusable(lifetime_too_short)
        5s     | #2 wants A                         | #2 told unusable(lifetime_too_short)
        70s    | #3 wants A                         | lease; ask A with r1; save r2; #3 told unusable(lifetime_too_short)
        80s    |                                    |
        ",
    );
}

#[test]
fn l4_nobody_is_sent_away_because_another_audience_came_first() {
    tell(
        "
        0s     | provider always: late 6s           |
        0s     | #1 wants A                         |
        0s     | #2 wants B                         | lease; ask A with r0; save r1; #1 gets A.1; lease; ask B with r1; save r2; #2 gets B.2
        20s    |                                    |
        ",
    );
}
