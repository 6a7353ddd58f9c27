//! `manual/bounds.md` is drawn up from the constants themselves, so that it cannot lie (law L14).
//!
//! After a constant has changed, `TOKENWARD_DRAW_UP=1 cargo test -p tokenward --test it bounds`
//! draws it up anew.
#![expect(clippy::expect_used, reason = "the sources of the tree can be read")]

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

/// What the list covers: a title, the folder, and what its files are.
const ROOMS: [(&str, &str, &str); 3] = [
    ("The core", "core/src", "Pure rules; the shell keeps what they say."),
    ("The framework", "src", "Actors, provider client, stores, events."),
    ("The gateway", "../gateway/src", "HTTP towards callers, upstreams and operators."),
];

/// Types whose constants bound something: times, counts, sizes and rates.
const TYPES: [&str; 7] = ["Duration", "usize", "u64", "u32", "i64", "i32", "Rate"];

/// Parts of names that say that a constant describes a format and bounds nothing.
const FORMATS: [&str; 9] = [
    "ALL_SENT",
    "APPLICATION_ID",
    "COLUMNS",
    "DAY_S",
    "MANUAL_",
    "NO_BOOT",
    "SALTS_",
    "VERSION",
    "_CHARS",
];

const HEAD: &str = "# Bounds

Every wait, queue, retry, buffer and set of ours ends somewhere (law L14). This list is drawn up from
the constants of the sources, by the test that checks it (`tests/it/bounds.rs`): the name, what the
source says, and why.

";

#[test]
fn l14_the_list_of_bounds_says_what_the_sources_say() {
    let home = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut list = HEAD.to_owned();
    policies(&mut list, &read(&home.join("core/src/policy.rs")));
    for (title, folder, about) in ROOMS {
        let _ = write!(list, "## {title}\n\n{about}\n\n| bound | value | why |\n|---|---|---|\n");
        let folder = home.join(folder);
        for file in sources(&folder) {
            let place = file.strip_prefix(&folder).expect("inside").with_extension("");
            for bound in bounds(&read(&file)) {
                let Bound { name, value, why } = bound;
                let place = place.display();
                let _ = writeln!(list, "| `{place}`: `{name}` | {value} | {why} |");
            }
        }
        list.push('\n');
    }
    let list = format!("{}\n", list.trim_end());
    let path = home.join("manual/bounds.md");
    if std::env::var_os("TOKENWARD_DRAW_UP").is_some() {
        fs::write(&path, &list).expect("the list can be written");
    }
    let written = read(&path);
    let differs = list.lines().zip(written.lines()).find(|(now, then)| now != then);
    assert!(
        list == written,
        "manual/bounds.md is not what the sources say: run the test once with TOKENWARD_DRAW_UP=1; \
         first: {differs:?}"
    );
}

#[test]
fn l14_a_constant_is_listed_with_its_value_and_reason() {
    let source = "/// Long enough: [`X`] | more.\npub(super) const A_MAX: usize =\n    2 * 16;\n\n\
                  /// Both.\nconst B: Duration = Duration::from_millis(50);\n\
                  const C: Rate = Rate { burst: 5, every: Duration::from_secs(60) };\n\n\
                  /// A kind.\nconst KIND: u8 = 0;\n\nconst SHAPE: usize = 4;\n\
                  /// Not ours.\n#[cfg(test)]\nmod tests {\n    const D: usize = 1;\n}\n";
    let found: Vec<_> = bounds(source).iter().map(Bound::row).collect();
    let c = "C: Rate { burst: 5, every: 60 s }: Both.";
    assert_eq!(found, ["A_MAX: 2 * 16: Long enough: `X` \\| more.", "B: 50 ms: Both.", c]);
}

/// One row of the list.
struct Bound {
    name: String,
    value: String,
    why: String,
}

impl Bound {
    fn row(&self) -> String {
        format!("{}: {}: {}", self.name, self.value, self.why)
    }
}

/// The deadlines and pauses that an operator's settings move: fields, with the values they have
/// where nobody has said anything.
fn policies(list: &mut String, source: &str) {
    use tokenward::core::policy::{Backoff, Deadlines, Margins};
    let Margins { refresh_ahead, serve } = Margins::default();
    let Deadlines { hard, lease, soft, patience, send_margin, reuse_window } = Deadlines::default();
    let Backoff { first, most, operator_fault, hold_probe, context_ttl } = Backoff::default();
    let hold_probe = hold_probe.expect("held audiences are probed");
    list.push_str("## What policies say\n\nThe values are the defaults.\n\n");
    list.push_str("| bound | value | why |\n|---|---|---|\n");
    for (field, value) in [
        ("refresh_ahead", refresh_ahead),
        ("serve", serve),
        ("hard", hard),
        ("lease", lease),
        ("soft", soft),
        ("patience", patience),
        ("send_margin", send_margin),
        ("reuse_window", reuse_window),
        ("first", first),
        ("most", most),
        ("operator_fault", operator_fault),
        ("hold_probe", hold_probe),
        ("context_ttl", context_ttl),
    ] {
        let lines: Vec<_> = source.lines().collect();
        let is_field = |line: &&str| line.trim_start().starts_with(&format!("pub {field}: "));
        let at = lines.iter().position(is_field).expect("a field of the policies");
        let _ = writeln!(list, "| `{field}` | {value:?} | {} |", reason(&lines[..at]));
    }
    list.push('\n');
}

/// Reads the constants of a source that bound something.
fn bounds(source: &str) -> Vec<Bound> {
    let ours = source.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
    let lines: Vec<_> = ours.lines().collect();
    let mut found = Vec::new();
    for (at, line) in lines.iter().enumerate() {
        let Some((_, rest)) = line.split_once("const ") else { continue };
        let Some((name, rest)) = rest.split_once(": ") else { continue };
        let is_name =
            name.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_');
        let kind = rest.split(" =").next().unwrap_or_default();
        let kind = kind.trim_start_matches("std::time::");
        let is_bound = TYPES.contains(&kind) || kind.contains("RangeInclusive");
        let is_format = FORMATS.iter().any(|format| name.contains(format));
        if line.trim_start().starts_with("//") || !is_name || !is_bound || is_format {
            continue;
        }
        let text = lines[at..].join(" ");
        let (_, value) = text.split_once('=').expect("a constant has a value");
        let value = value.trim_start_matches('=');
        let value = value.split(';').next().unwrap_or_default();
        let why = reason(&lines[..at]);
        // What is said of nothing describes a format.
        if why.is_empty() {
            continue;
        }
        found.push(Bound { name: name.to_owned(), value: plain(value), why });
    }
    found
}

/// Reads the documentation that ends `before`; constants that stand together share theirs.
fn reason(before: &[&str]) -> String {
    let is_constant = |line: &&str| line.contains("const ") && line.ends_with(';');
    let together = before.iter().rev().take_while(|line| is_constant(line)).count();
    let before = &before[..before.len() - together];
    let is_doc = |line: &&&str| line.trim_start().starts_with("///");
    let mut docs: Vec<_> = before
        .iter()
        .rev()
        .take_while(is_doc)
        .map(|line| line.trim_start().trim_start_matches("///").trim())
        .collect();
    docs.reverse();
    docs.join(" ").replace("[`", "`").replace("`]", "`").replace('|', "\\|")
}

/// Writes a value as people read it.
fn plain(value: &str) -> String {
    let mut plain = value.split_whitespace().collect::<Vec<_>>().join(" ");
    plain = plain.replace("std::time::", "").replace('|', "\\|");
    for (from, unit) in [("Duration::from_secs(", "s"), ("Duration::from_millis(", "ms")] {
        while let Some(at) = plain.find(from) {
            let inner = &plain[at + from.len()..];
            let Some(end) = inner.find(')') else { break };
            plain = format!("{}{} {unit}{}", &plain[..at], &inner[..end], &inner[end + 1..]);
        }
    }
    plain
}

fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("a folder").map(|entry| entry.expect("an entry"))
        {
            let path = entry.path();
            let name = entry.file_name();
            let is_test = name == "tests.rs" || name == "tests" || name == "hostile.rs";
            if path.is_dir() && !is_test {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") && !is_test {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}
