//! A strict provider: it rotates, and revokes a family when a spent refresh token comes back
//! outside the reuse window, or when it is not the parent of the newest one.

use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;

use tokenward_core::grant::{AccessClaims, Grant, Malformed, Reply, Unheard};
use tokenward_core::name::Audience;
use tokenward_core::refusal::{MfaDemand, Refusal};
use tokenward_core::secret::{AccessToken, RefreshToken};
use tokenward_core::session::Need;
use tokenward_core::time::Instant;

use super::factor::Factors;
use super::line::Twist;

/// The provider with its family of refresh tokens.
#[derive(Debug)]
pub(crate) struct Provider {
    pub(crate) window: Duration,
    pub(crate) life: Duration,
    pub(crate) mfa: BTreeSet<Audience>,
    pub(crate) next: VecDeque<Twist>,
    pub(crate) always: Option<Twist>,
    pub(crate) revoked: Option<Revoked>,
    pub(super) issued: Vec<Issued>,
    access: u64,
    pub(crate) factors: Factors,
}

/// How the family ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Revoked {
    /// We asked for it.
    OnRequest,
    /// A refresh token came back that must not.
    Reuse(Reuse),
}

/// What was wrong with a refresh token that came back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reuse {
    /// Its parent has brought a newer one since.
    OlderSibling { newest: usize },
    /// The one that it brought has been spent.
    ChildSpent { at: Instant },
    /// It was spent first at this moment, and the window is over.
    AfterWindow { since: Instant },
}

#[derive(Debug, Default)]
pub(super) struct Issued {
    parent: Option<usize>,
    used_at: Option<Instant>,
    newest_child: Option<usize>,
}

impl Provider {
    pub(crate) fn new() -> Self {
        let root = Issued { parent: None, used_at: None, newest_child: None };
        Self {
            window: Duration::from_secs(60),
            life: Duration::from_secs(3600),
            mfa: BTreeSet::new(),
            next: VecDeque::new(),
            always: None,
            revoked: None,
            issued: vec![root],
            access: 0,
            factors: Factors::default(),
        }
    }

    /// Takes the twist for the request that leaves.
    pub(crate) fn twist(&mut self) -> Option<Twist> {
        self.next.pop_front().or_else(|| self.always.clone())
    }

    /// Decides about a request that has arrived, and what is told of it.
    pub(crate) fn decide(
        &mut self,
        presented: &RefreshToken,
        need: &Need,
        twist: Option<&Twist>,
        now: Instant,
    ) -> Option<Reply> {
        if let Some(Twist::Says(status, error, wait)) = twist {
            let (status, error, wait) = (*status, error.clone(), *wait);
            return Some(Reply::Refused(Refusal { status, error, wait, ..Refusal::default() }));
        }
        let place = serial(presented);
        if let Err(refusal) = self.may_spend(place, need, now) {
            return Some(Reply::Refused(*refusal));
        }
        // Who rotates at all rotates again for a token that was spent before.
        let rotates = !matches!(twist, Some(Twist::Keeps)) || self.issued[place].used_at.is_some();
        let refresh_token = rotates.then(|| self.rotate(place, now));
        match twist {
            Some(Twist::Lost) => None,
            Some(Twist::Cut) => Some(Reply::Unheard(Unheard::ConnectionLost)),
            Some(Twist::SpentBehind502) => {
                Some(Reply::Refused(Refusal { status: 502, ..Refusal::default() }))
            }
            Some(Twist::Garbage) => {
                let why = "no access_token";
                Some(Reply::Malformed(Malformed { refresh_token: None, why }))
            }
            Some(Twist::Salvage) => {
                let why = "no access_token";
                Some(Reply::Malformed(Malformed { refresh_token, why }))
            }
            _ => Some(Reply::Granted(Box::new(self.grant(need, refresh_token, twist)))),
        }
    }

    /// Revokes the family of a living refresh token; a spent one is not found, and nothing is said.
    pub(crate) fn revoke(&mut self, refresh_token: &RefreshToken) {
        let token = &self.issued[serial(refresh_token)];
        if token.used_at.is_none() && self.revoked.is_none() {
            self.revoked = Some(Revoked::OnRequest);
        }
    }

    /// Returns the number of the refresh token that was issued last.
    pub(crate) fn newest(&self) -> usize {
        self.issued.len() - 1
    }

    fn may_spend(&mut self, place: usize, need: &Need, now: Instant) -> Result<(), Box<Refusal>> {
        let dead =
            Refusal { status: 403, error: Some("invalid_grant".to_owned()), ..Refusal::default() };
        if self.revoked.is_some() {
            return Err(Box::new(dead));
        }
        if let Some(reuse) = self.reuse(place, now) {
            self.revoked = Some(Revoked::Reuse(reuse));
            return Err(Box::new(dead));
        }
        if self.mfa.contains(&need.audience) {
            let demand = MfaDemand {
                mfa_token: Some(self.factors.demand(need)),
                challenge: vec!["otp".to_owned()],
                ..MfaDemand::default()
            };
            let (status, error) = (403, Some("mfa_required".to_owned()));
            return Err(Box::new(Refusal {
                status,
                error,
                mfa: Some(demand),
                ..Refusal::default()
            }));
        }
        Ok(())
    }

    fn reuse(&self, place: usize, now: Instant) -> Option<Reuse> {
        let token = &self.issued[place];
        let newest = token.parent.and_then(|parent| self.issued[parent].newest_child);
        let child_spent = token.newest_child.and_then(|child| self.issued[child].used_at);
        match (newest.filter(|newest| *newest != place), child_spent, token.used_at) {
            (Some(newest), ..) => Some(Reuse::OlderSibling { newest }),
            (None, Some(at), _) => Some(Reuse::ChildSpent { at }),
            (None, None, Some(since)) if now.since(since) > self.window => {
                Some(Reuse::AfterWindow { since })
            }
            (None, None, Some(_) | None) => None,
        }
    }

    pub(super) fn rotate(&mut self, place: usize, now: Instant) -> RefreshToken {
        let child = self.issued.len();
        let token = &mut self.issued[place];
        token.used_at.get_or_insert(now);
        token.newest_child = Some(child);
        self.issued.push(Issued { parent: Some(place), used_at: None, newest_child: None });
        RefreshToken::new(&format!("r{child}"))
    }

    pub(super) fn grant(
        &mut self,
        need: &Need,
        refresh: Option<RefreshToken>,
        twist: Option<&Twist>,
    ) -> Grant {
        self.access += 1;
        let (mut lifetime, mut granted) = (self.life, need.scopes.clone());
        let (mut audience, mut subject) = (need.audience.to_string(), "alice".to_owned());
        match twist {
            Some(Twist::Lives(life)) => lifetime = *life,
            Some(Twist::Grants(scopes)) => granted = scopes.clone(),
            Some(Twist::For(other)) => audience = other.clone(),
            Some(Twist::Of(other)) => subject = other.clone(),
            _ => {}
        }
        Grant {
            access_token: AccessToken::new(&format!("{}.{}", need.audience, self.access)),
            lifetime: Some(lifetime),
            granted: Some(granted),
            refresh_token: refresh,
            id_token: None,
            claims: Some(AccessClaims {
                audiences: vec![audience],
                subject: Some(subject),
                issuer: None,
            }),
            ceiling: None,
            proof: None,
            recovery_code: None,
        }
    }
}

/// Returns the number in a refresh token's name.
pub(crate) fn serial(refresh_token: &RefreshToken) -> usize {
    refresh_token.spend()[1..].parse().unwrap()
}
