//! One refresh token family: what presenting a generation does to it (WIRE a6). Pure; the time is
//! an argument.

use std::sync::Arc;

use super::mfa::factor::FactorKind;
use super::settings::Settings;

/// Names a family; it is sealed inside each of its refresh tokens.
pub type FamilyId = u64;

/// What a login granted, shared by every token of its family.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    /// The user's subject.
    pub subject: String,
    /// The client that signed the user in.
    pub client: String,
    /// The audience of the login.
    pub audience: String,
    /// The scopes granted at login, separated by spaces.
    pub scope: String,
    /// The provider session the login belongs to.
    pub sid: String,
    /// When the user authenticated, in milliseconds of the sandbox's clock.
    pub auth_time_ms: u64,
    /// The authentication context class of the login.
    pub acr: String,
    /// The nonce of the authorization request.
    pub nonce: Option<String>,
    /// The last second factor given in this session.
    pub second: Option<Second>,
}

/// A second factor that was given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Second {
    /// When, in milliseconds of the sandbox's clock.
    pub at_ms: u64,
    /// What it was.
    pub kind: FactorKind,
}

impl Grant {
    /// Returns when the user last proved who they are, in milliseconds of the sandbox's clock.
    #[must_use]
    pub fn authenticated_at_ms(&self) -> u64 {
        self.second.map_or(self.auth_time_ms, |second| second.at_ms.max(self.auth_time_ms))
    }
}

/// A family of refresh tokens. The generation counts exchanges, not tokens: tokens that were forked
/// from the same parent inside the reuse window carry the same generation.
#[derive(Clone, Debug)]
pub struct Family {
    /// What the login granted.
    pub grant: Arc<Grant>,
    latest: u32,
    previous_spent_at_ms: u64,
    issued_at_ms: u64,
    used_at_ms: u64,
    revoked: bool,
}

/// What presenting a refresh token did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Presented {
    /// Rotation is off: the same token goes on.
    Kept,
    /// The token was current; a token of the next generation replaces it.
    Rotated(u32),
    /// The token was the immediately previous one, inside the reuse window: a further token of the
    /// current generation is issued.
    Forked(u32),
    /// The token was refused.
    Refused(Refused),
}

/// Why a refresh token was refused. The caller is told the same in every case; only the ledger
/// knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// It was spent before: the family is revoked by this very request.
    Reused,
    /// The family had been revoked or evicted.
    Ended,
    /// The absolute lifetime is over.
    Expired,
    /// The idle lifetime is over.
    Idle,
}

impl Family {
    /// Starts a family at generation 1.
    #[must_use]
    pub fn new(grant: Arc<Grant>, now_ms: u64) -> Self {
        Self {
            grant,
            latest: 1,
            previous_spent_at_ms: 0,
            issued_at_ms: now_ms,
            used_at_ms: now_ms,
            revoked: false,
        }
    }

    /// Returns the current generation.
    #[must_use]
    pub fn latest(&self) -> u32 {
        self.latest
    }

    /// Tells whether the family was revoked.
    #[must_use]
    pub fn revoked(&self) -> bool {
        self.revoked
    }

    /// Revokes the family and tells whether it had been living.
    pub fn revoke(&mut self) -> bool {
        !std::mem::replace(&mut self.revoked, true)
    }

    /// Presents a token of `generation` at `now_ms`.
    pub fn present(&mut self, generation: u32, now_ms: u64, settings: &Settings) -> Presented {
        if self.revoked {
            return Presented::Refused(Refused::Ended);
        }
        if now_ms.saturating_sub(self.issued_at_ms) >= ms(settings.absolute_lifetime_s) {
            return Presented::Refused(Refused::Expired);
        }
        if now_ms.saturating_sub(self.used_at_ms) >= ms(settings.idle_lifetime_s) {
            return Presented::Refused(Refused::Idle);
        }
        let presented = if generation == self.latest {
            self.exchange(now_ms, settings.rotation)
        } else if self.in_reuse_window(generation, now_ms, settings.leeway_s) {
            Presented::Forked(self.latest)
        } else {
            self.revoked = true;
            return Presented::Refused(Refused::Reused);
        };
        self.used_at_ms = now_ms;
        presented
    }

    fn exchange(&mut self, now_ms: u64, rotation: bool) -> Presented {
        if !rotation {
            return Presented::Kept;
        }
        self.latest = self.latest.saturating_add(1);
        self.previous_spent_at_ms = now_ms;
        Presented::Rotated(self.latest)
    }

    /// The window opens when the previous generation is first spent; forks do not extend it. At 0 s
    /// nothing is inside, not even the same millisecond.
    fn in_reuse_window(&self, generation: u32, now_ms: u64, leeway_s: u64) -> bool {
        generation.checked_add(1) == Some(self.latest)
            && now_ms.saturating_sub(self.previous_spent_at_ms) < ms(leeway_s)
    }
}

fn ms(seconds: u64) -> u64 {
    seconds.saturating_mul(1000)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grant() -> Arc<Grant> {
        Arc::new(Grant {
            subject: "auth0|ada".into(),
            client: "web".into(),
            audience: "https://api.example.com".into(),
            scope: "openid offline_access".into(),
            sid: "sid".into(),
            auth_time_ms: 0,
            acr: String::new(),
            nonce: None,
            second: None,
        })
    }

    /// Plays steps written `seconds:generation` and reads the answers back as words.
    fn play(settings: &Settings, steps: &str) -> String {
        let mut family = Family::new(grant(), 0);
        let told = |step: &str| {
            let (seconds, generation) = step.split_once(':').unwrap();
            let now_ms = 1000 * seconds.parse::<u64>().unwrap();
            match family.present(generation.parse().unwrap(), now_ms, settings) {
                Presented::Kept => "kept".to_owned(),
                Presented::Rotated(generation) => format!("rt{generation}"),
                Presented::Forked(generation) => format!("rt{generation}b"),
                Presented::Refused(refused) => format!("{refused:?}").to_lowercase(),
            }
        };
        steps.split(' ').map(told).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn rotation_follows_the_table() {
        // The numbered rows are the vectors rotation_server.NNN.
        let table = "
            case                           | rotation | window | steps           | answers
            001                            | on       | 0      | 0:1 1:1 2:2     | rt2 reused ended
            002                            | on       | 3      | 0:1 2:1         | rt2 rt2b
            003                            | on       | 3      | 0:1 10:1 11:2   | rt2 reused ended
            004                            | on       | 60     | 0:1 1:2 2:1 3:3 | rt2 rt3 reused ended
            009                            | off      | 0      | 0:1 9:1         | kept kept
            a fork lives on                | on       | 60     | 0:1 1:1 2:2 3:3 | rt2 rt2b rt3 rt4
            both forks in the window       | on       | 60     | 0:1 1:1 2:2 3:2 | rt2 rt2b rt3 rt3b
            forks do not extend the window | on       | 3      | 0:1 2:1 3:1     | rt2 rt2b reused
            same instant, no window        | on       | 0      | 0:1 0:1         | rt2 reused
            a generation never issued      | on       | 60     | 0:5             | reused
        ";
        let mut played = 0;
        for row in table.lines().map(str::trim).filter(|row| !row.is_empty()).skip(1) {
            let [_, rotation, window, steps, answers] =
                *row.split('|').map(str::trim).collect::<Vec<_>>()
            else {
                panic!("{row}")
            };
            let settings = Settings {
                rotation: rotation == "on",
                leeway_s: window.parse().unwrap(),
                ..Settings::default()
            };
            assert_eq!(play(&settings, steps), answers, "{row}");
            played += 1;
        }
        assert_eq!(played, 10);
    }

    #[test]
    fn lifetimes_end_a_family() {
        let settings =
            Settings { absolute_lifetime_s: 100, idle_lifetime_s: 40, ..Settings::default() };
        assert_eq!(play(&settings, "39:1 79:2"), "rt2 idle");
        assert_eq!(play(&settings, "39:1 78:2 99:3 100:4"), "rt2 rt3 rt4 expired");
    }
}
