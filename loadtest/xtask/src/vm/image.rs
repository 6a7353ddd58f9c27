//! The first file system of a virtual machine: an archive that the kernel unpacks into memory.

use std::fs;
use std::path::Path;

use tokenward_programs::failure::Failure;

/// What every entry of a "new ASCII" archive begins with.
const MAGIC: &str = "070701";
/// The name that ends the archive.
const END: &str = "TRAILER!!!";
/// Entries and contents begin at multiples of this.
const ALIGNMENT: usize = 4;

/// The kinds of entries, with their rights.
const FOLDER: u32 = 0o040_755;
const PROGRAM: u32 = 0o100_755;
const PLAIN: u32 = 0o100_600;

/// A file system that is being put together.
#[derive(Debug, Default)]
pub(crate) struct Image {
    bytes: Vec<u8>,
    entries: u32,
    folders: Vec<String>,
}

impl Image {
    /// Adds a program, by its path in the machine.
    ///
    /// # Errors
    /// `Unavailable` when its file cannot be read.
    pub(crate) fn program(&mut self, path: &str, file: &Path) -> Result<(), Failure> {
        let content = fs::read(file);
        let content =
            content.map_err(|error| Failure::io(&format!("read {}", file.display()), &error))?;
        self.add(path, PROGRAM, &content);
        Ok(())
    }

    /// Adds a text that only root may read.
    pub(crate) fn text(&mut self, path: &str, content: &str) {
        self.add(path, PLAIN, content.as_bytes());
    }

    /// Writes the archive.
    ///
    /// # Errors
    /// `Unavailable` when it cannot be written.
    pub(crate) fn write(mut self, file: &Path) -> Result<(), Failure> {
        self.entry(END, 0, &[]);
        fs::write(file, &self.bytes).map_err(|error| Failure::io("write an image", &error))
    }

    fn add(&mut self, path: &str, kind: u32, content: &[u8]) {
        let path = path.trim_start_matches('/');
        let folders: Vec<_> =
            path.match_indices('/').map(|(at, _)| path[..at].to_owned()).collect();
        for folder in folders {
            if !self.folders.contains(&folder) {
                self.entry(&folder, FOLDER, &[]);
                self.folders.push(folder);
            }
        }
        self.entry(path, kind, content);
    }

    fn entry(&mut self, name: &str, kind: u32, content: &[u8]) {
        self.entries += 1;
        // Inode, mode, owner, group, links, time, length, the numbers of two devices, the length
        // of the name with its end, and a checksum that is not used.
        let fields = [
            self.entries,
            kind,
            0,
            0,
            1,
            0,
            content.len() as u32,
            0,
            0,
            0,
            0,
            name.len() as u32 + 1,
            0,
        ];
        self.bytes.extend(MAGIC.as_bytes());
        for field in fields {
            self.bytes.extend(format!("{field:08x}").as_bytes());
        }
        self.bytes.extend(name.as_bytes());
        self.bytes.push(0);
        self.align();
        self.bytes.extend(content);
        self.align();
    }

    fn align(&mut self) {
        self.bytes.resize(self.bytes.len().next_multiple_of(ALIGNMENT), 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_folder_comes_once_and_before_what_is_in_it() {
        let mut image = Image::default();
        image.text("/etc/tokenward/a", "12345");
        image.text("/etc/tokenward/b", "");
        let text = String::from_utf8_lossy(&image.bytes).into_owned();
        let places = ["etc\0", "etc/tokenward\0", "etc/tokenward/a\0", "etc/tokenward/b\0"];
        let found: Vec<_> = places.iter().map(|name| text.find(name)).collect();
        assert!(found.is_sorted() && found.iter().all(Option::is_some), "{found:?}");
        assert_eq!(text.matches(MAGIC).count(), 4);
        assert_eq!(image.bytes.len() % ALIGNMENT, 0);
    }
}
