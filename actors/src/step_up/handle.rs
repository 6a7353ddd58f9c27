//! Handles: sealed references to a context, which callers see as `mfa_token` (law L9).
//!
//! A handle says which context and when that ends, so that an expired one is told from an unknown
//! one after the context was purged. It opens for the session it was made for only.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::clock::{BootId, Clock};
use crate::core::name::SessionKey;
use crate::core::step_up::context::Claim;
use crate::core::step_up::{Context, ContextId};
use crate::core::time::Instant;
use crate::store::seal::{KeyRing, Purpose};

/// The longest text that is looked at: several times a handle's length.
const TEXT_BYTES_MAX: usize = 512;

/// The bytes inside: the context's name, the boot, and the moment on it.
const PLAIN_BYTES: usize = 32 + 16 + 8;

/// Seals a handle; `None` where the operating system gives no random bytes.
pub(super) fn seal(
    ring: &KeyRing,
    clock: &Clock,
    key: &SessionKey,
    context: &Context,
) -> Option<String> {
    let mut plain = Vec::with_capacity(PLAIN_BYTES);
    plain.extend_from_slice(&context.id().0);
    plain.extend_from_slice(&clock.boot().0);
    plain.extend_from_slice(&context.ends_at().as_nanos().to_be_bytes());
    let sealed = ring.seal(Purpose::StepUp, &key.0, &plain);
    let sealed = sealed.inspect_err(|error| tracing::error!(%error, "no handle could be sealed"));
    Some(URL_SAFE_NO_PAD.encode(sealed.ok()?))
}

/// Opens a handle; `None` where it was changed, or made for another session. Any text may be
/// passed.
pub(super) fn open(ring: &KeyRing, clock: &Clock, key: &SessionKey, text: &str) -> Option<Claim> {
    if text.len() > TEXT_BYTES_MAX {
        return None;
    }
    let sealed = URL_SAFE_NO_PAD.decode(text).ok()?;
    let plain = ring.open_sealed(Purpose::StepUp, &key.0, &sealed).ok()?;
    let (id, rest) = plain.split_first_chunk::<32>()?;
    let (boot, rest) = rest.split_first_chunk::<16>()?;
    let ends_at = Instant::from_nanos(u64::from_be_bytes(rest.try_into().ok()?));
    let same_boot = BootId(*boot) == clock.boot();
    Some(Claim { id: ContextId(*id), ends_at: same_boot.then_some(ends_at) })
}
