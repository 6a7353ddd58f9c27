//! The sandbox's control port: faults, the tenant's behaviour, and the ledger.

use serde_json::{Value, json};

use crate::exchanges::{Event, Sums};
use crate::failure::Failure;
use crate::http::Caller;

/// The control port of one sandbox.
#[derive(Clone, Debug)]
pub struct Control {
    caller: Caller,
    base: String,
}

impl Control {
    pub(super) fn at(address: &str) -> Self {
        Self { caller: Caller::new(), base: address.trim_end_matches('/').to_owned() }
    }

    /// Asks for something to be done, and returns what the sandbox says.
    ///
    /// # Errors
    /// `Ours` when it refuses.
    pub fn post(&self, path: &str, wish: &Value) -> Result<Value, Failure> {
        let url = format!("{}/{path}", self.base);
        self.caller.post(&url, &[], wish)?.json(&format!("the sandbox's {path}"))
    }

    /// Changes the tenant.
    ///
    /// # Errors
    /// `Ours` when the sandbox refuses.
    pub fn tenant(&self, patch: &Value) -> Result<(), Failure> {
        self.post("tenant", patch).map(drop)
    }

    /// Plugs the provider into the network, or out of it.
    ///
    /// # Errors
    /// `Ours` when the sandbox refuses.
    pub fn network(&self, up: bool) -> Result<(), Failure> {
        self.post("network", &json!({ "up": up })).map(drop)
    }

    /// Takes all armed faults back.
    ///
    /// # Errors
    /// `Ours` when the sandbox refuses.
    pub fn disarm(&self) -> Result<(), Failure> {
        let answer = self.caller.delete(&format!("{}/faults", self.base))?;
        answer.json("disarming the sandbox").map(drop)
    }

    /// Returns the events of the ledger after a sequence number: one page of them.
    ///
    /// # Errors
    /// `Ours` when the ledger cannot be read.
    pub fn events(&self, since: u64) -> Result<Vec<Event>, Failure> {
        #[derive(serde::Deserialize)]
        struct Page {
            events: Vec<Event>,
        }
        let url = format!("{}/ledger?since={since}", self.base);
        let page = self.caller.fetch(&url, &[])?.json("the sandbox's ledger")?;
        let page: Page = serde_json::from_value(page)
            .map_err(|error| Failure::Ours(format!("the sandbox's ledger: {error}")))?;
        Ok(page.events)
    }

    /// Returns the sums of the ledger.
    ///
    /// # Errors
    /// `Ours` when the ledger cannot be read.
    pub fn sums(&self) -> Result<Sums, Failure> {
        let url = format!("{}/ledger/summary", self.base);
        let sums = self.caller.fetch(&url, &[])?.json("the sandbox's ledger")?;
        serde_json::from_value(sums)
            .map_err(|error| Failure::Ours(format!("the sandbox's ledger: {error}")))
    }
}
