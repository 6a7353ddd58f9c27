//! The text that Prometheus reads, in an order that does not change.
//!
//! The exporter writes families and series in the order of its hash maps. Here its text is taken
//! apart into families and put together sorted, in one of two formats.

use super::exemplar::Notes;

/// The media type of `text`, as Prometheus' content negotiation wants it.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// The media type of `openmetrics` (OpenMetrics 1.0.0, "Protocol negotiation").
pub const OPENMETRICS_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// The media type without its parameters, as scrapers name it in `Accept`.
const OPENMETRICS: &str = "application/openmetrics-text";

/// One metric with its series.
struct Family<'a> {
    name: &'a str,
    /// The lines `# HELP` and `# TYPE`, as they were written.
    head: Vec<&'a str>,
    /// The samples; those of one histogram series stand together, buckets first.
    samples: Vec<&'a str>,
}

/// Returns `raw` with its families and series sorted.
pub(super) fn text(raw: &str) -> String {
    let mut sorted = String::with_capacity(raw.len());
    for family in families(raw) {
        for line in family.head.iter().chain(&family.samples) {
            sorted.push_str(line);
            sorted.push('\n');
        }
    }
    sorted
}

/// Returns `raw` as OpenMetrics: a counter's family is named without `_total`, and the text has an
/// end, by which a scraper knows that nothing was cut off. Buckets have their exemplars.
pub(super) fn openmetrics(raw: &str, notes: &Notes) -> String {
    let mut written = String::with_capacity(raw.len());
    for family in families(raw) {
        let stem = match family.is_counter() {
            true => family.name.strip_suffix("_total").unwrap_or(family.name),
            false => family.name,
        };
        for line in &family.head {
            // `# HELP name text`: only the name is another.
            let (keyword, rest) = line.split_at(HEAD.len());
            written.push_str(keyword);
            written.push_str(stem);
            written.push_str(&rest[family.name.len()..]);
            written.push('\n');
        }
        for line in &family.samples {
            written.push_str(line);
            written.push_str(exemplar(line, notes));
            written.push('\n');
        }
    }
    written.push_str("# EOF\n");
    written
}

/// Reports whether an `Accept` header names OpenMetrics without refusing it (`q=0`).
pub(super) fn wants_openmetrics(accept: &str) -> bool {
    accept.split(',').any(|range| {
        let mut parts = range.split(';').map(str::trim);
        let named = parts.next().is_some_and(|name| name.eq_ignore_ascii_case(OPENMETRICS));
        let weight = parts.find_map(|part| part.strip_prefix("q="));
        named && weight.is_none_or(|weight| weight.parse::<f64>().is_ok_and(|weight| weight > 0.0))
    })
}

/// Returns what is written behind a sample; nothing behind most.
fn exemplar<'a>(sample: &str, notes: &'a Notes) -> &'a str {
    // What comes behind the labels is a number.
    let named = sample.rfind('}').map(|end| &sample[..=end]);
    named
        .filter(|_| !notes.is_empty())
        .and_then(|named| notes.get(named))
        .map_or("", String::as_str)
}

/// How the lines of a head begin; both words have the same length.
const HEAD: &str = "# HELP ";

impl Family<'_> {
    fn is_counter(&self) -> bool {
        self.head.iter().any(|line| line.starts_with("# TYPE ") && line.ends_with(" counter"))
    }
}

fn families(raw: &str) -> Vec<Family<'_>> {
    let mut families = parse(raw);
    families.sort_by_key(|family| family.name);
    for family in &mut families {
        // Stable, so that the buckets of one series keep their rising order.
        family.samples.sort_by_key(|sample| series(sample));
    }
    families
}

fn parse(raw: &str) -> Vec<Family<'_>> {
    let mut families: Vec<Family<'_>> = Vec::new();
    for line in raw.lines().filter(|line| !line.is_empty()) {
        let described = line.strip_prefix("# HELP ").or_else(|| line.strip_prefix("# TYPE "));
        match (described, families.last_mut()) {
            (Some(rest), last) => {
                let name = rest.split(' ').next().unwrap_or(rest);
                match last.filter(|family| family.name == name) {
                    Some(family) => family.head.push(line),
                    None => families.push(Family { name, head: vec![line], samples: Vec::new() }),
                }
            }
            (None, Some(family)) => family.samples.push(line),
            // Without a head there is no family: the exporter writes none such.
            (None, None) => {}
        }
    }
    families
}

/// Returns the labels of a sample without `le`, which the exporter writes last.
fn series(sample: &str) -> &str {
    let (Some(from), Some(to)) = (sample.find('{'), sample.rfind('}')) else {
        return "";
    };
    let labels = &sample[from + 1..to];
    // A quote inside a value is escaped, so this text stands for the label and nothing else.
    match labels.rfind("le=\"") {
        Some(0) => "",
        Some(at) if labels.as_bytes()[at - 1] == b',' => &labels[..at - 1],
        Some(_) | None => labels,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn families_and_series_are_sorted_and_buckets_keep_their_order() {
        let raw = "\
# TYPE b histogram
b_bucket{a=\"2\",le=\"0.5\"} 0
b_bucket{a=\"2\",le=\"10\"} 0
b_bucket{a=\"2\",le=\"+Inf\"} 0
b_sum{a=\"2\"} 0
b_count{a=\"2\"} 0
b_bucket{a=\"1,le=\\\"\",le=\"10\"} 0
b_sum{a=\"1,le=\\\"\"} 0

# HELP a_total Text.
# TYPE a_total counter
a_total{role=\"x\"} 1
a_total{file=\"x\"} 1

";
        let expected = "\
# HELP a_total Text.
# TYPE a_total counter
a_total{file=\"x\"} 1
a_total{role=\"x\"} 1
# TYPE b histogram
b_bucket{a=\"1,le=\\\"\",le=\"10\"} 0
b_sum{a=\"1,le=\\\"\"} 0
b_bucket{a=\"2\",le=\"0.5\"} 0
b_bucket{a=\"2\",le=\"10\"} 0
b_bucket{a=\"2\",le=\"+Inf\"} 0
b_sum{a=\"2\"} 0
b_count{a=\"2\"} 0
";
        assert_eq!(text(raw), expected);
        let renamed = expected.replace("HELP a_total", "HELP a").replace("TYPE a_total", "TYPE a");
        let bucket = "b_bucket{a=\"1,le=\\\"\",le=\"10\"}";
        let note = " # {trace_id=\"0a\"} 0.7 1.500";
        let noted = renamed.replace(&format!("{bucket} 0"), &format!("{bucket} 0{note}"));
        let notes = Notes::from([(bucket.to_owned(), note.to_owned())]);
        assert_eq!(openmetrics(raw, &notes), noted + "# EOF\n");
        assert_eq!(text(&text(raw)), expected);
    }

    #[test]
    fn openmetrics_is_for_those_who_ask_for_it() {
        let prometheus = "application/openmetrics-text;version=1.0.0,\
                          application/openmetrics-text;version=0.0.1;q=0.75,\
                          text/plain;version=0.0.4;q=0.5,*/*;q=0.1";
        for (accept, wanted) in [
            (prometheus, true),
            ("text/plain, application/OpenMetrics-Text; q=0.2", true),
            ("application/openmetrics-text; q=0, text/plain", false),
            ("application/openmetrics-text; q=x", false),
            ("text/plain", false),
            ("*/*", false),
            ("", false),
        ] {
            assert_eq!(wants_openmetrics(accept), wanted, "{accept}");
        }
    }
}
