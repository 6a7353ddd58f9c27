//! Character panels: what is seen on the glass, what it costs, and how it comes back.

use tokenward_device::model::WallTime;
use tokenward_device::panel::{Drawn, Make, Panel};
use tokenward_device::power::Habits;
use tokenward_device::screen::frame::{Frame, Lamp, Picture};
use tokenward_device::screen::{self, sample};

use crate::panel::lcd_chip::LcdChip;
use crate::panel::rig::{EREMOTEIO, Peer, Rig};

const MAKES: [(Make, usize, usize); 2] = [(Make::Hd44780x16x2, 16, 2), (Make::Hd44780x20x4, 20, 4)];

fn draw(make: Make, name: &str, turn: u64, wall: u64) -> Frame {
    let mut model = sample::model(name).unwrap();
    (model.turn, model.wall) = (turn, Some(WallTime::of_minute(wall)));
    screen::frame(&model, make.glass(), &Habits::default())
}

/// Returns the rows of a frame as the glass can show them: one of its characters is a yen sign,
/// and one an arrow.
fn rows(frame: &Frame) -> Vec<String> {
    match &frame.picture {
        Picture::Cells(cells) => {
            let shown = |row: &Vec<u8>| String::from_utf8(row.clone()).unwrap();
            let known = |row: String| row.replace('\\', "/").replace('~', "-");
            cells.rows().iter().map(shown).map(known).collect()
        }
        Picture::Bits(_) => panic!("pixels for glass of characters"),
    }
}

#[test]
fn every_screen_is_seen_character_for_character() {
    for (make, columns, lines) in MAKES {
        let rig = Rig::new(LcdChip::new(columns, lines), 0x3F);
        let mut panel = rig.panel(make);
        for (name, turn) in
            sample::NAMES.into_iter().flat_map(|name| (0..3).map(move |t| (name, t)))
        {
            let frame = draw(make, name, turn, 0);
            panel.draw(&frame).unwrap();
            assert_eq!(rig.wires().chip.seen(), Some(rows(&frame)), "{make} {name} {turn}");
            assert!(rig.wires().chip.is_lit());
        }
        assert_eq!(rig.wires().chip.hasty, 0);
        assert_eq!(rig.wires().chip.blanked, 0);
    }
}

#[test]
fn only_characters_that_changed_travel() {
    let make = Make::Hd44780x20x4;
    let rig = Rig::new(LcdChip::new(20, 4), 0x27);
    let mut panel = rig.panel(make);
    let first = rig.cost(|| assert_eq!(panel.draw(&draw(make, "quote", 0, 0)), Ok(Drawn::Whole)));
    assert!(first <= 420, "the first picture took {first}");
    let minute = rig.cost(|| assert!(panel.draw(&draw(make, "quote", 0, 1)).is_ok()));
    assert!(minute <= 20, "a minute took {minute}");
    let again = rig.cost(|| {
        assert_eq!(panel.draw(&draw(make, "quote", 0, 1)), Ok(Drawn::Unchanged));
    });
    assert_eq!(again, 0);
}

#[test]
fn a_panel_out_of_step_or_out_of_power_is_healed_without_blanking() {
    for (make, columns, lines) in MAKES {
        let rig = Rig::new(LcdChip::new(columns, lines), 0x27);
        let mut panel = rig.panel(make);
        let frame = draw(make, "quote", 0, 0);
        panel.draw(&frame).unwrap();
        rig.wires().chip.slip();
        panel.draw(&Frame { minute: 10, ..frame.clone() }).unwrap();
        assert_eq!(rig.wires().chip.seen(), Some(rows(&frame)), "{make} out of step");
        assert_eq!(rig.wires().chip.blanked, 0, "{make}");
        rig.wires().chip.power_cycle();
        assert_eq!(rig.wires().chip.seen(), None);
        panel.draw(&Frame { minute: 20, ..frame.clone() }).unwrap();
        assert_eq!(rig.wires().chip.seen(), Some(rows(&frame)), "{make} out of power");
    }
}

#[test]
fn a_wire_pulled_at_any_byte_is_made_good() {
    let make = Make::Hd44780x16x2;
    let (before, after) = (draw(make, "quote", 0, 0), draw(make, "mfa", 1, 0));
    for byte in 0..60 {
        let rig = Rig::new(LcdChip::new(16, 2), 0x27);
        let mut panel = rig.panel(make);
        panel.draw(&before).unwrap();
        rig.wires().nack_in = Some(byte);
        let fault = panel.draw(&after).unwrap_err();
        assert_eq!(fault.errno(), Some(EREMOTEIO), "at byte {byte}");
        panel.draw(&after).unwrap();
        assert_eq!(rig.wires().chip.seen(), Some(rows(&after)), "at byte {byte}");
    }
}

#[test]
fn the_light_goes_out_at_night_and_at_the_end() {
    let make = Make::Hd44780x16x2;
    let rig = Rig::new(LcdChip::new(16, 2), 0x27);
    let mut panel = rig.panel(make);
    let frame = draw(make, "quote", 0, 0);
    panel.draw(&frame).unwrap();
    let night = Frame { lamp: Lamp::Off, ..frame.clone() };
    assert_eq!(rig.cost(|| assert_eq!(panel.draw(&night), Ok(Drawn::Changed))), 2);
    assert!(!rig.wires().chip.is_lit());
    panel.draw(&frame).unwrap();
    assert!(rig.wires().chip.is_lit());
    panel.darken();
    assert!(!rig.wires().chip.is_lit());
    assert_eq!(rig.wires().chip.seen(), Some(vec![" ".repeat(16); 2]));
}
