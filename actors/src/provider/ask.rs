//! One question to an endpoint beside the token endpoint, with the client's own credentials.

use url::Url;

use crate::core::time::Instant;
use crate::provider::Provider;
use crate::provider::discovery::Metadata;
use crate::provider::error::ProviderError;
use crate::provider::form::Form;
use crate::provider::observe::{Endpoint, Outcome, Requested};
use crate::provider::redact::redact;
use crate::provider::reply::refusal_of;
use crate::provider::wire::{Answer, Lost};

impl Provider {
    /// Sends a form to one of the endpoints that `metadata` names, and returns a success as it came.
    ///
    /// # Errors
    /// Says who must act. The provider may have done what was asked when no answer came.
    pub(super) async fn ask(
        &self,
        (endpoint, url): (Endpoint, &Url),
        metadata: &Metadata,
        mut form: Form,
        until: Instant,
    ) -> Result<Answer, ProviderError> {
        let authorization = self.0.client.apply(&mut form, metadata, self.0.clock.unix())?;
        let started = self.0.clock.now();
        let form = form.finish();
        let sent = (form.clone(), authorization.clone());
        let answer = self.0.http.post(url, authorization, form, until).await;
        let took = self.0.clock.now().since(started);
        let outcome = match &answer {
            Ok(answer) => Outcome::of_status(answer.status),
            Err(Lost::NotSent) => Outcome::Network,
            Err(Lost::Unheard(how)) => Outcome::of_unheard(*how),
        };
        self.0.observer.requested(Requested { endpoint, outcome, took });
        match answer {
            Ok(answer) if (200..=299).contains(&answer.status) => Ok(answer),
            Ok(answer) => {
                let mut refusal = refusal_of(&answer.received(self.0.clock.unix()));
                redact(&mut refusal, &sent.0, sent.1.as_ref());
                let error = refusal.code();
                Err(ProviderError::Refused { status: answer.status, error, wait: refusal.wait })
            }
            Err(Lost::NotSent) => Err(ProviderError::Unreachable("no connection could be made")),
            Err(Lost::Unheard(how)) => Err(ProviderError::Unreachable(how.code())),
        }
    }
}
