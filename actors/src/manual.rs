//! The reasons behind the rules, to be read once.

#[doc = include_str!("../manual/bounds.md")]
pub mod bounds {}

#[doc = include_str!("../manual/fleet.md")]
pub mod fleet {}

#[doc = include_str!("../manual/rotation.md")]
pub mod rotation {}

#[doc = include_str!("../manual/step-up.md")]
pub mod step_up {}

#[doc = include_str!("../manual/time.md")]
pub mod time {}
