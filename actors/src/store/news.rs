//! What a store tells of the writes of other machines.

use tokio::sync::{mpsc, watch};

use crate::core::name::SessionKey;

/// Something that another machine may have done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tiding {
    /// Its record was replaced, or it has ended.
    Changed(SessionKey),
    /// Nobody knows what was missed: any session may have been changed.
    Missed,
}

/// The ear of one listener.
///
/// A tiding is a hint and nothing else: the record decides. One may come twice, or for nothing.
#[derive(Debug)]
pub struct News {
    tidings: mpsc::Receiver<Tiding>,
    live: watch::Receiver<bool>,
}

impl News {
    /// Joins what is heard with whether anything would be.
    pub fn new(tidings: mpsc::Receiver<Tiding>, live: watch::Receiver<bool>) -> Self {
        Self { tidings, live }
    }

    /// Returns what is told next; `None` when the store has been closed.
    ///
    /// # Cancel safety
    /// Nothing is lost when the future is dropped.
    pub async fn next(&mut self) -> Option<Tiding> {
        self.tidings.recv().await
    }

    /// Reports whether what others change is told at once. Where it is not, whoever must know asks.
    pub fn is_live(&self) -> bool {
        *self.live.borrow()
    }
}
