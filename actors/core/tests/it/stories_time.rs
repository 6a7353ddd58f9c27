//! Clocks that stop, jump and begin anew (L12), and outcomes that all have a word (L16).

use super::tell::tell;

#[test]
fn l12_a_suspended_machine_has_grown_older_and_a_wall_clock_counts_for_nothing() {
    tell(
        "
        given  | life 60s                           |
        0s     | #1 wants A                         | lease; ask A with r0; save r1; #1 gets A.1
        1s     | suspend 20s                        |
        22s    | wall jumps 3600s                   |
        23s    | #2 wants A                         | #2 gets A.1
        24s    | wall jumps back 7200s              |
        25s    | #3 wants A                         | #3 gets A.1
        26s    | suspend 40s                        |
        67s    | #4 wants A                         | lease; ask A with r1; save r2; #4 gets A.2
        68s    |                                    |
        ",
    );
}

#[test]
fn l12_what_was_received_before_a_reboot_is_of_unknown_age() {
    tell(
        "
        given  | life 3600s                         |
        0s     | #1 wants A                         | lease; ask A with r0; save r1; #1 gets A.1
        1s     | reboot                             |
        2s     | restart                            |
        3s     | #2 wants A                         | lease; ask A with r1; save r2; #2 gets A.2
        4s     |                                    |
        ",
    );
}

#[test]
fn l12_a_doubt_of_unknown_age_waits_for_the_provider_to_settle_and_no_longer() {
    tell(
        "
        0s     | provider: lost                     |
        0s     | #1 wants A                         | lease; ask A with r0
        0.5s   | reboot                             |
        30s    | restart                            | !in_doubt
        31.99s |                                    | lease; ask A with r0; save r2
        33s    |                                    |
        ",
    );
}

#[test]
fn l16_every_way_an_exchange_can_land_has_its_word() {
    tell(
        "
        given  | machines 2                         |
        0s     | provider: for Z                    |
        0s     | #1 wants A                         | a: lease; a: ask A with r0; a: save r1; a: !audience_mismatched; a: #1 told unusable(audience_mismatched)
        1s     | provider: grants a                 |
        1s     | #2 wants A:a,b                     | a: lease; a: ask A:a,b with r1; a: save r2; a: !downscoped; a: #2 told downscoped(b)
        2s     | provider: salvage                  |
        2s     | #3 wants B                         | a: lease; a: ask B with r2; a: save r3; a: !malformed; a: lease; a: ask B with r3; a: save r4; a: #3 gets B.3
        4s     | provider: 403 access_denied        |
        4s     | #4 wants B:b                       | a: lease; a: ask B:b with r4; a: save; a: !denied; a: #4 told denied(access_denied)
        5s     | provider: 400 invalid_scope        |
        5s     | #5 wants B:c                       | a: lease; a: ask B:c with r4; a: save; a: !rejected; a: #5 told rejected(invalid_scope)
        6s     | provider: 403 mfa_required         |
        6s     | #6 wants B:d                       | a: lease; a: ask B:d with r4; a: save; a: !held; a: #6 told mfa_required
        7s     | provider: unreachable              |
        7s     | #7 wants C:a                       | a: lease; a: ask C:a with r4; a: save; a: !not_sent; a: lease; a: ask C:a with r4; a: save r5; a: #7 gets C.4
        9s     | provider: 429 wait 1s              |
        9s     | #8 wants C:b                       | a: lease; a: ask C:b with r5; a: save; a: !postponed; a: lease; a: ask C:b with r5; a: save r6; a: #8 gets C.5
        12s    | b: #9 wants C:c                    | b: lease; b: ask C:c with r6; b: save r7; b: #9 gets C.6
        13s    | #10 wants C:d                      | a: moved; a: !superseded; a: lease; a: ask C:d with r7; a: save r8; a: #10 gets C.7
        14s    | store fails 1                      |
        14s    | #11 wants C:e                      | a: store fails; a: !store_failed; a: lease; a: ask C:e with r8; a: save r9; a: #11 gets C.8
        16s    | provider: late 1s                  |
        16s    | #12 wants C:f                      | a: lease; a: ask C:f with r9
        16.5s  | b: #13 wants C:g within 8s         | b: moved; b: !superseded; b: !elsewhere; a: save r10; a: #12 gets C.9
        20s    | provider: lost                     |
        20s    | #14 wants C:h                      | a: lease; a: ask C:h with r10; b: #13 told not now(exchanging); a: #14 told not now(exchanging); b: !in_doubt; b: moved; b: !superseded; b: !elsewhere; a: !in_doubt; a: lease; a: ask C:h with r10; a: save r12; b: !in_doubt; b: moved; b: !superseded
        50s    | provider: 401 invalid_client       |
        50s    | #15 wants C:i                      | a: lease; a: ask C:i with r12; a: save; a: !operator_must_act; a: #15 told fault(invalid_client)
        120s   | provider: of mallory               |
        120s   | #16 wants C:j                      | a: lease; a: ask C:j with r12; a: save r13; a: !ended; a: #16 told ended(subject_changed); a: end subject_changed; a: revoke r13
        121s   |                                    |
        ",
    );
}
