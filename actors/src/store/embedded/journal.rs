//! The log beside the store's file, looked at before SQLite reads it.
//!
//! SQLite takes the first frame of the log whose checksum does not fit for its end, which is right
//! after a power cut and silently drops every later commit where a byte was flipped. What tells the
//! two apart (<https://sqlite.org/walformat.html>): of a transaction that was cut off nothing can
//! follow its commit, because the next one starts only after the flush; and the shared index, which
//! SQLite builds anew at the first opening, counts only frames that were flushed.

use std::fs::{self, File};
use std::io::{self, BufReader, Read};
use std::path::Path;

const MAGIC: u32 = 0x377f_0682;
const HEADER_BYTES: usize = 32;
const FRAME_HEADER_BYTES: usize = 24;

/// The index's header stands twice, and what is moved already follows.
const INDEX_HEADER_BYTES: usize = 48;
const INDEX_BYTES: usize = 2 * INDEX_HEADER_BYTES + 4;

/// Where the marks stand that name one filling of the log, in its header and in the index's.
const SALTS_IN_HEADER: usize = 16;
const SALTS_IN_INDEX: usize = 32;

/// Says what of the log beside `store` was saved and cannot be read; `None` where nothing is
/// missing. `same_boot` says that the machine has not lost its memory since the log was written.
pub(super) fn damage(store: &Path, same_boot: bool) -> io::Result<Option<&'static str>> {
    let beside = |suffix| {
        let mut name = store.as_os_str().to_owned();
        name.push(suffix);
        name
    };
    let log = match File::open(beside("-wal")) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Log::default(),
        opened => Log::read(opened?)?,
    };
    let index = Index::read(Path::new(&beside("-shm")))?;
    let lost = index.is_some_and(|index| {
        let is_of_this_log = log.salts == Some(index.salts);
        // An index that the machine's memory never left tells of every flush; an older one may
        // have been outlived by the log.
        (is_of_this_log && index.frames > log.committed)
            || (same_boot && !is_of_this_log && index.frames > index.moved)
    });
    Ok(if log.has_bad_header {
        Some("its first bytes are not what was written")
    } else if log.is_cut_inside {
        Some("a part in the middle is not what was written")
    } else if lost {
        Some("its end is missing or not what was written")
    } else {
        None
    })
}

/// What the log has.
#[derive(Debug, Default, PartialEq, Eq)]
struct Log {
    has_bad_header: bool,
    salts: Option<[u8; 8]>,
    /// Frames up to the last commit whose checksums fit.
    committed: u32,
    /// Whether more commits follow the first frame that does not fit.
    is_cut_inside: bool,
}

impl Log {
    fn read(file: File) -> io::Result<Self> {
        let bytes = file.metadata()?.len();
        let mut file = BufReader::new(file);
        let mut header = [0; HEADER_BYTES];
        if bytes < HEADER_BYTES as u64 {
            return Ok(Self::default());
        }
        file.read_exact(&mut header)?;
        let Some(start) = Start::parse(&header) else {
            return Ok(Self { has_bad_header: true, ..Self::default() });
        };
        let mut log = Self { salts: Some(start.salts), ..Self::default() };
        let frame_bytes = FRAME_HEADER_BYTES + start.page_bytes;
        // What is longer than a page or shorter stands in no header that was parsed.
        let count = (bytes - HEADER_BYTES as u64) / frame_bytes as u64;
        let (mut chain, mut frame) = (start.checksum, vec![0; frame_bytes]);
        let (mut fits, mut commit_seen) = (true, false);
        for number in 1..=u32::try_from(count).unwrap_or(u32::MAX) {
            let header = if fits { frame_bytes } else { FRAME_HEADER_BYTES };
            file.read_exact(&mut frame[..header])?;
            let is_ours = frame[8..16] == start.salts;
            let is_commit = is_ours && number_at(&frame, 4) != 0;
            if fits {
                chain = start.sum(chain, &frame[..8]);
                chain = start.sum(chain, &frame[FRAME_HEADER_BYTES..]);
                fits = is_ours && chain == [number_at(&frame, 16), number_at(&frame, 20)];
                if fits && is_commit {
                    log.committed = number;
                }
            } else {
                file.seek_relative(i64::try_from(start.page_bytes).unwrap_or(i64::MAX))?;
            }
            if !fits {
                log.is_cut_inside |= commit_seen && is_ours;
                commit_seen |= is_commit;
            }
        }
        Ok(log)
    }
}

/// The log's header.
struct Start {
    /// Whether checksums take words with the highest byte first.
    high_first: bool,
    page_bytes: usize,
    salts: [u8; 8],
    checksum: [u32; 2],
}

impl Start {
    fn parse(header: &[u8; HEADER_BYTES]) -> Option<Self> {
        let magic = number_at(header, 0);
        let page_bytes = usize::try_from(number_at(header, 8)).ok()?;
        let mut salts = [0; 8];
        salts.copy_from_slice(&header[SALTS_IN_HEADER..SALTS_IN_HEADER + 8]);
        let mut start = Self { high_first: magic & 1 == 1, page_bytes, salts, checksum: [0; 2] };
        start.checksum = start.sum([0; 2], &header[..24]);
        let fits = magic & !1 == MAGIC
            && (512..=65_536).contains(&page_bytes)
            && page_bytes.is_power_of_two()
            && start.checksum == [number_at(header, 24), number_at(header, 28)];
        fits.then_some(start)
    }

    fn sum(&self, chain: [u32; 2], bytes: &[u8]) -> [u32; 2] {
        if self.high_first {
            sum(chain, bytes, u32::from_be_bytes)
        } else {
            sum(chain, bytes, u32::from_le_bytes)
        }
    }
}

/// What SQLite's connections share about the log.
#[derive(Clone, Copy, Debug)]
struct Index {
    salts: [u8; 8],
    /// Frames that were flushed with their commit.
    frames: u32,
    /// Frames that are in the store's file, too.
    moved: u32,
}

impl Index {
    /// Reads the index, which is written by the machine itself in its own order of bytes; `None`
    /// where there is none that is whole.
    fn read(path: &Path) -> io::Result<Option<Self>> {
        let mut bytes = [0; INDEX_BYTES];
        match File::open(path).and_then(|mut file| file.read_exact(&mut bytes)) {
            Err(error) if is_absent(&error) => return Ok(None),
            read => read?,
        }
        let number = |at| u32::from_ne_bytes(bytes_at(&bytes, at));
        let header = &bytes[..INDEX_HEADER_BYTES];
        let checksum = sum([0; 2], &header[..40], u32::from_ne_bytes);
        let is_whole = bytes[INDEX_HEADER_BYTES..2 * INDEX_HEADER_BYTES] == *header
            && checksum == [number(40), number(44)];
        let mut salts = [0; 8];
        salts.copy_from_slice(&bytes[SALTS_IN_INDEX..SALTS_IN_INDEX + 8]);
        let index = Self { salts, frames: number(16), moved: number(2 * INDEX_HEADER_BYTES) };
        Ok(is_whole.then_some(index))
    }
}

/// Keeps a copy of the log for whoever looks into the damage.
pub(super) fn keep_copy(store: &Path) -> io::Result<()> {
    let (log, copy) = (store.with_extension("db-wal"), store.with_extension("db-wal.damaged"));
    match fs::copy(log, copy) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        copied => copied.map(drop),
    }
}

fn is_absent(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::UnexpectedEof)
}

fn sum([mut first, mut second]: [u32; 2], bytes: &[u8], word: fn([u8; 4]) -> u32) -> [u32; 2] {
    for pair in bytes.chunks_exact(8) {
        first = first.wrapping_add(word(bytes_at(pair, 0))).wrapping_add(second);
        second = second.wrapping_add(word(bytes_at(pair, 4))).wrapping_add(first);
    }
    [first, second]
}

fn number_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_be_bytes(bytes_at(bytes, at))
}

fn bytes_at(bytes: &[u8], at: usize) -> [u8; 4] {
    [bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]
}
