//! Modules of an unpacked kernel, in the order in which they must be loaded.

use std::fs;
use std::path::{Path, PathBuf};

use tokenward_programs::failure::Failure;

/// What precedes the names of the modules that one needs, in its own file.
const NEEDS: &[u8] = b"\0depends=";

/// Returns the files of the named modules and of all that they need, each behind what it needs.
///
/// A module that the kernel has built in is in no file, and left out.
///
/// # Errors
/// `Unavailable` when a file cannot be read.
pub(crate) fn in_order(kernel: &Path, wanted: &[&str]) -> Result<Vec<PathBuf>, Failure> {
    let mut files = Vec::new();
    collect(&kernel.join("lib/modules"), &mut files)?;
    let mut order = Vec::new();
    for name in wanted {
        add(name, &files, &mut order)?;
    }
    Ok(order)
}

fn add(name: &str, files: &[PathBuf], order: &mut Vec<PathBuf>) -> Result<(), Failure> {
    let plain = |text: &str| text.replace('-', "_");
    let is_it = |file: &&PathBuf| {
        let stem = file.file_stem().unwrap_or_default().to_string_lossy();
        plain(&stem) == plain(name)
    };
    let Some(file) = files.iter().find(is_it) else {
        return Ok(());
    };
    if order.contains(file) {
        return Ok(());
    }
    let content = fs::read(file).map_err(|error| Failure::io("read a module", &error))?;
    for needed in needs(&content) {
        add(&needed, files, order)?;
    }
    order.push(file.clone());
    Ok(())
}

/// Returns the names that a module's own file lists.
fn needs(content: &[u8]) -> Vec<String> {
    let at = content.windows(NEEDS.len()).position(|window| window == NEEDS);
    let list = at.map_or(&[][..], |at| &content[at + NEEDS.len()..]);
    let list = list.split(|&byte| byte == 0).next().unwrap_or_default();
    let names = String::from_utf8_lossy(list);
    names.split(',').filter(|name| !name.is_empty()).map(str::to_owned).collect()
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) -> Result<(), Failure> {
    let found = fs::read_dir(folder).map_err(|error| Failure::io("read a kernel", &error))?;
    for path in found.flatten().map(|entry| entry.path()) {
        if path.is_dir() && !path.is_symlink() {
            collect(&path, files)?;
        } else if path.extension().is_some_and(|end| end == "ko") {
            files.push(path);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_module_says_what_it_needs() {
        assert_eq!(needs(b"x\0depends=usbcore,usbip-core\0retpoline=Y"), ["usbcore", "usbip-core"]);
        assert!(needs(b"x\0depends=\0retpoline=Y").is_empty());
        assert!(needs(b"nothing").is_empty());
    }
}
