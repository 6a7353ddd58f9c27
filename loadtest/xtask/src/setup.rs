//! Set-up: what each step needs, what the machine lacks, and how it gets there.
//!
//! Nothing is skipped in silence: what cannot be installed is an error that names the remedy. When
//! all is there, this takes a fraction of a second.

mod debian;
pub(crate) mod debs;
mod deny;
pub(crate) mod llvm;
pub(crate) mod npm;
mod provider;

use std::env;
use std::path::{Path, PathBuf};

use tokenward_programs::failure::Failure;

use crate::terminal;
use crate::tree::Tree;

/// A program that some step runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Program {
    /// Delivers alerts.
    Alertmanager,
    /// Checks the configuration of what delivers alerts.
    Amtool,
    /// A browser for sign-in, the demo page and logout.
    Chromium,
    /// Drives the browser (WebDriver).
    ChromeDriver,
    /// An HTTP client that nobody here wrote.
    Curl,
    /// Reads the compose file of the dashboards.
    DockerCompose,
    /// A load generator for HTTP/1.1 and HTTP/2.
    H2load,
    /// Evaluates the mixin of the dashboards.
    Jsonnet,
    /// Debian's checker of packages.
    Lintian,
    /// An independent upstream, and the peer of the hop benchmark.
    Nginx,
    /// Scrapes, and evaluates rules.
    Prometheus,
    /// Checks rules and plays their unit tests.
    Promtool,
    /// Keeps the sessions of several gateways.
    Redis,
    /// Watches over several of them, and says which is the master.
    RedisSentinel,
    /// Counts instructions.
    Valgrind,
}

impl Program {
    const ALL: [Self; 14] = [
        Self::Alertmanager,
        Self::Amtool,
        Self::Chromium,
        Self::ChromeDriver,
        Self::Curl,
        Self::DockerCompose,
        Self::H2load,
        Self::Jsonnet,
        Self::Nginx,
        Self::Prometheus,
        Self::Promtool,
        Self::Redis,
        Self::RedisSentinel,
        Self::Valgrind,
    ];

    /// The environment variable by which tests find it, and by which a person may choose another.
    pub(crate) fn variable(self) -> &'static str {
        match self {
            Self::Alertmanager => "ALERTMANAGER",
            Self::Amtool => "AMTOOL",
            Self::Chromium => "CHROMIUM",
            Self::ChromeDriver => "CHROMEDRIVER",
            Self::Curl => "CURL",
            Self::DockerCompose => "DOCKER_COMPOSE",
            Self::H2load => "H2LOAD",
            Self::Jsonnet => "JSONNET",
            Self::Lintian => "LINTIAN",
            Self::Nginx => "NGINX",
            Self::Prometheus => "PROMETHEUS",
            Self::Promtool => "PROMTOOL",
            Self::Redis => "REDIS_SERVER",
            Self::RedisSentinel => "REDIS_SENTINEL",
            Self::Valgrind => "VALGRIND",
        }
    }

    /// The names under which it is found; the first is Debian's.
    fn names(self) -> &'static [&'static str] {
        match self {
            Self::Alertmanager => &["prometheus-alertmanager", "alertmanager"],
            Self::Amtool => &["amtool"],
            Self::Chromium => &["chromium", "google-chrome", "chromium-browser"],
            Self::ChromeDriver => &["chromedriver"],
            Self::Curl => &["curl"],
            Self::DockerCompose => &["docker-compose"],
            Self::H2load => &["h2load"],
            Self::Jsonnet => &["jsonnet"],
            Self::Lintian => &["lintian"],
            Self::Nginx => &["nginx"],
            Self::Prometheus => &["prometheus"],
            Self::Promtool => &["promtool"],
            Self::Redis => &["redis-server"],
            Self::RedisSentinel => &["redis-sentinel"],
            Self::Valgrind => &["valgrind"],
        }
    }

    fn debian_package(self) -> &'static str {
        match self {
            Self::Alertmanager | Self::Amtool => "prometheus-alertmanager",
            Self::Chromium => "chromium",
            Self::ChromeDriver => "chromium-driver",
            Self::Curl => "curl",
            Self::DockerCompose => "docker-compose",
            Self::H2load => "nghttp2-client",
            Self::Jsonnet => "jsonnet",
            Self::Lintian => "lintian",
            Self::Nginx => "nginx",
            Self::Prometheus | Self::Promtool => "prometheus",
            Self::Redis => "redis-server",
            Self::RedisSentinel => "redis-sentinel",
            Self::Valgrind => "valgrind",
        }
    }

    /// Returns where it is: as the environment says, else on the search path.
    fn locate(self) -> Option<PathBuf> {
        let chosen = env::var_os(self.variable()).map(PathBuf::from).filter(|path| path.is_file());
        chosen.or_else(|| self.names().iter().find_map(|name| on_path(name)))
    }
}

/// The tools that are ready to use, as environment variables for the steps that need them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tools {
    variables: Vec<(&'static str, PathBuf)>,
}

impl Tools {
    /// Returns the variables: name and path.
    pub(crate) fn variables(&self) -> &[(&'static str, PathBuf)] {
        &self.variables
    }

    /// Returns the path behind a variable.
    pub(crate) fn path(&self, variable: &str) -> Option<&Path> {
        self.variables.iter().find(|(name, _)| *name == variable).map(|(_, path)| path.as_path())
    }

    fn add(&mut self, variable: &'static str, path: PathBuf) {
        self.variables.push((variable, path));
    }
}

/// Installs whatever any step needs.
///
/// # Errors
/// `Unavailable` with the remedy, when something is lacking and cannot be installed.
pub(crate) fn everything() -> Result<Tools, Failure> {
    let tree = Tree::find()?;
    terminal::heading("set-up");
    let mut tools = programs(&Program::ALL)?;
    let node = npm::node()?;
    provider::install(&tree, &node)?;
    tools.add("TOKENWARD_NODE", node);
    tools.add("TOKENWARD_OIDC_PROVIDER_DIR", tree.provider());
    grafana(&tree, Grafana::Schema)?;
    tools.add("CARGO_DENY", deny::install(&tree)?);
    for (variable, path) in tools.variables() {
        terminal::note(&format!("{variable}={}", path.display()));
    }
    Ok(tools)
}

/// What is taken of Grafana.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Grafana {
    /// What draws panels, with all that it needs: half a gigabyte.
    Pictures,
    /// The published types of dashboards, and a compiler that reads them.
    Schema,
}

/// Installs a part of Grafana from npm, and returns its folder.
///
/// # Errors
/// `Unavailable` with the remedy, when it cannot be installed.
pub(crate) fn grafana(tree: &Tree, part: Grafana) -> Result<PathBuf, Failure> {
    npm::node()?;
    let (name, ours, what): (_, &[&str], _) = match part {
        Grafana::Pictures => ("pictures", &["page.tsx"], "what Grafana draws with"),
        Grafana::Schema => {
            ("schema", &["schema.ts", "seeded.ts", "tsconfig.json"], "Grafana's published types")
        }
    };
    let source = tree.root().join("loadtest/xtask/grafana").join(name);
    let folder = tree.tools().join(format!("grafana-{name}"));
    npm::install((&source, &folder), ours, what, || Ok(()))?;
    Ok(folder)
}

/// Installs only the named programs.
///
/// # Errors
/// `Unavailable` with the remedy, when one is lacking and cannot be installed.
pub(crate) fn programs(needed: &[Program]) -> Result<Tools, Failure> {
    let lacking: Vec<Program> =
        needed.iter().copied().filter(|program| program.locate().is_none()).collect();
    if !lacking.is_empty() {
        debian::install(&lacking)?;
    }
    let mut tools = Tools::default();
    for program in needed {
        let Some(path) = program.locate() else {
            return Err(Failure::Unavailable(format!(
                "{} is still lacking after the installation of Debian's package {}: install it by \
                 hand, or let {} name it",
                program.names()[0],
                program.debian_package(),
                program.variable(),
            )));
        };
        tools.add(program.variable(), path);
    }
    Ok(tools)
}

/// Returns where a program is on the search path, Debian's folders for daemons included.
pub(crate) fn on_path(name: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    // A person's path often lacks the folders where Debian keeps servers.
    let folders = env::split_paths(&path).chain(["/usr/sbin".into(), "/sbin".into()]);
    folders.map(|folder: PathBuf| folder.join(name)).find(|path| is_program(path))
}

fn is_program(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    path.metadata().is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_is_an_executable_file() {
        assert!(on_path("sh").is_some_and(|path| path.ends_with("sh")));
        assert_eq!(on_path("no-such-program-anywhere"), None);
        assert!(!is_program(Path::new("/")));
    }
}
