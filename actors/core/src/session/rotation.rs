//! What a reply makes of the session's tokens (laws L2 and L5).
//!
//! A returned refresh token is kept whatever else is wrong with the reply: the provider has
//! already forgotten the old one.

use std::time::Duration;

use super::Need;
use crate::grant::{Grant, Malformed};
use crate::name::Epoch;
use crate::snapshot::{Entry, Snapshot};
use crate::time::Instant;

/// How long an access token is trusted where the provider did not say: RFC 6749 §5.1 only
/// recommends `expires_in`. Short enough to be safe, long enough not to exchange on each call.
pub const LIFETIME_ASSUMED: Duration = Duration::from_secs(60);

/// The most access tokens that one session keeps: each is sealed and written on every rotation.
pub const ENTRIES_MAX: usize = 64;

/// What came of a usable reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// The access token is kept.
    Kept,
    /// The access token was for another audience, and is not.
    AudienceMismatched,
    /// The access token is of another person, and the session must end.
    SubjectChanged,
}

/// Returns the session after `grant` arrived for `need` at `now`, in the exchange `born_in`.
pub fn turn(
    before: &Snapshot,
    need: &Need,
    grant: &Grant,
    born_in: Epoch,
    now: Instant,
) -> (Snapshot, Turn) {
    let mut after = before.clone();
    if let Some(refresh_token) = &grant.refresh_token {
        after.refresh_token = Some(refresh_token.clone());
    }
    if let Some(id_token) = &grant.id_token {
        after.id_token = Some(id_token.clone());
    }
    after.entries.retain(|entry| entry.expires_at() > now);

    if let Some(claims) = &grant.claims {
        let (subject, issuer) = (claims.subject.as_deref(), claims.issuer.as_deref());
        let is_other = subject.is_some_and(|subject| *subject != *before.subject)
            || issuer.is_some_and(|issuer| *issuer != *before.provider);
        if is_other {
            return (after, Turn::SubjectChanged);
        }
        let listed = |audience: &String| audience == need.audience.as_str();
        if !claims.audiences.is_empty() && !claims.audiences.iter().any(listed) {
            return (after, Turn::AudienceMismatched);
        }
    }

    after.holds.retain(|hold| !need.is_for(&hold.audience, &hold.scopes));
    insert(&mut after.entries, entry(need, grant, born_in, now));
    (after, Turn::Kept)
}

/// Returns the session after a reply that cannot be used: only a salvaged refresh token changes it.
pub fn salvage(before: &Snapshot, malformed: &Malformed) -> Snapshot {
    let mut after = before.clone();
    if let Some(refresh_token) = &malformed.refresh_token {
        after.refresh_token = Some(refresh_token.clone());
    }
    after
}

/// Makes the entry for `grant`, which answered `need` at `now`.
pub fn entry(need: &Need, grant: &Grant, born_in: Epoch, now: Instant) -> Entry {
    Entry {
        audience: need.audience.clone(),
        access_token: grant.access_token.clone(),
        requested: need.scopes.clone(),
        granted: grant.granted.clone().unwrap_or_else(|| need.scopes.clone()),
        received_at: now,
        lifetime: grant.lifetime.unwrap_or(LIFETIME_ASSUMED),
        born_in,
    }
}

/// Puts `entry` where a token of the same audience and exactly the same grant was, or at the end.
///
/// A token that grants more, or less, is another token: replacing a wide one by a narrow one would
/// send the next caller back to the provider. The memo of earlier requests that were granted the
/// same is kept, so that the loops it stops stay stopped. A token that was asked for without scopes
/// has a slot of its own: only it answers such requests.
fn insert(entries: &mut Vec<Entry>, mut entry: Entry) {
    let unscoped = |entry: &Entry| entry.requested.resource().is_empty();
    let same_slot = |own: &Entry| {
        own.audience == entry.audience
            && own.granted == entry.granted
            && unscoped(own) == unscoped(&entry)
    };
    if let Some(place) = entries.iter().position(same_slot) {
        entry.requested = entries[place].requested.merge(&entry.requested);
        entries[place] = entry;
        return;
    }
    if entries.len() >= ENTRIES_MAX {
        let oldest = entries.iter().enumerate().min_by_key(|(_, own)| own.expires_at());
        if let Some((place, _)) = oldest {
            entries.remove(place);
        }
    }
    entries.push(entry);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::grant::AccessClaims;
    use crate::name::Audience;
    use crate::scope::ScopeSet;
    use crate::secret::{AccessToken, IdToken, RefreshToken};

    const NOW: Instant = Instant::from_nanos(1_000_000_000_000);

    fn session() -> Snapshot {
        let audience = Audience::parse("A").unwrap();
        let mut session = Snapshot::new(
            "https://idp.example/".into(),
            "alice".into(),
            audience,
            Some(RefreshToken::new("r0")),
        );
        session.id_token = Some(IdToken::new("i0"));
        session
    }

    fn need(audience: &str, scopes: &str) -> Need {
        Need { audience: Audience::parse(audience).unwrap(), scopes: ScopeSet::parse(scopes) }
    }

    fn grant(access_token: &str, granted: Option<&str>, refresh_token: Option<&str>) -> Grant {
        Grant {
            access_token: AccessToken::new(access_token),
            lifetime: Some(Duration::from_secs(10)),
            granted: granted.map(ScopeSet::parse),
            refresh_token: refresh_token.map(RefreshToken::new),
            id_token: None,
            claims: None,
            ceiling: None,
            proof: None,
            recovery_code: None,
        }
    }

    fn tokens(session: &Snapshot) -> Vec<&str> {
        session.entries.iter().map(|entry| entry.access_token.expose()).collect()
    }

    #[test]
    fn a_reply_replaces_only_its_own_slot() {
        let mut session = session();
        for (audience, asked, granted, name) in [
            ("A", "a b", Some("a b"), "wide"),
            ("A", "a", Some("a"), "narrow"),
            ("B", "a", None, "other"),
            ("A", "b a", Some("b a"), "wide again"),
        ] {
            session =
                turn(&session, &need(audience, asked), &grant(name, granted, None), Epoch(1), NOW)
                    .0;
        }
        assert_eq!(tokens(&session), ["wide again", "narrow", "other"]);
        assert_eq!(session.entries[2].granted, ScopeSet::parse("a"), "left out means as asked");
    }

    #[test]
    fn l2_the_new_refresh_token_is_kept_whatever_else_is_wrong() {
        let claims = |audience: &str, subject: &str| AccessClaims {
            audiences: vec![audience.to_owned()],
            subject: Some(subject.to_owned()),
            issuer: None,
        };
        for (claims, expected) in [
            (claims("A", "alice"), Turn::Kept),
            (claims("B", "alice"), Turn::AudienceMismatched),
            (claims("A", "mallory"), Turn::SubjectChanged),
        ] {
            let grant = Grant { claims: Some(claims), ..grant("t", None, Some("r1")) };
            let (after, turned) = turn(&session(), &need("A", "a"), &grant, Epoch(1), NOW);
            assert_eq!(turned, expected);
            assert_eq!(after.refresh_token, Some(RefreshToken::new("r1")), "{expected:?}");
            assert_eq!(after.entries.len(), usize::from(expected == Turn::Kept));
        }
        let broken =
            Malformed { refresh_token: Some(RefreshToken::new("r1")), why: "no access_token" };
        assert_eq!(salvage(&session(), &broken).refresh_token, Some(RefreshToken::new("r1")));
    }

    #[test]
    fn what_a_reply_leaves_out_stays() {
        let (after, _) = turn(&session(), &need("A", "a"), &grant("t", None, None), Epoch(1), NOW);
        assert_eq!(after.refresh_token, Some(RefreshToken::new("r0")));
        assert_eq!(after.id_token, Some(IdToken::new("i0")));
    }

    #[test]
    fn l14_expired_entries_go_and_the_rest_are_bounded() {
        let mut session = session();
        for number in 0..ENTRIES_MAX + 3 {
            let scope = format!("s{number}");
            let (after, _) =
                turn(&session, &need("A", &scope), &grant(&scope, None, None), Epoch(1), NOW);
            session = after;
        }
        assert_eq!(session.entries.len(), ENTRIES_MAX);
        let later = NOW + Duration::from_secs(10);
        let (after, _) = turn(&session, &need("A", "x"), &grant("x", None, None), Epoch(1), later);
        assert_eq!(tokens(&after), ["x"]);
    }
}
