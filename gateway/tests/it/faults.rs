//! Law L10 at its worst moment: a session ends while the provider has rotated its refresh token and
//! not answered yet. More is played against the program by `cargo xtask faults`.

use reqwest::Method;
use serde_json::json;
use tokenward_sandbox::ledger::Kind;
use tokenward_sandbox::{Fault, NamedBy};

use super::desk::{Browser, CLIENT, Desk};

/// Who ends the session.
#[derive(Clone, Copy, Debug)]
enum Ending {
    Person,
    Provider(NamedBy),
}

/// Lets the provider commit the next refresh at once and answer it late.
fn answer_late(desk: &Desk) {
    let fault: Fault = serde_json::from_value(json!({
        "endpoint": "token", "kind": "slow", "ms": 700, "only": "refresh_token", "when": "after",
    }))
    .unwrap();
    desk.sandbox.faults().arm(fault).unwrap();
}

async fn end(desk: &Desk, browser: &mut Browser, ending: Ending) {
    let status = match ending {
        Ending::Person => {
            let headers = [("accept", "application/json")];
            browser.send(Method::POST, "/auth/logout", &headers, None).await.status
        }
        Ending::Provider(by) => {
            desk.sandbox.announce_logout(CLIENT, "auth0|ada", by).await.unwrap()
        }
    };
    assert_eq!(status, 200, "{ending:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn l10_whoever_ends_a_session_during_an_exchange_the_late_pair_is_revoked() {
    for ending in [
        Ending::Person,
        Ending::Provider(NamedBy::Sid),
        Ending::Provider(NamedBy::Sub),
        Ending::Provider(NamedBy::Both),
    ] {
        let desk = Desk::open().await;
        let (mut ada, mut alan) = (desk.signed_in("ada").await, desk.signed_in("alan").await);
        let mut old = ada.clone();
        answer_late(&desk);
        let mut waiting = ada.clone();
        let call = tokio::spawn(async move { waiting.get("/api/accounts/accounts").await });
        desk.until(|sandbox| sandbox.ledger().summary().refreshes == 1).await;
        end(&desk, &mut ada, ending).await;

        let refused = call.await.unwrap();
        assert_eq!(refused.problem(), (401, "login_required".to_owned()), "{ending:?}");
        // Its first refresh token was spent by the exchange; the second is the late answer's.
        desk.until(|sandbox| {
            let events = sandbox.ledger().since(0);
            let mut revoked = events.iter().filter(|event| event.kind == Kind::Revoked);
            revoked.any(|event| event.entry.generation == Some(2))
        })
        .await;
        for path in ["/auth/session", "/api/quotes/quote", "/api/accounts/accounts"] {
            let reply = old.get(path).await;
            assert_eq!(reply.problem(), (401, "login_required".to_owned()), "{ending:?} {path}");
        }
        assert_eq!(desk.sandbox.ledger().summary().refreshes_refused, 0, "{ending:?}");
        assert_eq!(alan.get("/api/accounts/accounts").await.status, 200, "{ending:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn l10_a_logout_token_ends_one_login_or_all_of_a_person() {
    for (by, first_lives) in [(NamedBy::Sid, true), (NamedBy::Both, true), (NamedBy::Sub, false)] {
        let desk = Desk::open().await;
        let (mut first, mut newest) = (desk.signed_in("ada").await, desk.signed_in("ada").await);
        let mut alan = desk.signed_in("alan").await;
        assert_eq!(desk.sandbox.announce_logout(CLIENT, "auth0|ada", by).await, Ok(200));
        assert_eq!(newest.get("/auth/session").await.status, 401, "{by:?}");
        let expected = if first_lives { 200 } else { 401 };
        assert_eq!(first.get("/auth/session").await.status, expected, "{by:?}");
        assert_eq!(alan.get("/auth/session").await.status, 200, "{by:?}");
        let revoked = if first_lives { 1 } else { 2 };
        desk.until(|sandbox| {
            let events = sandbox.ledger().since(0);
            events.iter().filter(|event| event.kind == Kind::Revoked).count() == revoked
        })
        .await;
        if !first_lives {
            // Nobody is signed in: for whom there is nothing to end, the logout has succeeded (§2.7).
            let again = desk.sandbox.announce_logout(CLIENT, "auth0|ada", by).await;
            assert_eq!(again, Ok(200));
        }
    }
}
