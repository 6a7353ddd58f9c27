//! The contract of `tokenward::store::Store`, run for every store: what is listed and found.
#![expect(clippy::expect_used, reason = "a step of a story that fails ends the story")]

use std::time::Duration;

use tokenward::core::lease::Head;
use tokenward::core::name::{Epoch, SessionKey};
use tokenward::store::{Body, IndexKey, Row};

use crate::stores_bench::{
    Bench, ENDED, ask, body, every_store, key, leased, living, rotated, row,
};

every_store! {
    l3_sessions_in_doubt_are_listed_until_their_exchange_is_resolved
    l14_listings_are_paged_in_order
    due_sessions_come_the_earliest_first_and_page_by_page
    sessions_are_found_by_person_and_by_provider_session
}

async fn l3_sessions_in_doubt_are_listed_until_their_exchange_is_resolved(bench: Bench) {
    let store = &*bench.store;
    for number in 0..5 {
        store.create(key(number), row("r0")).await.expect("created");
    }
    let mut third = Epoch(0);
    for number in [4, 1, 3] {
        third = leased(store, key(number), ask(0)).await.epoch;
    }
    assert_eq!(store.in_doubt(None, 2).await, Ok(vec![key(1), key(3)]));
    assert_eq!(store.in_doubt(Some(key(3)), 2).await, Ok(vec![key(4)]));

    store.commit(key(3), rotated(0, third), body("r1")).await.expect("written");
    store.end(key(4), ENDED).await.expect("written");
    assert_eq!(store.in_doubt(None, 9).await, Ok(vec![key(1)]));
}

async fn l14_listings_are_paged_in_order(bench: Bench) {
    let store = &*bench.store;
    for number in [5, 2, 4, 1, 3] {
        store.create(key(number), row("r0")).await.expect("created");
    }
    store.end(key(2), ENDED).await.expect("ended");
    assert_eq!(store.list(None, 2).await, Ok(vec![key(1), key(3)]));
    assert_eq!(store.list(Some(key(3)), 2).await, Ok(vec![key(4), key(5)]));
    assert_eq!(store.list(Some(key(5)), 2).await, Ok(vec![]));
    assert_eq!(store.list(None, 0).await, Ok(vec![]));
    assert_eq!(store.count().await, Ok(4));
}

async fn due_sessions_come_the_earliest_first_and_page_by_page(bench: Bench) {
    let store = &*bench.store;
    let at = |seconds| bench.clock.now() + Duration::from_secs(seconds);
    for (number, due) in [(1, Some(30)), (2, Some(10)), (3, None), (4, Some(20)), (5, Some(10))] {
        let body = Body { due: due.map(at), ..body("r0") };
        store.create(key(number), Row { head: Head::new(), body }).await.expect("created");
    }
    let first = store.due(at(29), None, 2).await.expect("readable");
    assert_eq!(first.sessions, vec![(key(2), Some(at(10))), (key(5), Some(at(10)))]);
    let second = store.due(at(29), first.next, 2).await.expect("readable");
    assert_eq!(second.sessions, vec![(key(4), Some(at(20)))]);
    assert_eq!(second.next, None);

    let intent = leased(store, key(2), ask(0)).await;
    let later = Body { due: Some(at(40)), ..body("r1") };
    store.commit(key(2), rotated(0, intent.epoch), later.clone()).await.expect("written");
    assert_eq!(living(store, key(2)).await.body, later);
    let page = store.due(at(30), None, 9).await.expect("readable");
    let keys: Vec<SessionKey> = page.sessions.iter().map(|(key, _)| *key).collect();
    assert_eq!(keys, vec![key(5), key(4), key(1)]);
}

async fn sessions_are_found_by_person_and_by_provider_session(bench: Bench) {
    let store = &*bench.store;
    let sid = |name| Some(IndexKey::provider_session("https://idp", name));
    for (number, by_provider_session) in [(1, sid("a")), (2, sid("b")), (3, None)] {
        let body = Body { by_provider_session, ..body("r0") };
        store.create(key(number), Row { head: Head::new(), body }).await.expect("created");
    }
    let person = body("").by_subject;
    assert_eq!(store.find(person).await, Ok(vec![key(1), key(2), key(3)]));
    assert_eq!(store.find(sid("b").expect("a name")).await, Ok(vec![key(2)]));
    let other = IndexKey::subject("https://idp", "bob");
    assert_eq!(store.find(other).await, Ok(vec![]));

    let intent = leased(store, key(2), ask(0)).await;
    let renamed = Body { by_provider_session: sid("c"), ..body("r1") };
    store.commit(key(2), rotated(0, intent.epoch), renamed).await.expect("written");
    assert_eq!(store.find(sid("b").expect("a name")).await, Ok(vec![]));
    assert_eq!(store.find(sid("c").expect("a name")).await, Ok(vec![key(2)]));
}
