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
