//! How sessions begin: by a completed sign-in, or with a refresh token from elsewhere.

use std::sync::Arc;

use crate::access::Tokenward;
use crate::core::event::Event;
use crate::core::name::Audience;
use crate::core::scope::ScopeSet;
use crate::core::secret::RefreshToken;
use crate::core::session::{Need, due_at, rotation};
use crate::core::snapshot::{Device, Snapshot};
use crate::core::step_up::Remembered;
use crate::core::time::UnixSeconds;
use crate::handle::SessionHandle;
use crate::metrics::label::SessionEvent;
use crate::provider::SignedIn;
use crate::store::StoreError;

/// A refresh token that was issued to somebody else's software and is to become a session here.
#[derive(Clone, Debug)]
pub struct Adoption {
    /// The token. Nobody else may spend it from here on.
    pub refresh_token: RefreshToken,
    /// The provider's name for the person (`sub`), which every reply must then agree with.
    pub subject: String,
    /// The audience the session belongs to.
    pub primary: Audience,
}

/// Why a session could not be adopted.
#[derive(Debug, thiserror::Error)]
pub enum AdoptError {
    /// There is nothing to adopt.
    #[error("the refresh token is empty")]
    Empty,
    /// The session was not stored.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Tokenward {
    /// Makes a session of a completed sign-in; it is durable before its handle is given out.
    ///
    /// # Errors
    /// [`StoreError`] where the session is not durable: the person must sign in again.
    pub async fn sign_in(
        &self,
        signed_in: SignedIn,
        primary: Audience,
        scopes: ScopeSet,
    ) -> Result<SessionHandle, StoreError> {
        self.sign_in_remembered(signed_in, primary, scopes, None).await
    }

    /// Makes a session like [`Tokenward::sign_in`], of a person of whom the browser carries what
    /// was shown in it before: it counts for the policies that allow it, and for nothing else.
    ///
    /// # Errors
    /// [`StoreError`] where the session is not durable: the person must sign in again.
    pub async fn sign_in_remembered(
        &self,
        signed_in: SignedIn,
        primary: Audience,
        scopes: ScopeSet,
        remembered: Option<Remembered>,
    ) -> Result<SessionHandle, StoreError> {
        self.begin(signed_in, primary, scopes, (remembered, None)).await
    }

    /// Makes a session like [`Tokenward::sign_in`], of a device that a person has signed in: it has
    /// access tokens for what they have approved, and for nothing else.
    ///
    /// # Errors
    /// [`StoreError`] where the session is not durable: the person must approve the device again.
    pub async fn sign_in_device(
        &self,
        signed_in: SignedIn,
        primary: Audience,
        scopes: ScopeSet,
        device: Device,
    ) -> Result<SessionHandle, StoreError> {
        self.begin(signed_in, primary, scopes, (None, Some(device))).await
    }

    /// Makes a session of a refresh token that was issued elsewhere.
    ///
    /// # Errors
    /// [`AdoptError`] says what is wrong with it.
    pub async fn adopt(&self, adoption: Adoption) -> Result<SessionHandle, AdoptError> {
        if adoption.refresh_token.seal().is_empty() {
            return Err(AdoptError::Empty);
        }
        let provider = Arc::clone(self.shared.provider.issuer());
        let subject = Arc::from(adoption.subject.as_str());
        let session =
            Snapshot::new(provider, subject, adoption.primary, Some(adoption.refresh_token));
        Ok(self.create(session).await?)
    }

    async fn begin(
        &self,
        signed_in: SignedIn,
        primary: Audience,
        scopes: ScopeSet,
        (remembered, device): (Option<Remembered>, Option<Device>),
    ) -> Result<SessionHandle, StoreError> {
        let SignedIn { grant, identity, .. } = signed_in;
        let now = self.shared.clock.now();
        let provider = Arc::clone(self.shared.provider.issuer());
        let subject = Arc::from(identity.subject.as_str());
        let mut session =
            Snapshot::new(provider, subject, primary.clone(), grant.refresh_token.clone());
        session.provider_session = identity.provider_session.as_deref().map(Arc::from);
        session.authentication = identity.authentication.clone();
        session.proofs = grant.proof.clone().into_iter().collect();
        session.remembered = remembered;
        session.device = device;
        session.ceiling = identity.ceiling;
        session.id_token = grant.id_token.clone();
        if session.refresh_token.is_none() {
            tracing::warn!(
                "a sign-in brought no refresh token: the session ends with its access token; \
                 allow offline access for the client and its audience at the provider"
            );
        }
        let need = Need { audience: primary, scopes };
        if is_for(&grant, &need.audience) {
            let entry = rotation::entry(&need, &grant, session.head.epoch, now);
            session.entries.push(entry);
        }
        self.create(session).await
    }

    async fn create(&self, mut session: Snapshot) -> Result<SessionHandle, StoreError> {
        if let Some(lifetime) = self.shared.policies().lifetime {
            let UnixSeconds(now) = self.shared.clock.unix();
            let ends_at = UnixSeconds(now.saturating_add(lifetime.as_secs()));
            session.ceiling = Some(session.ceiling.map_or(ends_at, |ceiling| ceiling.min(ends_at)));
        }
        let handle = SessionHandle::random();
        let key = handle.key();
        let due = due_at(&session, &self.shared.policies(), self.shared.clock.now());
        self.shared.vault.create(key, &session, due).await?;
        let device = session.device.as_ref().map(|device| device.kind.clone());
        self.shared.emit(&key, &Event::SignedIn { device });
        let home = self.shared.metrics.audience(session.primary.as_str());
        self.shared.metrics.session_event(home, SessionEvent::Created);
        Ok(handle)
    }
}

/// Some providers answer a sign-in with an access token for their own user-info endpoint; it is
/// of no use to an API (law L5).
fn is_for(grant: &crate::core::grant::Grant, audience: &Audience) -> bool {
    grant.claims.as_ref().is_none_or(|claims| {
        claims.audiences.is_empty()
            || claims.audiences.iter().any(|listed| listed == audience.as_str())
    })
}
