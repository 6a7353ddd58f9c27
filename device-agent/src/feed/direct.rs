//! Direct mode: no gateway stands between, and the display keeps its own session at the provider
//! with the `tokenward` library, whose store lies beside the display's own state.

use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use http::StatusCode;
use http::header::AUTHORIZATION;
use reqwest::Client;
use tokenward::core::device_sign_in::INTERVAL;
use tokenward::core::event::LogoutKind;
use tokenward::core::policy::{AudiencePolicy, Policies};
use tokenward::core::scope::ScopeSet;
use tokenward::core::time::Instant;
use tokenward::provider::{
    DeviceCode, DeviceWish, Provider, ProviderError, ProviderSettings, SignInError,
};
use tokenward::{AccessError, Clock, Offer, SessionHandle, Tokenward, Vault, Wish};
use tokio::sync::oneshot;
use url::Url;

use super::answer::shown_link;
use super::gateway::{ANSWER_MAX, asking, client, read_whole};
use super::stream::told;
use super::{Direct as Settings, FeedFault, Heard, Reply, failed, fault};
use crate::agent::{Code, Coded, Demand, Fetched, Looked, Miss, Polled, Return, Told};
use crate::kernel;

/// Where the sessions are kept, beside the display's own state.
const FOLDER: &str = "sessions";

/// Scopes that make a sign-in a session: who signed in, and a refresh token.
const OF_A_SESSION: [&str; 2] = ["openid", "offline_access"];

/// What may come of a probe.
const OUTCOMES: [&str; 3] = ["ended", "held", "released"];

/// How long a probe may take: an exchange has its answer or has failed by then.
const PROBE_MAX: Duration = Duration::from_secs(15);

/// The way to a provider and an API.
pub(super) struct Direct {
    tokenward: Tokenward,
    client: Client,
    settings: Settings,
    /// Whether the last fetch was refused for want of a factor.
    is_held: AtomicBool,
}

impl fmt::Debug for Direct {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Direct").field(&self.settings).finish()
    }
}

impl Direct {
    /// Opens the store, and makes the way; nothing is sent.
    pub(super) async fn open(settings: Settings, state_dir: &Path) -> Result<Self, FeedFault> {
        let client = client(&settings.content, &settings.roots)?;
        let clock = Clock::system();
        let mut known = ProviderSettings::new(&settings.issuer, &settings.client_id);
        known.audience_parameter = settings.audience_parameter;
        known.extra_roots.clone_from(&settings.roots);
        let unusable = |why: &dyn fmt::Display| FeedFault::Sessions(why.to_string());
        let provider = Provider::new(known, clock.clone()).map_err(|fault| unusable(&fault))?;
        let vault = Vault::embedded(&state_dir.join(FOLDER), clock.clone())
            .map_err(|error| unusable(&error))?;
        let policy = AudiencePolicy { scopes: settings.scopes.clone(), ..Default::default() };
        let audiences = [(settings.audience.clone(), policy)].into();
        let built = Tokenward::builder()
            .provider(provider)
            .vault(vault)
            .policies(Policies { audiences, ..Policies::default() })
            .clock(clock)
            .build()
            .await;
        let tokenward = built.map_err(|error| unusable(&error))?;
        Ok(Self { tokenward, client, settings, is_held: AtomicBool::new(false) })
    }

    /// Fetches; what is held is asked about once more first, for a held display only fetches by one
    /// of its ways out.
    pub(super) async fn fetch(&self, handle: &SessionHandle, etag: Option<&str>) -> Reply {
        if self.is_held.swap(false, Ordering::Relaxed) {
            self.probe(handle).await;
        }
        let wish = Wish::new(self.settings.audience.clone(), ScopeSet::default());
        let offer = match self.tokenward.access(&handle.key(), &wish).await {
            Ok(offer) => offer,
            Err(error) => return self.without(error),
        };
        let (status, reply) = self.call(&offer, etag).await;
        if status != Some(StatusCode::UNAUTHORIZED) {
            return reply;
        }
        // The API knows better than the clock that an access token is over: once with a newer one.
        match self.tokenward.access(&handle.key(), &wish.instead_of(offer.serial())).await {
            Ok(newer) => self.call(&newer, etag).await.1,
            Err(AccessError::Unchanged) => reply,
            Err(error) => self.without(error),
        }
    }

    pub(super) async fn look(&self, handle: &SessionHandle) -> Reply {
        let Ok(seen) = self.tokenward.describe(&handle.key()).await else {
            return Reply::missed(failed("sessions unreadable", "Look at the disk."));
        };
        let held = |view: &tokenward::SessionView| {
            view.audiences.iter().any(|audience| audience.state == "held")
        };
        Reply::answered(Return::Looked(match seen {
            None => Looked::SignedOut,
            Some(view) if held(&view) => Looked::Held(self.demand()),
            Some(_) => Looked::Free,
        }))
    }

    pub(super) async fn knock(&self) -> Reply {
        match self.tokenward.provider().discover().await {
            Ok(_) => Reply::answered(Return::Looked(Looked::Free)),
            Err(error) => self.not_asked(&error),
        }
    }

    pub(super) async fn ask_code(&self) -> Reply {
        let scopes = OF_A_SESSION.iter().copied().chain(self.settings.scopes.iter());
        let scopes = ScopeSet::parse(&scopes.collect::<Vec<_>>().join(" "));
        let wish = DeviceWish { scopes: &scopes, audience: Some(&self.settings.audience) };
        let given = match self.tokenward.provider().authorize_device(wish).await {
            Ok(given) => given,
            Err(error) => return self.not_asked(&error),
        };
        let Some(uri) = shown_link(given.verification_uri) else {
            return Reply::missed(failed("no link in the answer", "Look at the provider."));
        };
        let interval = given.interval.unwrap_or(INTERVAL);
        let code = Code {
            device_code: given.device_code.expose().to_owned().into(),
            user_code: given.user_code,
            uri,
            uri_complete: given.verification_uri_complete.and_then(shown_link),
            interval,
            pause: interval,
            expires_at: Instant::ZERO,
            spent: 0,
        };
        Reply::answered(Return::Coded(Coded { code, expires_in: given.expires_in }))
    }

    /// Asks once; what is granted is durable before this answers (law L2).
    ///
    /// # Cancel safety
    /// A session that nobody waits for any more is ended.
    pub(super) async fn poll(self: &Arc<Self>, code: &Code) -> Reply {
        let (answer, answered) = oneshot::channel();
        let (this, code) = (Arc::clone(self), DeviceCode::new(code.device_code.to_string()));
        tokio::spawn(async move {
            if let Err(Ok(handle)) = answer.send(this.redeem(&code).await) {
                // Where that is not durable either, the session is over when its tokens are.
                let _ = this.tokenward.end(&handle.key(), LogoutKind::User).await;
            }
        });
        match answered.await {
            Ok(Ok(handle)) => Reply::answered(Return::Polled(Polled::Granted(handle))),
            Ok(Err(reply)) => reply,
            // Only a panic loses the answer, and the code is asked for again.
            Err(_) => Reply::missed(Miss::Offline),
        }
    }

    pub(super) async fn listen(&self, handle: &SessionHandle, mut tell: impl FnMut(Heard)) {
        let own = handle.key().id();
        let mut events = self.tokenward.events();
        tell(Heard::Opened);
        while let Some(heard) = events.next().await {
            let news = match heard {
                tokenward::Heard::Event(fact) if fact.session == own => {
                    told(&fact.event, fact.factor.as_deref(), &fact.text)
                }
                tokenward::Heard::Event(_) => None,
                tokenward::Heard::Missed(_) => Some(Told::Missed),
            };
            if let Some(news) = news {
                tell(Heard::Told(news));
            }
        }
    }

    /// Has what is held asked about once more, and waits for what comes of it.
    async fn probe(&self, handle: &SessionHandle) {
        let own = handle.key().id();
        let mut events = self.tokenward.events();
        self.tokenward.retry(&handle.key());
        let outcome = async {
            while let Some(heard) = events.next().await {
                if let tokenward::Heard::Event(fact) = heard
                    && fact.session == own
                    && OUTCOMES.contains(&&*fact.event)
                {
                    return;
                }
            }
        };
        // Where nothing is told in time, the next wish tells how things stand.
        let _ = tokio::time::timeout(PROBE_MAX, outcome).await;
    }

    async fn redeem(&self, code: &DeviceCode) -> Result<SessionHandle, Reply> {
        let audience = &self.settings.audience;
        let redeemed = self.tokenward.provider().redeem_device(code, Some(audience)).await;
        let signed_in = redeemed.map_err(|error| self.not_signed_in(error))?;
        let scopes = self.settings.scopes.clone();
        let stored = self.tokenward.sign_in(signed_in, audience.clone(), scopes).await;
        stored.map_err(|_| Reply::missed(failed("sign-in not stored", "Look at the disk.")))
    }

    /// Asks the API; the status is there where it said no.
    async fn call(&self, offer: &Offer, etag: Option<&str>) -> (Option<StatusCode>, Reply) {
        let request = asking(self.client.get(self.settings.content.clone()), etag);
        let request = request.header(AUTHORIZATION, offer.authorization()).timeout(ANSWER_MAX);
        let answer = match request.send().await {
            Ok(response) => read_whole(response).await,
            Err(error) => Err(fault::miss(&error)),
        };
        match answer {
            Ok(answer) => {
                let status = Some(answer.status);
                let meaning = answer.content().map_or_else(Return::Missed, Return::Fetched);
                (status, Reply::answered(meaning))
            }
            Err(miss) => (None, Reply::missed(miss)),
        }
    }

    /// Says what it means that there is no access token.
    fn without(&self, error: AccessError) -> Reply {
        let at_the_provider = |what: &str| {
            Reply::missed(failed(what, "Look at the client and the API at the provider."))
        };
        match error {
            AccessError::MfaRequired(_) => self.held(),
            AccessError::SignInRequired { .. } => {
                Reply::answered(Return::Fetched(Fetched::SignedOut))
            }
            AccessError::NotNow { retry_after, .. } => self.later(Some(retry_after)),
            AccessError::Downscoped { .. } => at_the_provider("scope not granted"),
            AccessError::Denied { .. } | AccessError::Rejected { .. } => {
                at_the_provider("API not granted")
            }
            AccessError::OperatorFault { .. } => at_the_provider("client refused"),
            AccessError::Unchanged | AccessError::Unusable { .. } => {
                at_the_provider("access token unusable")
            }
        }
    }

    fn not_signed_in(&self, error: SignInError) -> Reply {
        match error {
            SignInError::Refused(refusal) => {
                Reply::answered(Return::Polled(Polled::Refused(refusal)))
            }
            SignInError::NotSent(not_sent) => self.later(not_sent.wait),
            SignInError::Unheard(_) => self.later(None),
            SignInError::Provider(error) => self.not_asked(&error),
            SignInError::BornExpired | SignInError::IdToken(_) | SignInError::Malformed(_) => {
                Reply::missed(failed("sign-in unusable", "Look at the provider's own log."))
            }
        }
    }

    fn not_asked(&self, error: &ProviderError) -> Reply {
        match error {
            ProviderError::NotOffered(_) => {
                Reply::missed(failed("no device sign-in", "Allow the device flow there."))
            }
            ProviderError::Refused { status: 429, wait, .. } => self.later(*wait),
            ProviderError::Refused { status, .. } if *status < 500 => {
                Reply::missed(failed("client refused", "Allow the device flow for the client."))
            }
            ProviderError::Refused { wait, .. } | ProviderError::Discovery { wait, .. } => {
                self.later(*wait)
            }
            ProviderError::Unreachable(_) => self.later(None),
            ProviderError::Unsigned => Reply::missed(failed("client refused", "It has no key.")),
        }
    }

    /// Says that the provider cannot be asked now: with a wrong clock, no certificate passes.
    fn later(&self, wait: Option<Duration>) -> Reply {
        let is_right = kernel::is_clock_right(self.tokenward.clock().unix().0);
        Reply::missed(match wait {
            _ if !is_right => Miss::CertificateTime,
            Some(wait) => Miss::Busy(Some(wait)),
            None => Miss::Offline,
        })
    }

    fn held(&self) -> Reply {
        self.is_held.store(true, Ordering::Relaxed);
        Reply::answered(Return::Fetched(Fetched::Held(self.demand())))
    }

    fn demand(&self) -> Demand {
        let issuer = Url::parse(&self.settings.issuer).ok();
        let provider = issuer.and_then(|issuer| issuer.host_str().map(str::to_owned));
        Demand { step_up_uri: None, audience: Some(self.settings.audience.to_string()), provider }
    }
}
