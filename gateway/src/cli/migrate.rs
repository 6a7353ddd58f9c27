//! `tokenward migrate`: from one store to another, while no gateway runs.

use std::fs;
use std::io;
use std::path::PathBuf;

use clap::Args;
use tokenward::clock::Clock;
use tokenward::store::{MoveFault, Moved, Remedy, StoreError};

use super::{Failure, note, say};
use crate::assemble::vault;
use crate::config::Config;

/// The key ring's file in a state directory.
const RING_FILE: &str = "keys.json";
/// The folder in a state directory with what Redis has not confirmed.
const SPOOL: &str = "spool";

/// From where to where.
#[derive(Debug, Args)]
pub(super) struct Options {
    /// The configuration with the store that the sessions are in
    #[arg(long, value_name = "FILE")]
    from: PathBuf,
    /// The configuration with the store that they are to be in
    #[arg(long, value_name = "FILE")]
    to: PathBuf,
}

/// Moves all sessions.
pub(super) async fn run(options: &Options) -> Result<(), Failure> {
    let [from, to] = [&options.from, &options.to].map(|path| Config::load(path));
    let (from, to) = (from.map_err(Failure::configuration)?, to.map_err(Failure::configuration)?);
    refuse_unconfirmed(&from)?;
    let clock = Clock::system();
    let old = vault(&from, &clock).await.map_err(stopped)?;
    bring_keys(&from, &to)?;
    let new = vault(&to, &clock).await.map_err(stopped)?;
    let total = old.count().await.map_err(stopped)?;
    let moved = old.move_to(&new, |moved| {
        let Moved { copied, renewed, there, newer, ended: _ } = moved;
        let looked_at = copied + renewed + there + newer;
        note(&format!("{looked_at} of {total} sessions looked at"));
    });
    let Moved { copied, renewed, there, newer, ended } =
        moved.await.map_err(|fault| match fault {
            MoveFault::Leased { .. } => Failure::unavailable(fault),
            MoveFault::Ring => Failure::configuration(fault),
            MoveFault::Store(error) => stopped(error),
        })?;
    say(&format!("moved {copied} renewed {renewed} there {there} newer {newer} ended {ended}"));
    note(
        "Serve from the new store only: the refresh tokens in the old one are spent by the first \
         refresh over there.",
    );
    Ok(())
}

/// Refuses where a gateway died before Redis had confirmed what it wrote: the only living refresh
/// tokens of some sessions are in its state directory.
fn refuse_unconfirmed(from: &Config) -> Result<(), Failure> {
    let place = from.state_dir.join(SPOOL);
    // Where there is none, nothing was ever kept.
    let kept = fs::read_dir(&place).into_iter().flatten().flatten();
    let kept = kept.filter(|entry| entry.path().extension().is_some_and(|it| it == "commit"));
    match kept.count() {
        0 => Ok(()),
        count => Err(Failure::unavailable(format!(
            "{} holds {count} sessions that Redis has not confirmed: start a gateway on this state \
             directory until the folder is empty, stop it, and run this again",
            place.display()
        ))),
    }
}

/// Gives the new store the keys by which everything is sealed, where it has none.
fn bring_keys(from: &Config, to: &Config) -> Result<(), Failure> {
    let [old, new] = [from, to].map(|config| config.state_dir.join(RING_FILE));
    if new.exists() || old == new {
        return Ok(());
    }
    let brought = fs::create_dir_all(&to.state_dir)
        // The copy has the permissions of the original.
        .and_then(|()| fs::copy(&old, new.with_extension("new")))
        .and_then(|_| fs::File::open(new.with_extension("new"))?.sync_all())
        .and_then(|()| fs::rename(new.with_extension("new"), &new));
    brought.map_err(|error: io::Error| {
        Failure::unavailable(format!(
            "the key ring {} cannot be copied to {} ({error}): copy it by hand",
            old.display(),
            new.display()
        ))
    })
}

fn stopped(error: StoreError) -> Failure {
    match error.remedy() {
        Remedy::Again => Failure::unavailable(error),
        Remedy::Operator => Failure::configuration(error),
        Remedy::Program => Failure::ours(error),
    }
}
