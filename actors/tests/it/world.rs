//! A whole framework in one process: a real provider over HTTP (the sandbox), the embedded store
//! on disk, and a clock that tests move.
#![expect(clippy::expect_used, reason = "a step of a story that fails ends the story")]

use std::sync::Arc;
use std::time::Duration;

use tempfile::TempDir;
use tokenward::clock::{Clock, ManualHand};
use tokenward::core::name::{Audience, SessionKey};
use tokenward::core::policy::{AudiencePolicy, KeepFresh, Policies};
use tokenward::core::scope::ScopeSet;
use tokenward::core::secret::RefreshToken;
use tokenward::provider::{ClientSecret, Credentials, Provider, ProviderSettings};
use tokenward::{
    AccessError, Adoption, Builder, EventStream, Heard, LifecycleEvent, Offer, Tokenward, Vault,
    Wish,
};
use tokenward_sandbox::ledger::Summary;
use tokenward_sandbox::secrecy::{Kind, Watch};
use tokenward_sandbox::{Config, Mint, Sandbox};

/// How long a test waits for what must happen: never reached by a test that passes.
const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) const AUDIENCES: [(&str, &str); 3] = [
    (tokenward_sandbox::QUOTES_AUDIENCE, "read:quotes"),
    (tokenward_sandbox::ACCOUNTS_AUDIENCE, "read:accounts write:accounts"),
    (tokenward_sandbox::ECHO_AUDIENCE, "use:echo"),
];

/// A framework with everything around it.
pub(crate) struct World {
    pub(crate) sandbox: Sandbox,
    pub(crate) tokenward: Tokenward,
    pub(crate) hand: Option<ManualHand>,
    /// Every story is a story of secrecy too (law L13).
    pub(crate) watch: Watch,
    clock: Clock,
    dir: TempDir,
}

impl World {
    /// Starts one on the machine's clock.
    pub(crate) async fn start(tenant: serde_json::Value) -> Self {
        Self::with_clock(tenant, Clock::system(), None, KeepFresh::WhileUsed).await
    }

    /// Starts one whose clock stands still until the test moves it.
    pub(crate) async fn by_hand(tenant: serde_json::Value, keep_fresh: KeepFresh) -> Self {
        let (clock, hand) = Clock::manual();
        Self::with_clock(tenant, clock, Some(hand), keep_fresh).await
    }

    async fn with_clock(
        tenant: serde_json::Value,
        clock: Clock,
        hand: Option<ManualHand>,
        keep_fresh: KeepFresh,
    ) -> Self {
        let sandbox = Sandbox::start(Config::default()).await.expect("the sandbox starts");
        sandbox.tenant(&tenant).expect("the tenant's settings are known");
        let dir = tempfile::tempdir().expect("a directory");
        let watch = Watch::over(sandbox.secrets());
        watch.folder(dir.path());
        let tokenward = framework(&sandbox, &dir, &clock, keep_fresh).await;
        Self { sandbox, tokenward, hand, watch, clock, dir }
    }

    /// Stops the framework and starts another on the same store.
    pub(crate) async fn restart(mut self) -> Self {
        assert!(self.tokenward.drain(PATIENCE).await, "everything has landed");
        self.watch.note("metrics", self.tokenward.metrics().render());
        drop(self.tokenward);
        // The store is closed when the last actor that knows it has gone.
        for _ in 0..600 {
            if let Ok(vault) = Vault::embedded(self.dir.path(), self.clock.clone()) {
                self.tokenward =
                    build(&self.sandbox, vault, &self.clock, KeepFresh::WhileUsed).await;
                return self;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("the store was not closed");
    }

    /// Signs somebody in and gives the session to the framework.
    pub(crate) async fn adopt(&self) -> SessionKey {
        let handle = self.tokenward.adopt(adoption(&self.sandbox)).await.expect("it is stored");
        self.watch.secrets().learn(Kind::SessionHandle, &handle.expose());
        handle.key()
    }

    pub(crate) async fn access(
        &self,
        key: &SessionKey,
        audience: usize,
    ) -> Result<Arc<Offer>, AccessError> {
        let answer = within(self.tokenward.access(key, &wish(audience))).await;
        // What embedders log: the error, and what was given out as it is printed.
        self.watch.note("an answer", format!("{answer:?}"));
        answer
    }

    pub(crate) fn summary(&self) -> Summary {
        self.sandbox.ledger().summary()
    }

    pub(crate) fn advance(&self, by: Duration) {
        self.hand.as_ref().expect("a clock that is moved by hand").advance(by);
    }
}

/// Signs somebody in at `sandbox`.
pub(crate) fn adoption(sandbox: &Sandbox) -> Adoption {
    let (audience, scope) = AUDIENCES[0];
    let wanted = Mint {
        count: 1,
        client_id: "demo-web".to_owned(),
        user: None,
        audience: audience.to_owned(),
        scope: format!("openid offline_access {scope}"),
    };
    let minted = sandbox.mint(&wanted).expect("a session").remove(0);
    Adoption {
        refresh_token: RefreshToken::new(&minted.refresh_token),
        subject: minted.subject,
        primary: Audience::parse(audience).expect("an audience"),
    }
}

async fn framework(sandbox: &Sandbox, dir: &TempDir, clock: &Clock, keep: KeepFresh) -> Tokenward {
    let vault = Vault::embedded(dir.path(), clock.clone()).expect("the store opens");
    build(sandbox, vault, clock, keep).await
}

async fn build(sandbox: &Sandbox, vault: Vault, clock: &Clock, keep_fresh: KeepFresh) -> Tokenward {
    parts(sandbox, vault, clock, keep_fresh).build().await.expect("the framework is built")
}

/// Collects what a framework at `sandbox` is made of.
pub(crate) fn parts(
    sandbox: &Sandbox,
    vault: Vault,
    clock: &Clock,
    keep_fresh: KeepFresh,
) -> Builder {
    let mut settings = ProviderSettings::new(&sandbox.addresses().issuer, "demo-web");
    settings.credentials = Credentials::Basic(ClientSecret::new("demo-web-secret"));
    let provider = Provider::new(settings, clock.clone()).expect("the settings are right");
    let policy = |scope: &str, keep_fresh| AudiencePolicy {
        scopes: ScopeSet::parse(scope),
        keep_fresh,
        ..AudiencePolicy::default()
    };
    let mut policies = Policies::default();
    for (at, (audience, scope)) in AUDIENCES.into_iter().enumerate() {
        // Only the first is kept fresh without traffic, so that tests can count.
        let keep = if at == 0 { keep_fresh } else { KeepFresh::WhileUsed };
        let audience = Audience::parse(audience).expect("an audience");
        policies.audiences.insert(audience, policy(scope, keep));
    }
    Tokenward::builder().provider(provider).vault(vault).policies(policies)
}

pub(crate) fn wish(audience: usize) -> Wish {
    let (audience, scope) = AUDIENCES[audience];
    Wish::new(Audience::parse(audience).expect("an audience"), ScopeSet::parse(scope))
}

/// Waits for the next fact with this code.
pub(crate) async fn hear(events: &mut EventStream, code: &str) -> LifecycleEvent {
    within(async {
        loop {
            match events.next().await.expect("the framework lives") {
                Heard::Event(event) if event.event == code => return event,
                Heard::Event(_) => {}
                Heard::Missed(missed) => panic!("{missed} facts were missed"),
            }
        }
    })
    .await
}

/// Waits until `done`.
pub(crate) async fn until(what: &str, done: impl Fn() -> bool) {
    for _ in 0..1_200 {
        if done() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("it did not come to pass: {what}");
}

pub(crate) async fn within<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, future).await.expect("an answer in time")
}
