//! A session whose end was decided is over, whatever dies before its tombstone is durable (L10).

use tokio::task::JoinHandle;

use super::ill::{Ill, Illness};
use super::*;
use crate::session::Farewell;
use crate::store::{Loaded, Store, StoreError};

/// One machine on a store that other machines may use, too.
async fn machine(store: &Arc<Ill>, ring: &Arc<KeyRing>, clock: &Clock) -> Tokenward {
    let settings = ProviderSettings::new("http://127.0.0.1:9/", "nobody");
    let provider = Provider::new(settings, clock.clone()).unwrap();
    let vault = Vault::new(store.clone(), Arc::clone(ring), clock.clone());
    Tokenward::builder().provider(provider).vault(vault).shared_store().build().await.unwrap()
}

struct Story {
    tokenward: Tokenward,
    other: Tokenward,
    store: Arc<Ill>,
    key: SessionKey,
    hand: ManualHand,
}

impl Story {
    async fn start() -> Self {
        let (clock, hand) = Clock::manual();
        let ring = Arc::new(KeyRing::ephemeral().unwrap());
        let store = Arc::new(Ill::new(clock.clone()));
        let key = SessionHandle::random().key();
        let vault = Vault::new(store.clone(), Arc::clone(&ring), clock.clone());
        vault.create(key, &session(&clock), None).await.unwrap();
        let tokenward = machine(&store, &ring, &clock).await;
        let other = machine(&store, &ring, &clock).await;
        Self { tokenward, other, store, key, hand }
    }

    /// Asks for the session's end, which is not durable before the store is well.
    fn log_out(&self) -> JoinHandle<Result<Option<Farewell>, StoreError>> {
        let (tokenward, key) = (self.tokenward.clone(), self.key);
        tokio::spawn(async move { tokenward.end(&key, LogoutKind::User).await })
    }

    async fn assert_over(&self) {
        let refused = self.tokenward.access(&self.key, &wish()).await.unwrap_err();
        let reason = Some(EndReason::LoggedOut(LogoutKind::User));
        assert!(
            matches!(refused, AccessError::SignInRequired { reason: told } if told == reason),
            "{refused}"
        );
        assert_eq!(self.tokenward.end_of(&self.key).await, Ok(reason));
        assert!(self.tokenward.holds(&self.key).await.is_err());
    }

    async fn is_served(&self) -> bool {
        self.tokenward.access(&self.key, &wish()).await.is_ok()
    }

    /// Lets the store get well, and waits for the tombstone.
    async fn heal(&self) {
        self.store.falls(Illness::None);
        for _ in 0..1_000 {
            self.hand.advance(Duration::from_secs(1));
            if matches!(self.store.load(self.key).await, Ok(Loaded::Ended(_))) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        panic!("nobody wrote the tombstone");
    }
}

async fn until_refused(story: &Story) {
    for _ in 0..1_000 {
        if !story.is_served().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("the session is served on");
}

#[tokio::test]
async fn l10_an_actor_that_dies_between_logout_and_tombstone_is_not_revived() {
    for illness in [Illness::Fails, Illness::Panics] {
        let story = Story::start().await;
        assert!(story.is_served().await);
        story.store.falls(illness);
        let logout = story.log_out();
        until_refused(&story).await;
        kill(&story.tokenward, &story.key).await;
        for _ in 0..3 {
            story.assert_over().await;
        }
        story.heal().await;
        let farewell = logout.await.unwrap().expect("durable within the deadline");
        assert!(farewell.is_some(), "there was a session to end");
        story.assert_over().await;
        assert!(story.tokenward.end(&story.key, LogoutKind::User).await.unwrap().is_none());
    }
}

#[tokio::test]
async fn l10_an_actor_that_dies_with_the_logout_in_its_mailbox_is_not_revived() {
    let story = Story::start().await;
    assert!(story.is_served().await);
    let seat = story.tokenward.shared.directory.find(&story.key).unwrap();
    // Both words are sent before anybody can act on one.
    let logout = story.log_out();
    seat.actor().kill();
    assert!(logout.await.unwrap().unwrap().is_some());
    story.assert_over().await;
}

#[tokio::test]
async fn l10_an_idle_session_is_not_brought_to_life_while_its_end_is_not_durable() {
    let story = Story::start().await;
    story.store.falls(Illness::Fails);
    let logout = story.log_out();
    tokio::task::yield_now().await;
    until_refused(&story).await;
    for _ in 0..3 {
        story.assert_over().await;
    }
    story.heal().await;
    assert!(logout.await.unwrap().unwrap().is_some());
    story.assert_over().await;
}

#[tokio::test]
async fn l10_a_session_that_another_machine_ended_is_over_when_its_record_is_read_again() {
    let story = Story::start().await;
    assert!(story.is_served().await);
    assert!(story.other.end(&story.key, LogoutKind::User).await.unwrap().is_some());
    story.tokenward.shared.router(&story.key).send(RouterMessage::Reread(story.key));
    until_refused(&story).await;
    story.assert_over().await;
}
