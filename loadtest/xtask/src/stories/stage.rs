//! One story's own provider, gateway, people and displays.

use std::sync::Barrier;
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};
use tokenward_programs::clock::{self, Watch};
use tokenward_programs::control::Control;
use tokenward_programs::failure::Failure;
use tokenward_programs::http::{Answer, Caller};

use super::Story;
use crate::stage::{self, SAME_ORIGIN, Who};
use crate::tree::Tree;
use crate::visitor::Visitor;
use crate::world::{CLIENT_ID, CLIENT_SECRET, World};

/// How long anything is waited for that must happen.
const PATIENCE: Duration = Duration::from_secs(40);
/// Between two calls of one caller that comes again and again.
const GAP: Duration = Duration::from_millis(50);
/// The most faults of one story that are told one by one.
const TOLD_MAX: usize = 6;

/// The audiences that stories name.
pub(super) const QUOTES_AUDIENCE: &str = "https://quotes.sandbox.example";
pub(super) const ACCOUNTS_AUDIENCE: &str = "https://accounts.sandbox.example";

/// What the sandbox returns as `acr` after a second factor.
pub(super) const MFA_ACR: &str = "urn:tokenward:sandbox:mfa";

/// The stage.
#[derive(Debug)]
pub(super) struct Stage {
    pub(super) world: World,
    pub(super) control: Control,
    broken: Vec<String>,
}

impl Stage {
    /// Starts provider and gateway.
    pub(super) fn open(tree: &Tree, story: &Story) -> Result<Self, Failure> {
        let name = format!("story-{}", story.name.replace('.', "_"));
        let world = stage::start(tree, &name, story.life, story.file)?;
        let control = world.control();
        Ok(Self { world, control, broken: Vec::new() })
    }

    /// Stops the programs and returns what must not have been, with the laws that hold in every
    /// story.
    pub(super) fn close(mut self) -> Vec<String> {
        self.sum_is("reuse_detected", 0, "in the whole story");
        self.sum_is("families_revoked", 0, "in the whole story");
        let alone = self.sum("max_concurrent_per_family");
        self.expect(alone <= 1, || format!("{alone} refreshes of one session were in flight"));
        if let Err(failure) = self.world.check().and_then(|()| self.world.stop()) {
            self.broken.push(failure.to_string());
        }
        self.broken.truncate(TOLD_MAX);
        self.broken
    }

    /// Notes what must not have been, where it was.
    pub(super) fn expect(&mut self, good: bool, otherwise: impl FnOnce() -> String) {
        if !good {
            self.broken.push(otherwise());
        }
    }

    /// Returns one of the provider's sums.
    pub(super) fn sum(&self, key: &str) -> u64 {
        self.control.sum(key).unwrap_or(u64::MAX)
    }

    /// Expects one of the provider's sums.
    pub(super) fn sum_is(&mut self, key: &str, expected: u64, when: &str) {
        let sum = self.sum(key);
        self.expect(sum == expected, || format!("{key} is {sum} instead of {expected} {when}"));
    }

    /// Changes the tenant.
    pub(super) fn tenant(&self, patch: &Value) -> Result<(), Failure> {
        self.control.post("tenant", patch).map(drop)
    }

    /// Replaces the tenant's rules.
    pub(super) fn rules(&self, rules: Value) -> Result<(), Failure> {
        self.tenant(&json!({ "mfa": { "rules": rules, "otp_single_use": false } }))
    }

    /// Tells the tenant that the gateway is the client of a wall display.
    pub(super) fn be_a_display(&self) -> Result<(), Failure> {
        let client = json!({
            "client_id": CLIENT_ID,
            "client_secret": CLIENT_SECRET,
            "metadata": { "device_type": "display" },
        });
        self.control.post("clients", &client).map(drop)
    }

    /// Makes sessions that no person sits at: displays, programs.
    pub(super) fn programs(&self, count: u32) -> Result<Vec<Who>, Failure> {
        stage::programs(&self.world, count)
    }

    /// Gives Ada factors and signs her in with a browser.
    pub(super) fn person(&self, factors: Value) -> Result<Visitor, Failure> {
        self.ada(factors)?;
        let mut visitor = Visitor::new(&self.world.origin());
        visitor.sign_in("ada").map_err(Failure::Ours)?;
        Ok(visitor)
    }

    /// Gives Ada factors.
    pub(super) fn ada(&self, factors: Value) -> Result<(), Failure> {
        let ada = json!({
            "name": "ada", "display_name": "Ada Lovelace", "email": "ada@sandbox.example",
            "factors": factors,
        });
        self.control.post("users", &ada).map(drop)
    }

    /// Returns the one-time password that Ada's authenticator shows.
    pub(super) fn otp(&self) -> Result<String, Failure> {
        Ok(word(&self.control.read("users/ada/otp")?, "otp"))
    }

    /// Returns the code of the last message that Ada got.
    pub(super) fn message(&self) -> Result<String, Failure> {
        let told = self.control.read("users/ada/messages")?;
        let last = told["messages"].as_array().and_then(|messages| messages.last()).cloned();
        Ok(word(&last.unwrap_or_default(), "code"))
    }

    /// Calls a path of the gateway.
    pub(super) fn get(&self, who: &Who, path: &str) -> Answer {
        let url = format!("{}{path}", self.world.origin());
        heard(Caller::new().fetch(&url, &[who.header(), ("accept", JSON)]))
    }

    /// Posts JSON to a path of the gateway, as a page of its own would.
    pub(super) fn post(&self, who: &Who, path: &str, body: &Value) -> Answer {
        let url = format!("{}{path}", self.world.origin());
        let headers = [who.header(), ("accept", JSON), SAME_ORIGIN];
        heard(Caller::new().post_json(&url, &headers, body))
    }

    /// Posts a form to a path of the gateway, as a device without a credential does.
    pub(super) fn send(&self, path: &str, fields: &[(&str, &str)]) -> Answer {
        let url = format!("{}{path}", self.world.origin());
        let owned = |&(name, value): &(&str, &str)| (name.to_owned(), value.to_owned());
        let fields: Vec<(String, String)> = fields.iter().map(owned).collect();
        heard(Caller::new().post_form(&url, &[("accept", JSON)], &fields))
    }

    /// Lets the operator try at once what a session waits for.
    pub(super) fn retry(&mut self, who: &Who) {
        let id = who.id.clone().unwrap_or_default();
        let url = self.world.admin(&format!("/api/sessions/{id}/retry"));
        let answer = heard(Caller::new().post_json(&url, &[], &json!({})));
        self.expect(answer.status == 202, || format!("the retry answered {}", shown(&answer)));
    }

    /// Expects a status, and a word in the body; returns the body.
    pub(super) fn answered(
        &mut self,
        answer: &Answer,
        status: u16,
        expected: &str,
        when: &str,
    ) -> Value {
        let good = answer.status == status && answer.body.contains(expected);
        self.expect(good, || {
            format!("{when}: expected {status} {expected}, got {}", shown(answer))
        });
        serde_json::from_str(&answer.body).unwrap_or_default()
    }

    /// Calls an API and expects it to be served; returns what the API saw of the access token.
    pub(super) fn served(&mut self, who: &Who, path: &str, when: &str) -> Value {
        let answer = self.get(who, path);
        self.answered(&answer, 200, "", when)["access_token_seen"].take()
    }

    /// Calls an API and expects to hear that another factor is required; returns what was said.
    pub(super) fn held(&mut self, who: &Who, path: &str, when: &str) -> Value {
        let answer = self.get(who, path);
        self.answered(&answer, 403, "mfa_required", when)
    }

    /// Calls an API again and again until it answers with a status; returns that answer.
    pub(super) fn until(&self, who: &Who, path: &str, status: u16) -> Result<Answer, Failure> {
        let looked = || {
            let answer = self.get(who, path);
            (answer.status == status).then_some(answer)
        };
        let never = || Failure::Missed(format!("{path} never answered {status}"));
        clock::poll(PATIENCE, GAP, looked).ok_or_else(never)
    }

    /// Calls APIs again and again for so long and expects each to answer with its status.
    pub(super) fn call_for(
        &mut self,
        time: Duration,
        who: &Who,
        calls: &[(&str, u16)],
        when: &str,
    ) {
        let watch = Watch::start();
        while watch.elapsed() < time {
            for (path, status) in calls {
                let answer = self.get(who, path);
                self.answered(&answer, *status, "", &format!("{path}, {when}"));
            }
            thread::sleep(GAP);
        }
    }

    /// Calls APIs from so many callers at the same time; returns the answers.
    pub(super) fn at_once(&self, who: &[Who], paths: &[&str], callers: usize) -> Vec<Answer> {
        let start = Barrier::new(callers);
        thread::scope(|scope| {
            let called: Vec<_> = (0..callers)
                .map(|caller| {
                    let (start, who) = (&start, &who[caller % who.len()]);
                    let path = paths[caller % paths.len()];
                    scope.spawn(move || {
                        start.wait();
                        self.get(who, path)
                    })
                })
                .collect();
            called.into_iter().filter_map(|call| call.join().ok()).collect()
        })
    }
}

/// Returns a word of a JSON object; nothing where it is absent.
pub(super) fn word(told: &Value, name: &str) -> String {
    told[name].as_str().unwrap_or_default().to_owned()
}

/// Says what an answer was; a body may hold a handle, so that only its error is told.
pub(super) fn shown(answer: &Answer) -> String {
    let told: Value = serde_json::from_str(&answer.body).unwrap_or_default();
    format!("{} {} {}", answer.status, word(&told, "error"), word(&told, "error_description"))
}

const JSON: &str = "application/json";

/// An answer that never came is one that no story expects.
fn heard(answer: Result<Answer, String>) -> Answer {
    answer.unwrap_or_else(|why| {
        let body = json!({ "error": "no answer", "error_description": why }).to_string();
        Answer { status: 0, headers: tokenward_programs::http::HeaderMap::new(), body }
    })
}
