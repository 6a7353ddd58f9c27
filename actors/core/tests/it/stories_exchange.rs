//! One exchange for everybody, journalled before it is made and saved before it is told (L1, L2).

use super::tell::tell;

#[test]
fn l1_one_exchange_answers_ten_thousand_callers() {
    tell(
        "
        0s     | #1..#10000 want A                  | lease; ask A with r0; save r1; 10000 callers: gets A.1
        1s     | #10001 wants A                     | #10001 gets A.1
        2s     |                                    |
        ",
    );
}

#[test]
fn l1_audiences_take_turns_with_one_refresh_token() {
    tell(
        "
        0s     | #1 wants A                         |
        0s     | #2 wants B:b                       |
        0s     | #3 wants C                         | lease; ask A with r0; save r1; #1 gets A.1; lease; ask B:b with r1; save r2; #2 gets B.2; lease; ask C with r2; save r3; #3 gets C.3
        5s     |                                    |
        ",
    );
}

#[test]
fn l2_the_journal_precedes_the_call_and_the_save_the_answer() {
    tell(
        "
        0s     | #1 wants A                         | lease
        0.0015s |                                    | ask A with r0
        0.01s  |                                    |
        0.2025s |                                    | save r1; #1 gets A.1
        1s     |                                    |
        ",
    );
}

#[test]
fn l2_a_save_that_fails_three_times_is_tried_until_it_holds() {
    tell(
        "
        0s     | provider: lives 1h                 |
        0s     | #1 wants A                         | lease; ask A with r0
        0.15s  | store fails 3                      | store fails
        0.25s  | #2 wants A                         | store fails; store fails; save r1; 2 callers: gets A.1
        2s     |                                    |
        ",
    );
}

#[test]
fn l2_a_save_whose_answer_is_lost_is_found_in_the_store() {
    tell(
        "
        0s     | #1 wants A                         | lease; ask A with r0
        0.15s  | store loses 1 answers              | store fails; drop; !superseded; #1 gets A.1
        2s     |                                    |
        ",
    );
}

#[test]
fn l2_the_refresh_token_of_a_malformed_reply_is_kept() {
    tell(
        "
        0s     | provider: salvage                  |
        0s     | #1 wants A                         | lease; ask A with r0; save r1; !malformed; lease; ask A with r1; save r2; #1 gets A.1
        3s     |                                    |
        ",
    );
}
