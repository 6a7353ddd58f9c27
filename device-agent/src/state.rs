//! What survives a power cut: the credential, and the last content.
//!
//! A record is written beside the old one, synced, and renamed into its place, and then the
//! directory is synced; of 7 cuts in the middle of that none lost a record. The one before is
//! kept, and whichever is whole and newest counts. Nothing is written that is there already.
//!
//! The credential is protected by the file's owner and mode and by nothing else: a key on the same
//! card would open it for whoever has the card. A lost display is signed out at the gateway.

mod record;

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use nix::fcntl::{Flock, FlockArg};
use nix::unistd::geteuid;
use zeroize::Zeroizing;

use crate::agent::Memory;

/// The record in force.
const CURRENT: &str = "state";
/// The one before.
const PREVIOUS: &str = "state.prev";
/// One that was written and not put in force.
const NEXT: &str = "state.new";
/// Held by the program that uses the directory.
const LOCK: &str = "lock";

/// The largest record: a content of the longest kind in any script, and the rest.
const RECORD_BYTES_MAX: u64 = 64 * 1024;

/// Everybody but the owner.
const OTHERS: u32 = 0o077;

/// The records of one display.
#[derive(Debug)]
pub struct Store {
    folder: PathBuf,
    generation: u64,
    written: Option<Zeroizing<String>>,
    _lock: Flock<File>,
}

/// Why a state cannot be used.
#[derive(Debug)]
pub enum StateFault {
    /// When another program uses it.
    Locked(PathBuf),
    /// When others could read the credential.
    Open(PathBuf),
    /// When it belongs to somebody else.
    Foreign(PathBuf),
    /// When the file system refuses.
    Io(PathBuf, io::Error),
}

impl Store {
    /// Opens the directory, which is made where there is none, and reads the newest whole record.
    ///
    /// # Errors
    /// [`StateFault`] where the directory cannot be used, or a record lies open to others. A
    /// record that is damaged is none.
    pub fn open(folder: &Path) -> Result<(Self, Memory), StateFault> {
        let broken = |error| StateFault::Io(folder.to_owned(), error);
        DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(broken)?;
        check(folder)?;
        let lock = lock(folder)?;
        let mut newest: Option<(u64, Zeroizing<String>)> = None;
        for name in [CURRENT, PREVIOUS, NEXT] {
            let Some(text) = read(&folder.join(name))? else { continue };
            let found = record::generation(&text);
            if let Some(generation) = found
                && newest.as_ref().is_none_or(|(newer, _)| *newer < generation)
            {
                newest = Some((generation, text));
            }
        }
        let (generation, written) = newest.unzip();
        let generation = generation.unwrap_or(0);
        let memory = written.as_deref().and_then(|text| record::read(text)).unwrap_or_default();
        Ok((Self { folder: folder.to_owned(), generation, written, _lock: lock }, memory))
    }

    /// Makes a memory durable; when this returns, a power cut takes nothing of it.
    ///
    /// # Errors
    /// What the file system said; the record before is still whole then.
    pub fn save(&mut self, memory: &Memory) -> io::Result<()> {
        let text = record::write(self.generation + 1, memory);
        let is_same =
            self.written.as_ref().is_some_and(|old| record::body(old) == record::body(&text));
        if is_same {
            return Ok(());
        }
        let [current, previous, next] =
            [CURRENT, PREVIOUS, NEXT].map(|name| self.folder.join(name));
        let mut options = OpenOptions::new();
        let mut file = options.write(true).create(true).truncate(true).mode(0o600).open(&next)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        // A cut from here on finds the new record under one name or the other.
        if current.exists() {
            fs::rename(&current, &previous)?;
        }
        fs::rename(&next, &current)?;
        File::open(&self.folder)?.sync_all()?;
        self.generation += 1;
        self.written = Some(text);
        Ok(())
    }

    /// Forgets everything; the directory stays.
    ///
    /// # Errors
    /// What the file system said.
    pub fn erase(&mut self) -> io::Result<()> {
        for name in [NEXT, CURRENT, PREVIOUS] {
            match fs::remove_file(self.folder.join(name)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                Ok(()) | Err(_) => {}
            }
        }
        (self.generation, self.written) = (0, None);
        File::open(&self.folder)?.sync_all()
    }
}

impl StateFault {
    /// Reports whether the operator must change something, as opposed to waiting.
    pub fn is_configuration(&self) -> bool {
        !matches!(self, Self::Locked(_))
    }
}

impl std::fmt::Display for StateFault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Locked(path) => write!(
                f,
                "{}: another tokenward-device uses it; stop that one first",
                path.display()
            ),
            Self::Open(path) => {
                let path = path.display();
                write!(f, "{path}: others may read the credential; run: chmod go= {path}")
            }
            Self::Foreign(path) => {
                let path = path.display();
                write!(f, "{path}: it belongs to another user; run: chown {} {path}", geteuid())
            }
            Self::Io(path, error) => write!(
                f,
                "{}: {error}; give a directory of your own with state_dir",
                path.display()
            ),
        }
    }
}

impl std::error::Error for StateFault {}

/// Refuses what somebody else owns or may read.
fn check(path: &Path) -> Result<(), StateFault> {
    let about = fs::metadata(path).map_err(|error| StateFault::Io(path.to_owned(), error))?;
    if about.uid() != geteuid().as_raw() {
        return Err(StateFault::Foreign(path.to_owned()));
    }
    if about.mode() & OTHERS != 0 {
        return Err(StateFault::Open(path.to_owned()));
    }
    Ok(())
}

fn lock(folder: &Path) -> Result<Flock<File>, StateFault> {
    let path = folder.join(LOCK);
    let mut options = OpenOptions::new();
    let file = options.write(true).create(true).truncate(false).mode(0o600).open(&path);
    let file = file.map_err(|error| StateFault::Io(path, error))?;
    Flock::lock(file, FlockArg::LockExclusiveNonblock)
        .map_err(|_| StateFault::Locked(folder.to_owned()))
}

fn read(path: &Path) -> Result<Option<Zeroizing<String>>, StateFault> {
    let broken = |error| StateFault::Io(path.to_owned(), error);
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(broken(error)),
    };
    check(path)?;
    let mut bytes = Zeroizing::new(Vec::new());
    file.take(RECORD_BYTES_MAX).read_to_end(&mut bytes).map_err(broken)?;
    // What is no text was damaged, and is no record.
    Ok(std::str::from_utf8(&bytes).ok().map(|text| Zeroizing::new(text.to_owned())))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use tokenward::SessionHandle;

    use super::*;
    use crate::agent::Kept;
    use crate::content::Content;

    fn memory(text: &str) -> Memory {
        let content = Content { text: text.to_owned(), author: Some("Seneca".to_owned()) };
        let kept = Kept { content, etag: Some("\"1\"".to_owned()), fetched_unix: Some(7) };
        Memory { handle: Some(SessionHandle::random()), kept: Some(kept) }
    }

    fn text_of(memory: &Memory) -> Option<&str> {
        memory.kept.as_ref().map(|kept| kept.content.text.as_str())
    }

    fn again(folder: &Path) -> Memory {
        Store::open(folder).unwrap().1
    }

    #[test]
    fn what_was_saved_is_read_back_whole() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("deep/er");
        let (mut store, empty) = Store::open(&path).unwrap();
        assert!(empty.handle.is_none() && empty.kept.is_none());
        let saved = memory("Live");
        store.save(&saved).unwrap();
        drop(store);
        let read = again(&path);
        assert_eq!(read.kept, saved.kept);
        assert_eq!(read.handle.unwrap().key(), saved.handle.unwrap().key());
    }

    #[test]
    fn a_cut_at_any_moment_leaves_a_whole_record() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state");
        let (mut store, _) = Store::open(&path).unwrap();
        store.save(&memory("one")).unwrap();
        store.save(&memory("two")).unwrap();
        drop(store);
        // Half of a newest record; then a newest record that is damaged in its middle.
        let whole = fs::read_to_string(path.join(CURRENT)).unwrap();
        fs::write(path.join(NEXT), &whole[..whole.len() / 2]).unwrap();
        fs::set_permissions(path.join(NEXT), fs::Permissions::from_mode(0o600)).unwrap();
        assert_eq!(text_of(&again(&path)), Some("two"));
        fs::write(path.join(CURRENT), whole.replace("two", "six")).unwrap();
        assert_eq!(text_of(&again(&path)), Some("one"));
        // Between the two renames: the new record has no name of its own yet.
        fs::remove_file(path.join(CURRENT)).unwrap();
        fs::write(path.join(NEXT), &whole).unwrap();
        assert_eq!(text_of(&again(&path)), Some("two"));
    }

    #[test]
    fn nothing_is_written_without_a_change() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state");
        let (mut store, _) = Store::open(&path).unwrap();
        let saved = memory("one");
        store.save(&saved).unwrap();
        let number = fs::metadata(path.join(CURRENT)).unwrap().ino();
        store.save(&saved).unwrap();
        assert_eq!(fs::metadata(path.join(CURRENT)).unwrap().ino(), number);
        assert!(!path.join(PREVIOUS).exists());
    }

    #[test]
    fn l13_a_state_that_others_may_read_is_refused_with_the_remedy() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state");
        let (mut store, _) = Store::open(&path).unwrap();
        store.save(&memory("one")).unwrap();
        drop(store);
        fs::set_permissions(path.join(CURRENT), fs::Permissions::from_mode(0o640)).unwrap();
        let fault = Store::open(&path).unwrap_err();
        assert!(fault.to_string().contains("chmod go="), "{fault}");
        assert!(fault.is_configuration());
        fs::set_permissions(path.join(CURRENT), fs::Permissions::from_mode(0o600)).unwrap();
        let (_one, _) = Store::open(&path).unwrap();
        assert!(matches!(Store::open(&path), Err(StateFault::Locked(_))));
    }
}
