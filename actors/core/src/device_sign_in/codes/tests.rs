//! Stories of a code: a device, and people who are asked about it.

use super::*;

const TERMS: Terms =
    Terms { lifetime: Duration::from_secs(900), interval: Duration::from_secs(5), open_max: 3 };

const ID: CodeId = CodeId([7; 32]);

/// What one device and its people do, second by second.
struct Story {
    code: Code,
    /// How far apart the ends of what is known of the present are.
    vague: Duration,
}

fn kind(name: &str) -> DeviceKind {
    DeviceKind::parse(name).expect("a kind")
}

fn wish() -> Wish {
    let audience = Audience::parse("https://quotes.example").expect("an audience");
    Wish { kind: kind("display"), audiences: vec![audience], scopes: ScopeSet::default() }
}

fn person(number: u8) -> Claim {
    Claim([number; 16])
}

fn shown(answer: Answer) -> String {
    match answer {
        Answer::Granted(handle) => format!("has {}", handle.expose()),
        answer @ (Answer::Pending
        | Answer::SlowDown
        | Answer::Denied
        | Answer::Expired
        | Answer::Unknown) => format!("{answer:?}"),
    }
}

impl Story {
    fn begin() -> Self {
        Self::vaguely(Duration::ZERO)
    }

    /// Begins one whose machines know the time within `vague`.
    fn vaguely(vague: Duration) -> Self {
        let mut story = Self { code: Code::open(ID, wish(), TERMS, at(0)), vague };
        story.code = Code::open(ID, wish(), TERMS, story.at(0));
        story
    }

    fn at(&self, second: u64) -> Present {
        let exact = at(second);
        Present { latest: exact.earliest + self.vague, ..exact }
    }

    fn poll(&mut self, second: u64) -> String {
        self.poll_as("display", second)
    }

    fn poll_as(&mut self, name: &str, second: u64) -> String {
        let now = self.at(second);
        shown(self.code.fetch(ID, &kind(name), now))
    }

    fn claim(&mut self, by: u8, second: u64) -> String {
        let now = self.at(second);
        format!("{:?}", self.code.claim(person(by), now))
    }

    fn grant(&mut self, by: u8, session: &str, second: u64) -> String {
        let now = self.at(second);
        match self.code.grant(person(by), AccessToken::new(session), now) {
            Ok(left) => format!("for {left:?}"),
            Err(handle) => format!("nobody wants {}", handle.expose()),
        }
    }

    fn withdraws(&mut self, session: &str) -> bool {
        self.code.withdraw(&AccessToken::new(session))
    }

    fn standing(&self, second: u64) -> Standing {
        self.code.standing(self.at(second))
    }
}

fn at(second: u64) -> Present {
    Present::exactly(Stamp(1_000_000_000) + Duration::from_secs(second))
}

#[test]
fn a_device_waits_and_gets_its_session_once_and_once_more_where_the_reply_was_lost() {
    let mut story = Story::begin();
    assert_eq!(story.poll(5), "Pending");
    assert_eq!(story.standing(14), Standing::Waiting(Duration::from_secs(886)));
    assert_eq!(story.claim(1, 14), "Ok(())");
    assert_eq!((story.standing(14), story.poll(14).as_str()), (Standing::Claimed, "Pending"));
    assert_eq!(story.grant(1, "h1", 15), "for 945s");
    assert_eq!(story.poll_as("another", 15), "Unknown", "a foreign device");
    let forged = story.code.fetch(CodeId([8; 32]), &kind("display"), at(15));
    assert_eq!(shown(forged), "Unknown", "who only knows what people see");
    assert_eq!(story.poll(15), "has h1");
    assert_eq!(story.poll(15), "has h1", "its reply was lost");
    assert_eq!(story.poll(74), "has h1");
    assert_eq!(story.poll(75), "Unknown", "a minute is over");
    assert_eq!(story.standing(75), Standing::Approved);
    assert!(!story.withdraws("h1"), "it has fetched its session");
}

#[test]
fn of_two_people_one_wins_and_whoever_says_a_thing_twice_finds_it_said() {
    let mut story = Story::begin();
    for _ in 0..2 {
        assert_eq!(story.claim(1, 0), "Ok(())");
    }
    assert_eq!(story.claim(2, 0), "Err(Claimed)", "the first is at it");
    assert_eq!(story.grant(2, "h2", 0), "nobody wants h2");
    story.code.release(person(2));
    for _ in 0..2 {
        assert_eq!(story.grant(1, "h1", 0), "for 960s");
    }
    assert_eq!(story.claim(2, 0), "Err(Approved)");
    assert_eq!(story.code.deny(at(0)), Err(Standing::Approved));
    assert_eq!(story.poll(10), "has h1");
    assert_eq!(story.grant(1, "h1", 10), "for 60s");
    assert_eq!(story.grant(1, "h3", 10), "nobody wants h3");
}

#[test]
fn a_sign_in_that_fails_gives_the_code_back() {
    let mut story = Story::begin();
    story.claim(1, 0);
    story.code.release(person(1));
    assert_eq!(story.claim(2, 0), "Ok(())", "somebody tries again");
    assert_eq!(story.claim(3, 59), "Err(Claimed)");
    assert_eq!(story.claim(3, 60), "Ok(())", "the exchange was never heard of again");
    assert_eq!(story.grant(2, "h2", 61), "nobody wants h2", "it was, and too late");
    assert_eq!(story.grant(3, "h3", 150), "for 810s", "late, and nobody else was at it");
}

#[test]
fn a_no_and_silence_end_a_code_and_its_end_is_told_for_a_while() {
    let mut story = Story::begin();
    assert_eq!(story.code.deny(at(3)), Ok(()));
    assert_eq!(story.claim(1, 3), "Err(Denied)");
    assert_eq!((story.poll(5).as_str(), story.poll(6).as_str()), ("Denied", "Denied"));
    assert_eq!(story.code.keep(at(300)), Duration::from_secs(1_200));

    let mut story = Story::begin();
    assert_eq!((story.poll(899).as_str(), story.poll(900).as_str()), ("Pending", "Expired"));
    assert_eq!(story.claim(1, 900), "Err(Expired)");
    assert_eq!(story.code.deny(at(900)), Err(Standing::Expired));
    assert_eq!(story.code.keep(at(1_500)), Duration::ZERO);

    let mut story = Story::begin();
    story.claim(1, 899);
    assert_eq!(story.poll(958), "Pending", "somebody is at it");
    assert_eq!(
        (story.poll(959).as_str(), story.claim(2, 959).as_str()),
        ("Expired", "Err(Expired)")
    );
}

#[test]
fn a_yes_in_the_last_moment_counts_and_a_session_that_nobody_fetches_is_given_back() {
    let mut story = Story::begin();
    story.claim(1, 899);
    assert_eq!(story.grant(1, "h1", 950), "for 60s", "the device has a minute more");
    assert_eq!(story.code.keep(at(950)), Duration::from_secs(660));
    assert_eq!(story.poll(1_009), "has h1");

    let mut story = Story::begin();
    story.claim(1, 0);
    story.grant(1, "h1", 0);
    assert_eq!(story.poll(960), "Unknown", "the device was gone");
    assert!(!story.withdraws("h2") && story.withdraws("h1"));
    assert!(!story.withdraws("h1"), "it is given back once");
    assert_eq!(story.poll(10), "Unknown");
}

#[test]
fn l12_where_the_time_is_known_vaguely_the_less_favourable_end_decides() {
    let mut story = Story::vaguely(Duration::from_secs(10));
    assert_eq!(story.standing(0), Standing::Waiting(Duration::from_secs(890)));
    assert_eq!((story.poll(889).as_str(), story.poll(890).as_str()), ("Pending", "Expired"));
    story.claim(1, 0);
    assert_eq!(story.claim(2, 69), "Err(Claimed)", "it may be that the minute is not over");
    assert_eq!(story.claim(2, 70), "Ok(())");
    story.grant(2, "h2", 70);
    assert_eq!((story.poll(100), story.poll(149)), ("has h2".to_owned(), "has h2".to_owned()));
    assert_eq!(story.poll(150), "Unknown", "it may be that the minute is over");
}

#[test]
fn l12_a_code_from_before_the_clock_was_set_is_too_old() {
    let set = Present { known_from: Stamp(2_000_000_000), ..at(60) };
    for claim in [false, true] {
        let mut story = Story::begin();
        if claim {
            story.claim(1, 50);
        }
        assert_eq!(story.code.standing(set), Standing::Expired);
        assert_eq!(story.code.fetch(ID, &kind("display"), set), Answer::Expired);
        assert_eq!(story.code.claim(person(2), set), Err(Standing::Expired));
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
