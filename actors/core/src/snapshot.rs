//! What a session keeps across a restart, and which of its access tokens answers a request.

use std::sync::Arc;
use std::time::Duration;

use crate::device_sign_in::codes::DeviceKind;
use crate::lease::Head;
use crate::name::{Audience, Epoch};
use crate::policy::Margins;
use crate::refusal::MfaDemand;
use crate::scope::{PROTOCOL_SCOPES, ScopeSet};
use crate::secret::{AccessToken, IdToken, RefreshToken};
use crate::session::Need;
use crate::step_up::{Context, Origin, Proof, Remembered, Strength};
use crate::time::{Instant, UnixSeconds};

/// Everything durable about one session.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// The issuer of the provider that signed the person in.
    pub provider: Arc<str>,
    /// The provider's name for the person (`sub`).
    pub subject: Arc<str>,
    /// The provider's name for its own session (`sid`), by which it may log us out.
    pub provider_session: Option<Arc<str>>,
    /// The audience the person signed in for: what a refresh asks for when nothing else is known.
    pub primary: Audience,
    /// The living refresh token; `None` where the provider gave none.
    pub refresh_token: Option<RefreshToken>,
    /// The last ID token, kept as a hint for logout.
    pub id_token: Option<IdToken>,
    /// The access tokens, live ones and those that expired since the last write.
    pub entries: Vec<Entry>,
    /// What waits for a person.
    pub holds: Vec<Hold>,
    /// When and how the person authenticated.
    pub authentication: Authentication,
    /// What the person has shown, and when by our own clock: what policies go by.
    pub proofs: Vec<Proof>,
    /// What the person had shown before in the same browser: it counts for policies that allow it,
    /// and for nothing else.
    pub remembered: Option<Remembered>,
    /// The device that it is the session of; `None` where it is a browser's or a program's.
    pub device: Option<Device>,
    /// When the session must end whatever is refreshed; written once, at sign-in (IPSIE
    /// `session_expiry`).
    pub ceiling: Option<UnixSeconds>,
    /// Where the session stands in its family of refresh tokens.
    pub head: Head,
}

impl Snapshot {
    /// Makes the snapshot of a session that has just signed in, without any access token yet.
    pub fn new(
        provider: Arc<str>,
        subject: Arc<str>,
        primary: Audience,
        refresh_token: Option<RefreshToken>,
    ) -> Self {
        Self {
            provider,
            subject,
            provider_session: None,
            primary,
            refresh_token,
            id_token: None,
            entries: Vec::new(),
            holds: Vec::new(),
            authentication: Authentication::default(),
            proofs: Vec::new(),
            remembered: None,
            device: None,
            ceiling: None,
            head: Head::new(),
        }
    }

    /// Reports whether the session may have access tokens for an API: a device's only for those that
    /// its person has approved.
    pub fn may_use(&self, audience: &Audience) -> bool {
        self.device.as_ref().is_none_or(|device| device.audiences.contains(audience))
    }
}

/// A device that was signed in by a person (RFC 8628), and what for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Device {
    /// What it says that it is.
    pub kind: DeviceKind,
    /// The APIs that the person has approved.
    pub audiences: Vec<Audience>,
}

/// When and how a person authenticated, as the ID token of the sign-in says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Authentication {
    /// `auth_time`.
    pub at: Option<UnixSeconds>,
    /// `acr`.
    pub class: Option<String>,
    /// `amr`.
    pub methods: Vec<String>,
}

/// One access token with what was asked for it and what it grants.
#[derive(Clone, Debug)]
pub struct Entry {
    /// The API it is for.
    pub audience: Audience,
    /// The token.
    pub access_token: AccessToken,
    /// What was asked: the memo that stops a loop where the provider grants less.
    pub requested: ScopeSet,
    /// What was granted.
    pub granted: ScopeSet,
    /// When the reply arrived, by our own clock.
    pub received_at: Instant,
    /// How long it lives from then.
    pub lifetime: Duration,
    /// The exchange that brought it: tells a replaced token from the one it replaced.
    pub born_in: Epoch,
}

impl Entry {
    /// Returns when the token ends.
    pub fn expires_at(&self) -> Instant {
        self.received_at + self.lifetime
    }

    /// Returns until when the token may be handed out.
    pub fn serve_until(&self, margins: Margins) -> Instant {
        self.expires_at() - margins.capped(self.lifetime).serve
    }

    /// Returns from when the token should be refreshed in the background.
    pub fn refresh_from(&self, margins: Margins) -> Instant {
        self.expires_at() - margins.capped(self.lifetime).refresh_ahead
    }
}

/// A request that is answered only after a person has shown another factor (law L8).
#[derive(Clone, Debug)]
pub struct Hold {
    /// The API that was asked for.
    pub audience: Audience,
    /// The scopes that were asked for.
    pub scopes: ScopeSet,
    /// When it was demanded first.
    pub since: Instant,
    /// When to ask the provider once more without a person; `None` never.
    pub probe_at: Option<Instant>,
    /// What the provider lists to choose from; its `mfa_token` is in the context.
    pub demand: MfaDemand,
    /// Who demands it.
    pub origin: Origin,
    /// What a redirect to the provider must ask for.
    pub strength: Strength,
    /// The provider's door for this demand; `None` where only a redirect meets it, and where its
    /// time is over.
    pub context: Option<Context>,
}

impl Hold {
    /// Makes the hold of `need` that nobody can meet but by a redirect.
    pub fn of(need: &Need, origin: Origin, strength: Strength, now: Instant) -> Self {
        Self {
            audience: need.audience.clone(),
            scopes: need.scopes.clone(),
            since: now,
            probe_at: None,
            demand: MfaDemand::default(),
            origin,
            strength,
            context: None,
        }
    }

    /// Returns what is held.
    pub fn need(&self) -> Need {
        Need { audience: self.audience.clone(), scopes: self.scopes.clone() }
    }

    /// Reports whether this is the hold of `audience` and `scopes`.
    pub fn is_for(&self, audience: &Audience, scopes: &ScopeSet) -> bool {
        self.audience == *audience && self.scopes == *scopes
    }
}

/// Which access token answers a request.
#[derive(Clone, Debug)]
pub enum Lookup<'a> {
    /// This one.
    Hit(&'a Entry),
    /// None, and the provider has already said that it grants no more than this one does.
    Downscoped {
        /// The narrower token.
        entry: &'a Entry,
        /// What it lacks.
        missing: ScopeSet,
    },
    /// None: an exchange may bring it.
    Miss,
}

/// Finds the access token for `audience` and `wanted` at `now` (law L5).
///
/// The audience must match byte for byte, the granted resource scopes must cover the wanted ones,
/// and the token must outlive the serve margin. Of several, the one that grants least is chosen;
/// among equals the one that lives longest. A request without scopes is answered only by a token
/// that was asked for without scopes, never by an arbitrary and perhaps mightier one.
pub fn lookup<'a>(
    entries: &'a [Entry],
    audience: &Audience,
    wanted: &ScopeSet,
    margins: Margins,
    now: Instant,
) -> Lookup<'a> {
    let living = |entry: &'a Entry| (entry, entry.serve_until(margins));
    if let Some(entry) = pick(entries, audience, wanted, now, living) {
        return Lookup::Hit(entry);
    }
    let wanted = wanted.resource();
    let refused = entries
        .iter()
        .filter(|entry| entry.audience == *audience && now < entry.serve_until(margins))
        .filter(|entry| !wanted.is_empty() && entry.requested.covers(&wanted))
        .max_by_key(|entry| entry.received_at);
    match refused {
        Some(entry) => Lookup::Downscoped { entry, missing: wanted.missing_from(&entry.granted) },
        None => Lookup::Miss,
    }
}

/// Picks, of `offers`, the one that answers a request, as [`lookup`] does; allocates nothing.
///
/// `look` tells an offer's entry and until when it may be handed out.
pub fn pick<'a, T>(
    offers: &'a [T],
    audience: &Audience,
    wanted: &ScopeSet,
    now: Instant,
    look: impl Fn(&'a T) -> (&'a Entry, Instant),
) -> Option<&'a T> {
    let fits = |offer: &&'a T| {
        let (entry, serve_until) = look(*offer);
        entry.audience == *audience && now < serve_until && answers(entry, wanted)
    };
    offers.iter().filter(fits).min_by(|a, b| {
        let (a, b) = (look(*a).0, look(*b).0);
        a.granted.len().cmp(&b.granted.len()).then_with(|| b.expires_at().cmp(&a.expires_at()))
    })
}

pub(crate) fn answers(entry: &Entry, wanted: &ScopeSet) -> bool {
    let mut scopes = wanted.iter().filter(|scope| !is_protocol(scope)).peekable();
    if scopes.peek().is_none() {
        return entry.requested.iter().all(is_protocol);
    }
    scopes.all(|scope| entry.granted.contains(scope))
}

fn is_protocol(scope: &str) -> bool {
    PROTOCOL_SCOPES.contains(&scope)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Instant = Instant::from_nanos(1_000_000_000_000);

    fn entry(name: &str, audience: &str, requested: &str, granted: &str, left_s: u64) -> Entry {
        Entry {
            audience: Audience::parse(audience).unwrap(),
            access_token: AccessToken::new(name),
            requested: ScopeSet::parse(requested),
            granted: ScopeSet::parse(granted),
            received_at: NOW,
            lifetime: Duration::from_secs(left_s),
            born_in: Epoch(1),
        }
    }

    fn found(entries: &[Entry], audience: &str, wanted: &str) -> String {
        let audience = Audience::parse(audience).unwrap();
        match lookup(entries, &audience, &ScopeSet::parse(wanted), Margins::default(), NOW) {
            Lookup::Hit(entry) => entry.access_token.expose().to_owned(),
            Lookup::Downscoped { missing, .. } => format!("lacks {missing}"),
            Lookup::Miss => "miss".to_owned(),
        }
    }

    #[test]
    fn l5_right_token_or_none() {
        let entries = [
            entry("wide", "A", "a b c", "a b c", 3600),
            entry("narrow", "A", "a b", "a b", 3600),
            entry("longer", "A", "b a", "b a", 7200),
            entry("reduced", "B", "read write", "read", 3600),
            entry("default", "C", "", "x y", 3600),
            entry("login", "D", "openid read:d", "openid", 3600),
            entry("dead", "E", "a", "a", 0),
            entry("alive", "E", "a b", "a b", 3600),
        ];
        for (audience, wanted, expected) in [
            ("A", "a", "longer"),
            ("A", "c", "wide"),
            ("A", "d", "miss"),
            ("A", "", "miss"),
            ("A/", "a", "miss"),
            ("a", "a", "miss"),
            ("B", "read", "reduced"),
            ("B", "write", "lacks write"),
            ("B", "write admin", "miss"),
            ("C", "", "default"),
            ("C", "openid profile", "default"),
            ("D", "openid read:d", "lacks read:d"),
            ("E", "a", "alive"),
        ] {
            assert_eq!(found(&entries, audience, wanted), expected, "{audience} for {wanted:?}");
        }
    }

    #[test]
    fn l6_a_token_is_served_until_its_margin_and_not_after() {
        let entry = entry("t", "A", "a", "a", 10);
        let (margins, asked) = (Margins::default(), ScopeSet::parse("a"));
        let at = |ms| {
            let now = NOW + Duration::from_millis(ms);
            matches!(
                lookup(std::slice::from_ref(&entry), &entry.audience, &asked, margins, now),
                Lookup::Hit(_)
            )
        };
        assert!(at(7_999));
        assert!(!at(8_000), "the boundary itself is too late");
    }
}
