//! What a dashboard is made of: rows of panels, each with its question, unit and queries.
//!
//! A query is PromQL with a shorthand for the selectors that every one of them has: `@` stands for
//! the chosen jobs and instances, `@a` for these and the chosen audiences, `@r` for these and the
//! chosen routes.

/// One dashboard.
#[derive(Clone, Debug)]
pub struct Board {
    /// The name of its file, and of its address in Grafana.
    pub file: &'static str,
    /// Its title.
    pub title: &'static str,
    /// The question that it answers.
    pub question: &'static str,
    /// Its rows, from top to bottom.
    pub rows: Vec<Row>,
}

/// A row of panels under a heading.
#[derive(Clone, Debug)]
pub struct Row {
    /// The heading.
    pub title: &'static str,
    /// The panels, from left to right, wrapped at the width of the screen.
    pub panels: Vec<Panel>,
}

/// One panel.
#[derive(Clone, Debug)]
pub struct Panel {
    /// Its title.
    pub title: &'static str,
    /// What it shows and how to read it.
    pub description: &'static str,
    /// How it is drawn.
    pub shape: Shape,
    /// What its numbers are.
    pub unit: Unit,
    /// How many of the 24 columns it takes.
    pub width: u8,
    /// What it asks Prometheus; empty for a text.
    pub queries: Vec<Query>,
    /// From where on a value has another colour, rising.
    pub steps: Vec<(f64, Colour)>,
    /// The colour below the first step.
    pub base: Colour,
    /// What stands for a value.
    pub words: &'static [(&'static str, &'static str)],
}

/// How a panel is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// One big number on a coloured ground.
    Tile,
    /// Lines over time.
    Lines,
    /// Lines over time whose values differ by orders of magnitude.
    LogLines,
    /// Areas on top of each other.
    Stack,
    /// A bar for each series, as of now.
    Bars,
    /// A row for each series, as of now.
    Table,
    /// Words, in Markdown.
    Text(&'static str),
}

/// One query.
#[derive(Clone, Debug)]
pub struct Query {
    /// The expression, in the shorthand.
    pub expr: &'static str,
    /// The name of each of its series; labels stand in `{{}}`.
    pub legend: &'static str,
}

/// What a number is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// A number of things.
    Count,
    /// From 0 to 1, shown as a percentage.
    Ratio,
    /// Things per second.
    PerSecond,
    /// Requests per second.
    RequestsPerSecond,
    /// Seconds.
    Seconds,
    /// Bytes.
    Bytes,
    /// Bytes per second.
    BytesPerSecond,
    /// A state that has a word, or words only.
    Plain,
}

/// A colour that means the same everywhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Colour {
    /// All is well.
    Green,
    /// Worth a look.
    Yellow,
    /// Somebody should act soon.
    Orange,
    /// Somebody must act.
    Red,
    /// A number without a verdict.
    Blue,
}

impl Panel {
    /// Makes a panel without queries.
    pub fn new(shape: Shape, title: &'static str, unit: Unit, description: &'static str) -> Self {
        let width = match shape {
            Shape::Tile => 4,
            Shape::Bars
            | Shape::Lines
            | Shape::LogLines
            | Shape::Stack
            | Shape::Table
            | Shape::Text(_) => 12,
        };
        let base = if shape == Shape::Tile { Colour::Green } else { Colour::Blue };
        let (queries, steps, words) = (Vec::new(), Vec::new(), [].as_slice());
        Self { title, description, shape, unit, width, queries, steps, base, words }
    }

    /// Adds a query.
    #[must_use]
    pub fn ask(mut self, expr: &'static str, legend: &'static str) -> Self {
        self.queries.push(Query { expr, legend });
        self
    }

    /// Sets the width.
    #[must_use]
    pub fn wide(mut self, columns: u8) -> Self {
        self.width = columns;
        self
    }

    /// Colours values from `value` on.
    #[must_use]
    pub fn from(mut self, value: f64, colour: Colour) -> Self {
        self.steps.push((value, colour));
        self
    }

    /// Sets the colour below the first step.
    #[must_use]
    pub fn below(mut self, colour: Colour) -> Self {
        self.base = colour;
        self
    }

    /// Shows words for values; `nan` is the value of a ratio of nothing.
    #[must_use]
    pub fn says(mut self, words: &'static [(&'static str, &'static str)]) -> Self {
        self.words = words;
        self
    }
}

/// Makes a tile.
pub fn tile(title: &'static str, unit: Unit, description: &'static str) -> Panel {
    Panel::new(Shape::Tile, title, unit, description)
}

/// Makes lines.
pub fn lines(title: &'static str, unit: Unit, description: &'static str) -> Panel {
    Panel::new(Shape::Lines, title, unit, description)
}

/// Makes lines on a logarithmic axis.
pub fn log_lines(title: &'static str, unit: Unit, description: &'static str) -> Panel {
    Panel::new(Shape::LogLines, title, unit, description)
}

/// Makes stacked areas.
pub fn stack(title: &'static str, unit: Unit, description: &'static str) -> Panel {
    Panel::new(Shape::Stack, title, unit, description)
}

/// Makes bars.
pub fn bars(title: &'static str, unit: Unit, description: &'static str) -> Panel {
    Panel::new(Shape::Bars, title, unit, description)
}

/// Makes a table.
pub fn table(title: &'static str, unit: Unit, description: &'static str) -> Panel {
    Panel::new(Shape::Table, title, unit, description)
}

impl Query {
    /// Returns the expression with the shorthand written out.
    pub fn promql(&self) -> String {
        const BASE: &str = r#"job=~"$job", instance=~"$instance""#;
        let mut written = String::with_capacity(self.expr.len() * 2);
        let mut rest = self.expr;
        while let Some(at) = rest.find('@') {
            written.push_str(&rest[..at]);
            written.push_str(BASE);
            rest = &rest[at + 1..];
            for (letter, label) in [("a", "audience"), ("r", "route")] {
                // `@a` ends where the next label or the brace comes.
                if let Some(after) = rest.strip_prefix(letter)
                    && after.starts_with(['}', ','])
                {
                    written.push_str(&format!(r#", {label}=~"${label}""#));
                    rest = after;
                    break;
                }
            }
        }
        written.push_str(rest);
        written
    }
}

impl Board {
    /// Returns its panels in order.
    pub fn panels(&self) -> impl Iterator<Item = &Panel> {
        self.rows.iter().flat_map(|row| &row.panels)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shorthand_is_written_out() {
        let of = |expr| Query { expr, legend: "" }.promql();
        let base = r#"job=~"$job", instance=~"$instance""#;
        assert_eq!(of("a{@}"), format!("a{{{base}}}"));
        assert_eq!(
            of(r#"a{@a, b="c"}/d{@r}"#),
            format!(r#"a{{{base}, audience=~"$audience", b="c"}}/d{{{base}, route=~"$route"}}"#)
        );
    }
}
