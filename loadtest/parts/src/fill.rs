//! Fills a store with sessions, for measurements of programs that start over it.
//!
//! `tokenward-fill DIRECTORY SESSIONS`: `cargo xtask bench start` runs it. Each session is as a sign-in with
//! JWTs leaves it; one in ten belongs to a wall display that is kept fresh without traffic, and is
//! due some hours from now. The refresh tokens are nobody's: whoever spends one is refused.
#![expect(clippy::expect_used, reason = "a benchmark that cannot run says why and stops")]
#![expect(clippy::print_stderr, reason = "printing is what it is for")]

use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use tokenward::clock::Clock;
use tokenward::core::name::{Audience, Epoch, SessionKey};
use tokenward::core::scope::ScopeSet;
use tokenward::core::secret::{AccessToken, IdToken, RefreshToken};
use tokenward::core::snapshot::{Entry, Snapshot};
use tokenward::{SessionHandle, Vault};

/// Writes that are under way at once: what the store puts into one transaction.
const WRITERS: u64 = 512;
/// The bytes of an access token and of an ID token: JWTs with half a dozen claims.
const TOKEN_BYTES: usize = 600;
/// One session in so many is kept fresh without traffic.
const DISPLAY_EACH: u64 = 10;
/// When the first display is due, and over how long the others spread.
const DUE_FROM: Duration = Duration::from_secs(4 * 3_600);
const DUE_SPREAD_SECONDS: u64 = 20 * 3_600;
const LIFETIME: Duration = Duration::from_secs(86_400);
/// How often is said how far it has come.
const TOLD_EACH: u64 = 100_000;

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [dir, sessions] = words.as_slice() else {
        eprintln!("tokenward-fill DIRECTORY SESSIONS");
        return ExitCode::from(64);
    };
    let sessions = sessions.parse().expect("a number of sessions");
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(fill(Path::new(dir), sessions));
    ExitCode::SUCCESS
}

async fn fill(dir: &Path, sessions: u64) {
    let clock = Clock::system();
    let vault = Vault::embedded(dir, clock.clone()).expect("the store opens");
    for first in (0..sessions).step_by(WRITERS as usize) {
        let writes: Vec<_> = (first..sessions.min(first + WRITERS))
            .map(|number| {
                let (vault, clock) = (vault.clone(), clock.clone());
                tokio::spawn(async move {
                    let due = (number % DISPLAY_EACH == 0).then(|| {
                        let later = number.wrapping_mul(7_919) % DUE_SPREAD_SECONDS;
                        clock.now() + DUE_FROM + Duration::from_secs(later)
                    });
                    let session = session(number, &clock);
                    vault.create(key(), &session, due).await.expect("stored");
                })
            })
            .collect();
        for write in writes {
            write.await.expect("written");
        }
        if first / TOLD_EACH != (first + WRITERS) / TOLD_EACH {
            eprintln!("{} of {sessions} sessions written", first + WRITERS);
        }
    }
}

fn session(number: u64, clock: &Clock) -> Snapshot {
    let audience = Audience::parse("https://quotes.sandbox.example").expect("an audience");
    let refresh_token = Some(RefreshToken::new(&format!("nobody's.{number}.{}", "x".repeat(32))));
    let (issuer, subject) = ("http://127.0.0.1:9/", format!("auth0|{number}"));
    let mut session = Snapshot::new(issuer.into(), subject.into(), audience.clone(), refresh_token);
    session.id_token = Some(IdToken::new(&"i".repeat(TOKEN_BYTES)));
    session.provider_session = Some(format!("sid {number}").into());
    session.entries.push(Entry {
        audience,
        access_token: AccessToken::new(&"a".repeat(TOKEN_BYTES)),
        requested: ScopeSet::parse("read:quotes"),
        granted: ScopeSet::parse("read:quotes"),
        received_at: clock.now(),
        lifetime: LIFETIME,
        born_in: Epoch(0),
    });
    session
}

/// Returns the key of a handle that nobody has.
fn key() -> SessionKey {
    SessionHandle::random().key()
}
