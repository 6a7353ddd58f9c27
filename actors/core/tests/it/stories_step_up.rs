//! People who show factors (L8, L9).

use super::tell::tell;

#[test]
fn l8_a_verification_releases_exactly_what_was_held() {
    tell(
        "
        0s     | mfa on B                           |
        0s     | #1 wants B:b                       | lease; ask B:b with r0; save; !held; #1 told mfa_required
        1s     | #2 wants A                         | lease; ask A with r0; save r1; #2 gets A.1
        2s     | #3 verifies B:b by otp right       | lease; verify B:b with m1; save r2; !released; !mfa_verified; #3 steps: verified
        3s     | #4 wants B:b                       | #4 gets B.2
        4s     |                                    |
        ",
    );
}

#[test]
fn l9_a_wrong_code_keeps_the_context_and_never_ends_the_session() {
    tell(
        "
        0s     | mfa on B                           |
        0s     | #1 wants B                         | lease; ask B with r0; save; !held; #1 told mfa_required
        1s     | #2 verifies B by otp wrong         | lease; verify B with m1; save; !mfa_failed; #2 steps: wrong_code
        2s     | #3 wants A                         | lease; ask A with r0; save r1; #3 gets A.1
        3s     | #4 verifies B by otp right         | lease; verify B with m1; save r2; !released; !mfa_verified; #4 steps: verified
        4s     |                                    |
        ",
    );
}

#[test]
fn l8_waiters_that_come_during_a_verification_are_served_by_it() {
    tell(
        "
        0s     | mfa on B                           |
        0s     | #1..#1000 want B                   | lease; ask B with r0; save; !held; 1000 callers: told mfa_required
        1s     | #1001 verifies B by otp right      |
        1s     | #1002..#2001 want B                | lease; verify B with m1
        1.05s  | #1002 leaves                       | save r1; !released; 999 callers: gets B.1; !mfa_verified; #1001 steps: verified
        2s     |                                    |
        ",
    );
}

#[test]
fn l1_a_verification_waits_for_the_refresh_in_the_air() {
    tell(
        "
        0s     | mfa on B                           |
        0s     | #1 wants B                         | lease; ask B with r0; save; !held; #1 told mfa_required
        1s     | provider: slow 2s                  |
        1s     | #2 wants A                         | lease; ask A with r0
        1.1s   | #3 verifies B by otp right         | save r1; #2 gets A.1; lease; verify B with m1; save r2; !released; !mfa_verified; #3 steps: verified
        5s     |                                    |
        ",
    );
}

#[test]
fn l2_a_verification_is_durable_before_anybody_hears_of_it() {
    tell(
        "
        0s     | mfa on B                           |
        0s     | #1 wants B                         | lease; ask B with r0; save; !held; #1 told mfa_required
        1s     | #2 verifies B by otp right         | lease; verify B with m1
        1.202s | crash                              |
        2s     | restart                            | !in_doubt
        2s     | #3 wants A within 30s              | lease; ask A with r0; save r2; #3 gets A.2
        20s    | #4 wants B                         | #4 told mfa_required
        21s    |                                    |
        ",
    );
}

#[test]
fn l3_the_family_of_a_lost_verification_is_found_again_without_a_caller() {
    tell(
        "
        0s     | mfa on A                           |
        0s     | #1 wants A                         | lease; ask A with r0; save; !held; #1 told mfa_required
        1s     | #2 verifies A by otp right         | lease; verify A with m1
        1.202s | crash                              |
        2s     | mfa off A                          |
        2s     | restart                            | !in_doubt; lease; ask A with r0; save r2; !released
        20s    | #4 wants A                         | #4 gets A.2
        21s    |                                    |
        ",
    );
}

#[test]
fn l3_a_lost_reply_to_a_verification_puts_the_session_in_doubt() {
    tell(
        "
        0s     | #1 wants A                         | lease; ask A with r0; save r1; #1 gets A.1
        0.5s   | mfa on B                           |
        0.5s   | #2 wants B                         | lease; ask B with r1; save; !held; #2 told mfa_required
        1s     | provider: lost                     |
        1s     | #3 verifies B by otp right         | lease; verify B with m1; !mfa_abandoned; !in_doubt; !mfa_failed; #3 steps: in_doubt; lease; ask A with r1; save r3; lease; ask B with r3; save; !held
        30s    | #4 verifies B by otp right         | lease; verify B with m2; save r4; !released; !mfa_verified; #4 steps: verified
        31s    |                                    |
        ",
    );
}

#[test]
fn l8_a_push_is_asked_for_until_the_phone_answers() {
    tell(
        "
        0s     | mfa on B                           |
        0s     | #1 wants B                         | lease; ask B with r0; save; !held; #1 told mfa_required
        1s     | #2 verifies B by push              | lease; verify B with m1; save; #2 steps: pending
        2s     | provider: 400 slow_down            |
        2s     | #3 verifies B by push              | lease; verify B with m1; save; #3 steps: slow_down
        7s     | phone rejects                      |
        7s     | #4 verifies B by push              | lease; verify B with m1; save; !mfa_failed; #4 steps: rejected
        8s     | #5 verifies B by push spent        | lease; verify B with m1; save; !mfa_failed; #5 steps: challenge_invalid
        9s     | phone approves                     |
        9s     | #6 verifies B by push              | lease; verify B with m1; save r1; !released; !mfa_verified; #6 steps: verified
        10s    |                                    |
        ",
    );
}

#[test]
fn l9_a_chained_demand_replaces_the_context_and_keeps_its_full_time() {
    tell(
        "
        0s     | mfa on B                           |
        0s     | #1 wants B                         | lease; ask B with r0; save; !held; #1 told mfa_required
        200s   | provider chains                    |
        200s   | #2 verifies B by otp right         | lease; verify B with m1; save; !held; #2 steps: chained
        450s   | phone approves                     |
        450s   | #3 verifies B by push              | lease; verify B with m2; save r1; !released; !mfa_verified; #3 steps: verified
        451s   |                                    |
        ",
    );
}

#[test]
fn l9_a_context_ends_and_its_hold_stays_until_a_person_comes_back() {
    tell(
        "
        0s     | mfa on B                           |
        0s     | #1 wants B                         | lease; ask B with r0; save; !held; #1 told mfa_required
        299s   |                                    | !mfa_abandoned
        301s   | #2 verifies B by otp right         | #2 steps: context_not_found
        302s   | #3 wants B                         | #3 told mfa_required
        303s   | #4 renews B                        | lease; ask B with r0; save; !held; #4 told mfa_required
        304s   | #5 renews B                        | #5 told mfa_required
        305s   | #6 verifies B by otp right         | lease; verify B with m2; save r1; !released; !mfa_verified; #6 steps: verified
        306s   |                                    |
        ",
    );
}

#[test]
fn l9_a_context_is_good_for_one_success() {
    tell(
        "
        0s     | mfa on B                           |
        0s     | #1 wants B                         | lease; ask B with r0; save; !held; #1 told mfa_required
        1s     | #2 verifies B by otp right         |
        1s     | #3 verifies B by otp right         | lease; verify B with m1; save r1; !released; !mfa_verified; #2 steps: verified; #3 steps: context_not_found
        2s     | #4 verifies something unknown      | #4 steps: context_not_found
        3s     |                                    |
        ",
    );
}

#[test]
fn l9_a_recovery_code_is_replaced() {
    tell(
        "
        0s     | mfa on B                           |
        0s     | #1 wants B                         | lease; ask B with r0; save; !held; #1 told mfa_required
        1s     | #2 verifies B by recovery right    | lease; verify B with m1; save r1; !released; !mfa_verified; #2 steps: verified with a new recovery code
        2s     |                                    |
        ",
    );
}

#[test]
fn l10_a_logout_wins_over_a_verification() {
    tell(
        "
        0s     | mfa on B                           |
        0s     | #1 wants B                         | lease; ask B with r0; save; !held; #1 told mfa_required
        1s     | #2 verifies B by otp right         | lease; verify B with m1
        1.1s   | logout                             | !ended; #2 steps: logged_out_by_user; end logged_out_by_user; revoke r0; drop; revoke r1
        3s     | #3 verifies B by otp right         | #3 steps: logged_out_by_user
        4s     |                                    |
        ",
    );
}

#[test]
fn l9_once_per_session_is_held_until_a_factor_was_shown() {
    tell(
        "
        0s     | needs B from each session          |
        0s     | #1 wants A                         | lease; ask A with r0; save r1; #1 gets A.1
        1s     | #2 wants B                         | !held; #2 told mfa_required
        2s     | #3 returns for B as alice          | lease; exchange code for B (alice); save r2; !released; !mfa_verified; #3 steps: verified
        3s     | #4 wants A                         | #4 gets A.1
        4s     | #5 wants B                         | #5 gets B.2
        2h     | #6 wants B                         | lease; ask B with r2; save r3; #6 gets B.3
        2.1h   |                                    |
        ",
    );
}

#[test]
fn l9_a_remembered_browser_counts_for_the_policies_that_allow_it_and_no_others() {
    tell(
        "
        given  | known since 100s                   |
        0s     | needs B from each session for 101s |
        0s     | #1 wants B                         | lease; ask B with r0; save r1; #1 gets B.1
        1s     | needs B from each session for 100s |
        1s     | #2 wants B                         | !held; #2 told mfa_required
        2s     | needs B from each session for 101s | !released
        3s     | needs B from each session          |
        3s     | #3 wants B                         | !held; #3 told mfa_required
        4s     | needs B from within 1h             |
        4s     | #4 wants B                         | #4 told mfa_required
        5s     | needs B from each session for 101s | !released
        6s     | mfa on B                           |
        2h     | #5 wants B                         | lease; ask B with r1; save; !held; #5 told mfa_required
        7201s  |                                    |
        ",
    );
}

#[test]
fn l9_a_policy_s_time_bounds_what_is_served() {
    tell(
        "
        given  | life 3600s                         |
        0s     | needs B from within 5m             |
        0s     | #1 returns for B as alice          | #1 steps: verified
        1s     | #2 wants B                         | !held; #2 told mfa_required
        2s     | #3 returns for B as alice gold 0s  | lease; exchange code for B (alice gold 0s); save r1; !released; !mfa_verified; #3 steps: verified
        3s     | #4 wants B                         | #4 gets B.1
        100s   | #5 wants A                         | lease; ask A with r1; save r2; #5 gets A.2
        301s   | #6 wants B                         | #6 gets B.1
        303s   | #7 wants B                         | !held; #7 told mfa_required
        304s   | #8 wants A                         | #8 gets A.2
        305s   |                                    |
        ",
    );
}

#[test]
fn l9_each_token_wants_a_person_and_other_audiences_do_not_notice() {
    tell(
        "
        given  | life 100s, keep A                  |
        0s     | needs B from each token            |
        0s     | #1 wants B                         | !held; #1 told mfa_required; lease; ask A with r0; save r1
        1s     | #2 returns for B as alice gold 0s  | lease; exchange code for B (alice gold 0s); save r2; !released; !mfa_verified; #2 steps: verified
        2s     | #3 wants B                         | #3 gets B.2; lease; ask A with r2; save r3; lease; ask A with r3; save r4
        96s    | #4 wants B                         | #4 gets B.2
        97s    | #5 wants B                         | !held; #5 told mfa_required
        97s    | needs B from the provider          | !released
        98s    | #6 wants B                         | lease; ask B with r4; save r5; #6 gets B.5
        99s    |                                    |
        ",
    );
}

#[test]
fn l9_a_step_up_with_another_person_or_a_weaker_class_stays_held() {
    tell(
        "
        0s     | needs B from within 5m gold        |
        0s     | #1 wants B                         | !held; #1 told mfa_required
        1s     | #2 returns for B as mallory gold 0s | lease; exchange code for B (mallory gold 0s); revoke r1; save; !mfa_failed; #2 steps: wrong_subject
        2s     | #3 returns for B as alice silver 0s | lease; exchange code for B (alice silver 0s); save r2; !mfa_failed; #3 steps: acr_not_met
        3s     | #4 returns for B as alice gold 10m  | lease; exchange code for B (alice gold 10m); save r3; !mfa_failed; #4 steps: auth_time_too_old
        4s     | #5 returns for B as alice gold 0s   | lease; exchange code for B (alice gold 0s); save r4; !released; !mfa_verified; #5 steps: verified
        5s     | #6 wants A                         | lease; ask A with r4; save r5; #6 gets A.5
        6s     |                                    |
        ",
    );
}

#[test]
fn l3_a_lost_reply_to_a_code_leaves_no_doubt() {
    tell(
        "
        0s     | needs B from each session          |
        0s     | #1 wants B                         | !held; #1 told mfa_required
        1s     | provider: cut                      |
        1s     | #2 returns for B as alice gold 0s  | lease; exchange code for B (alice gold 0s); save; !postponed; !mfa_failed; #2 steps: connection_lost
        2s     | #3 wants A                         | lease; ask A with r0; save r2; #3 gets A.2
        3s     |                                    |
        ",
    );
}

#[test]
fn l8_what_an_api_refuses_is_not_served_until_the_person_has_been_back() {
    tell(
        "
        0s     | #1 wants B:b                       | lease; ask B:b with r0; save r1; #1 gets B.1
        1s     | #2 is told by the API of B:b to bring gold | !held; #2 told mfa_required
        2s     | #3 wants B:b                       | #3 told mfa_required
        2s     | #4 wants B:c                       | lease; ask B:c with r1; save r2; #4 gets B.2
        3s     | #5 returns for B:b as alice gold 0s | lease; exchange code for B:b (alice gold 0s); save r3; !released; !mfa_verified; #5 steps: verified
        4s     | #6 wants B:b                       | #6 gets B.3
        5s     |                                    |
        ",
    );
}

#[test]
fn l8_a_demand_without_a_way_to_meet_it_waits_for_a_redirect() {
    tell(
        "
        0s     | provider: 403 mfa_required         |
        0s     | #1 wants B                         | lease; ask B with r0; save; !held; #1 told mfa_required
        1s     | #2 verifies B by otp right         | #2 steps: context_not_found
        2s     | #3 returns for B as alice          | lease; exchange code for B (alice); save r1; !released; !mfa_verified; #3 steps: verified
        3s     | #4 wants B                         | #4 gets B.1
        4s     |                                    |
        ",
    );
}

#[test]
fn l7_the_time_that_a_provider_names_to_a_person_holds_for_refreshes_too() {
    tell(
        "
        0s     | mfa on B                           |
        0s     | #1 wants B                         | lease; ask B with r0; save; !held; #1 told mfa_required
        1s     | provider: 429 wait 5s              |
        1s     | #2 verifies B by otp right         | lease; verify B with m1; save; !postponed; !mfa_failed; #2 steps: provider_busy
        2s     | #3 wants A                         |
        6.2s   |                                    | lease; ask A with r0; save r1; #3 gets A.1
        8s     |                                    |
        ",
    );
}

#[test]
fn l8_who_waits_for_a_verification_that_never_left_is_told_of_the_hold() {
    tell(
        "
        0s     | mfa on B                           |
        0s     | #1 wants B                         | lease; ask B with r0; save; !held; #1 told mfa_required
        1s     | store fails 40                     |
        1s     | #2 verifies B by otp right         | 5 times (store fails; !store_failed)
        5s     | #3 wants B                         | #2 steps: exchanging; #3 told mfa_required
        20s    | store well                         |
        30s    |                                    |
        ",
    );
}
