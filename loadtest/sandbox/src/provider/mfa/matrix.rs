//! Who is challenged: policy, rules and Actions (WIRE a8). Pure.

use std::collections::BTreeMap;

use super::factor::Factor;
use super::settings::{MfaPolicy, MfaRule, MfaSettings, Protocol, Then, When};

/// What an Action may challenge with, in the order the vendor lists them.
const CHALLENGES: [&str; 5] = ["otp", "phone", "email", "push-notification", "recovery-code"];

/// What a user may enrol.
const ENROLMENTS: [&str; 4] = ["otp", "phone", "email", "push-notification"];

/// What rules may look at.
#[derive(Clone, Copy, Debug)]
pub struct Transaction<'a> {
    /// The protocol.
    pub protocol: Protocol,
    /// The client.
    pub client: &'a str,
    /// The client's metadata.
    pub metadata: &'a BTreeMap<String, String>,
    /// The audience asked for.
    pub audience: &'a str,
    /// The user's authenticators.
    pub factors: &'a [Factor],
    /// How long ago a second factor was given in this session, in milliseconds.
    pub mfa_age_ms: Option<u64>,
}

/// What comes of a transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// It goes on.
    Pass,
    /// A factor is demanded.
    Demand(Requirements),
    /// It is refused.
    Deny,
    /// It is refused and its refresh token is revoked.
    Revoke,
}

/// Which factors a demand accepts (`mfa_requirements`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Requirements {
    /// Types to be challenged with.
    pub challenge: Vec<String>,
    /// Types to enrol first.
    pub enroll: Vec<String>,
}

/// Decides a transaction: the first rule that matches, and where that says nothing, the policy.
#[must_use]
pub fn decide(settings: &MfaSettings, asked: &Transaction<'_>) -> Decision {
    let rule = settings.rules.iter().find(|rule| rule.when.matches(asked));
    match rule.map(|rule| (rule.then, rule)) {
        Some((Then::Challenge, rule)) => Decision::Demand(challenge(settings, rule, asked)),
        Some((Then::Enroll, rule)) => {
            let enroll = listed(&rule.with, &ENROLMENTS);
            Decision::Demand(Requirements { challenge: Vec::new(), enroll })
        }
        Some((Then::None, _)) => Decision::Pass,
        Some((Then::Deny, _)) => Decision::Deny,
        Some((Then::RevokeRefreshToken, _)) => Decision::Revoke,
        Some((Then::Return, _)) | None => by_policy(settings, asked),
    }
}

/// Returns what a user may answer a demand with that names no list.
#[must_use]
pub fn usual(factors: &[Factor]) -> Requirements {
    let challenge = enrolled(factors);
    let enroll = if challenge.is_empty() { listed(&[], &ENROLMENTS) } else { Vec::new() };
    Requirements { challenge, enroll }
}

fn by_policy(settings: &MfaSettings, asked: &Transaction<'_>) -> Decision {
    let reached = match asked.protocol {
        Protocol::Refresh => settings.policy_applies_to_refresh,
        Protocol::Login | Protocol::Silent | Protocol::DeviceCode => true,
    };
    match settings.policy {
        MfaPolicy::Always if reached => Decision::Demand(usual(asked.factors)),
        MfaPolicy::Always | MfaPolicy::Never => Decision::Pass,
    }
}

fn challenge(settings: &MfaSettings, rule: &MfaRule, asked: &Transaction<'_>) -> Requirements {
    if rule.with.is_empty() {
        return usual(asked.factors);
    }
    let any = rule.with.iter().any(|kind| kind == "any");
    let mut challenge = listed(if any { &[] } else { &rule.with }, &CHALLENGES);
    if settings.intersect_enrolled {
        let has = enrolled(asked.factors);
        challenge.retain(|kind| has.contains(kind));
    }
    Requirements { challenge, enroll: Vec::new() }
}

/// Each type once, in the vendor's order.
fn enrolled(factors: &[Factor]) -> Vec<String> {
    let has = |name: &&&str| {
        factors.iter().any(|factor| factor.active && factor.kind.requirement() == **name)
    };
    CHALLENGES.iter().filter(has).map(|&name| name.to_owned()).collect()
}

fn listed(given: &[String], all: &[&str]) -> Vec<String> {
    if given.is_empty() || given.iter().any(|kind| kind == "any") {
        return all.iter().map(|&name| name.to_owned()).collect();
    }
    given.to_vec()
}

impl When {
    fn matches(&self, asked: &Transaction<'_>) -> bool {
        let among = |names: &[String], name: &str| {
            names.is_empty() || names.iter().any(|listed| listed == name)
        };
        let done = || {
            asked.mfa_age_ms.is_some_and(|age_ms| {
                self.mfa_within_s.is_none_or(|within_s| age_ms < within_s.saturating_mul(1000))
            })
        };
        let enrolled = || asked.factors.iter().any(|factor| factor.active);
        self.protocol.is_none_or(|protocol| protocol == asked.protocol)
            && among(&self.client_ids, asked.client)
            && among(&self.audiences, asked.audience)
            && !self.except_audiences.iter().any(|name| name == asked.audience)
            && self.metadata.iter().all(|(name, fact)| asked.metadata.get(name) == Some(fact))
            && self.mfa_done.is_none_or(|wanted| wanted == done())
            && self.enrolled.is_none_or(|wanted| wanted == enrolled())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// Says what comes of a transaction on an audience, with the age of the last factor.
    fn told(
        settings: &MfaSettings,
        audience: &str,
        protocol: Protocol,
        age_s: Option<u64>,
    ) -> bool {
        let asked = Transaction {
            protocol,
            client: "web",
            metadata: &BTreeMap::new(),
            audience,
            factors: &[],
            mfa_age_ms: age_s.map(|age_s| age_s * 1000),
        };
        decide(settings, &asked) != Decision::Pass
    }

    #[test]
    fn the_rule_of_seed_002_asks_console_once_and_account_always() {
        use Protocol::{Login, Silent};
        let rules = json!([
            {"when": {"mfa_done": true, "except_audiences": ["account"]}, "then": "return"},
            {"then": "challenge"},
        ]);
        let rules = serde_json::from_value(rules).unwrap();
        let mut settings = MfaSettings { rules, ..MfaSettings::default() };
        for (audience, protocol, age_s, demanded) in [
            ("console", Login, None, true),
            ("console", Login, Some(3000), false),
            ("account", Login, Some(1), true),
            ("console", Silent, Some(3000), false),
            ("account", Silent, Some(1), true),
        ] {
            assert_eq!(told(&settings, audience, protocol, age_s), demanded, "{audience}");
        }
        settings.policy = MfaPolicy::Always;
        let asked_again = told(&settings, "console", Silent, Some(3000));
        assert!(asked_again, "the toggle wins where the rule returns early: the poster's trouble");
        settings.rules[0].then = Then::None;
        assert!(
            !told(&settings, "console", Silent, Some(3000)),
            "a directive wins over the toggle"
        );
    }

    #[test]
    fn a_factor_may_grow_old() {
        let rules = json!([
            {"when": {"mfa_done": true, "mfa_within_s": 300}, "then": "return"},
            {"then": "challenge"},
        ]);
        let rules = serde_json::from_value(rules).unwrap();
        let settings = MfaSettings { rules, ..MfaSettings::default() };
        let told = |age_s| told(&settings, "api", Protocol::Refresh, Some(age_s));
        assert_eq!([told(299), told(300)], [false, true]);
    }
}
