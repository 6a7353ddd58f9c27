//! Stories of codes: a device, and people who are asked about it.

use super::*;

const TERMS: Terms =
    Terms { lifetime: Duration::from_secs(900), interval: Duration::from_secs(5), open_max: 3 };

/// What one device and its people do, second by second.
struct Story {
    codes: Codes,
    now: Instant,
}

fn at(second: u64) -> Instant {
    Instant::from_nanos(1_000_000_000_000) + Duration::from_secs(second)
}

fn user(letter: char) -> UserCode {
    UserCode::parse(&letter.to_string().repeat(8)).expect("a code")
}

fn kind(name: &str) -> DeviceKind {
    DeviceKind::parse(name).expect("a kind")
}

fn wish() -> Wish {
    let audience = Audience::parse("https://quotes.example").expect("an audience");
    Wish { kind: kind("display"), audiences: vec![audience], scopes: ScopeSet::default() }
}

impl Story {
    fn begin() -> Self {
        Self { codes: Codes::default(), now: at(0) }
    }

    /// Opens the code that is written with one letter.
    fn open(&mut self, letter: char) -> String {
        let id = CodeId([letter as u8; 32]);
        match self.codes.open((id, user(letter)), wish(), TERMS, self.now) {
            Ok(()) => "open".to_owned(),
            Err(fault) => format!("{fault:?}"),
        }
    }

    /// Lets the device of a code ask.
    fn poll(&mut self, letter: char, second: u64) -> String {
        self.poll_as("display", letter, second)
    }

    fn poll_as(&mut self, name: &str, letter: char, second: u64) -> String {
        self.now = at(second);
        match self.codes.poll(CodeId([letter as u8; 32]), &kind(name), self.now) {
            Answer::Granted(handle) => format!("has {}", handle.expose()),
            answer @ (Answer::Pending
            | Answer::SlowDown
            | Answer::Denied
            | Answer::Expired
            | Answer::Unknown) => format!("{answer:?}"),
        }
    }

    fn approve(&mut self, letter: char, session: &str) -> String {
        match self.codes.claim(user(letter), self.now) {
            Ok(claimed) => {
                assert_eq!(claimed, wish());
                self.grant(letter, session)
            }
            Err(standing) => format!("{standing:?}"),
        }
    }

    fn grant(&mut self, letter: char, session: &str) -> String {
        match self.codes.grant(user(letter), AccessToken::new(session)) {
            Ok(()) => "granted".to_owned(),
            Err(handle) => format!("nobody wants {}", handle.expose()),
        }
    }

    fn standing(&self, letter: char) -> Option<Standing> {
        self.codes.look(user(letter), self.now).map(|(_, standing)| standing)
    }

    fn swept(&mut self, second: u64) -> Vec<String> {
        self.now = at(second);
        let unfetched = self.codes.sweep(self.now);
        unfetched.iter().map(|handle| handle.expose().to_owned()).collect()
    }
}

#[test]
fn a_device_waits_and_gets_its_session_once_and_once_more_where_the_reply_was_lost() {
    let mut story = Story::begin();
    assert_eq!(story.open('B'), "open");
    for (second, heard) in
        [(0, "Pending"), (5, "Pending"), (7, "SlowDown"), (10, "Pending"), (14, "SlowDown")]
    {
        assert_eq!(story.poll('B', second), heard, "second {second}");
    }
    assert_eq!(story.standing('B'), Some(Standing::Waiting(Duration::from_secs(886))));
    assert_eq!(story.approve('B', "h1"), "granted");
    assert_eq!(story.poll_as("another", 'B', 15), "Unknown", "a foreign device");
    assert_eq!(story.poll('B', 15), "has h1");
    assert_eq!(story.poll('B', 15), "has h1", "its reply was lost");
    assert_eq!(story.poll('B', 74), "has h1");
    assert_eq!(story.poll('B', 75), "Unknown", "a minute is over");
    assert_eq!(story.standing('B'), Some(Standing::Approved));
    assert_eq!(story.swept(80), [""; 0], "it has fetched its session");
    assert_eq!(story.poll('C', 80), "Unknown", "there never was such a code");
}

#[test]
fn of_two_people_one_wins() {
    let mut story = Story::begin();
    story.open('B');
    assert!(story.codes.claim(user('B'), story.now).is_ok());
    assert_eq!(story.approve('B', "h2"), "Some(Claimed)", "the first is at it");
    assert_eq!(story.poll('B', 5), "Pending");
    assert_eq!(story.grant('B', "h1"), "granted");
    assert_eq!(story.approve('B', "h2"), "Some(Approved)");
    assert_eq!(story.codes.deny(user('B'), story.now), Err(Some(Standing::Approved)));
    assert_eq!(story.poll('B', 10), "has h1");
    assert_eq!(story.grant('B', "h3"), "nobody wants h3");
}

#[test]
fn a_sign_in_that_fails_gives_the_code_back() {
    let mut story = Story::begin();
    story.open('B');
    assert!(story.codes.claim(user('B'), story.now).is_ok());
    story.codes.release(user('B'));
    assert!(story.codes.claim(user('B'), story.now).is_ok(), "somebody tries again");
    story.now = at(60);
    assert_eq!(story.approve('B', "h1"), "granted", "the exchange was never heard of again");
}

#[test]
fn a_no_and_silence_end_a_code_and_its_end_is_told_for_a_while() {
    let mut story = Story::begin();
    story.open('B');
    story.open('C');
    assert_eq!(story.codes.deny(user('B'), story.now), Ok(()));
    assert_eq!(story.approve('B', "h1"), "Some(Denied)");
    assert_eq!((story.poll('B', 5).as_str(), story.poll('B', 6).as_str()), ("Denied", "Denied"));
    assert_eq!(
        (story.poll('C', 899).as_str(), story.poll('C', 900).as_str()),
        ("Pending", "Expired")
    );
    assert_eq!(story.approve('C', "h1"), "Some(Expired)");
    assert_eq!(story.swept(1_499), [""; 0]);
    assert_eq!(story.standing('C'), Some(Standing::Expired));
    assert_eq!(story.swept(1_500), [""; 0]);
    assert_eq!((story.standing('C'), story.poll('C', 1_500).as_str()), (None, "Unknown"));
}

#[test]
fn a_yes_in_the_last_moment_counts_and_a_session_that_nobody_fetches_is_given_back() {
    let mut story = Story::begin();
    story.open('B');
    story.now = at(899);
    assert_eq!(story.approve('B', "h1"), "granted");
    assert_eq!(story.swept(959), [""; 0], "the device has a minute more");
    assert_eq!(story.poll('B', 959), "has h1");

    let mut story = Story::begin();
    story.open('B');
    assert_eq!(story.approve('B', "h1"), "granted");
    assert_eq!(story.swept(960), ["h1"], "the device is gone");
    assert_eq!(story.poll('B', 960), "Unknown");
    assert_eq!(story.swept(961), [""; 0], "it is given back once");
}

#[test]
fn l14_open_codes_are_bounded_and_what_has_ended_makes_room() {
    let mut story = Story::begin();
    for letter in ['B', 'C', 'D'] {
        assert_eq!(story.open(letter), "open");
    }
    story.now = at(100);
    assert_eq!(story.open('F'), "Full(800s)");
    assert_eq!(story.open('B'), "Taken");
    assert_eq!(story.codes.deny(user('C'), story.now), Ok(()));
    assert_eq!(story.open('F'), "open");
    for round in 0..50 {
        story.now = at(1_000 * (round + 1));
        for letter in ['G', 'H', 'J'] {
            story.codes.deny(user(letter), story.now).unwrap_or_default();
            let refused = matches!(story.open(letter).as_str(), "Taken" | "open");
            assert!(refused, "round {round}");
        }
        assert!(story.codes.codes.len() <= 6 && story.codes.by_user.len() <= 6);
    }
}

#[test]
fn a_kind_is_a_short_plain_name() {
    assert_eq!(
        DeviceKind::parse(" wall display ").map(|kind| kind.0),
        Ok("wall display".to_owned())
    );
    for bad in ["", "  ", "a\nb", "d\u{202e}isplay", &"x".repeat(65)] {
        assert_eq!(DeviceKind::parse(bad), Err(KindFault), "{bad:?}");
    }
}
