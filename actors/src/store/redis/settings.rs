//! Where a Redis is, and how it is greeted.

use std::fmt;

use zeroize::Zeroizing;

/// What all keys begin with where nobody says.
const PREFIX_DEFAULT: &str = "tw";

/// Into how many buckets sessions are put where nobody says. All keys of a bucket are in one slot of
/// a cluster, and a listing asks each bucket: this many spread well over 32 nodes, and are asked in
/// a few milliseconds. With 100 million sessions each index of a bucket has 400,000 entries.
pub const BUCKETS_DEFAULT: u16 = 256;

/// The port of a Redis where nobody says.
const PORT: u16 = 6379;

/// The port of a Sentinel where nobody says.
const SENTINEL_PORT: u16 = 26379;

/// The most addresses that one setting names: a cluster tells of its other nodes itself.
const ADDRESSES_MAX: usize = 64;

/// Where a Redis is, and how it is greeted.
#[derive(Clone, Debug)]
pub struct RedisSettings {
    /// Where it is.
    pub place: Place,
    /// Whether the connection is by TLS.
    pub tls: bool,
    /// The user of its access list; `None` for its default user.
    pub username: Option<String>,
    /// The user's password.
    pub password: Option<Password>,
    /// The password of the Sentinels, where they want one.
    pub sentinel_password: Option<Password>,
    /// The authorities that may vouch for it, in PEM; `None` for those of the machine.
    pub roots: Option<Vec<u8>>,
    /// What all keys begin with.
    pub prefix: String,
    /// Into how many buckets the sessions of a new store are put; what an old one has stays.
    pub buckets: u16,
}

/// Where a Redis is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// One server, and the number of its database.
    Node(Address, u32),
    /// Whichever server the Sentinels call master, and the number of its database.
    Sentinels {
        /// Where they are.
        addresses: Vec<Address>,
        /// What they call it.
        master: String,
        /// The number of the database.
        database: u32,
    },
    /// A Redis Cluster.
    Cluster(Vec<Address>),
}

/// A host and a port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    /// A name or an address, an IPv6 one without its brackets.
    pub host: String,
    /// The port.
    pub port: u16,
}

/// The password of a Redis: it has no text, and its memory is wiped.
#[derive(Clone, PartialEq, Eq)]
pub struct Password(Zeroizing<String>);

/// Why a text names no Redis.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PlaceFault {
    /// There is no host, or no number where a port should be.
    #[error("an address in it is no host with a port")]
    Address,
    /// The number of the database is none, or there can be none.
    #[error("what follows the last / is no number of a database")]
    Database,
    /// The Sentinels must be told whose master is meant.
    #[error("the name of the master is missing after the last /")]
    Master,
    /// It names a scheme that is not known.
    #[error("it does not begin with redis://, redis+sentinel:// or redis+cluster://")]
    Scheme,
    /// It holds a password.
    #[error("a user or password in it would be a secret in the open")]
    Secret,
    /// It names more addresses than there may be.
    #[error("it names more than {ADDRESSES_MAX} addresses")]
    TooMany,
}

impl RedisSettings {
    /// Reads where a Redis is: `redis://HOST:PORT/DATABASE`, `redis+sentinel://HOST,HOST/MASTER` or
    /// `redis+cluster://HOST,HOST`; `rediss` in place of `redis` where the connection is by TLS.
    ///
    /// # Errors
    /// Says what is wrong with the text, without it.
    pub fn parse(text: &str) -> Result<Self, PlaceFault> {
        let (scheme, rest) = text.split_once("://").ok_or(PlaceFault::Scheme)?;
        let (tls, kind) = match scheme.strip_prefix("rediss") {
            Some(kind) => (true, kind),
            None => (false, scheme.strip_prefix("redis").ok_or(PlaceFault::Scheme)?),
        };
        let (hosts, path) = rest.split_once('/').unwrap_or((rest, ""));
        if hosts.contains('@') {
            return Err(PlaceFault::Secret);
        }
        let place = match kind {
            "" => Place::Node(Address::parse(hosts, PORT)?, database(path)?),
            "+sentinel" => {
                let (master, number) = path.split_once('/').unwrap_or((path, ""));
                if master.is_empty() {
                    return Err(PlaceFault::Master);
                }
                let addresses = addresses(hosts, SENTINEL_PORT)?;
                let database = database(number)?;
                Place::Sentinels { addresses, master: master.to_owned(), database }
            }
            // A cluster has one database.
            "+cluster" if path.is_empty() => Place::Cluster(addresses(hosts, PORT)?),
            "+cluster" => return Err(PlaceFault::Database),
            _ => return Err(PlaceFault::Scheme),
        };
        Ok(Self {
            place,
            tls,
            username: None,
            password: None,
            sentinel_password: None,
            roots: None,
            prefix: PREFIX_DEFAULT.to_owned(),
            buckets: BUCKETS_DEFAULT,
        })
    }

    /// Returns how the place is called in messages.
    pub(super) fn name(&self) -> String {
        let listed = |addresses: &[Address]| {
            addresses.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
        };
        match &self.place {
            Place::Node(address, 0) => format!("Redis at {address}"),
            Place::Node(address, database) => format!("Redis at {address} (database {database})"),
            Place::Sentinels { addresses, master, .. } => {
                format!("Redis {master} of the Sentinels at {}", listed(addresses))
            }
            Place::Cluster(addresses) => format!("the Redis Cluster at {}", listed(addresses)),
        }
    }
}

impl Address {
    fn parse(text: &str, port: u16) -> Result<Self, PlaceFault> {
        let (host, rest) = match text.strip_prefix('[') {
            Some(text) => text.split_once(']').ok_or(PlaceFault::Address)?,
            None => text.split_at(text.find(':').unwrap_or(text.len())),
        };
        let port = match rest.strip_prefix(':') {
            Some(port) => port.parse().map_err(|_| PlaceFault::Address)?,
            None if rest.is_empty() => port,
            None => return Err(PlaceFault::Address),
        };
        let odd = |c: char| c.is_whitespace() || c.is_control() || "/?#[]".contains(c);
        if host.is_empty() || host.contains(odd) {
            return Err(PlaceFault::Address);
        }
        Ok(Self { host: host.to_owned(), port })
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { host, port } = self;
        if host.contains(':') { write!(f, "[{host}]:{port}") } else { write!(f, "{host}:{port}") }
    }
}

impl Password {
    /// Takes a password.
    pub fn new(text: &str) -> Self {
        Self(Zeroizing::new(text.to_owned()))
    }

    /// Gives it out to whoever greets the server.
    pub(super) fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[secret]")
    }
}

fn addresses(text: &str, port: u16) -> Result<Vec<Address>, PlaceFault> {
    let all: Vec<Address> =
        text.split(',').map(|one| Address::parse(one, port)).collect::<Result<_, _>>()?;
    if all.len() > ADDRESSES_MAX { Err(PlaceFault::TooMany) } else { Ok(all) }
}

fn database(text: &str) -> Result<u32, PlaceFault> {
    if text.is_empty() { Ok(0) } else { text.parse().map_err(|_| PlaceFault::Database) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(host: &str, port: u16) -> Address {
        Address { host: host.to_owned(), port }
    }

    #[test]
    fn a_place_is_read_as_it_is_written() {
        let sentinels = |database| Place::Sentinels {
            addresses: vec![at("a", 26379), at("b", 7)],
            master: "main".to_owned(),
            database,
        };
        for (text, tls, place) in [
            ("redis://10.0.0.5/", false, Place::Node(at("10.0.0.5", 6379), 0)),
            ("redis://cache", false, Place::Node(at("cache", 6379), 0)),
            ("rediss://[::1]:7000/3", true, Place::Node(at("::1", 7000), 3)),
            ("redis+sentinel://a,b:7/main", false, sentinels(0)),
            ("rediss+sentinel://a,b:7/main/2", true, sentinels(2)),
            ("redis+cluster://a,b:7", false, Place::Cluster(vec![at("a", 6379), at("b", 7)])),
        ] {
            let settings = RedisSettings::parse(text).expect(text);
            assert_eq!((settings.tls, settings.place), (tls, place), "{text}");
        }
    }

    #[test]
    fn l13_what_names_no_place_is_refused_and_a_password_in_it_is_not_repeated() {
        for (text, fault) in [
            ("10.0.0.5", PlaceFault::Scheme),
            ("http://a", PlaceFault::Scheme),
            ("redis+x://a", PlaceFault::Scheme),
            ("redis://", PlaceFault::Address),
            ("redis://a:b", PlaceFault::Address),
            ("redis://[::1", PlaceFault::Address),
            ("redis://a b", PlaceFault::Address),
            ("redis://a/x", PlaceFault::Database),
            ("redis+cluster://a/1", PlaceFault::Database),
            ("redis+sentinel://a", PlaceFault::Master),
            ("redis://:s3cret@a", PlaceFault::Secret),
        ] {
            let refused = RedisSettings::parse(text).expect_err(text);
            assert_eq!(refused, fault, "{text}");
            assert!(!refused.to_string().contains("s3cret"));
        }
        assert_eq!(format!("{:?}", Password::new("s3cret")), "[secret]");
    }
}
