//! How often people may try with one session, counted by all machines on a store together: a guesser who
//! is led to another machine each time would meet the provider's limit first, and lock the person out.

use std::time::Duration;

use zeroize::Zeroizing;

use super::MfaFault;
use super::limits::Turn;
use crate::access::Tokenward;
use crate::core::name::SessionKey;
use crate::core::step_up::limit::{Rate, Spent};
use crate::core::time::{Instant, Stamp};
use crate::store::{NoteFault, NoteKey, StoreError, Vault};

/// How long somebody waits whom others always forestalled: nobody tries one session so often at once.
const CROWDED_FOR: Duration = Duration::from_secs(1);

impl Tokenward {
    /// Lets somebody have a turn at this machine, and at all machines on the store.
    pub(super) async fn admit(&self, key: &SessionKey, turn: Turn) -> Result<(), MfaFault> {
        let too_many = |retry_after| MfaFault::TooManyAttempts { retry_after };
        let now = self.shared.clock.now();
        self.shared.steps.admit(key, turn, now).map_err(too_many)?;
        let vault = &self.shared.vault;
        let Some((rate, name)) = turn.per_session().filter(|_| vault.is_shared()) else {
            return Ok(());
        };
        match taken(vault, vault.note_key(name, &[&key.0]), rate).await {
            Ok(taken) => taken.map_err(too_many),
            Err(error) => {
                // The person is not sent away for it: this machine has counted.
                let (session, code) = (key.id(), error.code());
                tracing::warn!(%session, code, %error, "a try is counted by this machine alone");
                Ok(())
            }
        }
    }
}

/// Takes one from what all machines may spend; says how long to wait where there is none.
async fn taken(
    vault: &Vault,
    key: NoteKey,
    rate: Rate,
) -> Result<Result<(), Duration>, StoreError> {
    let take = |text: Option<&[u8]>| {
        let now = vault.present();
        let free_at = text.map(free_at).transpose()?;
        // Where somebody has set the common clock since, what was spent is forgiven.
        let most = now.latest + rate.every * rate.burst;
        let free_at = free_at.filter(|free_at| now.places(*free_at) && *free_at <= most);
        let mut spent = Spent::until(moment(free_at.unwrap_or_default()));
        // By the earliest that it can be, nothing comes back too soon.
        let taken = spent.take(rate, moment(now.earliest));
        let text = micros(spent.free_at()).to_be_bytes().to_vec();
        let change = taken.is_ok().then(|| (Zeroizing::new(text), rate.every * rate.burst));
        Ok((taken, change))
    };
    Ok(vault.change_note(key, take).await?.unwrap_or(Err(CROWDED_FOR)))
}

/// Reads when everything that was spent will have come back: eight bytes, the highest first.
fn free_at(text: &[u8]) -> Result<Stamp, StoreError> {
    let bytes = <[u8; 8]>::try_from(text).map_err(|_| NoteFault::Malformed)?;
    Ok(Stamp(u64::from_be_bytes(bytes)))
}

/// Returns a stamp as budgets take it, which count by whichever clock they are given.
fn moment(stamp: Stamp) -> Instant {
    Instant::ZERO + Duration::from_micros(stamp.0)
}

fn micros(moment: Instant) -> u64 {
    moment.as_nanos() / 1_000
}
