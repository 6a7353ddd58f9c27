//! What a refusal means (L7).

use super::tell::tell;

#[test]
fn l7_a_storm_of_503_is_waited_out() {
    tell(
        "
        0s     | provider always: 503 wait 2s       |
        0s     | #1 wants A within 30s              | lease; ask A with r0; save; !postponed
        1s     |                                    | 4 times (lease; ask A with r0; save; !postponed)
        12s    | provider well                      | lease; ask A with r0; save r1; #1 gets A.1
        20s    |                                    |
        ",
    );
}

#[test]
fn l7_a_429_is_not_asked_before_its_time() {
    tell(
        "
        0s     | provider: 429 too_many_requests wait 20s |
        0s     | #1 wants A                         | lease; ask A with r0
        0.1s   |                                    | save; !postponed; #1 told not now(backoff)
        5s     | #2 wants A                         | #2 told not now(backoff)
        19.9s  |                                    |
        21s    | #3 wants A                         | lease; ask A with r0; save r1; #3 gets A.1
        22s    |                                    |
        ",
    );
}

#[test]
fn l7_the_breaker_is_waited_out() {
    tell(
        "
        0s     | provider: breaker 5s               |
        0s     | #1 wants A within 30s              | lease; ask A with r0; save; !not_sent
        5s     |                                    | lease; ask A with r0; save r1; #1 gets A.1
        7s     |                                    |
        ",
    );
}

#[test]
fn l7_an_operator_s_fault_logs_nobody_out() {
    tell(
        "
        0s     | provider: 401 invalid_client       |
        0s     | #1 wants A                         | lease; ask A with r0; save; !operator_must_act; #1 told fault(invalid_client)
        10s    | #2 wants A                         | #2 told fault(invalid_client)
        30s    | operator retries                   |
        31s    | #3 wants A                         | lease; ask A with r0; save r1; #3 gets A.1
        32s    |                                    |
        ",
    );
}

#[test]
fn l7_a_denied_audience_is_left_alone_and_others_go_on() {
    tell(
        "
        0s     | provider: 403 access_denied        |
        0s     | #1 wants A                         | lease; ask A with r0; save; !denied; #1 told denied(access_denied)
        1s     | #2 wants A                         | #2 told denied(access_denied)
        1s     | #3 wants B                         | lease; ask B with r0; save r1; #3 gets B.1
        30s    | provider: 400 invalid_scope        |
        30s    | #4 wants C:x                       | lease; ask C:x with r1; save; !rejected; #4 told rejected(invalid_scope)
        31s    | #5 wants C:x                       | #5 told rejected(invalid_scope)
        61s    | #6 wants A                         | lease; ask A with r1; save r2; #6 gets A.2
        62s    |                                    |
        ",
    );
}

#[test]
fn l7_only_a_proven_invalid_grant_ends_the_session() {
    tell(
        "
        0s     | provider: 403 invalid_grant        |
        0s     | #1 wants A                         | lease; ask A with r0; !ended; #1 told ended(invalid_grant); end invalid_grant
        1s     | #2 wants B                         | #2 told ended(invalid_grant)
        2s     |                                    |
        ",
    );
}
