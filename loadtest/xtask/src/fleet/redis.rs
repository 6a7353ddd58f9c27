//! The Redis that a fleet shares: one server, a master with sentinels, or a cluster.

pub(crate) mod server;

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use tokenward_programs::clock;
use tokenward_programs::failure::Failure;

pub(crate) use self::server::Server;
use self::server::{MASTER, cli};
use crate::command;

/// How many servers a cluster has: the fewest that Redis lets form one.
const NODES: usize = 3;
/// How many sentinels watch a master: two of them decide.
const SENTINELS: usize = 3;
/// How long a failover may take until the sentinels name another master.
const FAILOVER_LIMIT: Duration = Duration::from_secs(30);
/// How often they are asked.
const FAILOVER_GAP: Duration = Duration::from_millis(100);
/// How long a cluster may take until all its nodes agree.
const CLUSTER_LIMIT: Duration = Duration::from_secs(30);
/// How many slots move at once: each of a fleet's buckets has a chance to be among them.
const MOVED_SLOTS: &str = "200";

/// How the servers stand to each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Layout {
    /// One server.
    Single,
    /// A master, a replica and three sentinels.
    Sentinel,
    /// Three masters that share the slots.
    Cluster,
}

/// When the servers flush what they have written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Fsync {
    /// Before each answer.
    Always,
    /// Each second.
    Everysec,
}

impl Fsync {
    /// Returns the word of redis.conf.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Always => "always",
            Self::Everysec => "everysec",
        }
    }
}

/// The running servers.
#[derive(Debug)]
pub(crate) struct Redis {
    layout: Layout,
    servers: Vec<Server>,
    sentinels: Vec<Server>,
    /// Which server was the master when last looked at.
    master: usize,
}

impl Redis {
    /// Starts the servers of a layout, each with a folder of its own.
    ///
    /// # Errors
    /// `Unavailable` when one is lacking or does not come up.
    pub(crate) fn start(folder: &Path, layout: Layout, fsync: Fsync) -> Result<Self, Failure> {
        let mut settings = vec!["--appendonly", "yes", "--appendfsync", fsync.word()];
        // A replica is not to be waited for: there is only one.
        settings.extend(["--repl-diskless-sync-delay", "0"]);
        if layout == Layout::Cluster {
            settings.extend(["--cluster-enabled", "yes", "--cluster-node-timeout", "2000"]);
        }
        let count = match layout {
            Layout::Single => 1,
            Layout::Sentinel => 2,
            Layout::Cluster => NODES,
        };
        let servers = (0..count).map(|at| Server::start(folder, &format!("redis-{at}"), &settings));
        let servers = servers.collect::<Result<Vec<_>, _>>()?;
        let mut redis = Self { layout, servers, sentinels: Vec::new(), master: 0 };
        match layout {
            Layout::Single => {}
            Layout::Sentinel => redis.watch_over(folder)?,
            Layout::Cluster => redis.join()?,
        }
        Ok(redis)
    }

    /// Returns how the servers stand to each other.
    pub(crate) fn layout(&self) -> Layout {
        self.layout
    }

    /// Returns the server that takes writes; of a cluster the first.
    pub(crate) fn master(&self) -> &Server {
        &self.servers[self.master]
    }

    /// Returns the ports of all servers, or of all sentinels where there are some.
    pub(crate) fn doors(&self) -> Vec<u16> {
        let doors = if self.sentinels.is_empty() { &self.servers } else { &self.sentinels };
        doors.iter().map(Server::port).collect()
    }

    /// Returns all servers that hold sessions.
    pub(crate) fn servers_mut(&mut self) -> &mut [Server] {
        &mut self.servers
    }

    /// Kills a server of a single layout or a cluster, and starts it again after `down`.
    ///
    /// # Errors
    /// `Unavailable` when it does not come back.
    pub(crate) fn crash(&mut self, which: usize, down: Duration) -> Result<(), Failure> {
        let count = self.servers.len();
        let server = &mut self.servers[which % count];
        server.kill();
        std::thread::sleep(down);
        server.restart()
    }

    /// Says when the servers flush from now on.
    ///
    /// # Errors
    /// `Missed` where a server does not take it.
    pub(crate) fn flush(&self, fsync: Fsync) -> Result<(), Failure> {
        let words = ["CONFIG", "SET", "appendfsync", fsync.word()];
        self.servers.iter().try_for_each(|server| server.ask(&words).map(drop))
    }

    /// Lets the master die with writes that its replica has never had, and waits until the sentinels
    /// have made that replica the master.
    ///
    /// # Errors
    /// `Missed` when they do not; `Unavailable` when a server does not come back.
    pub(crate) fn fail_over(&mut self, behind: Duration) -> Result<(), Failure> {
        let (old, new) = (self.master, 1 - self.master);
        // What the kernel holds for a frozen server dies with it: its own log is all that is left.
        self.servers[new].freeze();
        std::thread::sleep(behind);
        self.servers[old].kill();
        self.servers[new].kill();
        self.servers[new].restart()?;
        let port = self.servers[new].port().to_string();
        let is_master =
            || self.sentinels.iter().all(|sentinel| named_master(sentinel).contains(&port));
        let named = clock::poll(FAILOVER_LIMIT, FAILOVER_GAP, || is_master().then_some(()));
        named.ok_or_else(|| Failure::Missed("the sentinels made no replica the master".into()))?;
        self.master = new;
        // It comes back with the writes that nobody else has, and loses them as a replica.
        self.servers[old].restart()?;
        follows(&self.servers[old])
    }

    /// Moves some slots from one node to the next, while whoever uses them goes on.
    ///
    /// # Errors
    /// `Missed` with redis-cli's words where it does not move them.
    pub(crate) fn move_slots(&self, turn: usize) -> Result<(), Failure> {
        let (from, to) = (turn % self.servers.len(), (turn + 1) % self.servers.len());
        let id = |at: usize| {
            let told = self.servers[at].ask(&["CLUSTER", "MYID"])?;
            Ok::<_, Failure>(told.trim().to_owned())
        };
        let mut command = cli(self.servers[0].port());
        // redis-cli takes host and port of any node where it speaks to a whole cluster.
        let node = format!("127.0.0.1:{}", self.servers[0].port());
        command.args(["--cluster", "reshard", &node, "--cluster-from", &id(from)?]);
        command.args(["--cluster-to", &id(to)?, "--cluster-slots", MOVED_SLOTS, "--cluster-yes"]);
        command::run_quietly(&mut command, "moving slots")
    }

    /// Returns how often each command was called, over all servers.
    ///
    /// # Errors
    /// `Missed` where a server does not answer.
    pub(crate) fn calls(&self) -> Result<BTreeMap<String, u64>, Failure> {
        let mut calls = BTreeMap::new();
        for server in &self.servers {
            for (name, count) in command_calls(&server.ask(&["INFO", "commandstats"])?) {
                *calls.entry(name).or_insert(0) += count;
            }
        }
        Ok(calls)
    }

    /// Returns the bytes that all servers use for what they hold.
    ///
    /// # Errors
    /// `Missed` where a server does not answer.
    pub(crate) fn used_bytes(&self) -> Result<u64, Failure> {
        let mut used = 0;
        for server in &self.servers {
            let told = server.ask(&["INFO", "memory"])?;
            let bytes = told.lines().find_map(|line| line.strip_prefix("used_memory_dataset:"));
            used += bytes.and_then(|bytes| bytes.trim().parse::<u64>().ok()).unwrap_or(0);
        }
        Ok(used)
    }

    fn watch_over(&mut self, folder: &Path) -> Result<(), Failure> {
        let port = self.servers[0].port();
        self.servers[1].ask(&["REPLICAOF", "127.0.0.1", &port.to_string()])?;
        follows(&self.servers[1])?;
        for number in 0..SENTINELS {
            let name = format!("sentinel-{number}");
            self.sentinels.push(Server::start_sentinel(folder, &name, port)?);
        }
        let knows_all = |sentinel: &Server| {
            let told = sentinel.ask(&["SENTINEL", "MASTER", MASTER]).unwrap_or_default();
            let field = |name: &str| told.lines().skip_while(|line| *line != name).nth(1);
            field("num-slaves") == Some("1") && field("num-other-sentinels") == Some("2")
        };
        let all = || self.sentinels.iter().all(knows_all).then_some(());
        clock::poll(FAILOVER_LIMIT, FAILOVER_GAP, all)
            .ok_or_else(|| Failure::Unavailable("the sentinels did not find each other".into()))
    }

    fn join(&self) -> Result<(), Failure> {
        let mut command = cli(self.servers[0].port());
        command.args(["--cluster", "create"]);
        command.args(self.doors().iter().map(|port| format!("127.0.0.1:{port}")));
        command.args(["--cluster-replicas", "0", "--cluster-yes"]);
        command::run_quietly(&mut command, "forming a cluster")?;
        let agrees = |server: &Server| {
            server.ask(&["CLUSTER", "INFO"]).is_ok_and(|told| told.contains("cluster_state:ok"))
        };
        let all = || self.servers.iter().all(agrees).then_some(());
        clock::poll(CLUSTER_LIMIT, FAILOVER_GAP, all)
            .ok_or_else(|| Failure::Unavailable("the cluster's nodes do not agree".to_owned()))
    }
}

/// Waits until a replica has all that its master has.
fn follows(replica: &Server) -> Result<(), Failure> {
    let is_up = || {
        let told = replica.ask(&["INFO", "replication"]).unwrap_or_default();
        told.contains("role:slave") && told.contains("master_link_status:up")
    };
    clock::poll(FAILOVER_LIMIT, FAILOVER_GAP, || is_up().then_some(()))
        .ok_or_else(|| Failure::Missed("a replica did not catch up with its master".to_owned()))
}

fn named_master(sentinel: &Server) -> String {
    sentinel.ask(&["SENTINEL", "GET-MASTER-ADDR-BY-NAME", MASTER]).unwrap_or_default()
}

/// Reads lines as `cmdstat_evalsha:calls=7,usec=…`.
fn command_calls(stats: &str) -> impl Iterator<Item = (String, u64)> {
    stats.lines().filter_map(|line| {
        let (name, rest) = line.strip_prefix("cmdstat_")?.split_once(":calls=")?;
        Some((name.to_owned(), rest.split(',').next()?.parse().ok()?))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_calls_of_each_command_are_read() {
        let stats = "# Commandstats\r\ncmdstat_evalsha:calls=12,usec=5\r\ncmdstat_cluster|info:calls=3,usec=1\r\nother:1\r\n";
        let calls: Vec<_> = command_calls(stats).collect();
        assert_eq!(calls, [("evalsha".to_owned(), 12), ("cluster|info".to_owned(), 3)]);
    }
}
