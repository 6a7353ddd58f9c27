//! Whoever reads the display's own numbers is answered from what the loop knows at that moment.

use tokio::sync::oneshot;

use super::{Arrival, Life};
use crate::journal::Level;
use crate::scrape::{Rows, Scrape};

impl Life {
    /// Shows the numbers where the configuration says so. A display without them is better than
    /// none, so that an address that is taken is told and no more.
    pub(super) async fn expose(&mut self) {
        let Some(address) = self.config.metrics else { return };
        let scrape = match Scrape::bind(address).await {
            Ok(scrape) => scrape,
            Err(error) => {
                let line = format!("{address} cannot be taken for /metrics ({error})");
                return self.journal.say(Level::Warning, &line);
            }
        };
        let arrived = self.arrived.clone();
        tokio::spawn(scrape.serve(async move || {
            let (reply, rows) = oneshot::channel();
            arrived.send(Arrival::Scraped(reply)).await.ok()?;
            rows.await.ok()
        }));
    }

    pub(super) fn rows(&self) -> Rows {
        let now = self.clock.now();
        let age = self.agent.age(now).map(|age| age.as_secs());
        let is_known = self.agent.is_clock_right() && self.agent.memory().kept.is_some();
        Rows {
            fetches: self.numbers.fetches,
            draws: self.panel.health().counts,
            content_unix: age
                .filter(|_| is_known)
                .map(|age| self.clock.unix().0.saturating_sub(age)),
        }
    }
}
