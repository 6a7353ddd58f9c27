//! Keeps OAuth sessions fresh: one actor per session owns refresh and rotation, supervised by an
//! audience router.
//!
//! Sign a person in once; from then on [`Tokenward::access`] gives the right, fresh access token
//! for any audience, to any number of callers at once, and no refresh token is ever spent twice.
//!
//! ```no_run
//! use tokenward::core::{name::Audience, policy::Policies, scope::ScopeSet};
//! use tokenward::provider::{ClientSecret, Credentials, Provider, ProviderSettings};
//! use tokenward::{Clock, SessionHandle, Tokenward, Vault, Wish};
//!
//! # async fn quickstart() -> Result<(), Box<dyn std::error::Error>> {
//! let clock = Clock::system();
//! let mut settings = ProviderSettings::new("https://tenant.eu.auth0.com/", "my-client");
//! let secret = ClientSecret::new(&std::env::var("CLIENT_SECRET")?);
//! settings.credentials = Credentials::Basic(secret);
//! let tokenward = Tokenward::builder()
//!     .provider(Provider::new(settings, clock.clone())?)
//!     .vault(Vault::embedded("/var/lib/my-app".as_ref(), clock)?)
//!     .policies(Policies::default())
//!     .build()
//!     .await?;
//!
//! // The handle came from `sign_in` or `adopt`, and back in a cookie or a header.
//! let handle = SessionHandle::parse("3q2-7wAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA")?;
//! let audience = Audience::parse("https://api.example.com")?;
//! let wish = Wish::new(audience, ScopeSet::parse("read:quotes"));
//! let offer = tokenward.access(&handle.key(), &wish).await?;
//! let request = http::Request::get("https://api.example.com/quote")
//!     .header(http::header::AUTHORIZATION, offer.authorization());
//! # drop(request);
//! # Ok(())
//! # }
//! ```
//!
//! Where a person must show another factor, [`step_up`] says how.
//!
//! Where to read on: [`Tokenward`] for what can be done, [`core::session`] for the rules,
//! [`provider`] for what is sent, [`store`] for what is kept.

pub use tokenward_core as core;

pub mod clock;
pub mod events;
pub mod layer;
pub mod manual;
pub mod metrics;
pub mod middleware;
pub mod provider;
pub mod store;

mod access;
mod alarm;
mod away;
mod builder;
mod describe;
mod directory;
mod error;
mod exchanges;
mod handle;
mod inject;
mod mail;
mod numbers;
mod resume;
mod router;
mod session;
mod shared;
mod sharing;
mod sign_in;
pub mod step_up;
mod waiting;

pub use self::access::{Tokenward, Wish};
pub use self::builder::{BuildError, Builder};
pub use self::clock::Clock;
pub use self::describe::{AudienceView, Chronicle, SessionView};
pub use self::directory::Offer;
pub use self::error::AccessError;
pub use self::events::{EndStream, EventStream, Heard, HeardEnd, LifecycleEvent, SessionEnd};
pub use self::exchanges::{ExchangeStream, ExchangeTold};
pub use self::handle::{HandleFault, SessionHandle};
pub use self::session::Farewell;
pub use self::sign_in::{AdoptError, Adoption};
pub use self::step_up::MfaFault;
pub use self::store::Vault;
pub use self::waiting::Waiting;
