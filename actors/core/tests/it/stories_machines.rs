//! Several machines (L1, L3, L8, L11).

use super::tell::tell;

#[test]
fn l11_a_machine_that_lost_its_lease_still_saves_and_the_later_sibling_wins() {
    tell(
        "
        given  | machines 2, notices                |
        0s     | #1 wants A                         | a: lease; a: ask A with r0
        0.05s  | suspend 20s                        |
        1s     | b: #2 wants A within 30s           | b: !in_doubt; b: lease; b: ask A with r0; b: save r2; b: #2 gets A.2
        16s    |                                    | a: #1 told not now(exchanging); a: drop; a: !superseded
        21s    | b: #3 wants A                      | b: #3 gets A.2
        22s    |                                    |
        ",
    );
}

#[test]
fn l11_another_machine_has_moved_the_session_on() {
    tell(
        "
        given  | machines 2                         |
        0s     | #1 wants A                         | a: lease; a: ask A with r0; a: save r1; a: #1 gets A.1
        1s     | b: #2 wants A                      | b: #2 gets A.1
        2s     | b: #3 wants B                      | b: lease; b: ask B with r1; b: save r2; b: #3 gets B.2
        3s     | #4 wants B                         | a: moved; a: !superseded; a: #4 gets B.2
        4s     |                                    |
        ",
    );
}

#[test]
fn l1_a_busy_lease_keeps_the_other_machine_out() {
    tell(
        "
        given  | machines 2, notices                |
        0s     | provider: late 2s                  |
        0s     | #1 wants A                         | a: lease; a: ask A with r0
        0.5s   | b: #2 wants A within 30s           | b: !in_doubt; a: save r1; b: #2 gets A.1; a: #1 gets A.1
        3s     |                                    |
        ",
    );
}

#[test]
fn l8_l11_a_stale_machine_reads_another_s_hold_before_it_spends() {
    tell(
        "
        given  | machines 2                         |
        0s     | b: #1 wants A                      | b: lease; b: ask A with r0; b: save r1; b: #1 gets A.1
        1s     | mfa on B                           |
        1s     | #2 wants B                         | a: lease; a: ask B with r1; a: save; a: !held; a: #2 told mfa_required
        2s     | b: #3 wants B                      | b: lease; b: save; b: !superseded; b: #3 told mfa_required
        3s     | b: #4 wants C                      | b: lease; b: ask C with r1; b: save r2; b: #4 gets C.2
        4s     | #5 wants B                         | a: #5 told mfa_required
        5s     |                                    |
        ",
    );
}

#[test]
fn l3_a_machine_asleep_before_its_call_does_not_send() {
    tell(
        "
        given  | machines 2, notices                |
        0s     | #1 wants A                         | a: lease
        0.0015s | suspend 20s                        |
        1s     | b: #2 wants A within 30s           | b: !in_doubt; b: lease; b: ask A with r0; b: save r1; b: #2 gets A.1; a: #1 told not now(exchanging); a: drop; a: !superseded
        30s    |                                    |
        ",
    );
}

#[test]
fn l11_two_late_children_of_one_token_are_both_saved_in_their_order() {
    tell(
        "
        given  | machines 2, notices                |
        0s     | #1 wants A                         | a: lease; a: ask A with r0
        0.05s  | suspend 17s                        |
        1s     | provider: late 4s                  |
        1s     | b: #2 wants A within 40s           | b: !in_doubt; b: lease; b: ask A with r0; a: #1 told not now(exchanging); a: save r1; b: save r2; b: #2 gets A.2
        30s    | b: #3 wants B within 40s           | b: lease; b: ask B with r2; b: save r3; b: #3 gets B.3
        60s    |                                    |
        ",
    );
}

#[test]
fn l10_another_machine_s_logout_refuses_the_lease() {
    tell(
        "
        given  | machines 2                         |
        0s     | b: #1 wants A                      | b: lease; b: ask A with r0; b: save r1; b: #1 gets A.1
        1s     | logout                             | a: !ended; a: end logged_out_by_user; a: revoke r1
        2s     | b: #2 wants B                      | b: ended; b: !ended; b: #2 told ended(logged_out_by_user); b: end logged_out_by_user; b: revoke r1
        3s     |                                    |
        ",
    );
}

#[test]
fn l11_a_late_reply_without_a_new_token_leaves_what_was_written_since() {
    tell(
        "
        given  | machines 2, notices                |
        0s     | provider: keeps                    |
        0s     | #1 wants A                         | a: lease; a: ask A with r0
        0.05s  | suspend 20s                        |
        1s     | provider: keeps                    |
        1s     | b: #2 wants B within 30s           | b: !in_doubt; b: lease; b: ask B with r0; b: save; b: #2 gets B.2; a: #1 told not now(exchanging); a: drop; a: !superseded
        21s    | b: #3 wants B                      | b: #3 gets B.2
        22s    |                                    |
        ",
    );
}

#[test]
fn l1_a_late_commit_leaves_the_lease_of_another_machine_alone() {
    tell(
        "
        given  | machines 2, notices                |
        0s     | #1 wants A                         | a: lease; a: ask A with r0
        0.05s  | suspend 17s                        |
        1s     | provider: late 4s                  |
        1s     | b: #2 wants A within 40s           | b: !in_doubt; b: lease; b: ask A with r0; a: #1 told not now(exchanging); a: save r1
        17.5s  | #3 wants B within 40s              | a: busy; a: !reuse_prevented; a: !elsewhere; b: save r2; b: #2 gets A.2; a: lease; a: ask B with r2; a: save r3; a: #3 gets B.3
        40s    |                                    |
        ",
    );
}

#[test]
fn l3_a_doubt_that_was_anothers_is_our_own_once_the_store_fails_its_take_over() {
    tell(
        "
        given  | machines 2, notices                |
        0s     | b: #1 wants A                      | b: lease; b: ask A with r0; b: save r1; b: #1 gets A.1
        1s     | #2 wants B                         | a: lease; a: ask B with r1
        1.05s  | suspend 60s                        |
        2s     | b: #3 wants C within 1s            | b: busy; b: !reuse_prevented; b: !elsewhere; b: #3 told not now(exchanging)
        14s    | store fails 3                      |
        16s    | b: #4 wants C within 0.5s          | b: store fails; b: !store_failed; b: !in_doubt; b: store fails; b: !store_failed; b: !in_doubt; b: store fails; b: !store_failed; b: !in_doubt; b: #4 told not now(in_doubt)
        17s    | b: #5 wants C                      | b: lease; b: ask C with r1; b: save r3; b: #5 gets C.3
        40s    |                                    |
        ",
    );
}

#[test]
fn l11_a_store_that_fell_back_is_told_again_what_it_forgot() {
    tell(
        "
        given  | machines 2, notices                |
        0s     | #1 wants A                         | a: lease; a: ask A with r0; a: save r1; a: #1 gets A.1
        0.3s   | b: #2 wants B                      | b: lease; b: ask B with r1; b: save r2; b: #2 gets B.2
        1s     | store falls back 2s                | a: save r1; b: save r2
        2s     | #3 wants C                         | a: lease; a: ask C with r2; a: save r3; a: #3 gets C.3
        4s     |                                    |
        ",
    );
}

#[test]
fn l11_whoever_writes_again_first_is_believed_without_what_its_write_follows() {
    tell(
        "
        given  | machines 2, notices                |
        0s     | b: #1 wants A                      | b: lease; b: ask A with r0; b: save r1; b: #1 gets A.1
        0.3s   | #2 wants B                         | a: lease; a: ask B with r1; a: save r2; a: #2 gets B.2
        1s     | store falls back 2s                | a: save r2; b: drop
        2s     | b: #3 wants A                      | b: #3 gets A.1
        3s     |                                    |
        ",
    );
}

#[test]
fn l1_a_lease_that_the_store_forgot_keeps_others_out_even_before_what_it_spends_is_told() {
    tell(
        "
        given  | machines 3, notices                |
        0s     | c: #1 wants A                      | c: lease; c: ask A with r0; c: save r1; c: #1 gets A.1
        0.3s   | provider: late 4s                  |
        0.3s   | at send: store falls back 1s       |
        0.3s   | b: #2 wants B within 30s           | b: lease; b: ask B with r1; c: save r1
        2s     | #3 wants C within 30s              | a: !in_doubt; b: save r2; b: #2 gets B.2; a: lease; a: ask C with r2; a: save r3; a: #3 gets C.3
        8s     |                                    |
        ",
    );
}

#[test]
fn l2_a_write_whose_answer_was_on_its_way_is_told_again_before_anybody_spends_what_it_replaces() {
    tell(
        "
        given  | machines 2, notices                |
        0s     | #1 wants A                         | a: lease; a: ask A with r0
        0.05s  | at save: store falls back 1s       |
        0.05s  | store tells late 9s                | a: save r1; a: save r1; a: drop; a: !superseded; a: #1 gets A.1
        1s     | b: #2 wants B                      | b: lease; b: ask B with r1; b: save r2; b: #2 gets B.2
        4s     |                                    |
        ",
    );
}

#[test]
fn l3_a_doubt_whose_owner_died_and_which_the_store_forgot_is_remembered_by_who_waits() {
    tell(
        "
        given  | machines 2, notices                |
        0s     | provider: lost                     |
        0s     | b: #1 wants A                      | b: lease; b: ask A with r0
        0.5s   | #2 wants A within 30s              | a: !in_doubt
        1s     | b: crash                           |
        1s     | provider: 400 invalid_scope        |
        1s     | store falls back 2s                | a: lease; a: ask A with r0; a: !rejected; a: !in_doubt; a: #2 told rejected(invalid_scope)
        30s    |                                    |
        ",
    );
}
