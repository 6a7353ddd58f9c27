//! Reads the tree and holds what the map of the house promises, above all its absences.
#![expect(clippy::expect_used, reason = "a tree that cannot be read fails the test")]

use std::fs;
use std::path::{Path, PathBuf};

/// The longest file, in lines, with everything in it.
const FILE_LINES_MAX: usize = 400;

/// The longest function, in lines, from its first to its last brace.
const FUNCTION_LINES_MAX: usize = 60;

/// One Rust source file, by its path from the root of the tree.
struct Source {
    path: String,
    text: String,
}

#[test]
fn the_core_knows_nothing_but_std_and_zeroize() {
    let manifest = read("actors/core/Cargo.toml");
    assert_eq!(table(&manifest, "[dependencies]"), ["zeroize.workspace = true"]);
    let foreign = |line: &&str| {
        let imports = line.trim_start().strip_prefix("use ");
        imports.is_some_and(|path| {
            let own = ["std::", "crate::", "self::", "super::", "zeroize::"];
            !own.iter().any(|known| path.starts_with(known))
        })
    };
    assert_none(lines("actors/core/src/", |line| foreign(&line)), "imports something foreign");
    let clocks = |line: &str| line.contains("Instant::now") || line.contains("SystemTime");
    assert_none(lines("actors/core/", clocks), "reads a clock");
}

#[test]
fn only_the_clock_reads_clocks() {
    let reads = |line: &str| {
        let now = ["Instant::now", "SystemTime::now", "clock_gettime("];
        now.iter().any(|call| line.contains(call)) && !line.trim_start().starts_with("//")
    };
    let found = lines("", reads).into_iter().filter(|place| {
        let ours = place.starts_with("actors/src/")
            || place.starts_with("gateway/src/")
            || place.starts_with("device-agent/src/");
        ours && !place.starts_with("actors/src/clock.rs")
    });
    assert_none(found.collect(), "reads a clock");
}

#[test]
fn only_inject_writes_the_authorization_header_of_a_call() {
    let writes = |line: &str| {
        line.contains("insert(AUTHORIZATION") || line.contains("insert(header::AUTHORIZATION")
    };
    let found = lines("gateway/src/", writes);
    let elsewhere = found.into_iter().filter(|place| !place.starts_with("gateway/src/inject.rs"));
    assert_none(elsewhere.collect(), "writes Authorization");
}

#[test]
fn the_sandbox_imports_nothing_of_ours() {
    for line in table(&read("loadtest/sandbox/Cargo.toml"), "[dependencies]") {
        assert!(!line.starts_with("tokenward"), "{line}");
    }
    let ours = |line: &str| line.contains("tokenward::") || line.contains("tokenward_core");
    assert_none(lines("loadtest/sandbox/src/", ours), "uses something of ours");
}

#[test]
fn directions_between_the_packages_are_kept() {
    for (package, may_use) in [
        ("actors/core", &[][..]),
        ("actors", &["tokenward-core"]),
        ("gateway", &["tokenward"]),
        ("device-agent", &["tokenward"]),
        ("dashboards", &["tokenward"]),
        ("loadtest", &["tokenward-programs", "tokenward-sandbox"]),
        ("loadtest/bus", &[]),
        ("loadtest/parts", &["tokenward", "tokenward-gateway"]),
        ("loadtest/programs", &[]),
        ("loadtest/sandbox", &[]),
        ("loadtest/vectors", &[]),
    ] {
        let manifest = read(&format!("{package}/Cargo.toml"));
        for line in table(&manifest, "[dependencies]") {
            let name = line.split(['.', ' ', '=']).next().unwrap_or_default().to_owned();
            let allowed = !name.starts_with("tokenward") || may_use.contains(&name.as_str());
            assert!(allowed, "{package} must not use {name}");
        }
    }
}

#[test]
fn files_and_functions_stay_small() {
    let mut long = Vec::new();
    for Source { path, text } in sources() {
        let count = text.lines().count();
        if count > FILE_LINES_MAX {
            long.push(format!("{path} has {count} lines"));
        }
        long.extend(
            long_functions(&text)
                .into_iter()
                .map(|(name, count, line)| format!("{path}:{line} fn {name} has {count} lines")),
        );
    }
    assert_none(long, "split by question");
}

#[test]
fn nothing_is_left_unfinished_or_told_as_history() {
    let marks = ["TO\u{44}O", "FIX\u{4d}E", "todo!(", "unimplemented!(", "X\u{58}X"];
    let unfinished = |line: &str| marks.iter().any(|mark| line.contains(mark));
    assert_none(lines("", unfinished), "is unfinished");
    let history = ["no longer", "used to ", "previously", "for now", "in the meantime we"];
    let told = |line: &str| {
        let comment = line.trim_start();
        comment.starts_with("//") && history.iter().any(|words| comment.contains(words))
    };
    assert_none(lines("", told), "tells history");
}

#[test]
fn names_say_something() {
    let empty =
        ["util", "utils", "helper", "helpers", "common", "misc", "manager", "service", "mod"];
    let found = sources().into_iter().map(|source| source.path).filter(|path| {
        let stem = Path::new(path).file_stem().and_then(|stem| stem.to_str());
        stem.is_some_and(|stem| empty.contains(&stem))
    });
    assert_none(found.collect(), "says nothing");
}

#[test]
fn the_visible_top_level_is_the_one_that_was_given() {
    let given = ["Cargo.lock", "Cargo.toml", "LICENSE", "README.md", "actors", "dashboards"];
    let given: Vec<_> = given.into_iter().chain(["device-agent", "gateway", "loadtest"]).collect();
    for entry in fs::read_dir(root()).expect("the root is readable").flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let built = name == "target";
        assert!(name.starts_with('.') || built || given.contains(&name.as_str()), "{name}");
    }
}

#[test]
fn every_command_and_path_in_the_readme_exists() {
    let readme = read("README.md");
    let commands = read_all("loadtest/xtask/src");
    for (at, _) in readme.match_indices("cargo xtask ") {
        let rest = &readme[at + "cargo xtask ".len()..];
        let word: String = rest.chars().take_while(char::is_ascii_alphabetic).collect();
        let variant = word[..1].to_uppercase() + &word[1..];
        assert!(commands.contains(&variant), "cargo xtask {word} is not in xtask");
    }
    for (at, _) in readme.match_indices("](") {
        let link: String = readme[at + 2..].chars().take_while(|c| *c != ')').collect();
        let path = link.split('#').next().unwrap_or_default();
        if !path.is_empty() && !path.contains("://") {
            assert!(root().join(path).exists(), "{path} is not in the tree");
        }
    }
}

fn assert_none(found: Vec<String>, what: &str) {
    assert!(found.is_empty(), "{what}:\n{}", found.join("\n"));
}

/// The lines of all sources below `under` for which `wanted` holds, with their places.
fn lines(under: &str, wanted: impl Fn(&str) -> bool) -> Vec<String> {
    let mut found = Vec::new();
    for Source { path, text } in sources() {
        if path.starts_with(under) && path != "loadtest/tests/tidy.rs" {
            let hits = text.lines().enumerate().filter(|(_, line)| wanted(line));
            found.extend(hits.map(|(at, line)| format!("{path}:{} {}", at + 1, line.trim())));
        }
    }
    found
}

/// The functions that are too long: name, lines, and the line they start in.
fn long_functions(text: &str) -> Vec<(String, usize, usize)> {
    let lines: Vec<_> = text.lines().collect();
    let mut found = Vec::new();
    for (start, line) in lines.iter().enumerate() {
        let code = line.trim_start();
        let indent = line.len() - code.len();
        let is_function = ["fn ", "pub fn ", "async fn ", "pub async fn ", "const fn "]
            .iter()
            .chain(
                ["pub(crate) fn ", "pub(super) fn ", "pub(crate) async fn ", "pub const fn "]
                    .iter(),
            )
            .chain(["pub(super) async fn ", "pub(super) const fn ", "pub(crate) const fn "].iter())
            .any(|head| code.starts_with(head));
        if !is_function || code.ends_with([';', '}']) {
            continue;
        }
        let close = format!("{}}}", " ".repeat(indent));
        let end = lines[start..].iter().position(|line| *line == close).unwrap_or(0);
        if end + 1 > FUNCTION_LINES_MAX {
            let name = code.split("fn ").nth(1).unwrap_or_default();
            let name: String =
                name.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
            found.push((name, end + 1, start + 1));
        }
    }
    found
}

/// The lines of a TOML table that are not empty and no comment.
fn table(manifest: &str, head: &str) -> Vec<String> {
    let body = manifest.split(head).nth(1).unwrap_or_default();
    let body = body.split("\n[").next().unwrap_or_default();
    let code =
        body.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    code.map(str::to_owned).collect()
}

fn sources() -> Vec<Source> {
    let mut found = Vec::new();
    for package in ["actors", "gateway", "device-agent", "dashboards", "loadtest"] {
        collect(&root().join(package), &mut found);
    }
    assert!(found.len() > 100, "the tree was not found: {} files", found.len());
    found
}

fn collect(folder: &Path, found: &mut Vec<Source>) {
    for entry in fs::read_dir(folder).expect("a readable folder").flatten() {
        let path = entry.path();
        let name = entry.file_name();
        if path.is_dir() && name != "target" && name != "node_modules" {
            collect(&path, found);
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            let text = fs::read_to_string(&path).expect("a readable source");
            let path = path.strip_prefix(root()).expect("below the root");
            found.push(Source { path: path.to_string_lossy().into_owned(), text });
        }
    }
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn read_all(folder: &str) -> String {
    let mut found = Vec::new();
    collect(&root().join(folder), &mut found);
    found.into_iter().map(|source| source.text).collect()
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}
