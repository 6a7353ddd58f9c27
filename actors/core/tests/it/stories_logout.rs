//! How a session ends (L10).

use super::tell::tell;

#[test]
fn l10_a_logout_during_an_exchange_revokes_the_late_pair() {
    tell(
        "
        0s     | #1 wants A                         | lease; ask A with r0
        0.1s   | logout                             | !ended; #1 told ended(logged_out_by_user); end logged_out_by_user; revoke r0; drop; revoke r1
        1s     | #2 wants A                         | #2 told ended(logged_out_by_user)
        2s     |                                    |
        ",
    );
}

#[test]
fn l10_a_pair_saved_just_before_the_tombstone_is_revoked_with_it() {
    tell(
        "
        0s     | #1 wants A                         | lease; ask A with r0
        0.2025s | logout                             | !ended; #1 told ended(logged_out_by_user); save r1; end logged_out_by_user; revoke r1; revoke r0
        1s     |                                    |
        ",
    );
}

#[test]
fn l10_the_ceiling_ends_a_session_whatever_is_refreshed() {
    tell(
        "
        given  | ceiling 100s                       |
        0s     | #1 wants A                         | lease; ask A with r0; save r1; #1 gets A.1
        99s    | #2 wants A                         | #2 gets A.1; !ended; end ceiling; revoke r1
        101s   | #3 wants A                         | #3 told ended(ceiling)
        102s   |                                    |
        ",
    );
}
