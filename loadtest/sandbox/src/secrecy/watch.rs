//! Makes a test of anything a test of secrecy too.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use super::{Kind, Leak, Secrets, Tap, places};
use crate::hold;

/// The file of a state directory that holds sealing keys, and nothing else.
const KEY_FILE: &str = "keys.json";

/// The characters of a sealing key as it is written.
const KEY_CHARS: usize = 43;

/// Looks, when it is dropped, for every secret of a run in all that was logged meanwhile, in the
/// files below some folders, and in what was noted; fails the test where it finds one.
#[derive(Debug)]
pub struct Watch {
    secrets: Secrets,
    tap: Tap,
    folders: Mutex<Vec<PathBuf>>,
    files: Mutex<Vec<PathBuf>>,
    notes: Mutex<Vec<Note>>,
}

struct Note {
    place: String,
    bytes: Vec<u8>,
}

impl Watch {
    /// Begins to watch over the secrets of a run, those that become known later included.
    #[must_use]
    pub fn over(secrets: &Secrets) -> Self {
        let (folders, files, notes) = (Mutex::default(), Mutex::default(), Mutex::default());
        Self { secrets: secrets.clone(), tap: Tap::open(), folders, files, notes }
    }

    /// Returns the secrets, to be added to.
    #[must_use]
    pub fn secrets(&self) -> &Secrets {
        &self.secrets
    }

    /// Looks at the files of a state directory in the end. Its sealing keys are secrets as well;
    /// they have a file of their own.
    pub fn folder(&self, folder: &Path) {
        hold(&self.folders).push(folder.to_owned());
    }

    /// Looks at a file in the end, if it is still there.
    pub fn file(&self, file: &Path) {
        hold(&self.files).push(file.to_owned());
    }

    /// Looks at `bytes` in the end.
    pub fn note(&self, place: &str, bytes: impl Into<Vec<u8>>) {
        let note = Note { place: place.to_owned(), bytes: bytes.into() };
        hold(&self.notes).push(note);
    }

    /// Looks at everything so far.
    ///
    /// # Panics
    /// Where a file cannot be read, or more was logged than is kept: nothing is passed unseen.
    #[must_use]
    pub fn leaks(&self) -> Vec<Leak> {
        let folders = hold(&self.folders);
        folders.iter().for_each(|folder| self.learn_keys(&folder.join(KEY_FILE)));
        let search = self.secrets.search();
        let mut leaks = search.look("the log of this process", &self.tap.heard());
        for folder in folders.iter().filter(|folder| folder.exists()) {
            match places::files(&search, folder, &[KEY_FILE]) {
                Ok(mut found) => leaks.append(&mut found),
                Err(error) => panic!("{} cannot be looked through: {error}", folder.display()),
            }
        }
        for file in hold(&self.files).iter() {
            let bytes = fs::read(file).unwrap_or_default();
            leaks.append(&mut search.look(&file.display().to_string(), &bytes));
        }
        for Note { place, bytes } in hold(&self.notes).iter() {
            leaks.append(&mut search.look(place, bytes));
        }
        leaks
    }

    fn learn_keys(&self, file: &Path) {
        let text = fs::read_to_string(file).unwrap_or_default();
        for word in text.split('"').filter(|word| word.len() == KEY_CHARS) {
            self.secrets.learn(Kind::SealingKey, word);
        }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        // A test that has failed already says so better.
        if std::thread::panicking() {
            return;
        }
        let leaks = self.leaks();
        assert!(leaks.is_empty(), "secrets were found where none may be:\n{leaks:#?}");
    }
}

impl fmt::Debug for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes of {}", self.bytes.len(), self.place)
    }
}
