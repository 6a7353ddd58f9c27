//! The right token or none (L5).

use super::tell::tell;

#[test]
fn l5_a_narrower_grant_is_told_and_not_asked_again() {
    tell(
        "
        0s     | provider: grants a                 |
        0s     | #1 wants A:a,b                     | lease; ask A:a,b with r0; save r1; !downscoped; #1 told downscoped(b)
        1s     | #2 wants A:a,b                     | #2 told downscoped(b)
        2s     | #3 wants A:a                       | #3 gets A.1
        3s     |                                    |
        ",
    );
}

#[test]
fn l5_l8_a_wider_request_does_not_start_a_loop_of_a_kept_audience() {
    tell(
        "
        given  | keep A:a                           |
        0s     | #1 wants A:a                       | lease; ask A:a with r0; save r1; #1 gets A.1
        1s     | provider: grants a                 |
        1s     | #2 wants A:a,b                     | lease; ask A:a,b with r1; save r2; !downscoped; #2 told downscoped(b)
        100s   |                                    |
        ",
    );
}

#[test]
fn l5_requests_with_and_without_scopes_do_not_take_turns() {
    tell(
        "
        0s     | #1 wants A                         | lease; ask A with r0; save r1; #1 gets A.1
        1s     | provider: grants x                 |
        1s     | #2 wants A:x                       | lease; ask A:x with r1; save r2; #2 gets A.2
        2s     | #3 wants A                         | #3 gets A.1
        3s     | #4 wants A:x                       | #4 gets A.2
        4s     |                                    |
        ",
    );
}

#[test]
fn l5_a_token_for_another_audience_is_not_kept_but_its_refresh_token_is() {
    tell(
        "
        0s     | provider: for B                    |
        0s     | #1 wants A                         | lease; ask A with r0; save r1; !audience_mismatched; #1 told unusable(audience_mismatched)
        1s     | #2 wants A                         | #2 told unusable(audience_mismatched)
        61s    | #3 wants A                         | lease; ask A with r1; save r2; #3 gets A.2
        62s    |                                    |
        ",
    );
}

#[test]
fn l5_a_token_of_another_person_ends_the_session() {
    tell(
        "
        0s     | provider: of mallory               |
        0s     | #1 wants A                         | lease; ask A with r0; save r1; !ended; #1 told ended(subject_changed); end subject_changed; revoke r1
        1s     | #2 wants B                         | #2 told ended(subject_changed)
        2s     |                                    |
        ",
    );
}

#[test]
fn l5_a_refused_token_is_replaced_once_and_then_left_alone() {
    tell(
        "
        0s     | #1 wants A                         | lease; ask A with r0; save r1; #1 gets A.1
        1s     | #2 wants A replacing A.1           | lease; ask A with r1; save r2; #2 gets A.2
        2s     | #3 wants A replacing A.1           | #3 gets A.2
        3s     | #4 wants A replacing A.2           | #4 told unchanged
        7s     | #5 wants A replacing A.2           | lease; ask A with r2; save r3; #5 gets A.3
        8s     |                                    |
        ",
    );
}
