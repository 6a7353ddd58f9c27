//! Fetching the provider's signing keys, and checking signatures and logout tokens with them.

use std::sync::Arc;

use crate::core::time::Instant;
use crate::provider::Provider;
use crate::provider::discovery::{FETCH_MAX, Metadata};
use crate::provider::document::Wanted;
use crate::provider::error::{IdTokenFault, ProviderError};
use crate::provider::jwks::{JwtFault, KeySet};
use crate::provider::jwt::Claims;
use crate::provider::logout::{self, LogoutClaims};
use crate::provider::observe::{Endpoint, Oddity};
use crate::provider::wire::Extent;

impl Provider {
    /// Checks a logout token that the provider sent (back-channel), and lets each through once.
    ///
    /// # Errors
    /// Says why nobody is to be logged out.
    pub async fn verify_logout_token(
        &self,
        logout_token: &str,
    ) -> Result<LogoutClaims, IdTokenFault> {
        let until = self.0.clock.now() + 2 * FETCH_MAX;
        let metadata = self.metadata_within(until).await.map_err(|_| JwtFault::NoKeys)?;
        let claims = self.verify_signature(&metadata, logout_token, until).await?;
        let claims = logout::check(&claims, self.expected(&metadata))?;
        if !self.replays().admit(&claims.jti, self.0.clock.unix()) {
            return Err(IdTokenFault::Replayed);
        }
        Ok(claims)
    }

    /// Lets a logout token through once more, because its logout could not be carried out and the
    /// provider will repeat it.
    pub fn forget_logout(&self, claims: &LogoutClaims) {
        self.replays().forget(&claims.jti);
    }

    /// Fetches the keys in the background if there are none, so that they are there when a reply
    /// needs them.
    pub(super) fn warm_keys(&self, metadata: &Arc<Metadata>) {
        if self.0.keys.held().is_none() && metadata.jwks_uri.is_some() {
            self.renew_keys(metadata, Wanted::Any);
        }
    }

    /// Returns the claims of `jwt` if the provider has signed it; back at `until` at the latest.
    pub(super) async fn verify_signature(
        &self,
        metadata: &Metadata,
        jwt: &str,
        until: Instant,
    ) -> Result<Claims, JwtFault> {
        let keys = self.keys_within(metadata, Wanted::Any, until).await?;
        let asked_at = self.0.clock.now();
        match keys.verify(jwt) {
            Err(JwtFault::UnknownKey) => {
                let newer = Wanted::After(asked_at);
                self.keys_within(metadata, newer, until).await?.verify(jwt)
            }
            verified => verified,
        }
    }

    async fn keys_within(
        &self,
        metadata: &Metadata,
        wanted: Wanted,
        until: Instant,
    ) -> Result<Arc<KeySet>, JwtFault> {
        if self.0.keys.wants_renewal() {
            let (provider, metadata) = (self.clone(), Arc::new(metadata.clone()));
            provider.renew_keys(&metadata, Wanted::After(self.0.clock.now()));
        }
        let obtained = self.0.keys.obtain(wanted, || self.fetch_keys(metadata));
        tokio::select! {
            biased;
            keys = obtained => keys.map_err(|_| JwtFault::NoKeys),
            () = self.0.clock.sleep_until(until) => Err(JwtFault::NoKeys),
        }
    }

    fn renew_keys(&self, metadata: &Arc<Metadata>, wanted: Wanted) {
        let (provider, metadata) = (self.clone(), metadata.clone());
        tokio::spawn(async move {
            let renewed = provider.0.keys.obtain(wanted, || provider.fetch_keys(&metadata)).await;
            if let Err(error) = renewed {
                provider.noticed(Oddity::NotRenewed, &error);
            }
        });
    }

    async fn fetch_keys(&self, metadata: &Metadata) -> Result<KeySet, ProviderError> {
        let url = metadata.jwks_uri.as_ref().ok_or(ProviderError::NotOffered("signing keys"))?;
        let until = self.0.clock.now() + FETCH_MAX;
        let answer = self.fetch(Endpoint::Jwks, url, until).await?;
        let whole = answer.status == 200 && answer.extent == Extent::Whole;
        let keys = whole.then(|| KeySet::parse(&answer.body)).flatten();
        keys.filter(|keys| !keys.is_empty())
            .ok_or(ProviderError::Unreachable("its signing keys cannot be used"))
    }
}
