//! The wall display's program as this machine runs it.

use std::fs::{self, File};
use std::io;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use tokenward_bus::Adapter;

use crate::machine;

/// Where the program is.
const PROGRAM: &str = "/bin/tokenward-device";
/// Where it finds its configuration.
const CONFIG: &str = "/etc/tokenward/device.toml";
/// The configuration without the name of the adapter's file.
const TEMPLATE: &str = "/etc/tokenward/device.toml.in";
/// What stands for the adapter's file in the template.
const NODE: &str = "@NODE@";
/// What a whole picture puts on the wire, at the least: eight pages of 128 columns.
pub(crate) const PICTURE_BYTES: u64 = 1024;
/// Where its words go.
const LOG: &str = "/tmp/tokenward-device.log";

/// The running program; dropping it kills it.
pub(crate) struct Program {
    child: Child,
}

impl Program {
    /// Starts it with the given adapter.
    pub(crate) fn start(node: &Path) -> io::Result<Self> {
        let config = fs::read_to_string(TEMPLATE)?.replace(NODE, &node.to_string_lossy());
        fs::write(CONFIG, config)?;
        let words = File::create(LOG)?;
        let mut command = Command::new(PROGRAM);
        command.args(["run", "--config", CONFIG]).stdin(Stdio::null());
        command.stdout(words.try_clone()?).stderr(words);
        Ok(Self { child: command.spawn()? })
    }

    /// Waits until it says something; fails with its words when it ends before.
    pub(crate) fn says(&mut self, wanted: &str) -> io::Result<()> {
        let heard = machine::until(|| {
            let said = fs::read_to_string(LOG).unwrap_or_default();
            let ended = self.child.try_wait().ok().flatten().is_some();
            (ended || said.contains(wanted)).then_some(said.contains(wanted))
        });
        match heard {
            Ok(true) => Ok(()),
            Ok(false) => Err(failed(&format!("it ended before it said {wanted:?}"))),
            Err(error) => Err(failed(&format!("it did not say {wanted:?}: {error}"))),
        }
    }
}

impl Program {
    /// Waits until it has put a whole picture on the wire since then; fails with its words when it
    /// ends before.
    pub(crate) fn draws(&mut self, adapter: &Adapter, before: u64) -> io::Result<()> {
        let drawn = machine::until(|| {
            let drawn = adapter.ledger().bytes >= before + PICTURE_BYTES;
            let ended = self.child.try_wait().ok().flatten().is_some();
            (drawn || ended).then_some(drawn)
        });
        match drawn {
            Ok(true) => Ok(()),
            Ok(false) => Err(failed("it ended before it drew")),
            Err(error) => Err(failed(&format!("it did not draw: {error}"))),
        }
    }
}

/// Wraps a failure with what the program said before.
fn failed(what: &str) -> io::Error {
    let said = fs::read_to_string(LOG).unwrap_or_default();
    io::Error::other(format!("{what}; it said:\n{said}"))
}

impl Drop for Program {
    fn drop(&mut self) {
        // Fails only when the program has ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
