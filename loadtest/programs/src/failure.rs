//! Why a command ended early: every text says who must act and how.

use std::io;
use std::process::ExitCode;

/// The reasons for ending early, by who must act.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// When a check failed, a law was broken, or the caller's own bound was missed.
    #[error("{0}")]
    Missed(String),
    /// When the plan, the baseline or the bound cannot be read; the text names the place.
    #[error("{0}")]
    Configuration(String),
    /// When a program, a port, a file or the network is lacking; the text names the remedy.
    #[error("{0}")]
    Unavailable(String),
    /// When a program of ours, or one that we drive, did what it must not.
    #[error("{0}")]
    Ours(String),
}

impl Failure {
    /// Returns the process exit code that scripts rely on.
    #[must_use]
    pub fn exit_code(&self) -> ExitCode {
        ExitCode::from(match self {
            Self::Missed(_) => 1,
            Self::Unavailable(_) => 69,
            Self::Ours(_) => 70,
            Self::Configuration(_) => 78,
        })
    }

    /// Wraps a failed operation on a file or a child: `doing` completes "could not …".
    #[must_use]
    pub fn io(doing: &str, error: &io::Error) -> Self {
        Self::Unavailable(format!("could not {doing}: {error}"))
    }
}
