//! The gateway and the sandbox of the check, with their callers.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use nix::sys::signal::{self, Signal};
use nix::unistd::Pid;
use serde_json::{Value, json};
use tokenward_programs::clock;
use tokenward_programs::control::Control;
use tokenward_programs::failure::Failure;
use tokenward_programs::http::{Answer, Caller};

use super::alerts::{Hook, Wanted};
use super::display::Display;
use super::played::Played;
use crate::stage::{ECHO, QUOTES, SAME_ORIGIN, Who};
use crate::visitor::Visitor;
use crate::world::World;

/// How long an alert may take from its fault to the webhook: its window, a scrape, an evaluation, and
/// what a busy machine adds.
const FIRE_LIMIT: Duration = Duration::from_secs(60);

/// How long an alert may take to clear when its fault is over: the longest window, and the longest
/// pause of the breaker.
const CLEAR_LIMIT: Duration = Duration::from_secs(100);

/// How often the webhook is looked at.
const GAP: Duration = Duration::from_millis(100);

/// Between two calls of the callers who are always there.
const CALL_GAP: Duration = Duration::from_millis(150);

/// Between two reports of a display.
const REPORT_GAP: Duration = Duration::from_secs(1);

/// Everything that is on stage.
#[derive(Debug)]
pub(super) struct Scene {
    world: World,
    pub(super) control: Control,
    hook: Hook,
    pub(super) played: Played,
    over: AtomicBool,
    quiet: AtomicBool,
    broken: Mutex<Vec<String>>,
}

impl Scene {
    pub(super) fn new(world: World, hook: Hook, played: Played) -> Self {
        let control = world.control();
        let (over, quiet) = (AtomicBool::new(false), AtomicBool::new(false));
        Self { world, control, hook, played, over, quiet, broken: Mutex::default() }
    }

    pub(super) fn hook(&self) -> &Hook {
        &self.hook
    }

    pub(super) fn world(&self) -> &World {
        &self.world
    }

    /// Becomes true when the play is over.
    pub(super) fn over(&self) -> &AtomicBool {
        &self.over
    }

    pub(super) fn finish(&self) {
        self.over.store(true, Ordering::Relaxed);
    }

    pub(super) fn stop(&mut self) -> Result<(), Failure> {
        self.world.stop()
    }

    /// Notes what must not have been.
    pub(super) fn note(&self, fault: String) {
        self.broken.lock().unwrap_or_else(PoisonError::into_inner).push(fault);
    }

    /// Returns what must not have been.
    pub(super) fn broken(&self) -> Vec<String> {
        self.broken.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Calls two APIs again and again, until the play is over; rests while it should be quiet.
    pub(super) fn call_on_and_on(&self, who: &[Who]) {
        while !self.over.load(Ordering::Relaxed) {
            for one in who {
                for path in [QUOTES, ECHO] {
                    if !self.quiet.load(Ordering::Relaxed) {
                        self.get(one, path);
                    }
                }
            }
            thread::sleep(CALL_GAP);
        }
    }

    /// Lets the callers who are always there rest, or go on.
    pub(super) fn hush(&self, quiet: bool) {
        self.quiet.store(quiet, Ordering::Relaxed);
    }

    /// Lets a display report of itself each second; it stays away while there are troubles.
    pub(super) fn report_on_and_on(&self, display: &Display) {
        let mut was_ill = false;
        while !self.over.load(Ordering::Relaxed) {
            let is_ill = self.played.is_ill();
            let is_quiet = self.quiet.load(Ordering::Relaxed);
            if !(is_quiet || is_ill && was_ill) {
                self.get_with(&display.who, QUOTES, Some(Display::report(is_ill)));
            }
            was_ill = is_ill;
            thread::sleep(REPORT_GAP);
        }
    }

    /// Gives Ada an authenticator.
    pub(super) fn ada(&self) -> Result<(), Failure> {
        let ada = json!({
            "name": "ada", "display_name": "Ada Lovelace", "email": "ada@sandbox.example",
            "factors": [{ "kind": "otp" }],
        });
        self.control.post("users", &ada).map(drop)
    }

    /// Signs Ada in from so many browsers.
    pub(super) fn browsers(&self, count: usize) -> Result<Vec<Who>, Failure> {
        let signed_in = |_| {
            let mut visitor = Visitor::new(&self.world.origin());
            visitor.sign_in("ada").map_err(Failure::Ours)?;
            Ok(Who::with(&visitor))
        };
        (0..count).map(signed_in).collect()
    }

    /// Calls a path of the gateway; nothing where no answer came.
    pub(super) fn get(&self, who: &Who, path: &str) -> Option<Answer> {
        self.get_with(who, path, None)
    }

    fn get_with(&self, who: &Who, path: &str, more: Option<(&str, &str)>) -> Option<Answer> {
        let url = format!("{}{path}", self.world.origin());
        let headers = [who.header(), ("accept", "application/json")];
        let headers: Vec<(&str, &str)> = headers.into_iter().chain(more).collect();
        Caller::new().fetch(&url, &headers).ok()
    }

    /// Shows a factor, as a page of the gateway would; the status.
    pub(super) fn show_code(&self, who: &Who, held: &Value, code: &str) -> u16 {
        let url = format!("{}/auth/mfa/verify", self.world.origin());
        let headers = [who.header(), ("accept", "application/json"), SAME_ORIGIN];
        let body = json!({ "mfa_token": held["mfa_token"], "otp": code });
        Caller::new().post_json(&url, &headers, &body).map_or(0, |answer| answer.status)
    }

    /// Returns the one-time password that Ada's authenticator shows.
    pub(super) fn otp(&self) -> Result<String, Failure> {
        let told = self.control.read("users/ada/otp")?;
        Ok(told["otp"].as_str().unwrap_or_default().to_owned())
    }

    /// Ends a session as an operator does.
    pub(super) fn end(&self, who: &Who) -> Result<(), Failure> {
        let id = who.id.as_deref().unwrap_or_default();
        let url = self.world.admin(&format!("/api/sessions/{id}"));
        Caller::new().delete(&url).map(drop).map_err(Failure::Ours)
    }

    /// Changes the tenant.
    pub(super) fn tenant(&self, patch: &Value) -> Result<(), Failure> {
        self.control.post("tenant", patch).map(drop)
    }

    /// Returns the gateway's numbers.
    pub(super) fn numbers(&self) -> Result<String, Failure> {
        let answer = Caller::new().fetch(&self.world.admin("/metrics"), &[]);
        answer.map(|answer| answer.body).map_err(Failure::Ours)
    }

    /// Tells the gateway to read its configuration again.
    pub(super) fn reload(&self) -> Result<(), Failure> {
        let number = i32::try_from(self.world.gateway.id());
        let number = number.map_err(|error| Failure::Ours(error.to_string()))?;
        signal::kill(Pid::from_raw(number), Signal::SIGHUP)
            .map_err(|error| Failure::Ours(format!("the gateway takes no signal: {error}")))
    }

    /// Waits until alerts have arrived; says which did not.
    pub(super) fn until_fired(&self, wanted: &[Wanted], names: &[&str]) {
        self.until(wanted, names, FIRE_LIMIT, "did not fire", |alert| self.hook.fired(alert));
    }

    /// Waits until alerts are over; says which are not.
    pub(super) fn until_cleared(&self, wanted: &[Wanted], names: &[&str]) {
        self.until(wanted, names, CLEAR_LIMIT, "did not clear", |alert| self.hook.cleared(alert));
    }

    fn until(
        &self,
        wanted: &[Wanted],
        names: &[&str],
        limit: Duration,
        otherwise: &str,
        done: impl Fn(&Wanted) -> bool,
    ) {
        let ours: Vec<&Wanted> =
            wanted.iter().filter(|alert| names.contains(&alert.name.as_str())).collect();
        let all = || ours.iter().all(|alert| done(alert)).then_some(());
        if clock::poll(limit, GAP, all).is_none() {
            for alert in ours.into_iter().filter(|alert| !done(alert)) {
                self.note(format!("{} {} {otherwise}", alert.name, alert.window));
            }
        }
    }
}
