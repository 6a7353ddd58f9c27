//! A display signs in by a person's yes, and everything that must not become a yes.

use reqwest::Method;
use tokenward_sandbox::User;

use super::desk::{Browser, Desk, Reply, query, with_query};

mod fleet;
mod held;

const FORM: (&str, &str) = ("content-type", "application/x-www-form-urlencoded");
const GRANT: &str = "urn:ietf:params:oauth:grant-type:device_code";

/// A code as a display has it.
struct Code {
    device: String,
    user: String,
}

async fn open() -> Desk {
    let desk = Desk::with(|text| format!("{text}[device]\n")).await;
    desk.sandbox
        .put_user(serde_json::from_value::<User>(serde_json::json!({ "name": "eve" })).unwrap());
    desk
}

async fn post(browser: &mut Browser, path: &str, body: &str) -> Reply {
    browser.send(Method::POST, path, &[FORM], Some(body.to_owned())).await
}

async fn ask(desk: &Desk, body: &str) -> Code {
    let reply = post(&mut desk.browser(), "/auth/device/code", body).await;
    assert_eq!(reply.status, 200, "{reply:?}");
    let told = reply.json();
    let text = |name: &str| told[name].as_str().unwrap().to_owned();
    assert_eq!(text("verification_uri"), format!("{}/d", desk.known_as));
    let complete = format!("{}/d/{}", desk.known_as, text("user_code"));
    assert_eq!(text("verification_uri_complete"), complete);
    assert_eq!((told["expires_in"].as_u64(), told["interval"].as_u64()), (Some(900), Some(5)));
    Code { device: text("device_code"), user: text("user_code") }
}

/// Asks whether somebody has said yes; returns the handle, or OAuth's word for no.
async fn poll(desk: &Desk, device_code: &str) -> Result<String, String> {
    let body = format!("grant_type={GRANT}&device_code={device_code}");
    let reply = post(&mut desk.browser(), "/auth/device/token", &body).await;
    assert_eq!(reply.header("cache-control"), "no-store");
    let told = reply.json();
    match told["access_token"].as_str() {
        Some(handle) => {
            assert_eq!((reply.status, told["token_type"].as_str()), (200, Some("Bearer")));
            Ok(handle.to_owned())
        }
        None => {
            assert_eq!(reply.status, 400, "{reply:?}");
            assert_eq!(reply.header("content-type"), "application/json");
            Err(told["error"].as_str().unwrap().to_owned())
        }
    }
}

fn proof(page: &Reply) -> &str {
    let (_, rest) = page.body.split_once("name=\"proof\" value=\"").expect("a page that asks");
    rest.split('"').next().unwrap()
}

/// Looks at a code's page, and answers on it.
async fn answer(browser: &mut Browser, code: &str, answer: &str) -> Reply {
    let page = browser.get(&format!("/d/{code}")).await;
    assert_eq!(page.status, 200, "{page:?}");
    let body = format!("answer={answer}&proof={}", proof(&page));
    post(browser, &format!("/d/{code}"), &body).await
}

/// Says yes, signs in as `user`, and comes back.
async fn approve(desk: &Desk, browser: &mut Browser, code: &str, user: &str) -> Reply {
    let reply = answer(browser, code, "yes").await;
    assert_eq!(reply.status, 303, "{reply:?}");
    let back = desk.approve(reply.header("location"), user);
    browser.get(&back).await
}

async fn call(desk: &Desk, handle: &str, path: &str) -> Reply {
    let bearer = format!("Bearer {handle}");
    desk.browser().send(Method::GET, path, &[("authorization", &bearer)], None).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_display_signs_in_by_a_yes_and_the_browser_keeps_its_own_session() {
    let desk = open().await;
    let code = ask(&desk, "scope=read:quotes").await;
    assert_eq!(poll(&desk, &code.device).await, Err("authorization_pending".to_owned()));
    assert_eq!(poll(&desk, &code.device).await, Err("slow_down".to_owned()));

    let mut person = desk.signed_in("eve").await;
    let own = person.cookies["tokenward"].clone();
    let reply = approve(&desk, &mut person, &code.user.to_lowercase(), "ada").await;
    assert_eq!((reply.status, reply.header("location")), (303, "/d/signed-in"));
    assert!(reply.set_cookies("tokenward=").is_empty(), "{reply:?}");
    let page = person.get("/d/signed-in").await;
    assert!(page.status == 200 && page.body.contains("The display is signed in"), "{page:?}");

    let handle = poll(&desk, &code.device).await.unwrap();
    assert_eq!(poll(&desk, &code.device).await.as_ref(), Ok(&handle), "its reply was lost");
    assert_eq!(call(&desk, &handle, "/api/quotes/quote").await.status, 200);
    let seen = call(&desk, &handle, "/auth/session").await.json();
    assert_eq!(
        (seen["subject"].as_str(), seen["device"].as_str()),
        (Some("auth0|ada"), Some("display"))
    );
    let id = seen["id"].as_str().unwrap();
    let story = desk.operator(Method::GET, &format!("/api/sessions/{id}/timeline")).await;
    assert!(story.body.contains("which calls itself \u{201c}display\u{201d}"), "{story:?}");
    assert_eq!(person.cookies["tokenward"], own);
    assert_eq!(person.get("/auth/session").await.json()["subject"], "auth0|eve");

    let again = person.get(&format!("/d/{}", code.user)).await;
    assert_eq!(again.problem(), (410, "used_code".to_owned()));
    let bearer = format!("Bearer {handle}");
    let out = [("authorization", bearer.as_str())];
    let reply = desk.browser().send(Method::POST, "/auth/logout", &out, None).await;
    assert_eq!(reply.status, 200, "{reply:?}");
    assert_eq!(call(&desk, &handle, "/api/quotes/quote").await.status, 401);
    assert_eq!(person.get("/auth/session").await.status, 200, "families are apart");
}

#[tokio::test(flavor = "multi_thread")]
async fn l5_a_display_may_use_what_its_person_approved_and_nothing_else() {
    let desk = open().await;
    let code = ask(&desk, "resource=https://accounts.sandbox.example").await;
    let mut person = desk.browser();
    let page = person.get(&format!("/d/{}", code.user)).await.body;
    assert!(
        page.contains("accounts.sandbox.example") && !page.contains("quotes.sandbox"),
        "{page}"
    );
    approve(&desk, &mut person, &code.user, "ada").await;
    let handle = poll(&desk, &code.device).await.unwrap();
    assert_eq!(call(&desk, &handle, "/api/accounts/accounts").await.status, 200);
    let refused = call(&desk, &handle, "/api/quotes/quote").await;
    assert_eq!(refused.problem(), (403, "access_denied".to_owned()));
    assert!(refused.body.contains("not_approved"), "{refused:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_no_is_a_no_and_a_wrong_sign_in_is_none() {
    let desk = open().await;
    let code = ask(&desk, "").await;
    let mut person = desk.browser();
    let place = answer(&mut person, &code.user, "yes").await.header("location").to_owned();
    let back = with_query(&desk.approve(&place, "ada"), "code", Some("stolen"));
    let reply = person.get(&back).await;
    assert_eq!(reply.problem(), (400, "sign_in_expired".to_owned()));

    let reply = answer(&mut person, &code.user, "no").await;
    assert!(reply.status == 200 && reply.body.contains("stays signed out"), "{reply:?}");
    assert_eq!(poll(&desk, &code.device).await, Err("access_denied".to_owned()));
    let page = person.get(&format!("/d/{}", code.user)).await;
    assert_eq!(page.problem(), (410, "denied_code".to_owned()));
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_browser_that_was_asked_can_say_yes() {
    let desk = open().await;
    let code = ask(&desk, "").await;
    let path = format!("/d/{}", code.user);
    let mut person = desk.browser();
    let page = person.get(&path).await;
    let policy = page.header("content-security-policy");
    assert!(policy.contains("frame-ancestors 'none'") && !policy.contains("script"), "{policy}");
    let yes = format!("answer=yes&proof={}", proof(&page));

    let mut stranger = desk.browser();
    assert_eq!(post(&mut stranger, &path, &yes).await.problem().1, "stale_page");
    stranger.get(&path).await;
    assert_eq!(post(&mut stranger, &path, &yes).await.problem().1, "stale_page", "a planted form");
    for headers in [
        [FORM, ("sec-fetch-site", "cross-site")],
        [FORM, ("sec-fetch-site", "same-site")],
        [FORM, ("origin", "https://evil.example")],
    ] {
        let reply = person.send(Method::POST, &path, &headers, Some(yes.clone())).await;
        assert_eq!(reply.problem(), (403, "cross_site".to_owned()), "{headers:?}");
    }
    let other = ask(&desk, "").await;
    let reply = post(&mut person, &format!("/d/{}", other.user), &yes).await;
    assert_eq!(reply.problem().1, "stale_page", "another code");

    // Login CSRF: the attacker's own sign-in is of no use in the person's browser.
    let mut attacker = desk.browser();
    let place = answer(&mut attacker, &code.user, "yes").await.header("location").to_owned();
    let back = desk.approve(&place, "eve");
    assert_eq!(person.get(&back).await.problem(), (400, "sign_in_unknown".to_owned()));
    assert_eq!(poll(&desk, &code.device).await, Err("authorization_pending".to_owned()));
    assert_eq!(query(&place, "redirect_uri"), Some(format!("{}/auth/callback", desk.origin)));
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_people_who_approve_one_code_one_wins() {
    let desk = open().await;
    let code = ask(&desk, "").await;
    let (mut ada, mut eve) = (desk.browser(), desk.browser());
    let places = [
        answer(&mut ada, &code.user, "yes").await.header("location").to_owned(),
        answer(&mut eve, &code.user, "yes").await.header("location").to_owned(),
    ];
    let [first, second] = [desk.approve(&places[0], "ada"), desk.approve(&places[1], "eve")];
    let exchanges = desk.sandbox.ledger().summary().token_requests;
    let (first, second) = tokio::join!(ada.get(&first), eve.get(&second));
    let mut outcomes = [first.status, second.status];
    outcomes.sort_unstable();
    assert!(outcomes[0] == 303 && matches!(outcomes[1], 409 | 410), "{first:?} {second:?}");
    assert_eq!(desk.sandbox.ledger().summary().token_requests, exchanges + 1);
    let handle = poll(&desk, &code.device).await.unwrap();
    let subject = if first.status == 303 { "auth0|ada" } else { "auth0|eve" };
    assert_eq!(call(&desk, &handle, "/auth/session").await.json()["subject"], subject);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_device_says_wrongly_is_told_in_oauths_words() {
    let desk = open().await;
    let code = ask(&desk, "").await;
    let (at_code, at_token) = ("/auth/device/code", "/auth/device/token");
    let good = format!("grant_type={GRANT}&device_code={}", code.device);
    let long = "x".repeat(20_000);
    let rows = [
        (at_code, "audience=https://unknown.example".to_owned(), "invalid_target"),
        (at_code, "resource=https://unknown.example".to_owned(), "invalid_target"),
        (at_code, "scope=write:everything".to_owned(), "invalid_scope"),
        (at_code, "client_id=a%0Ab".to_owned(), "invalid_request"),
        (at_code, format!("client_id={}", "x".repeat(65)), "invalid_request"),
        (at_code, "client_id=a&client_id=b".to_owned(), "invalid_request"),
        (at_code, format!("scope={long}"), "invalid_request"),
        (at_token, String::new(), "invalid_request"),
        (at_token, "grant_type=refresh_token".to_owned(), "unsupported_grant_type"),
        (at_token, format!("grant_type={GRANT}"), "invalid_request"),
        (at_token, format!("{good}&device_code=x"), "invalid_request"),
        (at_token, format!("grant_type={GRANT}&device_code=%00%ff"), "invalid_grant"),
        (at_token, format!("grant_type={GRANT}&device_code={}", "A".repeat(43)), "invalid_grant"),
        (at_token, format!("{good}&client_id=another"), "invalid_grant"),
    ];
    for (path, body, error) in rows {
        let reply = post(&mut desk.browser(), path, &body).await;
        assert_eq!((reply.status, reply.json()["error"].as_str()), (400, Some(error)), "{body}");
        assert_eq!(reply.header("cache-control"), "no-store");
    }
    let json = [("content-type", "application/json")];
    let reply = desk.browser().send(Method::POST, at_code, &json, Some("{}".to_owned())).await;
    assert_eq!(reply.json()["error"], "invalid_request");
    assert_eq!(poll(&desk, &code.device).await, Err("authorization_pending".to_owned()));
}

#[tokio::test(flavor = "multi_thread")]
async fn guessing_codes_is_stopped_for_the_one_who_guesses() {
    let desk = Desk::with(|text| {
        format!("trusted_proxies = \"127.0.0.1\"\n{text}[device]\nmax_codes = 2\n")
    })
    .await;
    let code = ask(&desk, "").await;
    let from = |address: &'static str| [("x-forwarded-for", address)];
    let path = format!("/d/{}", code.user);
    let mut browser = desk.browser();
    for letter in "BCDFGHJKLM".chars() {
        let wrong = format!("/d/{}", letter.to_string().repeat(8));
        let reply = browser.send(Method::GET, &wrong, &from("192.0.2.1, 192.0.2.9"), None).await;
        assert_eq!(reply.problem(), (404, "unknown_code".to_owned()));
    }
    let reply = browser.send(Method::GET, &path, &from("192.0.2.9"), None).await;
    assert_eq!(reply.problem(), (429, "too_many_tries".to_owned()), "the right one, too");
    assert!(reply.header("retry-after").parse::<u64>().unwrap() <= 30);
    let reply = browser.send(Method::GET, &path, &from("192.0.2.10"), None).await;
    assert_eq!(reply.status, 200, "somebody else: {reply:?}");
    let reply = browser.send(Method::GET, "/d/%FF%00'%22%3Cx%3E", &from("192.0.2.10"), None).await;
    assert!(matches!(reply.status, 400 | 404), "{reply:?}");

    let second = ask(&desk, "").await;
    let reply = post(&mut desk.browser(), "/auth/device/code", "").await;
    assert_eq!(reply.problem(), (429, "too_many_codes".to_owned()));
    assert!(reply.header("retry-after").parse::<u64>().unwrap() > 800);
    answer(&mut desk.browser(), &second.user, "no").await;
    ask(&desk, "").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_code_is_typed_in_any_way_and_nothing_is_there_where_it_is_switched_off() {
    let desk = open().await;
    let mut browser = desk.browser();
    let html = [("accept", "text/html")];
    for path in ["/d", "/d/", "/d?code="] {
        let page = browser.send(Method::GET, path, &html, None).await;
        assert!(page.status == 200 && page.body.contains("name=\"code\""), "{page:?}");
    }
    let reply = browser.get("/d?code=%20wdjb%E2%80%93mjht").await;
    assert_eq!((reply.status, reply.header("location")), (303, "/d/WDJB-MJHT"));
    let page = browser.get("/d?code=%3Cscript%3E").await;
    assert!(page.body.contains("eight letters") && !page.body.contains("<script"), "{page:?}");

    let desk = Desk::open().await;
    let reply = post(&mut desk.browser(), "/auth/device/code", "").await;
    assert_eq!(reply.problem(), (404, "device_sign_in_off".to_owned()));
    let reply = post(&mut desk.browser(), "/auth/device/token", "").await;
    assert_eq!(reply.problem(), (404, "device_sign_in_off".to_owned()));
    let reply = desk.browser().get("/d/WDJB-MJHT").await;
    assert_eq!(reply.problem(), (404, "no_route".to_owned()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_display_tells_of_itself_and_its_api_hears_nothing_of_that() {
    let desk = open().await;
    let code = ask(&desk, "client_id=wall").await;
    approve(&desk, &mut desk.browser(), &code.user, "ada").await;
    let body = format!("grant_type={GRANT}&device_code={}&client_id=wall", code.device);
    let told = post(&mut desk.browser(), "/auth/device/token", &body).await.json();
    let bearer = format!("Bearer {}", told["access_token"].as_str().unwrap());
    let says =
        "v=\"0.1.0\", panel=\"ssd1306-128x64\", up, state=online, stale=7, fetch-ok=3, draw-nack=2";
    let headers = [("authorization", bearer.as_str()), ("tokenward-device", says)];
    let reply = desk.browser().send(Method::GET, "/api/quotes/quote", &headers, None).await;
    assert_eq!(reply.status, 200, "{reply:?}");
    let broken = [headers[0], ("tokenward-device", "state=lost")];
    let reply = desk.browser().send(Method::GET, "/auth/session", &broken, None).await;
    assert_eq!(reply.status, 200, "a broken report is no error: {reply:?}");
    let person = desk.signed_in("eve").await;
    let own = format!("Bearer {}", person.cookies["tokenward"]);
    let others = [("authorization", own.as_str()), headers[1]];
    desk.browser().send(Method::GET, "/auth/session", &others, None).await;

    let listed = async {
        loop {
            let listed = desk.operator(Method::GET, "/api/devices").await.json();
            if listed["devices"][0]["panel"].is_string() && listed["broken_reports"] == 1 {
                break listed;
            }
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    };
    let patience = std::time::Duration::from_secs(20);
    let listed = tokio::time::timeout(patience, listed).await.unwrap();
    let [display] = &listed["devices"].as_array().unwrap()[..] else { panic!("{listed}") };
    assert_eq!(
        (display["kind"].as_str(), display["state"].as_str()),
        (Some("wall"), Some("online"))
    );
    assert_eq!((display["stale_s"].as_u64(), display["up"].as_bool()), (Some(7), Some(true)));
    let metrics = desk.operator(Method::GET, "/metrics").await.body;
    for line in [
        "tokenward_device_fetches_total{outcome=\"ok\"} 3",
        "tokenward_device_display_writes_total{outcome=\"nack\"} 2",
    ] {
        assert!(metrics.lines().any(|known| known == line), "{line}");
    }
}
