//! Exchanging a refresh token: what rules, families and policies make of it.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::provider::family::{FamilyId, Grant, Presented, Refused, Second};
use crate::provider::mfa::matrix::{self, Decision, Requirements, Transaction};
use crate::provider::mfa::settings::Protocol;
use crate::provider::policy::{self, Granted};

use super::Tenant;

/// A refresh that was granted.
#[derive(Clone, Debug)]
pub struct Refreshed {
    /// What the login granted.
    pub grant: Arc<Grant>,
    /// What this request is granted.
    pub granted: Granted,
    /// The generation of the new refresh token, where one is issued.
    pub next: Option<u32>,
    /// The newest generation.
    pub latest: u32,
    /// Whether the token presented was the previous one.
    pub fork: bool,
}

/// Why a refresh was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RefreshRefused {
    /// The token is no token of a living family of this client.
    Unknown,
    /// The token was spent before; its family has just been revoked.
    Reused,
    /// The user was deleted.
    UserGone,
    /// The audience is outside the policies and the tenant rejects those; the token was not spent.
    Audience,
    /// A second factor is demanded; the token was not spent.
    SecondFactor(Requirements),
    /// A rule refused; the token was not spent.
    Denied,
    /// A rule revoked the family.
    RevokedByRule,
}

impl Tenant {
    /// Exchanges a refresh token.
    ///
    /// # Errors
    /// [`RefreshRefused`]; a reuse revokes the family, the other refusals change nothing.
    pub fn refresh(
        &mut self,
        presented: (FamilyId, u32),
        client: &str,
        audience: Option<&str>,
        scope: Option<&str>,
        now_ms: u64,
    ) -> Result<Refreshed, RefreshRefused> {
        self.exchange(presented, (client, audience, scope), None, now_ms)
    }

    /// Exchanges for a family whose user has just given a second factor: the family rotates,
    /// whatever its generation, and remembers the factor.
    ///
    /// # Errors
    /// [`RefreshRefused`], as a refresh, but for demands of rules: they have been met.
    pub fn step_up(
        &mut self,
        family: FamilyId,
        (client, audience, scope): (&str, Option<&str>, Option<&str>),
        second: Second,
        now_ms: u64,
    ) -> Result<Refreshed, RefreshRefused> {
        let latest = self.families.get(&family).ok_or(RefreshRefused::Unknown)?.latest();
        self.exchange((family, latest), (client, audience, scope), Some(second), now_ms)
    }

    /// Decides whether a transaction of a client is challenged.
    #[must_use]
    pub fn decide(
        &self,
        protocol: Protocol,
        client: &str,
        subject: &str,
        audience: &str,
        mfa_age_ms: Option<u64>,
    ) -> Decision {
        const NOTHING: &BTreeMap<String, String> = &BTreeMap::new();
        let metadata = self.client(client).map_or(NOTHING, |client| &client.metadata);
        let factors = self.factors(subject);
        let asked = Transaction { protocol, client, metadata, audience, factors, mfa_age_ms };
        matrix::decide(&self.settings.mfa, &asked)
    }

    fn exchange(
        &mut self,
        (id, generation): (FamilyId, u32),
        (client, audience, scope): (&str, Option<&str>, Option<&str>),
        second: Option<Second>,
        now_ms: u64,
    ) -> Result<Refreshed, RefreshRefused> {
        // What comes of it is tried on a copy, so that a demand spends nothing.
        let mut family = self.families.get(&id).ok_or(RefreshRefused::Unknown)?.clone();
        if family.grant.client != client {
            return Err(RefreshRefused::Unknown);
        }
        if self.deleted_subjects.contains(&family.grant.subject) {
            return Err(RefreshRefused::UserGone);
        }
        let granted = self.evaluate(&family.grant, audience, scope)?;
        let (next, fork) = match family.present(generation, now_ms, &self.settings) {
            Presented::Kept => (None, false),
            Presented::Rotated(generation) => (Some(generation), false),
            Presented::Forked(generation) => (Some(generation), true),
            Presented::Refused(refused) => {
                self.families.insert(id, family);
                return Err(match refused {
                    Refused::Reused => RefreshRefused::Reused,
                    Refused::Ended | Refused::Expired | Refused::Idle => RefreshRefused::Unknown,
                });
            }
        };
        match second {
            Some(second) => Arc::make_mut(&mut family.grant).second = Some(second),
            None => self.check_rules(id, &family.grant, &granted.audience, now_ms)?,
        }
        let (grant, latest) = (Arc::clone(&family.grant), family.latest());
        self.families.insert(id, family);
        Ok(Refreshed { grant, granted, next, latest, fork })
    }

    fn evaluate(
        &self,
        grant: &Grant,
        audience: Option<&str>,
        scope: Option<&str>,
    ) -> Result<Granted, RefreshRefused> {
        let settings = &self.settings;
        let login = Granted { audience: grant.audience.clone(), scope: grant.scope.clone() };
        policy::evaluate(&login, &settings.mrrt, settings.unknown_audience, audience, scope)
            .map_err(|policy::AudienceRejected| RefreshRefused::Audience)
    }

    fn check_rules(
        &mut self,
        family: FamilyId,
        grant: &Grant,
        audience: &str,
        now_ms: u64,
    ) -> Result<(), RefreshRefused> {
        let age_ms = grant.second.map(|second| now_ms.saturating_sub(second.at_ms));
        let decision =
            self.decide(Protocol::Refresh, &grant.client, &grant.subject, audience, age_ms);
        match decision {
            Decision::Pass => Ok(()),
            Decision::Demand(requirements) => Err(RefreshRefused::SecondFactor(requirements)),
            Decision::Deny => Err(RefreshRefused::Denied),
            Decision::Revoke => {
                self.end(family);
                Err(RefreshRefused::RevokedByRule)
            }
        }
    }
}
