//! OLED panels: what is seen on the glass, what it costs, and how it comes back.

use tokenward_device::model::{Model, Phase, WallTime};
use tokenward_device::panel::{Cause, Drawn, Fitting, Make, Panel, Wired};
use tokenward_device::power::{Habits, Night};
use tokenward_device::screen::frame::{Bits, Frame, Lamp, Picture};
use tokenward_device::screen::{self, sample};

use crate::panel::chip::{Chip, Kind};
use crate::panel::rig::{EREMOTEIO, Peer, Rig};

const MAKES: [(Make, Kind, usize); 3] = [
    (Make::Ssd1306x64, Kind::Ssd1306, 64),
    (Make::Ssd1306x32, Kind::Ssd1306, 32),
    (Make::Sh1106x64, Kind::Sh1106, 64),
];

fn rig(kind: Kind, rows: usize) -> Rig<Chip> {
    Rig::new(Chip::new(kind, rows), 0x3C)
}

fn draw(make: Make, name: &str, change: impl FnOnce(&mut Model)) -> Frame {
    let mut model = sample::model(name).unwrap();
    change(&mut model);
    screen::frame(&model, make.glass(), &Habits::default())
}

fn bits(frame: &Frame) -> &Bits {
    match &frame.picture {
        Picture::Bits(bits) => bits,
        Picture::Cells(_) => panic!("characters for glass of pixels"),
    }
}

#[test]
fn every_screen_is_seen_pixel_for_pixel_on_every_chip() {
    for (make, kind, rows) in MAKES {
        let rig = rig(kind, rows);
        let mut panel = rig.panel(make);
        for (name, turn) in
            sample::NAMES.into_iter().flat_map(|name| (0..3).map(move |t| (name, t)))
        {
            let frame = draw(make, name, |model| model.turn = turn);
            panel.draw(&frame).unwrap();
            assert_eq!(rig.wires().chip.seen(), *bits(&frame), "{make} {name} {turn}");
        }
        assert_eq!(rig.wires().chip.unknown, [0_u8; 0], "{make}");
        assert_eq!(rig.wires().opened, 1);
    }
}

#[test]
fn a_panel_hung_upside_down_is_turned() {
    for (make, kind, rows) in MAKES {
        let rig = rig(kind, rows);
        let fitting = Fitting { upside_down: true, ..Fitting::usual(make) };
        let frame = draw(make, "quote", |_| {});
        Wired::new(&fitting, rig.clone()).draw(&frame).unwrap();
        let seen = rig.wires().chip.seen();
        let (right, bottom) = (127, rows as i32 - 1);
        for (x, y) in bits(&frame).points() {
            assert!(seen.lit(right - x, bottom - y), "{make} {x} {y}");
        }
        assert_eq!(seen.lit_count(), bits(&frame).lit_count());
    }
}

#[test]
fn each_command_travels_alone_where_that_is_asked_for() {
    let rig = rig(Kind::Ssd1306, 64);
    let fitting = Fitting { single: true, ..Fitting::usual(Make::Ssd1306x64) };
    let mut panel = Wired::new(&fitting, rig.clone());
    for name in ["quote", "mfa"] {
        let frame = draw(Make::Ssd1306x64, name, |_| {});
        panel.draw(&frame).unwrap();
        assert_eq!(rig.wires().chip.seen(), *bits(&frame), "{name}");
    }
}

#[test]
fn only_what_changed_travels() {
    for (make, kind, rows) in MAKES {
        // A day for the commonest, an hour for the others: their runs are the same.
        let hours = if make == Make::Ssd1306x64 { 24 } else { 1 };
        let rig = rig(kind, rows);
        let mut panel = rig.panel(make);
        let at = |wall: u64| {
            let frame = draw(make, "quote-short", |model| {
                model.wall = Some(WallTime::of_minute(wall));
            });
            // A new minute each time, so that the panel is asked whether it is lit, but never the
            // tenth, in which it is healed: that is counted apart.
            Frame { minute: 1 + wall % 9, ..frame }
        };
        let setting_up = rig.cost(|| {
            assert_eq!(panel.draw(&at(0)), Ok(Drawn::Whole));
        });
        // The memory of an SH1106 is wider than its glass: each page is addressed anew.
        let limit = if make == Make::Sh1106x64 { 1_120 + 32 } else { 1_120 };
        assert!(setting_up <= limit, "{make}: setting up took {setting_up}");
        let mut costs: Vec<_> = (1..=hours * 60)
            .map(|wall| rig.cost(|| assert_eq!(panel.draw(&at(wall)), Ok(Drawn::Changed))))
            .collect();
        let full: Vec<_> = costs.iter().copied().skip(59).step_by(60).collect();
        assert!(full.iter().all(|cost| *cost <= 40), "{make}: a full hour took {full:?}");
        costs.sort_unstable();
        // All but the full hours, which change three or four digits.
        assert!(
            costs[hours as usize * 59 - 1] <= 20,
            "{make}: a minute took {}",
            costs[hours as usize * 59 - 1]
        );
        assert_eq!(rig.cost(|| assert_eq!(panel.draw(&at(hours * 60)), Ok(Drawn::Unchanged))), 0);
    }
}

#[test]
fn a_whole_picture_stays_below_its_aim() {
    let rig = rig(Kind::Ssd1306, 64);
    let mut panel = rig.panel(Make::Ssd1306x64);
    let test = |turn| draw(Make::Ssd1306x64, "test", |model| model.turn = turn);
    panel.draw(&test(1)).unwrap();
    let whole = rig.cost(|| assert_eq!(panel.draw(&test(2)), Ok(Drawn::Changed)));
    assert!(whole <= 1_120, "every pixel took {whole}");
    let healing = rig.cost(|| {
        let later = Frame { minute: 10, ..test(2) };
        assert_eq!(panel.draw(&later), Ok(Drawn::Whole));
    });
    assert!(healing <= 1_120, "healing took {healing}");
}

#[test]
fn a_panel_that_lost_its_power_without_a_word_is_lit_again() {
    for (make, kind, rows) in MAKES {
        for (readable, minutes) in [(true, 1), (false, 10)] {
            let rig = rig(kind, rows);
            rig.wires().chip.readable = readable;
            let mut panel = rig.panel(make);
            let frame = draw(make, "quote", |_| {});
            panel.draw(&frame).unwrap();
            rig.wires().chip.power_cycle();
            for minute in 1..=minutes {
                assert_eq!(rig.wires().chip.seen().lit_count(), 0, "dark before {minute}");
                panel.draw(&Frame { minute, ..frame.clone() }).unwrap();
            }
            assert_eq!(rig.wires().chip.seen(), *bits(&frame), "{make} {readable}");
        }
    }
}

#[test]
fn a_healthy_panel_never_flickers() {
    for (make, kind, rows) in MAKES {
        for readable in [true, false] {
            let rig = rig(kind, rows);
            rig.wires().chip.readable = readable;
            let mut panel = rig.panel(make);
            for minute in 0..25 {
                let frame = draw(make, "quote-long", |model| {
                    (model.minute, model.turn) = (minute, minute);
                });
                panel.draw(&frame).unwrap();
                assert_eq!(rig.wires().chip.seen(), *bits(&frame));
            }
            assert_eq!(rig.wires().chip.darkened, 0, "{make}");
        }
    }
}

#[test]
fn a_wire_pulled_at_any_byte_is_made_good() {
    let make = Make::Sh1106x64;
    let (before, after) = (draw(make, "quote", |_| {}), draw(make, "mfa", |_| {}));
    let whole = {
        let rig = rig(Kind::Sh1106, 64);
        let mut panel = rig.panel(make);
        panel.draw(&before).unwrap();
        rig.cost(|| assert!(panel.draw(&after).is_ok()))
    };
    for byte in (0..whole - 20).step_by(7) {
        let rig = rig(Kind::Sh1106, 64);
        let mut panel = rig.panel(make);
        panel.draw(&before).unwrap();
        rig.wires().nack_in = Some(byte);
        assert_eq!(panel.draw(&after).unwrap_err().cause(), Cause::Absent, "at byte {byte}");
        rig.wires().broken = Some(EREMOTEIO);
        let fault = panel.draw(&after).unwrap_err();
        assert_eq!((fault.cause(), fault.errno()), (Cause::Absent, Some(EREMOTEIO)));
        rig.wires().chip.power_cycle();
        rig.wires().broken = None;
        assert_eq!(panel.draw(&after), Ok(Drawn::Whole));
        assert_eq!(rig.wires().chip.seen(), *bits(&after), "at byte {byte}");
        assert_eq!(rig.wires().opened, 3, "an error is answered by opening the bus again");
    }
}

#[test]
fn the_second_address_is_asked_where_the_first_is_silent() {
    let rig = rig(Kind::Ssd1306, 64);
    rig.wires().address = 0x3D;
    let mut panel = rig.panel(Make::Ssd1306x64);
    assert_eq!(panel.find(), Ok(0x3D));
    let fitting = Fitting { address: Some(0x3C), ..Fitting::usual(Make::Ssd1306x64) };
    let mut panel = Wired::new(&fitting, rig.clone());
    assert_eq!(panel.find().unwrap_err().cause(), Cause::Absent, "the given one alone");
}

#[test]
fn every_reason_has_its_own_words() {
    let cases = [
        (false, 121, Cause::Absent, "i2cdetect"),
        (false, 6, Cause::Absent, "i2cdetect"),
        (false, 5, Cause::Wire, "pull-ups"),
        (false, 110, Cause::Timeout, "power the panel off"),
        (false, 16, Cause::Owned, "dtoverlay"),
        (false, 95, Cause::SmbusOnly, "SMBus only"),
        (true, 2, Cause::NoAdapter, "dtparam=i2c_arm=on"),
        (true, 13, Cause::Denied, "group i2c"),
        (true, 1, Cause::Denied, "group i2c"),
        (true, 99, Cause::Other, "fault-codes"),
    ];
    for (opening, number, cause, remedy) in cases {
        let rig = rig(Kind::Ssd1306, 64);
        if opening {
            rig.wires().shut = Some(number);
        } else {
            rig.wires().broken = Some(number);
        }
        let fault = rig.panel(Make::Ssd1306x64).find().unwrap_err();
        assert_eq!((fault.cause(), fault.errno()), (cause, Some(number)));
        assert!(fault.remedy().contains(remedy), "{}", fault.remedy());
        assert!(fault.to_string().ends_with(&format!("(errno {number})")), "{fault}");
    }
}

#[test]
fn the_night_is_dark_and_the_morning_is_lit() {
    let make = Make::Ssd1306x64;
    let rig = rig(Kind::Ssd1306, 64);
    let mut panel = rig.panel(make);
    let night = Night { from: WallTime::new(22, 0).unwrap(), until: WallTime::new(7, 0).unwrap() };
    let habits = Habits { night: Some(night), ..Habits::default() };
    let mut seen = |hour, unchanged, phase: Phase| {
        let mut model = sample::model("quote").unwrap();
        (model.wall, model.unchanged_minutes) = (WallTime::new(hour, 0), unchanged);
        model.phase = phase;
        let frame = screen::frame(&model, make.glass(), &habits);
        panel.draw(&frame).unwrap();
        let wires = rig.wires();
        (frame.lamp, wires.chip.seen().lit_count() > 0, wires.chip.contrast)
    };
    assert_eq!(seen(21, 0, Phase::Online), (Lamp::Full, true, 0xCF));
    assert_eq!(seen(21, 10, Phase::Online), (Lamp::Dim, true, 0x30));
    assert_eq!(seen(22, 70, Phase::Online), (Lamp::Off, false, 0x30));
    assert_eq!(seen(6, 700, Phase::Online), (Lamp::Off, false, 0x30));
    let code = sample::model("sign-in").unwrap().phase;
    assert_eq!(seen(6, 0, code), (Lamp::Full, true, 0xCF), "somebody stands before it");
    assert_eq!(seen(7, 0, Phase::Online), (Lamp::Full, true, 0xCF));
}

#[test]
fn the_glass_is_dark_when_the_program_ends() {
    let rig = rig(Kind::Ssd1306, 64);
    let mut panel = rig.panel(Make::Ssd1306x64);
    panel.draw(&draw(Make::Ssd1306x64, "quote", |_| {})).unwrap();
    panel.darken();
    assert_eq!(rig.wires().chip.seen().lit_count(), 0);
}
