//! Where things are: the work tree, the build folder and what set-up puts into it.

use std::env;
use std::path::{Path, PathBuf};

use crate::failure::Failure;

/// The folders that the commands work in.
#[derive(Clone, Debug)]
pub(crate) struct Tree {
    root: PathBuf,
    target: PathBuf,
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
        let root = start
            .ancestors()
            .find(|folder| folder.join("loadtest/xtask/Cargo.toml").is_file());
        let Some(root) = root else {
            return Err(Failure::Unavailable(
                "this is not the Tokenward repository: run `cargo xtask` inside it".to_owned(),
            ));
        };
        let target = env::var_os("CARGO_TARGET_DIR")
            .map_or_else(|| root.join("target"), |folder| root.join(folder));
        Ok(Self {
            root: root.to_owned(),
            target,
        })
    }

    /// Returns the workspace's root.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// Returns the folder that holds what set-up installed for us alone.
    pub(crate) fn tools(&self) -> PathBuf {
        self.target.join("tools")
    }

    /// Returns the committed folder of the real provider's script and lock file.
    pub(crate) fn provider_source(&self) -> PathBuf {
        self.root.join("loadtest/xtask/provider")
    }

    /// Returns the folder where the real provider is installed and runs.
    pub(crate) fn provider(&self) -> PathBuf {
        self.tools().join("provider")
    }

    /// Returns a program that Cargo built.
    pub(crate) fn built(&self, profile: Profile, program: &str) -> PathBuf {
        self.target.join(profile.folder()).join(program)
    }

    /// Returns an emptied folder for one run's configuration, state and logs.
    ///
    /// # Errors
    /// `Unavailable` when the folder cannot be made.
    pub(crate) fn fresh_run(&self, name: &str) -> Result<PathBuf, Failure> {
        // Its own number keeps two runs side by side apart.
        let folder = self
            .target
            .join("runs")
            .join(format!("{name}-{}", std::process::id()));
        if folder.exists() {
            std::fs::remove_dir_all(&folder)
                .map_err(|error| Failure::io("empty the run's folder", &error))?;
        }
        std::fs::create_dir_all(&folder)
            .map_err(|error| Failure::io("make the run's folder", &error))?;
        Ok(folder)
    }
}

/// How the programs are built.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Profile {
    /// Quick to build; what the demo runs.
    Debug,
    /// Optimised; what is measured.
    Release,
}

impl Profile {
    fn folder(self) -> &'static str {
        match self {
            Self::Debug => "debug",
            Self::Release => "release",
        }
    }
}
