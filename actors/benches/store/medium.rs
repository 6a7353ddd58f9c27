//! Where sessions are kept: in a file, or in a redis-server of our own.

use std::net::{Ipv4Addr, TcpListener};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use tempfile::TempDir;
use tokenward::core::lease::{Begin, Begun, Commit, Head, Verdict};
use tokenward::core::name::{Generation, Owner, SessionKey};
use tokenward::store::redis::{Redis, RedisSettings};
use tokenward::store::seal::KeyRing;
use tokenward::store::{Body, Embedded, IndexKey, Memory, Row, Store};
use tokenward::{Clock, Vault};

/// Bytes of a sealed record in the bare store: as many as that of a session with three opaque
/// tokens has.
const RECORD_BYTES: usize = 1_100;

/// How often a starting server is asked, and how often it is looked for at most.
const LOOK_GAP: Duration = Duration::from_millis(20);
const LOOKS: usize = 500;

/// What keeps sessions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Medium {
    /// In this process's memory, which costs next to nothing.
    Memory,
    Embedded,
    RedisAlways,
    RedisEverysec,
}

/// An empty store.
pub(crate) struct Place {
    medium: Medium,
    dir: TempDir,
    server: Option<Server>,
}

struct Server {
    child: Child,
    port: u16,
}

impl Medium {
    /// Those that outlive the process.
    pub(crate) const DURABLE: [Self; 3] = [Self::Embedded, Self::RedisAlways, Self::RedisEverysec];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::Embedded => "embedded",
            Self::RedisAlways => "Redis, appendfsync always",
            Self::RedisEverysec => "Redis, appendfsync everysec",
        }
    }

    /// Makes an empty store.
    pub(crate) async fn open(self) -> Place {
        let dir = tempfile::tempdir().expect("a directory");
        let server = match self {
            Self::Memory | Self::Embedded => None,
            Self::RedisAlways => Some(Server::start(&dir, "always").await),
            Self::RedisEverysec => Some(Server::start(&dir, "everysec").await),
        };
        Place { medium: self, dir, server }
    }
}

impl Place {
    /// Opens the store for a framework.
    pub(crate) async fn vault(&self, clock: Clock) -> Vault {
        let keys = self.dir.path().join("state");
        match &self.server {
            None if self.medium == Medium::Memory => {
                let ring = KeyRing::ephemeral().expect("the keys are made");
                Vault::new(Arc::new(Memory::new(clock.clone())), Arc::new(ring), clock)
            }
            None => Vault::embedded(&keys, clock).expect("the store opens"),
            Some(server) => {
                Vault::redis(&server.settings(), &keys, clock).await.expect("the store opens")
            }
        }
    }

    /// Makes rotations without a framework, so many at once; returns how many a second.
    pub(crate) async fn rotate_bare(&self, width: usize, rotations: usize) -> f64 {
        let clock = Clock::system();
        let store: Arc<dyn Store> = match &self.server {
            None => Arc::new(Embedded::open(self.dir.path(), clock).expect("the store opens")),
            Some(server) => {
                Arc::new(Redis::connect(&server.settings(), clock).await.expect("it connects"))
            }
        };
        for number in 0..rotations {
            let key = key(number);
            let row = Row { head: Head::new(), body: body(key) };
            store.create(key, row).await.expect("new");
        }
        let next = Arc::new(AtomicUsize::new(0));
        let start = Instant::now();
        let workers: Vec<_> = (0..width)
            .map(|_| {
                let (store, next) = (Arc::clone(&store), Arc::clone(&next));
                tokio::spawn(async move {
                    loop {
                        let number = next.fetch_add(1, Ordering::Relaxed);
                        if number >= rotations {
                            return;
                        }
                        rotate(&*store, key(number)).await;
                    }
                })
            })
            .collect();
        for worker in workers {
            worker.await.expect("no worker panics");
        }
        rotations as f64 / start.elapsed().as_secs_f64()
    }

    /// Returns how many scripts Redis has run.
    pub(crate) fn scripts(&self) -> u64 {
        let told = self.info("commandstats");
        let calls = |name: &str| {
            let line = told.lines().find_map(|line| line.strip_prefix(name));
            let count = line.and_then(|line| line.split(',').next()?.parse::<u64>().ok());
            count.unwrap_or(0)
        };
        calls("cmdstat_evalsha:calls=") + calls("cmdstat_eval:calls=")
    }

    /// Returns the bytes that Redis uses for what it holds.
    pub(crate) fn used_bytes(&self) -> f64 {
        let told = self.info("memory");
        let used = told.lines().find_map(|line| line.strip_prefix("used_memory_dataset:"));
        used.and_then(|used| used.trim().parse().ok()).unwrap_or(0.0)
    }

    fn info(&self, section: &str) -> String {
        let port = self.server.as_ref().map_or(0, |server| server.port).to_string();
        let told = Command::new("redis-cli").args(["-p", &port, "INFO", section]).output();
        String::from_utf8_lossy(&told.expect("redis-cli runs").stdout).into_owned()
    }
}

impl Server {
    async fn start(dir: &TempDir, fsync: &str) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        let port = listener.local_addr().expect("bound").port();
        drop(listener);
        let mut command = Command::new("redis-server");
        command.args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", ""]);
        command.args(["--appendonly", "yes", "--appendfsync", fsync]);
        command.current_dir(dir.path()).stdout(Stdio::null()).stdin(Stdio::null());
        let child = command.spawn().expect("redis-server starts: run `cargo xtask setup`");
        let server = Self { child, port };
        for _ in 0..LOOKS {
            if std::net::TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok() {
                return server;
            }
            tokio::time::sleep(LOOK_GAP).await;
        }
        panic!("redis-server does not listen");
    }

    fn settings(&self) -> RedisSettings {
        RedisSettings::parse(&format!("redis://127.0.0.1:{}/", self.port)).expect("a place")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Fails only where it has ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The two durable writes of a rotation.
async fn rotate(store: &dyn Store, key: SessionKey) {
    let ask = Begin {
        owner: Owner(1 << 100),
        consumes: Generation(0),
        lease: Duration::from_secs(15),
        settle: Duration::from_secs(1),
        takes_over: None,
    };
    let Begun::Leased { intent, .. } = store.begin(key, ask).await.expect("written") else {
        panic!("a lease of a new session is refused");
    };
    let commit = Commit { consumed: Generation(0), epoch: intent.epoch, rotated: true };
    let verdict = store.commit(key, commit, body(key)).await.expect("written");
    assert!(matches!(verdict, Verdict::Accept(_)), "{verdict:?}");
}

fn key(number: usize) -> SessionKey {
    // Spread as hashes are.
    let mixed = (number as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mut key = [0; 32];
    key[..8].copy_from_slice(&mixed.to_be_bytes());
    key[8..16].copy_from_slice(&(number as u64).to_be_bytes());
    SessionKey(key)
}

fn body(key: SessionKey) -> Body {
    Body {
        sealed: vec![0x5a; RECORD_BYTES],
        due: None,
        by_subject: IndexKey(key.0),
        by_provider_session: None,
    }
}
