//! Bounds, policies, and the one truth (L14, L15).

use super::tell::tell;

#[test]
fn l14_the_sixteen_thousandth_and_some_caller_is_told_busy() {
    tell(
        "
        0s     | #1..#16390 want A                  | 6 callers: told busy; lease; ask A with r0; save r1; 16384 callers: gets A.1
        1s     |                                    |
        ",
    );
}

#[test]
fn l14_a_policy_that_is_replaced_counts_from_then_on() {
    tell(
        "
        given  | life 10s                           |
        0s     | #1 wants A:a                       | lease; ask A:a with r0; save r1; #1 gets A.1
        1s     | policy A:a always                  | lease; ask A:a with r1; save r2
        6s     |                                    |
        7s     |                                    |
        ",
    );
}

#[test]
fn l15_a_newly_activated_machine_serves_what_was_saved() {
    tell(
        "
        given  | machines 2                         |
        0s     | #1 wants A                         | a: lease; a: ask A with r0; a: save r1; a: #1 gets A.1
        1s     | b: #2 wants A                      | b: #2 gets A.1
        2s     |                                    |
        ",
    );
}
