//! What a user's telephone and mailbox get, and what the user does with it.

use std::collections::{BTreeMap, VecDeque};

use serde::Serialize;

use crate::hold;
use crate::ledger::{Entry, Kind};
use crate::provider::Provider;
use crate::provider::refusal::Refusal;
use crate::provider::seal::{random, random_name};
use crate::secrecy;

use super::factor::{Factor, FactorKind};
use super::refusal;

/// Messages remembered per user, the newest last.
const MESSAGES_MAX: usize = 20;

/// Users whose messages are remembered; beyond it all are forgotten.
const USERS_MAX: usize = 100_000;

/// A message with a code, as its receiver sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Message {
    /// `sms`, `voice` or `email`.
    pub channel: &'static str,
    /// The number or address.
    pub to: String,
    /// The code to type (`binding_code`).
    pub code: String,
    /// When, in milliseconds since the sandbox started.
    pub at_ms: u64,
}

/// One out-of-band challenge, known by its `oob_code`.
#[derive(Clone, Debug)]
pub(crate) struct Challenge {
    /// The `mfa_token` it belongs to.
    pub(crate) mfa_token: String,
    /// The identifier of the authenticator.
    pub(crate) factor: String,
    pub(crate) kind: FactorKind,
    /// The code the user has to type; none for a push.
    pub(crate) binding_code: Option<String>,
    /// What the user decided about a push.
    pub(crate) decision: Option<bool>,
    pub(crate) expires_at_ms: u64,
    pub(crate) polled_at_ms: Option<u64>,
}

/// What all users were sent, and the pushes that wait for them.
#[derive(Debug, Default)]
pub(crate) struct Phones {
    messages: BTreeMap<String, VecDeque<Message>>,
    /// `oob_code`s of pushes by subject, the newest last.
    pushes: BTreeMap<String, VecDeque<String>>,
}

impl Phones {
    fn keep<T>(all: &mut BTreeMap<String, VecDeque<T>>, subject: &str, one: T) {
        if all.len() >= USERS_MAX {
            all.clear();
        }
        let kept = all.entry(subject.to_owned()).or_default();
        kept.push_back(one);
        if kept.len() > MESSAGES_MAX {
            kept.pop_front();
        }
    }
}

impl Provider {
    /// Sends a code or a push and returns the `oob_code` that names it.
    pub(crate) fn send(
        &self,
        mfa_token: &str,
        subject: &str,
        factor: &Factor,
    ) -> Result<String, Refusal> {
        let (lifetime_s, per_hour) = {
            let mfa = &hold(&self.tenant).settings.mfa;
            (mfa.oob_lifetime_s, mfa.sms_per_hour)
        };
        let now_ms = self.clock.now_ms();
        let messages = matches!(factor.kind, FactorKind::Sms | FactorKind::Voice);
        let mut desk = hold(&self.desk);
        if messages && !desk.limits.may_send(subject, per_hour, now_ms) {
            drop(desk);
            self.note(Kind::MfaRateLimited, subject, "messages");
            return Err(refusal::TOO_MANY_MESSAGES);
        }
        let oob_code = random_name();
        self.secrets.learn(secrecy::Kind::Factor, &oob_code);
        let binding_code = (factor.kind != FactorKind::Push).then(six_digits);
        if let (Some(code), Some(channel)) = (&binding_code, factor.kind.channel()) {
            let to = factor.name.clone().unwrap_or_default();
            let message = Message { channel, to, code: code.clone(), at_ms: now_ms };
            Phones::keep(&mut desk.phones.messages, subject, message);
        } else {
            Phones::keep(&mut desk.phones.pushes, subject, oob_code.clone());
        }
        let challenge = Challenge {
            mfa_token: mfa_token.to_owned(),
            factor: factor.id.clone(),
            kind: factor.kind,
            binding_code,
            decision: None,
            expires_at_ms: now_ms.saturating_add(lifetime_s.saturating_mul(1000)),
            polled_at_ms: None,
        };
        desk.oob.put(oob_code.clone(), challenge, now_ms);
        drop(desk);
        let kind = match factor.kind {
            FactorKind::Sms => Kind::MfaSmsSent,
            FactorKind::Voice => Kind::MfaVoiceSent,
            FactorKind::Email => Kind::MfaEmailSent,
            FactorKind::Push | FactorKind::Otp | FactorKind::RecoveryCode => Kind::MfaPushSent,
        };
        self.note(kind, subject, factor.kind.requirement());
        Ok(oob_code)
    }

    /// Returns the messages a user got, the newest last.
    pub(crate) fn messages(&self, subject: &str) -> Vec<Message> {
        let desk = hold(&self.desk);
        desk.phones.messages.get(subject).into_iter().flatten().cloned().collect()
    }

    /// Decides the newest push that waits for a user and tells whether there was one.
    pub(crate) fn decide_push(&self, subject: &str, approved: bool) -> bool {
        let now_ms = self.clock.now_ms();
        let decided = {
            let mut desk = hold(&self.desk);
            let super::super::Desk { phones, oob, .. } = &mut *desk;
            let waiting = phones.pushes.get(subject).into_iter().flatten().rev();
            let mut decided = false;
            for oob_code in waiting {
                let Some(push) = oob.look(oob_code, now_ms) else {
                    continue;
                };
                if push.decision.is_none() && push.expires_at_ms > now_ms {
                    push.decision = Some(approved);
                    decided = true;
                    break;
                }
            }
            decided
        };
        if decided && !approved {
            self.note(Kind::MfaRejected, subject, "push");
        }
        decided
    }

    /// Writes a line about a user's factors.
    pub(crate) fn note(&self, kind: Kind, subject: &str, detail: &str) {
        let (subject, detail) = (Some(subject.to_owned()), Some(detail.to_owned()));
        self.log(kind, Entry { subject, detail, ..Entry::default() });
    }
}

fn six_digits() -> String {
    format!("{:06}", u32::from_be_bytes(random::<4>()) % 1_000_000)
}
