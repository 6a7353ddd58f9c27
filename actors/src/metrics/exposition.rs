//! The text that Prometheus reads, in an order that does not change.
//!
//! The exporter writes families and series in the order of its hash maps. Here its text is taken
//! apart into families and put together sorted; another format would be another way to put the
//! same families together.

/// The media type of `text`, as Prometheus' content negotiation wants it.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

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
    let mut families = parse(raw);
    families.sort_by_key(|family| family.name);
    let mut sorted = String::with_capacity(raw.len());
    for family in &mut families {
        // Stable, so that the buckets of one series keep their rising order.
        family.samples.sort_by_key(|sample| series(sample));
        for line in family.head.iter().chain(&family.samples) {
            sorted.push_str(line);
            sorted.push('\n');
        }
    }
    sorted
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
        assert_eq!(text(&text(raw)), expected);
    }
}
