//! `cargo xtask deb`: the wall display as Debian packages, the same bytes from the same commit.

use std::env;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use clap::Args;
use tokenward_programs::failure::Failure;

use crate::command;
use crate::cross::{self, Machine};
use crate::setup::{self, Program};
use crate::terminal;
use crate::tree::Tree;

/// What the package is called, as its program is.
const NAME: &str = "tokenward-device";
/// The lowest release that the program runs on: the C library that it is linked against, and the
/// systemd whose settings its unit uses (Raspberry Pi OS 12).
const DEPENDS: &str = "libc6 (>= 2.36), libgcc-s1, init-system-helpers (>= 1.51)";
/// A file of the package and its rights: where it goes, and where it comes from.
const FILES: [(&str, &str); 3] = [
    ("etc/tokenward/device.toml", "device-agent/packaging/device.toml"),
    (
        "lib/systemd/system/tokenward-device.service",
        "device-agent/packaging/tokenward-device.service",
    ),
    ("usr/share/doc/tokenward-device/README.md", "device-agent/packaging/README.md"),
];
/// Files that an upgrade must not overwrite.
const CONFFILES: &str = "/etc/tokenward/device.toml\n";
/// Enables the unit and no more: it is configured before it is started. `deb-systemd-helper` keeps
/// an administrator's choice to disable it.
const POSTINST: &str = "#!/bin/sh\nset -e\nif [ \"$1\" = configure ]; then\n    \
deb-systemd-helper unmask tokenward-device.service >/dev/null || true\n    \
if deb-systemd-helper --quiet was-enabled tokenward-device.service; then\n        \
deb-systemd-helper enable tokenward-device.service >/dev/null || true\n    else\n        \
deb-systemd-helper update-state tokenward-device.service >/dev/null || true\n    fi\nfi\n";
/// Stops the display before its program goes away.
const PRERM: &str = "#!/bin/sh\nset -e\nif [ \"$1\" = remove ] && [ -d /run/systemd/system ]; then\n    \
deb-systemd-invoke stop tokenward-device.service >/dev/null || true\nfi\n";
/// Forgets what `deb-systemd-helper` kept.
const POSTRM: &str = "#!/bin/sh\nset -e\nif [ \"$1\" = purge ] && command -v deb-systemd-helper >/dev/null; then\n    \
deb-systemd-helper purge tokenward-device.service >/dev/null || true\nfi\n";
/// What lintian may say of a package that is not in Debian's archive: each is about an upload, the
/// last two about an address for its maintainer, who is whoever builds it.
const NOT_FOR_US: &str = "initial-upload-closes-no-bugs,no-manual-page,\
    bad-distribution-in-changes-file,bogus-mail-host,bogus-mail-host-in-debian-changelog";

/// What is asked for.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// For which machine; without it, for each of them
    #[arg(long)]
    target: Option<Machine>,
    /// Builds the packages without a look at them by lintian, Debian's checker
    #[arg(long)]
    unchecked: bool,
}

/// Builds the packages, unpacks each again, and has lintian look at them.
///
/// # Errors
/// `Unavailable` when a tool is lacking; `Missed` when a build or a check fails.
pub(crate) fn run(options: &Options) -> Result<(), Failure> {
    let tree = Tree::find()?;
    let machines = options.target.map_or_else(|| Machine::ALL.to_vec(), |one| vec![one]);
    let mut packages = Vec::new();
    for machine in machines {
        let program = cross::built(&tree, machine)?;
        let package = pack(&tree, machine, &program)?;
        look_into(&package, &program)?;
        packages.push(package);
    }
    if !options.unchecked {
        let lintian = setup::programs(&[Program::Lintian])?;
        let lintian = lintian.path(Program::Lintian.variable()).unwrap_or(Path::new("lintian"));
        for package in &packages {
            let mut command = Command::new(lintian);
            command.args(["--fail-on", "error,warning", "--suppress-tags", NOT_FOR_US]);
            command::run_visibly(command.arg("--allow-root").arg(package), "lintian")?;
        }
    }
    for package in packages {
        terminal::result(&format!("deb bytes {} {}", cross::size(&package)?, package.display()));
    }
    Ok(())
}

/// Lays the files out and packs them; every time is the commit's.
fn pack(tree: &Tree, machine: Machine, program: &Path) -> Result<PathBuf, Failure> {
    let root = tree.fresh_run(&format!("deb-{}", machine.debian()))?.join("root");
    let put = |path: &str, content: &[u8], mode: u32| put(&root, path, content, mode);
    put(&format!("usr/bin/{NAME}"), &read(program)?, 0o755)?;
    for (path, source) in FILES {
        put(path, &read(&tree.root().join(source))?, 0o644)?;
    }
    let stamp = commit_time(tree)?;
    let license = String::from_utf8_lossy(&read(&tree.root().join("LICENSE"))?).into_owned();
    let document = format!("usr/share/doc/{NAME}");
    put(&format!("{document}/copyright"), copyright(&license).as_bytes(), 0o644)?;
    let changelog = root.join(&document).join("changelog.gz");
    compress(&changelog_text(stamp)?, &changelog)?;
    put("DEBIAN/conffiles", CONFFILES.as_bytes(), 0o644)?;
    for (name, script) in [("postinst", POSTINST), ("prerm", PRERM), ("postrm", POSTRM)] {
        put(&format!("DEBIAN/{name}"), script.as_bytes(), 0o755)?;
    }
    let size = installed_kib(&root)?;
    put("DEBIAN/control", control(machine, size).as_bytes(), 0o644)?;
    let sums = sums(&root)?;
    put("DEBIAN/md5sums", sums.as_bytes(), 0o644)?;
    let folder = tree.tools().join("packages");
    fs::create_dir_all(&folder).map_err(|error| Failure::io("make a folder", &error))?;
    let package =
        folder.join(format!("{NAME}_{}_{}.deb", env!("CARGO_PKG_VERSION"), machine.debian()));
    let mut command = Command::new("dpkg-deb");
    command.args(["--root-owner-group", "-Zxz", "--build"]).arg(&root).arg(&package);
    command::run_quietly(command.env("SOURCE_DATE_EPOCH", stamp.to_string()), "dpkg-deb --build")?;
    Ok(package)
}

/// Unpacks a package again, and looks whether what it must bring is there.
fn look_into(package: &Path, program: &Path) -> Result<(), Failure> {
    let listed =
        command::told(Command::new("dpkg-deb").arg("--contents").arg(package), "dpkg-deb")?;
    let brings = |path: &str| listed.lines().any(|line| line.ends_with(&format!(" ./{path}")));
    let mut paths = FILES.iter().map(|(path, _)| *path).chain(["usr/bin/tokenward-device"]);
    if let Some(path) = paths.find(|path| !brings(path)) {
        return Err(Failure::Ours(format!("{} lacks {path}", package.display())));
    }
    if let Some(line) = listed.lines().find(|line| !line.contains(" root/root ")) {
        return Err(Failure::Ours(format!("{} has a file of nobody: {line}", package.display())));
    }
    let folder = package.with_extension("unpacked");
    let _ = fs::remove_dir_all(&folder);
    let mut command = Command::new("dpkg-deb");
    command::run_quietly(command.arg("--extract").arg(package).arg(&folder), "dpkg-deb --extract")?;
    let same = read(&folder.join("usr/bin").join(NAME))? == read(program)?;
    // Only looked at; what is left of it costs disk and nothing else.
    let _ = fs::remove_dir_all(&folder);
    if same {
        Ok(())
    } else {
        Err(Failure::Ours(format!("{} brings another program", package.display())))
    }
}

fn control(machine: Machine, size: u64) -> String {
    format!(
        "Package: {NAME}\nVersion: {}\nArchitecture: {}\n\
         Maintainer: Tokenward contributors <tokenward@localhost>\nInstalled-Size: {size}\n\
         Depends: {DEPENDS}\nRecommends: i2c-tools\nSection: net\nPriority: optional\n\
         Description: wall display that shows a text of an API on an I2C panel\n \
         Signs in through a Tokenward gateway by a code on its own panel, shows\n a text of an API \
         behind it, and says on the panel whatever it waits for:\n a person, the network, the \
         clock, another factor.\n",
        env!("CARGO_PKG_VERSION"),
        machine.debian(),
    )
}

/// Says who may do what, with Debian's own copy of the longer text.
fn copyright(license: &str) -> String {
    // The file holds both texts; the second begins with its own heading.
    let (_, expat) = license.rsplit_once("MIT License\n\n").unwrap_or(("", license));
    let expat: Vec<String> = expat
        .lines()
        .map(|line| if line.trim().is_empty() { " .".to_owned() } else { format!(" {line}") })
        .collect();
    format!(
        "Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\n\
         Upstream-Name: tokenward\n\nFiles: *\nCopyright: 2026 The Tokenward authors\n\
         License: Apache-2.0 or Expat\n\nLicense: Apache-2.0\n \
         On Debian systems its text is in /usr/share/common-licenses/Apache-2.0.\n\n\
         License: Expat\n{}\n",
        expat.join("\n")
    )
}

fn changelog_text(stamp: u64) -> Result<String, Failure> {
    let mut command = Command::new("date");
    command.args(["--utc", "--rfc-email", &format!("--date=@{stamp}")]);
    let date = command::told(&mut command, "date")?;
    Ok(format!(
        "{NAME} ({}) stable; urgency=low\n\n  * As the commit of this time has it.\n\n \
         -- Tokenward contributors <tokenward@localhost>  {}",
        env!("CARGO_PKG_VERSION"),
        date
    ))
}

/// Compresses without a name and a time, so that the same text gives the same bytes.
fn compress(text: &str, into: &Path) -> Result<(), Failure> {
    let plain = into.with_extension("");
    fs::write(&plain, text).map_err(|error| Failure::io("write a changelog", &error))?;
    command::run_quietly(Command::new("gzip").args(["-9n", "--force"]).arg(&plain), "gzip")
}

/// Returns when the commit was made that is built; `SOURCE_DATE_EPOCH` overrides it.
fn commit_time(tree: &Tree) -> Result<u64, Failure> {
    let text = match env::var("SOURCE_DATE_EPOCH") {
        Ok(text) => text,
        Err(_) => {
            let mut command = Command::new("git");
            command.args(["log", "-1", "--format=%ct"]).current_dir(tree.root());
            command::told(&mut command, "git log")?
        }
    };
    text.trim().parse().map_err(|_| {
        Failure::Unavailable(format!("{text:?} is no time: SOURCE_DATE_EPOCH wants seconds"))
    })
}

fn put(root: &Path, path: &str, content: &[u8], mode: u32) -> Result<(), Failure> {
    let file = root.join(path);
    let folder = file.parent().unwrap_or(root);
    let written = fs::create_dir_all(folder)
        .and_then(|()| fs::write(&file, content))
        .and_then(|()| fs::set_permissions(&file, fs::Permissions::from_mode(mode)));
    written.map_err(|error| Failure::io(&format!("lay out {path}"), &error))
}

fn installed_kib(root: &Path) -> Result<u64, Failure> {
    let told = command::told(Command::new("du").args(["-sk", "--apparent-size"]).arg(root), "du")?;
    let size = told.split_whitespace().next().and_then(|size| size.parse().ok());
    size.ok_or_else(|| Failure::Unavailable(format!("du said {told:?}")))
}

/// Returns the checksums of all files but the package's own, in a fixed order.
fn sums(root: &Path) -> Result<String, Failure> {
    let script =
        "find . -type f ! -path './DEBIAN/*' -printf '%P\\n' | LC_ALL=C sort | xargs md5sum";
    command::told(Command::new("sh").args(["-c", script]).current_dir(root), "md5sum")
}

fn read(file: &Path) -> Result<Vec<u8>, Failure> {
    fs::read(file).map_err(|error| Failure::io(&format!("read {}", file.display()), &error))
}
