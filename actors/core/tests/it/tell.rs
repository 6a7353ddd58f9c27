//! Tells a story: a table of what happens and what follows, row by row.
//!
//! The columns are `at | what happens | what follows`. A row's third column names everything that
//! follows from its moment until the next row's, in order, separated by `;`. The row `given` sets
//! the scene. A story that turns out differently is printed as it went, in the same notation.

use std::fmt::Write;
use std::time::Duration;

use super::world::line::{self, Line};
use super::world::{START, World};

/// Tells `story` and compares what followed.
#[track_caller]
pub(crate) fn tell(story: &str) {
    let told = told_anew(story);
    let expected = normal(story);
    assert!(told.table == expected, "expected:\n{expected}\ngot:\n{}", told.table);
    assert!(told.laws.is_empty(), "{}\n{}", told.laws.join("\n"), told.table);
}

/// A story as it went.
pub(crate) struct Told {
    pub(crate) table: String,
    pub(crate) laws: Vec<String>,
}

/// Lets the rows of `story` happen and writes down what followed.
pub(crate) fn told_anew(story: &str) -> Told {
    let mut world = None;
    let mut table = String::new();
    let rows: Vec<[String; 3]> = rows(story).collect();
    for (place, [at, happens, _]) in rows.iter().enumerate() {
        if at == "given" {
            world = Some(World::new(happens));
            row(&mut table, at, happens, "");
            continue;
        }
        let world = world.get_or_insert_with(|| World::new(""));
        world.facts.get_or_insert_with(Vec::new);
        // What is due at the very moment of a row follows from the row before.
        world.run_until(START + line::span(at));
        world.happen(Line::parse(happens));
        let next = rows.get(place + 1).map(|[at, ..]| START + line::span(at));
        world.run_until(next.unwrap_or(world.now));
        let facts = world.facts.replace(Vec::new()).unwrap_or_default();
        row(&mut table, at, happens, &together(&facts));
    }
    let laws = world.map_or(Vec::new(), |world| world.oracle.laws);
    Told { table, laws }
}

/// Joins facts, and the answers of many callers who are told the same.
fn together(facts: &[String]) -> String {
    let mut joined: Vec<(String, String, u64)> = Vec::new();
    for fact in facts {
        let (who, what) = fact.split_once(' ').unwrap_or((fact, ""));
        if let Some((_, last, count)) = joined.last_mut()
            && who.starts_with('#')
            && last == what
        {
            *count += 1;
        } else {
            joined.push((who.to_owned(), what.to_owned(), 1));
        }
    }
    let words = joined.into_iter().map(|(who, what, count)| match count {
        1 => format!("{who} {what}").trim_end().to_owned(),
        _ => format!("{count} callers: {what}"),
    });
    repeated(&words.collect::<Vec<_>>())
}

/// Joins facts, and what happens again and again at least [`REPEATS_MIN`] times in a row.
fn repeated(words: &[String]) -> String {
    let mut joined = Vec::new();
    let mut at = 0;
    while at < words.len() {
        let times = |length: usize| {
            let block = &words[at..(at + length).min(words.len())];
            words[at..].chunks(length).take_while(|chunk| *chunk == block).count()
        };
        match (2..=5).find(|length| times(*length) >= REPEATS_MIN) {
            Some(length) => {
                let block = words[at..at + length].join("; ");
                joined.push(format!("{} times ({block})", times(length)));
                at += length * times(length);
            }
            None => {
                joined.push(words[at].clone());
                at += 1;
            }
        }
    }
    joined.join("; ")
}

/// From how many repetitions on they are counted instead of written out.
const REPEATS_MIN: usize = 4;

fn rows(story: &str) -> impl Iterator<Item = [String; 3]> {
    story.lines().map(str::trim).filter(|line| !line.is_empty()).map(|line| {
        let mut columns = line.splitn(3, '|').map(|column| column.trim().to_owned());
        std::array::from_fn(|_| columns.next().unwrap_or_default())
    })
}

fn normal(story: &str) -> String {
    let mut table = String::new();
    for [at, happens, follows] in rows(story) {
        row(&mut table, &at, &happens, &follows);
    }
    table
}

fn row(table: &mut String, at: &str, happens: &str, follows: &str) {
    let _ = writeln!(table, "{at:<6} | {happens:<34} | {follows}");
}

/// A moment as a story writes it.
pub(crate) fn moment(since_start: Duration) -> String {
    format!("{}s", since_start.as_millis() as f64 / 1000.0)
}
