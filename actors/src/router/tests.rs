//! What becomes of sessions whose actors die.

use std::time::Duration;

use super::*;
use crate::access::{Tokenward, Wish};
use crate::clock::{Clock, ManualHand};
use crate::core::event::{EndReason, LogoutKind};
use crate::core::name::{Audience, Epoch};
use crate::core::scope::ScopeSet;
use crate::core::secret::{AccessToken, RefreshToken};
use crate::core::snapshot::{Entry, Snapshot};
use crate::error::AccessError;
use crate::handle::SessionHandle;
use crate::provider::{LogoutClaims, Provider, ProviderSettings};
use crate::store::seal::KeyRing;
use crate::store::{Memory, Vault};

mod endings;
mod ill;

/// A framework whose provider nobody needs, with one session that holds a living access token.
async fn framework() -> (Tokenward, SessionKey, ManualHand) {
    let ring = Arc::new(KeyRing::ephemeral().unwrap());
    framework_with(&ring, &ring).await
}

/// The same, where the session was sealed with one ring and is to be opened with another.
async fn framework_with(
    sealed_with: &Arc<KeyRing>,
    opened_with: &Arc<KeyRing>,
) -> (Tokenward, SessionKey, ManualHand) {
    let (clock, hand) = Clock::manual();
    let settings = ProviderSettings::new("http://127.0.0.1:9/", "nobody");
    let provider = Provider::new(settings, clock.clone()).unwrap();
    let store = Arc::new(Memory::new(clock.clone()));
    let vault = |ring: &Arc<KeyRing>| Vault::new(store.clone(), Arc::clone(ring), clock.clone());
    let key = SessionHandle::random().key();
    vault(sealed_with).create(key, &session(&clock), None).await.unwrap();
    let builder = Tokenward::builder().provider(provider).vault(vault(opened_with));
    (builder.build().await.unwrap(), key, hand)
}

fn session(clock: &Clock) -> Snapshot {
    let audience = Audience::parse("https://api").unwrap();
    let refresh_token = Some(RefreshToken::new("r0"));
    let mut session = Snapshot::new(
        "http://127.0.0.1:9/".into(),
        "alice".into(),
        audience.clone(),
        refresh_token,
    );
    session.entries.push(Entry {
        audience,
        access_token: AccessToken::new("a0"),
        requested: ScopeSet::parse("read"),
        granted: ScopeSet::parse("read"),
        received_at: clock.now(),
        lifetime: Duration::from_secs(3_600),
        born_in: Epoch(0),
    });
    session
}

fn wish() -> Wish {
    Wish::new(Audience::parse("https://api").unwrap(), ScopeSet::parse("read"))
}

async fn kill(tokenward: &Tokenward, key: &SessionKey) {
    let seat = tokenward.shared.directory.find(key).unwrap();
    seat.actor().kill();
    for _ in 0..1_000 {
        let sits = tokenward.shared.directory.find(key);
        if sits.is_none_or(|now| now.actor().get_id() != seat.actor().get_id()) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("the dead actor still has its seat");
}

fn restarts(tokenward: &Tokenward) -> u64 {
    let rendered = tokenward.metrics().render();
    let counts =
        rendered.lines().filter(|line| line.starts_with("tokenward_actor_restarts_total{"));
    counts.filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok()).sum()
}

#[tokio::test]
async fn a_session_whose_actor_dies_is_read_back_and_counted() {
    let (tokenward, key, _hand) = framework().await;
    for round in 1..=3 {
        let offer = tokenward.access(&key, &wish()).await.unwrap();
        assert_eq!(offer.serial(), Epoch(0));
        kill(&tokenward, &key).await;
        tokenward.access(&key, &wish()).await.unwrap();
        assert_eq!(restarts(&tokenward), round);
    }
}

#[tokio::test]
async fn l14_a_session_that_keeps_dying_is_left_alone_for_a_while() {
    let (tokenward, key, hand) = framework().await;
    for _ in 0..CRASHES_MAX {
        tokenward.access(&key, &wish()).await.unwrap();
        kill(&tokenward, &key).await;
    }
    let refused = tokenward.access(&key, &wish()).await.unwrap_err();
    assert!(matches!(refused, AccessError::NotNow { why: "restarting", .. }), "{refused}");
    hand.advance(CRASH_PAUSE);
    tokenward.access(&key, &wish()).await.unwrap();
}

/// Expects that the session has ended, as whoever asks for an access token is told.
async fn assert_ended(tokenward: &Tokenward, key: &SessionKey, kind: LogoutKind) {
    let refused = tokenward.access(key, &wish()).await.unwrap_err();
    let reason = Some(EndReason::LoggedOut(kind));
    assert!(
        matches!(refused, AccessError::SignInRequired { reason: told } if told == reason),
        "{refused}"
    );
    assert!(tokenward.end(key, kind).await.unwrap().is_none(), "there is nothing left to end");
}

#[tokio::test]
async fn l10_a_session_whose_record_cannot_be_opened_ends_all_the_same() {
    let rings = [(); 2].map(|()| Arc::new(KeyRing::ephemeral().unwrap()));
    let (tokenward, key, _hand) = framework_with(&rings[0], &rings[1]).await;
    let refused = tokenward.access(&key, &wish()).await.unwrap_err();
    assert!(matches!(refused, AccessError::NotNow { why: "store", .. }), "{refused}");
    let mut ends = tokenward.ends();
    assert!(tokenward.end(&key, LogoutKind::User).await.unwrap().is_some());
    assert!(ends.next().await.is_some(), "its streams are closed");
    assert_ended(&tokenward, &key, LogoutKind::User).await;

    let (tokenward, key, _hand) = framework_with(&rings[0], &rings[1]).await;
    let claims = LogoutClaims {
        subject: Some("alice".to_owned()),
        provider_session: None,
        jti: "one".to_owned(),
    };
    assert_eq!(tokenward.end_by_provider(&claims).await, Ok(1));
    assert_ended(&tokenward, &key, LogoutKind::Backchannel).await;
}

#[tokio::test]
async fn l10_a_session_that_keeps_dying_ends_when_it_is_told_to() {
    let (tokenward, key, _hand) = framework().await;
    for _ in 0..CRASHES_MAX {
        tokenward.access(&key, &wish()).await.unwrap();
        kill(&tokenward, &key).await;
    }
    assert!(tokenward.end(&key, LogoutKind::Admin).await.unwrap().is_some());
    assert!(tokenward.end(&key, LogoutKind::Admin).await.unwrap().is_none());
}
