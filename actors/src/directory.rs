//! Where readers find access tokens without asking anybody (law L15).
//!
//! The directory lists the sessions that are in memory. Each has a seat that its actor, and nobody
//! else, puts offers on; readers take them without a lock and without a mailbox hop.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use arc_swap::ArcSwap;
use bytes::Bytes;
use http::HeaderValue;

use crate::core::name::{Audience, Epoch, SessionKey};
use crate::core::scope::ScopeSet;
use crate::core::secret::AccessToken;
use crate::core::session::{self as core_session, Need};
use crate::core::snapshot::{Entry, pick};
use crate::core::time::Instant;
use crate::mail::Address;
use crate::metrics::{AudienceIndex, Metrics};
use crate::session::SessionMessage;

/// The sessions in memory.
#[derive(Default)]
pub(crate) struct Directory(papaya::HashMap<SessionKey, Arc<Seat>>);

/// One session in memory.
pub(crate) struct Seat {
    offers: ArcSwap<Vec<Arc<Offer>>>,
    /// Set by readers, cleared by the actor when it considers leaving.
    used: AtomicBool,
    actor: Address<SessionMessage>,
}

/// An access token that may be put on a call.
///
/// Valid until [`Offer::serve_until`]; whoever keeps one longer must ask again.
pub struct Offer {
    entry: Entry,
    authorization: HeaderValue,
    refresh_from: Instant,
    serve_until: Instant,
    nudged: AtomicBool,
    /// The audience's place in the metrics: found once here and not on each call.
    counted_at: AudienceIndex,
}

/// The access token itself as the bytes of a header: a session in use has no second copy of it, and
/// the one is wiped when the last call is through.
struct Credentials(AccessToken);

// === impl Directory ===

impl Directory {
    /// Finds the offer that answers a request, and nudges the session where it should be replaced
    /// soon.
    pub(crate) fn offer(
        &self,
        key: &SessionKey,
        audience: &Audience,
        scopes: &ScopeSet,
        now: Instant,
    ) -> Option<Arc<Offer>> {
        let sessions = self.0.pin();
        let seat = sessions.get(key)?;
        let offers = seat.offers.load();
        let offer = pick(&offers, audience, scopes, now, |offer: &Arc<Offer>| {
            (&offer.entry, offer.serve_until)
        })?;
        // Read before written: a shared cache line that everybody writes is a slow one.
        if !seat.used.load(Ordering::Relaxed) {
            seat.used.store(true, Ordering::Relaxed);
        }
        if offer.refresh_from <= now && !offer.nudged.swap(true, Ordering::Relaxed) {
            let need = Need { audience: audience.clone(), scopes: offer.entry.requested.clone() };
            // A session that is just leaving does not hear it; the next reader wakes it anyway.
            drop(seat.actor.cast(SessionMessage::Nudged(need)));
        }
        Some(Arc::clone(offer))
    }

    pub(crate) fn find(&self, key: &SessionKey) -> Option<Arc<Seat>> {
        self.0.pin().get(key).cloned()
    }

    pub(crate) fn seat(&self, key: SessionKey, seat: Arc<Seat>) {
        self.0.pin().insert(key, seat);
    }

    /// Takes the session off the list, unless another actor sits there already.
    pub(crate) fn clear(&self, key: &SessionKey, actor: ractor::ActorId) {
        let sessions = self.0.pin();
        if sessions.get(key).is_some_and(|seat| seat.actor.get_id() == actor) {
            sessions.remove(key);
        }
    }

    /// Returns the sessions in memory at present.
    pub(crate) fn keys(&self) -> Vec<SessionKey> {
        self.0.pin().keys().copied().collect()
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }
}

// === impl Seat ===

impl Seat {
    pub(crate) fn new(actor: Address<SessionMessage>) -> Self {
        let offers = ArcSwap::from_pointee(Vec::new());
        Self { offers, used: AtomicBool::new(false), actor }
    }

    pub(crate) fn publish(&self, offers: Vec<core_session::Offer>, metrics: &Metrics) {
        let offer = |offer| Offer::new(offer, metrics).map(Arc::new);
        let offers = offers.into_iter().filter_map(offer).collect();
        self.offers.store(Arc::new(offers));
    }

    /// Returns whether anybody has read an offer since the last time this was asked.
    pub(crate) fn was_used(&self) -> bool {
        self.used.swap(false, Ordering::Relaxed)
    }

    pub(crate) fn actor(&self) -> &Address<SessionMessage> {
        &self.actor
    }
}

// === impl Offer ===

impl Offer {
    /// Returns the API the access token is for.
    pub fn audience(&self) -> &Audience {
        &self.entry.audience
    }

    /// Returns `Bearer` and the access token, marked as sensitive.
    pub fn authorization(&self) -> &HeaderValue {
        &self.authorization
    }

    /// Returns the scopes that were granted.
    pub fn granted(&self) -> &ScopeSet {
        &self.entry.granted
    }

    /// Returns the number by which a newer access token is told from this one.
    pub fn serial(&self) -> Epoch {
        self.entry.born_in
    }

    /// Returns when the access token ends.
    pub fn expires_at(&self) -> Instant {
        self.entry.expires_at()
    }

    /// Returns until when the access token may be put on a call.
    pub fn serve_until(&self) -> Instant {
        self.serve_until
    }

    pub(crate) fn counted_at(&self) -> AudienceIndex {
        self.counted_at
    }

    /// Makes an offer; `None` where the access token cannot be written into a header.
    pub(crate) fn new(offer: core_session::Offer, metrics: &Metrics) -> Option<Self> {
        let core_session::Offer { entry, refresh_from, serve_until } = offer;
        let credentials = Bytes::from_owner(Credentials(entry.access_token.clone()));
        let mut authorization = HeaderValue::from_maybe_shared(credentials).ok()?;
        authorization.set_sensitive(true);
        let nudged = AtomicBool::new(false);
        let counted_at = metrics.audience(entry.audience.as_str());
        Some(Self { entry, authorization, refresh_from, serve_until, nudged, counted_at })
    }
}

// === impl Credentials ===

impl AsRef<[u8]> for Credentials {
    fn as_ref(&self) -> &[u8] {
        self.0.credentials().as_bytes()
    }
}

impl fmt::Debug for Offer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Offer")
            .field("audience", self.audience())
            .field("granted", self.granted())
            .field("serve_until", &self.serve_until)
            .finish_non_exhaustive()
    }
}
