//! The device authorization grant (RFC 8628): a machine without a browser is signed in by a person
//! with a phone.

use std::fmt;
use std::time::Duration;

use serde::Deserialize;
use zeroize::Zeroizing;

use crate::core::name::Audience;
use crate::core::scope::ScopeSet;
use crate::provider::Provider;
use crate::provider::completion::Asked;
use crate::provider::error::{ProviderError, SignInError};
use crate::provider::exchange::SignedIn;
use crate::provider::form::Form;
use crate::provider::gate::Attempt;
use crate::provider::observe::Endpoint;
use crate::provider::settings::AudienceParameter;
use crate::provider::wire::{Answer, Extent};

/// How long one question may take: codes live for minutes, and a device asks every few seconds.
const QUESTION_MAX: Duration = Duration::from_secs(10);

/// The longest code, link and user code that are kept: providers in wide use give a tenth of it.
const TEXT_BYTES_MAX: usize = 2_048;

/// What a device wants to be signed in for.
#[derive(Clone, Copy, Debug)]
pub struct DeviceWish<'a> {
    /// The scopes; `openid` and `offline_access` are the caller's to ask for.
    pub scopes: &'a ScopeSet,
    /// The API the session will belong to.
    pub audience: Option<&'a Audience>,
}

/// What a device asks with; a secret without a text.
#[derive(Clone)]
pub struct DeviceCode(Zeroizing<String>);

/// A code that a person can sign a device in with (§3.2).
#[derive(Clone, Debug)]
pub struct DeviceAuthorization {
    /// What the device asks with.
    pub device_code: DeviceCode,
    /// What the person types.
    pub user_code: String,
    /// Where the person types it.
    pub verification_uri: String,
    /// Where it is typed already.
    pub verification_uri_complete: Option<String>,
    /// How long it can be used.
    pub expires_in: Duration,
    /// How often the device may ask, where the provider says.
    pub interval: Option<Duration>,
}

#[derive(Deserialize)]
struct Reading {
    device_code: String,
    user_code: String,
    // Some providers still send what the drafts called it.
    #[serde(alias = "verification_url")]
    verification_uri: String,
    verification_uri_complete: Option<String>,
    expires_in: u64,
    interval: Option<u64>,
}

impl Provider {
    /// Asks for a code that a person can sign a device in with.
    ///
    /// # Errors
    /// Says who must act; asking again does no harm.
    pub async fn authorize_device(
        &self,
        wish: DeviceWish<'_>,
    ) -> Result<DeviceAuthorization, ProviderError> {
        let until = self.0.clock.now() + QUESTION_MAX;
        let metadata = self.metadata_within(until).await?;
        let url = metadata.device_authorization_endpoint.as_ref();
        let url = url.ok_or(ProviderError::NotOffered("device authorization endpoint"))?;
        let turn = self.0.turnstile.enter(until).await;
        let turn = turn.map_err(|busy| ProviderError::Unreachable(busy.cause.code()))?;
        let mut form = Form::new();
        if !wish.scopes.is_empty() {
            form.add("scope", &wish.scopes.to_string());
        }
        self.add_audience(&mut form, wish.audience);
        let asked = (Endpoint::DeviceAuthorization, url);
        let answer = self.ask(asked, &metadata, form, until).await;
        turn.settle(match &answer {
            Ok(_) => Attempt::Answered,
            Err(ProviderError::Refused { status: 429, wait, .. }) => Attempt::Limited(*wait),
            Err(_) => Attempt::Failed,
        });
        DeviceAuthorization::read(&answer?)
    }

    /// Asks once whether a person has used the code, and makes a sign-in of it where they have.
    ///
    /// [`next`](crate::core::device_sign_in::next) says what a refusal means for the device.
    ///
    /// # Errors
    /// Says why there is no sign-in yet, or none at all; a refresh token that came all the same is
    /// revoked.
    ///
    /// # Cancel safety
    /// None: what is granted is granted once. Spawn it.
    pub async fn redeem_device(
        &self,
        code: &DeviceCode,
        audience: Option<&Audience>,
    ) -> Result<SignedIn, SignInError> {
        let until = self.0.clock.now() + QUESTION_MAX;
        let turn_by = until - QUESTION_MAX / 2;
        let metadata = self.metadata_within(turn_by).await?;
        self.warm_keys(&metadata);
        let mut form = Form::new();
        form.add("grant_type", "urn:ietf:params:oauth:grant-type:device_code");
        form.add("device_code", &code.0);
        // Auth0's `audience` was settled with the code; RFC 8707 §2.2 asks again.
        if self.0.settings.audience_parameter == AudienceParameter::Resource {
            self.add_audience(&mut form, audience);
        }
        let heard = self.exchange(&metadata, form, turn_by, until).await;
        self.completed(&metadata, heard, Asked::default(), until).await
    }
}

impl DeviceCode {
    /// Takes a code as the provider gave it.
    pub fn new(text: String) -> Self {
        Self(Zeroizing::new(text))
    }

    /// Returns its text, for whoever keeps it between two questions.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for DeviceCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DeviceCode")
    }
}

impl DeviceAuthorization {
    fn read(answer: &Answer) -> Result<Self, ProviderError> {
        let unusable = ProviderError::Unreachable("its answer to a device cannot be used");
        let Ok(read) = serde_json::from_slice::<Reading>(&answer.body) else {
            return Err(unusable);
        };
        let texts = [&read.device_code, &read.user_code, &read.verification_uri];
        let fits = |text: &&String| (1..=TEXT_BYTES_MAX).contains(&text.len());
        if answer.extent != Extent::Whole || !texts.iter().all(fits) {
            return Err(unusable);
        }
        Ok(Self {
            device_code: DeviceCode::new(read.device_code),
            user_code: read.user_code,
            verification_uri: read.verification_uri,
            verification_uri_complete: read
                .verification_uri_complete
                .filter(|link| link.len() <= TEXT_BYTES_MAX),
            expires_in: Duration::from_secs(read.expires_in),
            interval: read.interval.map(Duration::from_secs),
        })
    }
}
