//! The contract of `tokenward::store::Store`, run for every store: leases, writes, ends.
#![expect(clippy::expect_used, reason = "a step of a story that fails ends the story")]

use std::sync::Arc;
use std::time::Duration;

use tokenward::core::event::EndReason;
use tokenward::core::lease::{Begin, Begun, Commit, Head, Verdict};
use tokenward::core::name::{Epoch, Generation, Owner, SessionKey};
use tokenward::store::{Body, Loaded, Row, StoreError, TOMBSTONE_KEEP, Tombstone};

use crate::stores_bench::{
    Bench, ENDED, ask, body, every_store, key, leased, living, rotated, row,
};

every_store! {
    l1_of_all_who_ask_at_once_one_has_the_lease
    l2_an_intent_is_stored_when_begin_answers
    l10_a_tombstone_refuses_everything_and_keeps_its_first_reason
    l10_a_session_that_the_store_does_not_know_has_ended
    l10_a_tombstone_is_purged_when_nothing_can_be_late_any_more
    l10_a_tombstone_of_another_store_counts_as_one_of_its_own
    l16_a_tombstone_keeps_the_last_words
    l11_the_later_sibling_wins_and_nothing_goes_back
    l11_a_reply_without_rotation_replaces_the_body_only
    a_key_is_given_once
}

async fn l1_of_all_who_ask_at_once_one_has_the_lease(bench: Bench) {
    bench.store.create(key(0), row("r0")).await.expect("created");
    let asking: Vec<_> = (0..256)
        .map(|owner| {
            let store = Arc::clone(&bench.store);
            tokio::spawn(async move {
                let own = key(1 + owner as u64);
                store.create(own, row("own")).await.expect("created");
                let mine = leased(&*store, own, ask(0)).await;
                let verdict = store.commit(own, rotated(0, mine.epoch), body("new")).await;
                assert!(matches!(verdict, Ok(Verdict::Accept(_))), "{verdict:?}");
                store.begin(key(0), Begin { owner: Owner(owner), ..ask(0) }).await
            })
        })
        .collect();
    let mut leases = Vec::new();
    for asked in asking {
        match asked.await.expect("no panic").expect("written") {
            Begun::Leased { intent, .. } => leases.push(intent),
            Begun::Busy(_) => {}
            other @ (Begun::Moved | Begun::Ended) => panic!("{other:?}"),
        }
    }
    assert_eq!(leases.len(), 1);
    assert_eq!(living(&*bench.store, key(0)).await.head.intent, leases.pop());
    assert_eq!(living(&*bench.store, key(256)).await.body.sealed, b"new");
    assert_eq!(bench.store.count().await, Ok(257));
}

async fn l2_an_intent_is_stored_when_begin_answers(bench: Bench) {
    let store = &*bench.store;
    store.create(key(1), row("r0")).await.expect("created");
    bench.hand.advance(Duration::from_millis(1500));
    let intent = leased(store, key(1), ask(0)).await;
    assert_eq!(intent.since, Some(bench.clock.now()));
    assert_eq!(intent.until, Some(bench.clock.now() + Duration::from_secs(15)));

    let head = living(store, key(1)).await.head;
    assert_eq!(head, Head { epoch: intent.epoch, intent: Some(intent), ..Head::new() });
    assert_eq!(store.begin(key(1), ask(0)).await, Ok(Begun::Busy(intent)));
    assert_eq!(store.begin(key(1), ask(1)).await, Ok(Begun::Moved));

    let patient = Begin { takes_over: Some(intent.epoch), ..ask(0) };
    let second = leased(store, key(1), patient).await;
    assert!(second.again && second.epoch > intent.epoch);
    assert_eq!(living(store, key(1)).await.head.intent, Some(second));
}

async fn l10_a_tombstone_refuses_everything_and_keeps_its_first_reason(bench: Bench) {
    let store = &*bench.store;
    let due = Body { due: Some(bench.clock.now()), ..body("r0") };
    store.create(key(1), Row { head: Head::new(), body: due.clone() }).await.expect("created");
    let intent = leased(store, key(1), ask(0)).await;
    let last = living(store, key(1)).await;
    assert_eq!(store.end(key(1), ENDED).await, Ok(Some(last)), "it answers what was wiped");

    assert_eq!(store.load(key(1)).await, Ok(Loaded::Ended(ENDED)));
    assert_eq!(store.begin(key(1), ask(0)).await, Ok(Begun::Ended));
    let late = store.commit(key(1), rotated(0, intent.epoch), due.clone()).await;
    assert_eq!(late, Ok(Verdict::Ended), "the pair that comes late is not kept");
    assert_eq!(store.end(key(1), EndReason::Ceiling).await, Ok(None));
    assert_eq!(store.load(key(1)).await, Ok(Loaded::Ended(ENDED)));

    assert_eq!(store.count().await, Ok(0));
    assert_eq!(store.list(None, 9).await, Ok(vec![]));
    assert_eq!(store.in_doubt(None, 9).await, Ok(vec![]));
    assert_eq!(store.find(due.by_subject).await, Ok(vec![]));
    let page = store.due(bench.clock.now(), None, 9).await.expect("readable");
    assert_eq!(page.sessions, vec![]);
}

async fn l10_a_tombstone_of_another_store_counts_as_one_of_its_own(bench: Bench) {
    const OLDER: Duration = Duration::from_secs(3_600);
    let store = &*bench.store;
    bench.hand.advance(OLDER);
    let now = bench.clock.now();
    let stone = |number, at| Tombstone { key: key(number), reason: ENDED, at, words: vec![7] };
    store.create(key(4), row("r0")).await.expect("created");
    assert_eq!(store.inter(stone(4, None)).await, Ok(false), "whatever is known stays");
    assert_eq!(living(store, key(4)).await, row("r0"));
    for (number, at) in [(3, None), (1, Some(now - OLDER)), (2, Some(now + OLDER))] {
        assert_eq!(store.inter(stone(number, at)).await, Ok(true), "{number}");
        assert_eq!(store.inter(stone(number, None)).await, Ok(false), "it is there");
        assert_eq!(store.load(key(number)).await, Ok(Loaded::Ended(ENDED)));
        assert_eq!(store.begin(key(number), ask(0)).await, Ok(Begun::Ended));
        let late = store.commit(key(number), rotated(0, Epoch(9)), body("late")).await;
        assert_eq!(late, Ok(Verdict::Ended));
        let exists = Err(StoreError::exists(&key(number)));
        assert_eq!(store.create(key(number), row("of an old copy")).await, exists);
    }
    assert_eq!(store.tombstone(key(1), key(9)).await, Ok(Some(stone(1, Some(now - OLDER)))));
    assert_eq!(store.tombstone(key(2), key(9)).await, Ok(Some(stone(2, Some(now)))));
    assert_eq!(store.tombstones(None, 2).await, Ok(vec![key(1), key(2)]));
    assert_eq!(store.tombstones(Some(key(2)), 2).await, Ok(vec![key(3)]));
    assert_eq!((store.count().await, store.list(None, 9).await), (Ok(1), Ok(vec![key(4)])));

    bench.hand.advance(TOMBSTONE_KEEP - OLDER);
    assert_eq!(store.purge(9).await, Ok(1), "it is as old as it was in the other store");
    assert_eq!(store.tombstones(None, 9).await, Ok(vec![key(2), key(3)]));
    bench.hand.advance(OLDER);
    assert_eq!(store.purge(9).await, Ok(2));
}

async fn l16_a_tombstone_keeps_the_last_words(bench: Bench) {
    let store = &*bench.store;
    for number in 1..=3 {
        store.create(key(number), row("r0")).await.expect("created");
    }
    let before = living(store, key(1)).await;
    store.engrave(key(1), b"too early".to_vec()).await.expect("asked");
    store.engrave(key(9), b"for nobody".to_vec()).await.expect("asked");
    assert_eq!(living(store, key(1)).await, before, "a living session has none");

    assert_eq!(store.tombstone(key(1), key(3)).await, Ok(None));
    store.end(key(2), ENDED).await.expect("ended");
    let at = Some(bench.clock.now());
    let silent = Tombstone { key: key(2), reason: ENDED, at, words: Vec::new() };
    let (first, last) = (SessionKey([0; 32]), SessionKey([0xff; 32]));
    assert_eq!(store.tombstone(first, last).await, Ok(Some(silent.clone())));
    store.engrave(key(2), b"why".to_vec()).await.expect("engraved");
    let told = Tombstone { words: b"why".to_vec(), ..silent };
    assert_eq!(store.tombstone(key(2), key(2)).await, Ok(Some(told)));
    assert_eq!(store.tombstone(key(3), key(3)).await, Ok(None));
    assert_eq!(store.load(key(2)).await, Ok(Loaded::Ended(ENDED)));
    assert_eq!(store.end(key(2), EndReason::Ceiling).await, Ok(None));
}

async fn l10_a_session_that_the_store_does_not_know_has_ended(bench: Bench) {
    let store = &*bench.store;
    assert_eq!(store.load(key(1)).await, Ok(Loaded::Absent));
    assert_eq!(store.begin(key(1), ask(0)).await, Ok(Begun::Ended));
    assert_eq!(store.commit(key(1), rotated(0, Epoch(1)), body("r1")).await, Ok(Verdict::Ended));
    assert_eq!(store.end(key(1), ENDED).await, Ok(None));
    assert_eq!(store.load(key(1)).await, Ok(Loaded::Absent), "asking left nothing behind");
}

async fn l10_a_tombstone_is_purged_when_nothing_can_be_late_any_more(bench: Bench) {
    let store = &*bench.store;
    for number in 1..=4 {
        store.create(key(number), row("r0")).await.expect("created");
    }
    for number in 1..=3 {
        store.end(key(number), ENDED).await.expect("ended");
        bench.hand.advance(Duration::from_secs(1));
    }
    bench.hand.advance(TOMBSTONE_KEEP - Duration::from_secs(2));
    assert_eq!(store.purge(1).await, Ok(1), "two are old enough, one is asked for");
    assert_eq!(store.purge(9).await, Ok(1));
    assert_eq!(store.purge(9).await, Ok(0));
    assert_eq!(store.load(key(1)).await, Ok(Loaded::Absent));
    assert_eq!(store.load(key(3)).await, Ok(Loaded::Ended(ENDED)));
    assert_eq!(store.count().await, Ok(1), "a living session is no tombstone");
}

async fn l11_the_later_sibling_wins_and_nothing_goes_back(bench: Bench) {
    let store = &*bench.store;
    store.create(key(1), row("r0")).await.expect("created");
    let first = leased(store, key(1), ask(0)).await;
    let takes_over = Some(first.epoch);
    let second = leased(store, key(1), Begin { takes_over, ..ask(0) }).await;

    let verdict = store.commit(key(1), rotated(0, first.epoch), body("older sibling")).await;
    let Ok(Verdict::Accept(head)) = verdict else { panic!("{verdict:?}") };
    assert_eq!((head.generation, head.intent), (Generation(1), Some(second)));
    assert_eq!(living(store, key(1)).await, Row { head, body: body("older sibling") });

    let verdict = store.commit(key(1), rotated(0, second.epoch), body("later sibling")).await;
    let Ok(Verdict::Accept(head)) = verdict else { panic!("{verdict:?}") };
    assert_eq!((head.generation, head.intent), (Generation(2), None));

    for (consumed, epoch) in [(0, first.epoch), (0, second.epoch), (1, Epoch(99))] {
        let late = store.commit(key(1), rotated(consumed, epoch), body("late")).await;
        assert_eq!(late, Ok(Verdict::Superseded), "{consumed} in {epoch:?}");
    }
    assert_eq!(living(store, key(1)).await, Row { head, body: body("later sibling") });
}

async fn l11_a_reply_without_rotation_replaces_the_body_only(bench: Bench) {
    let store = &*bench.store;
    store.create(key(1), row("r0")).await.expect("created");
    let intent = leased(store, key(1), ask(0)).await;
    let kept = Commit { rotated: false, ..rotated(0, intent.epoch) };
    let verdict = store.commit(key(1), kept, body("same token, new entry")).await;
    let expected = Head { epoch: intent.epoch, ..Head::new() };
    assert_eq!(verdict, Ok(Verdict::Accept(expected)));
    let expected = Row { head: expected, body: body("same token, new entry") };
    assert_eq!(living(store, key(1)).await, expected);
}

async fn a_key_is_given_once(bench: Bench) {
    let store = &*bench.store;
    store.create(key(1), row("first")).await.expect("created");
    let exists = Err(StoreError::exists(&key(1)));
    assert_eq!(store.create(key(1), row("second")).await, exists);
    assert_eq!(living(store, key(1)).await, row("first"));
    store.end(key(1), ENDED).await.expect("ended");
    assert_eq!(store.create(key(1), row("third")).await, exists);
    assert_eq!(store.load(key(1)).await, Ok(Loaded::Ended(ENDED)));
    store.ping().await.expect("it still writes");
}
