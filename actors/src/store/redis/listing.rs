//! Listings: each asks the indexes of the buckets, many at once, and is bounded as a whole; and
//! tombstones.

use std::ops::Range;

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use redis::{Cmd, cmd};

use super::reply::{stamp, strange};
use super::script::{self, Index};
use super::{Redis, random};
use crate::core::name::SessionKey;
use crate::core::time::Instant;
use crate::store::shared_time::micros;
use crate::store::{DuePage, IndexKey, Mark, PAGE_MAX, StoreError, TOMBSTONE_KEEP, Tombstone};

/// How many buckets are asked at once: their answers share a few packets, and other commands on the
/// same connection wait for no more than these.
const ABREAST: usize = 32;

/// The fewest entries of the due index that a bucket is asked for: with fewer, a page would end where
/// the first bucket is exhausted.
const DUE_SHARE_MIN: usize = 8;

/// How many digits a moment in the due index has.
const DIGITS: usize = 16;

/// The moment at which a session is due, and its key: the order of the due index.
type DueEntry = (i64, SessionKey);

impl Redis {
    /// Lists keys of an index that is in their order.
    pub(super) async fn keys_after(
        &self,
        index: Index,
        after: Option<SessionKey>,
        limit: usize,
    ) -> Result<Vec<SessionKey>, StoreError> {
        let first = after.map_or(0, |key| self.names.bucket(&key));
        let (last, mut found) = (self.names.buckets, Vec::new());
        let mut next = first;
        while next < last && found.len() < limit {
            let wanted = limit - found.len();
            let group = next..last.min(next.saturating_add(ABREAST as u16));
            next = group.end;
            let from = match after {
                Some(key) => [&b"("[..], &key.0].concat(),
                None => b"-".to_vec(),
            };
            // Buckets are in the order of the keys: what `after` excludes is in the first alone.
            let page = self.each(group, |bucket| {
                let from: &[u8] = if bucket == first { &from } else { b"-" };
                range(self.names.index(bucket, index), from, b"+", wanted)
            });
            for (_, members) in page.await? {
                for member in members {
                    found.push(self.key(&member)?);
                }
            }
        }
        found.truncate(limit);
        Ok(found)
    }

    pub(super) async fn due_page(
        &self,
        until: Instant,
        after: Option<Mark>,
        limit: usize,
    ) -> Result<DuePage, StoreError> {
        let Some(shared) = self.time.shared() else { return Ok(DuePage::default()) };
        let from = after.map_or_else(|| b"-".to_vec(), |mark| [&b"("[..], &written(mark)].concat());
        // One more than the last, so that the last itself is within.
        let to = [b"(", &digits(shared.stamp(until).saturating_add(1))[..]].concat();
        let share = (4 * limit / usize::from(self.names.buckets)).max(DUE_SHARE_MIN);
        let buckets = self.each(0..self.names.buckets, |bucket| {
            range(self.names.index(bucket, Index::Due), &from, &to, share)
        });
        let mut all: Vec<DueEntry> = Vec::new();
        let mut sure_until: Option<DueEntry> = None;
        for (_, members) in buckets.await? {
            let is_cut = members.len() >= share;
            for member in members {
                all.push(self.due_entry(&member)?);
            }
            // What else this bucket has comes after its last.
            if let Some(last) = all.last().copied().filter(|_| is_cut) {
                sure_until = Some(sure_until.map_or(last, |sure| sure.min(last)));
            }
        }
        all.sort_unstable();
        let known = all.len();
        if let Some(sure) = sure_until {
            all.retain(|entry| *entry <= sure);
        }
        all.truncate(limit);
        let more = all.len() < known || sure_until.is_some();
        let next = all.last().filter(|_| more).map(|(stamp, key)| mark(*stamp, key));
        let sessions = all.into_iter().map(|(stamp, key)| (key, shared.earliest(stamp))).collect();
        Ok(DuePage { sessions, next })
    }

    pub(super) async fn named(&self, by: IndexKey) -> Result<Vec<SessionKey>, StoreError> {
        let from = [&b"["[..], &by.0].concat();
        // After the name stand 32 bytes of a key: this is after each of them.
        let to = [&b"("[..], &by.0, &[0xff; 33]].concat();
        let buckets = self.each(0..self.names.buckets, |bucket| {
            range(self.names.index(bucket, Index::Names), &from, &to, PAGE_MAX)
        });
        let mut found = Vec::new();
        for (_, members) in buckets.await? {
            for member in members {
                found.push(self.key(member.get(by.0.len()..).unwrap_or_default())?);
            }
        }
        found.truncate(PAGE_MAX);
        Ok(found)
    }

    pub(super) async fn count_all(&self) -> Result<u64, StoreError> {
        let counts = stream::iter(0..self.names.buckets).map(|bucket| async move {
            let mut count = cmd("ZCARD");
            count.arg(self.names.index(bucket, Index::All));
            let value = self.plain(count).await?;
            redis::from_redis_value::<u64>(value).map_err(|_| strange(&self.place))
        });
        counts.buffer_unordered(ABREAST).try_fold(0, async |sum, one| Ok(sum + one)).await
    }

    pub(super) async fn first_tombstone(
        &self,
        first: &SessionKey,
        last: &SessionKey,
    ) -> Result<Option<Tombstone>, StoreError> {
        let (from, to) = ([&b"["[..], &first.0].concat(), [&b"["[..], &last.0].concat());
        let mut next = self.names.bucket(first);
        let end = self.names.bucket(last).saturating_add(1);
        while next < end {
            let group = next..end.min(next.saturating_add(ABREAST as u16));
            next = group.end;
            let page = self
                .each(group, |bucket| range(self.names.index(bucket, Index::Tombs), &from, &to, 1));
            let page = page.await?;
            let found = page.into_iter().flat_map(|(_, members)| members).next();
            if let Some(member) = found {
                return self.read_tombstone(self.key(&member)?).await;
            }
        }
        Ok(None)
    }

    pub(super) async fn bring_tombstone(&self, tombstone: Tombstone) -> Result<bool, StoreError> {
        let Tombstone { key, reason, at, words } = tombstone;
        let at = stamp(at, self.time.shared().as_ref());
        let own = vec![reason.code().as_bytes().to_vec(), at, words, random::<8>().to_vec()];
        let mut reply = self.run(&script::INTER, &key, own).await?;
        Ok(reply.word()? == "interred")
    }

    pub(super) async fn sweep_old(&self, limit: usize) -> Result<usize, StoreError> {
        let Some(shared) = self.time.shared() else { return Ok(0) };
        let now = shared.stamp(self.clock.now());
        let until = now.saturating_sub(micros(Instant::ZERO + TOMBSTONE_KEEP));
        if until < 0 {
            return Ok(0);
        }
        let buckets = self.each(0..self.names.buckets, |bucket| {
            let mut old = cmd("ZRANGEBYSCORE");
            old.arg(self.names.index(bucket, Index::Ended)).arg("-inf").arg(until);
            old.arg("LIMIT").arg(0).arg(limit);
            old
        });
        let mut old = Vec::new();
        for (_, members) in buckets.await? {
            for member in members {
                old.push(self.key(&member)?);
            }
        }
        old.truncate(limit);
        let swept = stream::iter(old).map(|key| async move { self.sweep(&key, until).await });
        let swept: Vec<bool> = swept.buffer_unordered(ABREAST).try_collect().await?;
        Ok(swept.into_iter().filter(|swept| *swept).count())
    }

    /// Asks each of these buckets, some at once; the answers are in their order.
    async fn each(
        &self,
        buckets: Range<u16>,
        command: impl Fn(u16) -> Cmd,
    ) -> Result<Vec<(u16, Vec<Vec<u8>>)>, StoreError> {
        let commands = buckets.map(|bucket| (bucket, command(bucket)));
        let asked = stream::iter(commands).map(|(bucket, command)| async move {
            let value = self.plain(command).await?;
            let members = redis::from_redis_value(value).map_err(|_| strange(&self.place))?;
            Ok((bucket, members))
        });
        asked.buffered(ABREAST).try_collect().await
    }

    fn key(&self, member: &[u8]) -> Result<SessionKey, StoreError> {
        member.try_into().map(SessionKey).map_err(|_| strange(&self.place))
    }

    fn due_entry(&self, member: &[u8]) -> Result<DueEntry, StoreError> {
        let (stamp, key) = member.split_at_checked(DIGITS).unwrap_or_default();
        let stamp = str::from_utf8(stamp).ok().and_then(|stamp| stamp.parse().ok());
        Ok((stamp.ok_or_else(|| strange(&self.place))?, self.key(key)?))
    }
}

/// Asks for members in the order of their bytes.
fn range(index: Vec<u8>, from: &[u8], to: &[u8], limit: usize) -> Cmd {
    let mut range = cmd("ZRANGEBYLEX");
    range.arg(index).arg(from).arg(to).arg("LIMIT").arg(0).arg(limit);
    range
}

fn digits(stamp: i64) -> Vec<u8> {
    format!("{stamp:0DIGITS$}").into_bytes()
}

/// Marks the place after an entry: its moment, and half of its key, which tells it from all others
/// because keys are hashes.
fn mark(stamp: i64, key: &SessionKey) -> Mark {
    let part = |from: usize| {
        let mut bytes = [0; 8];
        bytes.copy_from_slice(&key.0[from..from + 8]);
        i64::from_be_bytes(bytes)
    };
    Mark([stamp, part(0), part(8)])
}

/// Returns what is after the marked entry and before the next.
fn written(Mark([stamp, first, second]): Mark) -> Vec<u8> {
    [&digits(stamp)[..], &first.to_be_bytes(), &second.to_be_bytes(), &[0xff; 17]].concat()
}
