//! Care for the glass: dimming, moving and the night, so that a picture that hangs for years does
//! not burn itself in.
//!
//! Everything here is pure: minutes and the wall's time come in with the model.

use crate::model::{Model, Phase, WallTime};
use crate::screen::frame::Lamp;

/// Minutes between two moves of the picture, and between two healings of the panel: both send most
/// of the picture, so they share a beat, and the nine minutes between cost a few bytes each.
pub const HEAL_MINUTES: u64 = 10;

/// Minutes between two changes of side: the bar of the picture moves to the other edge.
const SIDE_MINUTES: u64 = 60;

/// How far the picture moves from its middle place, in pixels: far enough that the edges of
/// letters are shared by their neighbours, near enough that nobody sees it.
const ORBIT: [(i32, i32); 16] = [
    (0, 0),
    (1, 0),
    (1, 1),
    (0, 1),
    (-1, 1),
    (-1, 0),
    (-1, -1),
    (0, -1),
    (1, -1),
    (2, -1),
    (2, 1),
    (1, 2),
    (-1, 2),
    (-2, 1),
    (-2, -1),
    (-1, -2),
];

/// How the glass is cared for; part of the configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Habits {
    /// After how many minutes without news the glass is dimmed; `None` never.
    pub dim_after_minutes: Option<u64>,
    /// Whether the picture moves.
    pub orbit: bool,
    /// When the glass is dark; `None` never.
    pub night: Option<Night>,
}

/// A part of the day; one that ends before it begins reaches over midnight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Night {
    /// The first minute of it.
    pub from: WallTime,
    /// The first minute after it.
    pub until: WallTime,
}

/// What the habits ask for at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Care {
    /// How brightly the glass is lit.
    pub lamp: Lamp,
    /// How far the picture is moved to the right, and down.
    pub shift: (i32, i32),
    /// Whether bar and code change to the other side.
    pub other_side: bool,
}

impl Default for Habits {
    fn default() -> Self {
        Self { dim_after_minutes: Some(10), orbit: true, night: None }
    }
}

impl Habits {
    /// Decides how a picture of this model is lit and placed.
    pub fn care(&self, model: &Model) -> Care {
        let moving = if self.orbit { model.minute } else { 0 };
        let step = usize::try_from(moving / HEAL_MINUTES).unwrap_or_default();
        Care {
            lamp: self.lamp(model),
            shift: ORBIT[step % ORBIT.len()],
            other_side: moving / SIDE_MINUTES % 2 == 1,
        }
    }

    fn lamp(&self, model: &Model) -> Lamp {
        let night = self.night.zip(model.wall);
        if night.is_some_and(|(night, wall)| night.holds(wall)) && !awaits_somebody(&model.phase) {
            return Lamp::Off;
        }
        match self.dim_after_minutes {
            Some(minutes) if model.unchanged_minutes >= minutes => Lamp::Dim,
            Some(_) | None => Lamp::Full,
        }
    }
}

impl Night {
    /// Tells whether a time of day is in it.
    pub fn holds(self, wall: WallTime) -> bool {
        if self.from <= self.until {
            self.from <= wall && wall < self.until
        } else {
            self.from <= wall || wall < self.until
        }
    }
}

/// Tells whether a person stands before the glass, so that it is lit at night too. A code or a push
/// is there for a few minutes; a demand may stand for days and can wait for the morning.
fn awaits_somebody(phase: &Phase) -> bool {
    match phase {
        Phase::SignIn(_) | Phase::PanelTest => true,
        Phase::MfaRequired(required) => required.pushing,
        Phase::Booting
        | Phase::WaitingForClock
        | Phase::NoNetwork { .. }
        | Phase::AskPerson { .. }
        | Phase::Online
        | Phase::Ended { .. }
        | Phase::Trouble { .. } => false,
    }
}
