//! One exchange of a session, from the wish to the answer, by the core alone: the store is a head in
//! memory that the rules of the lease decide about, and the provider grants what is asked.

use std::sync::Arc;
use std::time::Duration;

use tokenward::core::grant::{Grant, Reply};
use tokenward::core::lease::{self, Begun, Head, Verdict};
use tokenward::core::name::{Audience, Epoch, Owner, WaiterId};
use tokenward::core::policy::Policies;
use tokenward::core::scope::ScopeSet;
use tokenward::core::secret::{AccessToken, IdToken, RefreshToken};
use tokenward::core::session::exchange::{Flight, Landing, Step};
use tokenward::core::session::{Answer, Effect, Input, Need, Session, Want};
use tokenward::core::snapshot::{Entry, Snapshot};
use tokenward::core::time::Instant;

/// The audiences that a session has tokens for.
const AUDIENCES: [&str; 3] = ["https://a.example", "https://b.example", "https://c.example"];
/// The bytes of each token: JWTs with a dozen claims.
const TOKEN_BYTES: usize = 1_000;
const LIFETIME: Duration = Duration::from_secs(600);
const SOFT: Duration = Duration::from_secs(8);
const PATIENCE: Duration = Duration::from_secs(24);
const SETTLE: Duration = Duration::from_secs(1);

/// A session with the store and the provider around it.
pub(crate) struct Exchanges {
    session: Session,
    head: Head,
    need: Need,
    now: Instant,
}

impl Exchanges {
    pub(crate) fn new() -> Self {
        let now = Instant::ZERO + Duration::from_secs(10_000);
        let snapshot = snapshot(now);
        let need = Need { audience: audience(AUDIENCES[0]), scopes: ScopeSet::parse("read") };
        let head = snapshot.head;
        let session = Session::new(snapshot, Arc::new(Policies::default()), 1, now);
        Self { session, head, need, now }
    }

    /// Asks for an access token when it has run out: one exchange.
    pub(crate) fn exchange(&mut self) {
        self.now = self.now + 2 * LIFETIME;
        assert!(self.ask(), "an expired token is exchanged");
    }

    /// Asks for an access token that is there.
    pub(crate) fn serve(&mut self) {
        assert!(!self.ask(), "a valid token is served");
    }

    /// Asks, does what the session says, and reports whether the provider was asked.
    fn ask(&mut self) -> bool {
        let want = Want {
            waiter: WaiterId(1),
            need: self.need.clone(),
            replaces: None,
            deadline: self.now + SOFT,
            latest: self.now + PATIENCE,
        };
        self.session.handle(self.now, Input::Want(want));
        let (mut exchanged, mut granted) = (false, false);
        while let Some(effect) = self.session.next_effect() {
            match effect {
                Effect::Answer(_, answer) => granted = matches!(answer, Answer::Granted(_)),
                Effect::Launch(flight) => {
                    exchanged = true;
                    let number = flight.number;
                    let landing = self.fly(*flight);
                    self.session.handle(self.now, Input::Landed(number, landing));
                }
                Effect::Emit(_) | Effect::End { .. } | Effect::Publish(_) | Effect::Report(..) => {}
            }
        }
        assert!(granted, "the wish is granted");
        exchanged
    }

    fn fly(&mut self, mut flight: Flight) -> Box<Landing> {
        loop {
            match flight.step() {
                Step::Journal => {
                    let begun = lease::begin(&self.head, &flight.ask(Owner(1), SETTLE), self.now);
                    if let Begun::Leased { intent, .. } = begun {
                        self.head.epoch = intent.epoch;
                        self.head.intent = Some(intent);
                    }
                    flight.journalled(Some(begun));
                }
                Step::Send => {
                    flight.send(self.now).expect("the lease is fresh");
                    flight.replied(self.now, Reply::Granted(Box::new(grant())));
                }
                Step::Save { commit, .. } => {
                    let verdict = lease::commit(&self.head, &commit);
                    if let Verdict::Accept(head) = verdict {
                        self.head = head;
                    }
                    flight.saved(self.now, Some(verdict));
                }
                Step::Land(landing) => return landing,
                Step::Load | Step::Pause(_) | Step::Revoke(_) => {
                    panic!("nothing goes wrong in here")
                }
            }
        }
    }
}

/// Returns a session with the tokens of three audiences, as it is after a while of use.
pub(crate) fn snapshot(now: Instant) -> Snapshot {
    let refresh_token = Some(RefreshToken::new(&text("refresh")));
    let issuer = "https://tenant.eu.auth0.com/";
    let primary = audience(AUDIENCES[0]);
    let mut session = Snapshot::new(issuer.into(), "auth0|42".into(), primary, refresh_token);
    session.id_token = Some(IdToken::new(&text("id")));
    for name in AUDIENCES {
        session.entries.push(Entry {
            audience: audience(name),
            access_token: AccessToken::new(&text(name)),
            requested: ScopeSet::parse("read"),
            granted: ScopeSet::parse("read"),
            received_at: now,
            lifetime: LIFETIME,
            born_in: Epoch(0),
        });
    }
    session
}

fn grant() -> Grant {
    Grant {
        access_token: AccessToken::new(&text("access")),
        lifetime: Some(LIFETIME),
        granted: None,
        refresh_token: Some(RefreshToken::new(&text("refresh"))),
        id_token: None,
        claims: None,
        ceiling: None,
        proof: None,
        recovery_code: None,
    }
}

fn audience(name: &str) -> Audience {
    Audience::parse(name).expect("it is an audience")
}

fn text(kind: &str) -> String {
    let mut text = kind.to_owned();
    text.extend(std::iter::repeat_n('x', TOKEN_BYTES - text.len()));
    text
}
