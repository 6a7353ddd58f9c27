//! The key ring's file: JSON that one user may read, replaced as a whole and durably.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;
use std::sync::Arc;

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde::Deserialize;
use sha2::{Digest, Sha256};
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use super::{ID_BYTES, KeyId, RING_KEYS_MAX, RingFault, RingKey};

/// The largest file that is read: each of the [`RING_KEYS_MAX`] keys takes some 100 bytes.
const FILE_BYTES_MAX: u64 = 64 * 1024;

const VERSION: u32 = 1;

/// Thirty-two bytes in base64url without padding.
const SECRET_CHARS: usize = 43;

/// So many bytes tell damage from chance, and are too few to guess a secret by.
const CHECK_BYTES: usize = 4;

pub(super) fn read(path: &Path) -> Result<Vec<RingKey>, RingFault> {
    let name: Arc<str> = path.to_string_lossy().into();
    let file = match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err(RingFault::Missing(name));
        }
        opened => opened.map_err(|error| refused(&name, &error))?,
    };
    let attributes = file.metadata().map_err(|error| refused(&name, &error))?;
    if attributes.permissions().mode() & 0o007 != 0 {
        return Err(RingFault::Exposed(name));
    }
    // Room for all of it at once: a growing buffer would leave unwiped copies.
    let room = usize::try_from(attributes.len().min(FILE_BYTES_MAX)).unwrap_or_default() + 1;
    let mut text = Zeroizing::new(Vec::with_capacity(room));
    file.take(FILE_BYTES_MAX).read_to_end(&mut text).map_err(|error| refused(&name, &error))?;
    parse(&text).map_err(|detail| RingFault::Malformed { path: name, detail })
}

pub(super) fn write(path: &Path, keys: &[RingKey]) -> Result<(), RingFault> {
    let name: Arc<str> = path.to_string_lossy().into();
    replace(path, &print(keys)).map_err(|error| refused(&name, &error))
}

fn replace(path: &Path, text: &str) -> io::Result<()> {
    let new = path.with_extension("new");
    let mut file =
        OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&new)?;
    // What an interrupted write left there may have had another mode.
    file.set_permissions(fs::Permissions::from_mode(0o600))?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    fs::rename(&new, path)?;
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    File::open(directory.unwrap_or(Path::new(".")))?.sync_all()
}

fn print(keys: &[RingKey]) -> Zeroizing<String> {
    let mut text = Zeroizing::new(String::with_capacity(128 + 128 * keys.len()));
    text.push_str("{\"version\":1,\"keys\":[");
    for (at, key) in keys.iter().enumerate() {
        let secret = Zeroizing::new(BASE64_URL_SAFE_NO_PAD.encode(&key.secret[..]));
        text.push_str(if at == 0 { "\n" } else { ",\n" });
        text.push_str("{\"id\":\"");
        text.push_str(&key.id.to_string());
        text.push_str("\",\"secret\":\"");
        text.push_str(&secret);
        text.push_str("\",\"check\":\"");
        text.push_str(&check_of(key));
        text.push_str("\"}");
    }
    text.push_str("\n]}\n");
    text
}

fn parse(text: &[u8]) -> Result<Vec<RingKey>, Arc<str>> {
    // The parser's own message may quote what it read.
    let ring: RingText = serde_json::from_slice(text).map_err(|error| -> Arc<str> {
        format!("line {}, column {}", error.line(), error.column()).into()
    })?;
    if ring.version != VERSION {
        return Err(format!("it has version {}, this program knows {VERSION}", ring.version).into());
    }
    if ring.keys.is_empty() || ring.keys.len() > RING_KEYS_MAX {
        return Err(format!("it must hold between 1 and {RING_KEYS_MAX} keys").into());
    }
    let keys: Vec<RingKey> = ring
        .keys
        .iter()
        .enumerate()
        .map(|(at, key)| parse_key(key).ok_or_else(|| format!("its key {} is none", at + 1).into()))
        .collect::<Result<_, Arc<str>>>()?;
    let twice = |at: usize| keys[..at].iter().any(|earlier| earlier.id == keys[at].id);
    match (0..keys.len()).find(|at| twice(*at)) {
        Some(at) => Err(format!("its key {} has the id of an earlier one", at + 1).into()),
        None => Ok(keys),
    }
}

fn parse_key(key: &KeyText) -> Option<RingKey> {
    if key.id.len() != 2 * ID_BYTES || key.secret.len() != SECRET_CHARS {
        return None;
    }
    let id = u32::from_str_radix(&key.id, 16).ok()?;
    // The decoder asks for room for a whole last group of characters.
    let mut room = Zeroizing::new([0; 36]);
    let count = BASE64_URL_SAFE_NO_PAD.decode_slice(&key.secret, &mut room[..]).ok()?;
    let mut secret = Zeroizing::new([0; 32]);
    secret.copy_from_slice(room.get(..count)?.first_chunk::<32>()?);
    let parsed = RingKey::new(KeyId(id.to_be_bytes()), secret);
    // A changed secret would open nothing, and every session would look forged.
    let is_whole = key.check.as_ref().is_none_or(|check| *check == check_of(&parsed));
    is_whole.then_some(parsed)
}

/// Tells a key from its damaged copies; says nothing of the secret, which is random.
fn check_of(key: &RingKey) -> String {
    let mut hash = Sha256::new();
    hash.update(b"tokenward 1 check");
    hash.update(key.id.0);
    hash.update(&key.secret[..]);
    let digest = hash.finalize();
    digest.iter().take(CHECK_BYTES).map(|byte| format!("{byte:02x}")).collect()
}

fn refused(name: &Arc<str>, error: &io::Error) -> RingFault {
    RingFault::Io { path: Arc::clone(name), detail: error.to_string().into() }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RingText {
    version: u32,
    keys: Vec<KeyText>,
}

#[derive(Deserialize, Zeroize, ZeroizeOnDrop)]
#[serde(deny_unknown_fields)]
struct KeyText {
    id: String,
    secret: String,
    /// Absent from rings of the first version.
    check: Option<String>,
}
