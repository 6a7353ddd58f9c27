//! One record as text: a line with its generation and checksum, and a body.

use ring::digest::{SHA256, digest};
use serde::{Deserialize, Serialize};
use tokenward::SessionHandle;
use zeroize::Zeroizing;

use crate::agent::{Kept, Memory};
use crate::content::Content;

/// What a record of this kind begins with; another number is another kind.
const MARK: &str = "tokenward-device 1";

/// The body as it is read. Has no text of its own, because it holds the credential.
#[derive(Deserialize)]
struct Body {
    handle: Option<String>,
    text: Option<String>,
    author: Option<String>,
    etag: Option<String>,
    fetched_unix: Option<u64>,
}

/// The body as it is written.
#[derive(Default, Serialize)]
struct Written<'a> {
    handle: Option<&'a str>,
    text: Option<&'a str>,
    author: Option<&'a str>,
    etag: Option<&'a str>,
    fetched_unix: Option<u64>,
}

/// Writes a record.
pub(super) fn write(generation: u64, memory: &Memory) -> Zeroizing<String> {
    let handle = memory.handle.as_ref().map(SessionHandle::expose);
    let mut body =
        Written { handle: handle.as_ref().map(|text| text.as_str()), ..Written::default() };
    if let Some(Kept { content, etag, fetched_unix }) = &memory.kept {
        body.text = Some(&content.text);
        body.author = content.author.as_deref();
        body.etag = etag.as_deref();
        body.fetched_unix = *fetched_unix;
    }
    // Texts and numbers always have a JSON form.
    let body = Zeroizing::new(serde_json::to_string(&body).unwrap_or_default());
    let head = format!("{MARK} {generation} {}", checksum(generation, &body));
    // The exact size: a string that grows would leave a copy behind that nobody wipes.
    let mut text = String::with_capacity(head.len() + body.len() + 2);
    for part in [head.as_str(), "\n", &body, "\n"] {
        text.push_str(part);
    }
    Zeroizing::new(text)
}

/// Returns the generation of a record that is whole.
pub(super) fn generation(text: &str) -> Option<u64> {
    let (head, body) = text.split_once('\n')?;
    let (generation, sum) = head.strip_prefix(MARK)?.trim_start().split_once(' ')?;
    let generation = generation.parse().ok()?;
    (checksum(generation, body.strip_suffix('\n')?) == sum).then_some(generation)
}

/// Reads a record that is whole.
pub(super) fn read(text: &str) -> Option<Memory> {
    let Body { handle, text, author, etag, fetched_unix } =
        serde_json::from_str(body(text)).ok()?;
    let handle = handle.map(Zeroizing::new).and_then(|text| SessionHandle::parse(&text).ok());
    let kept = text.map(|text| Kept { content: Content { text, author }, etag, fetched_unix });
    Some(Memory { handle, kept })
}

/// Returns the body of a record.
pub(super) fn body(text: &str) -> &str {
    text.split_once('\n').map_or("", |(_, body)| body)
}

/// Finds damage, not malice: whoever can write here owns the display.
fn checksum(generation: u64, body: &str) -> String {
    let text = Zeroizing::new(format!("{generation}\n{body}"));
    let sum = digest(&SHA256, text.as_bytes());
    sum.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}
