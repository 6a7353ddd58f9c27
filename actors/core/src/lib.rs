//! The rules of a token session, as pure code.
//!
//! This crate decides and never does: it reads no clock, opens no socket, and knows neither HTTP
//! nor a database. Time is an argument, chance is a seed, and everything that must happen outside
//! is an [`Effect`] that the shell carries out. One entry, one exit, one alarm:
//!
//! ```
//! use tokenward_core::session::{Input, Session};
//! # use tokenward_core::{name::Audience, policy::Policies, snapshot::Snapshot, secret::RefreshToken, time::Instant};
//! # use std::sync::Arc;
//! # let now = Instant::ZERO;
//! # let snapshot = Snapshot::new("https://idp.example/".into(), "alice".into(), Audience::parse("https://api.example")?, Some(RefreshToken::new("r0")));
//! let mut session = Session::new(snapshot, Arc::new(Policies::default()), 7, now);
//! session.handle(now, Input::Alarm);
//! while let Some(effect) = session.next_effect() {
//!     // Carry it out; what comes of it returns as an input.
//!     let _ = effect;
//! }
//! let _when_to_call_again = session.wake_at();
//! # Ok::<(), tokenward_core::name::NameFault>(())
//! ```
//!
//! Where to read on:
//! - [`session`]: what a session is and everything that can happen to it.
//! - [`session::exchange`]: one trip to the provider: journal, call, save, then answer.
//! - [`session::rotation`]: what a reply makes of the session's tokens.
//! - [`lease`]: who may spend a refresh token, and which writes move forward.
//! - [`refusal`]: what a provider's "no" means for the session.
//! - [`step_up`]: how a person meets a demand for another factor.
//!
//! [`Effect`]: session::Effect

pub mod device_sign_in;
pub mod event;
pub mod grant;
pub mod lease;
pub mod name;
pub mod policy;
pub mod refusal;
pub mod scope;
pub mod secret;
pub mod session;
pub mod sign_in;
pub mod snapshot;
pub mod step_up;
pub mod time;
