//! The second try after an upstream's 401: the only place that decides on one.
//!
//! An upstream that refuses the access token has not acted, so even an unsafe request may be sent
//! again, once, with a newer token. What was sent must be there to be sent again: the head is
//! copied, and the body's beginning is kept while it streams past, up to a bound. Where more has
//! gone, or where no newer token is to be had, the upstream's own 401 is the answer.

use bytes::Bytes;
use http::HeaderMap;
use tokenward::AccessError;

use crate::tokens::{Ticket, Tokens, Want};

/// Keeps the beginning of a body while it streams past.
pub(crate) struct Keeper {
    pieces: Vec<Bytes>,
    /// How many bytes may still be kept.
    room: usize,
    whole: bool,
    trailers: Option<HeaderMap>,
}

impl Keeper {
    pub(crate) fn new(room: usize) -> Self {
        Self { pieces: Vec::new(), room, whole: true, trailers: None }
    }

    /// Keeps a piece, or forgets everything where it does not fit: half a body is of no use.
    pub(crate) fn keep(&mut self, piece: &Bytes) {
        if !self.whole {
            return;
        }
        if piece.len() > self.room {
            self.whole = false;
            self.pieces = Vec::new();
            return;
        }
        self.room -= piece.len();
        self.pieces.push(piece.clone());
    }

    pub(crate) fn keep_trailers(&mut self, trailers: &HeaderMap) {
        self.trailers = Some(trailers.clone());
    }

    /// Reports whether everything that went past is kept.
    pub(crate) fn is_whole(&self) -> bool {
        self.whole
    }

    pub(crate) fn len(&self) -> usize {
        self.pieces.len()
    }

    pub(crate) fn piece(&self, number: usize) -> Option<Bytes> {
        self.pieces.get(number).cloned()
    }

    pub(crate) fn trailers(&self) -> Option<HeaderMap> {
        self.trailers.clone()
    }

    pub(crate) fn has_trailers(&self) -> bool {
        self.trailers.is_some()
    }
}

/// What to do with an upstream's 401.
pub(crate) enum Second {
    /// When a newer access token is there: send again with it.
    Again(Ticket),
    /// When the session itself has a problem that the caller can solve.
    Refuse(AccessError),
    /// When nothing better is to be had: the upstream's answer is the answer.
    PassOn,
}

/// Asks for a newer access token than the one that was refused.
pub(crate) async fn second(tokens: &dyn Tokens, want: Want<'_>, refused: &Ticket) -> Second {
    match tokens.obtain(want, Some(refused.serial)).await {
        Ok(ticket) => Second::Again(ticket),
        Err(
            error @ (AccessError::Downscoped { .. }
            | AccessError::MfaRequired(_)
            | AccessError::SignInRequired { .. }),
        ) => Second::Refuse(error),
        // The upstream knows better why it refuses than we know why we have nothing newer.
        Err(
            AccessError::Denied { .. }
            | AccessError::NotNow { .. }
            | AccessError::OperatorFault { .. }
            | AccessError::Rejected { .. }
            | AccessError::Unchanged
            | AccessError::Unusable { .. },
        ) => Second::PassOn,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_is_kept_whole_or_not_at_all() {
        let mut keeper = Keeper::new(5);
        keeper.keep(&Bytes::from_static(b"abc"));
        keeper.keep(&Bytes::from_static(b"de"));
        assert!(keeper.is_whole());
        assert_eq!(keeper.piece(1), Some(Bytes::from_static(b"de")));
        keeper.keep(&Bytes::from_static(b"f"));
        assert!(!keeper.is_whole());
        assert_eq!((keeper.len(), keeper.piece(0)), (0, None));
        keeper.keep(&Bytes::from_static(b""));
        assert_eq!(keeper.len(), 0, "what is lost stays lost");
    }
}
