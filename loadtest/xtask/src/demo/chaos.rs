//! SIGKILL for the gateway at a steady beat, and what it did to the sessions.

use std::time::Duration;

use serde_json::Value;
use tokenward_programs::clock::Watch;
use tokenward_programs::failure::Failure;
use tokenward_programs::http::Caller;

use crate::world::World;

/// Between two kills: long enough for a refresh on either side of it with ten-second tokens.
const BEAT: Duration = Duration::from_secs(10);

/// The killer, with its count.
#[derive(Debug)]
pub(super) struct Chaos {
    kills: u32,
    next: Duration,
}

impl Chaos {
    pub(super) fn new() -> Self {
        Self { kills: 0, next: BEAT }
    }

    /// Kills the gateway and starts it again, when the time has come.
    ///
    /// # Errors
    /// `Unavailable` when it does not come back.
    pub(super) fn strike_when_due(
        &mut self,
        now: Duration,
        world: &mut World,
        mut tell: impl FnMut(String),
    ) -> Result<(), Failure> {
        if now < self.next {
            return Ok(());
        }
        self.next = now + BEAT;
        self.kills += 1;
        world.gateway.kill();
        tell(format!("chaos  kill {}: the gateway is gone", self.kills));
        let watch = Watch::start();
        world.restart_gateway()?;
        let took = watch.elapsed();
        let shown =
            |sum: Option<u64>| sum.map_or_else(|| "unknown".to_owned(), |sum| sum.to_string());
        tell(format!(
            "chaos  the gateway is back after {} ms; sessions alive: {}, families revoked: {}",
            took.as_millis(),
            shown(sessions(world)),
            shown(world.control().sum("families_revoked")),
        ));
        Ok(())
    }
}

fn sessions(world: &World) -> Option<u64> {
    let answer = Caller::new().fetch(&world.admin("/api/sessions?limit=1"), &[]).ok()?;
    serde_json::from_str::<Value>(&answer.body).ok()?.get("total")?.as_u64()
}
