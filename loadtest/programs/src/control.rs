//! The sandbox's control port: faults, the tenant's behaviour, and the ledger.

use std::time::Duration;

use serde_json::Value;

use crate::failure::Failure;
use crate::http::{Answer, Caller};

/// How long the sandbox may take: it mints a hundred thousand sessions in one answer.
const ANSWER_LIMIT: Duration = Duration::from_secs(20);

/// The control port of one sandbox.
#[derive(Clone, Debug)]
pub struct Control {
    caller: Caller,
    base: String,
}

impl Control {
    /// Makes one for the address that the sandbox has printed.
    #[must_use]
    pub fn at(address: &str) -> Self {
        Self {
            caller: Caller::patient(ANSWER_LIMIT),
            base: address.trim_end_matches('/').to_owned(),
        }
    }

    /// Asks for something to be done, and returns what the sandbox says.
    ///
    /// # Errors
    /// `Ours` with the sandbox's words when it refuses.
    pub fn post(&self, path: &str, wish: &Value) -> Result<Value, Failure> {
        let answer = self.caller.post_json(&self.address(path), &[], wish);
        self.understood(path, answer)
    }

    /// Takes something back, such as all armed faults.
    ///
    /// # Errors
    /// `Ours` with the sandbox's words when it refuses.
    pub fn delete(&self, path: &str) -> Result<(), Failure> {
        let answer = self.caller.delete(&self.address(path));
        self.understood(path, answer).map(drop)
    }

    /// Reads something, such as the events of the ledger.
    ///
    /// # Errors
    /// `Ours` with the sandbox's words when it refuses.
    pub fn read(&self, path: &str) -> Result<Value, Failure> {
        let answer = self.caller.fetch(&self.address(path), &[]);
        self.understood(path, answer)
    }

    /// Returns one sum of the ledger; nothing when it is out of reach.
    #[must_use]
    pub fn sum(&self, key: &str) -> Option<u64> {
        let answer = self.caller.fetch(&self.address("ledger/summary"), &[]).ok()?;
        serde_json::from_str::<Value>(&answer.body).ok()?.get(key)?.as_u64()
    }

    /// Returns the address of one of its endpoints.
    #[must_use]
    pub fn address(&self, path: &str) -> String {
        format!("{}/{path}", self.base)
    }

    fn understood(&self, path: &str, answer: Result<Answer, String>) -> Result<Value, Failure> {
        let answer = answer.map_err(|why| Failure::Ours(format!("the sandbox's {path}: {why}")))?;
        answer.json(&format!("the sandbox's {path}"))
    }
}
