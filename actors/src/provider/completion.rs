//! What makes a sign-in of the answer to its grant: the code of a browser, or that of a device.

use std::time::Duration;

use crate::core::grant::{Grant, Reply};
use crate::core::secret::{IdToken, RefreshToken};
use crate::core::time::Instant;
use crate::provider::Provider;
use crate::provider::discovery::Metadata;
use crate::provider::error::{IdTokenFault, SignInError};
use crate::provider::exchange::{SignedIn, joined, proof};
use crate::provider::id_token;
use crate::provider::reply::Heard;

/// What the ID token of a sign-in must answer.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Asked<'a> {
    pub(super) nonce: Option<&'a str>,
    pub(super) max_age: Option<Duration>,
}

impl Provider {
    /// Makes a sign-in of the answer to its grant; a refresh token that came all the same where it
    /// is none is revoked.
    pub(super) async fn completed(
        &self,
        metadata: &Metadata,
        heard: Heard,
        asked: Asked<'_>,
        until: Instant,
    ) -> Result<SignedIn, SignInError> {
        let Heard { reply, id_token } = heard;
        let grant = match reply {
            Reply::Granted(grant) => grant,
            Reply::Malformed(malformed) => {
                self.revoke_orphan(malformed.refresh_token);
                return Err(SignInError::Malformed(malformed.why));
            }
            Reply::Refused(refusal) => return Err(SignInError::Refused(refusal)),
            Reply::Unheard(how) => return Err(SignInError::Unheard(how)),
            Reply::NotSent(not_sent) => return Err(SignInError::NotSent(not_sent)),
        };
        let refresh_token = grant.refresh_token.clone();
        let signed_in = self.signed_in(metadata, asked, *grant, id_token, until).await;
        if signed_in.is_err() {
            self.revoke_orphan(refresh_token);
        }
        signed_in
    }

    async fn signed_in(
        &self,
        metadata: &Metadata,
        asked: Asked<'_>,
        grant: Grant,
        id_token: Option<IdToken>,
        until: Instant,
    ) -> Result<SignedIn, SignInError> {
        let id_token = id_token.ok_or(IdTokenFault::Missing)?;
        let (identity, claims) = self.identify(metadata, &id_token, until).await?;
        let now = self.0.clock.unix();
        id_token::check_sign_in(&claims, asked.nonce, asked.max_age, now)?;
        if identity.ceiling.is_some_and(|at| id_token::born_expired(at, &claims, now)) {
            return Err(SignInError::BornExpired);
        }
        let mut grant = joined(grant, id_token, &identity, self.issuer())
            .map_err(|broken| SignInError::Malformed(broken.why))?;
        grant.proof = Some(proof(&identity.authentication, &self.0.clock));
        Ok(SignedIn { grant, identity })
    }

    fn revoke_orphan(&self, refresh_token: Option<RefreshToken>) {
        let Some(refresh_token) = refresh_token else {
            return;
        };
        let provider = self.clone();
        tokio::spawn(async move {
            if let Err(error) = provider.revoke(&refresh_token).await {
                tracing::warn!(%error, "a refresh token nobody will use could not be revoked");
            }
        });
    }
}
