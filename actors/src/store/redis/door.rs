//! The vault of a Redis: with a key ring that all machines on it share.

use std::path::Path;
use std::sync::Arc;

use redis::cmd;

use super::reply::strange;
use super::{Redis, RedisSettings};
use crate::clock::Clock;
use crate::store::seal::{KeyRing, RingFault};
use crate::store::vault::RING_FILE;
use crate::store::{StoreError, Vault};

impl Vault {
    /// Opens a store that machines share, with the key ring in the state directory `dir`.
    ///
    /// # Errors
    /// Says what the operator must do. A key ring that is not that of the other machines is an
    /// error: what one of them seals, such as a record or the state of a sign-in, another opens.
    pub async fn redis(
        settings: &RedisSettings,
        dir: &Path,
        clock: Clock,
    ) -> Result<Self, StoreError> {
        let redis = Redis::connect(settings, clock.clone()).await?;
        std::fs::create_dir_all(dir)
            .map_err(|error| StoreError::io(dir.to_string_lossy(), &error))?;
        let path = dir.join(RING_FILE);
        let foreign = || RingFault::Foreign(path.to_string_lossy().into());
        let ring = match KeyRing::open(&path) {
            Err(RingFault::Missing(_)) if redis.sealing_key().await?.is_none() => {
                KeyRing::open_or_create(&path)?
            }
            Err(RingFault::Missing(_)) => return Err(foreign().into()),
            opened => opened?,
        };
        if !redis.agrees_on(&ring.marks()).await? {
            return Err(foreign().into());
        }
        let redis = redis.spooling(dir)?.started();
        Ok(Self::new(redis, Arc::new(ring), clock))
    }
}

impl Redis {
    /// Returns the mark of the key that was last known to seal what is stored.
    async fn sealing_key(&self) -> Result<Option<Vec<u8>>, StoreError> {
        let mut read = cmd("HGET");
        read.arg(self.names.layout()).arg("key");
        redis::from_redis_value(self.plain(read).await?).map_err(|_| strange(&self.place))
    }

    /// Reports whether a ring with these marks opens what the other machines seal; where it does, its
    /// newest key is the one that whoever comes next must have.
    async fn agrees_on(&self, marks: &[Vec<u8>]) -> Result<bool, StoreError> {
        let Some(newest) = marks.last() else { return Ok(false) };
        let mut first = cmd("HSETNX");
        first.arg(self.names.layout()).arg("key").arg(newest);
        self.plain(first).await?;
        let known = self.sealing_key().await?;
        if !known.as_ref().is_some_and(|known| marks.contains(known)) {
            return Ok(false);
        }
        if known.as_ref() != Some(newest) {
            let mut set = cmd("HSET");
            set.arg(self.names.layout()).arg("key").arg(newest);
            self.plain(set).await?;
        }
        Ok(true)
    }
}
