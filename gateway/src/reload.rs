//! Makes a configuration live: at the start, and again at each SIGHUP.
//!
//! A reload builds everything anew beside what is in use and then swaps one pointer. Requests in
//! flight keep what they began with; connections are not touched; an upstream that did not change
//! keeps its connections. Where anything cannot be built, nothing is swapped.

use std::fmt;
use std::sync::Arc;

use crate::config::Config;
use crate::forward::Upstream;
use crate::house::Live;
use crate::route::{Route, RouteTable};
use crate::tls;

/// Why a configuration cannot be made live; a sentence for the operator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoadFault(String);

impl LoadFault {
    pub(crate) fn new(sentence: String) -> Self {
        Self(sentence)
    }
}

impl fmt::Display for LoadFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for LoadFault {}

/// Builds what a configuration describes; takes unchanged upstreams over from `before`.
pub(crate) fn load(config: Config, before: Option<&Live>) -> Result<Live, LoadFault> {
    if let Some(before) = before {
        refuse_what_needs_a_restart(&config, &before.config)?;
    }
    let fault = |what: &str, wrong: String| {
        LoadFault::new(format!("{}: {what}: {wrong}.", config.path.display()))
    };
    let tls = config.tls.as_ref().map(tls::server).transpose();
    let tls = tls.map_err(|wrong| fault("tls", wrong))?;
    let mut known: Vec<Arc<Upstream>> = before.map_or_else(Vec::new, upstreams);
    let mut routes = Vec::with_capacity(config.routes.len());
    for (number, route) in config.routes.iter().enumerate() {
        let upstream = match known.iter().find(|upstream| upstream.config == route.upstream) {
            Some(upstream) => Arc::clone(upstream),
            None => {
                let upstream = Upstream::new(route.upstream.clone())
                    .map_err(|wrong| fault(&format!("route[{number}].upstream"), wrong))?;
                let upstream = Arc::new(upstream);
                known.push(Arc::clone(&upstream));
                upstream
            }
        };
        routes.push(Arc::new(Route { number, config: route.clone(), upstream }));
    }
    let origin = config.public_url.as_ref().map(|url| url.origin().ascii_serialization());
    Ok(Live { config: Arc::new(config), table: RouteTable::new(routes), tls, origin })
}

fn upstreams(live: &Live) -> Vec<Arc<Upstream>> {
    live.table.routes().iter().map(|route| Arc::clone(&route.upstream)).collect()
}

fn refuse_what_needs_a_restart(next: &Config, present: &Config) -> Result<(), LoadFault> {
    let changed = [
        ("listen", next.listen != present.listen),
        ("state_dir", next.state_dir != present.state_dir),
        ("prefix", next.prefix != present.prefix),
        ("provider.issuer", next.provider.issuer != present.provider.issuer),
        ("provider.client_id", next.provider.client_id != present.provider.client_id),
        ("admin.listen", next.admin.listen != present.admin.listen),
        ("session.cookie", next.session.cookie != present.session.cookie),
        ("limits", next.limits != present.limits),
        ("tls", next.tls.is_some() != present.tls.is_some()),
    ];
    let changed = changed.iter().find(|(_, changed)| *changed).map(|(key, _)| *key);
    match changed.or_else(|| next.store.changed(&present.store)) {
        None => Ok(()),
        Some(key) => Err(LoadFault::new(format!(
            "{}: {key}: it cannot change while the gateway runs; restart it, or put the old value \
             back.",
            next.path.display()
        ))),
    }
}
