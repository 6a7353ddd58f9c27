use super::tell::tell;

#[test]
fn l1_one_exchange_answers_all_callers() {
    tell(
        "0s   | #1 wants A        | lease; ask A with r0; save r1; #1 gets A.1
         1s   | #2 wants A        | #2 gets A.1
         2s   |  |",
    );
}
