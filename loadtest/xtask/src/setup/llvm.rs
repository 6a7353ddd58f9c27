//! What merges the counts of an instrumented program: a tool of the compiler's own LLVM, which
//! rustup has as a component.

use std::path::PathBuf;
use std::process::Command;

use tokenward_programs::failure::Failure;

use crate::command;
use crate::terminal;

/// What rustup calls the tools of the compiler's LLVM.
const COMPONENT: &str = "llvm-tools";

/// The compiler that is in use.
#[derive(Debug)]
pub(crate) struct Compiler {
    /// The machine that it builds for unless told otherwise, as it is called on the command line.
    pub(crate) host: String,
    /// Its program that merges counts.
    pub(crate) merger: PathBuf,
}

impl Compiler {
    /// Finds it, after rustup has brought the component where it is lacking.
    ///
    /// # Errors
    /// `Unavailable` with the remedy, when the component cannot be had.
    pub(crate) fn ready() -> Result<Self, Failure> {
        let host = command::told(Command::new("rustc").arg("-vV"), "asking the compiler")?;
        let host = host.lines().find_map(|line| line.strip_prefix("host: ")).unwrap_or_default();
        let root = Command::new("rustc").args(["--print", "sysroot"]).output();
        let root = root.map_err(|error| Failure::io("start rustc", &error))?;
        let root = PathBuf::from(String::from_utf8_lossy(&root.stdout).trim());
        let merger = root.join("lib/rustlib").join(host).join("bin/llvm-profdata");
        if !merger.is_file() {
            terminal::note(&format!("the compiler lacks {COMPONENT}: rustup adds it once"));
            let mut add = Command::new("rustup");
            // Whether it worked is seen below.
            let _ = command::run_visibly(add.args(["component", "add", COMPONENT]), "adding it");
        }
        if !merger.is_file() {
            return Err(Failure::Unavailable(format!(
                "{} is lacking: run `rustup component add {COMPONENT}`, or do without the layout \
                 and build with `cargo build --profile dist --package tokenward-gateway`",
                merger.display()
            )));
        }
        Ok(Self { host: host.to_owned(), merger })
    }
}
