//! Where the display asks: a gateway, or in direct mode the provider itself. One question, one
//! bounded answer, no retry.

mod answer;
#[cfg(feature = "direct")]
mod direct;
mod fault;
mod gateway;
mod stream;

use std::path::Path;
use std::sync::Arc;

use tokenward::SessionHandle;
use url::Url;

pub use self::fault::FeedFault;
use self::gateway::Gateway;
pub use self::stream::{Heard, Pace};
use crate::agent::{Code, Complaint, Miss, Return};

/// Where a display gets its content and its session.
#[derive(Clone, Debug)]
pub enum Origin {
    /// From a gateway, whose session it has a handle of.
    Gateway(Source),
    /// From an API, with access tokens of the provider's that it keeps fresh itself.
    #[cfg(feature = "direct")]
    Provider(Direct),
}

/// The provider and the API of direct mode.
#[cfg(feature = "direct")]
#[derive(Clone, Debug)]
pub struct Direct {
    /// The provider, as it is called in the tokens it issues.
    pub issuer: String,
    /// What the display is registered as: a client without a secret.
    pub client_id: String,
    /// What an audience is called in requests to the provider.
    pub audience_parameter: tokenward::provider::AudienceParameter,
    /// The API.
    pub audience: tokenward::core::name::Audience,
    /// The scopes that the API asks for.
    pub scopes: tokenward::core::scope::ScopeSet,
    /// The address of the content.
    pub content: Url,
    /// Certificates of authorities beside the system's own, as PEM.
    pub roots: Vec<u8>,
}

/// Where the gateway is and what is asked of it.
#[derive(Clone, Debug)]
pub struct Source {
    /// The gateway's origin, with a path of `/`.
    pub gateway: Url,
    /// The address of the content.
    pub content: Url,
    /// The prefix of the gateway's own endpoints: `/auth`.
    pub prefix: String,
    /// The kind of device, as the gateway is told.
    pub client_id: String,
    /// The APIs that the display is to be signed in for; empty for the gateway's choice.
    pub audiences: Vec<String>,
    /// The scopes; empty for the gateway's choice.
    pub scope: String,
    /// Certificates of authorities beside the system's own, as PEM.
    pub roots: Vec<u8>,
}

/// The way to whoever is asked.
#[derive(Clone, Debug)]
pub struct Feed(Way);

#[derive(Clone, Debug)]
enum Way {
    Gateway(Arc<Gateway>),
    #[cfg(feature = "direct")]
    Direct(Arc<direct::Direct>),
}

/// What came back of a question.
#[derive(Debug)]
pub struct Reply {
    /// What it means.
    pub meaning: Return,
    /// Whether the gateway answered at all, so that it has the numbers that rode on the question.
    pub was_answered: bool,
}

impl Origin {
    /// Returns whom the display asks, for people.
    pub fn name(&self) -> &str {
        match self {
            Self::Gateway(source) => source.gateway.as_str(),
            #[cfg(feature = "direct")]
            Self::Provider(direct) => &direct.issuer,
        }
    }
}

impl Feed {
    /// Makes the way; nothing is sent. In direct mode the sessions are kept beside the state.
    ///
    /// # Errors
    /// [`FeedFault`] where the certificates or the folder cannot be used.
    pub async fn open(origin: &Origin, state_dir: &Path) -> Result<Self, FeedFault> {
        #[cfg(not(feature = "direct"))]
        let _ = state_dir;
        match origin {
            Origin::Gateway(source) => Self::new(source.clone()),
            #[cfg(feature = "direct")]
            Origin::Provider(settings) => {
                let direct = direct::Direct::open(settings.clone(), state_dir).await?;
                Ok(Self(Way::Direct(Arc::new(direct))))
            }
        }
    }

    /// Makes the way to a gateway; nothing is sent.
    ///
    /// # Errors
    /// [`FeedFault`] where the certificates cannot be used.
    pub fn new(source: Source) -> Result<Self, FeedFault> {
        Ok(Self(Way::Gateway(Arc::new(Gateway::new(source)?))))
    }

    /// Fetches the content, if it is another one than `etag` names.
    pub async fn fetch(&self, handle: &SessionHandle, etag: Option<&str>, numbers: &str) -> Reply {
        match &self.0 {
            Way::Gateway(gateway) => gateway.fetch(handle, etag, numbers).await,
            #[cfg(feature = "direct")]
            Way::Direct(direct) => direct.fetch(handle, etag).await,
        }
    }

    /// Looks at the session without using it; `audience` is the API that was held.
    pub async fn look(
        &self,
        handle: &SessionHandle,
        audience: Option<&str>,
        numbers: &str,
    ) -> Reply {
        match &self.0 {
            Way::Gateway(gateway) => gateway.look(handle, audience, numbers).await,
            #[cfg(feature = "direct")]
            Way::Direct(direct) => direct.look(handle).await,
        }
    }

    /// Sees whether somebody is there, without a credential.
    pub async fn knock(&self, numbers: &str) -> Reply {
        match &self.0 {
            Way::Gateway(gateway) => gateway.knock(numbers).await,
            #[cfg(feature = "direct")]
            Way::Direct(direct) => direct.knock().await,
        }
    }

    /// Asks for a code that a person can use (RFC 8628 §3.1).
    pub async fn ask_code(&self, numbers: &str) -> Reply {
        match &self.0 {
            Way::Gateway(gateway) => gateway.ask_code(numbers).await,
            #[cfg(feature = "direct")]
            Way::Direct(direct) => direct.ask_code().await,
        }
    }

    /// Asks whether a person has used the code (RFC 8628 §3.4).
    pub async fn poll(&self, code: &Code, numbers: &str) -> Reply {
        match &self.0 {
            Way::Gateway(gateway) => gateway.poll(code, numbers).await,
            #[cfg(feature = "direct")]
            Way::Direct(direct) => direct.poll(code).await,
        }
    }

    /// Listens to what happens to the session until there is no more to hear, and tells it;
    /// `last_id` is where the last stream ended, and is moved on, and `pace` learns from how this
    /// one ends.
    ///
    /// # Cancel safety
    /// What was told stays told.
    pub async fn listen(
        &self,
        handle: &SessionHandle,
        last_id: &mut Option<String>,
        pace: &mut Pace,
        tell: impl FnMut(Heard),
    ) {
        match &self.0 {
            Way::Gateway(gateway) => gateway.listen(handle, last_id, pace, tell).await,
            #[cfg(feature = "direct")]
            Way::Direct(direct) => direct.listen(handle, tell).await,
        }
    }
}

impl Reply {
    /// Returns what an answer means.
    fn answered(meaning: Return) -> Self {
        Self { meaning, was_answered: true }
    }

    /// Returns why there is none.
    fn missed(miss: Miss) -> Self {
        Self { meaning: Return::Missed(miss), was_answered: false }
    }
}

fn failed(what: &str, remedy: &'static str) -> Miss {
    Miss::Failed(Complaint { what: what.to_owned(), remedy })
}
