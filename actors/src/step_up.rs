//! Stepping up: what a person, or a program for a person, does about a held audience.
//!
//! A call that meets a hold is told so ([`AccessError::MfaRequired`](crate::AccessError)), and
//! [`Tokenward::handle_of`] gives out a sealed handle for the provider's own `mfa_token`, which
//! never leaves the record. With the handle come [`Tokenward::challenge`] and
//! [`Tokenward::verify`]; where the provider has no MFA API, or the audience's own policy holds,
//! [`Tokenward::step_up_request`] says what a redirect must ask for and
//! [`Tokenward::complete_step_up`] takes what comes back. Either way the session, its handle and
//! every other audience's access token stay as they are.

use std::time::Duration;

use tokio::sync::oneshot;

use crate::access::Tokenward;
use crate::core::event::Event;
use crate::core::name::{Epoch, SessionKey};
use crate::core::scope::ScopeSet;
use crate::core::secret::Passcode;
use crate::core::session::demand::Demanded;
use crate::core::session::{Answer, Need};
use crate::core::snapshot::{Hold, Snapshot};
use crate::core::step_up::context::{Standing, standing};
use crate::core::step_up::factor::{enrolment, may_challenge};
use crate::core::step_up::{Code, Context, Evidence, Factor, Report, StepUp, Strength, Way};
use crate::error::AccessError;
use crate::provider::step_up::ChallengeRequest;
use crate::router::RouterMessage;
use crate::session::SessionMessage;
use crate::store::Restored;

mod asking;
mod fault;
mod handle;
mod limits;
mod remember;
mod tries;
mod view;

pub use self::fault::MfaFault;
pub(crate) use self::limits::StepLimits;
use self::limits::Turn;
pub use self::remember::Shown;
pub use self::view::{
    Associated, Association, Authenticator, ChallengeWish, Challenged, HoldView, Kind,
    Requirements, StepUpRequest, StepUpReturn, Verified,
};

impl Tokenward {
    /// Seals a reference to the hold's context, to be given to whoever is to meet the demand.
    ///
    /// `None` where there is no open context: only a redirect meets the demand then.
    pub fn handle_of(&self, key: &SessionKey, hold: &Hold) -> Option<String> {
        let now = self.shared.clock.now();
        let context = hold.context.as_ref().filter(|context| !context.is_over(now))?;
        handle::seal(self.shared.vault.ring(), &self.shared.clock, key, context)
    }

    /// Shows a hold as people and programs may see it.
    pub fn view_of(&self, key: &SessionKey, hold: &Hold) -> HoldView {
        let strength = self.strength_of(hold);
        HoldView::new(hold, &strength, self.handle_of(key, hold), self.shared.clock.now())
    }

    /// Opens a handle.
    ///
    /// # Errors
    /// [`MfaFault::TokenInvalid`], [`MfaFault::TokenExpired`] and [`MfaFault::TokenNotFound`] are
    /// three answers (law L9).
    pub async fn open_hold(&self, key: &SessionKey, handle: &str) -> Result<HoldView, MfaFault> {
        let (hold, _) = self.context_of(key, handle).await?;
        Ok(self.view_of(key, &hold))
    }

    /// Lists everything that is held of a session.
    ///
    /// # Errors
    /// [`MfaFault::SignInRequired`] and [`MfaFault::NotNow`].
    pub async fn holds(&self, key: &SessionKey) -> Result<Vec<HoldView>, MfaFault> {
        let holds = self.held(key).await?;
        Ok(holds.iter().map(|hold| self.view_of(key, hold)).collect())
    }

    /// Asks the provider once more for what is held, because a person is there: brings a new
    /// context in place of one that is over. `None` where nothing is held any more.
    ///
    /// # Errors
    /// [`MfaFault`] says who must act.
    pub async fn renew_hold(
        &self,
        key: &SessionKey,
        need: &Need,
    ) -> Result<Option<HoldView>, MfaFault> {
        let (reply, answer) = oneshot::channel();
        let want = self.want(need);
        self.deliver(key, SessionMessage::Renew(want, reply));
        let answer = self.heard(answer).await?;
        Ok(self.hold_in(answer)?.map(|hold| self.view_of(key, &hold)))
    }

    /// Lists the person's authenticators that a demand may be met with.
    ///
    /// # Errors
    /// [`MfaFault`] says who must act.
    pub async fn authenticators(
        &self,
        key: &SessionKey,
        handle: &str,
    ) -> Result<Vec<Authenticator>, MfaFault> {
        let (hold, context) = self.context_of(key, handle).await?;
        self.admit(key, Turn::Question).await?;
        let listed = self.shared.provider.authenticators(&context.mfa_token).await;
        let listed =
            listed.map_err(|error| self.refused(key, &context, error, MfaFault::Authenticators))?;
        let admitted = listed.iter().filter(|one| one.is_admitted_by(&hold.demand));
        Ok(admitted.map(Authenticator::of).collect())
    }

    /// Starts a challenge: sends the message, rings the phone, or merely says that a code is
    /// awaited.
    ///
    /// # Errors
    /// [`MfaFault`] says who must act.
    pub async fn challenge(
        &self,
        key: &SessionKey,
        handle: &str,
        wish: &ChallengeWish,
    ) -> Result<Challenged, MfaFault> {
        let (hold, context) = self.context_of(key, handle).await?;
        if wish.factor.is_none() && wish.authenticator.is_none() {
            return Err(MfaFault::InvalidRequest("a factor or an authenticator is needed"));
        }
        if wish.factor.is_some_and(|factor| !may_challenge(&hold.demand, factor.code())) {
            return Err(MfaFault::NoAvailableFactors);
        }
        if wish.factor == Some(Factor::RecoveryCode) {
            // Nothing is sent for it.
            return Ok(Challenged::recovery_code());
        }
        self.admit(key, Turn::Challenge).await?;
        let request = ChallengeRequest {
            mfa_token: &context.mfa_token,
            factor: wish.factor,
            authenticator: wish.authenticator.as_deref(),
        };
        let started = self.shared.provider.challenge(request).await;
        let started =
            started.map_err(|error| self.refused(key, &context, error, MfaFault::Challenge))?;
        let challenged = Challenged::of(wish, &started);
        let now = self.shared.clock.now();
        self.shared.steps.challenged(context.id(), challenged.known_factor(), now);
        let (audience, factor) = (hold.audience.clone(), challenged.known_factor());
        self.shared.emit(key, &Event::Challenged { audience, factor });
        Ok(challenged)
    }

    /// Enrols a first factor; a verification confirms it. Secrets and recovery codes are shown
    /// once.
    ///
    /// # Errors
    /// [`MfaFault`] says who must act.
    pub async fn associate(
        &self,
        key: &SessionKey,
        handle: &str,
        wish: &Association,
    ) -> Result<Associated, MfaFault> {
        let (hold, context) = self.context_of(key, handle).await?;
        let phone = wish.phone_number.as_deref();
        let enrolment = enrolment(wish.factor, phone, wish.email.as_deref());
        let enrolment = enrolment.map_err(MfaFault::InvalidRequest)?;
        self.admit(key, Turn::Challenge).await?;
        let enrolled = self.shared.provider.associate(&context.mfa_token, &enrolment).await;
        let enrolled =
            enrolled.map_err(|error| self.refused(key, &context, error, MfaFault::Enrollment))?;
        let (factor, now) = (Some(wish.factor), self.shared.clock.now());
        self.shared.steps.challenged(context.id(), factor, now);
        self.shared.emit(key, &Event::Challenged { audience: hold.audience, factor });
        Ok(Associated::of(&enrolled))
    }

    /// Verifies a factor. `Ok` means that the demand is met and everything durable.
    ///
    /// A push is asked for again after [`MfaFault::Pending`]; asked sooner than that, it is
    /// answered without the provider.
    ///
    /// # Errors
    /// [`MfaFault`] says who must act.
    ///
    /// # Cancel safety
    /// Dropping the future leaves a running verification undisturbed (law L4).
    pub async fn verify(
        &self,
        key: &SessionKey,
        handle: &str,
        evidence: Evidence,
    ) -> Result<Verified, MfaFault> {
        let (_, context) = self.context_of(key, handle).await?;
        let (id, now) = (context.id(), self.shared.clock.now());
        let (known, every) = self.shared.steps.known(id);
        if evidence.is_polled() {
            self.shared
                .steps
                .poll(id, now)
                .map_err(|left| MfaFault::Pending { retry_after: left })?;
        } else {
            self.admit(key, Turn::Verification).await?;
        }
        let factor = evidence.factor().filter(|factor| *factor != Factor::Push).or(known);
        let polled = evidence.is_polled();
        let factor = if polled { factor.or(Some(Factor::Push)) } else { factor };
        let report = self.step_up(key, Way::Verify { context: id, evidence, factor }).await?;
        if matches!(report, Report::SlowDown) {
            self.shared.steps.slow_down(id);
        }
        fault::verified(report, every)
    }

    /// Says what a redirect to the provider must ask for to meet what is held for `need`.
    ///
    /// # Errors
    /// [`MfaFault::TokenNotFound`] where nothing is held for it.
    pub async fn step_up_request(
        &self,
        key: &SessionKey,
        need: &Need,
    ) -> Result<StepUpRequest, MfaFault> {
        let need = self.resolved_need(need);
        let snapshot = self.snapshot_of(key).await?;
        let held = snapshot.holds.iter().find(|hold| need.is_for(&hold.audience, &hold.scopes));
        let strength = self.strength_of(held.ok_or(MfaFault::TokenNotFound)?);
        // The new family must be able to serve the other audiences too.
        let policies = self.shared.policies();
        let mut audiences = vec![need.audience.clone()];
        let mut scopes = ScopeSet::parse(STEP_UP_SCOPES).merge(&need.scopes);
        for (audience, policy) in &policies.audiences {
            if *audience != need.audience && snapshot.may_use(audience) {
                audiences.push(audience.clone());
                scopes = scopes.merge(&policy.scopes);
            }
        }
        let asks_anew = strength == Strength::default() || strength.factor;
        Ok(StepUpRequest {
            audiences,
            scopes,
            acr_values: (!strength.classes.is_empty()).then(|| strength.classes.join(" ")),
            max_age: strength.max_age,
            prompt: (asks_anew && strength.classes.is_empty()).then_some("login"),
        })
    }

    /// Takes what a redirect came back with: exchanges the code, holds `sub`, `acr` and `auth_time`
    /// against what was demanded, and lets go of the hold once everything is durable.
    ///
    /// The session and its handle stay the same; no sign-in is made of it.
    ///
    /// # Errors
    /// [`MfaFault`] says who must act; the audience stays held.
    ///
    /// # Cancel safety
    /// Dropping the future leaves a running exchange undisturbed (law L4).
    pub async fn complete_step_up(
        &self,
        key: &SessionKey,
        returned: StepUpReturn,
    ) -> Result<Verified, MfaFault> {
        let StepUpReturn { need, code, code_verifier, redirect_uri, nonce } = returned;
        let (code, code_verifier) = (Passcode::new(&code), Passcode::new(&code_verifier));
        let code = Code { code, code_verifier, redirect_uri, nonce };
        let need = self.resolved_need(&need);
        let report = self.step_up(key, Way::Return { need, code }).await?;
        fault::returned(report)
    }

    /// Makes a hold of an API's demand for a stronger or fresher authentication (RFC 9470).
    /// `refused` is the serial of the access token that the API refused.
    ///
    /// `None` where a newer access token is there already: the call is worth repeating with it.
    ///
    /// # Errors
    /// [`MfaFault::SignInRequired`] and [`MfaFault::NotNow`].
    pub async fn demand(
        &self,
        key: &SessionKey,
        need: &Need,
        refused: Option<Epoch>,
        strength: Strength,
    ) -> Result<Option<Box<Hold>>, MfaFault> {
        let (reply, answer) = oneshot::channel();
        let (waiter, need) = (self.shared.next_waiter(), self.resolved_need(need));
        let demanded = Demanded { waiter, need, refused, strength };
        self.deliver(key, SessionMessage::Demanded(demanded, reply));
        let answer = self.heard(answer).await?;
        self.hold_in(answer)
    }

    async fn step_up(&self, key: &SessionKey, way: Way) -> Result<Report, MfaFault> {
        if self.shared.is_draining() {
            return Err(not_now("draining"));
        }
        let waiter = self.shared.next_waiter();
        let deadline = self.shared.clock.now() + self.shared.policies().deadlines.soft;
        let (reply, report) = oneshot::channel();
        self.deliver(key, SessionMessage::StepUp(StepUp { waiter, way, deadline }, reply));
        self.heard(report).await
    }

    /// Waits for a session's word, which comes by its own deadline; the margin covers an exchange
    /// that left at the last moment.
    async fn heard<T>(&self, answer: oneshot::Receiver<T>) -> Result<T, MfaFault> {
        let deadlines = self.shared.policies().deadlines;
        match tokio::time::timeout(deadlines.patience + deadlines.hard, answer).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(_)) => Err(MfaFault::SignInRequired { reason: None }),
            Err(_) => Err(not_now("restarting")),
        }
    }

    fn deliver(&self, key: &SessionKey, message: SessionMessage) {
        self.shared.router(key).send(RouterMessage::Deliver(*key, message));
    }

    async fn context_of(
        &self,
        key: &SessionKey,
        handle: &str,
    ) -> Result<(Hold, Context), MfaFault> {
        let claim = handle::open(self.shared.vault.ring(), &self.shared.clock, key, handle);
        let claim = claim.ok_or(MfaFault::TokenInvalid)?;
        let holds = self.held(key).await?;
        match standing(&claim, &holds, self.shared.clock.now()) {
            Standing::Open(hold, context) => Ok((hold.clone(), context.clone())),
            Standing::Expired => Err(MfaFault::TokenExpired),
            Standing::NotFound => Err(MfaFault::TokenNotFound),
        }
    }

    async fn held(&self, key: &SessionKey) -> Result<Vec<Hold>, MfaFault> {
        self.snapshot_of(key).await.map(|snapshot| snapshot.holds)
    }

    async fn snapshot_of(&self, key: &SessionKey) -> Result<Box<Snapshot>, MfaFault> {
        match self.restored(key).await {
            Ok(Restored::Living(snapshot)) => Ok(snapshot),
            Ok(Restored::Ended(reason)) => Err(MfaFault::SignInRequired { reason: Some(reason) }),
            Ok(Restored::Absent) => Err(MfaFault::SignInRequired { reason: None }),
            Err(_) => Err(not_now("store")),
        }
    }

    fn hold_in(&self, answer: Answer) -> Result<Option<Box<Hold>>, MfaFault> {
        match AccessError::of(answer) {
            Err(_granted) => Ok(None),
            Ok(AccessError::MfaRequired(hold)) => Ok(Some(hold)),
            Ok(AccessError::SignInRequired { reason }) => Err(MfaFault::SignInRequired { reason }),
            Ok(AccessError::NotNow { retry_after, why }) => {
                Err(MfaFault::NotNow { retry_after, why })
            }
            Ok(AccessError::OperatorFault { code }) => Err(MfaFault::OperatorFault { code }),
            Ok(AccessError::Denied { code } | AccessError::Rejected { code }) => {
                Err(MfaFault::Challenge(code))
            }
            Ok(
                AccessError::Downscoped { .. }
                | AccessError::Unchanged
                | AccessError::Unusable { .. },
            ) => Ok(None),
        }
    }
}

/// The scopes that a step up asks for beside those of the APIs: who came back, and that the
/// session can be kept fresh with what they brought.
const STEP_UP_SCOPES: &str = "openid profile email offline_access";

/// Says to somebody who steps up what a session that is not there answers.
pub(crate) fn turned_away(answer: &Answer) -> Report {
    match answer {
        Answer::Ended(reason) => Report::Ended(*reason),
        Answer::NotNow { retry_after, why } => Report::NotNow { retry_after: *retry_after, why },
        Answer::Busy
        | Answer::Denied(_)
        | Answer::Downscoped { .. }
        | Answer::Granted(_)
        | Answer::MfaRequired(_)
        | Answer::OperatorFault(_)
        | Answer::Rejected(_)
        | Answer::Unchanged
        | Answer::Unusable(_) => {
            Report::NotNow { retry_after: Duration::from_secs(1), why: "busy" }
        }
    }
}

fn not_now(why: &'static str) -> MfaFault {
    MfaFault::NotNow { retry_after: Duration::from_secs(1), why }
}
