//! Finds what is held, also where another gateway of a fleet was the first to hold it.

use tokenward::core::name::SessionKey;
use tokenward::core::session::Need;
use tokenward::step_up::{HoldView, MfaFault};

use crate::front::Front;

/// Finds what is meant of all that is held of a session.
///
/// What the provider demands is stored with the session. What a policy of ours demands is known to the
/// gateway that was asked for an access token, until the session is written next: another gateway that
/// is asked about the same `need` makes the same demand.
///
/// # Errors
/// As [`tokenward::Tokenward::holds`].
pub(crate) async fn found(
    front: &Front,
    key: &SessionKey,
    is_meant: impl Fn(&HoldView) -> bool,
    need: Option<Need>,
) -> Result<Option<HoldView>, MfaFault> {
    let holds = front.tokenward().holds(key).await?;
    if let Some(view) = holds.into_iter().find(&is_meant) {
        return Ok(Some(view));
    }
    let Some(need) = need.filter(|need| may_be_elsewhere(front, need)) else { return Ok(None) };
    let made = front.tokenward().renew_hold(key, &need).await?;
    Ok(made.filter(is_meant))
}

/// Reports whether another gateway may hold `need` by a policy of ours.
fn may_be_elsewhere(front: &Front, need: &Need) -> bool {
    let policies = front.config().policies();
    let policy = policies.audiences.get(&need.audience);
    let demands = policy.is_some_and(|policy| policy.mfa.strength().is_some());
    demands && front.tokenward().vault().is_shared()
}
