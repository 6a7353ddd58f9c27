//! The acts of a plan as single steps, each with its time.

use std::time::Duration;

use crate::plan::{Act, Api, Deed, Plan};

/// A step and its time.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Cue {
    pub(super) at: Duration,
    pub(super) step: Step,
    /// The act that it belongs to.
    pub(super) words: String,
    /// Whether a later step ends it.
    pub(super) lasts: bool,
}

/// One thing to do.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Step {
    /// Gives the token endpoint this latency, in milliseconds.
    Slow(u64),
    /// Gives it the plan's own latency again, in milliseconds.
    Usual(u64),
    /// Plugs the provider in or out.
    Network(bool),
    /// Lets the provider answer a share of the refreshes with 429.
    Limit(f64),
    /// Lets it answer all again.
    Disarm,
    /// Demands another factor of refreshes for this API.
    Demand(Api),
    /// Demands it of none.
    Lift,
    /// Kills a gateway.
    Kill(usize),
    /// Starts it again.
    Restart(usize),
    /// Signs a share of the sessions out.
    SignOut(f64),
}

/// Returns the steps of a plan in their order.
pub(super) fn of(plan: &Plan) -> Vec<Cue> {
    let mut cues: Vec<Cue> = Vec::new();
    let mut kills = 0;
    for act in &plan.acts {
        let (begin, end) = steps(plan, act, &mut kills);
        let at = act.at.0;
        let lasts = end.is_some();
        cues.push(Cue { at, step: begin, words: act.words(), lasts });
        if let Some(step) = end {
            let at = at + act.lasting.unwrap_or_default().0;
            cues.push(Cue { at, step, words: act.words(), lasts: false });
        }
    }
    // Stable: what is written first goes first.
    cues.sort_by_key(|cue| cue.at);
    cues
}

impl Step {
    /// Tells whether it ends what an earlier step began.
    pub(super) const fn mends(self) -> bool {
        match self {
            Self::Usual(_) | Self::Network(true) | Self::Disarm | Self::Lift | Self::Restart(_) => {
                true
            }
            Self::Slow(_)
            | Self::Network(false)
            | Self::Limit(_)
            | Self::Demand(_)
            | Self::Kill(_)
            | Self::SignOut(_) => false,
        }
    }
}

fn steps(plan: &Plan, act: &Act, kills: &mut usize) -> (Step, Option<Step>) {
    let share = act.share.unwrap_or_default();
    match act.does {
        Deed::ProviderSlow => {
            let slow = act.latency.unwrap_or_default().millis();
            (Step::Slow(slow), Some(Step::Usual(plan.provider.latency.millis())))
        }
        Deed::ProviderDown => (Step::Network(false), Some(Step::Network(true))),
        Deed::ProviderLimits => (Step::Limit(share), Some(Step::Disarm)),
        Deed::MfaWave => (Step::Demand(act.api.unwrap_or(Api::Accounts)), Some(Step::Lift)),
        Deed::KillGateway => {
            // One gateway after the other.
            let gateway = *kills % (plan.gateway.count as usize).max(1);
            *kills += 1;
            (Step::Kill(gateway), Some(Step::Restart(gateway)))
        }
        Deed::Logout => (Step::SignOut(share), None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_is_broken_is_mended_in_its_time() {
        let text = "about = \"x\"\n[[load.stage]]\nrate = 1\nlasting = \"9s\"\n\
            [[act]]\nat = \"4s\"\ndoes = \"kill_gateway\"\nlasting = \"1s\"\n\
            [[act]]\nat = \"1s\"\ndoes = \"provider_slow\"\nlasting = \"4s\"\nlatency = \"3s\"\n\
            [[act]]\nat = \"2s\"\ndoes = \"logout\"\nshare = 0.5\n";
        let plan = Plan::parse("test", text).unwrap();
        let steps: Vec<_> =
            of(&plan).into_iter().map(|cue| (cue.at.as_secs(), cue.step, cue.lasts)).collect();
        let expected = [
            (1, Step::Slow(3_000), true),
            (2, Step::SignOut(0.5), false),
            (4, Step::Kill(0), true),
            (5, Step::Restart(0), false),
            (5, Step::Usual(20), false),
        ];
        assert_eq!(steps, expected);
        let mending = steps.iter().filter(|(_, step, _)| step.mends()).count();
        assert_eq!(mending, steps.iter().filter(|(_, _, lasts)| *lasts).count());
    }
}
