//! Inputs near those of a corpus: bytes changed, cut, doubled, and pieces of several joined.

use std::fs;
use std::panic;
use std::path::{Path, PathBuf};

/// The inputs tried by a test run beside the corpus itself: with all targets a few seconds.
const INPUTS: u64 = 4_000;

/// The longest input: what is longer is refused by the bounds of the wire, which have tests of
/// their own.
const INPUT_BYTES_MAX: usize = 8 * 1024;

/// The most changes made to one input: with more, little of the corpus is left in it.
const CHANGES_MAX: u64 = 6;

/// Bytes at which parsers take another turn.
const TURNS: &[u8] = b"\0\t\n\r \"#%&'+,-./0:;<=>?@[\\]_{|}~\x7f\x80\xc0\xff";

/// The files of one target's corpus, by name.
#[derive(Clone, Debug)]
pub struct Corpus(Vec<(PathBuf, Vec<u8>)>);

/// Tries `target` with its corpus and with inputs near it.
///
/// # Panics
/// Where the target does, after naming the input; and where there is no corpus.
pub fn seek(name: &str, target: fn(&[u8])) {
    let corpus = Corpus::read(name);
    for (path, input) in &corpus.0 {
        attempt(target, input, &path.display().to_string());
    }
    let seed = setting("TOKENWARD_FUZZ_SEED", 1);
    let mut dice = Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
    for number in 0..setting("TOKENWARD_FUZZ_INPUTS", INPUTS) {
        let input = corpus.near(&mut dice);
        attempt(target, &input, &format!("{name}, seed {seed}, input {number}"));
    }
}

impl Corpus {
    /// Reads the corpus of a target.
    ///
    /// # Panics
    /// Where there is none: a target without one tries noise only.
    pub fn read(name: &str) -> Self {
        let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(name);
        let entries = fs::read_dir(&directory).into_iter().flatten().flatten();
        let mut paths: Vec<PathBuf> = entries.map(|entry| entry.path()).collect();
        paths.sort();
        let inputs =
            paths.into_iter().filter_map(|path| Some((path.clone(), fs::read(path).ok()?)));
        let corpus: Vec<_> = inputs.collect();
        assert!(!corpus.is_empty(), "{} holds no corpus", directory.display());
        Self(corpus)
    }

    fn near(&self, dice: &mut Dice) -> Vec<u8> {
        let mut input = self.any(dice).to_vec();
        for _ in 0..=dice.below(CHANGES_MAX) {
            self.change(&mut input, dice);
        }
        input.truncate(INPUT_BYTES_MAX);
        input
    }

    fn any(&self, dice: &mut Dice) -> &[u8] {
        &self.0[dice.place(self.0.len())].1
    }

    fn change(&self, input: &mut Vec<u8>, dice: &mut Dice) {
        let at = dice.place(input.len() + 1);
        let end = at + dice.place(input.len() - at + 1).min(dice.place(33));
        match dice.below(8) {
            0 => input.insert(at, dice.byte()),
            1 => input.insert(at, TURNS[dice.place(TURNS.len())]),
            2 => drop(input.drain(at..end)),
            3 => input.truncate(at),
            4 => {
                let piece = input[at..end].repeat(1 + dice.place(4));
                drop(input.splice(at..at, piece));
            }
            5 => {
                if let Some(byte) = input.get_mut(at) {
                    *byte ^= 1 << dice.below(8);
                }
            }
            6 => {
                let other = self.any(dice);
                let from = dice.place(other.len() + 1);
                let until = from + dice.place(other.len() - from + 1);
                drop(input.splice(at..end, other[from..until].iter().copied()));
            }
            _ => input[at..end].fill(dice.byte()),
        }
    }
}

fn attempt(target: fn(&[u8]), input: &[u8], name: &str) {
    if let Err(cause) = panic::catch_unwind(|| target(input)) {
        let said = cause.downcast_ref::<String>().map(String::as_str);
        let said = said.or_else(|| cause.downcast_ref::<&str>().copied()).unwrap_or_default();
        panic!("{name}: {:?}: {said}", String::from_utf8_lossy(input));
    }
}

fn setting(name: &str, usual: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(usual)
}

/// Numbers that are the same for the same seed (xorshift, which never leaves zero nor comes there).
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, bound: u64) -> u64 {
        (self.next() >> 11) % bound.max(1)
    }

    fn place(&mut self, length: usize) -> usize {
        usize::try_from(self.below(length as u64)).unwrap_or_default()
    }

    fn byte(&mut self) -> u8 {
        (self.next() >> 32) as u8
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    /// What the last run of [`seek`] tried.
    static TRIED: Mutex<Vec<Vec<u8>>> = Mutex::new(Vec::new());

    #[test]
    fn a_run_tries_the_corpus_and_the_same_inputs_each_time() {
        let run = || {
            seek("paths", |input| TRIED.lock().unwrap().push(input.to_vec()));
            std::mem::take(&mut *TRIED.lock().unwrap())
        };
        let first = run();
        assert_eq!(first, run());
        for (path, input) in Corpus::read("paths").0 {
            assert!(first.contains(&input), "{}", path.display());
        }
        let mut different = first.clone();
        different.sort();
        different.dedup();
        assert!(different.len() > first.len() / 2, "{} of {}", different.len(), first.len());
        assert!(first.iter().all(|input| input.len() <= INPUT_BYTES_MAX));
    }

    #[test]
    #[should_panic(expected = "corpus/paths/")]
    fn a_failure_names_its_input() {
        seek("paths", |input| assert!(input.is_empty(), "broken"));
    }
}
