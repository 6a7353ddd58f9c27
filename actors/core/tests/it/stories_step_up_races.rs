//! People who show factors at the worst moment, and in any order (L8, L9).

use std::time::Duration;

use super::tell::tell;
use super::world::line::Line;
use super::world::{START, World};

#[test]
fn l8_a_verification_that_outlives_its_context_still_counts() {
    tell(
        "
        0s     | mfa on B                           |
        0s     | #1 wants B                         | lease; ask B with r0; save; !held; #1 told mfa_required
        299s   | provider: slow 4s                  |
        299s   | #2 verifies B by otp right         | lease; verify B with m1
        302s   | #3 wants A                         | save r1; !released; !mfa_verified; #2 steps: verified; lease; ask A with r1; save r2; #3 gets A.2
        310s   | #4 wants B                         | #4 gets B.1
        311s   |                                    |
        ",
    );
}

#[test]
fn l11_of_two_tabs_on_two_machines_one_verifies_and_nothing_is_lost() {
    tell(
        "
        given  | machines 2, notices                |
        0s     | mfa on B                           |
        0s     | a: #1 wants B                      | a: lease; a: ask B with r0; a: save; a: !held; a: #1 told mfa_required
        1s     | b: #2 wants A                      | b: lease; b: ask A with r0; b: save r1; b: #2 gets A.1
        2s     | a: #3 verifies B by otp right      |
        2s     | b: #4 verifies B by otp right      | a: lease; b: busy; a: verify B with m1; b: !reuse_prevented; b: !elsewhere; a: save r2; b: #4 steps: context_not_found; a: !released; a: !mfa_verified; a: #3 steps: verified
        20s    | a: #5 wants B                      | a: #5 gets B.2
        21s    | b: #6 wants B                      | b: #6 gets B.2
        22s    |                                    |
        ",
    );
}

#[test]
fn l10_a_logout_between_a_verification_s_reply_and_its_save_revokes_what_came() {
    tell(
        "
        0s     | mfa on B                           |
        0s     | #1 wants B                         | lease; ask B with r0; save; !held; #1 told mfa_required
        1s     | at reply: logout                   |
        1s     | #2 verifies B by otp right         | lease; verify B with m1; !ended; #2 steps: logged_out_by_user; save r1; end logged_out_by_user; revoke r1; revoke r0
        5s     | #3 wants A                         | #3 told ended(logged_out_by_user)
        6s     |                                    |
        ",
    );
}

#[test]
fn l9_a_return_that_brings_nothing_opens_no_way_around_the_policy() {
    tell(
        "
        0s     | needs B from each token            |
        0s     | provider: slow 2s                  |
        0s     | #1 wants A                         | lease; ask A with r0
        1s     | #2 returns for B as alice gold 0s  |
        1.1s   | #3 wants B                         | save r1; #1 gets A.1; #2 steps: verified; !held; #3 told mfa_required
        5s     |                                    |
        ",
    );
}

/// How many orders are tried.
const ORDERS: u64 = 100;
/// How long each goes on: three and more lives of an access token.
const LASTS_MS: u64 = 200_000;
/// How often the display's own access token is renewed at the most: from half of its life on.
const SILENT_MAX: usize = 10;

/// Seed 002: `account` wants a person for each token, `console` once per session, and a display is
/// kept fresh beside them.
#[test]
fn l8_seed_002_stepping_up_for_one_leaves_the_others_alone_in_a_hundred_orders() {
    let (mut verified, mut overlapping) = (0, 0);
    for seed in 0..ORDERS {
        let story = interleaving(seed);
        let facts = told(&story);
        let seen = Seen::of(&story, &facts).unwrap_or_else(|why| {
            panic!("seed {seed}: {why}\n{}\n{}", story.join("\n"), facts.join("; "))
        });
        assert!(seen.silent <= SILENT_MAX, "seed {seed}: {} renewals", seen.silent);
        assert!(seen.silent > 2, "seed {seed}: the display was kept fresh");
        verified += seen.verified;
        overlapping += seen.overlapping;
    }
    assert!(verified as u64 > 2 * ORDERS, "{verified} confirmations are too few to tell");
    assert!(overlapping > 10, "{overlapping} answers fell into a confirmation");
}

/// Draws who asks for what and who comes back from the provider, row by row.
fn interleaving(seed: u64) -> Vec<String> {
    let mut state = seed;
    let mut below = |end: u64| {
        // Numerical Recipes' generator: its upper bits are even enough to shuffle with.
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % end
    };
    let (mut rows, mut at) = (Vec::new(), 1_000);
    while at < LASTS_MS {
        let who = rows.len() + 1;
        let line = match below(10) {
            0..3 => format!("#{who} wants display"),
            3..5 => format!("#{who} wants account"),
            5..7 => format!("#{who} wants console"),
            7..9 => format!("#{who} returns for account as alice gold 0s"),
            _ => format!("#{who} returns for console as alice gold 0s"),
        };
        rows.push(format!("{at}|{line}"));
        // Most fall into the exchange of the one before.
        at += if below(3) == 0 { below(20_000) } else { below(150) };
    }
    rows
}

/// Lets the rows happen, and returns what followed.
fn told(rows: &[String]) -> Vec<String> {
    let mut world = World::new("life 60s, keep display, ask account, ask console");
    world.facts = Some(Vec::new());
    for line in ["needs account from each token", "needs console from each session"] {
        world.happen(Line::parse(line));
    }
    for row in rows {
        let (at, line) = row.split_once('|').unwrap();
        world.run_until(START + Duration::from_millis(at.parse().unwrap()));
        world.happen(Line::parse(line));
    }
    world.run_until(START + Duration::from_millis(LASTS_MS + 30_000));
    assert!(world.oracle.laws.is_empty(), "{:?}\n{}", world.oracle.laws, rows.join("\n"));
    world.facts.unwrap_or_default()
}

/// What was seen on the way.
#[derive(Default)]
struct Seen {
    verified: usize,
    /// Renewals of the display's access token.
    silent: usize,
    /// Answers of other audiences during the exchange of a confirmation.
    overlapping: usize,
}

impl Seen {
    /// Reads the facts in their order; tells what should not have been.
    fn of(story: &[String], facts: &[String]) -> Result<Self, String> {
        let mut seen = Self::default();
        let wants = |who: &str, what: &str| {
            story.iter().any(|row| row.ends_with(&format!("|{who} wants {what}")))
        };
        let mut console_confirmed = false;
        let mut confirming: Option<&str> = None;
        // For each audience what may be served, and how many exchanges of its own bring another.
        let mut serving: [(&str, Option<&str>, u32); 3] =
            [("display", None, 1), ("account", None, 0), ("console", None, 0)];
        for fact in facts {
            let words: Vec<&str> = fact.split(' ').collect();
            match words.as_slice() {
                ["ask", "account", ..] => return Err(format!("{fact}: no person was asked")),
                ["ask", what, ..] => {
                    seen.silent += usize::from(*what == "display");
                    moves(&mut serving, what);
                }
                ["exchange", "code", "for", what, ..] => {
                    confirming = Some(*what);
                    moves(&mut serving, what);
                }
                [_, "steps:", "verified"] => {
                    seen.verified += usize::from(confirming.is_some());
                    // Who comes back for nothing that is held is told so without an exchange.
                    console_confirmed |= confirming.take() == Some("console");
                }
                [who, "told", ..] if wants(who, "display") => {
                    return Err(format!("{fact}: nobody asks the display for a person"));
                }
                [who, "told", ..] if console_confirmed && wants(who, "console") => {
                    return Err(format!("{fact}: once per session"));
                }
                [_, "gets", token] => {
                    seen.overlapping += usize::from(confirming.is_some());
                    serves(&mut serving, token)
                        .ok_or_else(|| format!("{fact}: another's doing"))?;
                }
                _ => {}
            }
        }
        Ok(seen)
    }
}

fn moves(serving: &mut [(&str, Option<&str>, u32); 3], what: &str) {
    for row in serving.iter_mut().filter(|row| row.0 == what) {
        row.2 += 1;
    }
}

/// Accepts a token that was served before, or one that an exchange of its audience has brought since.
fn serves<'a>(serving: &mut [(&str, Option<&'a str>, u32); 3], token: &'a str) -> Option<()> {
    let (audience, _) = token.split_once('.')?;
    let row = serving.iter_mut().find(|row| row.0 == audience)?;
    if row.1 != Some(token) {
        (row.1, row.2) = (Some(token), row.2.checked_sub(1)?);
    }
    Some(())
}
