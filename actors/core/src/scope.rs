//! Scopes: what is asked, what is granted, and whether one covers the other.

use std::fmt;
use std::sync::Arc;

/// The scopes that speak to the provider rather than to an API.
///
/// Providers filter them per audience, so their absence from a grant says nothing about what the
/// access token may do at the API (OpenID Connect Core §5.4 and §11; `online_access` is Auth0's).
pub const PROTOCOL_SCOPES: [&str; 7] =
    ["openid", "profile", "email", "address", "phone", "offline_access", "online_access"];

/// A set of scopes in the order in which they were first named (RFC 6749 §3.3). A clone shares it.
#[derive(Clone, Default)]
pub struct ScopeSet(Arc<[Box<str>]>);

impl ScopeSet {
    /// Parses a scope string: any ASCII white space separates, repetitions are dropped.
    pub fn parse(text: &str) -> Self {
        Self::collect(text.split_ascii_whitespace())
    }

    /// Returns the scopes of `self`, then those of `other` that are new.
    pub fn merge(&self, other: &ScopeSet) -> Self {
        Self::collect(self.iter().chain(other.iter()))
    }

    /// Returns the scopes that an API would check: all but the [`PROTOCOL_SCOPES`].
    pub fn resource(&self) -> Self {
        Self::collect(self.iter().filter(|scope| !PROTOCOL_SCOPES.contains(scope)))
    }

    /// Returns what is in `self` but not in `granted`.
    pub fn missing_from(&self, granted: &ScopeSet) -> Self {
        Self::collect(self.iter().filter(|scope| !granted.contains(scope)))
    }

    /// Reports whether a grant of `self` satisfies a request for `wanted`.
    ///
    /// An empty request means "the provider's default for this audience": an arbitrary scoped
    /// grant does not satisfy it, only an equally unscoped one does.
    pub fn covers(&self, wanted: &ScopeSet) -> bool {
        if wanted.is_empty() {
            return self.is_empty();
        }
        wanted.iter().all(|scope| self.contains(scope))
    }

    /// Reports whether `scope` is in the set.
    pub fn contains(&self, scope: &str) -> bool {
        self.iter().any(|own| own == scope)
    }

    /// Reports whether there is no scope at all.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns the number of scopes.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Returns the scopes in order.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(AsRef::as_ref)
    }

    fn collect<'a>(scopes: impl Iterator<Item = &'a str>) -> Self {
        let mut kept: Vec<Box<str>> = Vec::new();
        for scope in scopes {
            if !kept.iter().any(|own| **own == *scope) {
                kept.push(Box::from(scope));
            }
        }
        Self(kept.into())
    }
}

/// Two sets are equal when they hold the same scopes, in whatever order.
impl PartialEq for ScopeSet {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
            || self.len() == other.len() && self.iter().all(|scope| other.contains(scope))
    }
}

impl Eq for ScopeSet {}

impl fmt::Display for ScopeSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join(" "))
    }
}

impl fmt::Debug for ScopeSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.0.join(" "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parsing_splits_on_any_blank_and_keeps_the_first_of_each() {
        for (text, expected) in
            [("", ""), ("a", "a"), ("  a   b ", "a b"), ("a\tb\nc", "a b c"), ("a a b a", "a b")]
        {
            assert_eq!(ScopeSet::parse(text).to_string(), expected, "{text:?}");
        }
    }

    #[test]
    fn merging_keeps_the_order() {
        let merged = ScopeSet::parse("c b").merge(&ScopeSet::parse("b a"));
        assert_eq!(merged.to_string(), "c b a");
    }

    #[test]
    fn coverage_table() {
        for (have, want, covered) in [
            ("a b", "a", true),
            ("a b", "b a", true),
            ("", "", true),
            ("", "a", false),
            ("a b", "", false),
            ("a b", "a b c", false),
        ] {
            let (have, want) = (ScopeSet::parse(have), ScopeSet::parse(want));
            assert_eq!(have.covers(&want), covered, "{have:?} covers {want:?}");
        }
    }

    #[test]
    fn only_resource_scopes_count_for_an_api() {
        let asked = ScopeSet::parse("openid profile email offline_access read:a");
        assert_eq!(asked.resource().to_string(), "read:a");
        let granted = ScopeSet::parse("openid read:a");
        assert!(asked.resource().missing_from(&granted).is_empty());
    }
}
