//! What was found about the peers, as one picture: what a request costs each, and what each does
//! where things go wrong.

use std::fmt::{self, Write as _};
use std::fs;
use std::path::Path;

use tokenward_programs::failure::Failure;

use super::results::{Cost, Fault, Outcome, Results};

/// The width of the picture, in its own units.
const WIDTH: f64 = 980.0;
/// Room at the left and at the right.
const MARGIN: f64 = 24.0;
/// Where the bars begin, and the columns of the table: behind the longest title.
const LABELS: f64 = 310.0;
/// The height of a line.
const LINE: f64 = 30.0;
/// The bars' thickness.
const BAR: f64 = 16.0;
/// Room behind the longest bar, for its figures.
const FIGURES: f64 = 200.0;

/// Colours for a light and for a dark page; a mark's form says the same as its colour.
const STYLE: &str = "\
text{font:13px system-ui,-apple-system,'Segoe UI',Roboto,sans-serif;fill:#1f2933}\
.h{font-weight:600;font-size:15px}.s{fill:#62707e;font-size:12px}.n{text-anchor:middle}\
.page{fill:#fff}.rule{stroke:#d9dfe5}.ours{fill:#2f6fdf}.theirs{fill:#9aa7b4}\
.spread{stroke:#1f2933;stroke-width:1.5}.good{stroke:#1a7f4b}.bad{stroke:#c2362b}\
.mark{fill:none;stroke-width:2.4;stroke-linecap:round;stroke-linejoin:round}\
@media(prefers-color-scheme:dark){text{fill:#e6ebf0}.s{fill:#9fb0c0}.page{fill:#14191f}\
.rule{stroke:#33404d}.ours{fill:#6ea2ff}.theirs{fill:#64717e}.spread{stroke:#e6ebf0}\
.good{stroke:#4cc38a}.bad{stroke:#ff7b6e}}";

/// Draws the results into a file.
///
/// # Errors
/// `Unavailable` when it cannot be written.
pub(super) fn write(results: &Results, path: &Path) -> Result<(), Failure> {
    let svg = draw(results).map_err(|error| Failure::Ours(error.to_string()))?;
    fs::write(path, svg).map_err(|error| Failure::io(&format!("write {}", path.display()), &error))
}

fn draw(results: &Results) -> Result<String, fmt::Error> {
    let mut body = String::new();
    let mut y = MARGIN + 12.0;
    heading(
        &mut body,
        y,
        "CPU for each request",
        "microseconds, median with least and most; the scale is logarithmic",
    )?;
    y += LINE;
    bars(&mut body, &mut y, &results.costs)?;
    y += LINE * 0.8;
    heading(
        &mut body,
        y,
        "When things go wrong",
        "one session whose access token has run out, a provider without a reuse window",
    )?;
    y += LINE;
    table(&mut body, &mut y, &results.faults)?;
    y += LINE * 0.4;
    for line in footer(results) {
        text(&mut body, (MARGIN, y), "s", &line)?;
        y += 17.0;
    }
    let height = y + MARGIN - 12.0;
    let told = "What a request costs with Tokenward and with other programs, and what each does \
                when things go wrong";
    Ok(format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height:.0}\" role=\"img\" \
         aria-label=\"{told}\"><style>{STYLE}</style><rect class=\"page\" width=\"100%\" \
         height=\"100%\" rx=\"10\"/>{body}</svg>\n"
    ))
}

fn heading(svg: &mut String, y: f64, title: &str, about: &str) -> fmt::Result {
    text(svg, (MARGIN, y), "h", title)?;
    text(svg, (LABELS, y), "s", about)
}

fn bars(svg: &mut String, y: &mut f64, costs: &[Cost]) -> fmt::Result {
    let values = costs.iter().flat_map(|cost| [cost.cpu_us.least, cost.cpu_us.most]);
    let (least, most) =
        values.fold((f64::INFINITY, 1.0_f64), |(least, most), us| (least.min(us), most.max(us)));
    // A bar begins at a power of ten below everything, so that none has no length.
    let floor = 10_f64.powf(least.max(1.0).log10().floor());
    let room = WIDTH - MARGIN - FIGURES - LABELS;
    let span = (most / floor).max(1.1).log10();
    let x = |us: f64| LABELS + room * (us / floor).max(1.0).log10() / span;
    for (place, cost) in costs.iter().enumerate() {
        let (name, middle) = (&cost.program, *y - 4.0);
        let class = if place == 0 { "ours" } else { "theirs" };
        text(svg, (MARGIN, *y), "", &format!("{name}{}", job(name)))?;
        let [from, median, to] = [cost.cpu_us.least, cost.cpu_us.median, cost.cpu_us.most].map(x);
        let (top, wide) = (middle - BAR / 2.0, median - LABELS);
        write!(
            svg,
            "<rect class=\"{class}\" x=\"{LABELS}\" y=\"{top:.1}\" width=\"{wide:.1}\" \
             height=\"{BAR}\" rx=\"3\"/><path class=\"spread\" d=\"M{from:.1} {middle:.1}H{to:.1}\"/>"
        )?;
        let figures = match place {
            0 => format!("{:.0}", cost.cpu_us.median),
            _ => format!(
                "{:.0}; ours is {} times that",
                cost.cpu_us.median,
                short(cost.ratio.median)
            ),
        };
        text(svg, (to.max(median) + 10.0, *y), if place == 0 { "" } else { "s" }, &figures)?;
        *y += LINE;
    }
    Ok(())
}

/// Says what a program does of the gateway's job, where that is less than all.
fn job(program: &str) -> &'static str {
    match program {
        "nginx" | "haproxy" => " (a header that never changes)",
        _ => "",
    }
}

fn table(svg: &mut String, y: &mut f64, faults: &[Fault]) -> fmt::Result {
    let columns = faults.first().map_or(0, |fault| fault.outcomes.len()).max(1);
    let wide = (WIDTH - MARGIN - LABELS) / columns as f64;
    let x = |column: usize| LABELS + wide * column as f64;
    for (column, outcome) in
        faults.iter().flat_map(|fault| &fault.outcomes).take(columns).enumerate()
    {
        text(svg, (x(column), *y), "h", &outcome.program)?;
    }
    for fault in faults {
        write!(
            svg,
            "<path class=\"rule\" d=\"M{MARGIN} {:.1}H{:.1}\"/>",
            *y + 10.0,
            WIDTH - MARGIN
        )?;
        *y += LINE;
        text(svg, (MARGIN, *y), "", &fault.title)?;
        for (column, outcome) in fault.outcomes.iter().enumerate() {
            mark(svg, (x(column), *y - 4.5), outcome)?;
            text(svg, (x(column) + 18.0, *y), "", &outcome.brief)?;
        }
    }
    *y += LINE;
    Ok(())
}

/// Draws a tick or a cross.
fn mark(svg: &mut String, (x, y): (f64, f64), outcome: &Outcome) -> fmt::Result {
    let (class, path, told) = if outcome.held {
        ("good", "m0 .5 4 4.5 7-9", "unharmed")
    } else {
        ("bad", "m1-4 8 8m0-8-8 8", "harmed")
    };
    write!(
        svg,
        "<path class=\"mark {class}\" d=\"M{x:.1} {y:.1}{path}\"><title>{told}: {}</title></path>",
        escaped(&outcome.told)
    )
}

fn footer(results: &Results) -> Vec<String> {
    let machine = &results.machine;
    let date = results.date.split('T').next().unwrap_or_default();
    let versions = results.versions.iter().map(|(name, version)| format!("{name} {version}"));
    let versions: Vec<_> = versions.collect();
    let (first, second) = versions.split_at(versions.len() / 2);
    let rounds = results.costs.first().map_or(0, |cost| cost.rounds);
    vec![
        format!(
            "{date}, {}, {} cores, Linux {}; {} connections, {rounds} rounds that alternate",
            machine.processor, machine.cores, machine.kernel, results.connections
        ),
        first.join(" · "),
        second.join(" · "),
    ]
}

fn text(svg: &mut String, (x, y): (f64, f64), class: &str, words: &str) -> fmt::Result {
    write!(svg, "<text class=\"{class}\" x=\"{x:.1}\" y=\"{y:.1}\">{}</text>", escaped(words))
}

fn escaped(words: &str) -> String {
    words.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// Writes a ratio with two digits that say something.
fn short(ratio: f64) -> String {
    if ratio < 0.1 { format!("{ratio:.3}") } else { format!("{ratio:.2}") }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use tokenward_programs::machine::Machine;

    use super::*;
    use crate::bench::contest::Spread;

    fn spread(median: f64) -> Spread {
        Spread { least: median * 0.9, median, most: median * 1.2 }
    }

    fn results() -> Results {
        let cost = |program: &str, us: f64| Cost {
            program: program.to_owned(),
            cpu_us: spread(us),
            ratio: spread(58.0 / us),
            rounds: 5,
            requests: 20_000,
        };
        let outcome = |program: &str, held, brief: &str| Outcome {
            program: program.to_owned(),
            held,
            brief: brief.to_owned(),
            told: "1 x <200> & more".to_owned(),
        };
        let outcomes = vec![
            outcome("tokenward", true, "all 100 served"),
            outcome("mod_auth_openidc", false, "1 of 100 served, revoked"),
        ];
        Results {
            date: "2026-11-23T03:00:00Z".to_owned(),
            machine: Machine::default(),
            versions: BTreeMap::from([("nginx".to_owned(), "1.22.1".to_owned())]),
            connections: 64,
            costs: vec![cost("tokenward", 58.0), cost("nginx", 42.0), cost("express", 1_890.0)],
            faults: vec![Fault { title: "100 callers".to_owned(), outcomes }],
        }
    }

    #[test]
    fn the_picture_shows_each_program_and_each_outcome_and_nothing_unescaped() {
        let svg = draw(&results()).expect("drawn");
        for part in [
            "ours is 1.38 times that",
            "ours is 0.031 times that",
            "all 100 served",
            "nginx 1.22.1",
        ] {
            assert!(svg.contains(part), "{part}");
        }
        assert_eq!(svg.matches("class=\"mark bad\"").count(), 1);
        assert!(svg.contains("1 x &lt;200&gt; &amp; more") && !svg.contains("<200>"));
    }

    #[test]
    fn a_dearer_request_has_a_longer_bar() {
        let svg = draw(&results()).expect("drawn");
        let widths: Vec<f64> = svg
            .split("width=\"")
            .skip(2)
            .filter_map(|rest| rest.split('"').next()?.parse().ok())
            .collect();
        assert!(matches!(widths[..], [ours, nginx, express] if nginx < ours && ours < express));
    }
}
