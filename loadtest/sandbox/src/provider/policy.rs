//! Which audience and scopes a request gets (WIRE a7): pure string work.

use super::settings::{MrrtPolicy, UnknownAudience};

/// Scopes of the protocol itself, which no API owns.
const PROTOCOL_SCOPES: [&str; 7] =
    ["openid", "profile", "email", "address", "phone", "offline_access", "online_access"];

/// An audience and the scopes granted for it, separated by spaces.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Granted {
    /// The audience.
    pub audience: String,
    /// The scopes.
    pub scope: String,
}

/// When a refresh asked for an audience outside the policies and the tenant rejects those.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AudienceRejected;

/// Evaluates a refresh request against what the login granted and the tenant's MRRT policies.
///
/// # Errors
/// [`AudienceRejected`] where the tenant rejects unknown audiences.
pub fn evaluate(
    login: &Granted,
    policies: &[MrrtPolicy],
    unknown: UnknownAudience,
    audience: Option<&str>,
    scope: Option<&str>,
) -> Result<Granted, AudienceRejected> {
    let policy = |name: &str| policies.iter().find(|policy| policy.audience == name);
    let asked = audience.filter(|name| *name != login.audience);
    let (audience, allowed) = match asked {
        Some(name) => match (policy(name), unknown) {
            (Some(found), _) => (name, protocol_scopes(&login.scope).chain(owned(found)).collect()),
            (None, UnknownAudience::Fallback) => {
                return evaluate(login, policies, unknown, None, scope);
            }
            (None, UnknownAudience::Reject) => return Err(AudienceRejected),
        },
        None => {
            let policy_scopes = policy(&login.audience).into_iter().flat_map(owned);
            let allowed: Vec<&str> = login.scope.split_whitespace().chain(policy_scopes).collect();
            (login.audience.as_str(), allowed)
        }
    };
    Ok(Granted { audience: audience.to_owned(), scope: narrowed(&allowed, scope) })
}

/// Returns the scopes of a login that the audience knows; the others are dropped silently.
#[must_use]
pub fn known_scopes(asked: &str, audience_scopes: &[String], filtering: bool) -> String {
    let known = |scope: &&str| {
        !filtering
            || PROTOCOL_SCOPES.contains(scope)
            || audience_scopes.iter().any(|own| own == scope)
    };
    unique(asked.split_whitespace().filter(known))
}

/// Tells whether a scope string names a scope.
#[must_use]
pub fn has_scope(scope: &str, name: &str) -> bool {
    scope.split_whitespace().any(|one| one == name)
}

fn narrowed(allowed: &[&str], asked: Option<&str>) -> String {
    match asked.filter(|scope| !scope.trim().is_empty()) {
        Some(scope) => unique(scope.split_whitespace().filter(|one| allowed.contains(one))),
        None => unique(allowed.iter().copied()),
    }
}

fn unique<'a>(scopes: impl Iterator<Item = &'a str>) -> String {
    let mut kept: Vec<&str> = Vec::new();
    for scope in scopes {
        if !kept.contains(&scope) {
            kept.push(scope);
        }
    }
    kept.join(" ")
}

fn protocol_scopes(scope: &str) -> impl Iterator<Item = &str> {
    scope.split_whitespace().filter(|name| PROTOCOL_SCOPES.contains(name))
}

fn owned(policy: &MrrtPolicy) -> impl Iterator<Item = &str> {
    policy.scope.iter().map(String::as_str)
}

#[cfg(test)]
mod tests {
    use super::*;

    const API: &str = "api";
    const BILLING: &str = "billing";

    fn policy(audience: &str, scope: &str) -> MrrtPolicy {
        MrrtPolicy { audience: audience.to_owned(), scope: vec![scope.to_owned()] }
    }

    /// Asks for an audience and scopes, `-` for none, and reads the grant back as a line.
    fn ask(unknown: UnknownAudience, audience: &str, scope: &str) -> String {
        let login = Granted { audience: API.into(), scope: "openid profile read:messages".into() };
        let policies = [policy(API, "write:messages"), policy(BILLING, "read:billing")];
        let given = |word: &'static str| move |text: &&str| *text != word;
        let audience = Some(audience).filter(given("-"));
        let scope = Some(scope).filter(given("-"));
        match evaluate(&login, &policies, unknown, audience, scope) {
            Ok(granted) => format!("{} {}", granted.audience, granted.scope).trim().to_owned(),
            Err(AudienceRejected) => "rejected".to_owned(),
        }
    }

    #[test]
    fn mrrt_follows_the_table() {
        use UnknownAudience::{Fallback, Reject};
        // The numbered rows are the vectors mrrt_server.NNN.
        let table = "
            case                      | unknown  | audience | scope              | granted
            002                       | fallback | -        | -                  | api openid profile read:messages write:messages
            003                       | fallback | billing  | -                  | billing openid profile read:billing
            005                       | fallback | -        | read:messages      | api read:messages
            006                       | fallback | other    | -                  | api openid profile read:messages write:messages
            006, second mode          | reject   | other    | -                  | rejected
            the login's own audience  | reject   | api      | -                  | api openid profile read:messages write:messages
            an unknown scope          | fallback | billing  | read:billing admin | billing read:billing
            another API's scope       | fallback | billing  | read:messages      | billing
            a blank scope is none     | fallback | -        |                    | api openid profile read:messages write:messages
        ";
        let mut asked = 0;
        for row in table.lines().map(str::trim).filter(|row| !row.is_empty()).skip(1) {
            let [_, unknown, audience, scope, granted] =
                *row.split('|').map(str::trim).collect::<Vec<_>>()
            else {
                panic!("{row}")
            };
            let unknown = if unknown == "reject" { Reject } else { Fallback };
            assert_eq!(ask(unknown, audience, scope), granted, "{row}");
            asked += 1;
        }
        assert_eq!(asked, 9);
    }

    #[test]
    fn scopes_unknown_to_the_audience_are_dropped_only_when_filtering() {
        let own = ["read:messages".to_owned()];
        let asked = "openid read:messages admin read:messages";
        assert_eq!(known_scopes(asked, &own, true), "openid read:messages");
        assert_eq!(known_scopes(asked, &own, false), "openid read:messages admin");
    }
}
