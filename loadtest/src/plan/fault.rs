//! One sentence about a plan that cannot be read.

/// How far a misspelt key may be from the one that was meant (0 is nothing alike, 1 is equal).
const LIKENESS_MIN: f64 = 0.7;

/// Puts what the TOML reader says into one sentence, with the key that was meant.
pub(super) fn syntax(name: &str, text: &str, error: &toml::de::Error) -> String {
    let start = error.span().map_or(0, |span| span.start.min(text.len()));
    let line = text.as_bytes()[..start].iter().filter(|byte| **byte == b'\n').count() + 1;
    let place = format!("{name}, line {line}");
    let Some((kind, wrong, known)) = unknown(error.message()) else {
        let wrong = error.message().trim_end_matches('.').replace('\n', ", ");
        return match key_of(text, start) {
            Some(key) => format!("{place}: `{key}` cannot be read: {wrong}."),
            None => format!("{place}: {wrong}."),
        };
    };
    let noun = if kind == "variant" { "value" } else { "key" };
    match nearest(wrong, known.iter().copied()) {
        Some(meant) => {
            format!("{place}: the {noun} `{wrong}` is not known; write `{meant}` instead.")
        }
        None => {
            let known = known.join(", ");
            format!("{place}: the {noun} `{wrong}` is not known; use one of {known}.")
        }
    }
}

/// Returns the name that was probably meant.
pub(super) fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    known
        .map(|known| (strsim::jaro_winkler(name, known), known))
        .filter(|(likeness, _)| *likeness >= LIKENESS_MIN)
        .max_by(|(a, _), (b, _)| a.total_cmp(b))
        .map(|(_, known)| known)
}

/// Takes serde's sentence about an unknown field or variant apart: which of them, its name, and
/// those that are known.
fn unknown(message: &str) -> Option<(&str, &str, Vec<&str>)> {
    let (kind, rest) = message.strip_prefix("unknown ")?.split_once(" `")?;
    let (wrong, rest) = rest.split_once('`')?;
    Some((kind, wrong, rest.split('`').skip(1).step_by(2).collect()))
}

/// Returns the key of the line that holds the byte at `start`.
fn key_of(text: &str, start: usize) -> Option<&str> {
    let line_start = text[..start].rfind('\n').map_or(0, |at| at + 1);
    let (key, _) = text[line_start..].lines().next()?.split_once('=')?;
    let key = key.trim();
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte);
    (!key.is_empty() && key.bytes().all(is_plain)).then_some(key)
}
