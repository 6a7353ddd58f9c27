//! Sessions of a real framework, all of whose access tokens are still to be fetched.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use tokenward::core::name::{Audience, SessionKey};
use tokenward::core::policy::Policies;
use tokenward::core::scope::ScopeSet;
use tokenward::core::secret::RefreshToken;
use tokenward::provider::{ClientSecret, Credentials, Provider, ProviderSettings};
use tokenward::{Adoption, Clock, Tokenward, Wish};
use tokenward_sandbox::{ACCOUNTS_AUDIENCE, ECHO_AUDIENCE, Mint, QUOTES_AUDIENCE, Sandbox};

use crate::between;
use crate::medium::Place;

pub(crate) const AUDIENCES: [(&str, &str); 3] = [
    (QUOTES_AUDIENCE, "read:quotes"),
    (ACCOUNTS_AUDIENCE, "read:accounts"),
    (ECHO_AUDIENCE, "use:echo"),
];

/// How long a waiter elsewhere arrives after the exchange began.
const ARRIVES: Duration = Duration::from_millis(40);

/// A framework and its sessions.
pub(crate) struct Crowd {
    tokenward: Tokenward,
    sessions: Arc<Vec<SessionKey>>,
}

impl Crowd {
    /// Makes sessions that have a refresh token and nothing else.
    pub(crate) async fn gather(sandbox: &Sandbox, place: &Place, count: usize) -> Self {
        // Opaque tokens cost the provider no signature; all live longer than any round.
        let tenant = serde_json::json!({
            "access_token_lifetime_s": 3_600, "opaque_access_tokens": true,
        });
        sandbox.tenant(&tenant).expect("the settings are known");
        let tokenward = framework(sandbox, place).await;
        let wanted = Mint {
            count: count as u64,
            client_id: "demo-web".to_owned(),
            user: None,
            audience: QUOTES_AUDIENCE.to_owned(),
            scope: "openid offline_access read:quotes".to_owned(),
        };
        let mut sessions = Vec::with_capacity(count);
        for minted in sandbox.mint(&wanted).expect("sessions") {
            let adoption = Adoption {
                refresh_token: RefreshToken::new(&minted.refresh_token),
                subject: minted.subject,
                primary: Audience::parse(QUOTES_AUDIENCE).expect("an audience"),
            };
            sessions.push(tokenward.adopt(adoption).await.expect("stored").key());
        }
        Self { tokenward, sessions: Arc::new(sessions) }
    }

    /// Returns the same sessions on a further framework of the same store.
    pub(crate) async fn on_another_machine(&self, sandbox: &Sandbox, place: &Place) -> Self {
        Self { tokenward: framework(sandbox, place).await, sessions: Arc::clone(&self.sessions) }
    }

    /// Fetches an access token of each audience for each session, so many at once.
    pub(crate) async fn rotate_all(&self, width: usize) {
        let next = Arc::new(AtomicUsize::new(0));
        let workers: Vec<_> = (0..width)
            .map(|_| {
                let (tokenward, next) = (self.tokenward.clone(), Arc::clone(&next));
                let sessions = Arc::clone(&self.sessions);
                tokio::spawn(async move {
                    loop {
                        let number = next.fetch_add(1, Ordering::Relaxed);
                        // Audience by audience, so that few meet at one session.
                        let audience = number / sessions.len();
                        if audience >= AUDIENCES.len() {
                            return;
                        }
                        let key = sessions[number % sessions.len()];
                        tokenward.access(&key, &wish(audience)).await.expect("a token");
                    }
                })
            })
            .collect();
        for worker in workers {
            worker.await.expect("no worker panics");
        }
    }

    /// Takes tokens from the published snapshots; returns how many were there.
    pub(crate) fn hit(&self, times: usize) -> usize {
        let wishes: Vec<Wish> = (0..AUDIENCES.len()).map(wish).collect();
        let found = (0..times).filter(|number| {
            let key = &self.sessions[number % self.sessions.len()];
            let Wish { audience, scopes, .. } = &wishes[number % wishes.len()];
            self.tokenward.take(key, audience, scopes).is_some()
        });
        found.count()
    }

    /// Returns how much later a waiter on another machine is answered than one where the exchange is.
    pub(crate) async fn later_elsewhere(&self, elsewhere: &Self, session: usize) -> Duration {
        let key = self.sessions[session];
        let answered = |tokenward: Tokenward| async move {
            tokenward.access(&key, &wish(0)).await.map(|_| Instant::now())
        };
        let here = tokio::spawn(answered(self.tokenward.clone()));
        tokio::time::sleep(ARRIVES).await;
        let there = tokio::spawn(answered(elsewhere.tokenward.clone()));
        let here = here.await.expect("no waiter panics").expect("a token");
        let there = there.await.expect("no waiter panics").expect("a token");
        between(here, there)
    }
}

async fn framework(sandbox: &Sandbox, place: &Place) -> Tokenward {
    let clock = Clock::system();
    let mut settings = ProviderSettings::new(&sandbox.addresses().issuer, "demo-web");
    settings.credentials = Credentials::Basic(ClientSecret::new("demo-web-secret"));
    let provider = Provider::new(settings, clock.clone()).expect("the settings are right");
    let vault = place.vault(clock).await;
    let builder = Tokenward::builder().provider(provider).vault(vault);
    builder.policies(Policies::default()).build().await.expect("the framework is built")
}

fn wish(audience: usize) -> Wish {
    let (audience, scope) = AUDIENCES[audience];
    Wish::new(Audience::parse(audience).expect("an audience"), ScopeSet::parse(scope))
}
