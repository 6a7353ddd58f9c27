//! The pages of a step-up. Each works without a script; the script of the push page only saves
//! the person a click.

use askama::Template;
use axum::body::Body;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use tokenward::core::step_up::Factor;
use tokenward::step_up::{Authenticator, HoldView};

use super::about::About;
use super::ask::Verify;
use super::picture::Picture;
use crate::pages::{Allowed, dress, nonce};

/// One page, ready to be shown.
pub(super) struct Screen {
    about: About,
    shows: Shows,
}

enum Shows {
    Choose {
        known: Vec<Way>,
        enrollable: Vec<Way>,
        wants_number: bool,
        provider_href: Option<String>,
        trouble: Option<String>,
    },
    Code {
        code: Code,
        trouble: Option<String>,
    },
    Done {
        recovery_code: String,
    },
    Enroll {
        qr: Picture,
        secret: String,
        recovery_codes: Vec<String>,
    },
    Nothing,
    Push {
        oob_code: String,
        every_s: u64,
    },
}

/// One way to confirm, as a button.
struct Way {
    value: String,
    factor: String,
    title: &'static str,
    detail: String,
}

/// Which code a person types.
pub(super) enum Code {
    /// The one that an authenticator app shows.
    Otp,
    /// A recovery code.
    Recovery,
    /// One that was sent.
    Sent { how: &'static str, oob_code: String },
}

impl Code {
    /// One that was sent by `factor`.
    pub(super) fn sent(factor: &str, oob_code: String) -> Self {
        let how = match Factor::parse(factor) {
            Some(Factor::Email) => "by e-mail",
            Some(Factor::Voice) => "by a call",
            Some(Factor::Sms) => "by a text message",
            Some(Factor::Otp | Factor::Push | Factor::RecoveryCode | Factor::Webauthn) | None => {
                "to you"
            }
        };
        Self::Sent { how, oob_code }
    }

    /// The one that was tried.
    pub(super) fn of(said: &Verify) -> Self {
        match (&said.oob_code, &said.recovery_code) {
            (Some(oob_code), _) => Self::Sent { how: "to you", oob_code: oob_code.clone() },
            (None, Some(_)) => Self::Recovery,
            (None, None) => Self::Otp,
        }
    }
}

/// What a person reads who has no factor yet, and came by a display's link.
const ELSEWHERE: &str = "No factor is set up yet, and a display's link cannot set one up. Sign in \
                         yourself, on this phone or elsewhere, and do it there.";

#[derive(Template)]
#[template(path = "mfa/choose.html")]
struct ChoosePage<'a> {
    nonce: &'a str,
    about: &'a About,
    known: &'a [Way],
    enrollable: &'a [Way],
    wants_number: bool,
    provider_href: Option<&'a str>,
    trouble: Option<&'a str>,
}

#[derive(Template)]
#[template(path = "mfa/code.html")]
struct CodePage<'a> {
    nonce: &'a str,
    about: &'a About,
    title: &'a str,
    hint: &'a str,
    label: &'a str,
    name: &'a str,
    digits: bool,
    oob_code: Option<&'a str>,
    trouble: Option<&'a str>,
}

#[derive(Template)]
#[template(path = "mfa/push.html")]
struct PushPage<'a> {
    nonce: &'a str,
    about: &'a About,
    oob_code: &'a str,
    every_s: u64,
}

#[derive(Template)]
#[template(path = "mfa/enroll.html")]
struct EnrollPage<'a> {
    nonce: &'a str,
    about: &'a About,
    qr: &'a Picture,
    secret: &'a str,
    recovery_codes: &'a [String],
}

#[derive(Template)]
#[template(path = "mfa/done.html")]
struct DonePage<'a> {
    nonce: &'a str,
    about: &'a About,
    recovery_code: &'a str,
}

#[derive(Template)]
#[template(path = "mfa/nothing.html")]
struct NothingPage<'a> {
    nonce: &'a str,
    about: &'a About,
}

impl Screen {
    /// The ways to confirm, and to set one up.
    pub(super) fn choose(
        about: About,
        view: &HoldView,
        known: &[Authenticator],
        trouble: Option<String>,
    ) -> Self {
        if !view.by_api {
            let provider_href = Some(about.provider());
            let (known, enrollable) = (Vec::new(), Vec::new());
            let shows =
                Shows::Choose { known, enrollable, wants_number: false, provider_href, trouble };
            return Self { about, shows };
        }
        let mut ways: Vec<Way> = known.iter().filter_map(|one| Way::of(one, &about)).collect();
        if ways.is_empty() {
            ways = named(view).filter_map(Way::named).collect();
        }
        let is_own = !about.by_link;
        let enrollable: Vec<Way> = enrollable(view).filter(|_| is_own).map(Way::new_one).collect();
        let nothing_yet = || Some(ELSEWHERE.to_owned()).filter(|_| !is_own && ways.is_empty());
        let trouble = trouble.or_else(nothing_yet);
        let wants_number =
            enrollable.iter().any(|way| way.factor == "sms" || way.factor == "voice");
        let shows =
            Shows::Choose { known: ways, enrollable, wants_number, provider_href: None, trouble };
        Self { about, shows }
    }

    /// A form for a code.
    pub(super) fn code(about: About, code: Code, trouble: Option<String>) -> Self {
        Self { about, shows: Shows::Code { code, trouble } }
    }

    /// The new recovery code, and the way on.
    pub(super) fn done(about: About, recovery_code: String) -> Self {
        Self { about, shows: Shows::Done { recovery_code } }
    }

    /// A new authenticator: the address that its app reads, and what is shown this once.
    pub(super) fn enroll(
        about: About,
        address: &str,
        secret: Option<String>,
        recovery_codes: Vec<String>,
    ) -> Self {
        let secret = secret.or_else(|| secret_of(address)).unwrap_or_default();
        let qr = Picture::of(address).unwrap_or(Picture { size: 1, path: String::new() });
        Self { about, shows: Shows::Enroll { qr, secret, recovery_codes } }
    }

    /// There is nothing to confirm.
    pub(super) fn nothing(about: About) -> Self {
        Self { about, shows: Shows::Nothing }
    }

    /// A question that is answered on a phone.
    pub(super) fn push(about: About, oob_code: String, every_s: u64) -> Self {
        Self { about, shows: Shows::Push { oob_code, every_s } }
    }

    /// Writes the page.
    pub(super) fn reply(self) -> Response {
        let Some(nonce) = nonce() else {
            return StatusCode::INTERNAL_SERVER_ERROR.into_response();
        };
        let Self { about, shows } = &self;
        let (written, allowed) = match shows {
            Shows::Push { .. } => (self.written(&nonce), Allowed::FormsAndScript),
            Shows::Choose { .. }
            | Shows::Code { .. }
            | Shows::Done { .. }
            | Shows::Enroll { .. }
            | Shows::Nothing => (self.written(&nonce), Allowed::Forms),
        };
        // Writing to a text fails only where a value's Display does; these are texts and numbers.
        let Ok(page) = written else {
            tracing::error!(audience = about.audience, "a page could not be written");
            return StatusCode::INTERNAL_SERVER_ERROR.into_response();
        };
        let mut reply = Response::new(Body::from(page));
        dress(&mut reply, &nonce, allowed);
        reply
    }

    fn written(&self, nonce: &str) -> askama::Result<String> {
        let about = &self.about;
        match &self.shows {
            Shows::Choose { known, enrollable, wants_number, provider_href, trouble } => {
                let (wants_number, trouble) = (*wants_number, trouble.as_deref());
                let provider_href = provider_href.as_deref();
                ChoosePage { nonce, about, known, enrollable, wants_number, provider_href, trouble }
                    .render()
            }
            Shows::Code { code, trouble } => code_page(nonce, about, code, trouble.as_deref()),
            Shows::Done { recovery_code } => DonePage { nonce, about, recovery_code }.render(),
            Shows::Enroll { qr, secret, recovery_codes } => {
                EnrollPage { nonce, about, qr, secret, recovery_codes }.render()
            }
            Shows::Nothing => NothingPage { nonce, about }.render(),
            Shows::Push { oob_code, every_s } => {
                PushPage { nonce, about, oob_code, every_s: *every_s }.render()
            }
        }
    }
}

fn code_page(
    nonce: &str,
    about: &About,
    code: &Code,
    trouble: Option<&str>,
) -> askama::Result<String> {
    let sent_hint;
    let (title, hint, label, name, digits, oob_code) = match code {
        Code::Otp => (
            "Enter the code from your app",
            "Open your authenticator app. A new code appears every half minute.",
            "Code from the app",
            "otp",
            true,
            None,
        ),
        Code::Recovery => (
            "Enter your recovery code",
            "It was shown when you set your factor up. It works once; you get a new one.",
            "Recovery code",
            "recovery_code",
            false,
            None,
        ),
        Code::Sent { how, oob_code } => {
            sent_hint = format!("A code was sent {how}. It may take a moment to arrive.");
            let oob_code = Some(oob_code.as_str());
            ("Enter the code we sent", sent_hint.as_str(), "Code", "binding_code", true, oob_code)
        }
    };
    CodePage { nonce, about, title, hint, label, name, digits, oob_code, trouble }.render()
}

impl Way {
    fn of(known: &Authenticator, about: &About) -> Option<Self> {
        let factor = Factor::parse(known.factor?)?;
        let (title, detail) = texts(factor)?;
        // Whoever came by a link is not told numbers and addresses of the person's.
        let detail = match &known.name {
            Some(name) if !about.by_link => format!("{detail} ({name})"),
            Some(_) | None => detail.to_owned(),
        };
        Some(Self { value: known.id.clone(), factor: factor.code().to_owned(), title, detail })
    }

    fn named(factor: Factor) -> Option<Self> {
        let (title, detail) = texts(factor)?;
        let (value, factor) = (String::new(), factor.code().to_owned());
        Some(Self { value, factor, title, detail: detail.to_owned() })
    }

    fn new_one(factor: Factor) -> Self {
        let (title, detail) = match factor {
            Factor::Otp => ("Authenticator app", "Scan a QR code with an app such as Aegis"),
            Factor::Push => ("Guardian app", "Approve with one tap"),
            Factor::Sms => ("Text message", "Codes are sent to your phone"),
            Factor::Voice => ("Call", "A voice reads codes to you"),
            Factor::Email => ("E-mail", "Codes are sent to your address"),
            Factor::RecoveryCode | Factor::Webauthn => ("Another factor", "At your provider"),
        };
        let (value, factor) = (String::new(), factor.code().to_owned());
        Self { value, factor, title, detail: detail.to_owned() }
    }
}

/// What a button says; `None` for what cannot be answered on these pages.
fn texts(factor: Factor) -> Option<(&'static str, &'static str)> {
    Some(match factor {
        Factor::Otp => ("Authenticator app", "Enter the code that it shows"),
        Factor::Push => ("Phone", "Approve a question on it"),
        Factor::Sms => ("Text message", "A code is sent to your phone"),
        Factor::Voice => ("Call", "A voice reads a code to you"),
        Factor::Email => ("E-mail", "A code is sent to your address"),
        Factor::RecoveryCode => ("Recovery code", "If you have lost everything else"),
        Factor::Webauthn => return None,
    })
}

/// The factors that the demand names, where the list of authenticators says nothing.
fn named(view: &HoldView) -> impl Iterator<Item = Factor> {
    let factors = view.mfa_requirements.challenge.iter();
    // Without an authenticator's name only these can be asked for.
    factors
        .filter_map(|kind| Factor::parse(&kind.kind))
        .filter(|factor| matches!(factor, Factor::Otp | Factor::RecoveryCode))
        .chain(view.any_factor.then_some(Factor::Otp))
}

fn enrollable(view: &HoldView) -> impl Iterator<Item = Factor> {
    let factors = view.mfa_requirements.enroll.iter();
    factors
        .filter_map(|kind| Factor::parse(&kind.kind))
        .filter(|factor| !matches!(factor, Factor::RecoveryCode | Factor::Webauthn))
}

/// The key that an authenticator app would read from the picture.
fn secret_of(address: &str) -> Option<String> {
    let address = url::Url::parse(address).ok()?;
    address.query_pairs().find(|(name, _)| name == "secret").map(|(_, key)| key.into_owned())
}
