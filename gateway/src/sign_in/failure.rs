//! Why a sign-in did not come through, said to the person, with what to do.

use std::time::Duration;

use axum::http::StatusCode;
use percent_encoding::utf8_percent_encode;
use tokenward::core::grant::NotSent;
use tokenward::core::refusal::Refusal;
use tokenward::core::sign_in::CallbackFault;
use tokenward::provider::{ProviderError, SignInError};

use super::QUERY_VALUE;
use crate::pages::Trouble;

/// How long a person is asked to wait where nobody knows better: a provider's restart.
const RETRY_LATER: Duration = Duration::from_secs(10);

/// The characters shown of what a provider says about an error.
const SAID_CHARS_MAX: usize = 300;

/// Says that nothing is known of the sign-in that this answer belongs to.
pub(super) fn unknown(prefix: &str) -> Trouble {
    let trouble = Trouble::new(
        StatusCode::BAD_REQUEST,
        "sign_in_unknown",
        "This sign-in is not known here",
        "The provider's answer belongs to no sign-in that this browser has under way: it was \
         completed already, took longer than a quarter of an hour, or was started in another \
         browser. Start anew, in a browser that keeps cookies.",
    );
    with_way_back(trouble, prefix, "/")
}

/// Offers to start the sign-in anew.
pub(super) fn with_way_back(trouble: Trouble, prefix: &str, return_to: &str) -> Trouble {
    let return_to = utf8_percent_encode(return_to, QUERY_VALUE);
    trouble.way_out("Sign in again", format!("{prefix}/login?return_to={return_to}"))
}

/// Says that an API was named that is not configured.
pub(super) fn unknown_audience(prefix: &str) -> Trouble {
    let trouble = Trouble::new(
        StatusCode::BAD_REQUEST,
        "invalid_target",
        "This API is not known here",
        "The audience in the address is that of no route of the gateway. Leave it out to sign in \
         for the first one.",
    );
    with_way_back(trouble, prefix, "/")
}

/// Says that no route wants a session.
pub(super) fn nothing_to_sign_in_for() -> Trouble {
    Trouble::new(
        StatusCode::NOT_FOUND,
        "no_audience",
        "There is nothing to sign in for",
        "No route of the gateway has an audience. Its operator adds one to a route.",
    )
}

/// Says that we are to blame.
pub(crate) fn ours() -> Trouble {
    Trouble::new(
        StatusCode::INTERNAL_SERVER_ERROR,
        "internal",
        "The gateway failed",
        "Something in the gateway broke; its operator finds the cause in the log. Nothing of yours \
         was lost.",
    )
}

/// Says why the provider's answer to the browser is not accepted.
pub(super) fn of_callback(fault: &CallbackFault) -> Trouble {
    let bad =
        |error, title, detail: &str| Trouble::new(StatusCode::BAD_REQUEST, error, title, detail);
    match fault {
        CallbackFault::Expired => bad(
            "sign_in_expired",
            "This sign-in took too long",
            "It was started more than a quarter of an hour ago, or before the gateway's machine was \
             restarted. Start anew.",
        ),
        CallbackFault::Issuer => bad(
            "issuer_mismatch",
            "Another provider answered",
            "The answer names another provider than the one that was asked, or none. Nothing of it \
             was used.",
        ),
        CallbackFault::NoCode => bad(
            "invalid_request",
            "The answer is incomplete",
            "The provider sent neither a code nor an error. Start anew.",
        ),
        CallbackFault::State => bad(
            "state_mismatch",
            "The answer belongs to another sign-in",
            "It does not carry what this browser was sent away with. Nothing of it was used.",
        ),
        CallbackFault::Refused { error, description } => {
            refused(error, description.as_deref().unwrap_or_default())
        }
    }
}

/// Says why the provider cannot be asked.
pub(crate) fn of_provider(error: &ProviderError) -> Trouble {
    match error {
        ProviderError::Discovery { wait, .. } => unreachable(*wait),
        ProviderError::Unreachable(_) => unreachable(None),
        ProviderError::NotOffered(_) | ProviderError::Refused { .. } | ProviderError::Unsigned => {
            misfit(&error.to_string())
        }
    }
}

/// Says why the code did not become a session.
pub(super) fn of_exchange(error: &SignInError) -> Trouble {
    match error {
        SignInError::Provider(error) => of_provider(error),
        SignInError::Refused(refusal) => of_refusal(refusal),
        SignInError::NotSent(NotSent { wait, .. }) => unreachable(*wait),
        SignInError::Unheard(_) => Trouble::new(
            StatusCode::BAD_GATEWAY,
            "provider_unheard",
            "The provider's answer was lost",
            "The sign-in was confirmed, but its last step was not answered. Start anew; the provider \
             may not even ask again.",
        ),
        SignInError::Malformed(_) | SignInError::IdToken(_) => misfit(&error.to_string()),
        SignInError::BornExpired => Trouble::new(
            StatusCode::FORBIDDEN,
            "session_expired",
            "The provider allows no session",
            "It limits the session to a time that is already over. Sign in at the provider anew; if \
             that does not help, the clocks of both machines differ.",
        ),
    }
}

fn of_refusal(refusal: &Refusal) -> Trouble {
    match refusal.error.as_deref() {
        Some("invalid_grant") => Trouble::new(
            StatusCode::BAD_REQUEST,
            "sign_in_expired",
            "The provider does not take the code any more",
            "A code is good for one try within a minute or so. Start anew.",
        ),
        Some("temporarily_unavailable" | "server_error") => unreachable(refusal.wait),
        Some(code) => refused(code, refusal.description.as_deref().unwrap_or_default()),
        None if refusal.status == 429 || refusal.status >= 500 => unreachable(refusal.wait),
        None => misfit(&format!("it answered with the status {}", refusal.status)),
    }
}

/// Turns the provider's own error into words (OpenID Connect Core §3.1.2.6, RFC 6749 §4.1.2.1).
fn refused(error: &str, description: &str) -> Trouble {
    let said = said(error, description);
    match error {
        "access_denied" => Trouble::new(
            StatusCode::FORBIDDEN,
            "access_denied",
            "The sign-in was declined",
            format!(
                "You declined it, or the provider does not let you in. The provider says: {said}."
            ),
        ),
        "login_required"
        | "interaction_required"
        | "account_selection_required"
        | "consent_required"
        | "mfa_required" => Trouble::new(
            StatusCode::UNAUTHORIZED,
            "login_required",
            "The provider wants to see you",
            format!("It cannot sign you in without asking something. The provider says: {said}."),
        ),
        "temporarily_unavailable" | "server_error" => unreachable(None),
        _ => misfit(&format!("it says: {said}")),
    }
}

fn unreachable(wait: Option<Duration>) -> Trouble {
    Trouble::new(
        StatusCode::SERVICE_UNAVAILABLE,
        "provider_unavailable",
        "The provider cannot be reached",
        "The service that people sign in at does not answer at the moment. Try again in a little \
         while.",
    )
    .retry_after(wait.unwrap_or(RETRY_LATER))
}

fn misfit(why: &str) -> Trouble {
    Trouble::new(
        StatusCode::BAD_GATEWAY,
        "provider_misfit",
        "Gateway and provider do not fit together",
        format!(
            "Only the operator can set this right: {why}. Running \u{201c}tokenward check\u{201d} \
             says what to change."
        ),
    )
}

/// Shows what a provider says, shortened and without control characters.
fn said(error: &str, description: &str) -> String {
    let text = match description {
        "" => error.to_owned(),
        _ => format!("{description} ({error})"),
    };
    let clean = text.chars().filter(|c| !c.is_control()).take(SAID_CHARS_MAX).collect::<String>();
    clean.trim_end_matches('.').to_owned()
}
