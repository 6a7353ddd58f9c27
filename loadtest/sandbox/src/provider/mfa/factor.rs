//! A user's second factors, and the one-time codes of RFC 6238. Pure but for fresh secrets.

use serde::{Deserialize, Serialize};
use totp_rs::{Builder, Secret, Totp};

use crate::provider::seal::{random, random_name};

/// Seconds one time-based code is shown for (RFC 6238 §5.2 recommends 30).
pub const OTP_STEP_S: u64 = 30;

/// Letters of recovery codes and base32, as the vendor writes its recovery codes.
const LETTERS: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

/// What kind of second factor an authenticator is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum FactorKind {
    /// A time-based one-time password.
    Otp,
    /// A code by text message.
    Sms,
    /// A code read out by telephone.
    Voice,
    /// A code by e-mail.
    Email,
    /// A question on the user's telephone.
    Push,
    /// A code kept on paper, good for one use.
    RecoveryCode,
}

/// One authenticator of a user.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Factor {
    /// What it is.
    pub kind: FactorKind,
    /// Its identifier; made where absent.
    #[serde(default)]
    pub id: String,
    /// The base32 secret of a one-time password, or the recovery code; made where absent.
    #[serde(default)]
    pub secret: Option<String>,
    /// The telephone number, address or device name to show.
    #[serde(default)]
    pub name: Option<String>,
    /// Whether its enrolment was confirmed.
    #[serde(default = "yes")]
    pub active: bool,
    /// The last step a one-time password was accepted for: each serves once (RFC 6238 §5.2).
    #[serde(skip)]
    pub last_step: Option<u64>,
}

impl FactorKind {
    /// Returns the authenticator type of the vendor's API.
    #[must_use]
    pub fn authenticator_type(self) -> &'static str {
        match self {
            Self::Otp => "otp",
            Self::Sms | Self::Voice | Self::Email | Self::Push => "oob",
            Self::RecoveryCode => "recovery-code",
        }
    }

    /// Returns the out-of-band channel of the vendor's API.
    #[must_use]
    pub fn channel(self) -> Option<&'static str> {
        match self {
            Self::Sms => Some("sms"),
            Self::Voice => Some("voice"),
            Self::Email => Some("email"),
            Self::Push => Some("auth0"),
            Self::Otp | Self::RecoveryCode => None,
        }
    }

    /// Returns the kind an out-of-band channel stands for.
    #[must_use]
    pub fn of_channel(channel: &str) -> Option<Self> {
        let all = [Self::Sms, Self::Voice, Self::Email, Self::Push];
        all.into_iter().find(|kind| kind.channel() == Some(channel))
    }

    /// Returns the type a demand names it by (`mfa_requirements`).
    #[must_use]
    pub fn requirement(self) -> &'static str {
        match self {
            Self::Otp => "otp",
            Self::Sms | Self::Voice => "phone",
            Self::Email => "email",
            Self::Push => "push-notification",
            Self::RecoveryCode => "recovery-code",
        }
    }

    /// Returns the method for `amr` (RFC 8176 where it has a name).
    #[must_use]
    pub fn method(self) -> &'static str {
        match self {
            Self::Otp => "otp",
            Self::Sms => "sms",
            Self::Voice => "tel",
            Self::Email => "email",
            Self::Push => "push",
            Self::RecoveryCode => "recovery",
        }
    }

    fn prefix(self) -> &'static str {
        match self {
            Self::Otp => "totp",
            Self::Sms => "sms",
            Self::Voice => "voice",
            Self::Email => "email",
            Self::Push => "push",
            Self::RecoveryCode => "recovery-code",
        }
    }
}

impl Factor {
    /// Returns a new authenticator with an identifier and, where its kind has one, a secret.
    #[must_use]
    pub fn new(kind: FactorKind, name: Option<String>, active: bool) -> Self {
        let bare = Self { kind, id: String::new(), secret: None, name, active, last_step: None };
        bare.prepared()
    }

    /// Gives the authenticator the identifier that those enrolled together share.
    #[must_use]
    pub(crate) fn enrolled_with(self, together: &str) -> Self {
        Self { id: format!("{}|dev_{together}", self.kind.prefix()), ..self }
    }

    /// Fills in what was left out.
    #[must_use]
    pub fn prepared(mut self) -> Self {
        if self.id.is_empty() {
            self.id = format!("{}|dev_{}", self.kind.prefix(), random_name());
        }
        if self.secret.is_none() {
            self.secret = match self.kind {
                FactorKind::Otp => Some(letters::<32>()),
                FactorKind::RecoveryCode => Some(letters::<24>()),
                FactorKind::Sms | FactorKind::Voice | FactorKind::Email | FactorKind::Push => None,
            };
        }
        self
    }

    /// Returns the one-time password shown at a Unix time that was not used yet, or `None` when all
    /// that would be accepted were.
    #[must_use]
    pub fn next_code(&self, unix_s: u64) -> Option<String> {
        let step = unix_s / OTP_STEP_S;
        let unused = self.last_step.map_or(step, |last| step.max(last.saturating_add(1)));
        (unused <= step.saturating_add(1)).then_some(())?;
        Some(self.totp("")?.generate(unused.saturating_mul(OTP_STEP_S)).to_string())
    }

    /// Accepts a one-time password of this moment or a step beside it; with `single_use` each
    /// serves once.
    pub fn accept(&mut self, otp: &str, unix_s: u64, single_use: bool) -> bool {
        let step = self.totp("").and_then(|totp| totp.check(otp, unix_s));
        let Some(step) = step else {
            return false;
        };
        if single_use && self.last_step.is_some_and(|last| step <= last) {
            return false;
        }
        self.last_step = Some(step);
        true
    }

    /// Returns the `otpauth` address that an authenticator application reads from a QR code.
    #[must_use]
    pub fn otpauth(&self, account: &str) -> Option<String> {
        self.totp(account)?.to_url().ok()
    }

    fn totp(&self, account: &str) -> Option<Totp> {
        let secret = Secret::try_from_base32(self.secret.as_ref()?).ok()?;
        let builder = Builder::new()
            .with_secret(secret)
            .with_step_duration(OTP_STEP_S)
            .with_account_name(account.replace(':', " "))
            .with_issuer(Some("Sandbox"));
        builder.build().ok()
    }
}

/// Returns random letters: 5 bits each.
pub(crate) fn letters<const N: usize>() -> String {
    let letter = |byte: u8| LETTERS.get(usize::from(byte) % LETTERS.len()).copied();
    random::<N>().into_iter().filter_map(letter).map(char::from).collect()
}

fn yes() -> bool {
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The secret of RFC 6238, appendix B ("12345678901234567890"), in base32.
    fn factor() -> Factor {
        let secret = Some("GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ".to_owned());
        Factor { secret, ..Factor::new(FactorKind::Otp, None, true) }
    }

    #[test]
    fn codes_are_those_of_rfc_6238_appendix_b() {
        // The last six of the eight digits in the appendix.
        for (unix_s, code) in [
            (59, "287082"),
            (1_111_111_109, "081804"),
            (1_234_567_890, "005924"),
            (20_000_000_000, "353130"),
        ] {
            assert_eq!(factor().next_code(unix_s).as_deref(), Some(code), "{unix_s}");
            assert!(factor().accept(code, unix_s, true), "{unix_s}");
        }
    }

    #[test]
    fn a_code_serves_once_and_one_step_beside_its_own() {
        let mut factor = factor();
        let code = factor.next_code(3000).unwrap();
        assert!(!factor.clone().accept(&code, 3000 + 2 * OTP_STEP_S, true), "two steps later");
        assert!(factor.clone().accept(&code, 3000 + OTP_STEP_S, true), "one step later");
        assert!(factor.accept(&code, 3000, true));
        assert!(!factor.accept(&code, 3000, true), "a second time");
        assert!(factor.accept(&code, 3000, false), "where the tenant does not care");
        let next = factor.next_code(3000).unwrap();
        assert!(factor.accept(&next, 3000, true), "the next step's");
        assert_eq!(factor.next_code(3000), None, "all acceptable ones are used");
        assert!(!factor.accept("12345", 3000, true) && !factor.accept("not a code", 3000, true));
    }
}
