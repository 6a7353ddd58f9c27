//! The provider's side of stepping up: the grants that show a factor, and the MFA API beside them.
//!
//! Who names what: the grants are those of Auth0, whose MFA API is the only one in wide use
//! (WIRE a2, a3). Providers without it are stepped up by a redirect, with the code grant that every
//! OpenID provider has.

use std::time::Duration;

use crate::core::grant::{Malformed, NotSent, NotSentCause, Reply};
use crate::core::name::Audience;
use crate::core::scope::ScopeSet;
use crate::core::secret::MfaToken;
use crate::core::session::Need;
use crate::core::step_up::{Code, Evidence};
use crate::provider::Provider;
use crate::provider::error::SignInError;
use crate::provider::exchange::{CodeExchange, not_discovered};
use crate::provider::form::Form;

mod api;
mod reading;

pub use self::api::{ChallengeRequest, MfaApiError};
pub use self::reading::{Challenge, Enrolled, authenticators};

/// One verification to be sent.
#[derive(Clone, Copy, Debug)]
pub struct VerifyRequest<'a> {
    /// The provider's name for the demand.
    pub mfa_token: &'a MfaToken,
    /// What is shown.
    pub evidence: &'a Evidence,
    /// The API that was demanded a factor for.
    pub audience: &'a Audience,
    /// The scopes that were asked for then.
    pub scopes: &'a ScopeSet,
    /// How long until the reply must be there, all waiting included.
    pub deadline: Duration,
}

/// Returns the grant that shows `evidence`.
pub const fn grant_type(evidence: &Evidence) -> &'static str {
    match evidence {
        Evidence::Otp(_) => "http://auth0.com/oauth/grant-type/mfa-otp",
        Evidence::Oob { .. } => "http://auth0.com/oauth/grant-type/mfa-oob",
        Evidence::Recovery(_) => "http://auth0.com/oauth/grant-type/mfa-recovery-code",
    }
}

impl Provider {
    /// Shows a factor once; every outcome is a reply, as for a refresh.
    ///
    /// # Cancel safety
    /// None: a verification may rotate the refresh token. Spawn it.
    pub async fn verify(&self, request: VerifyRequest<'_>) -> Reply {
        let until = self.0.clock.now() + request.deadline;
        let turn_by = until - request.deadline / 2;
        let metadata = match self.metadata_within(turn_by).await {
            Ok(metadata) => metadata,
            Err(error) => return not_discovered(&error),
        };
        self.warm_keys(&metadata);
        let mut form = Form::new();
        form.add("grant_type", grant_type(request.evidence));
        form.add("mfa_token", request.mfa_token.expose());
        match request.evidence {
            Evidence::Otp(otp) => form.add("otp", otp.expose()),
            Evidence::Oob { oob_code, binding_code } => {
                form.add("oob_code", oob_code.expose());
                if let Some(binding_code) = binding_code {
                    form.add("binding_code", binding_code.expose());
                }
            }
            Evidence::Recovery(code) => form.add("recovery_code", code.expose()),
        }
        self.add_audience(&mut form, Some(request.audience));
        if self.0.settings.send_scope_on_refresh && !request.scopes.is_empty() {
            form.add("scope", &request.scopes.to_string());
        }
        // Unlike a refresh, an endpoint that takes the client's name from its credentials only is
        // none of these providers'.
        let heard = self.exchange(&metadata, form, turn_by, until).await;
        self.with_id_token(&metadata, heard).await
    }

    /// Exchanges the code that a redirect has brought back, and verifies who came back.
    ///
    /// # Cancel safety
    /// None: a code is good for one try. Spawn it.
    pub async fn exchange_step_up(&self, code: &Code, need: &Need) -> Reply {
        let exchange = CodeExchange {
            code: code.code.expose(),
            code_verifier: code.code_verifier.expose(),
            redirect_uri: &code.redirect_uri,
            nonce: &code.nonce,
            audience: Some(&need.audience),
            // What was demanded is judged by the session, which knows it.
            max_age: None,
        };
        match self.exchange_code(exchange).await {
            Ok(signed_in) => Reply::Granted(Box::new(signed_in.grant)),
            Err(SignInError::Refused(refusal)) => Reply::Refused(refusal),
            Err(SignInError::NotSent(not_sent)) => Reply::NotSent(not_sent),
            Err(SignInError::Unheard(how)) => Reply::Unheard(how),
            Err(SignInError::Malformed(why)) => malformed(why),
            Err(SignInError::IdToken(fault)) => {
                tracing::warn!(provider = self.name(), %fault, "the ID token of a step up is refused");
                malformed("id_token")
            }
            Err(SignInError::BornExpired) => malformed("born_expired"),
            Err(SignInError::Provider(_)) => {
                Reply::NotSent(NotSent { cause: NotSentCause::Discovery, wait: None })
            }
        }
    }
}

fn malformed(why: &'static str) -> Reply {
    Reply::Malformed(Malformed { refresh_token: None, why })
}
