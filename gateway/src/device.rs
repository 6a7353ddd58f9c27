//! Signing in devices that have no keyboard (RFC 8628): the gateway is their authorization server.
//!
//! A device asks for a code and shows it ([`code`]); a person opens `/d/CODE` on a phone, compares
//! the two and signs in at the provider (`door`); the device fetches the handle of a session of its
//! own ([`token`]). The person's browser gets no session from it.
//!
//! What is open is kept as notes on the board of the store (`desk`, `kept`), so that any gateway of a
//! fleet goes on with what another has begun; where the store is one machine's own, in memory. The rules
//! are the core's; how often anybody may try is counted here, by each gateway for itself.

use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::http::HeaderMap;
use tokenward::Vault;
use tokenward::core::device_sign_in::codes::Standing;
use tokenward::core::device_sign_in::links::Links;
use tokenward::core::device_sign_in::tally::Tally;
use tokenward::core::device_sign_in::tries::{
    CODES, CODES_PER_PLACE, GUESSES, GUESSES_PER_PLACE, Tries,
};

use crate::config::Config;
use crate::control::Visitor;
use crate::inject::FORWARDED_FOR;

mod approve;
mod authorize;
mod desk;
mod door;
mod form;
#[cfg(test)]
mod hostile;
mod kept;
mod link;
mod page;
mod pass;
mod redeem;
mod report;

pub(crate) use approve::approve;
pub(crate) use authorize::code;
pub(crate) use door::{pages, signed_in_page};
pub(crate) use link::{close_link, link_of, over, with_link};
pub(crate) use pass::{CONFIRMED, LATER, Pass};
pub(crate) use redeem::token;
pub(crate) use report::{HEADER, Listed, Reports, listed, look_at_content, note};

/// Where people approve devices: short, because some type it.
pub(crate) const ROOT: &str = "/d";

/// What is known of displays.
pub(crate) struct Displays {
    vault: Vault,
    counted: Mutex<Counted>,
    reports: Reports,
}

/// What this gateway counts, and has told lately.
#[derive(Debug)]
struct Counted {
    tally: Tally,
    links: Links,
    openings: Tries<IpAddr>,
    guesses: Tries<IpAddr>,
}

/// Why somebody who names a user code gets nowhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Astray {
    /// The store does not answer.
    Later,
    /// It waits no more.
    Over(Standing),
    /// Too many wrong ones were tried; says how long to wait.
    TooMany(Duration),
    /// There is no such code.
    Wrong,
}

impl Displays {
    /// Makes the desk of a gateway, before the store of its sessions.
    pub(crate) fn new(vault: Vault) -> Self {
        let counted = Mutex::new(Counted {
            tally: Tally::default(),
            links: Links::default(),
            openings: Tries::new(CODES_PER_PLACE, CODES),
            guesses: Tries::new(GUESSES_PER_PLACE, GUESSES),
        });
        Self { vault, counted, reports: Reports::default() }
    }

    /// Returns what displays have told of themselves.
    pub(crate) fn reports(&self) -> &Reports {
        &self.reports
    }

    fn counted(&self) -> MutexGuard<'_, Counted> {
        // Every change is complete before it can panic.
        self.counted.lock().unwrap_or_else(PoisonError::into_inner)
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
