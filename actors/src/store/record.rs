//! The bytes of a session: what of a [`Snapshot`] survives a restart, and in which form.
//!
//! The first byte is the version. Bytes that were once written are readable for ever: a change of
//! the form is a new version with a reader of its own, and the old one's vector stays in the tests.
//! The [`Head`] is not in here, because the store must understand it.
//!
//! Moments are nanoseconds of one boot, which the record names. Where several machines share a store
//! it says too when it was written by the time they have in common, so that another machine can
//! place them. What cannot be placed, or lies in the future, has an unknown age: an access token is dropped then, a hold counts anew, its
//! context is over, and nobody knows when a person authenticated (law L12). What opens a demand,
//! the `mfa_token`, is stored here and nowhere else, for as long as its context lasts (law L9).

use thiserror::Error;
use zeroize::Zeroizing;

use self::bytes::{Reader, Writer};
use self::holds::{
    count_anew, read_hold_1, read_hold_2, read_proof, read_remembered, write_hold, write_proof,
    write_remembered,
};
use crate::clock::{BootId, Clock};
use crate::core::device_sign_in::codes::DeviceKind;
use crate::core::lease::Head;
use crate::core::name::Epoch;
use crate::core::secret::{AccessToken, IdToken, RefreshToken};
use crate::core::snapshot::{Authentication, Device, Entry, Hold, Snapshot};
use crate::core::time::{Instant, UnixSeconds};
use crate::store::SharedTime;

mod bytes;
mod holds;

/// The longest record. Some forty access tokens of 4 KiB, which is more than a browser session
/// asks for in a day, with an ID token as large as providers make them; beyond it a session would
/// slow down every write that shares a transaction with its own.
pub const RECORD_BYTES_MAX: usize = 256 * 1024;

const VERSION_1: u8 = 1;
const VERSION_2: u8 = 2;
const VERSION_3: u8 = 3;
const VERSION_4: u8 = 4;
const VERSION_5: u8 = 5;

/// Why bytes are no record, or a session does not fit into one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum RecordFault {
    /// The bytes break the form.
    #[error("is malformed: {0}")]
    Malformed(&'static str),
    /// The session does not fit.
    #[error("would take {bytes} bytes, more than the {RECORD_BYTES_MAX} a session may have")]
    TooLarge {
        /// How many it would take.
        bytes: usize,
    },
    /// The bytes were written by a newer version.
    #[error("has version {0}, which this program does not know: run the newer one")]
    UnknownVersion(u8),
}

/// Writes a session as bytes; `shared` is the time of the store where machines share one.
///
/// # Errors
/// [`RecordFault::TooLarge`] beyond [`RECORD_BYTES_MAX`].
pub fn encode(
    snapshot: &Snapshot,
    clock: &Clock,
    shared: Option<&SharedTime>,
) -> Result<Zeroizing<Vec<u8>>, RecordFault> {
    let mut to = Writer::new();
    let now = clock.now();
    to.byte(VERSION_5);
    to.raw(&clock.boot().0);
    to.maybe(shared, |to, shared| {
        to.raw(&shared.id.0);
        to.number(shared.stamp(now).unsigned_abs());
        to.instant(now);
    });
    to.text(&snapshot.provider);
    to.text(&snapshot.subject);
    to.maybe(snapshot.provider_session.as_deref(), Writer::text);
    to.text(snapshot.primary.as_str());
    to.maybe(snapshot.refresh_token.as_ref().map(RefreshToken::seal), Writer::text);
    to.maybe(snapshot.id_token.as_ref().map(IdToken::expose), Writer::text);
    to.maybe(snapshot.authentication.at, |to, at| to.number(at.0));
    to.maybe(snapshot.authentication.class.as_deref(), Writer::text);
    to.texts(snapshot.authentication.methods.iter().map(String::as_str));
    to.maybe(snapshot.ceiling, |to, ceiling| to.number(ceiling.0));
    to.number(snapshot.entries.len() as u64);
    snapshot.entries.iter().for_each(|entry| write_entry(&mut to, entry));
    to.number(snapshot.holds.len() as u64);
    snapshot.holds.iter().for_each(|hold| write_hold(&mut to, hold, now));
    to.number(snapshot.proofs.len() as u64);
    snapshot.proofs.iter().for_each(|proof| write_proof(&mut to, proof));
    to.maybe(snapshot.remembered.as_ref(), write_remembered);
    to.maybe(snapshot.device.as_ref(), write_device);
    to.finish()
}

/// Reads a session from bytes of any version, beside the head that the store kept.
///
/// # Errors
/// Says why the bytes are no record; any bytes may be passed.
pub fn decode(
    bytes: &[u8],
    head: Head,
    clock: &Clock,
    shared: Option<&SharedTime>,
) -> Result<Snapshot, RecordFault> {
    if bytes.len() > RECORD_BYTES_MAX {
        return Err(RecordFault::TooLarge { bytes: bytes.len() });
    }
    let mut from = Reader::new(bytes);
    match from.byte()? {
        version @ (VERSION_1 | VERSION_2 | VERSION_3 | VERSION_4 | VERSION_5) => {
            let shift = read_shift(version, &mut from, clock, shared)?;
            decode_known(version, from, head, (clock.now(), shift))
        }
        version => Err(RecordFault::UnknownVersion(version)),
    }
}

fn decode_known(
    version: u8,
    mut from: Reader<'_>,
    head: Head,
    (now, shift): (Instant, Option<i128>),
) -> Result<Snapshot, RecordFault> {
    let placed = shift.is_some();
    from.shift_moments(shift.unwrap_or(0));
    let read_hold = if version == VERSION_1 { read_hold_1 } else { read_hold_2 };
    let snapshot = Snapshot {
        provider: from.text()?.into(),
        subject: from.text()?.into(),
        provider_session: from.maybe(|from| from.text().map(Into::into))?,
        primary: from.audience()?,
        refresh_token: from.maybe(|from| from.text().map(RefreshToken::new))?,
        id_token: from.maybe(|from| from.text().map(IdToken::new))?,
        authentication: Authentication {
            at: from.maybe(|from| from.number().map(UnixSeconds))?,
            class: from.maybe(|from| from.text().map(str::to_owned))?,
            methods: from.texts()?,
        },
        ceiling: from.maybe(|from| from.number().map(UnixSeconds))?,
        entries: {
            let mut entries = from.list(read_entry)?;
            entries.retain(|entry| placed && entry.received_at <= now);
            entries
        },
        holds: {
            let mut holds = from.list(read_hold)?;
            let unknown = |hold: &&mut Hold| !placed || hold.since > now;
            holds.iter_mut().filter(unknown).for_each(|hold| count_anew(hold, now));
            holds
        },
        proofs: if version == VERSION_1 {
            Vec::new()
        } else {
            let mut proofs = from.list(read_proof)?;
            for proof in &mut proofs {
                proof.at = proof.at.filter(|at| placed && *at <= now);
            }
            proofs
        },
        remembered: if version < VERSION_3 { None } else { from.maybe(read_remembered)? },
        device: if version < VERSION_4 { None } else { from.maybe(read_device)? },
        head,
    };
    from.finish()?;
    Ok(snapshot)
}

/// Reads whose moments the record has: how many nanoseconds to add to one, so that it is no later
/// than it was on this machine; `None` where nobody knows.
fn read_shift(
    version: u8,
    from: &mut Reader<'_>,
    clock: &Clock,
    shared: Option<&SharedTime>,
) -> Result<Option<i128>, RecordFault> {
    let boot = BootId(from.array()?);
    let stamp = if version < VERSION_5 { None } else { from.maybe(read_stamp)? };
    if boot == clock.boot() {
        return Ok(Some(0));
    }
    let Some(((id, stamp, written_at), shared)) = stamp.zip(shared) else { return Ok(None) };
    let here = shared.earliest(stamp).filter(|_| shared.id == id);
    Ok(here.map(|here| i128::from(here.as_nanos()) - i128::from(written_at.as_nanos())))
}

fn read_stamp(from: &mut Reader<'_>) -> Result<(BootId, i64, Instant), RecordFault> {
    let id = BootId(from.array()?);
    let stamp = i64::try_from(from.number()?)
        .map_err(|_| RecordFault::Malformed("it was written at no moment"))?;
    Ok((id, stamp, from.instant()?))
}

fn write_device(to: &mut Writer, device: &Device) {
    to.text(device.kind.as_str());
    to.texts(device.audiences.iter().map(|audience| audience.as_str()));
}

fn read_device(from: &mut Reader<'_>) -> Result<Device, RecordFault> {
    let kind = DeviceKind::parse(from.text()?);
    let kind = kind.map_err(|_| RecordFault::Malformed("a kind of device is none"))?;
    Ok(Device { kind, audiences: from.list(Reader::audience)? })
}

fn write_entry(to: &mut Writer, entry: &Entry) {
    to.text(entry.audience.as_str());
    to.text(entry.access_token.expose());
    to.text(&entry.requested.to_string());
    to.text(&entry.granted.to_string());
    to.instant(entry.received_at);
    to.span(entry.lifetime);
    to.number(entry.born_in.0);
}

fn read_entry(from: &mut Reader<'_>) -> Result<Entry, RecordFault> {
    Ok(Entry {
        audience: from.audience()?,
        access_token: AccessToken::new(from.text()?),
        requested: from.scopes()?,
        granted: from.scopes()?,
        received_at: from.instant()?,
        lifetime: from.span()?,
        born_in: Epoch(from.number()?),
    })
}

#[cfg(test)]
mod tests;
