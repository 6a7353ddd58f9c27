//! What went wrong in a step-up, in words for the person.

use tokenward::core::step_up::StatusProfile;
use tokenward::step_up::MfaFault;

/// The statuses that seed documents promise.
pub(super) const PROFILE: StatusProfile = StatusProfile::Documented;

/// Says what went wrong, as a heading.
pub(super) fn title(fault: &MfaFault) -> &'static str {
    match fault {
        MfaFault::TokenExpired => "This took too long",
        MfaFault::TokenNotFound => "This is settled already",
        MfaFault::TokenInvalid => "This page is out of date",
        MfaFault::Rejected => "It was rejected",
        MfaFault::TooManyAttempts { .. } => "Too many attempts",
        MfaFault::Required(_) => "One more factor",
        MfaFault::WrongPerson => "Somebody else signed in",
        MfaFault::NotMet { .. } => "That was not enough",
        MfaFault::RedirectOnly => "Confirm at your provider",
        MfaFault::EnrollRequired => "Nothing is set up yet",
        MfaFault::SignInRequired { .. } => "A sign-in is needed",
        MfaFault::NotNow { .. } => "Not at the moment",
        MfaFault::OperatorFault { .. } => "The operator must act",
        MfaFault::Pending { .. } | MfaFault::SlowDown { .. } => "Not answered yet",
        MfaFault::Authenticators(_)
        | MfaFault::Challenge(_)
        | MfaFault::ChallengeInvalid
        | MfaFault::CodeRefused(_)
        | MfaFault::Enrollment(_)
        | MfaFault::InvalidRequest(_)
        | MfaFault::NoAvailableFactors
        | MfaFault::Verify(_)
        | MfaFault::WrongCode => "It was not confirmed",
    }
}

/// Says what went wrong and what to do, in whole sentences.
pub(super) fn words(fault: &MfaFault) -> String {
    let fixed = match fault {
        MfaFault::TokenExpired => "The question is older than it may be. Start again.",
        MfaFault::TokenNotFound => {
            "The question was answered already, or a newer one took its place. Start again if the \
             API still asks."
        }
        MfaFault::TokenInvalid => {
            "What this page carries does not belong to your session. Start again."
        }
        MfaFault::WrongCode => "This code is not right. Look at the newest one and try again.",
        MfaFault::ChallengeInvalid => "The code that was sent is no longer valid. Ask for another.",
        MfaFault::Rejected => {
            "The question was rejected on the phone. If that was not you, change your password."
        }
        MfaFault::Pending { .. } | MfaFault::SlowDown { .. } => {
            "The question on your phone is not answered yet."
        }
        MfaFault::TooManyAttempts { .. } => {
            "There were too many attempts. Wait a little before the next one."
        }
        MfaFault::Required(_) => "That was right, and one more factor is wanted.",
        MfaFault::NoAvailableFactors => {
            "None of the ways that the provider accepts is set up for you, and none may be set up \
             here. Your administrator must act."
        }
        MfaFault::EnrollRequired => "No factor is set up yet: set one up to go on.",
        MfaFault::RedirectOnly => "This can only be confirmed at your provider.",
        MfaFault::WrongPerson => {
            "At the provider somebody else signed in than the person of this session. Nothing was \
             changed."
        }
        MfaFault::SignInRequired { .. } => "Your session is over. Sign in to go on.",
        MfaFault::Authenticators(code)
        | MfaFault::Challenge(code)
        | MfaFault::CodeRefused(code)
        | MfaFault::Enrollment(code)
        | MfaFault::Verify(code) => {
            return format!("Your provider did not accept this ({code}). Try another way.");
        }
        MfaFault::NotMet { why } => {
            return format!(
                "The provider came back without what was asked for ({why}). Its operator must \
                 allow this step-up; nothing else of your session is touched."
            );
        }
        MfaFault::InvalidRequest(why) => return format!("Something is missing: {why}."),
        MfaFault::NotNow { why, .. } => {
            return format!("It cannot be checked at the moment ({why}). Try again soon.");
        }
        MfaFault::OperatorFault { code } => {
            return format!(
                "The provider refuses this gateway ({code}). Its operator finds the cause in the \
                 log."
            );
        }
    };
    fixed.to_owned()
}
