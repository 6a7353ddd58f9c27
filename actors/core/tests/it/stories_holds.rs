//! Demands for another factor (L8).

use super::tell::tell;

#[test]
fn l8_a_demand_holds_exactly_one_audience_for_a_week() {
    tell(
        "
        0s     | mfa on B                           |
        0s     | #1 wants B:b                       | lease; ask B:b with r0; save; !held; #1 told mfa_required
        1s     | #2 wants A                         | lease; ask A with r0; save r1; #2 gets A.1
        2s     | #3 wants B:b                       | #3 told mfa_required; !mfa_abandoned
        5h     |                                    | lease; ask B:b with r1; save; !held; !mfa_abandoned
        7h     |                                    | 25 times (lease; ask B:b with r1; save; !held; !mfa_abandoned)
        7d     | mfa off B                          | lease; ask B:b with r1; save r2; !released
        7.3d   |                                    |
        7.4d   | #4 wants B:b                       | lease; ask B:b with r2; save r3; #4 gets B.3
        7.5d   |                                    |
        ",
    );
}

#[test]
fn l8_a_held_audience_is_not_asked_for_by_its_readers() {
    tell(
        "
        given  | life 100s                          |
        0s     | #1 wants A                         | lease; ask A with r0; save r1; #1 gets A.1
        60s    | mfa on A                           |
        60s    | reader nudges A                    | lease; ask A with r1; save; !held
        61s    | reader nudges A                    |
        62s    | #2 wants A                         | #2 gets A.1
        63s    |                                    |
        ",
    );
}

#[test]
fn l8_a_denied_probe_is_as_slow_as_a_held_one() {
    tell(
        "
        0s     | mfa on B                           |
        0s     | #1 wants B                         | lease; ask B with r0; save; !held; #1 told mfa_required
        1s     | provider: 403 access_denied        | !mfa_abandoned; lease; ask B with r0; save; !denied
        8h     |                                    |
        12h    |                                    |
        ",
    );
}

#[test]
fn l8_a_demand_is_released_by_a_grant() {
    tell(
        "
        0s     | mfa on B                           |
        0s     | #1 wants B                         | lease; ask B with r0; save; !held; #1 told mfa_required
        1s     | mfa off B                          |
        2s     | operator retries                   | lease; ask B with r0; save r1; !released
        3s     | #2 wants B                         | #2 gets B.1
        4s     |                                    |
        ",
    );
}

#[test]
fn l8_a_display_under_a_rule_asks_six_hourly_for_a_week_and_comes_back_by_itself() {
    tell(
        "
        given  | life 3600s, keep A                 |
        0s     | #1 wants A                         | lease; ask A with r0; save r1; #1 gets A.1
        1s     | mfa on A                           | lease; ask A with r1; save; !held; !mfa_abandoned
        3h     |                                    | 26 times (lease; ask A with r1; save; !held; !mfa_abandoned)
        7d     | mfa off A                          | lease; ask A with r1; save r2; !released; lease; ask A with r2; save r3; lease; ask A with r3; save r4; lease; ask A with r4; save r5; lease; ask A with r5; save r6
        7.3d   |                                    |
        ",
    );
}

#[test]
fn l8_an_operator_s_retry_brings_a_held_display_back_at_once() {
    tell(
        "
        given  | life 3600s, keep A                 |
        0s     | #1 wants A                         | lease; ask A with r0; save r1; #1 gets A.1
        1s     | mfa on A                           | lease; ask A with r1; save; !held; !mfa_abandoned
        3h     |                                    | 7 times (lease; ask A with r1; save; !held; !mfa_abandoned)
        2d     | mfa off A                          |
        2.001d | operator retries                   | lease; ask A with r1; save r2; !released
        2.002d | #2 wants A                         | #2 gets A.2
        2.003d |                                    |
        ",
    );
}

#[test]
fn l8_an_operator_s_retry_outlives_what_was_in_the_air() {
    tell(
        "
        0s     | mfa on B                           |
        0s     | #1 wants B                         | lease; ask B with r0; save; !held; #1 told mfa_required
        1s     | mfa off B                          |
        2s     | provider: slow 2s                  |
        2s     | #2 wants A                         | lease; ask A with r0
        3s     | operator retries                   |
        4s     |                                    | save r1; #2 gets A.1; lease; ask B with r1; save r2; !released
        5s     |                                    |
        ",
    );
}
