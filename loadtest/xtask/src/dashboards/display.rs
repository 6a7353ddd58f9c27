//! A display on the wall: signed in by its code as a real one, it tells of itself with each call.

use std::time::Duration;

use serde_json::Value;
use tokenward_programs::clock;
use tokenward_programs::failure::Failure;
use tokenward_programs::http::Caller;

use super::scene::Scene;
use crate::stage::Who;
use crate::visitor::Visitor;

/// What asks for a display's session (RFC 8628 §3.4).
const DEVICE_GRANT: &str = "urn:ietf:params:oauth:grant-type:device_code";

/// The pause between two questions of the display, as the gateway's file allows it.
pub(super) const INTERVAL: Duration = Duration::from_secs(1);

/// How long it asks after its code was approved.
const ASKING: Duration = Duration::from_secs(30);

/// How it tells of itself (the header, and what it says while all is well and in trouble).
const HEADER: &str = "tokenward-device";
const WELL: &str = "v=\"0.1.0\", panel=\"ssd1306-128x64\", up, state=online, stale=0, fetch-ok=1, \
                    draw-ok=1, draw-skipped=4";
const ILL: &str =
    "v=\"0.1.0\", panel=\"ssd1306-128x64\", state=mfa, stale=5, fetch-mfa=1, draw-nack=3";

/// A display that is signed in.
#[derive(Debug)]
pub(super) struct Display {
    pub(super) who: Who,
}

impl Display {
    /// Asks for a code, and lets Ada approve it on her telephone.
    ///
    /// # Errors
    /// `Missed` where the sign-in got stuck.
    pub(super) fn sign_in(scene: &Scene) -> Result<Self, Failure> {
        let origin = scene.world().origin();
        let ask = |path: &str, fields: &[(&str, &str)]| {
            let fields: Vec<(String, String)> =
                fields.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect();
            let url = format!("{origin}{path}");
            let said = Caller::new().post_form(&url, &[("accept", "application/json")], &fields);
            serde_json::from_str::<Value>(&said.map(|said| said.body).unwrap_or_default())
                .unwrap_or_default()
        };
        let word = |told: &Value, name: &str| told[name].as_str().unwrap_or_default().to_owned();
        let told = ask("/auth/device/code", &[("client_id", "wall")]);
        let mut phone = Visitor::new(&origin);
        let page = format!("/d/{}", word(&told, "user_code"));
        phone.walk_to("/d/signed-in", &page, "ada").map_err(Failure::Missed)?;
        let code = word(&told, "device_code");
        let fields = [("grant_type", DEVICE_GRANT), ("device_code", &code), ("client_id", "wall")];
        let handle = clock::poll(ASKING, INTERVAL, || {
            let told = ask("/auth/device/token", &fields);
            Some(word(&told, "access_token")).filter(|handle| !handle.is_empty())
        });
        let never = || Failure::Missed("the display never got its session".to_owned());
        Ok(Self { who: Who::holding(&handle.ok_or_else(never)?) })
    }

    /// Returns the header by which it tells of itself.
    pub(super) fn report(is_ill: bool) -> (&'static str, &'static str) {
        (HEADER, if is_ill { ILL } else { WELL })
    }
}
