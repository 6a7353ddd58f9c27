//! Factors: what providers call them, which ones a demand admits, and what enrolling one takes.

use crate::refusal::MfaDemand;

/// A way to show that one is oneself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Factor {
    /// A code from an app.
    Otp,
    /// A question on the phone.
    Push,
    /// A code in a text message.
    Sms,
    /// A code read out by phone.
    Voice,
    /// A code in a mail.
    Email,
    /// A code from a list kept for emergencies.
    RecoveryCode,
    /// A security key, or what the device has built in.
    Webauthn,
}

impl Factor {
    /// Finds the factor that a caller or a provider names; `None` for an unknown name.
    pub fn parse(name: &str) -> Option<Self> {
        Some(match name.to_ascii_lowercase().as_str() {
            "otp" | "totp" => Self::Otp,
            "push" | "push-notification" | "auth0" => Self::Push,
            "sms" | "phone" => Self::Sms,
            "voice" => Self::Voice,
            "email" => Self::Email,
            "recovery-code" | "recovery_code" => Self::RecoveryCode,
            "webauthn" | "webauthn-roaming" | "webauthn-platform" => Self::Webauthn,
            _ => return None,
        })
    }

    /// Returns the name that our own callers know it by.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Otp => "otp",
            Self::Push => "push",
            Self::Sms => "sms",
            Self::Voice => "voice",
            Self::Email => "email",
            Self::RecoveryCode => "recovery-code",
            Self::Webauthn => "webauthn",
        }
    }

    /// Returns the type of authenticator that shows it.
    pub const fn authenticator_type(self) -> &'static str {
        match self {
            Self::Otp => "otp",
            Self::Push | Self::Sms | Self::Voice | Self::Email => "oob",
            Self::RecoveryCode => "recovery-code",
            Self::Webauthn => "webauthn-roaming",
        }
    }

    /// Returns the channel by which the person is reached, where it is one of several.
    pub const fn channel(self) -> Option<&'static str> {
        match self {
            Self::Push => Some("auth0"),
            Self::Sms => Some("sms"),
            Self::Voice => Some("voice"),
            Self::Email => Some("email"),
            Self::Otp | Self::RecoveryCode | Self::Webauthn => None,
        }
    }

    /// Reports whether a demand that names `requirement` is met by this factor.
    fn meets(self, requirement: &str) -> bool {
        match requirement {
            "oob" => matches!(self, Self::Push | Self::Sms | Self::Voice | Self::Email),
            "phone" => matches!(self, Self::Sms | Self::Voice),
            "sms" => self == Self::Sms,
            _ => Self::parse(requirement) == Some(self),
        }
    }
}

/// An authenticator as a provider lists it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Authenticator {
    /// The provider's name for it.
    pub id: String,
    /// `otp`, `oob`, `recovery-code` and the like.
    pub authenticator_type: String,
    /// How the person is reached, where it is by a channel.
    pub channel: Option<String>,
    /// What a demand calls it; few providers say.
    pub kind: Option<String>,
    /// What a person knows it by, such as the last digits of a phone number.
    pub name: Option<String>,
    /// Whether it was confirmed: one that was not cannot be challenged.
    pub is_active: bool,
}

impl Authenticator {
    /// Returns the factor it shows; `None` for one that is not known here.
    pub fn factor(&self) -> Option<Factor> {
        if self.authenticator_type.eq_ignore_ascii_case("oob") {
            // `sms|dev_…`: some providers name the channel in the id only.
            let channel = self.channel.as_deref().or_else(|| self.id.split('|').next());
            return channel.and_then(Factor::parse);
        }
        Factor::parse(&self.authenticator_type)
    }

    /// Reports whether `demand` may be met with it.
    ///
    /// A demand that lists nothing to challenge leaves the choice to the person.
    pub fn is_admitted_by(&self, demand: &MfaDemand) -> bool {
        let meets = |requirement: &String| {
            let requirement = requirement.to_ascii_lowercase();
            let named = self.kind.as_deref().is_some_and(|k| k.eq_ignore_ascii_case(&requirement));
            let typed = self.authenticator_type.eq_ignore_ascii_case(&requirement);
            named || typed || self.factor().is_some_and(|factor| factor.meets(&requirement))
        };
        self.is_active && (demand.challenge.is_empty() || demand.challenge.iter().any(meets))
    }
}

/// Reports whether a challenge of this type may be asked for to meet `demand`.
pub fn may_challenge(demand: &MfaDemand, challenge_type: &str) -> bool {
    if !demand.is_listed {
        return Factor::parse(challenge_type).is_some() || challenge_type == "oob";
    }
    let wanted = challenge_type.to_ascii_lowercase();
    let factor = Factor::parse(&wanted);
    demand.challenge.iter().map(|listed| listed.to_ascii_lowercase()).any(|listed| {
        // `oob` is the general word for phone, push and mail.
        let generic = wanted == "oob" && Factor::parse(&listed).is_some_and(|f| f.meets("oob"));
        listed == wanted || generic || factor.is_some_and(|factor| factor.meets(&listed))
    })
}

/// What a provider is asked for to enrol a factor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Enrolment {
    /// The type of authenticator.
    pub authenticator_type: &'static str,
    /// The channel by which the person is reached.
    pub channel: Option<&'static str>,
    /// The number, for factors that ring or text.
    pub phone_number: Option<String>,
    /// The address, where it is not the one that the provider knows.
    pub email: Option<String>,
}

/// The longest phone number with its blanks (E.164 has 15 digits).
const PHONE_BYTES_MAX: usize = 32;

/// The longest mail address (RFC 5321 §4.5.3.1.3).
const EMAIL_BYTES_MAX: usize = 254;

/// Decides what to ask for to enrol `factor`.
///
/// # Errors
/// Says what is missing or wrong in what the person gave.
pub fn enrolment(
    factor: Factor,
    phone_number: Option<&str>,
    email: Option<&str>,
) -> Result<Enrolment, &'static str> {
    let given =
        |text: Option<&str>| text.map(str::trim).filter(|text| !text.is_empty()).map(str::to_owned);
    let (phone_number, email) = (given(phone_number), given(email));
    let plain = Enrolment {
        authenticator_type: factor.authenticator_type(),
        channel: factor.channel(),
        phone_number: None,
        email: None,
    };
    match factor {
        Factor::Otp | Factor::Push => Ok(plain),
        Factor::Sms | Factor::Voice => {
            let number = phone_number.ok_or("a phone number is needed")?;
            let usual = |c: char| c.is_ascii_digit() || "+-() ".contains(c);
            if number.len() > PHONE_BYTES_MAX || !number.chars().all(usual) {
                return Err("the phone number is not one");
            }
            Ok(Enrolment { phone_number: Some(number), ..plain })
        }
        Factor::Email => {
            let odd = |address: &String| {
                address.len() > EMAIL_BYTES_MAX
                    || !address.contains('@')
                    || address.chars().any(|c| c.is_control() || c.is_whitespace())
            };
            if email.as_ref().is_some_and(odd) {
                return Err("the mail address is not one");
            }
            Ok(Enrolment { email, ..plain })
        }
        Factor::RecoveryCode | Factor::Webauthn => Err("this factor cannot be enrolled here"),
    }
}
