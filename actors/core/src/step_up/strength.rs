//! What an audience asks of a person, and what a person has shown (RFC 9470).

use std::time::Duration;

use super::factor::Factor;
use crate::time::Instant;

/// The authentication class by which several providers name any second factor (PAPE).
pub const MULTI_FACTOR_CLASS: &str = "http://schemas.openid.net/pape/policies/2007/06/multi-factor";

/// The most proofs that a session keeps: one for each way in which a person usually signs in.
pub const PROOFS_MAX: usize = 4;

/// How old an authentication may be that was to be made anew: the time of a consent page and of a
/// redirect. `auth_time` is a whole second of another clock.
const ANEW_WITHIN: Duration = Duration::from_secs(300);

/// Who demands a factor.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Origin {
    /// The provider, by refusing a refresh.
    #[default]
    Provider,
    /// The audience's own policy.
    Policy,
    /// The API, by refusing an access token (RFC 9470).
    Upstream,
}

impl Origin {
    /// Returns the reason code shown to people and operators.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Provider => "provider",
            Self::Policy => "policy",
            Self::Upstream => "upstream",
        }
    }
}

/// How strong and how fresh an authentication must be.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Strength {
    /// The classes (`acr`) that will do; empty for any.
    pub classes: Vec<String>,
    /// How long ago the person may have authenticated; `None` for any time.
    pub max_age: Option<Duration>,
    /// Whether a second factor must have been shown.
    pub factor: bool,
    /// Whether the person must authenticate for each access token anew.
    pub each_time: bool,
}

/// Evidence that a person has authenticated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proof {
    /// When, by our own clock; `None` where that is not known any more.
    pub at: Option<Instant>,
    /// The class (`acr`), where the provider names one.
    pub class: Option<String>,
    /// The methods (`amr`).
    pub methods: Vec<String>,
}

/// What the person has shown in an earlier session of the same browser.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remembered {
    /// What was shown; without its moment, which lies in no time of this session.
    pub proof: Proof,
    /// How long before the session began.
    pub age: Duration,
}

impl Strength {
    /// Returns what an API asks for by its challenge (RFC 9470 §3): any second factor where it
    /// says no more.
    pub fn of_challenge(classes: Vec<String>, max_age: Option<Duration>) -> Self {
        let factor = classes.is_empty() && max_age.is_none();
        Self { classes, max_age, factor, each_time: false }
    }

    /// Returns until when `proofs` meet this; `None` where they do not at `now`.
    pub fn met_until(&self, proofs: &[Proof], now: Instant) -> Option<Instant> {
        let until = |proof: &Proof| match (self.max_age, proof.at) {
            (None, _) => Some(Instant::FAR),
            (Some(max_age), Some(at)) => Some(at + max_age),
            (Some(_), None) => None,
        };
        let strong = proofs.iter().filter(|proof| self.is_met_in_kind(proof));
        strong.filter_map(until).max().filter(|until| now < *until)
    }

    /// Reports whether `proof`, with which a person has just come back, meets this.
    pub fn is_met_by_return(&self, proof: &Proof, now: Instant) -> Result<(), &'static str> {
        if !self.is_met_in_kind(proof) {
            return Err("acr_not_met");
        }
        let Some(max_age) = self.max_age else { return Ok(()) };
        // A person needs some seconds to come back, however fresh the authentication had to be.
        let allowed = max_age.max(ANEW_WITHIN);
        match proof.at {
            Some(at) if now.since(at) <= allowed => Ok(()),
            Some(_) => Err("auth_time_too_old"),
            None => Err("auth_time_missing"),
        }
    }

    /// Reports whether `proof`, of whatever age, is of a kind that will do.
    pub fn is_met_in_kind(&self, proof: &Proof) -> bool {
        let of_class = |class: &String| {
            proof.class.as_ref() == Some(class)
                || (class == MULTI_FACTOR_CLASS && proof.is_multi_factor())
        };
        let class_met = self.classes.is_empty() || self.classes.iter().any(of_class);
        let factor_met = !self.factor || proof.is_multi_factor() || !self.classes.is_empty();
        class_met && factor_met
    }
}

impl Proof {
    /// Returns the proof of a factor that was shown to the provider's MFA API.
    pub fn shown(factor: Option<Factor>, at: Instant) -> Self {
        // The names of RFC 8176, where it has one.
        let method = match factor {
            Some(Factor::Otp) => Some("otp"),
            Some(Factor::Sms) => Some("sms"),
            Some(Factor::Voice) => Some("tel"),
            Some(Factor::Webauthn) => Some("hwk"),
            Some(Factor::Push | Factor::Email | Factor::RecoveryCode) | None => None,
        };
        let methods = ["mfa"].into_iter().chain(method).map(str::to_owned).collect();
        Self { at: Some(at), class: None, methods }
    }

    /// Reports whether more than one factor was shown (RFC 8176: `mfa`, or two methods).
    pub fn is_multi_factor(&self) -> bool {
        let known = |name: &str| self.methods.iter().any(|method| method == name);
        let distinct =
            |(place, method): &(usize, &String)| !self.methods[..*place].contains(method);
        known("mfa")
            || self.class.as_deref() == Some(MULTI_FACTOR_CLASS)
            || self.methods.iter().enumerate().filter(distinct).count() > 1
    }
}

/// Adds a proof to those that are kept; one of the same kind is replaced.
pub fn remember(proofs: &mut Vec<Proof>, proof: Proof) {
    proofs.retain(|kept| kept.class != proof.class || kept.methods != proof.methods);
    if proofs.len() >= PROOFS_MAX {
        proofs.remove(0);
    }
    proofs.push(proof);
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Instant = Instant::from_nanos(10_000_000_000_000);

    fn proof(age_s: Option<u64>, class: &str, methods: &str) -> Proof {
        Proof {
            at: age_s.map(|age| NOW - Duration::from_secs(age)),
            class: (!class.is_empty()).then(|| class.to_owned()),
            methods: methods.split_whitespace().map(str::to_owned).collect(),
        }
    }

    #[test]
    fn l9_what_a_person_has_shown_is_held_against_what_is_asked() {
        let age = |seconds| Some(Duration::from_secs(seconds));
        let strength = |classes: &str, max_age, factor| Strength {
            classes: classes.split_whitespace().map(str::to_owned).collect(),
            max_age,
            factor,
            each_time: false,
        };
        for (asked, shown, left_s) in [
            (strength("", None, true), proof(None, "", "pwd"), None),
            (strength("", None, true), proof(None, "", "mfa"), Some(u64::MAX)),
            (strength("", None, true), proof(None, "", "pwd otp"), Some(u64::MAX)),
            (strength("", None, true), proof(None, "", "pwd pwd"), None),
            (strength("", None, true), proof(None, MULTI_FACTOR_CLASS, ""), Some(u64::MAX)),
            (strength("gold", None, true), proof(None, "gold", ""), Some(u64::MAX)),
            (strength("gold silver", None, false), proof(None, "silver", ""), Some(u64::MAX)),
            (strength("gold", None, false), proof(None, "bronze", "mfa"), None),
            (strength(MULTI_FACTOR_CLASS, None, false), proof(None, "", "mfa"), Some(u64::MAX)),
            (strength("", age(300), false), proof(Some(100), "", "pwd"), Some(200)),
            (strength("", age(300), false), proof(Some(300), "", "pwd"), None),
            (strength("", age(300), false), proof(None, "", "pwd"), None),
            (strength("gold", age(300), false), proof(Some(1), "", ""), None),
        ] {
            let left = asked.met_until(std::slice::from_ref(&shown), NOW).map(|until| {
                if until == Instant::FAR { u64::MAX } else { until.since(NOW).as_secs() }
            });
            assert_eq!(left, left_s, "{asked:?} by {shown:?}");
        }
    }

    #[test]
    fn l14_proofs_are_bounded_and_the_same_kind_is_replaced() {
        let mut proofs = Vec::new();
        for number in 0..9 {
            remember(&mut proofs, proof(Some(number), &format!("c{}", number % 6), ""));
        }
        assert_eq!(proofs.len(), PROOFS_MAX);
        remember(&mut proofs, proof(None, "c2", ""));
        let same: Vec<_> = proofs.iter().filter(|p| p.class.as_deref() == Some("c2")).collect();
        assert_eq!(same, [&proof(None, "c2", "")]);
    }
}
