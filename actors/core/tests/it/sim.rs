//! Searches for schedules that break a law: a seed is a story, and a broken story is told.

use std::fmt::Write;
use std::time::Duration;

use tokenward_core::event::EndReason;

use super::tell::moment;
use super::world::line::Line;
use super::world::oracle::Tally;
use super::world::provider::Revoked;
use super::world::{START, World};

/// A setting and what happens in it.
#[derive(Clone, Debug)]
pub(crate) struct Schedule {
    pub(crate) setting: String,
    pub(crate) rows: Vec<(u64, String)>,
}

/// What became of a schedule.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    /// The laws it broke.
    pub(crate) laws: Vec<String>,
    pub(crate) tally: Tally,
}

/// How long a world is left alone before the last look at it: longer than every pause.
const REST_MS: u64 = 200_000;

/// How long the last look takes.
const LOOK_MS: u64 = 60_000;

/// Makes the schedule of `seed` in `setting`, which overrides what it would draw.
pub(crate) fn schedule(seed: u64, given: &str) -> Schedule {
    let mut dice = Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0x5851_f42d_4c95_7f2d);
    let machines = 1 + dice.below(3);
    let window = dice.one_of(&["60s", "60s", "30s"]);
    let life = dice.one_of(&["10s", "60s", "60s", "300s", "3600s"]);
    let mut setting = format!("window {window}, life {life}, machines {machines}");
    if dice.below(3) == 0 {
        setting.push_str(", keep A:a");
    }
    // A configuration names what it routes; who embeds the framework may name nothing.
    if dice.below(3) > 0 {
        setting.push_str(", ask A, ask B, ask C");
    }
    match dice.below(4) {
        0 | 1 => {}
        2 => setting.push_str(", notices"),
        _ => setting.push_str(", notices 3s"),
    }
    if dice.below(4) == 0 {
        setting.push_str(", clocks apart 150ms");
    }
    if dice.below(40) == 0 {
        setting.push_str(", ceiling 90s");
    }
    if !given.is_empty() {
        let _ = write!(setting, ", {given}");
    }
    let mut rows = Vec::new();
    let (mut at, mut waiter) = (0, 0);
    for _ in 0..8 + dice.below(50) {
        // Most of what happens falls into the few milliseconds of somebody's exchange.
        at += match dice.below(4) {
            0 => dice.below(4),
            1 => dice.below(250),
            2 => dice.below(3_000),
            _ => dice.below(25_000),
        };
        let machine = char::from(b'a' + dice.below(machines) as u8);
        let line = happening(&mut dice, &mut waiter);
        if line.ends_with("crash") || line.ends_with("reboot") {
            let back = at + dice.below(20_000);
            rows.push((back, format!("{machine}: restart")));
        }
        rows.push((at, format!("{machine}: {line}")));
    }
    rows.sort_by_key(|(at, _)| *at);
    Schedule { setting, rows }
}

fn happening(dice: &mut Dice, waiter: &mut u64) -> String {
    let need = dice.one_of(&["A", "A:a", "A:a,b", "A:a,c", "B", "B:b", "C:c"]);
    match dice.below(100) {
        0..45 => {
            *waiter += 1;
            let within = dice.one_of(&["8s", "8s", "8s", "2s", "30s"]);
            let replacing = if dice.below(8) == 0 { " replacing newest" } else { "" };
            format!("#{waiter} wants {need} within {within}{replacing}")
        }
        45..50 => {
            let first = *waiter + 1;
            *waiter += 5;
            format!("#{first}..#{waiter} want {need}")
        }
        50..54 => format!("reader nudges {need}"),
        54..56 => format!("#{} leaves", 1 + dice.below(*waiter + 1)),
        56..78 => format!("provider: {}", twist(dice)),
        78..80 => format!("mfa on {}", &need[..1]),
        80..82 => format!("mfa off {}", &need[..1]),
        82 => format!("store fails {}", 1 + dice.below(5)),
        83 => format!("store loses {} answers", 1 + dice.below(2)),
        84 => "store hears twice".to_owned(),
        85 => format!("store slow {}ms", dice.below(18_000)),
        86 => format!("store tells late {}ms", dice.below(18_000)),
        87..89 => "crash".to_owned(),
        89..92 => worst(dice, need),
        92..94 => format!("suspend {}ms", 100 + dice.below(40_000)),
        94 => "operator retries".to_owned(),
        95 => format!("policy {need} always"),
        96 => "alarm".to_owned(),
        97 | 98 => {
            *waiter += 1;
            let how = dice.one_of(&["otp right", "otp right", "otp wrong", "recovery right"]);
            format!("#{waiter} verifies {need} by {how}")
        }
        _ => match dice.below(12) {
            0 => "logout".to_owned(),
            1 | 2 => "reboot".to_owned(),
            3 | 4 => "panic".to_owned(),
            5 | 6 => "rests".to_owned(),
            7 => "wall jumps 3600s".to_owned(),
            8 => "wall jumps back 3600s".to_owned(),
            9 | 10 => format!("lands twice {}ms", dice.below(9_000)),
            _ => format!("store falls back {}ms", dice.below(4_000)),
        },
    }
}

/// What is to happen at the worst moment: at a point that an exchange passes.
fn worst(dice: &mut Dice, need: &str) -> String {
    let point = dice.one_of(&["lease", "send", "decision", "reply", "save"]);
    let span = 100 + dice.below(20_000);
    let what = match dice.below(10) {
        0 | 1 => "crash".to_owned(),
        2 => "reboot".to_owned(),
        3 => "panic".to_owned(),
        4 => format!("suspend {span}ms"),
        5 => format!("mfa on {}", &need[..1]),
        6 if dice.below(3) == 0 => "logout".to_owned(),
        6 => format!("reader nudges {need}"),
        7 if dice.below(2) == 0 => format!("store falls back {}ms", dice.below(2_000)),
        7 => format!("store fails {}", 1 + dice.below(5)),
        8 => "operator retries".to_owned(),
        _ => format!("policy {need} always"),
    };
    format!("at {point}: {what}")
}

fn twist(dice: &mut Dice) -> String {
    let span = 200 + dice.below(11_500);
    match dice.below(28) {
        26 => format!("twice {}ms", dice.below(5_000)),
        27 if dice.below(4) == 0 => format!("stalls {span}ms"),
        0 | 1 => format!("slow {span}ms"),
        2 | 3 => format!("late {span}ms"),
        4 | 5 => "lost".to_owned(),
        6 => "silent".to_owned(),
        7 | 8 => "cut".to_owned(),
        9 => "cut early".to_owned(),
        10 => format!("504 {span}ms"),
        11 => "spent behind 502".to_owned(),
        12 => "garbage".to_owned(),
        13 => "salvage".to_owned(),
        14 => "grants a".to_owned(),
        15 => "for Z".to_owned(),
        16 => "503".to_owned(),
        17 => format!("429 wait {span}ms"),
        18 => "401 invalid_client".to_owned(),
        19 => "403 access_denied".to_owned(),
        20 => "400 invalid_scope".to_owned(),
        21 => "unreachable".to_owned(),
        22 => format!("breaker {span}ms"),
        23 => "keeps".to_owned(),
        24 => "lives 2s".to_owned(),
        _ if dice.below(10) == 0 => "of mallory".to_owned(),
        _ => "500 server_error".to_owned(),
    }
}

/// Lets a schedule happen, and takes a last look when all is well again.
pub(crate) fn run(schedule: &Schedule) -> Outcome {
    let mut world = World::new(&schedule.setting);
    let closing = closing(schedule);
    let last_look = world.machines.len();
    let (mut sends, mut granted) = (0, 0);
    for (number, (at, line)) in schedule.rows.iter().chain(&closing).enumerate() {
        world.run_until(START + Duration::from_millis(*at));
        if !world.oracle.laws.is_empty() {
            return Outcome { laws: world.oracle.laws, tally: world.oracle.tally };
        }
        if number + last_look + 2 == schedule.rows.len() + closing.len() {
            sends = world.oracle.tally.sends;
        }
        if number + last_look + 1 == schedule.rows.len() + closing.len() {
            sends = world.oracle.tally.sends - sends;
            granted = world.oracle.tally.granted;
        }
        world.happen(Line::parse(line));
    }
    let served = world.oracle.tally.granted - granted;
    judge_rest(&mut world, schedule, served, sends);
    Outcome { laws: world.oracle.laws, tally: world.oracle.tally }
}

/// All is well again; after a rest everybody asks once more.
fn closing(schedule: &Schedule) -> Vec<(u64, String)> {
    let mut at = schedule.rows.last().map_or(0, |(at, _)| *at) + 50_000;
    let machines = World::new(&schedule.setting).machines.len();
    let names = (0..machines).map(|machine| char::from(b'a' + machine as u8));
    let mut rows: Vec<(u64, String)> =
        ["calm", "provider well", "store well", "mfa off A", "mfa off B", "mfa off C"]
            .map(|line| (at, line.to_owned()))
            .into();
    for name in names.clone() {
        rows.push((at, format!("{name}: restart")));
        rows.push((at, format!("{name}: operator retries")));
    }
    rows.push((at + 20_000, String::new()));
    at += REST_MS;
    for (number, name) in names.enumerate() {
        rows.push((at, format!("{name}: #{} wants C:x within 30s", 900_000 + number)));
        at += LOOK_MS;
    }
    rows.push((at, String::new()));
    rows
}

fn judge_rest(world: &mut World, schedule: &Schedule, served: u64, quiet: u64) {
    let always = schedule.rows.iter().filter(|(_, line)| line.ends_with("always")).count();
    let kept = 1 + always as u64;
    // Without notices a machine may find the session leased by a busier one each time it looks.
    let hears = schedule.setting.contains("notices") || world.machines.len() == 1;
    let now = world.now;
    let awake: Vec<bool> = (0..world.machines.len()).map(|m| world.is_awake(m)).collect();
    world.oracle.rests(|machine| awake[machine], now);
    let machines = world.machines.len() as u64;
    let reused = matches!(world.provider.revoked, Some(Revoked::Reuse(_)));
    match world.store.ended {
        None if served < machines && !reused && hears => {
            world.oracle.broken(now, "L3 a living session does not come back");
        }
        Some(EndReason::LoggedOut(_) | EndReason::Ceiling)
            if world.provider.revoked.is_none() && world.oracle.could_revoke(&world.provider) =>
        {
            world.oracle.broken(now, "L10 a refresh token outlives the logout");
        }
        Some(_) | None => {}
    }
    // Ten-second tokens that are kept fresh ask every five seconds; nothing asks more often.
    if quiet > REST_MS / 4_000 * machines * kept {
        world.oracle.broken(now, "L8 an exchange loop at rest");
    }
}

/// Takes rows away for as long as the same law stays broken.
pub(crate) fn shrink(mut schedule: Schedule) -> Schedule {
    let law = |schedule: &Schedule| {
        let outcome = std::panic::catch_unwind(|| run(schedule));
        outcome.map_or(Some("panic".to_owned()), |outcome| {
            outcome.laws.first().map(|law| law[..12].to_owned())
        })
    };
    let broken = law(&schedule);
    let mut chunk = schedule.rows.len() / 2;
    while chunk > 0 {
        let mut from = 0;
        while from < schedule.rows.len() {
            let mut fewer = schedule.clone();
            fewer.rows.drain(from..(from + chunk).min(schedule.rows.len()));
            if law(&fewer) == broken {
                schedule = fewer;
            } else {
                from += chunk;
            }
        }
        chunk /= 2;
    }
    schedule
}

/// Writes a schedule as a story that can be told.
pub(crate) fn story(schedule: &Schedule) -> String {
    let mut text = String::new();
    let _ = writeln!(text, "given | {} |", schedule.setting);
    for (at, line) in schedule.rows.iter().chain(&closing(schedule)) {
        let _ = writeln!(text, "{} | {line} |", moment(Duration::from_millis(*at)));
    }
    text
}

/// A small generator (splitmix64): the same seed gives the same schedule on every machine.
struct Dice(u64);

impl Dice {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ z >> 31) % end.max(1)
    }

    fn one_of<'a>(&mut self, these: &[&'a str]) -> &'a str {
        these[self.below(these.len() as u64) as usize]
    }
}
