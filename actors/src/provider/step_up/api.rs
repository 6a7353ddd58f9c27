//! The MFA API: who can be challenged, starting a challenge, enrolling a factor (WIRE a3).

use std::time::Duration;

use bytes::Bytes;
use http::HeaderValue;
use url::Url;
use zeroize::Zeroizing;

use super::reading::{self, Challenge, Enrolled};
use crate::core::refusal::{OperatorFault, Refusal};
use crate::core::secret::MfaToken;
use crate::core::step_up::classify::{Asked, meaning};
use crate::core::step_up::factor::{Authenticator, Enrolment};
use crate::core::step_up::{Factor, Meaning};
use crate::core::time::Instant;
use crate::provider::Provider;
use crate::provider::form::Form;
use crate::provider::gate::Attempt;
use crate::provider::observe::{Endpoint, Outcome, Requested};
use crate::provider::redact::redact;
use crate::provider::reply::refusal_of;
use crate::provider::wire::{Answer, Lost};

/// How long a person waits for the MFA API: they look at a page.
const API_DEADLINE: Duration = Duration::from_secs(8);

/// A challenge to be started.
#[derive(Clone, Copy, Debug)]
pub struct ChallengeRequest<'a> {
    /// The provider's name for the demand.
    pub mfa_token: &'a MfaToken,
    /// The factor; `None` where the authenticator says it.
    pub factor: Option<Factor>,
    /// The authenticator; `None` for the provider's choice.
    pub authenticator: Option<&'a str>,
}

/// Why the MFA API did not do what was asked. Never holds a secret.
#[derive(Clone, Debug, thiserror::Error)]
pub enum MfaApiError {
    /// The provider said no.
    #[error("the provider refused: {} ({})", .0.code(), .1.code())]
    Refused(Box<Refusal>, Meaning),
    /// The provider was not reached, is busy, or its answer was lost; it may work later.
    #[error("the provider's MFA API cannot be asked at the moment ({why})")]
    NotNow {
        /// The reason code.
        why: &'static str,
        /// How long to wait.
        wait: Option<Duration>,
    },
    /// The provider's answer cannot be used; the operator looks at the provider.
    #[error("the provider's MFA API answered something else: {0}")]
    Malformed(&'static str),
    /// The configuration is wrong; the operator must act.
    #[error("the provider's MFA API refuses this client ({})", .0.code())]
    Operator(OperatorFault),
}

type Member = (&'static str, Zeroizing<String>);

impl Provider {
    /// Lists the authenticators of the person whom a demand is about.
    ///
    /// # Errors
    /// Says who must act.
    pub async fn authenticators(
        &self,
        mfa_token: &MfaToken,
    ) -> Result<Vec<Authenticator>, MfaApiError> {
        let until = self.0.clock.now() + API_DEADLINE;
        let url = self.mfa_endpoint("authenticators")?;
        let turn = self.turn(until).await?;
        let started = self.0.clock.now();
        let authorization = bearer(mfa_token)?;
        let answer = self.0.http.get_as(&url, authorization.clone(), until).await;
        let sent = (&[][..], Some(&authorization));
        let heard =
            self.heard((Endpoint::MfaAssociate, Asked::Authenticators), sent, started, &answer);
        turn.settle(attempt(&heard));
        let answer = of(answer, heard)?;
        reading::authenticators(&answer.body).ok_or(MfaApiError::Malformed("no list"))
    }

    /// Starts a challenge.
    ///
    /// # Errors
    /// Says who must act.
    pub async fn challenge(&self, request: ChallengeRequest<'_>) -> Result<Challenge, MfaApiError> {
        let until = self.0.clock.now() + API_DEADLINE;
        let url = self.mfa_endpoint("challenge")?;
        let metadata = self.metadata_within(until).await.map_err(|_| not_now("discovery"))?;
        let credentials = self.0.client.members(&metadata, self.0.clock.unix());
        let mut members =
            credentials.map_err(|_| MfaApiError::Operator(OperatorFault::InvalidClient))?;
        members.push(("mfa_token", Zeroizing::new(request.mfa_token.expose().to_owned())));
        let kind = request.factor.map_or("otp oob", Factor::authenticator_type);
        members.push(("challenge_type", Zeroizing::new(kind.to_owned())));
        if let Some(channel) = request.factor.and_then(Factor::channel) {
            members.push(("oob_channel", Zeroizing::new(channel.to_owned())));
        }
        if let Some(authenticator) = request.authenticator {
            members.push(("authenticator_id", Zeroizing::new(authenticator.to_owned())));
        }
        let body = json(&members);
        let endpoint = (Endpoint::MfaChallenge, Asked::Challenge);
        let answer = self.post_json(&url, None, (body, &members), endpoint, until).await?;
        reading::challenge(&answer.body).ok_or(MfaApiError::Malformed("no challenge"))
    }

    /// Enrols a factor of a person who has none yet.
    ///
    /// # Errors
    /// Says who must act.
    pub async fn associate(
        &self,
        mfa_token: &MfaToken,
        enrolment: &Enrolment,
    ) -> Result<Enrolled, MfaApiError> {
        let until = self.0.clock.now() + API_DEADLINE;
        let url = self.mfa_endpoint("associate")?;
        let mut body = serde_json::json!({ "authenticator_types": [enrolment.authenticator_type] });
        if let Some(channel) = enrolment.channel {
            body["oob_channels"] = serde_json::json!([channel]);
        }
        if let Some(number) = &enrolment.phone_number {
            body["phone_number"] = serde_json::json!(number);
        }
        if let Some(email) = &enrolment.email {
            body["email"] = serde_json::json!(email);
        }
        let body = Bytes::from(body.to_string());
        let authorization = Some(bearer(mfa_token)?);
        let endpoint = (Endpoint::MfaAssociate, Asked::Associate);
        let answer = self.post_json(&url, authorization, (body, &[]), endpoint, until).await?;
        reading::enrolled(&answer.body).ok_or(MfaApiError::Malformed("no authenticator"))
    }

    async fn post_json(
        &self,
        url: &Url,
        authorization: Option<HeaderValue>,
        (body, sent): (Bytes, &[Member]),
        endpoint: (Endpoint, Asked),
        until: Instant,
    ) -> Result<Answer, MfaApiError> {
        let turn = self.turn(until).await?;
        let started = self.0.clock.now();
        let body = ("application/json", body);
        let answer = self.0.http.post_as(url, authorization.clone(), body, until).await;
        let heard = self.heard(endpoint, (sent, authorization.as_ref()), started, &answer);
        turn.settle(attempt(&heard));
        of(answer, heard)
    }

    async fn turn(&self, until: Instant) -> Result<crate::provider::turn::Turn<'_>, MfaApiError> {
        let turn_by = until - API_DEADLINE / 2;
        self.0.turnstile.enter(turn_by).await.map_err(|not_sent| MfaApiError::NotNow {
            why: not_sent.cause.code(),
            wait: not_sent.wait,
        })
    }

    /// Says what an answer means, and tells who counts.
    fn heard(
        &self,
        (endpoint, asked): (Endpoint, Asked),
        (sent, authorization): (&[Member], Option<&HeaderValue>),
        started: Instant,
        answer: &Result<Answer, Lost>,
    ) -> Result<(), MfaApiError> {
        let took = self.0.clock.now().since(started);
        let (outcome, heard) = match answer {
            Ok(answer) if (200..=299).contains(&answer.status) => (Outcome::Ok, Ok(())),
            Ok(answer) => {
                let mut refusal = refusal_of(&answer.received(self.0.clock.unix()));
                let meaning = meaning(asked, &refusal);
                let mut form = Form::new();
                sent.iter().for_each(|(name, value)| form.add(name, value));
                redact(&mut refusal, &form.finish(), authorization);
                let outcome = match answer.status {
                    429 if refusal.error.as_deref() == Some("too_many_attempts") => {
                        Outcome::OauthError
                    }
                    status => Outcome::of_status(status),
                };
                (outcome, Err(said(refusal, meaning)))
            }
            Err(Lost::NotSent) => (Outcome::Network, Err(not_now("connect"))),
            Err(Lost::Unheard(how)) => (Outcome::of_unheard(*how), Err(not_now(how.code()))),
        };
        self.0.observer.requested(Requested { endpoint, outcome, took });
        heard
    }

    fn mfa_endpoint(&self, name: &str) -> Result<Url, MfaApiError> {
        let base = self.0.settings.issuer.trim_end_matches('/');
        Url::parse(&format!("{base}/mfa/{name}")).map_err(|_| MfaApiError::Malformed("issuer"))
    }
}

fn said(refusal: Refusal, meaning: Meaning) -> MfaApiError {
    match meaning {
        Meaning::Transient => {
            let why = if refusal.status == 429 { "rate_limited" } else { "provider_ill" };
            MfaApiError::NotNow { why, wait: refusal.wait }
        }
        Meaning::Fault(fault) => MfaApiError::Operator(fault),
        Meaning::BadRequest
        | Meaning::ChallengeInvalid
        | Meaning::CodeInvalid
        | Meaning::EnrollRequired
        | Meaning::InteractionRequired
        | Meaning::LoginRequired
        | Meaning::NotMfa
        | Meaning::Pending
        | Meaning::ReauthRequired
        | Meaning::Rejected
        | Meaning::Required
        | Meaning::RequiredInteractive
        | Meaning::SlowDown
        | Meaning::TokenExpired
        | Meaning::TokenInvalid
        | Meaning::TooManyAttempts => MfaApiError::Refused(Box::new(refusal), meaning),
    }
}

/// What one request tells the gate, which all sessions of the provider share.
fn attempt(heard: &Result<(), MfaApiError>) -> Attempt {
    match heard {
        Ok(()) | Err(MfaApiError::Refused(..) | MfaApiError::Malformed(_)) => Attempt::Answered,
        Err(MfaApiError::Operator(_)) => Attempt::Answered,
        Err(MfaApiError::NotNow { why: "rate_limited", wait }) => Attempt::Limited(*wait),
        Err(MfaApiError::NotNow { .. }) => Attempt::Failed,
    }
}

fn of(answer: Result<Answer, Lost>, heard: Result<(), MfaApiError>) -> Result<Answer, MfaApiError> {
    heard?;
    answer.map_err(|_| not_now("connection_lost"))
}

fn not_now(why: &'static str) -> MfaApiError {
    MfaApiError::NotNow { why, wait: None }
}

fn bearer(mfa_token: &MfaToken) -> Result<HeaderValue, MfaApiError> {
    let text = Zeroizing::new(format!("Bearer {}", mfa_token.expose()));
    let mut value =
        HeaderValue::from_str(&text).map_err(|_| MfaApiError::Malformed("mfa_token"))?;
    value.set_sensitive(true);
    Ok(value)
}

/// Writes a flat JSON object into memory that is wiped when it has been sent.
fn json(members: &[Member]) -> Bytes {
    let fields: std::collections::BTreeMap<&str, &str> =
        members.iter().map(|(name, value)| (*name, value.as_str())).collect();
    Bytes::from_owner(Zeroizing::new(serde_json::to_vec(&fields).unwrap_or_default()))
}
