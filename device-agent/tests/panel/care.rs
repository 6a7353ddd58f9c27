//! Care for the glass: a simulated day of every picture, and what it leaves on the pixels.

use tokenward_device::model::{Model, WallTime};
use tokenward_device::power::Habits;
use tokenward_device::screen::frame::{Bits, Glass, Picture};
use tokenward_device::screen::{self, sample};

/// Draws every tenth minute of a day in which nothing happens: the picture moves as often.
fn day(name: &str, habits: &Habits) -> Vec<Bits> {
    let model = sample::model(name).unwrap();
    let minutes = (0..u64::from(WallTime::DAY)).step_by(10);
    let picture = |minute: u64| {
        let wall = Some(WallTime::of_minute(minute));
        let (turn, unchanged_minutes) = (minute / 10, minute);
        let model = Model { wall, minute, turn, unchanged_minutes, ..model.clone() };
        match screen::frame(&model, Glass::Pixels128x64, habits).picture {
            Picture::Bits(bits) => *bits,
            Picture::Cells(_) => panic!("characters for glass of pixels"),
        }
    };
    minutes.map(picture).collect()
}

/// Returns in how many pictures the most used pixel was lit.
fn most_used(day: &[Bits]) -> usize {
    let mut lit = vec![0; 128 * 64];
    for (x, y) in day.iter().flat_map(Bits::points) {
        lit[y as usize * 128 + x as usize] += 1;
    }
    lit.into_iter().max().unwrap_or(0)
}

#[test]
fn no_pixel_of_a_quiet_day_is_lit_for_most_of_it() {
    let still = Habits { orbit: false, ..Habits::default() };
    for (name, limit) in
        [("quote", 90), ("quote-short", 90), ("quote-long", 85), ("stale", 90), ("ended", 90)]
    {
        let day_of_moves = day(name, &Habits::default());
        let (moving, pictures) = (most_used(&day_of_moves), day_of_moves.len());
        let share = moving * 100 / pictures;
        assert!(share <= limit, "{name}: a pixel was lit for {share} % of the day");
        assert!(moving < most_used(&day(name, &still)), "{name}: moving is of use");
    }
}

#[test]
fn a_moving_picture_loses_no_pixel_and_moves_ten_minutes_apart() {
    for name in sample::NAMES {
        let mut model = sample::model(name).unwrap();
        let mut draw = |minute| {
            model.minute = minute;
            match screen::frame(&model, Glass::Pixels128x64, &Habits::default()).picture {
                Picture::Bits(bits) => bits,
                Picture::Cells(_) => panic!("characters for glass of pixels"),
            }
        };
        let first = draw(0).lit_count();
        for minute in (0..160).step_by(5) {
            let now = draw(minute);
            assert_eq!(now.lit_count(), first, "{name} at {minute}");
            assert_eq!(now, draw(minute / 10 * 10), "{name} stands still for ten minutes");
        }
    }
}

#[test]
fn a_long_demand_shares_the_glass_with_the_text_behind_it() {
    let mut model = sample::model("mfa").unwrap();
    let mut draw = |turn, unchanged_minutes| {
        (model.turn, model.unchanged_minutes) = (turn, unchanged_minutes);
        screen::frame(&model, Glass::Pixels128x64, &Habits::default()).picture
    };
    assert_eq!(draw(0, 59), draw(1, 59), "for an hour the demand stands alone");
    assert_ne!(draw(0, 60), draw(1, 60));
}
