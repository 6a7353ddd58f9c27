//! Plays many pieces at once, and tells of them in their order.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::thread;

use crate::terminal;

/// One thing that is played apart from all others.
pub(crate) trait Piece: Sync {
    /// Its name in the line of progress.
    fn name(&self) -> &str;

    /// About how long it takes, in seconds; nothing where all take much the same.
    fn seconds(&self) -> u32;
}

/// Plays all pieces, so many at once, and returns what came of them in the order of the pieces.
/// `noun` says what they are.
pub(crate) fn play<P: Piece, R: Send>(
    pieces: &[P],
    jobs: u8,
    noun: &str,
    one: impl Fn(&P) -> R + Sync,
) -> Vec<R> {
    // The longest first, so that none is left alone at the end.
    let mut order: Vec<(usize, &P)> = pieces.iter().enumerate().collect();
    order.sort_by_key(|(_, piece)| std::cmp::Reverse(piece.seconds()));
    let queue = Mutex::new(VecDeque::from(order));
    let next = || queue.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
    let done = Mutex::new(Vec::new());
    let progress = terminal::progress(u32::try_from(pieces.len()).unwrap_or(u32::MAX), noun);
    thread::scope(|scope| {
        for _ in 0..jobs {
            scope.spawn(|| {
                while let Some((at, piece)) = next() {
                    let outcome = one(piece);
                    let mut done = done.lock().unwrap_or_else(PoisonError::into_inner);
                    progress.step(piece.name());
                    done.push((at, outcome));
                }
            });
        }
    });
    let mut done = done.into_inner().unwrap_or_else(PoisonError::into_inner);
    done.sort_by_key(|(at, _)| *at);
    done.into_iter().map(|(_, outcome)| outcome).collect()
}
