//! The grants that complete a demand (WIRE a2).

use axum::response::Response;

use crate::hold;
use crate::ledger::{Entry, Kind};
use crate::provider::family::Second;
use crate::provider::refusal::{self as refusals, Refusal, invalid_request};
use crate::provider::registry::Client;
use crate::provider::{Code, Params, Provider, family_name};

use super::factor::{Factor, FactorKind};
use super::{Context, OTP_GRANT, Origin, RECOVERY_GRANT, refusal};

/// A factor that was just given.
struct Proof {
    kind: FactorKind,
    /// The recovery code that replaces the used one.
    recovery_code: Option<String>,
}

impl Provider {
    /// Answers one of the three MFA grants.
    pub(crate) fn verify(
        &self,
        client: &Client,
        params: &Params,
        grant_type: &str,
    ) -> Result<Response, Refusal> {
        let mfa_token = required(params, "mfa_token")?;
        let context = self.opened(mfa_token, &client.client_id);
        let context = context.inspect_err(|refused| {
            self.verification_refused(client, None, Kind::MfaTokenRefused, refused);
        })?;
        let proof = self.proof(&context, mfa_token, params, grant_type);
        let proof = proof.inspect_err(|refused| {
            let kind = self.outcome(&context.subject, grant_type, *refused);
            self.verification_refused(client, Some(&context.subject), kind, refused);
        })?;
        if !self.claim(mfa_token) {
            return Err(refusal::MALFORMED);
        }
        let verified = match grant_type {
            OTP_GRANT => Kind::OtpVerified,
            RECOVERY_GRANT => Kind::RecoveryVerified,
            _ => Kind::OobVerified,
        };
        if let Some(chain_left) = context.chain_left.checked_sub(1) {
            self.note(verified, &context.subject, "chained");
            let Context { client: owner, subject, origin, requirements, .. } = context;
            let context = self.context(&owner, subject, origin, requirements, chain_left);
            let client = Some(client.client_id.clone());
            return Ok(self.demand(context, Entry { client, ..Entry::default() }));
        }
        self.complete(client, context, proof, verified)
    }

    fn proof(
        &self,
        context: &Context,
        mfa_token: &str,
        params: &Params,
        grant_type: &str,
    ) -> Result<Proof, Refusal> {
        match grant_type {
            OTP_GRANT => {
                let otp = required(params, "otp")?;
                self.check_rate(&context.subject)?;
                self.otp(context, otp)
            }
            RECOVERY_GRANT => {
                let recovery_code = required(params, "recovery_code")?;
                self.check_rate(&context.subject)?;
                self.recovery(context, recovery_code)
            }
            _ => {
                let oob_code = required(params, "oob_code")?;
                let binding_code = params.get("binding_code").filter(|code| !code.is_empty());
                self.oob(context, mfa_token, oob_code, binding_code.map(String::as_str))
            }
        }
    }

    /// One of an enrolment that was not confirmed serves where the user has no other.
    pub(super) fn otp_serves(&self, subject: &str, otp: &str) -> Option<String> {
        let unix_s = self.clock.unix_s(self.clock.now_ms());
        let mut tenant = hold(&self.tenant);
        let single_use = tenant.settings.mfa.otp_single_use;
        let user = tenant.subject_mut(subject)?;
        let enrolled = user.enrolled();
        let serving =
            |factor: &&mut Factor| factor.kind == FactorKind::Otp && (factor.active || !enrolled);
        let mut serving = user.factors.iter_mut().filter(serving);
        serving.find_map(|factor| factor.accept(otp, unix_s, single_use).then(|| factor.id.clone()))
    }

    fn otp(&self, context: &Context, otp: &str) -> Result<Proof, Refusal> {
        if !context.accepts(FactorKind::Otp) {
            return Err(refusal::WRONG_OTP);
        }
        let id = self.otp_serves(&context.subject, otp).ok_or(refusal::WRONG_OTP)?;
        self.confirm(&context.subject, &id);
        Ok(Proof { kind: FactorKind::Otp, recovery_code: None })
    }

    /// Uses up a recovery code and returns the one that replaces it.
    pub(super) fn recover(&self, subject: &str, recovery_code: &str) -> Option<String> {
        let mut tenant = hold(&self.tenant);
        let user = tenant.subject_mut(subject)?;
        let typed = recovery_code.trim().to_ascii_uppercase();
        let used = user.factors.iter_mut().find(|factor| {
            factor.kind == FactorKind::RecoveryCode
                && factor.active
                && factor.secret.as_ref() == Some(&typed)
        })?;
        used.secret = Some(super::factor::letters::<24>());
        used.secret.clone()
    }

    fn recovery(&self, context: &Context, recovery_code: &str) -> Result<Proof, Refusal> {
        let kind = FactorKind::RecoveryCode;
        let accepted = context.accepts(kind);
        let new = accepted.then(|| self.recover(&context.subject, recovery_code)).flatten();
        let recovery_code = Some(new.ok_or(refusal::WRONG_RECOVERY)?);
        Ok(Proof { kind, recovery_code })
    }

    fn oob(
        &self,
        context: &Context,
        mfa_token: &str,
        oob_code: &str,
        binding_code: Option<&str>,
    ) -> Result<Proof, Refusal> {
        let now_ms = self.clock.now_ms();
        let interval_s = hold(&self.tenant).settings.mfa.push_interval_s;
        let (kind, factor) = {
            let mut desk = hold(&self.desk);
            let challenge = desk.oob.look(oob_code, now_ms);
            let living = challenge.filter(|challenge| {
                challenge.mfa_token == mfa_token && challenge.expires_at_ms > now_ms
            });
            let challenge = living.ok_or(refusal::WRONG_OOB)?;
            if let Some(right) = challenge.binding_code.clone() {
                let typed = binding_code.ok_or(refusal::NO_BINDING)?;
                drop(desk);
                self.check_rate(&context.subject)?;
                if typed.trim() != right {
                    return Err(refusal::WRONG_BINDING);
                }
            } else {
                let interval_ms = interval_s.saturating_mul(1000);
                let gap = |at_ms| now_ms.saturating_sub(at_ms) < interval_ms;
                let too_fast = challenge.polled_at_ms.is_some_and(gap);
                match challenge.decision {
                    Some(true) => {}
                    Some(false) => {
                        desk.oob.take(oob_code, now_ms);
                        return Err(refusal::REJECTED);
                    }
                    // A poll that came too early does not move the reference time.
                    None if too_fast => return Err(refusal::SLOW_DOWN),
                    None => {
                        challenge.polled_at_ms = Some(now_ms);
                        return Err(refusal::PENDING);
                    }
                }
                drop(desk);
            }
            let taken = hold(&self.desk).oob.take(oob_code, now_ms);
            let taken = taken.ok_or(refusal::WRONG_OOB)?;
            (taken.kind, taken.factor)
        };
        self.confirm(&context.subject, &factor);
        Ok(Proof { kind, recovery_code: None })
    }

    fn check_rate(&self, subject: &str) -> Result<(), Refusal> {
        let rate = {
            let mfa = &hold(&self.tenant).settings.mfa;
            (mfa.failed_otp_burst, mfa.failed_otp_refill_s.saturating_mul(1000))
        };
        let now_ms = self.clock.now_ms();
        let may_try = hold(&self.desk).limits.may_try(subject, rate, now_ms);
        may_try.then_some(()).ok_or(refusal::TOO_MANY_ATTEMPTS)
    }

    /// Returns what a refusal is noted as, and counts a wrong code.
    fn outcome(&self, subject: &str, grant_type: &str, refused: Refusal) -> Kind {
        if refused == refusal::TOO_MANY_ATTEMPTS {
            return Kind::MfaRateLimited;
        }
        if refused == refusal::PENDING {
            return Kind::MfaPending;
        }
        if refused == refusal::SLOW_DOWN {
            return Kind::MfaSlowDown;
        }
        if refused == refusal::REJECTED {
            return Kind::MfaRejected;
        }
        let wrong = [refusal::WRONG_OTP, refusal::WRONG_BINDING, refusal::WRONG_RECOVERY];
        if !wrong.contains(&refused) {
            return Kind::MfaBadRequest;
        }
        let burst = hold(&self.tenant).settings.mfa.failed_otp_burst;
        hold(&self.desk).limits.was_wrong(subject, burst, self.clock.now_ms());
        match grant_type {
            OTP_GRANT => Kind::OtpWrong,
            RECOVERY_GRANT => Kind::RecoveryWrong,
            _ => Kind::OobWrong,
        }
    }

    fn verification_refused(
        &self,
        client: &Client,
        subject: Option<&str>,
        kind: Kind,
        refused: &Refusal,
    ) {
        let (client, subject) = (Some(client.client_id.clone()), subject.map(str::to_owned));
        let detail = Some(refused.description.to_owned());
        self.log(kind, Entry { client, subject, detail, ..Entry::default() });
    }

    fn complete(
        &self,
        client: &Client,
        context: Context,
        proof: Proof,
        verified: Kind,
    ) -> Result<Response, Refusal> {
        let now_ms = self.clock.now_ms();
        let second = Second { at_ms: now_ms, kind: proof.kind };
        let (family, audience, scope) = match context.origin {
            Origin::Refresh { family, audience, scope } => (family, audience, scope),
            Origin::Code(code, kind) => {
                self.note(verified, &context.subject, proof.kind.requirement());
                let Code { request, mut browser, .. } = *code;
                browser.second = Some(second);
                let code = Code { request, browser, settled: true };
                return Ok(self.sign_in_answer(code, client, kind, proof.recovery_code).0);
            }
        };
        let asked = (client.client_id.as_str(), audience.as_deref(), scope.as_deref());
        let stepped = hold(&self.tenant).step_up(family, asked, second, now_ms);
        let entry = Entry {
            family: Some(family_name(family)),
            client: Some(client.client_id.clone()),
            detail: Some(proof.kind.requirement().to_owned()),
            ..Entry::default()
        };
        match stepped {
            Ok(refreshed) => {
                let generation = refreshed.next.map_or(refreshed.latest, |next| next - 1);
                let entry = Entry { generation: Some(generation), ..entry };
                let told = (verified, proof.recovery_code);
                Ok(self.refreshed(client, family, &refreshed, entry, told))
            }
            Err(refused) => Err(self.refresh_refused(refused, entry)),
        }
    }
}

fn required<'a>(params: &'a Params, name: &'static str) -> Result<&'a str, Refusal> {
    let given = params.get(name).map(String::as_str).filter(|value| !value.is_empty());
    given.ok_or(match name {
        "mfa_token" => invalid_request("Missing required parameter: mfa_token"),
        "otp" => invalid_request("Missing required parameter: otp"),
        "oob_code" => invalid_request("Missing required parameter: oob_code"),
        "recovery_code" => invalid_request("Missing required parameter: recovery_code"),
        _ => refusals::UNREADABLE,
    })
}
