//! One model for each screen, to look at without a network: for `show`, and for the tests.

use std::time::Duration;

use crate::model::{Age, Content, MfaRequired, Model, Phase, SignIn, WallTime};

/// What the display of seed 000 showed when it worked again.
const SENECA: &str = "It takes the whole of life to learn how to live, and—what will perhaps make \
you wonder more—it takes the whole of life to learn how to die.";

const SHORT: &str = "Simplicity is the ultimate sophistication.";

const LONG: &str = "I learned this, at least, by my experiment: that if one advances confidently \
in the direction of his dreams, and endeavors to live the life which he has imagined, he will \
meet with a success unexpected in common hours. He will put some things behind, will pass an \
invisible boundary; new, universal, and more liberal laws will begin to establish themselves \
around and within him.";

/// The screens by name, in the order in which a display meets them.
pub const NAMES: [&str; 19] = [
    "booting",
    "clock",
    "network",
    "sign-in",
    "sign-in-long",
    "sign-in-typed",
    "ask",
    "ask-button",
    "signed-in",
    "quote",
    "quote-short",
    "quote-long",
    "stale",
    "mfa",
    "mfa-push",
    "mfa-direct",
    "ended",
    "trouble",
    "test",
];

/// Returns the model of a screen, if there is one of that name.
pub fn model(name: &str) -> Option<Model> {
    let seneca = || Some(content(SENECA, "Seneca", None));
    let (phase, shown) = match name {
        "booting" => (Phase::Booting, None),
        "clock" => (Phase::WaitingForClock, None),
        "network" => (Phase::NoNetwork { why: "gateway not reached".to_owned() }, None),
        "sign-in" => (sign_in("https://gw.example/d", "https://gw.example/d/WDJB-MJHT"), None),
        "sign-in-long" => (
            sign_in(
                "https://acme.eu.auth0.com/activate",
                "https://acme.eu.auth0.com/activate?user_code=WDJB-MJHT",
            ),
            None,
        ),
        "sign-in-typed" => (
            sign_in(
                "https://keycloak.example.org/realms/home/device",
                "https://keycloak.example.org/realms/home/device?user_code=WDJB-MJHT",
            ),
            None,
        ),
        "ask" => (Phase::AskPerson { button: false }, None),
        "ask-button" => (Phase::AskPerson { button: true }, None),
        "signed-in" => (Phase::Online, None),
        "quote" => (Phase::Online, seneca()),
        "quote-short" => (Phase::Online, Some(content(SHORT, "Leonardo da Vinci", None))),
        "quote-long" => (Phase::Online, Some(content(LONG, "Henry David Thoreau", None))),
        "stale" => {
            let age = Age::Known(Duration::from_secs(3 * 3600));
            (Phase::Online, Some(content(SENECA, "Seneca", Some(age))))
        }
        "mfa" => (mfa(Some("https://gw.example/d/KQXR-ZTBW"), false), seneca()),
        "mfa-push" => (mfa(Some("https://gw.example/d/KQXR-ZTBW"), true), seneca()),
        "mfa-direct" => (mfa(None, false), seneca()),
        "ended" => (Phase::Ended { reason: "signed out by the operator".to_owned() }, seneca()),
        "trouble" => (
            Phase::Trouble {
                what: "the gateway has no device sign-in".to_owned(),
                remedy: "switch it on in its configuration".to_owned(),
            },
            None,
        ),
        "test" => (Phase::PanelTest, None),
        _ => return None,
    };
    let wall = if name == "booting" || name == "clock" { None } else { WallTime::new(14, 32) };
    Some(Model { phase, content: shown, wall, ..Model::new() })
}

fn content(text: &str, author: &str, stale: Option<Age>) -> Content {
    Content { text: text.to_owned(), author: Some(author.to_owned()), stale }
}

fn sign_in(uri: &str, uri_complete: &str) -> Phase {
    Phase::SignIn(SignIn {
        user_code: "WDJB-MJHT".to_owned(),
        uri: uri.to_owned(),
        uri_complete: Some(uri_complete.to_owned()),
        left: Duration::from_secs(14 * 60 + 30),
    })
}

fn mfa(uri: Option<&str>, pushing: bool) -> Phase {
    let provider = uri.is_none().then(|| "acme.eu.auth0.com".to_owned());
    Phase::MfaRequired(MfaRequired { uri: uri.map(str::to_owned), provider, pushing })
}
