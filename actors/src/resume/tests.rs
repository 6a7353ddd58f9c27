//! Who is woken, when, and that nobody is left out.

use super::*;
use crate::access::Tokenward;
use crate::clock::{Clock, ManualHand};
use crate::core::lease::{Begin, Begun};
use crate::core::name::{Audience, Generation, Owner};
use crate::core::policy::Policies;
use crate::core::secret::RefreshToken;
use crate::core::snapshot::Snapshot;
use crate::provider::{Provider, ProviderSettings};
use crate::store::seal::KeyRing;
use crate::store::{Memory, Vault};

fn key(number: u32) -> SessionKey {
    let mut key = [0; 32];
    key[..4].copy_from_slice(&number.to_be_bytes());
    // The share of the time over which they are spread.
    key[4..6].copy_from_slice(&(number as u16).to_be_bytes());
    SessionKey(key)
}

#[test]
fn l14_after_a_reboot_sessions_are_woken_a_crowd_at_a_time_and_all_in_the_end() {
    let count = 3 * AWAKE_MAX as u32 + 1;
    let mut left: std::collections::BTreeSet<_> = (0..count).map(key).collect();
    let (mut awake, mut now, mut readings) = (Awake::default(), Instant::ZERO, 0);
    while !left.is_empty() {
        // Those whose alarm has rung were refreshed meanwhile, and put back.
        awake.0.iter().filter(|(_, at)| **at <= now).for_each(|(key, _)| {
            left.remove(key);
        });
        awake.forget_asleep(now, |_| false);
        for key in &left {
            let _at = awake.admit(*key, None, now);
        }
        assert!(awake.0.len() <= AWAKE_MAX);
        now = now + CROWDED_EVERY;
        readings += 1;
        assert!(readings < 100, "{} were never woken", left.len());
    }
}

#[test]
fn l12_reading_the_index_again_puts_no_alarm_off() {
    let (mut awake, late) = (Awake::default(), key(u32::from(u16::MAX)));
    let at = awake.admit(late, None, Instant::ZERO).expect("room");
    assert!(at > Instant::ZERO + EVERY);
    assert_eq!(awake.admit(late, None, Instant::ZERO + EVERY), None);
    awake.forget_asleep(at + EVERY, |_| true);
    assert_eq!(awake.admit(late, None, at + EVERY), None, "it is at work");
    awake.forget_asleep(at + EVERY, |_| false);
    assert!(awake.admit(late, None, at + EVERY).is_some(), "it is due once more");
}

/// More doubts than one page of the index holds.
const DOUBTS: usize = PAGE_MAX + 6;

/// Stores sessions whose refresh token somebody dead was about to spend.
async fn leave_doubts(vault: &Vault) {
    for _ in 0..DOUBTS {
        let key = crate::handle::SessionHandle::random().key();
        let (issuer, audience) = ("http://127.0.0.1:9/", Audience::parse("https://api").unwrap());
        let refresh_token = Some(RefreshToken::new("r0"));
        let session = Snapshot::new(issuer.into(), "alice".into(), audience, refresh_token);
        vault.create(key, &session, None).await.unwrap();
        let ask = Begin {
            owner: Owner(0),
            consumes: Generation(0),
            lease: Policies::default().deadlines.lease,
            settle: Duration::from_secs(1),
            takes_over: None,
        };
        assert!(matches!(vault.begin(key, ask).await, Ok(Begun::Leased { .. })));
    }
}

async fn machine(vault: Vault) -> Tokenward {
    let settings = ProviderSettings::new("http://127.0.0.1:9/", "nobody");
    let provider = Provider::new(settings, vault.clock().clone()).unwrap();
    Tokenward::builder().provider(provider).vault(vault).shared_store().build().await.unwrap()
}

fn vault() -> (Vault, ManualHand) {
    let (clock, hand) = Clock::manual();
    let ring = Arc::new(KeyRing::ephemeral().unwrap());
    (Vault::new(Arc::new(Memory::new(clock.clone())), ring, clock), hand)
}

/// Moves time on until every session in doubt is in memory; returns by how much.
async fn until_awake(tokenward: &Tokenward, hand: &ManualHand, step: Duration) -> Duration {
    let mut took = Duration::ZERO;
    for _ in 0..4_000 {
        if tokenward.resident() == DOUBTS {
            return took;
        }
        // Once the first are there, only pages are waited for.
        let step = if tokenward.resident() == 0 { step } else { PACE };
        hand.advance(step);
        took += step;
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("{} of {DOUBTS} were woken", tokenward.resident());
}

#[tokio::test]
async fn l3_every_page_of_doubts_is_woken_first_after_a_restart() {
    let (vault, hand) = vault();
    leave_doubts(&vault).await;
    let tokenward = machine(vault).await;
    let took = until_awake(&tokenward, &hand, PACE).await;
    assert!(took < DOUBT_EVERY, "{took:?}: not before the first of them may be resolved");
}

#[tokio::test]
async fn l3_every_page_of_doubts_is_swept_while_the_reuse_window_is_open() {
    let (vault, hand) = vault();
    let tokenward = machine(vault.clone()).await;
    // The look at the start finds nothing: whoever leaves these doubts lives until later.
    tokio::time::sleep(Duration::from_millis(20)).await;
    leave_doubts(&vault).await;
    let took = until_awake(&tokenward, &hand, Duration::from_millis(500)).await;
    let window = Policies::default().deadlines.reuse_window;
    assert!(took < window, "{took:?}");
}
