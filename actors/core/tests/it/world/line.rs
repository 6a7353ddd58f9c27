//! The words of a story: one line is one thing that happens.

use std::time::Duration;

use tokenward_core::name::Audience;
use tokenward_core::scope::ScopeSet;
use tokenward_core::session::Need;

use super::factor;

/// One thing that happens to the world, on the machine it happens to.
#[derive(Clone, Debug)]
pub(crate) struct Line {
    pub(crate) machine: usize,
    pub(crate) verb: Verb,
}

/// What may happen from outside.
#[derive(Clone, Debug)]
pub(crate) enum Verb {
    /// Time goes by.
    Pass,
    Want(Vec<u64>, Need, Duration, Option<String>),
    Leave(u64),
    Nudge(Need),
    Next(Twist),
    Always(Option<Twist>),
    Mfa(Audience, bool),
    StoreFails(u32),
    StoreLosesAnswers(u32),
    StoreWell,
    /// The next wish reaches the store twice, and only the second answer is heard.
    StoreHearsTwice,
    /// The next wish takes so long to reach the store.
    StoreSlow(Duration),
    /// The store's next answer takes so long.
    StoreTellsLate(Duration),
    /// The store falls back to what it was so long ago.
    StoreFallsBack(Duration),
    /// The process ends.
    Crash,
    /// The whole machine begins anew, and its clock with it.
    Reboot,
    Restart,
    /// The session's actor dies, and nothing else.
    Panic,
    /// The session is put back into the store where it has nothing to do.
    Rests,
    /// The next landing is told to the session once more, so much later.
    LandsTwice(Duration),
    Suspend(Duration),
    /// The wall clock is set, forward or back, by so many milliseconds.
    WallJumps(i64),
    /// When the next exchange, of any machine, reaches this point.
    At(Point, Box<Verb>),
    /// Nothing waits for a point any more.
    Calm,
    LogOut,
    Retry,
    Alarm,
    Policy(Need, bool),
    Factor(factor::Verb),
}

/// A point that every exchange passes: the worst moments lie right behind these.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Point {
    /// The intent is durable, and the answer is on its way.
    Lease,
    /// The request has left.
    Send,
    /// The provider has decided, and its reply is on its way.
    Decision,
    /// The reply is here, and not saved.
    Reply,
    /// The reply is durable, and the answer is on its way.
    Save,
}

impl Point {
    const ALL: [(Point, &'static str); 5] = [
        (Point::Lease, "lease"),
        (Point::Send, "send"),
        (Point::Decision, "decision"),
        (Point::Reply, "reply"),
        (Point::Save, "save"),
    ];
}

/// What the provider, or the way to it, does with one request.
#[derive(Clone, Debug)]
pub(crate) enum Twist {
    /// The request takes so long to reach the point where the provider decides.
    Slow(Duration),
    /// The provider decides at once, and its reply takes so long.
    Late(Duration),
    /// The provider decides, and the reply never comes.
    Lost,
    /// The request never reaches the provider, and nobody says so.
    Silent,
    /// The provider decides, and the connection is cut before its reply.
    Cut,
    /// The connection is cut before the provider sees the request.
    CutEarly,
    /// A gateway answers 504, and the provider decides this much later.
    GatewayTimeout(Duration),
    /// The provider decides, and its edge answers 502.
    SpentBehind502,
    /// A 200 without tokens; the provider has rotated all the same.
    Garbage,
    /// A 200 with nothing but the new refresh token.
    Salvage,
    /// A grant of these scopes, whatever was asked.
    Grants(ScopeSet),
    /// A grant whose JWT is for another audience.
    For(String),
    /// A grant whose JWT is of another person.
    Of(String),
    /// A grant that lives so long.
    Lives(Duration),
    /// A grant without rotation.
    Keeps,
    /// A refusal: status, error, and how long to wait.
    Says(u16, Option<String>, Option<Duration>),
    /// No connection can be made.
    Unreachable,
    /// The breaker lets nothing through for so long.
    Breaker(Duration),
    /// The machine stands still between its last check and the sending.
    Stalls(Duration),
    /// Something in between sends the request again, so much later, and only that reply is heard.
    Twice(Duration),
}

impl Line {
    /// Reads one happening; `b: …` happens to the second machine.
    pub(crate) fn parse(text: &str) -> Line {
        let (machine, rest) = match text.split_once(": ") {
            Some((name, rest)) if name.len() == 1 => ((name.as_bytes()[0] - b'a').into(), rest),
            _ => (0, text),
        };
        let verb = parse(rest.trim()).unwrap_or_else(|| panic!("what is \"{rest}\"?"));
        Line { machine, verb }
    }
}

fn parse(text: &str) -> Option<Verb> {
    if let Some(rest) = text.strip_prefix("provider: ") {
        return Some(Verb::Next(twist(rest)?));
    }
    if let Some(rest) = text.strip_prefix("provider always: ") {
        return Some(Verb::Always(Some(twist(rest)?)));
    }
    if let Some((point, rest)) = text.strip_prefix("at ").and_then(|rest| rest.split_once(": ")) {
        let known = Point::ALL.into_iter().find(|(_, name)| *name == point);
        return Some(Verb::At(known?.0, Box::new(parse(rest)?)));
    }
    let words: Vec<&str> = text.split_whitespace().collect();
    Some(match words.as_slice() {
        [] => Verb::Pass,
        [who, "wants" | "want", what, rest @ ..] => want(who, what, rest)?,
        [who, "leaves"] => Verb::Leave(waiter(who)?),
        ["reader", "nudges", what] => Verb::Nudge(need(what)),
        ["provider", "well"] => Verb::Always(None),
        ["mfa", "on", audience] => Verb::Mfa(need(audience).audience, true),
        ["mfa", "off", audience] => Verb::Mfa(need(audience).audience, false),
        ["store", "fails", times] => Verb::StoreFails(times.parse().ok()?),
        ["store", "loses", times, "answers"] => Verb::StoreLosesAnswers(times.parse().ok()?),
        ["store", "well"] => Verb::StoreWell,
        ["store", "hears", "twice"] => Verb::StoreHearsTwice,
        ["store", "slow", span] => Verb::StoreSlow(self::span(span)),
        ["store", "tells", "late", span] => Verb::StoreTellsLate(self::span(span)),
        ["store", "falls", "back", span] => Verb::StoreFallsBack(self::span(span)),
        ["crash"] => Verb::Crash,
        ["reboot"] => Verb::Reboot,
        ["panic"] => Verb::Panic,
        ["rests"] => Verb::Rests,
        ["lands", "twice", span] => Verb::LandsTwice(self::span(span)),
        ["wall", "jumps", span] => Verb::WallJumps(self::span(span).as_millis() as i64),
        ["wall", "jumps", "back", span] => Verb::WallJumps(-(self::span(span).as_millis() as i64)),
        ["calm"] => Verb::Calm,
        ["restart"] => Verb::Restart,
        ["suspend", span] => Verb::Suspend(self::span(span)),
        ["logout"] => Verb::LogOut,
        ["operator", "retries"] => Verb::Retry,
        ["alarm"] => Verb::Alarm,
        ["policy", what] => Verb::Policy(need(what), false),
        ["policy", what, "always"] => Verb::Policy(need(what), true),
        _ => Verb::Factor(factor::parse(&words)?),
    })
}

fn want(who: &str, what: &str, rest: &[&str]) -> Option<Verb> {
    let who = match who.split_once("..") {
        Some((first, last)) => (waiter(first)?..=waiter(last)?).collect(),
        None => vec![waiter(who)?],
    };
    let (mut within, mut replaces) = (Duration::from_secs(8), None);
    for pair in rest.chunks(2) {
        match pair {
            ["within", span] => within = self::span(span),
            ["replacing", access_token] => replaces = Some((*access_token).to_owned()),
            _ => return None,
        }
    }
    Some(Verb::Want(who, need(what), within, replaces))
}

fn twist(text: &str) -> Option<Twist> {
    let words: Vec<&str> = text.split_whitespace().collect();
    Some(match words.as_slice() {
        ["slow", span] => Twist::Slow(self::span(span)),
        ["late", span] => Twist::Late(self::span(span)),
        ["lost"] => Twist::Lost,
        ["silent"] => Twist::Silent,
        ["cut"] => Twist::Cut,
        ["cut", "early"] => Twist::CutEarly,
        ["504", span] => Twist::GatewayTimeout(self::span(span)),
        ["spent", "behind", "502"] => Twist::SpentBehind502,
        ["garbage"] => Twist::Garbage,
        ["salvage"] => Twist::Salvage,
        ["grants", scopes] => Twist::Grants(self::scopes(scopes)),
        ["for", audience] => Twist::For((*audience).to_owned()),
        ["of", subject] => Twist::Of((*subject).to_owned()),
        ["lives", span] => Twist::Lives(self::span(span)),
        ["keeps"] => Twist::Keeps,
        ["unreachable"] => Twist::Unreachable,
        ["breaker", span] => Twist::Breaker(self::span(span)),
        ["stalls", span] => Twist::Stalls(self::span(span)),
        ["twice", span] => Twist::Twice(self::span(span)),
        [status, rest @ ..] => {
            let wait = rest.iter().position(|word| *word == "wait");
            let wait_span = wait.map(|at| self::span(rest[at + 1]));
            let error = rest.first().filter(|word| **word != "wait");
            Twist::Says(status.parse().ok()?, error.map(|word| (*word).to_owned()), wait_span)
        }
        [] => return None,
    })
}

fn waiter(text: &str) -> Option<u64> {
    text.strip_prefix('#')?.parse().ok()
}

/// Reads `A` or `A:a,b`: an audience, and scopes where they are asked for.
pub(crate) fn need(text: &str) -> Need {
    let (audience, scopes) = text.split_once(':').unwrap_or((text, ""));
    let audience = Audience::parse(audience).unwrap();
    Need { audience, scopes: self::scopes(scopes) }
}

/// Writes a need as [`need`] reads it.
pub(crate) fn told(need: &Need) -> String {
    match need.scopes.is_empty() {
        true => need.audience.to_string(),
        false => format!("{}:{}", need.audience, need.scopes.to_string().replace(' ', ",")),
    }
}

fn scopes(text: &str) -> ScopeSet {
    ScopeSet::parse(&text.replace(',', " "))
}

/// Reads `200ms`, `8s`, `2m`, `6h` or `7d`.
pub(crate) fn span(text: &str) -> Duration {
    let unit_at = text.find(|c: char| c.is_ascii_alphabetic()).unwrap_or(text.len());
    let (number, unit) = text.split_at(unit_at);
    let seconds = match unit {
        "ms" => 0.001,
        "s" => 1.0,
        "m" => 60.0,
        "h" => 3600.0,
        "d" => 86_400.0,
        _ => panic!("no span of time: {text}"),
    };
    let number: f64 = number.parse().unwrap_or_else(|_| panic!("no span of time: {text}"));
    Duration::from_nanos((number * seconds * 1e6).round() as u64 * 1000)
}
