//! How sessions come to be before a run: by signing in as a browser does, or by adoption.

use std::thread;

use serde_json::json;
use tokenward_programs::adoption::{self, Family, Wish};
use tokenward_programs::failure::Failure;
use tokenward_programs::http::{Answer, Caller};

use super::files::CLIENT_ID;
use super::{Control, Fleet};
use crate::plan::{Api, Plan, SignIn};

/// Sign-ins at once: enough to keep two cores busy.
const LANES: usize = 4;

/// A session, and what its caller sends.
#[derive(Clone)]
pub struct Session {
    /// Whom it belongs to.
    pub subject: String,
    /// The header that carries its credential.
    pub header: &'static str,
    /// The credential. Has no text in logs, because it is a secret.
    pub credential: String,
}

/// Makes the sessions of a plan, spread over the gateways.
///
/// # Errors
/// `Ours` when sandbox or gateway refuse.
pub fn sign_in(plan: &Plan, fleet: &Fleet) -> Result<Vec<Session>, Failure> {
    match plan.sessions.by {
        SignIn::Browser => {
            let control = fleet.control();
            in_lanes(&(0..plan.sessions.count).collect::<Vec<_>>(), |&number, caller| {
                browse(fleet, &control, caller, number)
            })
        }
        SignIn::Adoption => {
            let wish = Wish {
                count: plan.sessions.count,
                client_id: CLIENT_ID,
                audience: Api::Quotes.audience(),
                scope: Api::Quotes.scope(),
            };
            let minted = adoption::mint(fleet.control().port(), &wish)?;
            in_lanes(&minted, |family, caller| adopt(fleet, caller, family))
        }
    }
}

/// Does the same with each of many, some at once, and keeps their order.
fn in_lanes<T: Sync>(
    all: &[T],
    one: impl Fn(&T, &Caller) -> Result<Session, Failure> + Sync,
) -> Result<Vec<Session>, Failure> {
    let share = all.len().div_ceil(LANES).max(1);
    thread::scope(|scope| {
        let lane = |part| {
            let one = &one;
            scope.spawn(move || {
                let caller = Caller::new();
                let made = <[T]>::iter(part).map(|item| one(item, &caller));
                made.collect::<Result<Vec<Session>, Failure>>()
            })
        };
        let lanes: Vec<_> = all.chunks(share).map(lane).collect();
        let mut sessions = Vec::with_capacity(all.len());
        for lane in lanes {
            let made = lane.join();
            let made = made.map_err(|_| Failure::Ours("a sign-in panicked".to_owned()))?;
            sessions.extend(made?);
        }
        Ok(sessions)
    })
}

fn browse(
    fleet: &Fleet,
    control: &Control,
    caller: &Caller,
    number: u32,
) -> Result<Session, Failure> {
    let gateway = &fleet.gateways[number as usize % fleet.gateways.len()];
    let name = format!("load-{number}");
    let user = control.post("users", &json!({ "name": name }))?;
    let subject = user["subject"].as_str().unwrap_or_default().to_owned();
    let start = format!("http://127.0.0.1:{}/auth/login?return_to=/", gateway.port);
    let page = [("accept", "text/html")];
    let begun = caller.fetch(&start, &page).map_err(Failure::Ours)?;
    let approve = json!({ "authorize_url": redirect(&begun, "login")?, "user": name });
    let approved = control.post("authenticate", &approve)?;
    let place = approved["location"].as_str().unwrap_or_default();
    let cookies = cookies(&begun);
    let done = caller.fetch(place, &[page[0], ("cookie", &cookies)]).map_err(Failure::Ours)?;
    redirect(&done, "callback")?;
    let credential = cookies_of(&done).filter(|pair| !pair.ends_with('=')).collect::<Vec<_>>();
    if credential.is_empty() {
        return Err(Failure::Ours("the gateway set no cookie after a sign-in".to_owned()));
    }
    Ok(Session { subject, header: "cookie", credential: credential.join("; ") })
}

fn adopt(fleet: &Fleet, caller: &Caller, family: &Family) -> Result<Session, Failure> {
    let [gateway, ..] = fleet.gateways.as_slice() else {
        return Err(Failure::Ours("a fleet without gateways".to_owned()));
    };
    let adopted = adoption::adopt(&gateway.admin_url(""), caller, family, Api::Quotes.audience())?;
    Ok(Session {
        subject: family.subject.clone(),
        header: "authorization",
        credential: format!("Bearer {}", adopted.handle),
    })
}

fn redirect<'a>(answer: &'a Answer, step: &str) -> Result<&'a str, Failure> {
    answer.header("location").ok_or_else(|| {
        Failure::Ours(format!("the gateway's {step} answered {} and leads nowhere", answer.status))
    })
}

fn cookies(answer: &Answer) -> String {
    cookies_of(answer).collect::<Vec<_>>().join("; ")
}

fn cookies_of(answer: &Answer) -> impl Iterator<Item = &str> {
    let lines = answer.headers.get_all("set-cookie").iter().filter_map(|line| line.to_str().ok());
    lines.filter_map(|line| line.split(';').next())
}
