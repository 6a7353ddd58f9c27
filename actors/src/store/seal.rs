//! Sealing: what is stored or handed to a browser can be neither read nor changed (law L13).
//!
//! A sealed text is `1 | key id (4) | nonce (24) | ciphertext and tag`, by XChaCha20-Poly1305 with
//! a random nonce. Each purpose has a key of its own, derived from a key of the ring by
//! HKDF-SHA256, so that a cookie can never be passed off as a record. The newest key of the ring
//! seals, every key of it opens: a new key logs nobody out, and what was sealed with an older one
//! is sealed anew at its next write.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;
use chacha20poly1305::aead::{AeadInOut, KeyInit};
use chacha20poly1305::{Key, Tag, XChaCha20Poly1305, XNonce};
use hkdf::Hkdf;
use sha2::Sha256;
use thiserror::Error;
use zeroize::Zeroizing;

mod file;

/// The most keys a ring may hold: five years of a new one each month.
pub const RING_KEYS_MAX: usize = 64;

const FORMAT_1: u8 = 1;
const ID_BYTES: usize = 4;
const NONCE_BYTES: usize = 24;
const TAG_BYTES: usize = 16;
const HEADER_BYTES: usize = 1 + ID_BYTES + NONCE_BYTES;

/// What a sealed text is for. One cannot be opened as another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// A state that a browser carries for us, such as that of a sign-in under way.
    Cookie,
    /// What led to a session's end, on its tombstone.
    Epitaph,
    /// What a browser shows at a later sign-in of a factor that was shown in it.
    Known,
    /// What the gateways of one store tell each other for a while.
    Note,
    /// A session's record in the store.
    Record,
    /// A caller's reference to a demand for a factor.
    StepUp,
}

/// The name of a key: random, so that two rings never use one name for two keys.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct KeyId([u8; ID_BYTES]);

/// The keys by which everything is sealed; kept in one file of the state directory.
pub struct KeyRing {
    /// Where the ring is kept; `None` for one that lives in memory only.
    path: Option<PathBuf>,
    /// The oldest first; never empty.
    keys: ArcSwap<Vec<RingKey>>,
    /// Held while the file is written, so that no rotation undoes another.
    rotating: Mutex<()>,
}

/// Why a text could not be sealed or opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum SealFault {
    /// The operating system gave no random bytes.
    #[error("cannot be sealed: the operating system gives no random bytes")]
    NoRandomness,
    /// It was changed, or sealed for something else.
    #[error("was changed after it was sealed, or was sealed for something else")]
    Tampered,
    /// It is too short to be whole.
    #[error("is cut short")]
    Truncated,
    /// It was sealed in a form that this version does not know.
    #[error("has the form {0}, which this version does not know: run the newer one")]
    UnknownForm(u8),
    /// It was sealed with a key that is not in the ring.
    #[error(
        "was sealed with key {0}, which is not in the key ring: restore the ring from a backup"
    )]
    UnknownKey(KeyId),
}

/// Why the key ring cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum RingFault {
    /// Anybody on the machine may read it.
    #[error("the key ring {0} may be read by every user of this machine: chmod 600 it")]
    Exposed(Arc<str>),
    /// The sessions of a store that machines share were sealed with another ring.
    #[error(
        "the key ring {0} is not that of the gateways which share this store: copy the key ring of \
         one of them there, so that each opens what the others have sealed"
    )]
    Foreign(Arc<str>),
    /// It holds as many keys as it may.
    #[error("the key ring {0} holds {RING_KEYS_MAX} keys: remove the oldest from the file")]
    Full(Arc<str>),
    /// The operating system refused.
    #[error("the key ring {path} cannot be used: {detail}")]
    Io {
        /// The file.
        path: Arc<str>,
        /// What the operating system says.
        detail: Arc<str>,
    },
    /// It is no key ring.
    #[error("the key ring {path} is malformed ({detail}): restore it from a backup")]
    Malformed {
        /// The file.
        path: Arc<str>,
        /// Where it breaks the form, without what stands there.
        detail: Arc<str>,
    },
    /// It is not there, but what was sealed with it is.
    #[error(
        "the key ring {0} is missing, and the sessions that are stored cannot be opened without \
         it: restore it from a backup, or remove the store as well, which signs everybody out"
    )]
    Missing(Arc<str>),
    /// The operating system gave no random bytes.
    #[error("no key can be made: the operating system gives no random bytes")]
    NoRandomness,
}

impl KeyRing {
    /// Makes a ring that ends with the process, for tests and for stores in memory.
    ///
    /// # Errors
    /// [`RingFault::NoRandomness`].
    pub fn ephemeral() -> Result<Self, RingFault> {
        Ok(Self::of(None, vec![RingKey::random()?]))
    }

    /// Reads the ring from a file.
    ///
    /// # Errors
    /// [`RingFault::Missing`] where there is no file; else says what is wrong with it.
    pub fn open(path: &Path) -> Result<Self, RingFault> {
        let keys = file::read(path)?;
        Ok(Self::of(Some(path.to_owned()), keys))
    }

    /// Reads the ring from a file, or makes one with a first key.
    ///
    /// # Errors
    /// Says what is wrong with the file, or why it cannot be written.
    pub fn open_or_create(path: &Path) -> Result<Self, RingFault> {
        match Self::open(path) {
            Err(RingFault::Missing(_)) => {
                let keys = vec![RingKey::random()?];
                file::write(path, &keys)?;
                Ok(Self::of(Some(path.to_owned()), keys))
            }
            opened => opened,
        }
    }

    /// Adds a new key that seals from here on; the older ones still open.
    ///
    /// The file is replaced durably before the key is used.
    ///
    /// # Errors
    /// The ring is unchanged then.
    pub fn rotate(&self) -> Result<KeyId, RingFault> {
        // Nothing is left half done by a panic in here, so a poisoned lock is as good as another.
        let _alone = self.rotating.lock().unwrap_or_else(PoisonError::into_inner);
        let mut keys = Vec::clone(&self.keys.load());
        if keys.len() >= RING_KEYS_MAX {
            return Err(RingFault::Full(self.name()));
        }
        let key = RingKey::random()?;
        let id = key.id;
        keys.push(key);
        if let Some(path) = &self.path {
            file::write(path, &keys)?;
        }
        self.keys.store(Arc::new(keys));
        Ok(id)
    }

    /// Returns the key that seals.
    pub fn newest(&self) -> Option<KeyId> {
        self.keys.load().last().map(|key| key.id)
    }

    /// Returns the name of something under which a store keeps it: a keyed hash, so that nobody who has
    /// the store alone can try out what is named.
    ///
    /// It is by the oldest key, which stays while newer ones are added: all machines give one name.
    #[expect(
        clippy::expect_used,
        reason = "HKDF-SHA256 gives up to 8160 bytes, and this asks for 32"
    )]
    pub fn name_of(&self, kind: &str, parts: &[&[u8]]) -> [u8; 32] {
        let mut name = [0; 32];
        let keys = self.keys.load();
        let Some(oldest) = keys.first() else { return name };
        let mut about: Vec<u8> = b"tokenward 1 name".to_vec();
        for part in [&[kind.as_bytes()], parts].concat() {
            // With its length before it, no part can be read as the end of the one before.
            about.extend((part.len() as u64).to_be_bytes());
            about.extend(part);
        }
        let derived = Hkdf::<Sha256>::new(None, &oldest.secret[..]);
        derived.expand(&about, &mut name).expect("32 bytes fit");
        name
    }

    /// Returns what tells each key from all others and gives none away, the oldest first.
    #[cfg(feature = "redis")]
    pub(super) fn marks(&self) -> Vec<Vec<u8>> {
        self.keys.load().iter().map(RingKey::mark).collect()
    }

    /// Seals `plain` for `purpose`, bound to `bound_to`: it opens only with the same.
    ///
    /// # Errors
    /// [`SealFault::NoRandomness`].
    pub fn seal(
        &self,
        purpose: Purpose,
        bound_to: &[u8],
        plain: &[u8],
    ) -> Result<Vec<u8>, SealFault> {
        let keys = self.keys.load();
        let key = keys.last().ok_or(SealFault::NoRandomness)?;
        let mut nonce = [0; NONCE_BYTES];
        getrandom::fill(&mut nonce).map_err(|_| SealFault::NoRandomness)?;

        let mut sealed = Vec::with_capacity(HEADER_BYTES + plain.len() + TAG_BYTES);
        sealed.push(FORMAT_1);
        sealed.extend_from_slice(&key.id.0);
        sealed.extend_from_slice(&nonce);
        sealed.extend_from_slice(plain);
        let (nonce, text) = (XNonce::from(nonce), (&mut sealed[HEADER_BYTES..]).into());
        let tag = key
            .cipher(purpose)
            .encrypt_inout_detached(&nonce, bound_to, text)
            // Fails only beyond 256 GiB, which no bounded record and no cookie reaches.
            .map_err(|_| SealFault::Truncated)?;
        sealed.extend_from_slice(&tag);
        Ok(sealed)
    }

    /// Opens what was sealed for the same purpose and bound to the same.
    ///
    /// # Errors
    /// Tells an unknown key from a changed text from a cut one; any bytes may be passed.
    pub fn open_sealed(
        &self,
        purpose: Purpose,
        bound_to: &[u8],
        sealed: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, SealFault> {
        let (form, rest) = sealed.split_first().ok_or(SealFault::Truncated)?;
        if *form != FORMAT_1 {
            return Err(SealFault::UnknownForm(*form));
        }
        let (id, rest) = rest.split_first_chunk().ok_or(SealFault::Truncated)?;
        let (nonce, rest) = rest.split_first_chunk::<NONCE_BYTES>().ok_or(SealFault::Truncated)?;
        let (text, tag) = rest.split_last_chunk::<TAG_BYTES>().ok_or(SealFault::Truncated)?;

        let keys = self.keys.load();
        let id = KeyId(*id);
        let key = keys.iter().find(|key| key.id == id).ok_or(SealFault::UnknownKey(id))?;
        let mut plain = Zeroizing::new(text.to_vec());
        key.cipher(purpose)
            .decrypt_inout_detached(
                &XNonce::from(*nonce),
                bound_to,
                plain.as_mut_slice().into(),
                &Tag::from(*tag),
            )
            .map_err(|_| SealFault::Tampered)?;
        Ok(plain)
    }

    fn of(path: Option<PathBuf>, keys: Vec<RingKey>) -> Self {
        Self { path, keys: ArcSwap::from_pointee(keys), rotating: Mutex::new(()) }
    }

    fn name(&self) -> Arc<str> {
        match &self.path {
            Some(path) => path.to_string_lossy().into(),
            None => "in memory".into(),
        }
    }
}

impl fmt::Debug for KeyRing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ids: Vec<KeyId> = self.keys.load().iter().map(|key| key.id).collect();
        f.debug_struct("KeyRing").field("path", &self.path).field("keys", &ids).finish()
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:08x}", u32::from_be_bytes(self.0))
    }
}

impl fmt::Debug for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// One key of the ring with what is derived from it; all of it is wiped when it goes.
#[derive(Clone)]
struct RingKey {
    id: KeyId,
    secret: Zeroizing<[u8; 32]>,
    cookie: XChaCha20Poly1305,
    epitaph: XChaCha20Poly1305,
    known: XChaCha20Poly1305,
    note: XChaCha20Poly1305,
    record: XChaCha20Poly1305,
    step_up: XChaCha20Poly1305,
}

impl RingKey {
    fn random() -> Result<Self, RingFault> {
        let (mut id, mut secret) = ([0; ID_BYTES], Zeroizing::new([0; 32]));
        getrandom::fill(&mut id).map_err(|_| RingFault::NoRandomness)?;
        getrandom::fill(&mut secret[..]).map_err(|_| RingFault::NoRandomness)?;
        Ok(Self::new(KeyId(id), secret))
    }

    fn new(id: KeyId, secret: Zeroizing<[u8; 32]>) -> Self {
        let cookie = derive(&secret, b"tokenward 1 cookie");
        let epitaph = derive(&secret, b"tokenward 1 epitaph");
        let known = derive(&secret, b"tokenward 1 known");
        let note = derive(&secret, b"tokenward 1 note");
        let record = derive(&secret, b"tokenward 1 record");
        let step_up = derive(&secret, b"tokenward 1 step-up");
        Self { id, secret, cookie, epitaph, known, note, record, step_up }
    }

    #[cfg(feature = "redis")]
    #[expect(
        clippy::expect_used,
        reason = "HKDF-SHA256 gives up to 8160 bytes, and this asks for 16"
    )]
    fn mark(&self) -> Vec<u8> {
        let mut mark = [0; 16];
        let derived = Hkdf::<Sha256>::new(None, &self.secret[..]);
        derived.expand(b"tokenward 1 mark", &mut mark).expect("16 bytes fit");
        [&self.id.0[..], &mark].concat()
    }

    fn cipher(&self, purpose: Purpose) -> &XChaCha20Poly1305 {
        match purpose {
            Purpose::Cookie => &self.cookie,
            Purpose::Epitaph => &self.epitaph,
            Purpose::Known => &self.known,
            Purpose::Note => &self.note,
            Purpose::Record => &self.record,
            Purpose::StepUp => &self.step_up,
        }
    }
}

#[expect(clippy::expect_used, reason = "HKDF-SHA256 gives up to 8160 bytes, and this asks for 32")]
fn derive(secret: &[u8; 32], purpose: &[u8]) -> XChaCha20Poly1305 {
    let mut key = Zeroizing::new([0; 32]);
    Hkdf::<Sha256>::new(None, secret).expand(purpose, &mut key[..]).expect("32 bytes fit");
    let mut key = Key::from(*key);
    let cipher = XChaCha20Poly1305::new(&key);
    zeroize::Zeroize::zeroize(key.as_mut_slice());
    cipher
}

#[cfg(test)]
mod tests;
