//! What the data plane asks of the token framework: tokens, the ends of sessions, nothing else.
//!
//! A trait and not the framework itself, so that the tests of the proxy can play every answer of
//! a provider without one.

use std::future::{Future, ready};
use std::pin::Pin;

use futures_util::stream::{self, Stream};
use http::HeaderValue;
use tokenward::core::event::EndReason;
use tokenward::core::name::{Audience, Epoch, SessionKey};
use tokenward::core::scope::ScopeSet;
use tokenward::core::session::Need;
use tokenward::core::snapshot::Hold;
use tokenward::core::step_up::Strength;
use tokenward::step_up::HoldView;
use tokenward::{AccessError, HeardEnd, Offer, Tokenward, Wish};

use crate::challenge::FactorChallenge;
use crate::device;
use crate::front::Front;

/// An access token that is right and fresh enough for one request.
#[derive(Clone, Debug)]
pub struct Ticket {
    /// The value of the Authorization header, marked as sensitive.
    pub authorization: HeaderValue,
    /// Which of the audience's tokens it is, to ask for a newer one.
    pub serial: Epoch,
}

/// A wish for an access token.
#[derive(Clone, Copy, Debug)]
pub struct Want<'a> {
    /// The session.
    pub session: &'a SessionKey,
    /// The API.
    pub audience: &'a Audience,
    /// The scopes.
    pub scopes: &'a ScopeSet,
}

/// The answer to a wish that needs more than a look.
pub type Answer<'a> = Pin<Box<dyn Future<Output = Result<Ticket, AccessError>> + Send + 'a>>;

/// The hold that an upstream's demand became.
pub type Demanded<'a> = Pin<Box<dyn Future<Output = Option<Box<Hold>>> + Send + 'a>>;

/// The ends of sessions as they come.
pub type Ends = Pin<Box<dyn Stream<Item = HeardEnd> + Send>>;

/// The answer to the question whether a session is over.
pub type Over<'a> = Pin<Box<dyn Future<Output = Option<EndReason>> + Send + 'a>>;

/// A short path that cannot be told at the moment: the store does not answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unlinked;

/// The short path of a hold, for a display to show; `None` where nobody needs one.
pub type Link<'a> = Pin<Box<dyn Future<Output = Option<Result<String, Unlinked>>> + Send + 'a>>;

/// Takes note of what a session's display tells of itself.
pub type Noting<'a> = Pin<Box<dyn Future<Output = ()> + Send + 'a>>;

/// Where access tokens come from.
pub trait Tokens: Send + Sync + 'static {
    /// Looks the ticket up in what is published; never waits.
    fn at_hand(&self, want: Want<'_>) -> Option<Ticket>;

    /// Reports whether a ticket is at hand, without taking it for a call.
    fn is_at_hand(&self, want: Want<'_>) -> bool {
        self.at_hand(want).is_some()
    }

    /// Obtains a ticket, with an exchange where there is none at hand; `refused` asks for one that
    /// is newer than this.
    ///
    /// # Cancel safety
    /// Dropping the answer stops the waiting, never the exchange (law L4).
    fn obtain<'a>(&'a self, want: Want<'a>, refused: Option<Epoch>) -> Answer<'a>;

    /// Makes a hold of an upstream's demand for another factor (RFC 9470); `None` where it cannot
    /// be made, or where a newer access token than the refused one is there.
    fn demand<'a>(
        &'a self,
        want: Want<'a>,
        refused: Epoch,
        challenge: FactorChallenge,
    ) -> Demanded<'a>;

    /// Shows a hold as its person may see it, with a sealed handle of it.
    fn view_of(&self, session: &SessionKey, hold: &Hold) -> HoldView;

    /// Returns the short path at which the person of a display's session confirms; `None` for every
    /// other session, whose person is here.
    fn link_of<'a>(&'a self, session: &'a SessionKey, view: &'a HoldView) -> Link<'a>;

    /// Takes note of what the display of a session tells of itself in a header.
    fn note<'a>(&'a self, session: &'a SessionKey, told: HeaderValue) -> Noting<'a>;

    /// Listens to the ends of sessions from now on. An end is told after the session's tokens were
    /// withdrawn, so that whoever still finds one at hand will hear of it.
    fn ends(&self) -> Ends;

    /// Asks whether a session is over; `None` where it goes on, and where nobody can say.
    fn end_of<'a>(&'a self, session: &'a SessionKey) -> Over<'a>;
}

impl Tokens for Tokenward {
    fn at_hand(&self, want: Want<'_>) -> Option<Ticket> {
        self.take(want.session, want.audience, want.scopes).map(|offer| Ticket::of(&offer))
    }

    fn is_at_hand(&self, want: Want<'_>) -> bool {
        self.offer(want.session, want.audience, want.scopes).is_some()
    }

    fn obtain<'a>(&'a self, want: Want<'a>, refused: Option<Epoch>) -> Answer<'a> {
        let mut wish = Wish::new(want.audience.clone(), want.scopes.clone());
        wish.replaces = refused;
        Box::pin(
            async move { self.access(want.session, &wish).await.map(|offer| Ticket::of(&offer)) },
        )
    }

    fn demand<'a>(
        &'a self,
        want: Want<'a>,
        refused: Epoch,
        challenge: FactorChallenge,
    ) -> Demanded<'a> {
        Box::pin(async move {
            let need = Need { audience: want.audience.clone(), scopes: want.scopes.clone() };
            let FactorChallenge { acr_values, max_age } = challenge;
            let strength = Strength::of_challenge(acr_values, max_age);
            match Tokenward::demand(self, want.session, &need, Some(refused), strength).await {
                Ok(hold) => hold,
                Err(fault) => {
                    tracing::warn!(
                        session = %want.session.id(),
                        code = fault.code(),
                        "an upstream's demand for another factor is passed on"
                    );
                    None
                }
            }
        })
    }

    fn view_of(&self, session: &SessionKey, hold: &Hold) -> HoldView {
        Tokenward::view_of(self, session, hold)
    }

    fn link_of<'a>(&'a self, _: &'a SessionKey, _: &'a HoldView) -> Link<'a> {
        Box::pin(ready(None))
    }

    fn note<'a>(&'a self, _: &'a SessionKey, _: HeaderValue) -> Noting<'a> {
        Box::pin(ready(()))
    }

    fn ends(&self) -> Ends {
        Box::pin(stream::unfold(Tokenward::ends(self), |mut ends| async move {
            ends.next().await.map(|heard| (heard, ends))
        }))
    }

    fn end_of<'a>(&'a self, session: &'a SessionKey) -> Over<'a> {
        Box::pin(async move {
            let told = Tokenward::end_of(self, session).await;
            told.unwrap_or_else(|error| {
                tracing::warn!(session = %session.id(), %error, "its streams go on unchecked");
                None
            })
        })
    }
}

/// The framework behind the endpoints that people meet, which know where a display's person goes.
impl Tokens for Front {
    fn at_hand(&self, want: Want<'_>) -> Option<Ticket> {
        self.tokenward().at_hand(want)
    }

    fn is_at_hand(&self, want: Want<'_>) -> bool {
        self.tokenward().is_at_hand(want)
    }

    fn obtain<'a>(&'a self, want: Want<'a>, refused: Option<Epoch>) -> Answer<'a> {
        self.tokenward().obtain(want, refused)
    }

    fn demand<'a>(
        &'a self,
        want: Want<'a>,
        refused: Epoch,
        challenge: FactorChallenge,
    ) -> Demanded<'a> {
        Tokens::demand(self.tokenward(), want, refused, challenge)
    }

    fn view_of(&self, session: &SessionKey, hold: &Hold) -> HoldView {
        Tokens::view_of(self.tokenward(), session, hold)
    }

    fn link_of<'a>(&'a self, session: &'a SessionKey, view: &'a HoldView) -> Link<'a> {
        Box::pin(device::link_of(self, session, view))
    }

    fn note<'a>(&'a self, session: &'a SessionKey, told: HeaderValue) -> Noting<'a> {
        Box::pin(device::note(self, session, told))
    }

    fn ends(&self) -> Ends {
        Tokens::ends(self.tokenward())
    }

    fn end_of<'a>(&'a self, session: &'a SessionKey) -> Over<'a> {
        Tokens::end_of(self.tokenward(), session)
    }
}

impl Ticket {
    fn of(offer: &Offer) -> Self {
        Self { authorization: offer.authorization().clone(), serial: offer.serial() }
    }
}
