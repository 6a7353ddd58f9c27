//! The scripts, and the names of the keys they work on.

use std::ptr;
use std::sync::LazyLock;

use redis::{Cmd, ErrorKind, RedisResult, Script, ServerErrorKind, Value, cmd};

use super::dial::Wire;
use crate::core::name::SessionKey;
use crate::store::NoteKey;

/// What is asked of a Redis.
pub(super) enum Request {
    /// A script, by its digest where the server knows it.
    Script { script: &'static Source, keys: Vec<Vec<u8>>, arguments: Vec<Vec<u8>> },
    /// A command of the server's own, which may be repeated.
    Plain(Cmd),
}

/// A script.
pub(super) struct Source {
    text: String,
    digest: Script,
}

macro_rules! scripts {
    ($($name:ident = $file:literal;)*) => {
        $(pub(super) static $name: LazyLock<Source> = LazyLock::new(|| {
            Source::new(include_str!(concat!("lua/", $file)))
        });)*
    };
}

scripts! {
    BEGIN = "begin.lua";
    COMMIT = "commit.lua";
    CREATE = "create.lua";
    END = "end.lua";
    ENGRAVE = "engrave.lua";
    HOLD = "hold.lua";
    INTER = "inter.lua";
    LOAD = "load.lua";
    READ_NOTE = "read_note.lua";
    SWEEP = "sweep.lua";
    WRITE_NOTE = "write_note.lua";
}

/// How keys are named. All keys of a bucket have its number as their hash tag, so that they are in
/// one slot of a cluster and one script may touch them all.
#[derive(Clone, Debug)]
pub(super) struct Names {
    pub(super) prefix: String,
    pub(super) buckets: u16,
}

/// An index of a bucket.
#[derive(Clone, Copy, Debug)]
pub(super) enum Index {
    /// The living sessions, in the order of their keys.
    All,
    /// When sessions are due: sixteen digits of microseconds, then the key.
    Due,
    /// Sessions with an unresolved intent, in the order of their keys.
    Doubt,
    /// Tombstones, in the order of their keys.
    Tombs,
    /// Tombstones, by when their sessions ended.
    Ended,
    /// A name, then the key.
    Names,
}

impl Request {
    /// Reports whether a refresh token is spent where it is granted.
    pub(super) fn spends(&self) -> bool {
        match self {
            Self::Plain(_) => false,
            Self::Script { script, .. } => ptr::eq(*script, &raw const *BEGIN),
        }
    }

    pub(super) async fn send(&self, wire: &mut Wire) -> RedisResult<Value> {
        match self {
            Self::Plain(command) => wire.send(command).await,
            Self::Script { script, keys, arguments } => {
                let by = |how: &str, what: &str| {
                    let mut command = cmd(how);
                    command.arg(what).arg(keys.len()).arg(keys).arg(arguments);
                    command
                };
                let known = wire.send(&by("EVALSHA", script.digest.get_hash())).await;
                match known {
                    // It has restarted, or another took its place: it did nothing yet.
                    Err(error) if error.kind() == ErrorKind::Server(ServerErrorKind::NoScript) => {
                        wire.send(&by("EVAL", &script.text)).await
                    }
                    answer => answer,
                }
            }
        }
    }
}

impl Source {
    fn new(body: &str) -> Self {
        let text = [include_str!("lua/prelude.lua"), body].join("\n");
        let digest = Script::new(&text);
        Self { text, digest }
    }
}

impl Names {
    /// Returns the bucket of a session: buckets are in the order of the keys in them.
    pub(super) fn bucket(&self, key: &SessionKey) -> u16 {
        let high = u32::from(u16::from_be_bytes([key.0[0], key.0[1]]));
        // Below `buckets`, which has sixteen bits.
        ((high * u32::from(self.buckets)) >> 16) as u16
    }

    /// Returns the keys that a script about this session is given.
    pub(super) fn of(&self, key: &SessionKey) -> Vec<Vec<u8>> {
        let bucket = self.bucket(key);
        vec![
            self.named(bucket, b"s:", &key.0),
            self.named(bucket, b"r:", &key.0),
            self.index(bucket, Index::All),
            self.index(bucket, Index::Due),
            self.index(bucket, Index::Doubt),
            self.index(bucket, Index::Tombs),
            self.index(bucket, Index::Ended),
            self.index(bucket, Index::Names),
        ]
    }

    /// Returns the key of a note on the board.
    pub(super) fn note(&self, key: &NoteKey) -> Vec<u8> {
        // Notes are spread as sessions are: both keys are hashes.
        self.named(self.bucket(&SessionKey(key.0)), b"n:", &key.0)
    }

    pub(super) fn index(&self, bucket: u16, index: Index) -> Vec<u8> {
        let name: &[u8] = match index {
            Index::All => b"all",
            Index::Due => b"due",
            Index::Doubt => b"doubt",
            Index::Tombs => b"tombs",
            Index::Ended => b"ended",
            Index::Names => b"names",
        };
        self.named(bucket, name, &[])
    }

    /// Returns the key that readiness is proven with.
    pub(super) fn pulse(&self, bucket: u16) -> Vec<u8> {
        self.named(bucket, b"pulse", &[])
    }

    /// Returns the key on which commands are tried.
    pub(super) fn trial(&self) -> Vec<u8> {
        self.named(0, b"trial", &[])
    }

    /// Returns the key that says how the store is laid out.
    pub(super) fn layout(&self) -> String {
        format!("{{{}}}:layout", self.prefix)
    }

    /// Returns the channel on which changes are told.
    pub(super) fn channel(&self) -> String {
        format!("{}:changes", self.prefix)
    }

    fn named(&self, bucket: u16, name: &[u8], key: &[u8]) -> Vec<u8> {
        let tag = format!("{{{}:{bucket}}}:", self.prefix);
        [tag.as_bytes(), name, key].concat()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_are_in_the_order_of_keys_and_all_are_used() {
        for buckets in [1, 3, 256, 65_535] {
            let names = Names { prefix: "tw".to_owned(), buckets };
            let mut seen = 0;
            let mut last = 0;
            for high in 0..=u16::MAX {
                let mut key = SessionKey([0xff; 32]);
                key.0[..2].copy_from_slice(&high.to_be_bytes());
                let bucket = names.bucket(&key);
                assert!(bucket >= last && bucket < buckets);
                seen += u32::from(high == 0 || bucket != last);
                last = bucket;
            }
            assert_eq!(seen, u32::from(buckets));
        }
    }

    #[test]
    fn all_keys_of_a_session_have_one_hash_tag() {
        let names = Names { prefix: "tw".to_owned(), buckets: 256 };
        for key in names.of(&SessionKey([0x7d; 32])) {
            assert!(key.starts_with(b"{tw:125}:"), "{key:?}");
        }
        let note = names.note(&NoteKey([0x7d; 32]));
        assert!(note.starts_with(b"{tw:125}:n:"), "{note:?}");
    }
}
