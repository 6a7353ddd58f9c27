//! What a run does: read from TOML, and checked as a whole before anything starts.

use std::fmt;
use std::fs;
use std::path::Path;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokenward_programs::failure::Failure;

pub use self::act::{Act, Deed};
pub use self::span::Span;

mod act;
mod check;
mod fault;
pub mod shipped;
mod span;

/// A load plan.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    /// What it shows, in one line.
    pub about: String,
    /// What is sent.
    pub load: Load,
    /// On whose behalf.
    #[serde(default)]
    pub sessions: Sessions,
    /// How the provider behaves.
    #[serde(default)]
    pub provider: Provider,
    /// What is measured.
    #[serde(default)]
    pub gateway: Gateway,
    /// What happens meanwhile.
    #[serde(default, rename = "act")]
    pub acts: Vec<Act>,
    /// What must come of it, besides the laws.
    #[serde(default)]
    pub expect: Expect,
}

/// What is sent.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Load {
    /// The rates, one after the other.
    pub stage: Vec<Stage>,
    /// How requests arrive.
    #[serde(default)]
    pub arrivals: Arrivals,
    /// The protocol.
    #[serde(default)]
    pub http: Http,
    /// Connections held open.
    #[serde(default = "default_connections")]
    pub connections: u32,
    /// Requests at once on each connection of HTTP/2.
    #[serde(default = "default_streams")]
    pub streams: u32,
    /// How long a caller waits before it gives up.
    #[serde(default = "default_give_up")]
    pub give_up: Span,
    /// The APIs that are called.
    #[serde(default = "Api::all")]
    pub apis: Vec<Api>,
}

/// One rate.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Stage {
    /// Requests per second; 0 is a silence.
    pub rate: f64,
    /// How long.
    pub lasting: Span,
}

/// How requests arrive.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Arrivals {
    /// By chance and independently of each other, as those of many people do.
    #[default]
    Poisson,
    /// Evenly spaced.
    Even,
}

/// The protocol between generator and gateway.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
pub enum Http {
    /// HTTP/1.1.
    #[default]
    #[serde(rename = "1.1")]
    One,
    /// HTTP/2 with prior knowledge.
    #[serde(rename = "2")]
    Two,
}

/// An API of the sandbox, and the gateway's route to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Api {
    /// The quote of the day.
    Quotes,
    /// The bank accounts.
    Accounts,
    /// The mirror.
    Echo,
}

/// On whose behalf requests are sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Sessions {
    /// How many.
    pub count: u32,
    /// How they came to be.
    pub by: SignIn,
    /// Whether each has called each API once before the run begins.
    pub primed: bool,
}

/// How sessions come to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SignIn {
    /// Through the gateway's sign-in, as a browser does; calls carry a cookie.
    Browser,
    /// By adopting a refresh token, as an operator does; calls carry the handle.
    Adoption,
}

/// How the provider behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Provider {
    /// How long access tokens live, in whole seconds.
    pub access_token_life: Span,
    /// The provider's tolerance for the previous refresh token, in whole seconds.
    pub reuse_window: Span,
    /// How long its token endpoint takes.
    pub latency: Span,
}

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Gateway {
    /// How many.
    pub count: u32,
    /// Where they keep sessions.
    pub store: Store,
}

/// Where gateways keep sessions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Store {
    /// Each in a database of its own.
    Embedded,
    /// All in one Redis, which the run starts.
    Redis,
}

/// What must come of a run, besides the laws.
#[derive(Clone, Copy, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Expect {
    /// The share of requests that may fail.
    pub failed_at_most: f64,
    /// By which share memory may grow between the second and the last fifth of the run.
    pub growth_at_most: Option<f64>,
}

impl Plan {
    /// Reads a plan by the name of a shipped one, or from a file.
    ///
    /// # Errors
    /// `Configuration` with one sentence that names the key.
    pub fn read(name: &str) -> Result<(String, Self), Failure> {
        let path = Path::new(name);
        let is_file = name.contains(['/', '.']) || path.exists();
        if !is_file || shipped::ALL.iter().any(|shipped| shipped.name == name) {
            return Ok((name.to_owned(), Self::parse(name, shipped::text(name)?)?));
        }
        let text = fs::read_to_string(path)
            .map_err(|error| Failure::Configuration(format!("{name} cannot be read: {error}")))?;
        let stem =
            path.file_stem().map_or_else(|| name.to_owned(), |stem| stem.display().to_string());
        Ok((stem, Self::parse(name, &text)?))
    }

    /// Reads the text of a plan that is called `name`.
    ///
    /// # Errors
    /// As [`Plan::read`].
    pub fn parse(name: &str, text: &str) -> Result<Self, Failure> {
        let plan: Self = toml::from_str(text)
            .map_err(|error| Failure::Configuration(fault::syntax(name, text, &error)))?;
        check::check(&plan).map_err(|wrong| Failure::Configuration(format!("{name}: {wrong}.")))?;
        Ok(plan)
    }

    /// Multiplies all rates, for a machine that is smaller or larger than the plan expects.
    ///
    /// # Errors
    /// `Configuration` when the rates are then out of bounds.
    pub fn scaled(mut self, factor: f64) -> Result<Self, Failure> {
        for stage in &mut self.load.stage {
            stage.rate *= factor;
        }
        check::check(&self)
            .map_err(|wrong| Failure::Configuration(format!("--scale: {wrong}.")))?;
        Ok(self)
    }

    /// Returns how long requests are sent.
    #[must_use]
    pub fn duration(&self) -> Duration {
        self.load.stage.iter().map(|stage| stage.lasting.0).sum()
    }

    /// Tells whether a gateway is killed meanwhile.
    #[must_use]
    pub fn kills(&self) -> bool {
        self.acts.iter().any(|act| act.does == Deed::KillGateway)
    }

    /// Tells whether answers of the provider may be lost on their way.
    #[must_use]
    pub fn loses_answers(&self) -> bool {
        self.kills() || self.acts.iter().any(|act| act.does == Deed::ProviderDown)
    }
}

impl Api {
    /// Returns all of them.
    #[must_use]
    pub fn all() -> Vec<Self> {
        vec![Self::Quotes, Self::Accounts, Self::Echo]
    }

    /// Returns the name, as plans and the sandbox write it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Quotes => "quotes",
            Self::Accounts => "accounts",
            Self::Echo => "echo",
        }
    }

    /// Returns the audience of its access tokens.
    #[must_use]
    pub const fn audience(self) -> &'static str {
        match self {
            Self::Quotes => "https://quotes.sandbox.example",
            Self::Accounts => "https://accounts.sandbox.example",
            Self::Echo => "https://echo.sandbox.example",
        }
    }

    /// Returns the scope that a call needs.
    #[must_use]
    pub const fn scope(self) -> &'static str {
        match self {
            Self::Quotes => "read:quotes",
            Self::Accounts => "read:accounts",
            Self::Echo => "use:echo",
        }
    }

    /// Returns the path that is called, through the gateway's route of the same name.
    #[must_use]
    pub const fn path(self) -> &'static str {
        match self {
            Self::Quotes => "/quotes/quote",
            Self::Accounts => "/accounts/accounts",
            Self::Echo => "/echo/anything",
        }
    }
}

impl fmt::Display for Http {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::One => "HTTP/1.1",
            Self::Two => "HTTP/2",
        })
    }
}

impl Default for Sessions {
    fn default() -> Self {
        Self { count: 60, by: SignIn::Browser, primed: true }
    }
}

impl Default for Provider {
    fn default() -> Self {
        Self {
            access_token_life: Span(Duration::from_secs(20)),
            reuse_window: Span(Duration::from_secs(60)),
            latency: Span(Duration::from_millis(20)),
        }
    }
}

impl Default for Gateway {
    fn default() -> Self {
        Self { count: 1, store: Store::Embedded }
    }
}

/// As many as a browser farm or a fleet of backends keeps open towards one gateway.
const fn default_connections() -> u32 {
    32
}

const fn default_streams() -> u32 {
    8
}

/// Longer than the gateway's own soft deadline of 8 s, so that its honest answer is heard.
const fn default_give_up() -> Span {
    Span(Duration::from_secs(10))
}
