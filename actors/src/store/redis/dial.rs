//! How a connection is made, to whichever kind of Redis there is.

use std::time::Duration;

use redis::aio::{ConnectionLike, MultiplexedConnection, PubSub};
use redis::cluster::ClusterClient;
use redis::cluster_async::ClusterConnection;
use redis::io::tcp::TcpSettings;
use redis::sentinel::{SentinelClient, SentinelClientBuilder, SentinelServerType};
use redis::{
    AsyncConnectionConfig, Client, Cmd, ConnectionAddr, ErrorKind, IntoConnectionInfo,
    RedisConnectionInfo, RedisError, RedisResult, TlsCertificates, TlsMode, Value,
};
use tokio::sync::Mutex;
use tokio::time::timeout;

use super::settings::{Address, Password, Place, RedisSettings};

/// How long a connection may take to be made, with its greeting: two lost packets of each trip.
const CONNECT_MAX: Duration = Duration::from_secs(3);

/// How long an answer may take. With `appendfsync always` a slow disk takes most of a second for
/// one; beyond this it is failing, and a caller of the gateway has given up.
pub(super) const ANSWER_MAX: Duration = Duration::from_secs(4);

/// How often the client of a cluster follows a slot that has moved before it gives up.
const REDIRECTS_MAX: u32 = 4;

/// The way to a Redis.
pub(super) enum Dial {
    Node(Box<Client>),
    Sentinels(Box<Mutex<SentinelClient>>),
    /// The cluster, and its nodes: what is published at one is heard at all.
    Cluster(Box<ClusterClient>, Vec<Client>),
}

/// An open connection; a clone sends on the same one.
#[derive(Clone)]
pub(super) enum Wire {
    Node(MultiplexedConnection),
    Cluster(ClusterConnection),
}

impl Dial {
    pub(super) fn new(settings: &RedisSettings) -> RedisResult<Self> {
        let certificates = settings
            .tls
            .then(|| TlsCertificates { client_tls: None, root_cert: settings.roots.clone() });
        match &settings.place {
            Place::Node(address, database) => client(settings, address, *database, certificates)
                .map(|client| Self::Node(Box::new(client))),
            Place::Sentinels { addresses, master, database } => {
                sentinels(settings, addresses, (master, *database), certificates)
                    .map(|client| Self::Sentinels(Box::new(Mutex::new(client))))
            }
            Place::Cluster(addresses) => {
                let nodes = addresses
                    .iter()
                    .map(|address| client(settings, address, 0, certificates.clone()))
                    .collect::<RedisResult<_>>()?;
                let client = cluster(settings, addresses, certificates)?;
                Ok(Self::Cluster(Box::new(client), nodes))
            }
        }
    }

    /// Connects.
    pub(super) async fn wire(&self) -> RedisResult<Wire> {
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(CONNECT_MAX))
            .set_response_timeout(Some(ANSWER_MAX));
        let wire = match self {
            Self::Node(client) => {
                within(client.get_multiplexed_async_connection_with_config(&config)).await?
            }
            Self::Sentinels(client) => {
                let mut client = client.lock().await;
                within(client.get_async_connection_with_config(&config)).await?
            }
            Self::Cluster(client, _) => {
                return within(client.get_async_connection()).await.map(Wire::Cluster);
            }
        };
        loaded(Wire::Node(wire)).await
    }

    /// Connects to listen; `turn` says which of several nodes is asked first.
    pub(super) async fn ear(&self, turn: usize) -> RedisResult<PubSub> {
        match self {
            Self::Node(client) => within(client.get_async_pubsub()).await,
            Self::Sentinels(client) => {
                let master = within(client.lock().await.async_get_client()).await?;
                within(master.get_async_pubsub()).await
            }
            Self::Cluster(_, nodes) => {
                let node = &nodes[turn % nodes.len()];
                within(node.get_async_pubsub()).await
            }
        }
    }
}

impl Wire {
    /// Sends a command and waits for what comes of it.
    pub(super) async fn send(&mut self, command: &Cmd) -> RedisResult<Value> {
        // The client of a cluster counts its own tries; this bounds them together.
        let sent = async {
            match self {
                Self::Node(wire) => wire.req_packed_command(command).await,
                Self::Cluster(wire) => wire.req_packed_command(command).await,
            }
        };
        let value = timeout(ANSWER_MAX, sent).await.map_err(|_| late())??;
        value.extract_error()
    }
}

/// Passes a connection on whose server has loaded what it kept: before, it can be told nothing.
async fn loaded(mut wire: Wire) -> RedisResult<Wire> {
    match wire.send(&redis::cmd("PING")).await {
        Err(error) if is_lost(&error) || error.code() == Some("LOADING") => Err(error),
        // A server that refuses to say has loaded, too.
        Ok(_) | Err(_) => Ok(wire),
    }
}

async fn within<T>(made: impl Future<Output = RedisResult<T>>) -> RedisResult<T> {
    timeout(CONNECT_MAX, made).await.map_err(|_| late())?
}

fn late() -> RedisError {
    std::io::Error::from(std::io::ErrorKind::TimedOut).into()
}

fn tcp() -> TcpSettings {
    // Each request waits for its answer: nothing is gained by waiting for more to send.
    TcpSettings::default().set_nodelay(true)
}

fn client(
    settings: &RedisSettings,
    address: &Address,
    database: u32,
    certificates: Option<TlsCertificates>,
) -> RedisResult<Client> {
    let mut greeting = RedisConnectionInfo::default().set_db(i64::from(database));
    if let Some(username) = &settings.username {
        greeting = greeting.set_username(username);
    }
    if let Some(password) = &settings.password {
        greeting = greeting.set_password(password.expose());
    }
    let info = addr(address, settings.tls).into_connection_info()?;
    let info = info.set_redis_settings(greeting).set_tcp_settings(tcp());
    match certificates {
        Some(certificates) => Client::build_with_tls(info, certificates),
        None => Client::open(info),
    }
}

fn sentinels(
    settings: &RedisSettings,
    addresses: &[Address],
    (master, database): (&str, u32),
    certificates: Option<TlsCertificates>,
) -> RedisResult<SentinelClient> {
    let places = addresses.iter().map(|address| addr(address, settings.tls));
    let mut builder = SentinelClientBuilder::new(places, master, SentinelServerType::Master)?
        .set_client_to_redis_db(i64::from(database))
        .set_client_to_redis_tcp_settings(tcp())
        .set_client_to_sentinel_tcp_settings(tcp());
    if let Some(username) = &settings.username {
        builder = builder.set_client_to_redis_username(username);
    }
    if let Some(password) = &settings.password {
        builder = builder.set_client_to_redis_password(password.expose());
    }
    if let Some(password) = settings.sentinel_password.as_ref().map(Password::expose) {
        builder = builder.set_client_to_sentinel_password(password);
    }
    if let Some(certificates) = certificates {
        builder = builder
            .set_client_to_redis_tls_mode(TlsMode::Secure)
            .set_client_to_redis_certificates(certificates.clone())
            .set_client_to_sentinel_certificates(certificates);
    }
    builder.build()
}

fn cluster(
    settings: &RedisSettings,
    addresses: &[Address],
    certificates: Option<TlsCertificates>,
) -> RedisResult<ClusterClient> {
    let nodes = addresses.iter().map(|address| addr(address, settings.tls));
    let mut builder = ClusterClient::builder(nodes)
        .connection_timeout(CONNECT_MAX)
        .response_timeout(ANSWER_MAX)
        .retries(REDIRECTS_MAX)
        .tcp_settings(tcp());
    if let Some(username) = &settings.username {
        builder = builder.username(username);
    }
    if let Some(password) = &settings.password {
        builder = builder.password(password.expose());
    }
    if let Some(certificates) = certificates {
        builder = builder.tls(TlsMode::Secure).certs(certificates);
    }
    builder.build()
}

fn addr(address: &Address, tls: bool) -> ConnectionAddr {
    let Address { host, port } = address.clone();
    match tls {
        false => ConnectionAddr::Tcp(host, port),
        true => ConnectionAddr::TcpTls { host, port, insecure: false, tls_params: None },
    }
}

/// Reports whether the connection is of no use any more, so that the next command needs another.
pub(super) fn is_lost(error: &RedisError) -> bool {
    error.is_unrecoverable_error()
        || error.is_timeout()
        || matches!(error.kind(), ErrorKind::Io | ErrorKind::Parse)
        || matches!(error.code(), Some("READONLY" | "MASTERDOWN" | "UNBLOCKED"))
}
