//! The framework, from outside.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::sync::oneshot;

use crate::builder::Builder;
use crate::clock::Clock;
use crate::core::event::{EndReason, LogoutKind};
use crate::core::name::{Audience, Epoch, SessionKey, WaiterId};
use crate::core::policy::{Deadlines, Policies};
use crate::core::scope::ScopeSet;
use crate::core::session::exchange::Reading;
use crate::core::session::{Answer, Need, Want};
use crate::core::time::Instant;
use crate::directory::Offer;
use crate::error::{AccessError, BUSY_FOR};
use crate::events::{EndStream, EventStream};
use crate::metrics::Metrics;
use crate::metrics::label::TokenResult;
use crate::provider::{LogoutClaims, Provider};
use crate::router::RouterMessage;
use crate::session::{Farewell, SessionMessage};
use crate::shared::Shared;
use crate::store::{StoreError, Vault};

/// Keeps sessions fresh. A clone is another door to the same framework.
#[derive(Clone)]
pub struct Tokenward {
    pub(crate) shared: Arc<Shared>,
}

/// What an access token is wanted for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wish {
    /// The API.
    pub audience: Audience,
    /// The scopes that the call needs; empty for those the audience's policy names.
    pub scopes: ScopeSet,
    /// The access token that the API has just refused: only a newer one will do.
    pub replaces: Option<Epoch>,
}

impl Wish {
    /// Wishes for any access token that covers `scopes` at `audience`.
    pub const fn new(audience: Audience, scopes: ScopeSet) -> Self {
        Self { audience, scopes, replaces: None }
    }

    /// Wishes for a newer access token than the refused one.
    #[must_use]
    pub const fn instead_of(mut self, refused: Epoch) -> Self {
        self.replaces = Some(refused);
        self
    }
}

/// How often a wish is told again after the session's actor died while it waited. A wish may be
/// repeated: it changes nothing by itself.
const TRIES: u32 = 3;

impl Tokenward {
    /// Starts to put a framework together.
    pub fn builder() -> Builder {
        Builder::default()
    }

    pub(crate) const fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }

    /// Returns the published access token that answers a request, if there is one: the hot path,
    /// without a lock, a wait or a mailbox hop (law L15).
    ///
    /// `None` says only that [`Tokenward::access`] has to be asked. Where `scopes` is empty, only
    /// an access token that was asked for without scopes answers.
    pub fn offer(
        &self,
        key: &SessionKey,
        audience: &Audience,
        scopes: &ScopeSet,
    ) -> Option<Arc<Offer>> {
        self.shared.directory.offer(key, audience, scopes, self.shared.clock.now())
    }

    /// Returns what [`Tokenward::offer`] does, for a call that is made with it: it counts as a token
    /// request that was met without waiting.
    pub fn take(
        &self,
        key: &SessionKey,
        audience: &Audience,
        scopes: &ScopeSet,
    ) -> Option<Arc<Offer>> {
        let (now, metrics) = (self.shared.clock.now(), &self.shared.metrics);
        let offer = self.shared.directory.offer(key, audience, scopes, now)?;
        metrics.token_request(offer.counted_at(), TokenResult::Hit, None);
        metrics.token_remaining(offer.counted_at(), offer.expires_at().left_at(now));
        Some(offer)
    }

    /// Returns an access token for `wish`, exchanging the refresh token where it must be.
    ///
    /// Answers within the soft deadline of the policies, or within their patience where exchanges for
    /// other audiences of the session come first.
    ///
    /// # Errors
    /// [`AccessError`] says who must act.
    ///
    /// # Cancel safety
    /// Dropping the future leaves a running exchange undisturbed (law L4).
    pub async fn access(&self, key: &SessionKey, wish: &Wish) -> Result<Arc<Offer>, AccessError> {
        let wish = self.resolved(wish);
        if wish.replaces.is_none()
            && let Some(offer) = self.take(key, &wish.audience, &wish.scopes)
        {
            return Ok(offer);
        }
        let metrics = &self.shared.metrics;
        let audience = metrics.audience(wish.audience.as_str());
        let asked_at = self.shared.clock.now();
        let answer = self.wait(key, &wish, asked_at).await;
        // Read once: thousands of callers may be answered one after the other.
        let now = self.shared.clock.now();
        let answer = answer.and_then(|answer| self.accept(key, &wish, answer, now));
        if let Ok(offer) = &answer {
            metrics.token_remaining(audience, offer.expires_at().left_at(now));
        }
        metrics.token_request(audience, result(&answer), Some(now.since(asked_at)));
        answer
    }

    async fn wait(
        &self,
        key: &SessionKey,
        wish: &Wish,
        now: Instant,
    ) -> Result<Answer, AccessError> {
        if self.shared.is_draining() {
            return Err(AccessError::NotNow { retry_after: BUSY_FOR, why: "draining" });
        }
        let Deadlines { soft, patience, .. } = self.shared.policies().deadlines;
        let (deadline, latest) = (now + soft, now + patience);
        for _ in 0..TRIES {
            // The session answers by the deadline itself; the margin covers a busy machine.
            let answer =
                tokio::time::timeout(patience + soft, self.ask(key, wish, (deadline, latest)))
                    .await;
            match answer {
                Ok(Some(answer)) => return Ok(answer),
                Ok(None) if self.is_unknown(key).await? => {
                    return Err(AccessError::SignInRequired { reason: None });
                }
                Ok(None) => {}
                Err(_) => break,
            }
        }
        Err(AccessError::NotNow { retry_after: BUSY_FOR, why: "restarting" })
    }

    /// Ends a session: its tombstone is durable before this answers, and its refresh token is
    /// revoked at the provider soon after (law L10).
    ///
    /// Answers what is left of it; `None` where there was nothing to end.
    ///
    /// # Errors
    /// [`StoreError`] where the end is not durable within the soft deadline; it is tried on, and
    /// the session is not served meanwhile.
    ///
    /// # Cancel safety
    /// The session ends even if the future is dropped.
    pub async fn end(
        &self,
        key: &SessionKey,
        kind: LogoutKind,
    ) -> Result<Option<Farewell>, StoreError> {
        let (reply, answer) = oneshot::channel();
        let message = RouterMessage::End(*key, EndReason::LoggedOut(kind), reply);
        self.shared.router(key).send(message);
        match tokio::time::timeout(self.shared.policies().deadlines.soft, answer).await {
            Ok(Ok(farewell)) => Ok(farewell),
            Ok(Err(_)) | Err(_) => Err(StoreError::Busy { why: "the end of a session" }),
        }
    }

    /// Ends the sessions that a verified logout token names; answers how many.
    ///
    /// # Errors
    /// As [`Tokenward::end`]; the provider should then send the logout token again.
    pub async fn end_by_provider(&self, claims: &LogoutClaims) -> Result<usize, StoreError> {
        let (vault, issuer) = (&self.shared.vault, self.shared.provider.issuer());
        let mut ended = 0;
        let mut idle_rounds = 0;
        while idle_rounds < TRIES {
            let keys = match (&claims.provider_session, &claims.subject) {
                (Some(sid), _) => vault.of_provider_session(issuer, sid).await?,
                (None, Some(subject)) => vault.of_subject(issuer, subject).await?,
                (None, None) => Vec::new(),
            };
            if keys.is_empty() {
                return Ok(ended);
            }
            let before = ended;
            for key in keys {
                ended += usize::from(self.end(&key, LogoutKind::Backchannel).await?.is_some());
            }
            idle_rounds += u32::from(ended == before);
        }
        // What is still listed after it has ended is written by somebody else at this moment.
        Err(StoreError::Busy { why: "the sessions of a logout" })
    }

    /// Asks for everything at once that a session waits for or that is held, as an operator.
    pub fn retry(&self, key: &SessionKey) {
        let message = RouterMessage::Deliver(*key, SessionMessage::Retry);
        self.shared.router(key).send(message);
    }

    /// Replaces the policies; sessions in memory learn of them at once.
    pub fn reload(&self, policies: Policies) {
        let policies = Arc::new(policies);
        self.shared.replace_policies(Arc::clone(&policies));
        for router in self.shared.routers() {
            router.send(RouterMessage::PoliciesReplaced(Arc::clone(&policies)));
        }
    }

    /// Takes no more wishes, waits for what is in the air to be saved, and stops.
    ///
    /// Answers `true` where everything was done within the time. What was not is in doubt, and is
    /// resumed by the next process.
    pub async fn drain(&self, within: Duration) -> bool {
        self.shared.draining.store(true, Ordering::Release);
        self.shared.flights.close();
        let landed = tokio::time::timeout(within, self.shared.flights.wait()).await.is_ok();
        for router in self.shared.routers() {
            router.drain(DRAIN_WITHIN).await;
        }
        landed
    }

    /// Proves that tokens can be kept: one durable write.
    ///
    /// # Errors
    /// [`StoreError`] says who must act.
    pub async fn ready(&self) -> Result<(), StoreError> {
        self.shared.vault.ping().await
    }

    /// Listens to what happens from now on.
    pub fn events(&self) -> EventStream {
        self.shared.events.listen()
    }

    /// Listens to the ends of sessions from now on; each is told at once, before it is durable.
    pub fn ends(&self) -> EndStream {
        self.shared.events.listen_to_ends()
    }

    /// Returns the numbers.
    pub fn metrics(&self) -> &Arc<Metrics> {
        &self.shared.metrics
    }

    /// Returns the clock that deadlines are counted on.
    pub fn clock(&self) -> &Clock {
        &self.shared.clock
    }

    /// Returns the provider.
    pub fn provider(&self) -> &Provider {
        &self.shared.provider
    }

    /// Returns the vault, whose key ring also seals what browsers carry.
    pub fn vault(&self) -> &Vault {
        &self.shared.vault
    }

    /// Returns how many sessions are in memory.
    pub fn resident(&self) -> usize {
        self.shared.directory.len()
    }

    async fn ask(
        &self,
        key: &SessionKey,
        wish: &Wish,
        (deadline, latest): (Instant, Instant),
    ) -> Option<Answer> {
        let waiter = self.shared.next_waiter();
        let need = Need { audience: wish.audience.clone(), scopes: wish.scopes.clone() };
        let want = Want { waiter, need, replaces: wish.replaces, deadline, latest };
        let (reply, answer) = oneshot::channel();
        let mut patience = Patience { shared: &self.shared, key, waiter, over: false };
        let message = SessionMessage::Want(want, reply);
        let refused = match self.shared.directory.find(key) {
            Some(seat) => seat.actor().cast(message).err(),
            None => Some(message),
        };
        if let Some(message) = refused {
            self.shared.router(key).send(RouterMessage::Deliver(*key, message));
        }
        let answer = answer.await.ok();
        patience.over = true;
        answer
    }

    fn resolved(&self, wish: &Wish) -> Wish {
        let mut wish = wish.clone();
        if wish.scopes.is_empty() {
            wish.scopes = self.shared.policies().audience(&wish.audience).scopes;
        }
        wish
    }

    fn accept(
        &self,
        key: &SessionKey,
        wish: &Wish,
        answer: Answer,
        now: Instant,
    ) -> Result<Arc<Offer>, AccessError> {
        let granted = match AccessError::of(answer) {
            Ok(error) => return Err(error),
            Err(granted) => granted,
        };
        // Published before it was answered: thousands of callers share one header value.
        let published = self.shared.directory.offer(key, &wish.audience, &wish.scopes, now);
        if let Some(offer) = published.filter(|offer| offer.serial() >= granted.entry.born_in) {
            return Ok(offer);
        }
        let unusable = AccessError::Unusable { why: "access_token_is_no_header" };
        Offer::new(Arc::unwrap_or_clone(granted), &self.shared.metrics)
            .map(Arc::new)
            .ok_or(unusable)
    }

    /// Tells a session that is not there from one whose actor died.
    async fn is_unknown(&self, key: &SessionKey) -> Result<bool, AccessError> {
        match self.shared.read(*key).await {
            Reading::Absent => Ok(true),
            Reading::Living(_) | Reading::Ended(_) => Ok(false),
            Reading::Failed => Err(AccessError::NotNow { retry_after: BUSY_FOR, why: "store" }),
        }
    }
}

fn result(answer: &Result<Arc<Offer>, AccessError>) -> TokenResult {
    match answer {
        // Every caller who waits is served by an exchange that all of them share.
        Ok(_) => TokenResult::Coalesced,
        Err(AccessError::MfaRequired(_)) => TokenResult::MfaRequired,
        Err(AccessError::SignInRequired { .. }) => TokenResult::LoginRequired,
        Err(
            AccessError::Denied { .. }
            | AccessError::Downscoped { .. }
            | AccessError::NotNow { .. }
            | AccessError::OperatorFault { .. }
            | AccessError::Rejected { .. }
            | AccessError::Unchanged
            | AccessError::Unusable { .. },
        ) => TokenResult::Error,
    }
}

/// How long the actors may take to put their sessions back: they have nothing left to wait for.
const DRAIN_WITHIN: Duration = Duration::from_secs(5);

/// Tells the session when its caller goes away without an answer.
struct Patience<'a> {
    shared: &'a Shared,
    key: &'a SessionKey,
    waiter: WaiterId,
    over: bool,
}

impl Drop for Patience<'_> {
    fn drop(&mut self) {
        if !self.over
            && let Some(seat) = self.shared.directory.find(self.key)
        {
            // A session that has left has forgotten already.
            drop(seat.actor().cast(SessionMessage::Forget(self.waiter)));
        }
    }
}
