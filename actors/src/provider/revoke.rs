//! Giving a refresh token back (RFC 7009).

use std::time::Duration;

use crate::core::secret::RefreshToken;
use crate::provider::Provider;
use crate::provider::error::ProviderError;
use crate::provider::form::Form;
use crate::provider::observe::Endpoint;

/// How long a revocation may take: a logout waits for it.
const REVOKE_MAX: Duration = Duration::from_secs(5);

/// How many revocations may be under way at once, beside the exchanges: a wave of logouts must
/// not keep anybody's session from being refreshed.
pub(super) const REVOCATIONS_MAX: usize = 16;

impl Provider {
    /// Tells the provider that a refresh token is not needed any more.
    ///
    /// A refresh token the provider does not know counts as revoked (§2.2).
    ///
    /// # Errors
    /// Says why the provider may still take it; asking again does no harm.
    pub async fn revoke(&self, refresh_token: &RefreshToken) -> Result<(), ProviderError> {
        let until = self.0.clock.now() + REVOKE_MAX;
        let metadata = self.metadata_within(until).await?;
        let endpoint = metadata.revocation_endpoint.as_ref();
        let url = endpoint.ok_or(ProviderError::NotOffered("revocation endpoint"))?;
        let _permit = tokio::select! {
            biased;
            permit = self.0.revocations.acquire() => permit,
            () = self.0.clock.sleep_until(until) => {
                return Err(ProviderError::Unreachable("too many revocations are under way"));
            }
        };
        let mut form = Form::new();
        form.add("token", refresh_token.spend());
        form.add("token_type_hint", "refresh_token");
        self.ask((Endpoint::Revocation, url), &metadata, form, until).await.map(drop)
    }
}
