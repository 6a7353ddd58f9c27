//! The plans that come with the program.

use tokenward_programs::failure::Failure;

use super::fault;

/// A plan that comes with the program.
#[derive(Clone, Copy, Debug)]
pub struct Shipped {
    /// Its name.
    pub name: &'static str,
    /// Its TOML.
    pub text: &'static str,
}

/// All of them, in the order in which they are best read.
pub const ALL: [Shipped; 13] = [
    Shipped { name: "steady", text: include_str!("../../plans/steady.toml") },
    Shipped { name: "stampede", text: include_str!("../../plans/stampede.toml") },
    Shipped { name: "rotation", text: include_str!("../../plans/rotation.toml") },
    Shipped { name: "cold-start", text: include_str!("../../plans/cold-start.toml") },
    Shipped { name: "provider-slow", text: include_str!("../../plans/provider-slow.toml") },
    Shipped { name: "provider-down", text: include_str!("../../plans/provider-down.toml") },
    Shipped { name: "provider-limiting", text: include_str!("../../plans/provider-limiting.toml") },
    Shipped { name: "mfa-wave", text: include_str!("../../plans/mfa-wave.toml") },
    Shipped { name: "kill", text: include_str!("../../plans/kill.toml") },
    Shipped { name: "fleet", text: include_str!("../../plans/fleet.toml") },
    Shipped { name: "crowd", text: include_str!("../../plans/crowd.toml") },
    Shipped { name: "step", text: include_str!("../../plans/step.toml") },
    Shipped { name: "soak", text: include_str!("../../plans/soak.toml") },
];

/// Returns the text of the plan of this name.
///
/// # Errors
/// `Configuration` that names the nearest.
pub fn text(name: &str) -> Result<&'static str, Failure> {
    let found = ALL.iter().find(|shipped| shipped.name == name);
    found.map(|shipped| shipped.text).ok_or_else(|| Failure::Configuration(unknown(name)))
}

/// Says that there is no such plan.
fn unknown(name: &str) -> String {
    let known = ALL.iter().map(|shipped| shipped.name);
    let advice = match fault::nearest(name, known) {
        Some(meant) => format!("did you mean `{meant}`?"),
        None => "`tokenward-loadtest list` names those that come with the program.".to_owned(),
    };
    format!("there is no plan and no file called {name:?}; {advice}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::Plan;

    #[test]
    fn every_shipped_plan_can_be_run_and_says_what_it_shows() {
        for shipped in ALL {
            let plan = Plan::parse(shipped.name, shipped.text).unwrap();
            let about = plan.about;
            assert!(about.ends_with(['.', '?']) && about.len() < 100, "{}: {about}", shipped.name);
        }
        assert!(unknown("stedy").contains("`steady`"));
    }
}
