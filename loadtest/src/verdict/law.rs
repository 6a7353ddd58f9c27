//! The laws, as far as an outsider can see them: each is kept, broken, or could not be judged.

use serde::{Deserialize, Serialize};

use crate::board::{Breaches, Tally};
use crate::exchanges::{Counts, Sums};
use crate::report::count;

/// One law and what came of it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct Law {
    /// What must hold, in plain words.
    pub words: String,
    /// The figure that tells.
    pub figure: String,
    /// What came of it.
    pub state: State,
}

/// What came of a law.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// It held.
    Kept,
    /// It did not; the sentence says how.
    Broken(String),
    /// It could not be judged; the sentence says why.
    NotJudged(String),
}

/// Everything that is judged.
#[derive(Clone, Debug, Default)]
pub struct Facts {
    /// The exchanges since the sessions signed in.
    pub counts: Counts,
    /// Some of those that no token's end explains.
    pub needless: Vec<String>,
    /// Events of the ledger that were gone before they could be read.
    pub missed_events: u64,
    /// Whether answers of the provider may have been lost on their way.
    pub may_repeat: bool,
    /// The ledger's sums since the sandbox started.
    pub sums: Sums,
    /// What was served wrongly.
    pub breaches: Breaches,
    /// How the sessions ended up.
    pub tally: Tally,
    /// Requests that failed, of how many, and which share of them may.
    pub failed: (u64, u64, f64),
    /// The gateways' own counters; nothing where one was killed and forgot them.
    pub totals: Option<Totals>,
    /// Answers that came in all, and requests that stayed without.
    pub answers: (u64, u64),
    /// The most demands for another factor that one session met, and how many it may; nothing where
    /// none was to be demanded.
    pub demands: Option<(u32, u32)>,
    /// By which share memory grew, and by which it may.
    pub growth: Option<(f64, f64)>,
}

/// What the gateways count themselves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Requests to the token endpoint.
    pub token_requests: u64,
    /// Those of them that got no answer, and may never have arrived.
    pub without_answer: u64,
    /// Requests answered on the routes of the APIs.
    pub answered: u64,
}

/// Judges.
#[must_use]
pub fn judge(facts: &Facts) -> Vec<Law> {
    let mut laws = vec![one_exchange(facts), in_turn(facts), not_repeated(facts)];
    laws.extend(unspoilt(facts));
    laws.extend(well_served(facts));
    laws.push(answered(facts));
    laws.push(honest_metrics(facts));
    laws.extend(facts.demands.into_iter().flat_map(|demands| held(facts, demands)));
    laws.extend(facts.growth.map(|(found, most)| Law {
        words: "Memory does not grow".into(),
        figure: format!("{:+.1} % from the second fifth to the last", found * 100.0),
        state: kept_if(found <= most, || {
            let (found, most) = (found * 100.0, most * 100.0);
            format!("memory grew by {found:.1} %; {most:.1} % were allowed")
        }),
    }));
    laws
}

/// A provider's demand for another factor holds a session without a loop, until the demand is gone
/// and an operator asks again.
fn held(facts: &Facts, (found, most): (u32, u32)) -> [Law; 2] {
    let Tally { demanded, held, .. } = facts.tally;
    let once = Law {
        words: "A session that is held for another factor is asked about once, not in a loop"
            .into(),
        figure: format!("{} held, {found} demands to one at most", count(demanded)),
        state: kept_if((1..=most).contains(&found), || {
            format!(
                "one session met {found} demands for another factor; {most} were to be expected"
            )
        }),
    };
    let released = Law {
        words: "A hold ends when the demand is gone and an operator asks again".into(),
        figure: format!("{} still held", count(held)),
        state: kept_if(held == 0, || {
            format!("{held} sessions were still held at the end, though nothing was demanded")
        }),
    };
    [once, released]
}

fn one_exchange(facts: &Facts) -> Law {
    let Counts { needed, needless, repeated, refreshed } = facts.counts;
    let needs = needed + repeated;
    let state = if facts.missed_events > 0 {
        let missed = facts.missed_events;
        State::NotJudged(format!("{missed} events had left the ledger before they could be read"))
    } else {
        kept_if(needless == 0, || {
            let told = facts.needless.join("; ");
            format!(
                "{needless} exchanges while the token at hand had most of its life before it: {told}"
            )
        })
    };
    let each = if needs > 0 { refreshed as f64 / needs as f64 } else { 1.0 };
    Law {
        words: "A token that comes to its end costs one exchange, however many ask for it".into(),
        figure: format!("{each:.2} for each of {} ends", count(needs)),
        state,
    }
}

fn in_turn(facts: &Facts) -> Law {
    let most = facts.sums.max_concurrent_per_family;
    Law {
        words: "A session has one exchange in flight at most".into(),
        figure: format!("{most} at once"),
        state: kept_if(most <= 1, || {
            format!("{most} refreshes of one session were in flight at once")
        }),
    }
}

fn not_repeated(facts: &Facts) -> Law {
    let Counts { repeated, .. } = facts.counts;
    Law {
        words: "A refresh token is sent once, and again only where its answer was lost".into(),
        figure: format!("{repeated} sent again"),
        state: kept_if(repeated == 0 || facts.may_repeat, || {
            format!(
                "{repeated} refresh tokens were sent twice although no answer can have been lost"
            )
        }),
    }
}

/// The laws on the provider's side whose figure is to be 0.
fn unspoilt(facts: &Facts) -> [Law; 3] {
    let Sums { reuse_detected, families_revoked, .. } = facts.sums;
    [
        (
            "No spent refresh token is presented again",
            "reuses",
            reuse_detected,
            "spent refresh tokens were presented outside the reuse window",
        ),
        (
            "No family of tokens is revoked",
            "revoked",
            families_revoked,
            "families of tokens were revoked by the provider",
        ),
        (
            "No session is lost",
            "lost",
            facts.tally.lost,
            "sessions were lost although nobody ended them",
        ),
    ]
    .map(|(words, unit, found, broken)| none(words, unit, found, broken))
}

/// The laws on what is served whose figure is to be 0.
fn well_served(facts: &Facts) -> [Law; 3] {
    let Breaches { wrong, expired, outrun, zombies, told } = &facts.breaches;
    let such_as = |what: &str, marks: &[&str]| {
        let told = told.iter().find(|told| marks.iter().any(|mark| told.contains(mark)));
        told.map_or_else(|| what.to_owned(), |told| format!("{what}: {told}"))
    };
    let mut laws = [
        (
            "Nobody is served another person's or another API's token",
            "wrong",
            wrong,
            such_as("answers with a wrong access token", &["served the token", "sent a token"]),
        ),
        (
            "No API is sent a token that has run out",
            "expired",
            expired,
            such_as("answers with an expired access token", &["expired"]),
        ),
        (
            "Whoever signed out is served no more",
            "served",
            zombies,
            such_as("answers to sessions that had signed out", &["after its sign-out"]),
        ),
    ]
    .map(|(words, unit, found, broken)| none(words, unit, *found, &broken));
    if *outrun > 0 {
        let more = format!(", {} ran out on a long way", count(*outrun));
        laws[1].figure.push_str(&more);
    }
    laws
}

fn none(words: &str, unit: &str, found: u64, broken: &str) -> Law {
    Law {
        words: words.to_owned(),
        figure: format!("{} {unit}", count(found)),
        state: kept_if(found == 0, || format!("{} {broken}", count(found))),
    }
}

fn answered(facts: &Facts) -> Law {
    let (failed, sent, at_most) = facts.failed;
    let share = if sent > 0 { failed as f64 / sent as f64 } else { 1.0 };
    let percent = |share: f64| share * 100.0;
    let words = match at_most {
        0.0 => "Every request is answered as it should be".to_owned(),
        _ => format!("At most {} in 100 requests fail", percent(at_most)),
    };
    Law {
        words,
        figure: format!("{} of {} failed", count(failed), count(sent)),
        state: kept_if(sent > 0 && share <= at_most, || match sent {
            0 => "no request was sent".to_owned(),
            _ => {
                let (failed, sent) = (count(failed), count(sent));
                format!("{failed} of {sent} requests failed ({:.2} %)", percent(share))
            }
        }),
    }
}

fn honest_metrics(facts: &Facts) -> Law {
    let words = "The gateway's metrics are the truth".to_owned();
    let Some(totals) = facts.totals else {
        let why = "a gateway that is killed forgets its counters".to_owned();
        return Law { words, figure: "not judged".to_owned(), state: State::NotJudged(why) };
    };
    let (ledger, ours) = (facts.sums.token_requests, totals.token_requests);
    let (answers, unanswered) = facts.answers;
    // What got no answer may or may not have arrived, on either side.
    let exchanges_agree = (ours - totals.without_answer.min(ours)..=ours).contains(&ledger);
    let requests_agree = (answers..=answers + unanswered).contains(&totals.answered);
    Law {
        words,
        figure: format!("{} token requests, {} calls", count(ours), count(totals.answered)),
        state: kept_if(exchanges_agree && requests_agree, || match exchanges_agree {
            false => format!("the ledger has {ledger} token requests, the metrics say {ours}"),
            true => format!("{answers} answers arrived, the metrics say {}", totals.answered),
        }),
    }
}

fn kept_if(holds: bool, broken: impl FnOnce() -> String) -> State {
    if holds { State::Kept } else { State::Broken(broken()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A run in which all went well, and sixty tokens came to their end.
    fn good() -> Facts {
        Facts {
            counts: Counts { refreshed: 60, needed: 60, repeated: 0, needless: 0 },
            sums: Sums { token_requests: 80, max_concurrent_per_family: 1, ..Sums::default() },
            tally: Tally { total: 20, ..Tally::default() },
            failed: (0, 1_000, 0.0),
            totals: Some(Totals { token_requests: 80, without_answer: 0, answered: 1_060 }),
            answers: (1_060, 0),
            demands: Some((1, 1)),
            growth: Some((0.01, 0.05)),
            ..Facts::default()
        }
    }

    fn broken(facts: &Facts) -> Vec<String> {
        let laws = judge(facts).into_iter();
        laws.filter_map(|law| match law.state {
            State::Broken(sentence) => Some(sentence),
            State::Kept | State::NotJudged(_) => None,
        })
        .collect()
    }

    #[test]
    fn each_law_that_is_broken_is_named_and_no_other() {
        assert_eq!(broken(&good()), [""; 0]);
        let breaches = |wrong, expired, zombies, told: &str| Breaches {
            wrong,
            expired,
            zombies,
            outrun: 0,
            told: vec![told.to_owned()],
        };
        type Break = fn(&mut Facts);
        let rows: [(Break, &str); 14] = [
            (|f| f.counts.needless = 3, "3 exchanges while the token at hand"),
            (|f| f.sums.max_concurrent_per_family = 2, "2 refreshes of one session"),
            (|f| f.counts.repeated = 4, "4 refresh tokens were sent twice"),
            (|f| f.sums.reuse_detected = 1, "1 spent refresh tokens"),
            (|f| f.sums.families_revoked = 1, "1 families of tokens"),
            (|f| f.tally.lost = 2, "2 sessions were lost"),
            (|f| f.failed.0 = 5, "5 of 1,000 requests failed (0.50 %)"),
            (|f| f.failed = (0, 0, 1.0), "no request was sent"),
            (|f| f.sums.token_requests = 81, "the ledger has 81 token requests"),
            (|f| f.answers.0 = 1_061, "1061 answers arrived"),
            (|f| f.demands = Some((9, 1)), "one session met 9 demands"),
            (|f| f.demands = Some((0, 1)), "one session met 0 demands"),
            (|f| f.growth = Some((0.2, 0.05)), "memory grew by 20.0 %"),
            (|f| f.breaches.wrong = 1, "1 answers with a wrong access token"),
        ];
        for (breaks, sentence) in rows {
            let mut facts = good();
            breaks(&mut facts);
            let broken = broken(&facts);
            assert!(broken.len() == 1 && broken[0].starts_with(sentence), "{broken:?}");
        }
        let told = "quotes was sent an expired token of ada";
        let facts = Facts { breaches: breaches(0, 1, 0, told), ..good() };
        assert_eq!(broken(&facts), [format!("1 answers with an expired access token: {told}")]);
        let told = "session 4 was served by echo after its sign-out";
        let facts = Facts { breaches: breaches(0, 0, 2, told), ..good() };
        assert_eq!(broken(&facts), [format!("2 answers to sessions that had signed out: {told}")]);
    }

    #[test]
    fn what_cannot_be_known_is_not_judged() {
        let states = |facts: &Facts| {
            let laws = judge(facts).into_iter();
            laws.filter(|law| matches!(law.state, State::NotJudged(_))).count()
        };
        assert_eq!(states(&good()), 0);
        let killed = Facts { totals: None, missed_events: 1, may_repeat: true, ..good() };
        assert_eq!((states(&killed), broken(&killed).len()), (2, 0));
    }

    #[test]
    fn what_got_no_answer_may_be_counted_on_either_side() {
        let mut facts = good();
        facts.totals = Some(Totals { token_requests: 84, without_answer: 4, answered: 1_062 });
        facts.answers = (1_060, 2);
        assert_eq!(broken(&facts), [""; 0]);
        facts.sums.token_requests = 79;
        assert_eq!(broken(&facts).len(), 1);
    }
}
