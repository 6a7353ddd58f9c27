//! What the notes of displays say, as bytes: a code that is open, a link, and which link a hold has.
//!
//! All gateways of a fleet read them, also of another version; so each says its form. What is read may
//! be anything: it is one of ours as a whole, or it is refused.

use std::borrow::Cow;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokenward::clock::BootId;
use tokenward::core::device_sign_in::codes::{Claim, Code, CodeId, DeviceKind, State, Wish};
use tokenward::core::device_sign_in::links::Linked;
use tokenward::core::device_sign_in::user_code::UserCode;
use tokenward::core::name::{Audience, SessionKey};
use tokenward::core::scope::ScopeSet;
use tokenward::core::secret::AccessToken;
use tokenward::core::session::Need;
use tokenward::core::time::{Instant, Stamp};
use tokenward::store::NoteFault;
use tokenward::{SessionHandle, Vault};
use zeroize::Zeroizing;

/// The form that is written.
const FORM: u64 = 1;

/// What a note says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Kept {
    /// A display wants to sign in.
    Code(Code),
    /// A display is held.
    Link(Linked),
    /// The link that a hold has.
    Shown(Shown),
}

/// The link of a hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Shown {
    pub(super) user: UserCode,
    /// When the hold began that has it.
    pub(super) since: Instant,
}

#[derive(Serialize, Deserialize)]
struct Form {
    v: u64,
}

#[derive(Serialize, Deserialize)]
struct Written<'a> {
    v: u64,
    #[serde(borrow)]
    says: Says<'a>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Says<'a> {
    #[serde(borrow)]
    Code(WrittenCode<'a>),
    #[serde(borrow)]
    Link(WrittenLink<'a>),
    #[serde(borrow)]
    Shown(WrittenShown<'a>),
}

#[derive(Serialize, Deserialize)]
struct WrittenCode<'a> {
    id: [u8; 32],
    #[serde(borrow)]
    kind: Cow<'a, str>,
    audiences: Vec<Cow<'a, str>>,
    #[serde(borrow)]
    scopes: Cow<'a, str>,
    interval_ms: u64,
    opened_at: u64,
    ends_at: u64,
    #[serde(borrow)]
    state: WrittenState<'a>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum WrittenState<'a> {
    Waiting,
    Claimed {
        by: [u8; 16],
        until: u64,
    },
    Granted {
        handle: &'a str,
        until: u64,
    },
    Fetched {
        #[serde(borrow)]
        handle: Option<&'a str>,
        until: u64,
    },
    Denied,
}

#[derive(Serialize, Deserialize)]
struct WrittenLink<'a> {
    session: [u8; 32],
    #[serde(borrow)]
    audience: Cow<'a, str>,
    #[serde(borrow)]
    scopes: Cow<'a, str>,
    /// Whose clock `since` is of, and nanoseconds of it.
    whose: [u8; 16],
    since: u64,
}

#[derive(Serialize, Deserialize)]
struct WrittenShown<'a> {
    #[serde(borrow)]
    code: Cow<'a, str>,
    whose: [u8; 16],
    since: u64,
}

/// Writes what a note is to say.
pub(super) fn write(kept: &Kept, vault: &Vault) -> Result<Zeroizing<Vec<u8>>, NoteFault> {
    let (audience, scopes, user);
    let says = match kept {
        Kept::Code(code) => Says::Code(written(code)),
        Kept::Link(linked) => {
            let (whose, since) = vault.stamp(linked.since);
            (audience, scopes) = (linked.need.audience.as_str(), linked.need.scopes.to_string());
            let session = linked.session.0;
            let (audience, scopes) = (audience.into(), scopes.as_str().into());
            Says::Link(WrittenLink { session, audience, scopes, whose: whose.0, since })
        }
        Kept::Shown(shown) => {
            let (whose, since) = vault.stamp(shown.since);
            user = shown.user.to_string();
            Says::Shown(WrittenShown { code: user.as_str().into(), whose: whose.0, since })
        }
    };
    let text = serde_json::to_vec(&Written { v: FORM, says });
    text.map(Zeroizing::new).map_err(|_| NoteFault::Malformed)
}

/// Reads what a note says.
pub(super) fn read(text: &[u8], vault: &Vault) -> Result<Kept, NoteFault> {
    let Form { v } = serde_json::from_slice(text).map_err(|_| NoteFault::Malformed)?;
    if v != FORM {
        return Err(NoteFault::UnknownForm(v));
    }
    let Written { says, .. } = serde_json::from_slice(text).map_err(|_| NoteFault::Malformed)?;
    let kept = match says {
        Says::Code(code) => code.read().map(Kept::Code),
        Says::Link(link) => link.read(vault).map(Kept::Link),
        Says::Shown(shown) => shown.read(vault).map(Kept::Shown),
    };
    kept.ok_or(NoteFault::Malformed)
}

fn written(code: &Code) -> WrittenCode<'_> {
    let Code { id, wish, interval, opened_at, ends_at, state } = code;
    WrittenCode {
        id: id.0,
        kind: wish.kind.as_str().into(),
        audiences: wish.audiences.iter().map(|audience| audience.as_str().into()).collect(),
        scopes: wish.scopes.to_string().into(),
        interval_ms: u64::try_from(interval.as_millis()).unwrap_or(u64::MAX),
        opened_at: opened_at.0,
        ends_at: ends_at.0,
        state: match state {
            State::Waiting => WrittenState::Waiting,
            State::Claimed { by, until } => WrittenState::Claimed { by: by.0, until: until.0 },
            State::Granted { handle, until } => {
                WrittenState::Granted { handle: handle.expose(), until: until.0 }
            }
            State::Fetched { handle, until } => {
                let handle = handle.as_ref().map(AccessToken::expose);
                WrittenState::Fetched { handle, until: until.0 }
            }
            State::Denied => WrittenState::Denied,
        },
    }
}

impl WrittenCode<'_> {
    fn read(self) -> Option<Code> {
        let audiences: Option<Vec<_>> =
            self.audiences.iter().map(|audience| Audience::parse(audience).ok()).collect();
        let wish = Wish {
            kind: DeviceKind::parse(&self.kind).ok()?,
            audiences: audiences.filter(|audiences| !audiences.is_empty())?,
            scopes: ScopeSet::parse(&self.scopes),
        };
        let state = match self.state {
            WrittenState::Waiting => State::Waiting,
            WrittenState::Claimed { by, until } => {
                State::Claimed { by: Claim(by), until: Stamp(until) }
            }
            WrittenState::Granted { handle, until } => {
                State::Granted { handle: handle_of(handle)?, until: Stamp(until) }
            }
            WrittenState::Fetched { handle: None, until } => {
                State::Fetched { handle: None, until: Stamp(until) }
            }
            WrittenState::Fetched { handle: Some(handle), until } => {
                State::Fetched { handle: Some(handle_of(handle)?), until: Stamp(until) }
            }
            WrittenState::Denied => State::Denied,
        };
        let interval = Duration::from_millis(self.interval_ms);
        let (opened_at, ends_at) = (Stamp(self.opened_at), Stamp(self.ends_at));
        Some(Code { id: CodeId(self.id), wish, interval, opened_at, ends_at, state })
    }
}

impl WrittenLink<'_> {
    fn read(self, vault: &Vault) -> Option<Linked> {
        let audience = Audience::parse(&self.audience).ok()?;
        let need = Need { audience, scopes: ScopeSet::parse(&self.scopes) };
        let since = placed(vault, self.whose, self.since);
        Some(Linked { session: SessionKey(self.session), need, since })
    }
}

impl WrittenShown<'_> {
    fn read(self, vault: &Vault) -> Option<Shown> {
        let since = placed(vault, self.whose, self.since);
        Some(Shown { user: UserCode::parse(&self.code).ok()?, since })
    }
}

fn handle_of(text: &str) -> Option<AccessToken> {
    SessionHandle::parse(text).ok().map(|_| AccessToken::new(text))
}

/// Places a moment of a hold; one that nobody can place was long ago, so that no hold began with it.
fn placed(vault: &Vault, whose: [u8; 16], since: u64) -> Instant {
    vault.placed(BootId(whose), since).unwrap_or(Instant::ZERO)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tokenward::clock::Clock;
    use tokenward::store::Memory;
    use tokenward::store::seal::KeyRing;

    use super::*;

    fn vault() -> Vault {
        let clock = Clock::manual().0;
        let ring = Arc::new(KeyRing::ephemeral().unwrap());
        Vault::new(Arc::new(Memory::new(clock.clone())), ring, clock)
    }

    fn code(state: State) -> Kept {
        let audiences = ["urn:a \"b\"", "https://api.example/\u{e9}"];
        let audiences = audiences.iter().filter_map(|one| Audience::parse(one).ok()).collect();
        let scopes = ScopeSet::parse("read:a write:b");
        let wish = Wish { kind: DeviceKind::parse("a \\ \"b\"").unwrap(), audiences, scopes };
        let (opened_at, ends_at) = (Stamp(1), Stamp(u64::MAX));
        let interval = Duration::from_secs(5);
        Kept::Code(Code { id: CodeId([3; 32]), wish, interval, opened_at, ends_at, state })
    }

    fn all(vault: &Vault) -> Vec<Kept> {
        let handle = AccessToken::new(&SessionHandle::random().expose());
        let until = Stamp(7);
        let since = vault.clock().now();
        let need =
            Need { audience: Audience::parse("urn:a").unwrap(), scopes: ScopeSet::default() };
        vec![
            code(State::Waiting),
            code(State::Claimed { by: Claim([255; 16]), until }),
            code(State::Granted { handle: handle.clone(), until }),
            code(State::Fetched { handle: Some(handle), until }),
            code(State::Fetched { handle: None, until }),
            code(State::Denied),
            Kept::Link(Linked { session: SessionKey([9; 32]), need, since }),
            Kept::Shown(Shown { user: UserCode::parse("WDJB-MJHT").unwrap(), since }),
        ]
    }

    #[test]
    fn what_is_written_is_read() {
        let vault = vault();
        for kept in all(&vault) {
            let text = write(&kept, &vault).unwrap();
            assert_eq!(
                read(&text, &vault).as_ref(),
                Ok(&kept),
                "{}",
                String::from_utf8_lossy(&text)
            );
        }
    }

    #[test]
    fn what_is_none_of_ours_is_refused_as_a_whole() {
        let vault = vault();
        for kept in all(&vault) {
            let text = write(&kept, &vault).unwrap();
            for cut in 0..text.len() {
                assert_eq!(read(&text[..cut], &vault), Err(NoteFault::Malformed), "{cut}");
            }
            let text = String::from_utf8(text.to_vec()).unwrap();
            let newer = text.replacen("\"v\":1", "\"v\":2", 1);
            assert_eq!(read(newer.as_bytes(), &vault), Err(NoteFault::UnknownForm(2)));
        }
        let code = String::from_utf8(write(&all(&vault)[2], &vault).unwrap().to_vec()).unwrap();
        for (from, to) in [
            ("\"until\":7", "\"until\":-7"),
            ("\"until\":7", "\"until\":18446744073709551616"),
            ("\"handle\":\"", "\"handle\":\"x"),
            ("\"id\":[3,", "\"id\":["),
            ("\"audiences\":[", "\"audiences\":[\"\","),
            ("\"kind\":\"", "\"kind\":\"\\n"),
            ("\"code\":", "\"other\":"),
            ("\"granted\":", "\"waiting\":"),
        ] {
            let bad = code.replacen(from, to, 1);
            assert!(bad != code, "{from} is in {code}");
            assert_eq!(read(bad.as_bytes(), &vault), Err(NoteFault::Malformed), "{bad}");
        }
    }

    #[test]
    fn l12_a_hold_of_an_unknown_clock_is_none_that_is_there() {
        let (here, elsewhere) = (vault(), vault());
        let Some(Kept::Link(linked)) = all(&here).into_iter().nth(6) else { panic!("a link") };
        let text = write(&Kept::Link(linked.clone()), &here).unwrap();
        let Ok(Kept::Link(read)) = read(&text, &elsewhere) else { panic!("a link") };
        assert!(!read.is_same(&linked) && read.need == linked.need);
    }
}
