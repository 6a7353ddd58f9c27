//! Which rule answers a request: by host, then by the longest path prefix.
//!
//! A prefix ends where a segment ends: `/api` serves `/api` and `/api/x`, never `/apix`. An exact
//! host goes before a wildcard, a longer wildcard before a shorter one, and routes without a host
//! come last; within one host the longest path wins.
//!
//! Where a server that reads paths more leniently than we do would find a rule that goes before
//! the one found here, the request is for neither: one rule's access token must not be what
//! another rule's API is opened with.

use std::cmp::Reverse;
use std::sync::Arc;

use http::HeaderValue;
use http::uri::{PathAndQuery, Uri};

use crate::config::{HostPattern, RouteConfig};
use crate::forward::Upstream;
use crate::path::resembles;

/// One rule, with everything about it that is the same for every request.
#[derive(Debug)]
pub struct Route {
    /// The route's number, for tables that are indexed by it.
    pub number: usize,
    /// The rule as it was configured.
    pub config: RouteConfig,
    /// Where its requests go.
    pub upstream: Arc<Upstream>,
}

/// Why a host and path lead to no upstream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Astray {
    /// When no rule serves them.
    NoRoute,
    /// When a lenient server would serve the path by another rule than a strict one.
    TwoRoutes,
}

/// All rules of one configuration.
#[derive(Debug)]
pub struct RouteTable {
    routes: Vec<Arc<Route>>,
    /// Groups by host, the most specific first.
    groups: Vec<Group>,
    /// Whether any group wants a host, so that nobody else pays for comparing it.
    by_host: bool,
}

#[derive(Debug)]
struct Group {
    host: Option<HostPattern>,
    /// Route numbers by falling length of their path.
    routes: Vec<Arc<Route>>,
}

impl RouteTable {
    /// Arranges the rules so that the first one that fits is the right one.
    pub fn new(routes: Vec<Arc<Route>>) -> Self {
        let mut groups: Vec<Group> = Vec::new();
        for route in &routes {
            match groups.iter_mut().find(|group| group.host == route.config.host) {
                Some(group) => group.routes.push(Arc::clone(route)),
                None => groups.push(Group {
                    host: route.config.host.clone(),
                    routes: vec![Arc::clone(route)],
                }),
            }
        }
        for group in &mut groups {
            group.routes.sort_by_key(|route| Reverse(route.config.path.len()));
        }
        groups.sort_by_key(|group| {
            Reverse(match &group.host {
                Some(HostPattern::Exact(_)) => (2, 0),
                Some(HostPattern::Below(domain)) => (1, domain.len()),
                None => (0, 0),
            })
        });
        let by_host = groups.iter().any(|group| group.host.is_some());
        Self { routes, groups, by_host }
    }

    /// Finds the rule for a settled `path` at `host` (with or without a port).
    ///
    /// # Errors
    /// Says whether no rule serves them, or more than one.
    pub fn find(&self, host: &str, path: &str) -> Result<&Arc<Route>, Astray> {
        let host = if self.by_host { name_of(host) } else { "" };
        let fitting =
            |group: &&Group| group.host.as_ref().is_none_or(|pattern| fits(pattern, host));
        for route in self.groups.iter().filter(fitting).flat_map(|group| &group.routes) {
            if begin_apart(&route.config.path, path) {
                continue;
            }
            if below(&route.config.path, path) {
                return Ok(route);
            }
            if resembles(&route.config.path, path) {
                return Err(Astray::TwoRoutes);
            }
        }
        Err(Astray::NoRoute)
    }

    /// Returns the rules in the order of the file.
    pub fn routes(&self) -> &[Arc<Route>] {
        &self.routes
    }
}

impl Route {
    /// Returns what to ask the upstream for, given the request's settled path and its query.
    ///
    /// Only a changed path is written anew; the common case shares the bytes of the request.
    pub(crate) fn target(&self, original: &Uri, settled: &str) -> Option<PathAndQuery> {
        let whole = original.path_and_query()?;
        let base = &self.upstream.config.base;
        if base.is_empty() && !self.config.strip_prefix && settled == whole.path() {
            return Some(whole.clone());
        }
        let rest = match self.config.strip_prefix {
            true => &settled[self.config.path.len()..],
            false => settled,
        };
        let slash = if rest.starts_with('/') { "" } else { "/" };
        let written = match whole.query() {
            Some(query) => format!("{base}{slash}{rest}?{query}"),
            None => format!("{base}{slash}{rest}"),
        };
        PathAndQuery::try_from(written).ok()
    }

    /// Returns the Host header of its upstream.
    pub(crate) fn host(&self) -> &HeaderValue {
        &self.upstream.host
    }
}

/// Reports whether the first letters after the slash already tell that no server, strict or lenient,
/// takes `path` for something below `prefix`: plain letters and digits have one reading.
fn begin_apart(prefix: &str, path: &str) -> bool {
    let first = |text: &str| text.as_bytes().get(1).copied().filter(u8::is_ascii_alphanumeric);
    match (first(prefix), first(path)) {
        (Some(wanted), Some(asked)) => !wanted.eq_ignore_ascii_case(&asked),
        (None, _) | (_, None) => false,
    }
}

/// Reports whether `path` is `prefix` or lies below it.
pub(crate) fn below(prefix: &str, path: &str) -> bool {
    path.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// Returns the host of an authority without its port.
pub(crate) fn without_port(authority: &str) -> &str {
    match authority.rfind(':') {
        // An IPv6 address without a port ends with its bracket.
        Some(colon) if !authority.ends_with(']') => &authority[..colon],
        Some(_) | None => authority,
    }
}

/// Returns the name of a host: without its port, and without the dot that makes it a full one.
fn name_of(host: &str) -> &str {
    let name = without_port(host);
    name.strip_suffix('.').unwrap_or(name)
}

fn fits(pattern: &HostPattern, host: &str) -> bool {
    match pattern {
        HostPattern::Exact(name) => host.eq_ignore_ascii_case(name),
        HostPattern::Below(domain) => {
            host.len() > domain.len()
                && host
                    .get(host.len() - domain.len()..)
                    .is_some_and(|end| end.eq_ignore_ascii_case(domain))
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::Config;

    fn table(routes: &str) -> RouteTable {
        let text = format!(
            "listen = \"127.0.0.1:0\"\nstate_dir = \"/nonexistent\"\n[provider]\n\
             issuer = \"http://localhost/\"\nclient_id = \"c\"\nauth = \"none\"\n{routes}"
        );
        let config = Config::parse(Path::new("t.toml"), &text).unwrap();
        let routes = config.routes.into_iter().enumerate().map(|(number, config)| {
            let upstream = Arc::new(Upstream::new(config.upstream.clone()).unwrap());
            Arc::new(Route { number, config, upstream })
        });
        RouteTable::new(routes.collect())
    }

    #[test]
    fn the_most_specific_host_then_the_longest_path_wins() {
        let rows = [
            ("", "/"),
            ("", "/api/"),
            ("", "/api/v2"),
            ("a.example", "/api"),
            ("*.example", "/"),
            ("*.b.example", "/"),
        ];
        let written = rows.iter().map(|(host, path)| {
            let host = if host.is_empty() { String::new() } else { format!("host = \"{host}\"\n") };
            format!("[[route]]\n{host}path = \"{path}\"\nupstream = \"http://localhost\"\n")
        });
        let table = table(&written.collect::<String>());
        for (host, path, expected) in [
            ("x", "/", "/"),
            ("x", "/api", "/api/"),
            ("x", "/api/", "/api/"),
            ("x", "/api/v1", "/api/"),
            ("x", "/api/v2", "/api/v2"),
            ("x", "/api/v2/y", "/api/v2"),
            ("x", "/api/v22", "/api/"),
            ("x", "/apix", "/"),
            ("a.example", "/api/x", "a.example/api"),
            ("A.Example:8443", "/api/x", "a.example/api"),
            ("a.example.:8443", "/api/x", "a.example/api"),
            ("a.example", "/other", "*.example/"),
            ("c.b.example", "/other", "*.b.example/"),
            ("b.example", "/other", "*.example/"),
            ("example", "/other", "/"),
            ("[::1]:80", "/other", "/"),
        ] {
            let found = table.find(host, path).map(|route| route.config.name.to_string());
            assert_eq!(found.as_deref(), Ok(expected), "{host} {path}");
        }
    }

    #[test]
    fn l5_a_path_that_a_lenient_server_reads_as_another_rules_is_nobodys() {
        let table = table(
            "[[route]]\npath = \"/\"\nupstream = \"http://localhost\"\n\
             [[route]]\npath = \"/pay/\"\nupstream = \"http://localhost\"\n\
             [[route]]\nhost = \"a.example\"\npath = \"/in/\"\nupstream = \"http://localhost\"\n",
        );
        for (host, path, expected) in [
            ("x", "/pay/x", Ok("/pay/")),
            ("x", "/pay/X;v=1/Y.", Ok("/pay/")),
            ("x", "/payx", Ok("/")),
            ("x", "/Pay/x", Err(Astray::TwoRoutes)),
            ("x", "/pay;v=1/x", Err(Astray::TwoRoutes)),
            ("x", "/pay./x", Err(Astray::TwoRoutes)),
            ("x", "/In/x", Ok("/")),
            ("a.example", "/In/x", Err(Astray::TwoRoutes)),
        ] {
            let found = table.find(host, path).map(|route| &*route.config.name);
            assert_eq!(found, expected, "{host} {path}");
        }
    }

    #[test]
    fn the_forwarded_path_is_the_settled_one_below_the_base() {
        for (upstream, strip, uri, settled, expected) in [
            ("http://localhost", false, "/api/x?q=%2F", "/api/x", "/api/x?q=%2F"),
            ("http://localhost", false, "/%61pi/x?q", "/api/x", "/api/x?q"),
            ("http://localhost", true, "/api/x?q", "/api/x", "/x?q"),
            ("http://localhost", true, "/api", "/api", "/"),
            ("http://localhost/base/", false, "/api/x", "/api/x", "/base/api/x"),
            ("http://localhost/base", true, "/api/", "/api/", "/base/"),
        ] {
            let table = table(&format!(
                "[[route]]\npath = \"/api/\"\nupstream = \"{upstream}\"\nstrip_prefix = {strip}\n"
            ));
            let uri: Uri = uri.parse().unwrap();
            let route = table.find("x", settled).unwrap();
            assert_eq!(route.target(&uri, settled).unwrap(), expected, "{upstream} {uri}");
        }
    }
}
