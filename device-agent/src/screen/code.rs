//! Links as QR codes that a phone reads off small glass.

use qrcodegen::{QrCode, QrCodeEcc, QrSegment, Version};

use crate::screen::frame::Bits;

/// Pixels a module at least: what a phone's camera parts on glass of an inch. Below it nothing is
/// drawn, because a code that cannot be read is worse than none.
const SCALE_MIN: i32 = 2;

/// Rows of quiet zone above and below at least; 1.5 modules at two pixels each.
const QUIET_MIN: i32 = 3;

/// The largest code that is tried: 37 modules are 74 rows at two pixels, more than any glass here.
const VERSION_MAX: u8 = 5;

/// A code that fits its glass.
pub(super) struct Code {
    modules: QrCode,
    scale: i32,
}

impl Code {
    /// Makes the code of a link for so many rows; `None` where it would be too fine to read.
    pub(super) fn of(link: &str, rows: i32) -> Option<Self> {
        let link = upper_case_front(link);
        let segments = segments(&link);
        let low = QrCodeEcc::Low;
        let modules = QrCode::encode_segments_advanced(
            &segments,
            low,
            Version::MIN,
            Version::new(VERSION_MAX),
            None,
            // More correction where it costs no larger code.
            true,
        );
        let modules = modules.ok()?;
        let scale = (rows - 2 * QUIET_MIN) / modules.size();
        (scale >= SCALE_MIN).then_some(Self { modules, scale })
    }

    /// Draws the code in the middle of a lit square as high as the glass, whose left edge is given.
    pub(super) fn draw(&self, bits: &mut Bits, left: i32) {
        let side = i32::try_from(bits.height()).unwrap_or(0);
        let quiet = (side - self.modules.size() * self.scale) / 2;
        for y in 0..side {
            for x in 0..side {
                let module = |at: i32| (at - quiet).div_euclid(self.scale);
                // Outside of the code no module is dark.
                let dark = self.modules.get_module(module(x), module(y));
                bits.set(left + x, y, !dark);
            }
        }
    }
}

/// Writes scheme and host in upper case, where case means nothing (RFC 3986 §6.2.2.1): upper-case
/// letters take 5.5 bits instead of 8.
fn upper_case_front(link: &str) -> String {
    let host = link.find("://").map_or(0, |at| at + 3);
    let path = link[host..].find(['/', '?', '#']).map_or(link.len(), |at| host + at);
    // Whatever stands before an at sign is not a host.
    if link[..path].contains('@') {
        return link.to_owned();
    }
    let (front, rest) = link.split_at(path);
    format!("{}{rest}", front.to_ascii_uppercase())
}

/// The two ways to write a character that links use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    Alphanumeric,
    Bytes,
}

/// Parts a link where that takes the fewest bits. The crate writes all of it in one mode, which
/// costs a whole version as soon as one letter is in lower case.
fn segments(link: &str) -> Vec<QrSegment> {
    let mut segments = Vec::new();
    let mut start = 0;
    let modes = modes(link.as_bytes());
    while let Some(&mode) = modes.get(start) {
        let length = modes[start..].iter().take_while(|&&other| other == mode).count();
        let end = start + length;
        segments.push(match (mode, link.get(start..end)) {
            (Mode::Alphanumeric, Some(text)) => QrSegment::make_alphanumeric(text),
            (Mode::Alphanumeric | Mode::Bytes, _) => {
                QrSegment::make_bytes(&link.as_bytes()[start..end])
            }
        });
        start = end;
    }
    segments
}

/// Chooses a mode for each byte by the cheapest way to its end, counted in half bits.
fn modes(link: &[u8]) -> Vec<Mode> {
    const ALPHANUMERIC: (u32, u32) = (26, 11);
    const BYTES: (u32, u32) = (24, 16);
    const NEVER: u32 = u32::MAX / 2;
    let mut cost = [0, 0];
    // For each byte: which mode the way so far ends in, if this byte is written in either mode.
    let mut before = Vec::with_capacity(link.len());
    for (at, &byte) in link.iter().enumerate() {
        let step = |mode: usize, (head, each): (u32, u32), possible: bool| {
            let other = cost[1 - mode] + head + each;
            let same = if at == 0 { other } else { cost[mode] + each };
            let from = if same <= other { mode } else { 1 - mode };
            (if possible { same.min(other) } else { NEVER }, from)
        };
        let (alphanumeric, from_first) = step(0, ALPHANUMERIC, is_alphanumeric(byte));
        let (bytes, from_second) = step(1, BYTES, true);
        before.push([from_first, from_second]);
        cost = [alphanumeric.min(NEVER), bytes];
    }
    let mut mode = if cost[0] < cost[1] { 0 } else { 1 };
    let mut modes: Vec<_> = before
        .iter()
        .rev()
        .map(|from| {
            let chosen = if mode == 0 { Mode::Alphanumeric } else { Mode::Bytes };
            mode = from[mode];
            chosen
        })
        .collect();
    modes.reverse();
    modes
}

fn is_alphanumeric(byte: u8) -> bool {
    byte.is_ascii_uppercase() || byte.is_ascii_digit() || b" $%*+-./:".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_take_the_smallest_code_that_holds_them() {
        for (link, modules) in [
            ("https://gw.example/d/WDJB-MJHT", Some(25)),
            ("https://acme.eu.auth0.com/activate?user_code=WDJB-MJHT", Some(29)),
            ("https://displays.gateway.example.org/d/WDJB-MJHT", Some(29)),
            ("https://keycloak.example.org/realms/home/device?user_code=WDJB-MJHT", None),
        ] {
            let size = Code::of(link, 64).map(|code| code.modules.size());
            assert_eq!(size, modules, "{link}");
        }
        assert!(Code::of("https://gw.example/d/WDJB-MJHT", 32).is_none(), "low glass");
    }

    #[test]
    fn only_scheme_and_host_change_their_case() {
        for (link, expected) in [
            ("https://gw.example/d/x?y#z", "HTTPS://GW.EXAMPLE/d/x?y#z"),
            ("https://gw.example", "HTTPS://GW.EXAMPLE"),
            ("https://gw.example?q=a", "HTTPS://GW.EXAMPLE?q=a"),
            ("https://me@gw.example/d", "https://me@gw.example/d"),
        ] {
            assert_eq!(upper_case_front(link), expected);
        }
    }
}
