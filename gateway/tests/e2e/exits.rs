//! Exit codes and last words, as a start script and its operator meet them.

use super::gateway::{Place, Registration};
use super::program::free_port;
use super::provider::sandbox;

/// A route of the usual shape.
const ROUTE: &str =
    "[[route]]\npath = \"/\"\nupstream = \"http://127.0.0.1:1\"\naudience = \"a\"\n";

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_configuration_ends_with_78_and_one_sentence_with_the_remedy() {
    let (_sandbox, good) = sandbox(free_port()).await;
    for (tables, words) in [
        (format!("{ROUTE}audiense = \"x\"\n"), &["`audiense`", "write `audience`"][..]),
        (format!("{ROUTE}{ROUTE}"), &["route[1].path", "overlaps", "remove one"]),
        (
            format!("{ROUTE}refresh_ahead = \"5s\"\nserve_margin = \"10s\"\n"),
            &["serve_margin", "larger"],
        ),
    ] {
        for command in ["serve", "check"] {
            refused(&good, &tables, command, words).await;
        }
    }
    let place = Place::new(&good);
    place.write(ROUTE);
    let text = std::fs::read_to_string(place.file()).unwrap();
    std::fs::write(place.file(), text.replace("file = \"client-secret\"", "env = \"NOT_SET\""))
        .unwrap();
    said(&place, "serve", &["client_secret", "NOT_SET", "set it"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn check_says_what_is_wrong_with_the_provider() {
    let (_sandbox, good) = sandbox(free_port()).await;
    let wrong = good.issuer.replace("127.0.0.1", "localhost");
    let absent = format!("http://127.0.0.1:{}/", free_port());
    for (issuer, code) in [(good.issuer.clone(), 0), (wrong, 78), (absent, 78)] {
        let place = Place::new(&Registration { issuer: issuer.clone(), ..good.clone() });
        place.write(ROUTE);
        let output = place.run(&["check"], "").await;
        let text = String::from_utf8_lossy(&output.stdout);
        assert_eq!(output.status.code(), Some(code), "{issuer}: {text}");
        assert_eq!(text.contains("→"), code != 0, "a remedy for {issuer}: {text}");
    }
}

async fn refused(registration: &Registration, tables: &str, command: &str, words: &[&str]) {
    let place = Place::new(registration);
    place.write(tables);
    said(&place, command, words).await;
}

async fn said(place: &Place, command: &str, words: &[&str]) {
    let output = place.run(&[command], "").await;
    let text = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(78), "{command}: {text}");
    assert_eq!(text.trim().lines().count(), 1, "{command}: {text}");
    for word in words {
        assert!(text.contains(word), "{command}: {word:?} is not in: {text}");
    }
}
