//! What the MFA API's bytes mean. Members are read one by one, so that a provider's additions and
//! slips beside them do no harm.

use crate::core::secret::Passcode;
use crate::core::step_up::factor::Authenticator;
use crate::provider::reply::members::{self, Members};

/// The authenticators read of one list: nobody has as many.
const AUTHENTICATORS_MAX: usize = 32;

/// The recovery codes read of one enrolment.
const RECOVERY_CODES_MAX: usize = 16;

/// The longest text read of one member: an `otpauth` address with its secret is far shorter.
const TEXT_BYTES_MAX: usize = 4096;

/// A challenge that was started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Challenge {
    /// `otp` or `oob`.
    pub challenge_type: String,
    /// The handle by which it is verified, where it is answered elsewhere.
    pub oob_code: Option<Passcode>,
    /// Whether the person was sent a code to type in.
    pub prompts: bool,
}

/// A factor that was enrolled, and waits to be confirmed by a verification.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Enrolled {
    /// `otp` or `oob`.
    pub authenticator_type: String,
    /// The provider's name for it.
    pub id: Option<String>,
    /// The secret of an app's codes, to be typed in.
    pub secret: Option<Passcode>,
    /// The same as an address for a QR code.
    pub barcode_uri: Option<Passcode>,
    /// Codes for emergencies.
    pub recovery_codes: Vec<Passcode>,
    /// How the person is reached.
    pub oob_channel: Option<String>,
    /// The handle by which it is confirmed, where that happens elsewhere.
    pub oob_code: Option<Passcode>,
    /// Whether the person was sent a code to type in.
    pub prompts: bool,
}

/// Reads a list of authenticators; `None` where it is no list.
pub fn authenticators(body: &[u8]) -> Option<Vec<Authenticator>> {
    if !body.trim_ascii_start().starts_with(b"[") {
        return None;
    }
    let one = |element: &[u8]| {
        let members = Members::of(element);
        Some(Authenticator {
            id: plain(&members, "id")?,
            authenticator_type: plain(&members, "authenticator_type")?,
            channel: plain(&members, "oob_channel"),
            kind: plain(&members, "type"),
            name: plain(&members, "name"),
            // Left out by nobody known; one that is not said to be confirmed may not be.
            is_active: members.present("active") == Some(b"true"),
        })
    };
    Some(members::elements(body).filter_map(one).take(AUTHENTICATORS_MAX).collect())
}

/// Reads a challenge.
pub(super) fn challenge(body: &[u8]) -> Option<Challenge> {
    let members = Members::strict(body)?;
    Some(Challenge {
        challenge_type: plain(&members, "challenge_type")?,
        oob_code: secret(&members, "oob_code"),
        prompts: prompts(&members),
    })
}

/// Reads an enrolment.
pub(super) fn enrolled(body: &[u8]) -> Option<Enrolled> {
    let members = Members::strict(body)?;
    let codes = members.present("recovery_codes").unwrap_or_default();
    let recovery_codes = members::elements(codes)
        .filter_map(members::decode)
        .filter(|code| code.len() <= TEXT_BYTES_MAX)
        .map(|code| Passcode::new(&code))
        .take(RECOVERY_CODES_MAX)
        .collect();
    Some(Enrolled {
        authenticator_type: plain(&members, "authenticator_type")?,
        id: plain(&members, "id"),
        secret: secret(&members, "secret"),
        barcode_uri: secret(&members, "barcode_uri"),
        recovery_codes,
        oob_channel: plain(&members, "oob_channel"),
        oob_code: secret(&members, "oob_code"),
        prompts: prompts(&members),
    })
}

fn prompts(members: &Members<'_>) -> bool {
    plain(members, "binding_method").as_deref() == Some("prompt")
}

fn plain(members: &Members<'_>, name: &str) -> Option<String> {
    let text = members.lenient_text(name).filter(|text| text.len() <= TEXT_BYTES_MAX)?;
    Some(text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect())
}

fn secret(members: &Members<'_>, name: &str) -> Option<Passcode> {
    let text = members.lenient_text(name).filter(|text| text.len() <= TEXT_BYTES_MAX)?;
    Some(Passcode::new(&text))
}
