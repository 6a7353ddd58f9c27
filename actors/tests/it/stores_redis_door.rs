//! How a Redis lets us in: what its access list must give, whose certificate counts, and how long it
//! takes to load what it has kept.
#![expect(clippy::expect_used, reason = "a step of a story that fails ends the story")]

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use tempfile::TempDir;
use tokenward::clock::Clock;
use tokenward::core::lease::{Begun, Verdict};
use tokenward::core::name::Generation;
use tokenward::store::redis::{Password, Redis, RedisSettings};
use tokenward::store::{Store, StoreError, Tiding};

use crate::redis_server::{RULES, RedisServer, free_port};
use crate::stores_bench::{ENDED, ask, body, leased, living, rotated, row};
use crate::stores_redis::scattered;
use crate::stores_redis_harm::{connected, within_patience};
use crate::world::within;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_user_lacks_is_named_at_the_start_with_the_line_that_gives_it() {
    let server = RedisServer::start();
    for (user, rules, lacks) in [
        ("some-commands", format!("{RULES} -zadd -evalsha"), "+evalsha +zadd"),
        ("own-keys", RULES.replace("~{tw:*", "~{other:*"), "~{tw:*"),
        ("no-layout", RULES.replace("~{tw}*", "~{other}*"), "~{tw}*"),
        ("own-channel", RULES.replace("&tw:*", "&other:*"), "&tw:*"),
        ("a-bit-of-each", RULES.replace("w:*", "x:*") + " -del", "+del ~{tw:* &tw:*"),
    ] {
        let settings = server.admit(user, &rules);
        let refused = Redis::connect(&settings, Clock::system()).await.map(drop);
        let refused = refused.expect_err("refused");
        assert!(matches!(refused, StoreError::Refused { .. }), "{refused}");
        let remedy = format!(
            "(its user {user} lacks {lacks}; ACL SETUSER {user} {RULES} gives it all that is needed)"
        );
        assert!(refused.to_string().contains(&remedy), "{refused}");

        let store = connected(&server.admit(user, RULES)).await;
        let key = scattered(0);
        store.create(key, row("r0")).await.expect("created");
        let intent = leased(&store, key, ask(0)).await;
        store.commit(key, rotated(0, intent.epoch), body("r1")).await.expect("committed");
        store.end(key, ENDED).await.expect("ended");
        server.admit(user, "-hmget");
        let refused = store.load(key).await.expect_err("taken away");
        assert!(matches!(refused, StoreError::Refused { .. }), "in a script: {refused}");
        server.empty();
    }
    let nobody = RedisSettings { username: Some("nobody".to_owned()), ..server.settings() };
    let nobody = RedisSettings { password: Some(Password::new("s3cret")), ..nobody };
    let refused = Redis::connect(&nobody, Clock::system()).await.map(drop).expect_err("refused");
    assert!(matches!(refused, StoreError::Refused { .. }), "{refused}");
    assert!(!refused.to_string().contains("s3cret"), "{refused}");
    connected(&server.settings()).await;
    assert_eq!(server.say("EXISTS {tw:0}:trial"), ":0\r\n", "nothing stays behind");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn l13_over_tls_only_who_is_vouched_for_by_our_own_authority_is_trusted() {
    let dir = tempfile::tempdir().expect("a directory");
    let [ours, theirs] = ["ours", "theirs"].map(|name| vouched_for(&dir, name));
    let port = free_port().to_string();
    let file = |name: &str| dir.path().join(name).display().to_string();
    let [certificate, key, root] = ["ours.crt", "ours.key", "ours.ca"].map(file);
    let _server = RedisServer::start_with(&[
        "--tls-port",
        &port,
        "--tls-auth-clients",
        "no",
        "--tls-cert-file",
        &certificate,
        "--tls-key-file",
        &key,
        "--tls-ca-cert-file",
        &root,
    ]);
    let settings = RedisSettings::parse(&format!("rediss://127.0.0.1:{port}/")).expect("a place");
    let trusting = |roots| RedisSettings { roots, ..settings.clone() };
    for roots in [Some(theirs), None] {
        let refused = Redis::connect(&trusting(roots), Clock::system()).await.map(drop);
        let refused = refused.expect_err("a stranger");
        assert!(matches!(refused, StoreError::Untrusted { .. }), "{refused}");
        assert!(refused.to_string().contains("ca under [store]"), "{refused}");
    }
    let store = connected(&trusting(Some(ours.clone()))).await;
    let listener = connected(&trusting(Some(ours))).await;
    let mut news = listener.news().expect("it is shared");
    within_patience("it listens", async || news.is_live()).await;
    store.create(scattered(0), row("r0")).await.expect("created");
    store.end(scattered(0), ENDED).await.expect("ended");
    while within(news.next()).await != Some(Tiding::Changed(scattered(0))) {}
}

/// Makes an authority and a certificate that it vouches for, as files; returns the authority's own.
fn vouched_for(dir: &TempDir, name: &str) -> Vec<u8> {
    let mut params = CertificateParams::new([]).expect("no names");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let (root_key, key) = (KeyPair::generate(), KeyPair::generate());
    let (root_key, key) = (root_key.expect("a key"), key.expect("a key"));
    let root = params.self_signed(&root_key).expect("signed").pem();
    let issuer = Issuer::new(params, root_key);
    let params = CertificateParams::new(["127.0.0.1".to_owned()]).expect("an address");
    let made = params.signed_by(&key, &issuer).expect("signed");
    for (end, pem) in [("ca", &root), ("crt", &made.pem()), ("key", &key.serialize_pem())] {
        std::fs::write(dir.path().join(format!("{name}.{end}")), pem).expect("written");
    }
    root.into_bytes()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn l3_a_server_that_takes_long_to_load_is_told_what_it_forgot_when_it_is_done() {
    let always = ["--appendonly", "yes", "--appendfsync", "always"];
    // Microseconds for each entry: what a large store takes, with a small one.
    let mut server = RedisServer::start_with(&[&always[..], &["--key-load-delay", "500"]].concat());
    let dir = tempfile::tempdir().expect("a directory");
    let store = connected(&server.settings()).await;
    let store = store.spooling(dir.path()).expect("opens").started();
    let mut intents = Vec::new();
    for number in 0..2 {
        store.create(scattered(number), row("r0")).await.expect("created");
        intents.push(leased(&*store, scattered(number), ask(0)).await);
    }
    server.say("EVAL \"for i = 1, 8000 do redis.call('SET', 'filler' .. i, i) end\" 0");
    let copy = server.copy();
    let [first, second] = &intents[..] else { panic!("two") };
    let verdict = store.commit(scattered(0), rotated(0, first.epoch), body("r1")).await;
    assert!(matches!(verdict, Ok(Verdict::Accept(_))), "{verdict:?}");
    server.kill();
    server.run_loading(&copy);
    // Whatever it is answered: nobody asks for it again.
    let _ = store.commit(scattered(1), rotated(0, second.epoch), body("r1")).await;

    let newcomer = connected(&server.settings()).await;
    within_patience("both are where they were left", async || {
        let mut there = true;
        for number in 0..2 {
            let row = living(&newcomer, scattered(number)).await;
            there &= (row.head.generation, &*row.body.sealed) == (Generation(1), b"r1");
        }
        there
    })
    .await;
    let begun = store.begin(scattered(0), ask(1)).await;
    assert!(matches!(begun, Ok(Begun::Leased { .. })), "back by itself: {begun:?}");
}
