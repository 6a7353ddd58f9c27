//! One run from the first program that starts to the verdict.

use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokenward_programs::clock::{self, Watch};
use tokenward_programs::date;
use tokenward_programs::failure::Failure;
use tokio::runtime::Runtime;
use tokio::sync::mpsc;
use tokio::task::LocalSet;

use crate::board::{Board, Ends};
use crate::director::{self, Backstage, Director, Notes, Signals};
use crate::exchanges::{Counts, Exchanges, Sums};
use crate::fleet::{self, Fleet, Programs, Session};
use crate::machine::Environment;
use crate::pacer::Schedule;
use crate::pacer::keeper::Keeper;
use crate::plan::{Api, Deed, Plan, SignIn};
use crate::progress::Progress;
use crate::record::{Cause, Record, part};
use crate::verdict::{self, Facts, Latency, Picture, Requests, Sessions, Totals, Verdict};
use crate::worker::{Crowd, QUEUE_MAX};

/// How long sessions get to be served once before the load: an exchange each for every API.
const PRIME_LIMIT: Duration = Duration::from_secs(60);
/// How long they get to recover after it: longer than a lease, and than the wait after a 429.
const RECOVERY_LIMIT: Duration = Duration::from_secs(30);
/// How often the end of the load is looked for.
const BEAT: Duration = Duration::from_millis(20);
/// How long ledger and metrics may differ after the load: an exchange that is on its way.
const SETTLE_LIMIT: Duration = Duration::from_secs(5);
const SETTLE_GAP: Duration = Duration::from_millis(100);

/// What is run.
#[derive(Debug)]
pub struct Wish {
    /// The plan's name.
    pub name: String,
    /// The plan.
    pub plan: Plan,
    /// The seed of its schedule.
    pub seed: u64,
    /// The programs.
    pub programs: Programs,
}

/// What the load left behind.
struct Load {
    crowd: Rc<Crowd>,
    notes: Notes,
    lateness: Latency,
    shed: u64,
    lasted: Duration,
    interrupted: bool,
    /// Keeps the programs that were started again alive.
    _backstage: Backstage,
}

/// What the provider had seen when the load began.
struct Before {
    counts: Counts,
    sums: Sums,
}

/// Runs a plan; `stop` ends it early, with a verdict on what was measured.
///
/// # Errors
/// `Unavailable` when a program does not come up, `Ours` when one does not do as it is told.
pub fn run(wish: &Wish, stop: &Arc<AtomicBool>) -> Result<(Verdict, Picture), Failure> {
    let plan = &wish.plan;
    let started = date::utc();
    let mut progress = Progress::begin(&wish.name, plan);
    progress.say("starting the programs");
    let fleet = Fleet::start(plan, &wish.programs)?;
    progress.say(&format!("signing {} sessions in", plan.sessions.count));
    let sessions = fleet::sign_in(plan, &fleet)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Failure::io("start the runtime", &error))?;
    let local = LocalSet::new();
    let ends = Arc::new(Ends::new(sessions.len()));
    let crowd = Rc::new(gather(plan, &fleet, &sessions, Arc::clone(&ends))?);
    if plan.sessions.primed {
        progress.say("letting every session call every API once");
        local.block_on(&runtime, crowd.call_roll(PRIME_LIMIT));
        let missing = crowd.board.borrow().missing(&plan.load.apis).len();
        if missing > 0 {
            return Err(Failure::Ours(format!(
                "{missing} first calls were not answered as they should be: the programs do not \
                 work together, and there is nothing to measure"
            )));
        }
    }
    let mut exchanges = Exchanges::new(plan.provider.access_token_life.millis());
    director::catch_up(&fleet, &mut exchanges)?;
    let before = Before { counts: exchanges.counts(), sums: fleet.control().sums()? };
    let director = Director::new(fleet, sessions, exchanges, ends, Arc::new(Signals::default()));
    let load = send(wish, stop, (&runtime, &local), crowd, director, &mut progress)?;
    progress.say("calling the roll: who is still served?");
    local.block_on(&runtime, load.crowd.call_roll(RECOVERY_LIMIT));
    load.crowd.close_roll();
    // With its tasks all connections are gone, which a gateway that stops would wait for.
    drop((local, runtime));
    conclude(wish, load, &before, started)
}

fn gather(
    plan: &Plan,
    fleet: &Fleet,
    sessions: &[Session],
    ends: Arc<Ends>,
) -> Result<Crowd, Failure> {
    let wave = plan.acts.iter().find(|act| act.does == Deed::MfaWave).and_then(|act| act.api);
    let subjects: Vec<String> = sessions.iter().map(|session| session.subject.clone()).collect();
    let board = Board::new(
        Record::new(plan.duration()),
        &subjects,
        ends,
        (wave, plan.provider.access_token_life.0),
    );
    Crowd::new(plan, &fleet.ports(), sessions, board)
}

/// Sends the load, and plays what goes wrong meanwhile.
fn send(
    wish: &Wish,
    stop: &Arc<AtomicBool>,
    (runtime, local): (&Runtime, &LocalSet),
    crowd: Rc<Crowd>,
    director: Director,
    progress: &mut Progress,
) -> Result<Load, Failure> {
    let signals = director.signals();
    let (queue, due) = mpsc::channel(QUEUE_MAX);
    let watch = Watch::start();
    crowd.begin(watch);
    let directing = director.start(&wish.plan, watch)?;
    let schedule = Schedule::new(&wish.plan, wish.seed);
    let keeper = Keeper::start(schedule, watch, queue, Arc::clone(stop))?;
    let kept = Arc::clone(&keeper.kept);
    local.block_on(runtime, async {
        let sending = tokio::task::spawn_local({
            let crowd = Rc::clone(&crowd);
            async move { crowd.drive(due).await }
        });
        while !sending.is_finished() && !signals.failed.load(Ordering::Relaxed) {
            progress.show(watch.elapsed(), &crowd.board.borrow(), &kept, &signals);
            tokio::time::sleep(BEAT).await;
        }
    });
    let interrupted = stop.load(Ordering::Relaxed);
    let lasted = if interrupted { watch.elapsed() } else { wish.plan.duration() };
    signals.over.store(true, Ordering::Relaxed);
    let (notes, backstage) = directing.end()?;
    let lasted = lasted.min(wish.plan.duration());
    let shed = kept.shed.load(Ordering::Relaxed);
    let lateness = Latency::of(&keeper.lateness());
    Ok(Load { crowd, notes, lateness, shed, lasted, interrupted, _backstage: backstage })
}

fn conclude(
    wish: &Wish,
    mut load: Load,
    before: &Before,
    started: String,
) -> Result<(Verdict, Picture), Failure> {
    let plan = &wish.plan;
    let answers = load.crowd.board.borrow().answers();
    let (totals, sums) = settled(plan, &load.notes.fleet, answers)?;
    director::catch_up(&load.notes.fleet, &mut load.notes.exchanges)?;
    let commit = commit(&load.notes.fleet.metrics()?);
    load.notes.fleet.stop()?;
    let board = load.crowd.board.borrow();
    let picture = picture(wish, &board.record, &load.notes, load.lasted);
    let mut verdict = measured(wish, &load, &board, started);
    verdict.detail.environment.commit = commit;
    let rates: Vec<_> = plan.load.stage.iter().map(|stage| (stage.rate, stage.lasting.0)).collect();
    verdict.climb(&rates, &picture);
    let exchanges = &load.notes.exchanges;
    verdict.exchanges = verdict::Exchanged {
        token_requests: sums.token_requests - before.sums.token_requests,
        expiries: exchanges.counts().since(before.counts).needed,
        reuse_detected: sums.reuse_detected,
        families_revoked: sums.families_revoked,
    };
    let facts = Facts {
        counts: exchanges.counts(),
        needless: exchanges.told().to_vec(),
        missed_events: exchanges.missed(),
        may_repeat: plan.loses_answers(),
        sums,
        breaches: board.breaches.clone(),
        tally: board.tally(),
        failed: (verdict.requests.failed, verdict.requests.sent, plan.expect.failed_at_most),
        totals,
        answers,
        demands: demands(plan, exchanges),
        growth: plan
            .expect
            .growth_at_most
            .map(|most| (verdict::growth(&verdict.detail.fifths), most)),
    };
    verdict.judge(verdict::judge(&facts));
    Ok((verdict, picture))
}

/// Puts down what was measured, before anything is judged.
fn measured(wish: &Wish, load: &Load, board: &Board, started: String) -> Verdict {
    let tally = board.tally();
    let mut verdict = Verdict {
        plan: wish.name.clone(),
        started,
        requests: requests(&board.record, load.shed),
        sessions: Sessions {
            total: tally.total,
            lost: tally.lost,
            zombie: tally.zombie,
            held: tally.held,
        },
        ..Verdict::default()
    };
    verdict.time(&board.record, &load.notes.samples, load.notes.beside_us, load.lasted);
    let detail = &mut verdict.detail;
    detail.about.clone_from(&wish.plan.about);
    detail.seed = wish.seed;
    detail.load = described(&wish.plan);
    detail.interrupted = load.interrupted;
    detail.environment = Environment::here(&wish.programs);
    detail.lateness_us = load.lateness;
    if load.shed > 0 {
        *detail.failures.entry(Cause::Waited.words().to_owned()).or_default() += load.shed;
    }
    verdict
}

fn requests(record: &Record, shed: u64) -> Requests {
    let (ok, failed) = (record.ok(), record.failures() + shed);
    Requests { sent: ok + failed, ok, failed }
}

/// Each session meets one demand: the policy stays for the rest of the run, as far as the gateway
/// knows, which asks again only after hours.
fn demands(plan: &Plan, exchanges: &Exchanges) -> Option<(u32, u32)> {
    let waves = plan.acts.iter().filter(|act| act.does == Deed::MfaWave).count();
    (waves > 0).then(|| (exchanges.most_demands(), u32::try_from(waves).unwrap_or(u32::MAX)))
}

/// Waits until ledger and metrics agree, and returns both as they are then.
fn settled(
    plan: &Plan,
    fleet: &Fleet,
    (answers, unanswered): (u64, u64),
) -> Result<(Option<Totals>, Sums), Failure> {
    let read = || -> Result<(Totals, Sums), Failure> {
        // The metrics last: what comes in between is then on their side too.
        let sums = fleet.control().sums()?;
        Ok((totals(&fleet.metrics()?), sums))
    };
    let mut last = read();
    clock::poll(SETTLE_LIMIT, SETTLE_GAP, || {
        last = read();
        let agree = |(totals, sums): &(Totals, Sums)| {
            totals.token_requests == sums.token_requests
                && (answers..=answers + unanswered).contains(&totals.answered)
        };
        (plan.kills() || last.as_ref().is_ok_and(agree)).then_some(())
    });
    let (totals, sums) = last?;
    Ok(((!plan.kills()).then_some(totals), sums))
}

fn totals(expositions: &[String]) -> Totals {
    let sum = |metric: &str, labels: &[&str]| -> u64 {
        let lines = expositions.iter().flat_map(|text| text.lines());
        let ours = lines.filter(|line| {
            let rest = line.strip_prefix(metric);
            rest.is_some_and(|rest| rest.starts_with('{'))
                && labels.iter().all(|label| line.contains(label))
        });
        ours.filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok()).sum()
    };
    let provider = "tokenward_provider_requests_total";
    let token = "endpoint=\"token\"";
    let answered =
        |api: Api| sum("tokenward_http_requests_total", &[&format!("route=\"/{}/\"", api.name())]);
    Totals {
        token_requests: sum(provider, &[token]),
        without_answer: sum(provider, &[token, "outcome=\"network\""])
            + sum(provider, &[token, "outcome=\"timeout\""]),
        answered: Api::all().into_iter().map(answered).sum(),
    }
}

/// Returns the commit that the gateways were built from, where they know it.
fn commit(expositions: &[String]) -> Option<String> {
    let lines = expositions.iter().flat_map(|text| text.lines());
    let line = lines.into_iter().find(|line| line.starts_with("tokenward_build_info{"))?;
    let (_, rest) = line.split_once("commit=\"")?;
    let (commit, _) = rest.split_once('"')?;
    (commit != "unknown").then(|| commit.to_owned())
}

fn picture(wish: &Wish, record: &Record, notes: &Notes, lasted: Duration) -> Picture {
    let mut offered = vec![0_u32; record.slots.len()];
    let whole = wish.plan.duration();
    for due in Schedule::new(&wish.plan, wish.seed).take_while(|due| due.at <= lasted) {
        offered[part(due.at, whole, record.slots.len())] += 1;
    }
    let mut slots = record.slots.clone();
    for (slot, offered) in slots.iter_mut().zip(&offered) {
        // What found no room in the queue has failed, too, and nobody heard of it.
        slot.failed += offered.saturating_sub(slot.ok + slot.failed);
    }
    let played = notes.played.clone();
    Picture { slots, offered, slot: record.slot, played }
}

fn described(plan: &Plan) -> String {
    let load = &plan.load;
    let by = match plan.sessions.by {
        SignIn::Browser => "signed in as browsers do",
        SignIn::Adoption => "adopted",
    };
    let streams = match load.http {
        crate::plan::Http::One => String::new(),
        crate::plan::Http::Two => format!(" of {} streams", load.streams),
    };
    format!(
        "{} sessions {by}, {} APIs, {} over {} connections{streams}; access tokens live {}, the \
         provider takes {}",
        plan.sessions.count,
        load.apis.len(),
        load.http,
        load.connections,
        plan.provider.access_token_life,
        plan.provider.latency,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_are_summed_over_labels_and_gateways() {
        let text = "# HELP tokenward_provider_requests_total x\n\
            tokenward_provider_requests_total{endpoint=\"token\",outcome=\"ok\"} 5\n\
            tokenward_provider_requests_total{endpoint=\"token\",outcome=\"network\"} 2\n\
            tokenward_provider_requests_total{endpoint=\"jwks\",outcome=\"ok\"} 9\n\
            tokenward_http_requests_total{route=\"/echo/\",code=\"200\"} 7\n\
            tokenward_http_requests_total{route=\"none\",code=\"404\"} 1\n\
            tokenward_build_info{version=\"0.1.0\",commit=\"abc\"} 1\n";
        let found = totals(&[text.to_owned(), text.to_owned()]);
        assert_eq!(found, Totals { token_requests: 14, without_answer: 4, answered: 14 });
        assert_eq!(commit(&[text.to_owned()]).as_deref(), Some("abc"));
        assert_eq!(commit(&[text.replace("abc", "unknown")]), None);
    }
}
