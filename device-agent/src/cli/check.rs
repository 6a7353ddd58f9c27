//! `check`: everything the display needs, tried once: a line each, ok or what mends it.

use std::path::Path;

use tokenward::Clock;

use super::{Failure, feed, runtime, say};
use crate::agent::{Complaint, Fetched, Memory, Miss, Return};
use crate::button::{Button, Wiring};
use crate::config::Config;
use crate::feed::{Feed, Reply};
use crate::kernel;
use crate::numbers::{Condition, Numbers};
use crate::panel::bus::LinuxBus;
use crate::panel::{Counts, Wired};
use crate::state::{StateFault, Store};

/// What became of one trial.
enum Found {
    /// When it is as it should be; with what was seen.
    Well(String),
    /// When the display works all the same, or will soon; with what is to be known.
    Fair(String),
    /// When it does not work; with the code to end with.
    Ill(Failure),
}

/// Tries everything, and ends with the code of the first thing that is ill.
pub(super) fn check(config: &Config) -> Result<(), Failure> {
    tell("config", &Found::Well(config.path.display().to_string()));
    let mut first_ill = None;
    let mut note = |what: &str, found: Found| {
        tell(what, &found);
        if let Found::Ill(failure) = found {
            first_ill.get_or_insert(failure);
        }
    };
    note("panel", panel(config));
    let runtime = runtime()?;
    if let Some(wiring) = &config.button {
        note("button", runtime.block_on(async { button(wiring) }));
    }
    note("clock", clock());
    let (found, memory) = state(config);
    note("state", found);
    let asked = runtime.block_on(async {
        let feed = feed(config).await?;
        Ok(asked(config, &feed, memory).await)
    });
    match asked {
        Ok((network, sign_in)) => {
            note("network", network);
            note("sign-in", sign_in);
        }
        Err(failure) => note("network", Found::Ill(failure)),
    }
    match first_ill {
        Some(failure) => Err(Failure { code: failure.code, sentence: "not ready".to_owned() }),
        None => Ok(()),
    }
}

fn tell(what: &str, found: &Found) {
    let (mark, words) = match found {
        Found::Well(words) => ("ok", words),
        Found::Fair(words) => ("but", words),
        Found::Ill(failure) => ("NO", &failure.sentence),
    };
    say(&format!("{mark:<4}{what:<9}{words}"));
}

fn panel(config: &Config) -> Found {
    let fitting = &config.fitting;
    let mut wires = Wired::new(fitting, LinuxBus::new(&fitting.bus));
    let (bus, make) = (fitting.bus.display(), fitting.make);
    match wires.find() {
        Ok(address) => Found::Well(format!("{make} at {address:#04x} on {bus}")),
        Err(fault) => Found::Ill(Failure::unavailable(format!(
            "{make} on {bus}: {fault}; {}",
            fault.remedy()
        ))),
    }
}

fn button(wiring: &Wiring) -> Found {
    let place = format!("line {} of {}", wiring.line, wiring.chip.display());
    match Button::open(wiring) {
        Ok(_) => Found::Well(place),
        Err(fault) => {
            Found::Ill(Failure::unavailable(format!("{place}: {fault}; {}", fault.remedy())))
        }
    }
}

fn clock() -> Found {
    if kernel::is_clock_right(Clock::system().unix().0) {
        Found::Well("set, and kept by the network".to_owned())
    } else {
        Found::Fair(
            "not synchronised: enable systemd-timesyncd; until then --:-- is shown".to_owned(),
        )
    }
}

fn state(config: &Config) -> (Found, Option<Memory>) {
    let folder = &config.state_dir;
    match Store::open(folder) {
        Ok((_, memory)) => (Found::Well(words_of(folder, memory.handle.is_some())), Some(memory)),
        Err(fault @ StateFault::Locked(_)) => {
            (Found::Fair(format!("{fault}, for what follows")), None)
        }
        Err(fault) => (Found::Ill(fault.into()), None),
    }
}

fn words_of(folder: &Path, is_signed_in: bool) -> String {
    let holds = if is_signed_in { "holds a credential" } else { "empty" };
    format!("{}, yours alone; {holds}", folder.display())
}

/// Asks as the display does: for the content where it is signed in, and otherwise for
/// the session, which says whether anybody is there without asking for a code.
async fn asked(config: &Config, feed: &Feed, memory: Option<Memory>) -> (Found, Found) {
    let gateway = config.origin.name();
    let condition = Condition {
        panel: config.fitting.make.name(),
        is_up: true,
        state: "booting",
        stale: None,
        is_clock_right: kernel::is_clock_right(Clock::system().unix().0),
        uptime: 0,
    };
    let (header, _) = Numbers::default().header(&condition, Counts::default());
    let signed_in = memory.and_then(|memory| memory.handle);
    let reply = match &signed_in {
        Some(handle) => feed.fetch(handle, None, &header).await,
        None => feed.knock(&header).await,
    };
    let network = network(gateway, &reply);
    let sign_in = match (reply.meaning, signed_in.is_some()) {
        (Return::Fetched(Fetched::Fresh { content, .. }), _) => Found::Well(format!(
            "signed in; the content has {} letters",
            content.text.chars().count()
        )),
        (Return::Fetched(Fetched::Held(_)), _) => Found::Fair(
            "signed in; another factor is wanted: scan the code on the panel".to_owned(),
        ),
        (Return::Fetched(Fetched::SignedOut), true) => {
            Found::Fair("the session is over: the panel will show a code".to_owned())
        }
        (Return::Missed(Miss::Failed(complaint)), _) => {
            Found::Ill(Failure::unavailable(format!("{}: {}", complaint.what, complaint.remedy)))
        }
        (Return::Missed(Miss::Busy(_)), _) => {
            Found::Fair("the gateway is busy; again later".to_owned())
        }
        (Return::Missed(_), _) => Found::Fair("not tried".to_owned()),
        (_, true) => Found::Well("signed in".to_owned()),
        (_, false) => {
            Found::Fair("nobody yet: start it, and scan the code on the panel".to_owned())
        }
    };
    (network, sign_in)
}

fn network(gateway: &str, reply: &Reply) -> Found {
    let miss = match &reply.meaning {
        Return::Missed(miss) if !reply.was_answered => miss,
        Return::Coded(_)
        | Return::Fetched(_)
        | Return::Looked(_)
        | Return::Missed(_)
        | Return::Polled(_) => return Found::Well(format!("{gateway} answers")),
    };
    Found::Ill(match miss {
        Miss::Offline | Miss::Busy(_) => Failure::unavailable(format!(
            "{gateway} is not reached: check cable or wireless, name and port"
        )),
        Miss::CertificateTime => Failure::unavailable(format!(
            "{gateway}: its certificate is not valid at what our clock shows: set the clock, or \
             renew it"
        )),
        Miss::Failed(Complaint { what, remedy }) => {
            Failure::configuration(format!("{gateway}: {what}: {remedy}"))
        }
    })
}
