//! A QR code as one path of an SVG, drawn into the page: nothing is loaded for it.

use std::fmt::Write as _;

use qrcodegen::{QrCode, QrCodeEcc};

/// The margin that a reader needs (ISO/IEC 18004 §6.3.8), in modules.
const QUIET: i32 = 4;

/// A QR code, ready for a `viewBox` of its size.
#[derive(Clone, Debug)]
pub(crate) struct Picture {
    /// Width and height in modules, with the margin.
    pub(crate) size: i32,
    /// The dark modules.
    pub(crate) path: String,
}

impl Picture {
    /// Draws `text`; `None` where it is too long for a QR code.
    pub(crate) fn of(text: &str) -> Option<Self> {
        let code = QrCode::encode_text(text, QrCodeEcc::Medium).ok()?;
        let mut path = String::new();
        for y in 0..code.size() {
            let mut x = 0;
            while x < code.size() {
                let run = (x..code.size()).take_while(|&x| code.get_module(x, y)).count();
                // A row is at most 177 modules long.
                let run = i32::try_from(run).unwrap_or(0);
                if run > 0 {
                    let _ = write!(path, "M{} {}h{run}v1h-{run}z", x + QUIET, y + QUIET);
                }
                x += run + 1;
            }
        }
        Some(Self { size: code.size() + 2 * QUIET, path })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_dark_module_is_drawn_once() {
        let text = "otpauth://totp/Tokenward:anna?secret=JBSWY3DPEHPK3PXP&issuer=Tokenward";
        let code = QrCode::encode_text(text, QrCodeEcc::Medium).unwrap();
        let picture = Picture::of(text).unwrap();
        let side = usize::try_from(picture.size).unwrap();
        let mut drawn = vec![0_u32; side * side];
        for run in picture.path.split_terminator('z') {
            let numbers: Vec<usize> = run
                .split(|c: char| !c.is_ascii_digit())
                .filter(|number| !number.is_empty())
                .map(|number| number.parse().unwrap())
                .collect();
            for step in 0..numbers[2] {
                drawn[numbers[1] * side + numbers[0] + step] += 1;
            }
        }
        for y in 0..code.size() {
            for x in 0..code.size() {
                let place = usize::try_from((y + QUIET) * picture.size + x + QUIET).unwrap();
                assert_eq!(drawn[place], u32::from(code.get_module(x, y)), "{x} {y}");
            }
        }
        assert_eq!(drawn.iter().sum::<u32>() as usize, {
            let size = code.size();
            (0..size)
                .flat_map(|y| (0..size).map(move |x| (x, y)))
                .filter(|&(x, y)| code.get_module(x, y))
                .count()
        });
    }

    #[test]
    fn what_is_too_long_is_not_drawn() {
        assert!(Picture::of(&"x".repeat(5_000)).is_none());
    }
}
