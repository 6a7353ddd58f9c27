//! Commits that the server has not confirmed, on this machine's own disk.
//!
//! What an exchange brought is the only living refresh token of its session. While the server does
//! not answer, its owner asks on from memory; so that the owner may die meanwhile, the sealed record
//! is written here, and committed by whoever starts next on this directory. Commits are judged by
//! their generation: one that came through after all is merely dropped (law L11).

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

use crate::core::lease::Commit;
use crate::core::name::{Epoch, Generation, SessionKey};
use crate::store::record::RECORD_BYTES_MAX;
use crate::store::{Body, IndexKey};

/// The most commits that are kept: as many exchanges as can be in the air at once, because none is
/// begun while the server does not answer.
const COMMITS_MAX: usize = 65_536;

/// The longest file: a sealed record of the largest size, and what stands before it.
const FILE_BYTES_MAX: u64 = RECORD_BYTES_MAX as u64 + 1_024;

/// The form of a file: version, key, consumed, epoch, person, then a byte and the provider session's
/// name, the sealed record, and what shows damage.
const FORM_1: u8 = 1;
const CHECK_BYTES: usize = 16;

const SUFFIX: &str = "commit";

/// A directory of unconfirmed commits.
#[derive(Clone, Debug)]
pub(super) struct Spool(PathBuf);

/// A commit that was not confirmed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Kept {
    pub(super) key: SessionKey,
    pub(super) commit: Commit,
    /// Read back it has no due time, which would be of another boot.
    pub(super) body: Body,
}

impl Spool {
    /// Opens the spool in `dir`, which is made where it is missing.
    pub(super) fn open(dir: &Path) -> io::Result<Self> {
        let place = dir.join("spool");
        fs::DirBuilder::new().recursive(true).mode(0o700).create(&place)?;
        Ok(Self(place))
    }

    /// Keeps a commit durably.
    pub(super) fn keep(&self, kept: &Kept) -> io::Result<()> {
        if fs::read_dir(&self.0)?.count() >= COMMITS_MAX {
            return Err(io::ErrorKind::QuotaExceeded.into());
        }
        let place = self.place(&kept.key, &kept.commit);
        let new = place.with_extension("new");
        let mut file =
            OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&new)?;
        file.write_all(&kept.written())?;
        file.sync_all()?;
        fs::rename(&new, &place)?;
        File::open(&self.0)?.sync_all()
    }

    /// Forgets a commit that was decided on.
    pub(super) fn forget(&self, key: &SessionKey, commit: &Commit) {
        // Mostly there is none; one that stays is dropped by its generation.
        let _ = fs::remove_file(self.place(key, commit));
    }

    /// Lists what is kept, and says what is damaged.
    pub(super) fn list(&self) -> io::Result<Vec<Kept>> {
        let mut all = Vec::new();
        for entry in fs::read_dir(&self.0)?.take(COMMITS_MAX) {
            let place = entry?.path();
            if place.extension().is_none_or(|suffix| suffix != SUFFIX) {
                continue;
            }
            match read(&place).as_deref().map(Kept::read) {
                Ok(Some(kept)) => all.push(kept),
                Ok(None) => tracing::error!(
                    place = %place.display(),
                    "a commit that was kept is damaged: its session may have to sign in again"
                ),
                // It was decided on meanwhile.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => {
                    tracing::error!(place = %place.display(), %error, "a commit cannot be read");
                }
            }
        }
        Ok(all)
    }

    fn place(&self, key: &SessionKey, commit: &Commit) -> PathBuf {
        self.0.join(format!("{}-{}-{}.{SUFFIX}", key.id(), commit.consumed.0, commit.epoch.0))
    }
}

impl Kept {
    fn written(&self) -> Vec<u8> {
        let Self { key, commit, body } = self;
        let mut bytes = vec![FORM_1];
        bytes.extend_from_slice(&key.0);
        bytes.extend_from_slice(&commit.consumed.0.to_be_bytes());
        bytes.extend_from_slice(&commit.epoch.0.to_be_bytes());
        bytes.extend_from_slice(&body.by_subject.0);
        match &body.by_provider_session {
            None => bytes.push(0),
            Some(IndexKey(name)) => {
                bytes.push(1);
                bytes.extend_from_slice(name);
            }
        }
        bytes.extend_from_slice(&body.sealed);
        let check = Sha256::digest(&bytes);
        bytes.extend_from_slice(&check[..CHECK_BYTES]);
        bytes
    }

    fn read(bytes: &[u8]) -> Option<Self> {
        let (bytes, check) = bytes.split_last_chunk::<CHECK_BYTES>()?;
        if Sha256::digest(bytes)[..CHECK_BYTES] != *check {
            return None;
        }
        let (form, rest) = bytes.split_first()?;
        let (key, rest) = rest.split_first_chunk::<32>()?;
        let (consumed, rest) = rest.split_first_chunk::<8>()?;
        let (epoch, rest) = rest.split_first_chunk::<8>()?;
        let (by_subject, rest) = rest.split_first_chunk::<32>()?;
        let (named, rest) = rest.split_first()?;
        let (by_provider_session, sealed) = match named {
            0 => (None, rest),
            _ => {
                rest.split_first_chunk::<32>().map(|(name, rest)| (Some(IndexKey(*name)), rest))?
            }
        };
        (*form == FORM_1).then(|| Self {
            key: SessionKey(*key),
            commit: Commit {
                consumed: Generation(u64::from_be_bytes(*consumed)),
                epoch: Epoch(u64::from_be_bytes(*epoch)),
                rotated: true,
            },
            body: Body {
                sealed: sealed.to_vec(),
                due: None,
                by_subject: IndexKey(*by_subject),
                by_provider_session,
            },
        })
    }
}

fn read(place: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(place)?.take(FILE_BYTES_MAX).read_to_end(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn l2_a_commit_that_was_kept_is_read_as_it_was_and_damage_shows() {
        let dir = tempfile::tempdir().unwrap();
        let spool = Spool::open(dir.path()).unwrap();
        let kept = |number: u8, name| Kept {
            key: SessionKey([number; 32]),
            commit: Commit { consumed: Generation(7), epoch: Epoch(9), rotated: true },
            body: Body {
                sealed: vec![number; 300],
                due: None,
                by_subject: IndexKey([3; 32]),
                by_provider_session: name,
            },
        };
        let all = [kept(1, None), kept(2, Some(IndexKey([4; 32])))];
        all.iter().for_each(|kept| spool.keep(kept).unwrap());
        let mut listed = Spool::open(dir.path()).unwrap().list().unwrap();
        listed.sort_by_key(|kept| kept.key);
        assert_eq!(listed, all);

        spool.forget(&all[0].key, &all[0].commit);
        let left = spool.place(&all[1].key, &all[1].commit);
        let mut bytes = fs::read(&left).unwrap();
        for place in 0..bytes.len() {
            bytes[place] ^= 1;
            assert_eq!(Kept::read(&bytes), None, "byte {place}");
            bytes[place] ^= 1;
        }
        fs::write(&left, &bytes[..40]).unwrap();
        assert_eq!(spool.list().unwrap(), []);
    }
}
