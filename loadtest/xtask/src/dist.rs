//! `cargo xtask dist`: the gateway as it is shipped, laid out by what it does under load.
//!
//! A request crosses some thousand small functions of many crates, the same ones each time, and an
//! ordinary build spreads them over the whole program: the processor waits for instructions, not
//! for data. So the program is built twice. The first one counts what it does while our own
//! generator lets browsers and programs call through it; the second one has what is used together
//! side by side, and the rest out of the way.

use std::env;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use tokenward_programs::failure::Failure;

use crate::command;
use crate::cross;
use crate::setup::llvm::Compiler;
use crate::terminal;
use crate::tree::{Profile, Tree};
use crate::world;

/// The gateway.
const GATEWAY: &str = "tokenward";
/// The provider with its sample APIs, which stands beside it wherever it is measured.
const SANDBOX: &str = "tokenward-sandbox";
/// What the gateway is put under while it counts: none of it is what the benches measure.
const TRAINING: [(&str, &str); 2] = [
    ("browsers", include_str!("../dist/browsers.toml")),
    ("programs", include_str!("../dist/programs.toml")),
];
/// What separates the flags in Cargo's variable for them.
const SEPARATOR: &str = "\x1f";

/// Builds the gateway, and prints `dist bytes N PATH` last.
///
/// # Errors
/// `Unavailable` when a tool is lacking; `Missed` when a build or the training fails.
pub(crate) fn run() -> Result<(), Failure> {
    let tree = Tree::find()?;
    build(&tree)?;
    let program = tree.built(Profile::Dist, GATEWAY);
    terminal::result(&format!("dist bytes {} {}", cross::size(&program)?, program.display()));
    Ok(())
}

/// Builds the gateway, and the sandbox beside it. What has not changed is not done again.
///
/// # Errors
/// As [`run`].
pub(crate) fn build(tree: &Tree) -> Result<(), Failure> {
    let compiler = Compiler::ready()?;
    world::build_all(tree, Profile::Release, &["tokenward-loadtest", "tokenward-sandbox"])?;
    let yard = Yard::open(tree, compiler)?;
    let counting = yard.counting()?;
    if !yard.has_trained(&counting) {
        yard.train(tree, &counting)?;
    }
    let finished = yard.laid_out()?;
    place(&finished, &tree.built(Profile::Dist, GATEWAY))?;
    place(&tree.built(Profile::Release, SANDBOX), &tree.built(Profile::Dist, SANDBOX))
}

/// Where the two builds and the training happen.
#[derive(Debug)]
struct Yard {
    source: PathBuf,
    folder: PathBuf,
    compiler: Compiler,
}

impl Yard {
    fn open(tree: &Tree, compiler: Compiler) -> Result<Self, Failure> {
        let folder = tree.training();
        fs::create_dir_all(folder.join("programs"))
            .map_err(|error| Failure::io("make the training's folder", &error))?;
        Ok(Self { source: tree.root().to_owned(), folder, compiler })
    }

    /// Builds the program that counts.
    fn counting(&self) -> Result<PathBuf, Failure> {
        let flag = format!("-Cprofile-generate={}", self.counts().display());
        self.build("counting", &flag)
    }

    /// Builds the program that is laid out by the counts.
    fn laid_out(&self) -> Result<PathBuf, Failure> {
        let flag = format!("-Cprofile-use={}", self.merged().display());
        self.build("laid-out", &flag)
    }

    /// Builds the gateway with one more flag, in a folder of its own.
    fn build(&self, name: &str, flag: &str) -> Result<PathBuf, Failure> {
        terminal::heading(&format!("the {name} gateway"));
        let folder = self.folder.join(name);
        let mut command = command::cargo();
        command
            .args(["build", "--package", "tokenward-gateway"])
            .args(Profile::Dist.cargo())
            // Named, so that the flag is not for what runs while it is built.
            .args(["--target", &self.compiler.host])
            .env("CARGO_TARGET_DIR", &folder)
            .env("CARGO_ENCODED_RUSTFLAGS", with_a_persons_flags(flag));
        command::run_visibly(command.current_dir(&self.source), "building the gateway")?;
        Ok(folder.join(&self.compiler.host).join("dist").join(GATEWAY))
    }

    /// Tells whether this very program has been trained with these plans.
    fn has_trained(&self, counting: &Path) -> bool {
        let same = |file: &Path, bytes: &[u8]| fs::read(file).is_ok_and(|found| found == bytes);
        let plans = TRAINING.iter().all(|(name, text)| same(&self.plan(name), text.as_bytes()));
        let program = fs::read(counting).is_ok_and(|bytes| same(&self.program(GATEWAY), &bytes));
        plans && program && self.merged().is_file()
    }

    /// Puts the program under load, and merges what it has counted.
    fn train(&self, tree: &Tree, counting: &Path) -> Result<(), Failure> {
        terminal::heading("the training");
        // What was made of older counts goes with them. Each may be lacking.
        let _ = fs::remove_file(self.merged());
        for outdated in [self.counts(), self.folder.join("laid-out")] {
            let _ = fs::remove_dir_all(outdated);
        }
        place(counting, &self.program(GATEWAY))?;
        place(&tree.built(Profile::Release, SANDBOX), &self.program(SANDBOX))?;
        for (name, text) in TRAINING {
            fs::write(self.plan(name), text)
                .map_err(|error| Failure::io("write a plan of the training", &error))?;
            let mut run = Command::new(tree.built(Profile::Release, "tokenward-loadtest"));
            run.arg("run").arg(self.plan(name)).arg("--programs").arg(self.programs());
            command::run_visibly(&mut run, "the training")?;
        }
        let found = fs::read_dir(self.counts())
            .map_err(|error| Failure::io("find what the gateway has counted", &error))?;
        let counted = found.flatten().map(|entry| entry.path());
        let mut merge = Command::new(&self.compiler.merger);
        merge.args(["merge", "--output"]).arg(self.merged()).args(counted);
        command::run_quietly(&mut merge, "merging what the gateway has counted")
    }

    fn programs(&self) -> PathBuf {
        self.folder.join("programs")
    }

    fn program(&self, name: &str) -> PathBuf {
        self.programs().join(name)
    }

    fn plan(&self, name: &str) -> PathBuf {
        self.folder.join(name).with_extension("toml")
    }

    fn counts(&self) -> PathBuf {
        self.folder.join("counts")
    }

    fn merged(&self) -> PathBuf {
        self.folder.join("merged.profdata")
    }
}

/// Returns the compiler's flags as Cargo takes them: those that a person has set, and `flag`.
fn with_a_persons_flags(flag: &str) -> String {
    let own = env::var("CARGO_ENCODED_RUSTFLAGS").ok().unwrap_or_else(|| {
        let spaced = env::var("RUSTFLAGS").unwrap_or_default();
        spaced.split_whitespace().collect::<Vec<_>>().join(SEPARATOR)
    });
    let flags = [own.as_str(), flag];
    flags.iter().filter(|flag| !flag.is_empty()).copied().collect::<Vec<_>>().join(SEPARATOR)
}

/// Copies a program to where it is looked for.
fn place(program: &Path, to: &Path) -> Result<(), Failure> {
    let name = program.file_name().and_then(OsStr::to_str).unwrap_or_default();
    let wrong = |error| Failure::io(&format!("put {name} into place"), &error);
    if let Some(folder) = to.parent() {
        fs::create_dir_all(folder).map_err(wrong)?;
    }
    // Beside it first, and then into its name: one that runs is not written into.
    let beside = to.with_extension("new");
    fs::copy(program, &beside).map_err(wrong)?;
    fs::rename(beside, to).map_err(wrong)
}
