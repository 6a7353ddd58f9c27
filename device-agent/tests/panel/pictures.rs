//! Every screen on every glass, as text: the golden pictures beside this file.

use std::time::Duration;

use rqrr::PreparedImage;
use tokenward_device::model::{Content, Phase, SignIn};
use tokenward_device::panel::picture::write_png;
use tokenward_device::panel::terminal::{Dots, text};
use tokenward_device::power::Habits;
use tokenward_device::screen::frame::{Bits, Frame, Glass, Picture};
use tokenward_device::screen::{self, sample};

const GLASSES: [(Glass, &str); 4] = [
    (Glass::Pixels128x64, "128 x 64 pixels"),
    (Glass::Pixels128x32, "128 x 32 pixels"),
    (Glass::Cells20x4, "20 x 4 characters"),
    (Glass::Cells16x2, "16 x 2 characters"),
];

/// Turns to look for pages in: more than the longest sample has.
const TURNS_MAX: u64 = 16;

fn draw(name: &str, glass: Glass, turn: u64) -> Frame {
    let mut model = sample::model(name).unwrap();
    model.turn = turn;
    screen::frame(&model, glass, &Habits::default())
}

#[test]
fn every_screen_looks_as_it_should() {
    for name in sample::NAMES {
        let mut golden = String::new();
        for (glass, size) in GLASSES {
            let first = draw(name, glass, 0);
            let pages = (1..TURNS_MAX).find(|turn| draw(name, glass, *turn) == first).unwrap();
            for turn in 0..pages {
                golden.push_str(&format!("{size}, {} of {pages}\n", turn + 1));
                golden.push_str(&text(&draw(name, glass, turn).picture, Dots::Braille));
            }
        }
        insta::with_settings!({ snapshot_path => "pictures", prepend_module_to_snapshot => false,
            omit_expression => true }, { insta::assert_snapshot!(name, golden) });
    }
}

#[test]
fn a_phone_reads_the_codes() {
    for (name, link) in [
        ("sign-in", "HTTPS://GW.EXAMPLE/d/WDJB-MJHT"),
        ("sign-in-long", "HTTPS://ACME.EU.AUTH0.COM/activate?user_code=WDJB-MJHT"),
        ("mfa", "HTTPS://GW.EXAMPLE/d/KQXR-ZTBW"),
    ] {
        for minute in [0, 60] {
            let mut model = sample::model(name).unwrap();
            (model.minute, model.turn) = (minute, 1);
            let frame = screen::frame(&model, Glass::Pixels128x64, &Habits::default());
            assert_eq!(read(&frame), [link], "{name} at {minute}");
        }
    }
    for name in ["sign-in-typed", "quote", "mfa-push"] {
        assert_eq!(read(&draw(name, Glass::Pixels128x64, 1)), [""; 0], "{name}");
    }
}

/// Reads codes off a frame as a camera sees it: each pixel a few dots, in a dark room.
fn read(frame: &Frame) -> Vec<String> {
    const DOT: usize = 3;
    const RIM: usize = 8 * DOT;
    let Picture::Bits(bits) = &frame.picture else { return Vec::new() };
    let bits: &Bits = bits;
    let (width, height) = (128 * DOT + 2 * RIM, bits.height() as usize * DOT + 2 * RIM);
    let mut image = PreparedImage::prepare_from_greyscale(width, height, |x, y| {
        let at = |dot: usize| dot.checked_sub(RIM).map_or(-1, |dot| (dot / DOT) as i32);
        if bits.lit(at(x), at(y)) { 220 } else { 20 }
    });
    let grids = image.detect_grids();
    grids.iter().filter_map(|grid| grid.decode().ok()).map(|(_, link)| link).collect()
}

#[test]
fn the_code_to_type_is_always_readable() {
    for (glass, _) in GLASSES {
        for name in ["sign-in", "sign-in-long", "sign-in-typed"] {
            for turn in 0..4 {
                let shown = draw(name, glass, turn);
                let mut other = sample::model(name).unwrap();
                other.turn = turn;
                if let Phase::SignIn(sign_in) = &mut other.phase {
                    sign_in.user_code = "BCDF-GHJK".to_owned();
                }
                let other = screen::frame(&other, glass, &Habits::default());
                assert_ne!(shown, other, "{name} {turn}: another code is another picture");
            }
        }
    }
}

#[test]
fn what_is_too_long_for_one_page_is_shown_to_its_end() {
    let words = |end: char| format!("{}{end}", "gateway.example/".repeat(16));
    let typed = |end| {
        let uri = format!("https://{}", words(end));
        let (user_code, left) = ("WDJB-MJHT".to_owned(), Duration::from_secs(600));
        Phase::SignIn(SignIn { user_code, uri, uri_complete: None, left })
    };
    let told = |end| Phase::Trouble { what: "no way".to_owned(), remedy: words(end) };
    let ended = |end| Phase::Ended { reason: words(end) };
    let phases: [&dyn Fn(char) -> Phase; 3] = [&typed, &told, &ended];
    for (glass, size) in GLASSES {
        for phase in phases {
            let pages = |end| {
                let mut model = sample::model("ended").unwrap();
                model.phase = phase(end);
                let pages = (0..4 * TURNS_MAX).map(|turn| {
                    model.turn = turn;
                    screen::frame(&model, glass, &Habits::default())
                });
                pages.collect::<Vec<_>>()
            };
            assert_ne!(pages('x'), pages('y'), "{size}: the end of {:?} is seen", phase('x'));
        }
    }
}

#[test]
fn hostile_text_is_drawn_within_bounds_and_losses_are_counted() {
    let words =
        |text: &str| Content { text: text.to_owned(), author: Some(text.to_owned()), stale: None };
    let long = "W".repeat(2_000);
    let wide = "\u{fffd}".repeat(500);
    for (content, dropped) in [
        (words(""), 0),
        (words(" \n\t "), 0),
        (words(&long), 0),
        (words(&wide), 1_000),
        (words("\u{1b}[2J\0\u{7f}"), 6),
    ] {
        for (glass, size) in GLASSES {
            for phase in [Phase::Online, Phase::Ended { reason: content.text.clone() }] {
                let mut model = sample::model("quote").unwrap();
                let of_text = phase == Phase::Online;
                (model.content, model.phase) = (Some(content.clone()), phase);
                let frame = screen::frame(&model, glass, &Habits::default());
                let expected = if of_text { dropped } else { dropped / 2 };
                assert_eq!(frame.dropped, expected, "{size}");
            }
        }
    }
}

#[test]
fn pictures_are_written_as_files() {
    for (glass, width, height) in [
        (Glass::Pixels128x64, 544, 288),
        (Glass::Pixels128x32, 544, 160),
        (Glass::Cells20x4, 544, 200),
    ] {
        let mut file = Vec::new();
        write_png(&draw("quote", glass, 0), &mut file).unwrap();
        let mut picture = png::Decoder::new(std::io::Cursor::new(file)).read_info().unwrap();
        let mut dots = vec![0; picture.output_buffer_size().unwrap()];
        let read = picture.next_frame(&mut dots).unwrap();
        assert_eq!((read.width, read.height), (width, height));
        assert!(dots.contains(&1), "something is lit");
    }
}
