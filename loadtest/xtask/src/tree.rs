//! Where things are: the work tree, the build folder and what set-up puts into it.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use tokenward_programs::failure::Failure;

/// The folders that the commands work in.
#[derive(Clone, Debug)]
pub(crate) struct Tree {
    root: PathBuf,
    target: PathBuf,
    /// Where programs are taken from; Cargo's folder where none were set apart.
    programs: PathBuf,
}

impl Tree {
    /// Finds the workspace: from Cargo's word when it started us, else upwards from here.
    ///
    /// # Errors
    /// `Unavailable` when this is not run inside the repository.
    pub(crate) fn find() -> Result<Self, Failure> {
        let start = env::var_os("CARGO_MANIFEST_DIR").map(PathBuf::from);
        let start = match start {
            Some(start) => start,
            None => env::current_dir().map_err(|error| Failure::io("find this folder", &error))?,
        };
        let root =
            start.ancestors().find(|folder| folder.join("loadtest/xtask/Cargo.toml").is_file());
        let Some(root) = root else {
            return Err(Failure::Unavailable(
                "this is not the Tokenward repository: run `cargo xtask` inside it".to_owned(),
            ));
        };
        let target = env::var_os("CARGO_TARGET_DIR")
            .map_or_else(|| root.join("target"), |folder| root.join(folder));
        Ok(Self { root: root.to_owned(), programs: target.clone(), target })
    }

    /// Returns the workspace's root.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// Returns the folder that holds what set-up installed for us alone.
    pub(crate) fn tools(&self) -> PathBuf {
        self.target.join("tools")
    }

    /// Returns the folder of a workshop in which the core is broken on purpose; what was compiled
    /// there stays for the next time.
    pub(crate) fn mutants(&self, workshop: usize) -> PathBuf {
        self.target.join("mutants").join(workshop.to_string())
    }

    /// Returns the committed folder of the real provider's script and lock file.
    pub(crate) fn provider_source(&self) -> PathBuf {
        self.root.join("loadtest/xtask/provider")
    }

    /// Returns the committed folder of the scripts of those whom we are measured against.
    pub(crate) fn peers_source(&self) -> PathBuf {
        self.root.join("loadtest/xtask/peers")
    }

    /// Returns the folder where they are installed and run.
    pub(crate) fn peers(&self) -> PathBuf {
        self.tools().join("peers")
    }

    /// Returns the folder where the real provider is installed and runs.
    pub(crate) fn provider(&self) -> PathBuf {
        self.tools().join("provider")
    }

    /// Returns the folder where the gateway that is shipped is trained and built.
    pub(crate) fn training(&self) -> PathBuf {
        self.target.join("training")
    }

    /// Returns a program that was built.
    pub(crate) fn built(&self, profile: Profile, program: &str) -> PathBuf {
        self.programs.join(profile.folder()).join(program)
    }

    /// Returns the tree with copies of the named programs in the folder of a run: what Cargo builds
    /// from then on leaves them as they are.
    ///
    /// # Errors
    /// `Unavailable` when they cannot be copied.
    pub(crate) fn with_copies(
        &self,
        profile: Profile,
        run: &str,
        programs: &[&str],
    ) -> Result<Self, Failure> {
        let copied = Self { programs: self.fresh_run(run)?, ..self.clone() };
        let folder = copied.programs.join(profile.folder());
        fs::create_dir(&folder)
            .map_err(|error| Failure::io("make the programs' folder", &error))?;
        for program in programs {
            fs::copy(self.built(profile, program), copied.built(profile, program))
                .map_err(|error| Failure::io(&format!("copy {program}"), &error))?;
        }
        Ok(copied)
    }

    /// Returns an empty folder for one run's configuration, state and logs. Those of runs that have
    /// ended are removed: they stay until the next run of the same name, for a look at their logs.
    ///
    /// # Errors
    /// `Unavailable` when the folder cannot be made.
    pub(crate) fn fresh_run(&self, name: &str) -> Result<PathBuf, Failure> {
        let runs = self.target.join("runs");
        fs::create_dir_all(&runs).map_err(|error| Failure::io("make the runs' folder", &error))?;
        // The number of the process keeps two runs side by side apart.
        let folder = runs.join(format!("{name}-{}", std::process::id()));
        let found =
            fs::read_dir(&runs).map_err(|error| Failure::io("read the runs' folder", &error))?;
        for old in found.flatten().map(|entry| entry.path()).filter(|old| of_ended_run(old, name)) {
            // What cannot be removed costs disk and nothing else.
            let _ = fs::remove_dir_all(old);
        }
        fs::create_dir(&folder).map_err(|error| Failure::io("make the run's folder", &error))?;
        Ok(folder)
    }
}

/// Tells whether a folder is of the named command, by a process that is gone or by our own number.
fn of_ended_run(folder: &Path, name: &str) -> bool {
    let file_name = folder.file_name().and_then(|text| text.to_str()).unwrap_or_default();
    let Some((command, number)) = file_name.rsplit_once('-') else {
        return false;
    };
    let ours = number.parse() == Ok(std::process::id());
    command == name && (ours || !Path::new("/proc").join(number).exists())
}

/// How the programs are built.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Profile {
    /// Quick to build; what the demo runs.
    Debug,
    /// Optimised; what most measurements run.
    Release,
    /// As the gateway is shipped, by [`dist`](crate::dist): twice as long to build, and a seventh
    /// less for each request.
    Dist,
    /// As the wall display is built: small.
    Device,
}

impl Profile {
    /// Returns how Cargo is told.
    pub(crate) fn cargo(self) -> &'static [&'static str] {
        match self {
            Self::Debug => &[],
            Self::Release => &["--release"],
            Self::Dist => &["--profile", "dist"],
            Self::Device => &["--profile", "device"],
        }
    }

    fn folder(self) -> &'static str {
        match self {
            Self::Debug => "debug",
            Self::Release => "release",
            Self::Dist => "shipped",
            Self::Device => "device",
        }
    }
}
