//! Why a command ended early: every text says who must act and how.

use std::process::ExitCode;

/// The reasons for ending early, by who must act.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// When a check failed, or an aim was missed by a law.
    #[error("{0}")]
    Missed(String),
    /// When a program, a port or the network is lacking; the text names the remedy.
    #[error("{0}")]
    Unavailable(String),
    /// When a program of ours, or one that we drive, did what it must not.
    #[error("{0}")]
    Ours(String),
}

impl Failure {
    /// Returns the process exit code that scripts rely on.
    pub(crate) fn exit_code(&self) -> ExitCode {
        match self {
            Self::Missed(_) => ExitCode::from(1),
            Self::Unavailable(_) => ExitCode::from(69),
            Self::Ours(_) => ExitCode::from(70),
        }
    }

    /// Wraps a failed operation on a file or a child: `doing` completes "could not …".
    pub(crate) fn io(doing: &str, error: &std::io::Error) -> Self {
        Self::Unavailable(format!("could not {doing}: {error}"))
    }
}

/// Prints clap's answer, and maps it to 0 for help and version and to 64 for a mistake.
pub(crate) fn usage(message: &clap::Error) -> ExitCode {
    // Nobody is left to tell when standard error itself is closed.
    let _ = message.print();
    if message.use_stderr() { ExitCode::from(64) } else { ExitCode::SUCCESS }
}
