//! The program before a real gateway and a sandbox: what a person sees on the panel.

use nix::sys::signal::Signal;
#[cfg(feature = "metrics")]
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
#[cfg(feature = "metrics")]
use tokio::net::TcpStream;

use super::house::House;
use super::program::{Display, Place};

/// Starts a display, and signs it in by the code on its panel.
async fn signed_in(house: &House) -> (Place, Display) {
    let place = Place::new(&house.origin(), "");
    let display = Display::start(&place);
    house.approve(&display.code().await).await;
    quote(&display).await;
    (place, display)
}

/// Waits for any of the sandbox's sayings: their days differ, and no panel's words are in two.
async fn quote(display: &Display) {
    let notices = ["Tokenward", "No network", "MFA", "Session", "sign me in", "Needs", "Signed in"];
    let is_quote = |panel: &str| {
        let is_notice = notices.iter().any(|notice| panel.contains(notice));
        (!is_notice && panel.split(' ').count() > 4).then_some(())
    };
    display.until("a quote", is_quote).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn seed_000_a_display_is_held_asks_once_and_goes_on_when_a_person_has_acted() {
    let house = House::open().await;
    let (place, display) = signed_in(&house).await;
    assert_eq!(display.threads(), 2, "the loop and the panel");

    display.signal(Signal::SIGHUP);
    let listed = house.lists("online").await;
    assert_eq!(listed["version"], env!("CARGO_PKG_VERSION"), "{listed}");
    assert_eq!((&listed["up"], &listed["kind"]), (&true.into(), &"display".into()), "{listed}");

    house.demand_a_factor();
    display.shows("MFA required").await;
    let refused = house.sandbox.ledger().summary().mfa_challenges;
    assert_eq!(refused, 1, "the provider was asked once");
    let handle = place.handle().unwrap();
    house.confirm(&handle).await;
    quote(&display).await;
    let summary = house.sandbox.ledger().summary();
    assert_eq!((summary.reuse_detected, summary.families_revoked), (0, 0));
    assert_eq!(summary.mfa_challenges, refused, "and never again");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_signs_a_display_out_and_a_person_signs_it_in_again() {
    let house = House::open().await;
    let (place, display) = signed_in(&house).await;
    let handle = place.handle().unwrap();
    house.sign_out(&handle).await;
    display.shows("Session ended").await;
    assert_eq!(place.handle(), None, "the credential is gone from the disk");
    // A person need not wait until the reason has been read.
    display.signal(Signal::SIGHUP);
    house.approve(&display.code().await).await;
    quote(&display).await;
    assert_ne!(place.handle().unwrap(), handle);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_display_that_was_cut_off_or_killed_goes_on_by_itself() {
    let house = House::dark().await;
    let place = Place::new(&house.origin(), "");
    let mut display = Display::start(&place);
    display.shows("No network").await;
    house.connect();
    display.signal(Signal::SIGUSR1);
    house.approve(&display.code().await).await;
    quote(&display).await;
    let before = place.record().unwrap();

    display.signal(Signal::SIGKILL);
    display.ended().await;
    house.cut();
    let mut display = Display::start(&place);
    quote(&display).await;
    display.shows("STALE").await;
    house.connect();
    display.signal(Signal::SIGHUP);
    display.until("fresh", |panel| (!panel.contains("STALE")).then_some(())).await;
    assert_eq!(place.record().unwrap(), before, "nothing was written without a change");
    display.signal(Signal::SIGTERM);
    assert_eq!(display.ended().await.code(), Some(0));
}

#[cfg(feature = "metrics")]
#[tokio::test(flavor = "multi_thread")]
async fn a_display_shows_its_own_numbers_where_that_is_asked_for_on_the_same_two_threads() {
    let house = House::open().await;
    // Free at this moment; the display cannot be asked which one it took.
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let place = Place::new(&house.origin(), &format!("[metrics]\nlisten = \"127.0.0.1:{port}\"\n"));
    let display = Display::start(&place);
    house.approve(&display.code().await).await;
    quote(&display).await;
    let mut caller = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    caller.write_all(b"GET /metrics HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    let mut told = String::new();
    caller.read_to_string(&mut told).await.unwrap();
    let value = |row: &str| -> f64 {
        let line = told.lines().find_map(|line| line.strip_prefix(row));
        line.unwrap_or_else(|| panic!("no {row} in {told}")).trim().parse().unwrap()
    };
    assert!(value("tokenward_device_fetches_total{outcome=\"ok\"}") >= 1.0, "{told}");
    assert!(value("tokenward_device_display_writes_total{outcome=\"ok\"}") >= 1.0, "{told}");
    assert!(!told.contains(&place.handle().unwrap()), "{told}");
    assert_eq!(display.threads(), 2, "the loop and the panel");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pulled_wire_darkens_the_panel_and_stops_nothing_else() {
    let house = House::open().await;
    let (_place, mut display) = signed_in(&house).await;
    display.press(b'w').await;
    display.until("darkness", |panel| panel.is_empty().then_some(())).await;
    display.press(b'w').await;
    quote(&display).await;
    display.press(b'q').await;
    assert_eq!(display.ended().await.code(), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn check_says_what_is_wrong_and_reset_forgets() {
    let house = House::open().await;
    let (place, mut display) = signed_in(&house).await;
    display.signal(Signal::SIGTERM);
    display.ended().await;
    let (code, told) = place.run("check").await;
    assert_eq!(code, 69, "there is no panel here: {told}");
    let line = |what: &str| told.lines().find(|line| line.contains(what)).unwrap().to_owned();
    assert!(line("panel").starts_with("NO") && line("panel").contains("dtparam"), "{told}");
    assert!(line("state").starts_with("ok") && line("network").starts_with("ok"), "{told}");
    assert!(line("sign-in").starts_with("ok") && line("sign-in").contains("signed in"), "{told}");
    assert!(!told.contains(&place.handle().unwrap()), "{told}");

    assert_eq!(place.run("reset").await.0, 0);
    assert_eq!(place.record(), None);
    let (_, told) = place.run("check").await;
    assert!(told.contains("nobody yet"), "{told}");
    std::fs::write(place.file(), "gateway = \"http://10.0.0.1\"\ncontent = \"/\"\n").unwrap();
    let (code, told) = place.run("run").await;
    assert!(code == 78 && told.contains("line 1: gateway: ") && told.contains("https"), "{told}");
}
