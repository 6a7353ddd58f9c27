//! The faults, one after another, and the alerts that each must set off.

use std::fs::{self, File};
use std::thread;
use std::time::Duration;

use nix::fcntl::{FcntlArg, fcntl};
use nix::libc;
use serde_json::{Value, json};
use tokenward_programs::failure::Failure;
use tokenward_programs::http::Caller;

use super::alerts::Wanted;
use super::display::Display;
use super::ledger;
use super::scene::Scene;
use crate::stage::{self, ACCOUNTS, QUOTES, Who};
use crate::terminal;

/// How long all is well at first: longer than the windows of most alerts.
const HEALTH: Duration = Duration::from_secs(8);

/// Sessions of displays that want the API behind the rule.
const DISPLAYS: u32 = 5;

/// Browsers of a person who mistypes.
const BROWSERS: usize = 4;

/// Alerts whose faults are played by an exporter of the check.
const PLAYED: [&str; 4] =
    ["ActorRestartLoop", "LeaseConflicts", "MailboxBacklog", "MetricsDishonest"];

const MFA: [&str; 4] =
    ["MfaAbandonmentHigh", "MfaFailureRateHigh", "MfaGuessing", "MfaPolicyBlocksRefresh"];

const PROVIDER: [&str; 3] = ["GatewayErrors", "ProviderDown", "RefreshErrorBudgetBurn"];

const STORE: [&str; 2] = ["RotationNotStored", "StoreErrors"];

/// Plays everything; what must not have been is noted in the scene.
///
/// # Errors
/// `Ours` where the sandbox or the gateway refuse.
pub(super) fn play(scene: &Scene, wanted: &[Wanted]) -> Result<(), Failure> {
    let callers = stage::programs(scene.world(), 3)?;
    scene.ada()?;
    let display = Display::sign_in(scene)?;
    thread::scope(|scope| {
        scope.spawn(|| scene.call_on_and_on(&callers));
        scope.spawn(|| scene.report_on_and_on(&display));
        let played = acts(scene, wanted);
        scene.finish();
        played
    })
}

fn acts(scene: &Scene, wanted: &[Wanted]) -> Result<(), Failure> {
    terminal::note("all is well");
    thread::sleep(HEALTH);
    if scene.played.beats() == 0 {
        scene.note("Prometheus scrapes nothing".to_owned());
    }
    for name in scene.hook().all_fired() {
        scene.note(format!("{name} fired while all was well"));
    }
    terminal::note("a rule demands factors, people mistype, others give up");
    scene.played.ail(true);
    factors(scene, wanted)?;
    ledger::agrees(scene)?;
    terminal::note("the provider answers 503");
    provider_ill(scene, wanted)?;
    scene.until_fired(wanted, &PLAYED);
    // The display has been away since the troubles began.
    scene.until_fired(wanted, &["DeviceStale"]);
    scene.played.ail(false);
    terminal::note("the provider is slow");
    slow(scene, wanted)?;
    terminal::note("the store takes nothing");
    store_locked(scene, wanted)?;
    terminal::note("a reply is lost, and the provider allows no second try");
    reuse(scene, wanted)?;
    terminal::note("a bad configuration, and a gateway that stands still");
    bad_configuration(scene, wanted)?;
    scene.world().gateway.freeze();
    scene.until_fired(wanted, &["TokenwardDown"]);
    scene.world().gateway.thaw();
    ledger::agrees(scene)?;
    terminal::note("everything clears");
    let all: Vec<&str> = wanted.iter().map(|alert| alert.name.as_str()).collect();
    scene.until_cleared(wanted, &all);
    Ok(())
}

fn factors(scene: &Scene, wanted: &[Wanted]) -> Result<(), Failure> {
    let browsers = scene.browsers(BROWSERS)?;
    let displays = stage::programs(scene.world(), DISPLAYS)?;
    let accounts = json!({ "audiences": ["https://accounts.sandbox.example"], "mfa_done": false });
    let rules = json!([{ "when": accounts, "then": "challenge" }]);
    scene.tenant(&json!({ "mfa": { "rules": rules, "otp_single_use": false } }))?;
    for display in &displays {
        scene.get(display, ACCOUNTS);
    }
    let held: Vec<Value> = browsers.iter().map(|browser| demand(scene, browser)).collect();
    for (browser, held) in browsers.iter().zip(&held) {
        for _ in 0..2 {
            expect_status(scene, "a wrong code", scene.show_code(browser, held, "000000"), 400);
        }
    }
    let pairs: Vec<(&Who, &Value)> = browsers.iter().zip(&held).collect();
    let (first, last) = pairs.split_at(BROWSERS / 2);
    pass(scene, first)?;
    for display in &displays {
        scene.end(display)?;
    }
    scene.until_fired(wanted, &MFA);
    // Its receiver was told that sessions are held and ended, and wants no letters.
    scene.until_fired(wanted, &["WebhookFailing"]);
    pass(scene, last)?;
    scene.tenant(&json!({ "mfa": { "rules": [] } }))
}

/// Calls the API that is behind the rule, and returns what was said.
fn demand(scene: &Scene, browser: &Who) -> Value {
    let answer = scene.get(browser, ACCOUNTS);
    let body = answer.map(|answer| answer.body).unwrap_or_default();
    serde_json::from_str(&body).unwrap_or_default()
}

fn pass(scene: &Scene, held: &[(&Who, &Value)]) -> Result<(), Failure> {
    for (browser, held) in held {
        let status = scene.show_code(browser, held, &scene.otp()?);
        expect_status(scene, "the right code", status, 200);
    }
    Ok(())
}

fn expect_status(scene: &Scene, what: &str, status: u16, expected: u16) {
    if status != expected {
        scene.note(format!("{what} was answered {status} instead of {expected}"));
    }
}

fn provider_ill(scene: &Scene, wanted: &[Wanted]) -> Result<(), Failure> {
    let fault = json!({ "endpoint": "token", "kind": "status", "rate": 1.0 });
    scene.control.post("faults", &fault)?;
    scene.until_fired(wanted, &PROVIDER);
    scene.control.delete("faults")?;
    scene.until_cleared(wanted, &["ProviderDown"]);
    Ok(())
}

fn slow(scene: &Scene, wanted: &[Wanted]) -> Result<(), Failure> {
    // Longer than the half of an access token's life that a refresh has at most.
    scene.tenant(&json!({ "token_latency_ms": 3_000 }))?;
    scene.until_fired(wanted, &["RefreshLate"]);
    scene.tenant(&json!({ "token_latency_ms": 0 }))
}

/// Takes the store's write lock, as another program that has the file open might.
fn store_locked(scene: &Scene, wanted: &[Wanted]) -> Result<(), Failure> {
    scene.tenant(&json!({ "token_latency_ms": 1_500 }))?;
    let program = stage::programs(scene.world(), 1)?.remove(0);
    let path = scene.world().state().join("sessions.db-shm");
    let doing = |error| Failure::io("open the store's index", &error);
    let index = File::options().read(true).write(true).open(path).map_err(doing)?;
    // SQLite's "write-ahead log" format: byte 120 of the index is its write lock.
    let lock = libc::flock {
        l_type: libc::F_WRLCK as i16,
        l_whence: libc::SEEK_SET as i16,
        l_start: 120,
        l_len: 1,
        l_pid: 0,
    };
    // An exchange is on its way whose new token is to be stored.
    let url = format!("{}{QUOTES}", scene.world().origin());
    let asking = thread::spawn(move || Caller::new().fetch(&url, &[program.header()]));
    thread::sleep(Duration::from_millis(500));
    fcntl(&index, FcntlArg::F_OFD_SETLKW(&lock))
        .map_err(|error| Failure::Unavailable(format!("the store cannot be locked: {error}")))?;
    scene.until_fired(wanted, &STORE);
    drop(index);
    // What it was told does not matter: its caller may have given up before.
    drop(asking.join());
    scene.tenant(&json!({ "token_latency_ms": 0 }))
}

fn reuse(scene: &Scene, wanted: &[Wanted]) -> Result<(), Failure> {
    scene.hush(true);
    let victim = stage::programs(scene.world(), 1)?.remove(0);
    scene.get(&victim, ACCOUNTS);
    thread::sleep(Duration::from_secs(1));
    scene.tenant(&json!({ "leeway_s": 0 }))?;
    let cut = json!({ "endpoint": "token", "kind": "cut_after_commit", "only": "refresh_token" });
    scene.control.post("faults", &cut)?;
    scene.get(&victim, QUOTES);
    scene.until_fired(wanted, &["RefreshTokenReuse"]);
    scene.control.delete("faults")?;
    scene.tenant(&json!({ "leeway_s": 60 }))?;
    scene.hush(false);
    Ok(())
}

fn bad_configuration(scene: &Scene, wanted: &[Wanted]) -> Result<(), Failure> {
    let path = scene.world().folder().join("gateway.toml");
    let failed = |error| Failure::io("change the gateway's file", &error);
    let good = fs::read_to_string(&path).map_err(failed)?;
    fs::write(&path, format!("nonsense = true\n{good}")).map_err(failed)?;
    scene.reload()?;
    scene.until_fired(wanted, &["ConfigurationRefused"]);
    fs::write(&path, good).map_err(failed)?;
    scene.reload()
}
