//! Debian packages unpacked into a folder of ours: nothing of the machine is changed, and nobody
//! has to be root.
//!
//! apt gets a state of its own beside the machine's, so that other architectures and backports can
//! be asked for without the machine hearing of them. Signatures are checked as ever.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use tokenward_programs::failure::Failure;

use crate::command;
use crate::setup::on_path;
use crate::terminal;
use crate::tree::Tree;

/// The architectures whose packages are asked for: ours, and those of the wall display.
const ARCHITECTURES: &str = "amd64,arm64,armhf";
/// The same without the one whose index mirrors have been seen to serve out of step.
const ARCHITECTURES_IN_STEP: &str = "amd64,arm64";
/// How apt is asked for its sources: who signs for them, where they are, and what they are called.
const SOURCES: &str = "$(ORIGIN)|$(REPO_URI)|$(RELEASE)|$(COMPONENT)|$(CREATED_BY)";
/// What was unpacked into a folder: equal means nothing to do.
const STAMP: &str = ".unpacked";

/// Packages that belong into one folder.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wanted {
    /// What the folder is called.
    pub(crate) folder: &'static str,
    /// Packages that come with whatever of their dependencies the machine lacks.
    pub(crate) programs: &'static [&'static str],
    /// Packages that come alone, of other architectures too.
    pub(crate) single: &'static [&'static str],
    /// Packages that only name another one, which comes alone in their place.
    pub(crate) behind: &'static [&'static str],
    /// Whether newer versions of the same release (its backports) are taken.
    pub(crate) backports: bool,
    /// Packages by their full name and checksum, for when a mirror's index lacks them.
    pub(crate) pinned: &'static [Pinned],
}

/// A package of another architecture, of which a sibling is in the index.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pinned {
    /// The package with its architecture, as apt names it.
    pub(crate) package: &'static str,
    /// The sibling that the index has, beside which it lies.
    pub(crate) sibling: &'static str,
    /// The version that the checksum is of.
    pub(crate) version: &'static str,
    /// The checksum in apt's notation.
    pub(crate) checksum: &'static str,
}

/// Unpacks packages, and returns their folder; when they are there already, at once.
///
/// # Errors
/// `Unavailable` with the remedy, when this is no Debian or a package cannot be fetched.
pub(crate) fn unpacked(tree: &Tree, wanted: &Wanted) -> Result<PathBuf, Failure> {
    unpack(tree, wanted, Apt::get)
}

/// Unpacks packages with all that they need, as for a machine that has nothing.
///
/// # Errors
/// As [`unpacked`].
pub(crate) fn system(tree: &Tree, wanted: &Wanted) -> Result<PathBuf, Failure> {
    unpack(tree, wanted, |apt| {
        let mut command = apt.get();
        command.arg("--option=Dir::State::status=/dev/null");
        command
    })
}

/// Returns the version of a package that was unpacked into a folder, as its changelog says.
///
/// # Errors
/// `Unavailable` when it is not there.
pub(crate) fn version(root: &Path, package: &str) -> Result<String, Failure> {
    let changelog = root.join("usr/share/doc").join(package).join("changelog.Debian.gz");
    let mut command = Command::new("gzip");
    let text = command::told(command.arg("-dc").arg(changelog), "reading a changelog")?;
    // "nginx (1.22.1-9) bookworm; urgency=medium": deb-changelog(5).
    let version = text.split_once('(').and_then(|(_, rest)| rest.split_once(')'));
    version.map(|(version, _)| version.to_owned()).ok_or_else(|| {
        Failure::Unavailable(format!("the changelog of {package} does not begin with a version"))
    })
}

fn unpack(tree: &Tree, wanted: &Wanted, get: fn(&Apt) -> Command) -> Result<PathBuf, Failure> {
    let root = tree.tools().join("debian").join(wanted.folder);
    let stamp = format!("{wanted:?}\n");
    if fs::read_to_string(root.join(STAMP)).is_ok_and(|found| found == stamp) {
        return Ok(root);
    }
    let apt = Apt::ready(&tree.tools().join("debian/apt"))?;
    let debs = apt.fetch(wanted, get)?;
    // What an earlier list left there would be found instead of what this one has.
    let _ = fs::remove_dir_all(&root);
    fs::create_dir_all(&root).map_err(|error| Failure::io("make a folder", &error))?;
    let progress = terminal::progress(debs.len() as u64, "packages unpacked");
    for deb in &debs {
        let mut command = Command::new("dpkg-deb");
        command::run_quietly(command.arg("--extract").arg(deb).arg(&root), "unpacking")?;
        progress.step(&deb.file_name().unwrap_or_default().to_string_lossy());
    }
    fs::write(root.join(STAMP), stamp).map_err(|error| Failure::io("write a stamp", &error))?;
    Ok(root)
}

/// apt with a state of its own.
struct Apt {
    folder: PathBuf,
}

impl Apt {
    /// Writes its configuration, and fetches the indexes.
    fn ready(folder: &Path) -> Result<Self, Failure> {
        if on_path("apt-get").is_none() || on_path("dpkg-deb").is_none() {
            return Err(Failure::Unavailable(
                "this takes Debian's compilers, kernels and emulators apart, and this machine has \
                 no apt-get: run it in a container of Debian 12"
                    .to_owned(),
            ));
        }
        for part in ["state/lists/partial", "cache/archives/partial", "single"] {
            let made = fs::create_dir_all(folder.join(part));
            made.map_err(|error| Failure::io("make apt's folders", &error))?;
        }
        let apt = Self { folder: folder.to_owned() };
        let at = folder.display();
        let settings = format!(
            "Dir::State \"{at}/state\";\nDir::State::status \"/var/lib/dpkg/status\";\n\
             Dir::Cache \"{at}/cache\";\nDir::Etc::sourcelist \"{at}/sources.list\";\n\
             Dir::Etc::sourceparts \"-\";\nAcquire::Languages \"none\";\n\
             APT::Architectures {{ \"amd64\"; \"arm64\"; \"armhf\"; }};\n\
             APT::Sandbox::User \"root\";\nDebug::NoLocking \"true\";\n"
        );
        write(&folder.join("apt.conf"), &settings)?;
        let sources = sources()?;
        write(&folder.join("sources.list"), &listed(&sources, ARCHITECTURES))?;
        terminal::note("fetching Debian's lists of packages into our own folder");
        if apt.update().is_err() {
            write(&folder.join("sources.list"), &listed(&sources, ARCHITECTURES_IN_STEP))?;
            apt.update()?;
        }
        Ok(apt)
    }

    fn update(&self) -> Result<(), Failure> {
        command::run_quietly(self.get().arg("update"), "apt-get update").map_err(|failure| {
            let remedy = "put the machine's package sources in order, then try again";
            Failure::Unavailable(format!("{failure}\n{remedy}"))
        })
    }

    /// Downloads the packages, and returns their files.
    fn fetch(&self, wanted: &Wanted, get: fn(&Self) -> Command) -> Result<Vec<PathBuf>, Failure> {
        let archives = self.folder.join("cache/archives");
        let single = self.folder.join("single").join(wanted.folder);
        for folder in [&archives, &single] {
            // Only what this list brings may be unpacked.
            let _ = fs::remove_dir_all(folder);
            let made = fs::create_dir_all(folder.join("partial"));
            made.map_err(|error| Failure::io("make apt's folders", &error))?;
        }
        terminal::note(&format!(
            "downloading {} and what they need",
            [wanted.programs, wanted.single, wanted.behind].concat().join(", ")
        ));
        if !wanted.programs.is_empty() {
            let mut command = get(self);
            command.args(["install", "--download-only", "--yes", "--no-install-recommends"]);
            if wanted.backports {
                command.arg(format!("--target-release={}-backports", codename()?));
            }
            command::run_quietly(command.args(wanted.programs), "apt-get install --download-only")?;
        }
        let mut alone: Vec<String> = wanted.single.iter().map(|&name| name.to_owned()).collect();
        for name in wanted.behind {
            alone.push(self.behind(name)?);
        }
        if !alone.is_empty() {
            let mut command = self.get();
            command.arg("download").args(alone).current_dir(&single);
            command::run_quietly(&mut command, "apt-get download")?;
        }
        for pinned in wanted.pinned {
            self.fetch_pinned(pinned, &single)?;
        }
        let mut debs = debs_in(&archives)?;
        debs.extend(debs_in(&single)?);
        Ok(debs)
    }

    /// Returns what a package stands for: `linux-image-amd64` for the newest kernel.
    fn behind(&self, package: &str) -> Result<String, Failure> {
        let mut question = Command::new("apt-cache");
        question.env("APT_CONFIG", self.folder.join("apt.conf"));
        question.args(["depends", "--important", package]);
        let told = command::told(&mut question, "apt-cache depends")?;
        let found = told.lines().find_map(|line| line.trim().strip_prefix("Depends: "));
        found.map(str::to_owned).ok_or_else(|| {
            Failure::Unavailable(format!("Debian's package {package} names no other one"))
        })
    }

    /// Fetches a package by the index where it is in step, else by name from beside its sibling.
    fn fetch_pinned(&self, pinned: &Pinned, into: &Path) -> Result<(), Failure> {
        let exact = format!("{}={}", pinned.package, pinned.version);
        let mut by_index = self.get();
        by_index.args(["download", &exact]).current_dir(into);
        if command::run_quietly(&mut by_index, "apt-get download").is_ok() {
            return Ok(());
        }
        let mut question = self.get();
        // Where the sibling lies already, apt would name no address.
        let elsewhere = self.folder.join("state");
        question.args(["download", "--print-uris", pinned.sibling]).current_dir(elsewhere);
        let place = command::told(&mut question, "apt-get download --print-uris")?;
        let architecture = |package: &str| {
            format!("_{}.deb", package.split_once(':').map_or("amd64", |(_, name)| name))
        };
        let (theirs, ours) = (architecture(pinned.sibling), architecture(pinned.package));
        let address = place.split('\'').nth(1).unwrap_or_default().replace(&theirs, &ours);
        let (name, _) = pinned.package.split_once(':').unwrap_or((pinned.package, ""));
        let mut command = Command::new("/usr/lib/apt/apt-helper");
        command.env("APT_CONFIG", self.folder.join("apt.conf")).arg("download-file");
        command.args([&address, &format!("{name}{ours}"), pinned.checksum]).current_dir(into);
        command::run_quietly(&mut command, "apt-helper download-file").map_err(|failure| {
            Failure::Unavailable(format!(
                "{failure}\nthe mirror's index lacks {exact}, and the file beside its sibling is \
                 not the one that was pinned: try again when the mirror is in step"
            ))
        })
    }

    fn get(&self) -> Command {
        let mut command = Command::new("apt-get");
        command.env("APT_CONFIG", self.folder.join("apt.conf")).arg("--quiet=1");
        command
    }
}

/// Returns the machine's own sources that are Debian's, with the backports of its release.
fn sources() -> Result<Vec<(String, String)>, Failure> {
    let mut question = Command::new("apt-get");
    question.args(["indextargets", "--format", SOURCES]);
    let told = command::told(&mut question, "apt-get indextargets")?;
    let mut sources: Vec<(String, String)> = told
        .lines()
        .map(|line| line.split('|').collect::<Vec<_>>())
        .filter(|parts| parts.first() == Some(&"Debian") && parts.get(3) == Some(&"main"))
        .map(|parts| (parts[1].to_owned(), parts[2].to_owned()))
        .collect();
    let release = codename()?;
    let backports = sources.iter().find(|(_, name)| *name == release);
    let backports = backports.map(|(place, name)| (place.clone(), format!("{name}-backports")));
    sources.extend(backports);
    sources.sort();
    sources.dedup();
    if sources.is_empty() {
        return Err(Failure::Unavailable(
            "this machine's package sources name no Debian, whose compilers, kernels and emulators \
             this takes apart: run it in a container of Debian 12"
                .to_owned(),
        ));
    }
    Ok(sources)
}

/// Returns what the machine's release is called.
fn codename() -> Result<String, Failure> {
    let text = fs::read_to_string("/etc/os-release");
    let text = text.map_err(|error| Failure::io("read /etc/os-release", &error))?;
    let found = text.lines().find_map(|line| line.strip_prefix("VERSION_CODENAME="));
    found.map(str::to_owned).ok_or_else(|| {
        Failure::Unavailable("/etc/os-release does not name the release of Debian".to_owned())
    })
}

fn listed(sources: &[(String, String)], architectures: &str) -> String {
    let line = |(place, name): &(String, String)| {
        // Only security's index has been seen out of step; what else is needed is in the others.
        let these = if name.ends_with("-security") { architectures } else { ARCHITECTURES };
        format!("deb [arch={these}] {place} {name} main\n")
    };
    sources.iter().map(line).collect()
}

fn debs_in(folder: &Path) -> Result<Vec<PathBuf>, Failure> {
    let found = fs::read_dir(folder).map_err(|error| Failure::io("read apt's folder", &error))?;
    let files = found.flatten().map(|entry| entry.path());
    let mut debs: Vec<PathBuf> =
        files.filter(|path| path.extension().is_some_and(|end| end == "deb")).collect();
    debs.sort();
    Ok(debs)
}

fn write(path: &Path, text: &str) -> Result<(), Failure> {
    fs::write(path, text).map_err(|error| Failure::io(&format!("write {}", path.display()), &error))
}
