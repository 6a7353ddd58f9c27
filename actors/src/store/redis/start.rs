//! What is done once, before the first session: the layout of the store, and a look at how the server
//! is set up.

use std::sync::Arc;
use std::time::Duration;

use redis::{Value, cmd};
use tokio::time::{sleep, timeout};

use super::line::Line;
use super::random;
use super::reply::strange;
use super::rights;
use super::script::{Names, Request};
use super::server_time::ServerTime;
use crate::clock::{BootId, Clock};
use crate::store::StoreError;

/// How long a start waits for a server that is starting too, or is loading its data.
const START_WITHIN: Duration = Duration::from_secs(10);

/// How long to wait between two looks at a server that is starting.
const LOOK_AGAIN: Duration = Duration::from_millis(200);

/// How the keys are laid out, in this version.
const LAYOUT: i64 = 1;

/// The oldest server that is tested against.
const VERSION_MIN: (u32, u32) = (6, 2);

/// Reads how the store is laid out, or says so where it is new; returns its number of buckets. The
/// shared time is known from then on.
pub(super) async fn lay_out(
    line: &Line,
    names: &Names,
    time: &ServerTime,
    (clock, place, user): (&Clock, &Arc<str>, Option<&str>),
) -> Result<u16, StoreError> {
    let mut last = StoreError::unreachable(place, "it does not answer");
    let tried = timeout(START_WITHIN, async {
        loop {
            let looked = async {
                rights::check(line, names, user, place).await?;
                found(line, names, time, (clock, place)).await
            };
            match looked.await {
                Err(error @ StoreError::Unreachable { .. }) => last = error,
                answer => return answer,
            }
            sleep(LOOK_AGAIN).await;
        }
    });
    tried.await.unwrap_or(Err(last))
}

async fn found(
    line: &Line,
    names: &Names,
    time: &ServerTime,
    (clock, place): (&Clock, &Arc<str>),
) -> Result<u16, StoreError> {
    for (field, value) in [
        ("layout", LAYOUT.to_string().into_bytes()),
        ("buckets", names.buckets.to_string().into_bytes()),
        ("time", random::<16>().to_vec()),
    ] {
        let mut set = cmd("HSETNX");
        set.arg(names.layout()).arg(field).arg(value);
        line.ask(&Request::Plain(set)).await?;
    }
    let field = async |field: &str| -> Result<Vec<u8>, StoreError> {
        let mut read = cmd("HGET");
        read.arg(names.layout()).arg(field);
        let value = line.ask(&Request::Plain(read)).await?;
        redis::from_redis_value(value).map_err(|_| strange(place))
    };
    let known = |bytes: Vec<u8>| String::from_utf8(bytes).ok()?.parse::<i64>().ok();
    let layout = known(field("layout").await?).ok_or_else(|| strange(place))?;
    if layout > LAYOUT {
        return Err(StoreError::TooNew { place: Arc::clone(place), found: layout, known: LAYOUT });
    }
    let buckets = known(field("buckets").await?).and_then(|buckets| u16::try_from(buckets).ok());
    let id = <[u8; 16]>::try_from(field("time").await?).map_err(|_| strange(place))?;
    let asked_at = clock.now();
    let now: (i64, i64) = redis::from_redis_value(line.ask(&Request::Plain(cmd("TIME"))).await?)
        .map_err(|_| strange(place))?;
    time.meet(BootId(id), asked_at, now.0.saturating_mul(1_000_000).saturating_add(now.1));
    buckets.filter(|buckets| *buckets > 0).ok_or_else(|| strange(place))
}

/// Warns of settings with which a server forgets what it has answered. It may not say how it is set
/// up, as those that are rented out do not: then nothing is said.
pub(super) async fn warn(line: &Line, place: &Arc<str>) {
    if let Ok(info) = line.ask(&Request::Plain(cmd("INFO"))).await {
        let info = text(info);
        let word = |name: &str| {
            info.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).map(str::trim)
        };
        for warning in warnings(word) {
            tracing::warn!(%place, "{warning}");
        }
    }
    let mut fsync = cmd("CONFIG");
    fsync.arg("GET").arg("appendfsync");
    if let Ok(answer) = line.ask(&Request::Plain(fsync)).await
        && !text(answer).contains("always")
    {
        tracing::warn!(
            %place,
            "appendfsync is not \"always\": a power cut may undo the last second of rotations, whose \
             sessions have to sign in again unless another gateway still knows them"
        );
    }
}

/// Judges what INFO says.
fn warnings<'i>(word: impl Fn(&str) -> Option<&'i str>) -> Vec<&'static str> {
    let mut warnings = Vec::new();
    let limited = word("maxmemory").is_some_and(|bytes| bytes != "0");
    let evicts = word("maxmemory_policy").is_some_and(|policy| policy != "noeviction");
    if limited && evicts {
        warnings.push(
            "maxmemory-policy is not \"noeviction\": sessions are thrown away when the memory is \
             full, which signs people out; set it to \"noeviction\"",
        );
    }
    if word("aof_enabled") == Some("0") {
        warnings.push(
            "appendonly is off: a restart forgets what was written since its last snapshot, which \
             signs people out; set appendonly yes",
        );
    }
    let version = word("redis_version").and_then(|version| {
        let mut numbers = version.split('.').map(str::parse);
        Some((numbers.next()?.ok()?, numbers.next()?.ok()?))
    });
    if version.is_some_and(|version| version < VERSION_MIN) {
        warnings.push("its version is older than 6.2, the oldest that tokenward is tested with");
    }
    warnings
}

/// Returns all texts of an answer, which may be one of each node of a cluster.
pub(super) fn text(value: Value) -> String {
    if let Value::BulkString(bytes) = value {
        String::from_utf8_lossy(&bytes).into_owned()
    } else if let Value::Array(values) = value {
        values.into_iter().map(text).collect::<Vec<_>>().join("\n")
    } else if let Value::Map(pairs) = value {
        let texts = pairs.into_iter().map(|(name, value)| text(name) + "\n" + &text(value));
        texts.collect::<Vec<_>>().join("\n")
    } else if let Value::VerbatimString { text, .. } | Value::SimpleString(text) = value {
        text
    } else {
        String::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_that_forgets_is_warned_of() {
        let all = |info: &'static [(&str, &str)]| {
            warnings(|name| info.iter().find(|(known, _)| *known == name).map(|(_, word)| *word))
        };
        let good = [
            ("redis_version", "7.0.15"),
            ("maxmemory", "1000"),
            ("maxmemory_policy", "noeviction"),
            ("aof_enabled", "1"),
        ];
        assert!(all(Box::leak(Box::new(good))).is_empty());
        assert!(all(&[]).is_empty(), "who says nothing is not warned of");
        assert!(all(&[("maxmemory", "0"), ("maxmemory_policy", "allkeys-lru")]).is_empty());
        for bad in [
            &[("maxmemory", "9"), ("maxmemory_policy", "allkeys-lru")][..],
            &[("aof_enabled", "0")],
            &[("redis_version", "6.0.16")],
        ] {
            assert_eq!(all(bad).len(), 1, "{bad:?}");
        }
    }
}
