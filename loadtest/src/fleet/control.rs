//! The sandbox's control port, with the types of a run: the tenant's behaviour, and the ledger.

use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokenward_programs::control::Control as Port;
use tokenward_programs::failure::Failure;

use crate::exchanges::{Event, Sums};

/// The control port of one sandbox.
#[derive(Clone, Debug)]
pub struct Control {
    port: Port,
}

impl Control {
    pub(super) fn at(address: &str) -> Self {
        Self { port: Port::at(address) }
    }

    /// Returns the port itself.
    pub(super) const fn port(&self) -> &Port {
        &self.port
    }

    /// Asks for something to be done, and returns what the sandbox says.
    ///
    /// # Errors
    /// `Ours` when it refuses.
    pub fn post(&self, path: &str, wish: &Value) -> Result<Value, Failure> {
        self.port.post(path, wish)
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
        self.port.delete("faults")
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
        let page: Page = self.read(&format!("ledger?since={since}"))?;
        Ok(page.events)
    }

    /// Returns the sums of the ledger.
    ///
    /// # Errors
    /// `Ours` when the ledger cannot be read.
    pub fn sums(&self) -> Result<Sums, Failure> {
        self.read("ledger/summary")
    }

    fn read<T: DeserializeOwned>(&self, path: &str) -> Result<T, Failure> {
        serde_json::from_value(self.port.read(path)?)
            .map_err(|error| Failure::Ours(format!("the sandbox's ledger: {error}")))
    }
}
