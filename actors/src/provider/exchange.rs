//! The trips to the token endpoint: a refresh, and the code of a sign-in.

use std::time::Duration;

use http::HeaderValue;

use crate::clock::Clock;
use crate::core::grant::{AccessClaims, Grant, Malformed, NotSent, NotSentCause, Reply};
use crate::core::name::Audience;
use crate::core::refusal::Refusal;
use crate::core::scope::ScopeSet;
use crate::core::secret::{IdToken, RefreshToken};
use crate::core::snapshot::Authentication;
use crate::core::step_up::Proof;
use crate::core::time::{Instant, UnixSeconds};
use crate::provider::Provider;
use crate::provider::completion::Asked;
use crate::provider::discovery::Metadata;
use crate::provider::error::{IdTokenFault, ProviderError, SignInError};
use crate::provider::form::Form;
use crate::provider::gate::Attempt;
use crate::provider::id_token::{self, Expected, Identity};
use crate::provider::jwt::Claims;
use crate::provider::observe::{Endpoint, Oddity, Outcome, Refused, Requested};
use crate::provider::redact::redact;
use crate::provider::reply::{self, Heard};
use crate::provider::settings::AudienceParameter;
use crate::provider::wire::Lost;

/// How long a sign-in waits for the exchange of its code: a person looks at a blank page.
const SIGN_IN_DEADLINE: Duration = Duration::from_secs(10);

/// How long a refresh waits for keys to check its ID token with. Short, because the new refresh
/// token is not durable meanwhile; the keys are warmed up while the request is under way.
const REFRESH_KEYS_WAIT: Duration = Duration::from_millis(500);

/// One refresh to be sent.
#[derive(Clone, Copy, Debug)]
pub struct RefreshRequest<'a> {
    /// The refresh token to spend.
    pub refresh_token: &'a RefreshToken,
    /// The API to ask an access token for; not sent where [`AudienceParameter::Omit`] says so.
    pub audience: &'a Audience,
    /// The scopes to ask for; none for the provider's choice.
    pub scopes: &'a ScopeSet,
    /// How long until the reply must be there, all waiting included (law L3).
    pub deadline: Duration,
}

/// The code of a sign-in to be exchanged.
#[derive(Clone, Copy)]
pub struct CodeExchange<'a> {
    /// The code the browser brought.
    pub code: &'a str,
    /// The PKCE secret (RFC 7636).
    pub code_verifier: &'a str,
    /// The address the browser was sent back to.
    pub redirect_uri: &'a str,
    /// What the ID token must repeat.
    pub nonce: &'a str,
    /// The API the session will belong to.
    pub audience: Option<&'a Audience>,
    /// The `max_age` that was asked for, which `auth_time` must keep.
    pub max_age: Option<Duration>,
}

/// A sign-in that has come through: its ID token is verified.
#[derive(Clone, Debug)]
pub struct SignedIn {
    /// The first tokens of the session.
    pub grant: Grant,
    /// Who signed in.
    pub identity: Identity,
}

impl Provider {
    /// Spends a refresh token once; every outcome is a reply.
    ///
    /// # Cancel safety
    /// None: what the provider answers to a dropped exchange is lost. Spawn it.
    pub async fn refresh(&self, request: RefreshRequest<'_>) -> Reply {
        let until = self.0.clock.now() + request.deadline;
        // Half for getting there at the most, so that half is left for the answer.
        let turn_by = until - request.deadline / 2;
        let metadata = match self.metadata_within(turn_by).await {
            Ok(metadata) => metadata,
            Err(error) => return not_discovered(&error),
        };
        self.warm_keys(&metadata);
        let mut form = Form::new();
        form.add("grant_type", "refresh_token");
        form.add("refresh_token", request.refresh_token.spend());
        self.add_audience(&mut form, Some(request.audience));
        if self.0.settings.send_scope_on_refresh && !request.scopes.is_empty() {
            form.add("scope", &request.scopes.to_string());
        }
        let heard = self.exchange(&metadata, form, turn_by, until).await;
        if let Reply::Refused(refusal) = &heard.reply {
            self.tell_refused(request, refusal);
        }
        self.with_id_token(&metadata, heard).await
    }

    /// Tells what was refused and how, in the provider's own words.
    fn tell_refused(&self, request: RefreshRequest<'_>, refusal: &Refusal) {
        let (audience, scope) = (request.audience.as_str(), request.scopes.to_string());
        let refused = Refused {
            status: refusal.status,
            error: refusal.error.as_deref(),
            error_description: refusal.description.as_deref(),
            audience,
            scope: &scope,
        };
        tracing::warn!(provider = self.name(), ?refused, "a refresh was refused");
        self.0.observer.refused(&refused);
    }

    /// Exchanges the code of a sign-in and verifies who signed in.
    ///
    /// # Errors
    /// Says why there is no session; a refresh token that came all the same is revoked.
    ///
    /// # Cancel safety
    /// None: a code is good for one try. Spawn it.
    pub async fn exchange_code(&self, exchange: CodeExchange<'_>) -> Result<SignedIn, SignInError> {
        let until = self.0.clock.now() + SIGN_IN_DEADLINE;
        let turn_by = until - SIGN_IN_DEADLINE / 2;
        let metadata = self.metadata_within(turn_by).await?;
        self.warm_keys(&metadata);
        let mut form = Form::new();
        form.add("grant_type", "authorization_code");
        form.add("code", exchange.code);
        form.add("code_verifier", exchange.code_verifier);
        form.add("redirect_uri", exchange.redirect_uri);
        // Auth0's `audience` was settled when the browser left; RFC 8707 §2.2 asks again.
        if self.0.settings.audience_parameter == AudienceParameter::Resource {
            self.add_audience(&mut form, exchange.audience);
        }
        let heard = self.exchange(&metadata, form, turn_by, until).await;
        let asked = Asked { nonce: Some(exchange.nonce), max_age: exchange.max_age };
        self.completed(&metadata, heard, asked, until).await
    }

    /// Waits for a turn, sends `form` once, and reads the answer.
    pub(super) async fn exchange(
        &self,
        metadata: &Metadata,
        mut form: Form,
        turn_by: Instant,
        until: Instant,
    ) -> Heard {
        let turn = match self.0.turnstile.enter(turn_by).await {
            Ok(turn) => turn,
            Err(not_sent) => return only(Reply::NotSent(not_sent)),
        };
        let now = self.0.clock.unix();
        let authorization = match self.0.client.apply(&mut form, metadata, now) {
            Ok(authorization) => authorization,
            Err(_) => return only(unsigned()),
        };
        let heard = self.post_token(metadata, authorization, form, until).await;
        turn.settle(attempt(&heard.reply));
        heard
    }

    async fn post_token(
        &self,
        metadata: &Metadata,
        authorization: Option<HeaderValue>,
        form: Form,
        until: Instant,
    ) -> Heard {
        let started = self.0.clock.now();
        let (url, form) = (&metadata.token_endpoint, form.finish());
        let sent = (form.clone(), authorization.clone());
        let heard = match self.0.http.post(url, authorization, form, until).await {
            Ok(answer) => {
                let mut heard = reply::read(&answer.received(self.0.clock.unix()));
                if let Reply::Refused(refusal) = &mut heard.reply {
                    redact(refusal, &sent.0, sent.1.as_ref());
                }
                heard
            }
            Err(Lost::NotSent) => {
                only(Reply::NotSent(NotSent { cause: NotSentCause::Connect, wait: None }))
            }
            Err(Lost::Unheard(how)) => only(Reply::Unheard(how)),
        };
        let took = self.0.clock.now().since(started);
        if let Reply::Granted(_) = heard.reply {
            self.latency().answered(took);
        }
        let outcome = outcome(&heard.reply);
        self.0.observer.requested(Requested { endpoint: Endpoint::Token, outcome, took });
        if let Reply::Malformed(Malformed { refresh_token: Some(_), why }) = &heard.reply {
            self.noticed(Oddity::RefreshTokenSalvaged, why);
        }
        heard
    }

    /// Joins a refresh's grant with its ID token, or leaves that out if it does not pass.
    pub(super) async fn with_id_token(&self, metadata: &Metadata, heard: Heard) -> Reply {
        let Heard { reply: Reply::Granted(grant), id_token: Some(id_token) } = heard else {
            return heard.reply;
        };
        let until = self.0.clock.now() + REFRESH_KEYS_WAIT;
        match self.identify(metadata, &id_token, until).await {
            Ok((identity, _)) => match joined(*grant, id_token, &identity, self.issuer()) {
                Ok(mut grant) => {
                    grant.proof = Some(proof(&identity.authentication, &self.0.clock));
                    Reply::Granted(Box::new(grant))
                }
                Err(malformed) => Reply::Malformed(malformed),
            },
            Err(fault) => {
                self.noticed(Oddity::IdTokenDropped, &fault);
                Reply::Granted(grant)
            }
        }
    }

    pub(super) async fn identify(
        &self,
        metadata: &Metadata,
        id_token: &IdToken,
        until: Instant,
    ) -> Result<(Identity, Claims), IdTokenFault> {
        let claims = self.verify_signature(metadata, id_token.expose(), until).await?;
        let identity = id_token::check(&claims, self.expected(metadata))?;
        let claimed = claims.get("session_expiry").is_some_and(|claim| !claim.is_null());
        if claimed && identity.ceiling.is_none() {
            self.noticed(Oddity::CeilingIgnored, &"session_expiry is no Unix time in seconds");
        }
        Ok((identity, claims))
    }

    pub(super) fn expected<'a>(&'a self, metadata: &'a Metadata) -> Expected<'a> {
        Expected {
            issuer: &metadata.issuer,
            client_id: &self.0.settings.client_id,
            now: self.0.clock.unix(),
        }
    }

    pub(super) fn add_audience(&self, form: &mut Form, audience: Option<&Audience>) {
        let name = match self.0.settings.audience_parameter {
            AudienceParameter::Audience => "audience",
            AudienceParameter::Resource => "resource",
            AudienceParameter::Omit => return,
        };
        if let Some(audience) = audience {
            form.add(name, audience.as_str());
        }
    }
}

/// Puts a verified ID token into its grant. The person it names becomes the subject that the
/// session compares with its own (WIRE 10), also where the access token is no JWT, and `issuer` the
/// provider: a session of another one must not go on with these tokens.
pub(super) fn joined(
    mut grant: Grant,
    id_token: IdToken,
    identity: &Identity,
    issuer: &str,
) -> Result<Grant, Malformed> {
    let claims = grant.claims.get_or_insert_with(AccessClaims::default);
    match &claims.subject {
        Some(subject) if *subject != identity.subject => {
            let why = "the access token and the ID token name different people";
            return Err(Malformed { refresh_token: grant.refresh_token, why });
        }
        Some(_) | None => claims.subject = Some(identity.subject.clone()),
    }
    claims.issuer = Some(issuer.to_owned());
    grant.ceiling = identity.ceiling;
    grant.id_token = Some(id_token);
    Ok(grant)
}

/// Returns what an ID token says of how its person authenticated, on our own clock.
pub(super) fn proof(authentication: &Authentication, clock: &Clock) -> Proof {
    let Authentication { at, class, methods } = authentication.clone();
    let ago = at.map(|UnixSeconds(at)| Duration::from_secs(clock.unix().0.saturating_sub(at)));
    Proof { at: ago.map(|ago| clock.now() - ago), class, methods }
}

fn only(reply: Reply) -> Heard {
    Heard { reply, id_token: None }
}

pub(super) fn not_discovered(error: &ProviderError) -> Reply {
    let wait = match error {
        ProviderError::Discovery { wait, .. } => *wait,
        ProviderError::NotOffered(_)
        | ProviderError::Unreachable(_)
        | ProviderError::Refused { .. }
        | ProviderError::Unsigned => None,
    };
    Reply::NotSent(NotSent { cause: NotSentCause::Discovery, wait })
}

/// A key that was tried out at start-up and does not sign is the operator's to look at.
fn unsigned() -> Reply {
    Reply::Refused(Refusal {
        error: Some("invalid_client".to_owned()),
        description: Some(ProviderError::Unsigned.to_string()),
        ..Refusal::default()
    })
}

fn attempt(reply: &Reply) -> Attempt {
    match reply {
        Reply::Granted(_) | Reply::Malformed(_) => Attempt::Answered,
        Reply::Unheard(_) | Reply::NotSent(_) => Attempt::Failed,
        Reply::Refused(refusal) => match (refusal.status, refusal.error.as_deref()) {
            // This one speaks of one person's attempts, the other 429s of all of ours.
            (_, Some("too_many_attempts")) => Attempt::Answered,
            (429, _) => Attempt::Limited(refusal.wait),
            (503, _) if refusal.wait.is_some() => Attempt::Limited(refusal.wait),
            (500.., None | Some("server_error" | "temporarily_unavailable")) => Attempt::Failed,
            (_, _) => Attempt::Answered,
        },
    }
}

fn outcome(reply: &Reply) -> Outcome {
    match reply {
        Reply::Granted(_) => Outcome::Ok,
        Reply::Malformed(_) => Outcome::Malformed,
        Reply::Refused(refusal) => match attempt(reply) {
            // The body outranks the status: some send OAuth errors with a 200 or a 500.
            Attempt::Answered | Attempt::Abandoned => Outcome::OauthError,
            Attempt::Failed => Outcome::ServerError,
            Attempt::Limited(_) if refusal.status == 503 => Outcome::ServerError,
            Attempt::Limited(_) => Outcome::RateLimited,
        },
        Reply::Unheard(how) => Outcome::of_unheard(*how),
        Reply::NotSent(_) => Outcome::Network,
    }
}
