//! Whether the server's access list lets us do what we must: tried out at the start, so that what is
//! missing is named at once, and not by the first session that needs it, in the middle of a script.

use std::collections::BTreeSet;
use std::sync::Arc;

use futures_util::{StreamExt as _, stream};
use redis::{Cmd, cmd};

use super::line::Line;
use super::script::{Names, Request};
use crate::store::StoreError;

/// The commands that a user is given, as the manual has them: by kinds, which later versions need too.
const COMMANDS: &str = "+@read +@write +@scripting +@connection +@pubsub +time +info +cluster";

/// How many commands are tried at once: all of them, on one connection.
const ABREAST: usize = 32;

/// Tries each command that the store is built on, once; nothing stays behind.
///
/// # Errors
/// [`StoreError::Refused`] names all that the user lacks, and the line that gives it.
pub(super) async fn check(
    line: &Line,
    names: &Names,
    user: Option<&str>,
    place: &Arc<str>,
) -> Result<(), StoreError> {
    let tried = stream::iter(probes(names)).map(|probe| probe.run(line));
    let mut answers: Vec<_> = tried.buffered(ABREAST).collect().await;
    let last = Probe::of(names.trial(), "DEL", &[]);
    answers.push(last.run(line).await);
    let mut lacking = BTreeSet::new();
    for answer in answers {
        lacking.extend(answer?);
    }
    if lacking.is_empty() {
        return Ok(());
    }
    let lacking: Vec<_> = lacking.iter().map(|lack| lack.rule(names)).collect();
    let lacking = lacking.join(" ");
    let rules = [Lack::Keys, Lack::Layout, Lack::Channel].map(|lack| lack.rule(names)).join(" ");
    let user = user.unwrap_or("default");
    let detail = format!(
        "its user {user} lacks {lacking}; ACL SETUSER {user} {rules} {COMMANDS} gives it all that is \
         needed"
    );
    Err(StoreError::Refused { place: Arc::clone(place), detail: detail.into() })
}

/// What a user may lack.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Lack {
    Command(&'static str),
    /// The keys of sessions.
    Keys,
    /// The key that says how the store is laid out.
    Layout,
    Channel,
}

impl Lack {
    /// Returns the rule of an access list that gives it.
    fn rule(&self, Names { prefix, .. }: &Names) -> String {
        match self {
            Self::Command(name) => format!("+{}", name.to_ascii_lowercase()),
            Self::Keys => format!("~{{{prefix}:*"),
            Self::Layout => format!("~{{{prefix}}}*"),
            Self::Channel => format!("&{prefix}:*"),
        }
    }
}

struct Probe {
    name: &'static str,
    command: Cmd,
    is_of_layout: bool,
}

impl Probe {
    fn of(key: Vec<u8>, name: &'static str, rest: &[&str]) -> Self {
        let mut command = cmd(name);
        command.arg(key).arg(rest);
        Self { name, command, is_of_layout: false }
    }

    /// Returns what the user lacks for this command. What else may be wrong with it is no matter here:
    /// a server judges the rights first.
    async fn run(self, line: &Line) -> Result<Option<Lack>, StoreError> {
        let Self { name, command, is_of_layout } = self;
        match line.ask(&Request::Plain(command)).await {
            Err(StoreError::Refused { place, detail }) => {
                let keys = if is_of_layout { Lack::Layout } else { Lack::Keys };
                let lack = lack(&detail, name, keys);
                lack.map(Some).ok_or(StoreError::Refused { place, detail })
            }
            Err(error @ StoreError::Unreachable { .. }) => Err(error),
            Ok(_) | Err(_) => Ok(None),
        }
    }
}

/// Tells what is lacking from what the server says: versions differ in the words, and none but the
/// newest names the key.
fn lack(detail: &str, name: &'static str, keys: Lack) -> Option<Lack> {
    let says = |words: &str| detail.contains(words);
    if says("permissions to run ") {
        return Some(Lack::Command(name));
    }
    let access = says("ermissions to access ");
    access.then(|| if says("channel") { Lack::Channel } else { keys })
}

/// The commands of the scripts and those beside them, but `DEL`. They are tried on a key of no session,
/// and have no effect on any other; `HSETNX` makes it, for what would write nothing does not prove that
/// it could.
fn probes(names: &Names) -> Vec<Probe> {
    /// No script has this digest.
    const UNKNOWN: &str = "0000000000000000000000000000000000000000";
    let on_key = [
        ("HSETNX", &["f", "0"][..]),
        ("HSET", &["f", "0"]),
        ("HGET", &["f"]),
        ("HMGET", &["f"]),
        ("HEXISTS", &["f"]),
        ("HDEL", &["none"]),
        ("GET", &[]),
        ("SET", &["0", "NX"]),
        ("INCR", &[]),
        ("ZADD", &["XX", "0", "m"]),
        ("ZREM", &["m"]),
        ("ZCARD", &[]),
        ("ZRANGEBYLEX", &["-", "+", "LIMIT", "0", "1"]),
        ("ZRANGEBYSCORE", &["-inf", "+inf", "LIMIT", "0", "1"]),
    ];
    let key = names.trial();
    let mut probes: Vec<_> =
        on_key.iter().map(|(name, rest)| Probe::of(key.clone(), name, rest)).collect();
    for (name, what) in [("EVAL", "return 0"), ("EVALSHA", UNKNOWN)] {
        let mut command = cmd(name);
        command.arg(what).arg(1).arg(&key);
        probes.push(Probe { name, command, is_of_layout: false });
    }
    let layout = Probe::of(names.layout().into_bytes(), "HGET", &["layout"]);
    probes.push(Probe { is_of_layout: true, ..layout });
    // Of a length that nobody takes for a message.
    probes.push(Probe::of(names.channel().into_bytes(), "PUBLISH", &[""]));
    probes.push(Probe { name: "TIME", command: cmd("TIME"), is_of_layout: false });
    probes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_command_of_the_scripts_is_tried() {
        let names = Names { prefix: "tw".to_owned(), buckets: 1 };
        let tried: BTreeSet<_> = probes(&names).iter().map(|probe| probe.name).collect();
        let scripts = [
            include_str!("lua/prelude.lua"),
            include_str!("lua/begin.lua"),
            include_str!("lua/commit.lua"),
            include_str!("lua/create.lua"),
            include_str!("lua/end.lua"),
            include_str!("lua/engrave.lua"),
            include_str!("lua/hold.lua"),
            include_str!("lua/inter.lua"),
            include_str!("lua/load.lua"),
            include_str!("lua/read_note.lua"),
            include_str!("lua/sweep.lua"),
            include_str!("lua/write_note.lua"),
        ];
        for called in scripts.iter().flat_map(|script| script.split("redis.call('").skip(1)) {
            let name = called.split('\'').next().expect("a name");
            assert!(name == "DEL" || tried.contains(name), "{name}");
        }
    }

    #[test]
    fn a_refusal_is_read_in_the_words_of_each_version() {
        for (says, lacks) in [
            ("NoPerm: this user has no permissions to run the 'get' command", "+get"),
            ("NoPerm: User keys has no permissions to run the 'get' command", "+get"),
            ("NoPerm: this user has no permissions to access one of the keys used", "~{tw:*"),
            ("NoPerm: No permissions to access a key", "~{tw:*"),
            ("NoPerm: this user has no permissions to access one of the channels", "&tw:*"),
            ("NoPerm: No permissions to access the 'tw:changes' channel", "&tw:*"),
        ] {
            let names = Names { prefix: "tw".to_owned(), buckets: 1 };
            let lack = lack(says, "GET", Lack::Keys).map(|lack| lack.rule(&names));
            assert_eq!(lack.as_deref(), Some(lacks), "{says}");
        }
        assert_eq!(lack("WRONGPASS invalid username-password pair", "GET", Lack::Keys), None);
    }
}
