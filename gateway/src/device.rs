//! Signing in devices that have no keyboard (RFC 8628): the gateway is their authorization server.
//!
//! A device asks for a code and shows it ([`code`]); a person opens `/d/CODE` on a phone, compares
//! the two and signs in at the provider (`door`); the device fetches the handle of a session of its
//! own ([`token`]). The person's browser gets no session from it.
//!
//! Open codes are kept in memory only: they live for minutes, are worth nothing without their
//! device, and a device whose code was forgotten asks for another. The rules are the core's; here
//! are the clock, the randomness and the lock.

use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::http::HeaderMap;
use tokenward::SessionHandle;
use tokenward::core::device_sign_in::codes::{
    Answer, CodeId, Codes, DeviceKind, OpenFault, Standing, Terms, Wish,
};
use tokenward::core::device_sign_in::links::{Linked, Links};
use tokenward::core::device_sign_in::tries::{
    CODES, CODES_PER_PLACE, GUESSES, GUESSES_PER_PLACE, Tries,
};
use tokenward::core::device_sign_in::user_code::UserCode;
use tokenward::core::secret::AccessToken;
use tokenward::core::time::Instant;

use crate::config::Config;
use crate::control::Visitor;
use crate::inject::FORWARDED_FOR;

mod approve;
mod authorize;
mod door;
mod form;
#[cfg(test)]
mod hostile;
mod link;
mod page;
mod pass;
mod redeem;
mod report;

pub(crate) use approve::approve;
pub(crate) use authorize::code;
pub(crate) use door::{pages, signed_in_page};
pub(crate) use link::{link_of, over, with_link};
pub(crate) use pass::{CONFIRMED, LATER, Pass};
pub(crate) use redeem::token;
pub(crate) use report::{HEADER, Listed, Reports, listed, look_at_content, note};

/// Where people approve devices: short, because some type it.
pub(crate) const ROOT: &str = "/d";

/// How often another code is drawn where one is in use: at 10,000 open ones, once is rare.
const DRAWS: usize = 8;

/// What is known of displays.
#[derive(Debug)]
pub(crate) struct Displays {
    desk: Mutex<Desk>,
    reports: Reports,
}

#[derive(Debug)]
struct Desk {
    codes: Codes,
    links: Links,
    openings: Tries<IpAddr>,
    guesses: Tries<IpAddr>,
}

/// A code that was opened, as its device is told.
struct Opened {
    device_code: SessionHandle,
    user_code: UserCode,
}

/// What a code of `/d` leads to.
enum Found {
    /// A display that wants to sign in, and how long its code is good for.
    SignIn(Wish, Duration),
    /// A display that is held.
    StepUp(Linked),
}

/// Why somebody who names a user code gets nowhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Astray {
    /// There is no such code.
    Wrong,
    /// Too many wrong ones were tried; says how long to wait.
    TooMany(Duration),
    /// It waits no more.
    Over(Standing),
}

impl Default for Displays {
    fn default() -> Self {
        let desk = Mutex::new(Desk {
            codes: Codes::default(),
            links: Links::default(),
            openings: Tries::new(CODES_PER_PLACE, CODES),
            guesses: Tries::new(GUESSES_PER_PLACE, GUESSES),
        });
        Self { desk, reports: Reports::default() }
    }
}

impl Displays {
    /// Returns what displays have told of themselves.
    pub(crate) fn reports(&self) -> &Reports {
        &self.reports
    }

    fn open(
        &self,
        place: IpAddr,
        wish: &Wish,
        terms: Terms,
        now: Instant,
    ) -> Result<Opened, Duration> {
        let mut desk = self.desk();
        desk.openings.take(place, now)?;
        for _ in 0..DRAWS {
            let device_code = SessionHandle::random();
            let id = CodeId(device_code.key().0);
            let Some(user_code) = desk.draw() else { continue };
            match desk.codes.open((id, user_code), wish.clone(), terms, now) {
                Ok(()) => return Ok(Opened { device_code, user_code }),
                Err(OpenFault::Full(wait)) => return Err(wait),
                Err(OpenFault::Taken) => {}
            }
        }
        Err(terms.interval)
    }

    fn poll(&self, device_code: &SessionHandle, kind: &DeviceKind, now: Instant) -> Answer {
        self.desk().codes.poll(CodeId(device_code.key().0), kind, now)
    }

    /// Finds what a code asks for, where it waits for a person; a wrong one counts as a guess.
    fn look(&self, place: IpAddr, user: UserCode, now: Instant) -> Result<Found, Astray> {
        let mut desk = self.desk();
        desk.guesses.ask(place, now).map_err(Astray::TooMany)?;
        let linked = desk.links.look(user).cloned();
        match (desk.codes.look(user, now), linked) {
            (Some((wish, Standing::Waiting(left))), _) => Ok(Found::SignIn(wish.clone(), left)),
            (Some((_, standing)), _) => Err(Astray::Over(standing)),
            (None, Some(linked)) => Ok(Found::StepUp(linked)),
            (None, None) => {
                // What it says was asked above.
                let _ = desk.guesses.take(place, now);
                Err(Astray::Wrong)
            }
        }
    }

    /// Returns the link of a hold; makes one where it has none yet.
    fn link(&self, linked: &Linked) -> Option<UserCode> {
        let mut desk = self.desk();
        if let Some(known) = desk.links.of(linked) {
            return Some(known);
        }
        (0..DRAWS).find_map(|_| {
            let user = desk.draw()?;
            desk.links.put(user, linked.clone()).then_some(user)
        })
    }

    /// Forgets a link whose hold is gone.
    fn unlink(&self, user: UserCode) {
        self.desk().links.remove(user);
    }

    fn deny(&self, user: UserCode, now: Instant) -> Result<(), Astray> {
        self.desk().codes.deny(user, now).map_err(Astray::of)
    }

    fn claim(&self, user: UserCode, now: Instant) -> Result<Wish, Astray> {
        self.desk().codes.claim(user, now).map_err(Astray::of)
    }

    fn release(&self, user: UserCode) {
        self.desk().codes.release(user);
    }

    fn grant(&self, user: UserCode, handle: AccessToken) -> Result<(), AccessToken> {
        self.desk().codes.grant(user, handle)
    }

    fn sweep(&self, now: Instant) -> Vec<AccessToken> {
        self.desk().codes.sweep(now)
    }

    fn desk(&self) -> MutexGuard<'_, Desk> {
        // Every change is complete before it can panic.
        self.desk.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Desk {
    /// Draws a user code that nothing here has; `None` where it was one that something has.
    fn draw(&self) -> Option<UserCode> {
        // Of a hash of randomness, so that there is one source of it.
        let user = UserCode::of_random(&SessionHandle::random().key().0)?;
        let is_known = self.links.look(user).is_some() || self.codes.has(user);
        (!is_known).then_some(user)
    }
}

impl Astray {
    fn of(standing: Option<Standing>) -> Self {
        standing.map_or(Self::Wrong, Self::Over)
    }
}

/// Returns the place that a request comes from, by which tries are counted: the caller's address
/// as a trusted proxy tells it, and of IPv6 the network, of which one machine has all addresses.
fn place_of(config: &Config, visitor: &Visitor, headers: &HeaderMap) -> IpAddr {
    let trusts = |place: &IpAddr| config.trusted_proxies.iter().any(|net| net.contains(place));
    let told = headers.get_all(FORWARDED_FOR).into_iter().filter_map(|line| line.to_str().ok());
    let told: Vec<IpAddr> =
        told.flat_map(|line| line.split(',')).map_while(|one| one.trim().parse().ok()).collect();
    let mut place = visitor.peer;
    // Each proxy wrote down whom it saw, the nearest one last.
    for before in told.into_iter().rev() {
        if !trusts(&place) {
            break;
        }
        place = before;
    }
    match place {
        IpAddr::V4(_) => place,
        IpAddr::V6(address) => match address.to_ipv4_mapped() {
            Some(address) => IpAddr::V4(address),
            None => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & NETWORK)),
        },
    }
}

/// The bits of an IPv6 address that say which network it is of (RFC 4291 §2.5.4).
const NETWORK: u128 = !0 << 64;
