//! Factors: what people show, and what the provider makes of it.

use std::collections::BTreeSet;
use std::time::Duration;

use tokenward_core::grant::{AccessClaims, Reply, Unheard};
use tokenward_core::name::{Audience, WaiterId};
use tokenward_core::policy::MfaPolicy;
use tokenward_core::refusal::{MfaDemand, Refusal};
use tokenward_core::secret::{MfaToken, Passcode, RefreshToken};
use tokenward_core::session::demand::Demanded;
use tokenward_core::session::exchange::TokenRequest;
use tokenward_core::session::{Input, Need, Want};
use tokenward_core::step_up::{
    Code, ContextId, Errand, Evidence, Proof, Report, StepUp, Strength, Way,
};
use tokenward_core::time::Instant;

use super::World;
use super::line::{self, Twist};
use super::provider::{Issued, Provider, serial};

/// What a person does.
#[derive(Clone, Debug)]
pub(crate) enum Verb {
    /// Shows a factor for what is held.
    Verifies(u64, Need, Evidence),
    /// Shows a factor for a demand that nobody knows.
    VerifiesUnknown(u64),
    /// Comes back from the provider.
    Returns(u64, Need, String),
    /// Opens the page again.
    Renews(u64, Need),
    /// Answers on the phone, or refuses to.
    Phone(bool),
    /// The provider wants one more factor than the next one.
    Chains,
    /// The operator asks for a factor.
    Needs(Audience, MfaPolicy),
    /// The API refuses what it was sent for want of a class.
    ApiDemands(u64, Need, String),
}

/// What the provider knows of factors.
#[derive(Debug, Default)]
pub(crate) struct Factors {
    demands: u8,
    used: BTreeSet<ContextId>,
    answered: Option<bool>,
    chains: bool,
    /// The refresh tokens of other people.
    pub(crate) strays: BTreeSet<usize>,
}

impl Factors {
    /// Opens a demand.
    pub(crate) fn demand(&mut self, _need: &Need) -> MfaToken {
        self.demands += 1;
        let id = ContextId([self.demands; 32]);
        MfaToken::new(&format!("m{}", self.demands), id)
    }
}

/// Reads one happening.
pub(crate) fn parse(words: &[&str]) -> Option<Verb> {
    let waiter = |text: &str| text.strip_prefix('#')?.parse().ok();
    Some(match words {
        [who, "verifies", "something", "unknown"] => Verb::VerifiesUnknown(waiter(who)?),
        [who, "verifies", what, "by", how @ ..] => {
            Verb::Verifies(waiter(who)?, line::need(what), evidence(how)?)
        }
        [who, "returns", "for", what, "as", code @ ..] => {
            Verb::Returns(waiter(who)?, line::need(what), code.join(" "))
        }
        [who, "renews", what] => Verb::Renews(waiter(who)?, line::need(what)),
        ["phone", "approves"] => Verb::Phone(true),
        ["phone", "rejects"] => Verb::Phone(false),
        ["provider", "chains"] => Verb::Chains,
        ["needs", audience, "from", policy @ ..] => {
            Verb::Needs(line::need(audience).audience, self::policy(policy)?)
        }
        [who, "is", "told", "by", "the", "API", "of", what, "to", "bring", class] => {
            Verb::ApiDemands(waiter(who)?, line::need(what), (*class).to_owned())
        }
        _ => return None,
    })
}

fn evidence(how: &[&str]) -> Option<Evidence> {
    Some(match how {
        ["otp", code] => Evidence::Otp(Passcode::new(code)),
        ["push"] => Evidence::Oob { oob_code: Passcode::new("push"), binding_code: None },
        ["push", "spent"] => Evidence::Oob { oob_code: Passcode::new("spent"), binding_code: None },
        ["recovery", code] => Evidence::Recovery(Passcode::new(code)),
        _ => return None,
    })
}

fn policy(words: &[&str]) -> Option<MfaPolicy> {
    let classes: Vec<String> = Vec::new();
    Some(match words {
        ["the", "provider"] => MfaPolicy::Provider,
        ["each", "session"] => MfaPolicy::Session { classes, remember: None },
        ["each", "session", "for", span] => {
            MfaPolicy::Session { classes, remember: Some(line::span(span)) }
        }
        ["each", "token"] => MfaPolicy::Always { classes },
        ["within", span] => MfaPolicy::MaxAge { max_age: line::span(span), classes },
        ["within", span, class] => {
            MfaPolicy::MaxAge { max_age: line::span(span), classes: vec![(*class).to_owned()] }
        }
        _ => return None,
    })
}

/// Writes what a flight does, as a story has it.
pub(crate) fn told(what: &str, errand: &Errand) -> String {
    match errand {
        Errand::Refresh => format!("ask {what}"),
        Errand::Verify { mfa_token, .. } => format!("verify {what} with {}", mfa_token.expose()),
        Errand::Code(code) => format!("exchange code for {what} ({})", code.code.expose()),
    }
}

impl World {
    pub(super) fn factor(&mut self, machine: usize, verb: Verb) {
        match verb {
            Verb::Verifies(waiter, need, evidence) => {
                self.activate(machine);
                let held = self.machines[machine].session.as_ref().and_then(|session| {
                    let mut holds = session.snapshot().holds.iter();
                    holds.find(|hold| hold.need() == need)?.context.as_ref().map(|c| c.id())
                });
                let context = held.unwrap_or(ContextId([0xff; 32]));
                self.step(machine, waiter, Way::Verify { context, evidence, factor: None });
            }
            Verb::VerifiesUnknown(waiter) => {
                let context = ContextId([0xee; 32]);
                let evidence = Evidence::Otp(Passcode::new("right"));
                self.step(machine, waiter, Way::Verify { context, evidence, factor: None });
            }
            Verb::Returns(waiter, need, code) => {
                let code = Code {
                    code: Passcode::new(&code),
                    code_verifier: Passcode::new("v"),
                    redirect_uri: String::new(),
                    nonce: String::new(),
                };
                self.step(machine, waiter, Way::Return { need, code });
            }
            Verb::Renews(waiter, need) => {
                self.activate(machine);
                self.oracle.operator_retried(false, self.now);
                let now = self.machines[machine].clock.at(self.now);
                let (deadline, latest) = (now + PATIENCE, now + PATIENCE * 3);
                let want =
                    Want { waiter: WaiterId(waiter), need, replaces: None, deadline, latest };
                self.oracle.wants(machine, waiter, &want.need, latest, true, self.now);
                self.input(machine, Input::Renew(want));
            }
            Verb::Phone(answer) => self.provider.factors.answered = Some(answer),
            Verb::Chains => self.provider.factors.chains = true,
            Verb::Needs(audience, policy) => {
                self.oracle.people_are_asked();
                self.needs(audience, policy);
            }
            Verb::ApiDemands(waiter, need, class) => {
                self.oracle.people_are_asked();
                let strength = Strength::of_challenge(vec![class], None);
                let waiter_id = WaiterId(waiter);
                self.oracle.wants(machine, waiter, &need, self.now + PATIENCE, true, self.now);
                let demanded = Demanded { waiter: waiter_id, need, refused: None, strength };
                self.input(machine, Input::Demanded(demanded));
            }
        }
    }

    fn step(&mut self, machine: usize, waiter: u64, way: Way) {
        self.activate(machine);
        let deadline = self.machines[machine].clock.at(self.now) + PATIENCE;
        let step = StepUp { waiter: WaiterId(waiter), way, deadline };
        self.input(machine, Input::StepUp(step));
    }

    pub(super) fn reported(&mut self, machine: usize, waiter: u64, report: &Report) {
        let renewed = matches!(report, Report::Verified { recovery_code: Some(_), .. });
        let more = if renewed { " with a new recovery code" } else { "" };
        self.fact(machine, || format!("#{waiter} steps: {}{more}", report.code()));
    }
}

/// How long a person waits for their turn.
const PATIENCE: Duration = Duration::from_secs(8);

impl Provider {
    /// Decides about a step up that has arrived.
    pub(crate) fn step_up(
        &mut self,
        errand: &Errand,
        request: &TokenRequest,
        twist: Option<&Twist>,
        now: Instant,
    ) -> Option<Reply> {
        if let Some(Twist::Says(status, error, wait)) = twist {
            let (status, error, wait) = (*status, error.clone(), *wait);
            return Some(Reply::Refused(Refusal { status, error, wait, ..Refusal::default() }));
        }
        let decided = match errand {
            Errand::Refresh => return None,
            Errand::Verify { mfa_token, evidence, .. } => {
                self.verifies(mfa_token, evidence, &request.refresh_token, &request.need, now)
            }
            Errand::Code(code) => Ok(self.comes_back(code.code.expose(), &request.need, now)),
        };
        let reply = decided.unwrap_or_else(|refusal| Reply::Refused(*refusal));
        match twist {
            Some(Twist::Lost) => None,
            Some(Twist::Cut) => Some(Reply::Unheard(Unheard::ConnectionLost)),
            Some(_) | None => Some(reply),
        }
    }

    fn verifies(
        &mut self,
        mfa_token: &MfaToken,
        evidence: &Evidence,
        presented: &RefreshToken,
        need: &Need,
        now: Instant,
    ) -> Result<Reply, Box<Refusal>> {
        let no = |error: &str, description: &str| {
            let (error, description) = (Some(error.to_owned()), Some(description.to_owned()));
            Box::new(Refusal { status: 403, error, description, ..Refusal::default() })
        };
        if self.factors.used.contains(&mfa_token.id()) {
            return Err(no("invalid_grant", "Malformed mfa_token"));
        }
        match evidence {
            Evidence::Otp(code) if code.expose() != "right" => {
                return Err(no("invalid_grant", "Invalid otp_code."));
            }
            Evidence::Oob { oob_code, .. } if oob_code.expose() == "spent" => {
                return Err(no("invalid_grant", "Invalid oob_code."));
            }
            Evidence::Oob { .. } => match self.factors.answered {
                None => return Err(no("authorization_pending", "")),
                Some(false) => return Err(no("invalid_grant", "MFA Authorization rejected.")),
                Some(true) => {}
            },
            Evidence::Otp(_) | Evidence::Recovery(_) => {}
        }
        self.factors.used.insert(mfa_token.id());
        if std::mem::take(&mut self.factors.chains) {
            let demand = MfaDemand {
                mfa_token: Some(self.factors.demand(need)),
                challenge: vec!["push-notification".to_owned()],
                is_listed: true,
                ..MfaDemand::default()
            };
            let mut refusal = *no("mfa_required", "");
            refusal.mfa = Some(demand);
            return Err(Box::new(refusal));
        }
        let rotated = self.rotate(serial(presented), now);
        let mut grant = self.grant(need, Some(rotated), None);
        if let Evidence::Recovery(_) = evidence {
            grant.recovery_code = Some(Passcode::new("next"));
        }
        Ok(Reply::Granted(Box::new(grant)))
    }

    /// A code says who came back, with which class, and how long ago they authenticated.
    fn comes_back(&mut self, code: &str, need: &Need, now: Instant) -> Reply {
        let mut words = code.split_whitespace();
        let subject = words.next().unwrap_or_default().to_owned();
        let class = words.next().map(str::to_owned);
        let at = words.next().map(|ago| now - line::span(ago));
        // A family of its own.
        self.issued.push(Issued::default());
        let refresh_token = RefreshToken::new(&format!("r{}", self.newest()));
        if subject != "alice" {
            self.factors.strays.insert(self.newest());
        }
        let mut grant = self.grant(need, Some(refresh_token), None);
        let listed = AccessClaims { subject: Some(subject), ..grant.claims.unwrap_or_default() };
        grant.claims = Some(listed);
        let methods = vec!["pwd".to_owned(), "otp".to_owned()];
        grant.proof = Some(Proof { at, class, methods });
        Reply::Granted(Box::new(grant))
    }
}
