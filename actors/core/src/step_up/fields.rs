//! What a caller's fields say about how a factor is shown.

use super::factor::Factor;
use crate::secret::Passcode;

/// The longest code or handle that is taken: a provider's out-of-band handle is a JWT at most.
pub const PASSCODE_BYTES_MAX: usize = 4096;

/// The fields of a verification, as a caller sent them.
#[derive(Clone, Copy, Default)]
pub struct Fields<'a> {
    /// A one-time code.
    pub otp: Option<&'a str>,
    /// The handle of a challenge that the person answers elsewhere.
    pub oob_code: Option<&'a str>,
    /// The code that such a challenge sent.
    pub binding_code: Option<&'a str>,
    /// A recovery code.
    pub recovery_code: Option<&'a str>,
}

/// What shows a factor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Evidence {
    /// A one-time code.
    Otp(Passcode),
    /// A challenge that was answered elsewhere.
    Oob {
        /// Its handle.
        oob_code: Passcode,
        /// The code that it sent; `None` where the person answers by a tap: then it is asked for
        /// again and again.
        binding_code: Option<Passcode>,
    },
    /// A recovery code.
    Recovery(Passcode),
}

impl Fields<'_> {
    /// Decides what is shown: a blank field counts as left out, and of several the first of
    /// one-time code, challenge and recovery code counts.
    ///
    /// # Errors
    /// Says what is missing.
    pub fn evidence(&self) -> Result<Evidence, &'static str> {
        let otp = passcode(self.otp)?;
        let oob_code = passcode(self.oob_code)?;
        let binding_code = passcode(self.binding_code)?;
        let recovery_code = passcode(self.recovery_code)?;
        match (otp, oob_code, recovery_code) {
            (Some(otp), _, _) => Ok(Evidence::Otp(otp)),
            (None, Some(oob_code), _) => Ok(Evidence::Oob { oob_code, binding_code }),
            (None, None, Some(recovery_code)) => Ok(Evidence::Recovery(recovery_code)),
            (None, None, None) => Err("one of otp, oob_code and recovery_code is needed"),
        }
    }
}

fn passcode(field: Option<&str>) -> Result<Option<Passcode>, &'static str> {
    let Some(text) = field.map(str::trim).filter(|text| !text.is_empty()) else {
        return Ok(None);
    };
    if text.len() > PASSCODE_BYTES_MAX {
        return Err("a code is too long");
    }
    Ok(Some(Passcode::new(text)))
}

impl Evidence {
    /// Reports whether the provider has to be asked until the person has answered.
    pub const fn is_polled(&self) -> bool {
        matches!(self, Self::Oob { binding_code: None, .. })
    }

    /// Returns the factor that is shown, where the evidence itself tells.
    pub const fn factor(&self) -> Option<Factor> {
        match self {
            Self::Otp(_) => Some(Factor::Otp),
            Self::Oob { binding_code: None, .. } => Some(Factor::Push),
            Self::Oob { binding_code: Some(_), .. } => None,
            Self::Recovery(_) => Some(Factor::RecoveryCode),
        }
    }
}
