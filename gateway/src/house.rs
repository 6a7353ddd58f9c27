//! What all threads share: the present configuration, the tokens, and the doors to other rooms.

use std::fmt;
use std::sync::Arc;

use arc_swap::{ArcSwap, Guard};
use http::HeaderValue;
use tokenward::clock::Clock;
use tokenward::core::event::EndReason;
use tokenward::core::name::SessionKey;

use crate::config::Config;
use crate::observe::{CloseCause, Observe};
use crate::reload::{self, LoadFault};
use crate::route::RouteTable;
use crate::streams::Streams;
use crate::tokens::Tokens;
use crate::trace::Tracer;

/// What other rooms bring to the data plane.
pub struct Rooms {
    /// Where access tokens come from.
    pub tokens: Arc<dyn Tokens>,
    /// Answers what lies under the reserved prefix.
    pub public: axum::Router,
    /// Answers the operator's listener.
    pub admin: axum::Router,
    /// Takes note of requests.
    pub observe: Arc<dyn Observe>,
    /// Tells the time.
    pub clock: Clock,
}

/// What all data-plane threads share.
pub(crate) struct House {
    live: ArcSwap<Live>,
    pub(crate) tokens: Arc<dyn Tokens>,
    pub(crate) observe: Arc<dyn Observe>,
    pub(crate) clock: Clock,
    pub(crate) streams: Arc<Streams>,
    /// Absent where nobody wants traces.
    pub(crate) tracer: Option<Arc<Tracer>>,
    pub(crate) public: axum::Router,
    /// The runtime of the actors, where control requests run: none of them may stall a thread of
    /// the data plane, and none ends because its caller went away (law L4).
    pub(crate) runtime: tokio::runtime::Handle,
    /// Our entry in Via: this process and no other, to know our own requests again.
    pub(crate) via: HeaderValue,
    /// The name in `via`.
    pub(crate) name: String,
}

/// What a reload replaces as a whole.
pub(crate) struct Live {
    pub(crate) config: Arc<Config>,
    pub(crate) table: RouteTable,
    pub(crate) tls: Option<Arc<rustls::ServerConfig>>,
    /// The origin of `public_url`.
    pub(crate) origin: Option<String>,
}

impl House {
    pub(crate) fn new(
        live: Live,
        rooms: &Rooms,
        runtime: tokio::runtime::Handle,
    ) -> Result<Self, LoadFault> {
        let mut salt = [0; 4];
        getrandom::fill(&mut salt)
            .map_err(|error| LoadFault::new(format!("no randomness: {error}")))?;
        let name = format!("tokenward-{:08x}", u32::from_be_bytes(salt));
        let via = HeaderValue::try_from(format!("1.1 {name}"))
            .map_err(|error| LoadFault::new(error.to_string()))?;
        let tracer = Tracer::start(&live.config);
        let house = Self {
            tracer,
            live: ArcSwap::from_pointee(live),
            tokens: Arc::clone(&rooms.tokens),
            observe: Arc::clone(&rooms.observe),
            clock: rooms.clock.clone(),
            streams: Streams::new(),
            public: rooms.public.clone(),
            runtime,
            via,
            name,
        };
        house.tell_routes();
        Ok(house)
    }

    /// Returns what is valid at this moment.
    pub(crate) fn live(&self) -> Guard<Arc<Live>> {
        self.live.load()
    }

    /// Returns what is valid at this moment, to be kept over a wait.
    pub(crate) fn live_for_long(&self) -> Arc<Live> {
        self.live.load_full()
    }

    /// Puts a new configuration in place of the present one, or leaves that where it is bad.
    pub(crate) fn reload(&self, config: Config) -> Result<(), LoadFault> {
        let next = reload::load(config, Some(&self.live()))?;
        self.live.store(Arc::new(next));
        self.tell_routes();
        Ok(())
    }

    /// Closes what still runs of a session that has ended.
    pub(crate) fn close_streams(&self, session: &SessionKey, reason: EndReason) {
        for leash in self.streams.take(session) {
            self.observe.stream_closed(CloseCause::of(reason));
            leash.cut();
        }
    }

    /// Asks whether a session is over, and closes what runs of it then.
    pub(crate) async fn close_if_over(&self, session: &SessionKey) {
        if let Some(reason) = self.tokens.end_of(session).await {
            self.close_streams(session, reason);
        }
    }

    fn tell_routes(&self) {
        let live = self.live();
        let names: Vec<_> =
            live.table.routes().iter().map(|route| Arc::clone(&route.config.name)).collect();
        self.observe.routes(&names);
    }
}

impl fmt::Debug for House {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("House").field("name", &self.name).finish_non_exhaustive()
    }
}
