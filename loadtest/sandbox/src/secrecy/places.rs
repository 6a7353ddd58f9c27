//! Places to look at: directories and processes.

use std::fs;
use std::io;
use std::path::Path;

use super::{Leak, Search};

/// Looks through every file below `folder`, byte by byte, but those called as in `except`.
///
/// # Errors
/// Where a file cannot be read; one that goes away meanwhile is none.
pub fn files(search: &Search, folder: &Path, except: &[&str]) -> io::Result<Vec<Leak>> {
    let mut leaks = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let path = entry.path();
        if except.iter().any(|name| entry.file_name() == *name) {
            continue;
        }
        if entry.file_type()?.is_dir() {
            leaks.append(&mut files(search, &path, except)?);
            continue;
        }
        match fs::read(&path) {
            Ok(bytes) => leaks.append(&mut search.look(&path.display().to_string(), &bytes)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    Ok(leaks)
}

/// Looks through what everybody on the machine may read of a process, its arguments, and through
/// its environment.
///
/// # Errors
/// Where the process is gone.
pub fn process(search: &Search, number: u32) -> io::Result<Vec<Leak>> {
    let mut leaks = Vec::new();
    for file in ["cmdline", "environ", "comm"] {
        let path = format!("/proc/{number}/{file}");
        leaks.append(&mut search.look(&path, &fs::read(&path)?));
    }
    Ok(leaks)
}
