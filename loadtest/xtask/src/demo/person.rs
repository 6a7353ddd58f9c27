//! Ada, with a telephone: she scans what a panel shows, and says yes.

use serde_json::{Value, json};
use tokenward_programs::failure::Failure;
use tokenward_programs::http::Caller;

use crate::visitor::Visitor;
use crate::world::World;

/// Where the gateway leads a telephone that has signed a display in.
const SIGNED_IN: &str = "/d/signed-in";
/// Where it leads one that has shown another factor for it.
const CONFIRMED: &str = "/d/confirmed";
/// The API that the display shows: what the rule is about.
const QUOTES: &str = "https://quotes.sandbox.example";

/// Gives Ada an authenticator.
///
/// # Errors
/// `Ours` with the sandbox's words.
pub(super) fn arrive(world: &World) -> Result<(), Failure> {
    let factor = json!([{ "kind": "otp" }]);
    let ada = json!({
        "name": "ada", "display_name": "Ada Lovelace", "email": "ada@sandbox.example",
        "factors": factor,
    });
    world.control().post("users", &ada).map(drop)
}

/// Opens a link that a display shows: signs the display in, or shows the factor that it waits for.
///
/// # Errors
/// Where the way got stuck, in words.
pub(super) fn follows(world: &World, link: &str) -> Result<&'static str, String> {
    let path = path_of(link).ok_or("the code on the panel is no link of this gateway")?;
    let mut phone = Visitor::new(&world.origin());
    if !has_display(world) {
        phone.walk_to(SIGNED_IN, &path, "ada")?;
        return Ok("phone  scanned the code and signed the display in");
    }
    let told = world.control().read("users/ada/otp").map_err(|failure| failure.to_string())?;
    phone.walk_to(CONFIRMED, &path, told["otp"].as_str().unwrap_or_default())?;
    Ok("phone  scanned the code and showed another factor")
}

/// Lets the provider demand another factor of every refresh for the display's API, or none. Whoever
/// was held is tried again at once, as an operator does who has mended a rule.
///
/// # Errors
/// `Ours` with the sandbox's words.
pub(super) fn rules(world: &World, asks: bool) -> Result<(), Failure> {
    let rules = match asks {
        true => json!([
            { "when": { "mfa_done": true }, "then": "return" },
            {
                "when": { "protocol": "oauth2-refresh-token", "audiences": [QUOTES] },
                "then": "challenge",
            },
        ]),
        false => json!([]),
    };
    let mfa = json!({ "mfa": { "rules": rules, "otp_single_use": false } });
    world.control().post("tenant", &mfa)?;
    if !asks {
        for id in sessions(world) {
            let url = world.admin(&format!("/api/sessions/{id}/retry"));
            // Who is not held has nothing to try.
            let _ = Caller::new().post_json(&url, &[], &json!({}));
        }
    }
    Ok(())
}

/// Reports whether a display has a session.
pub(super) fn has_display(world: &World) -> bool {
    listed(world).iter().any(|session| !session["device"].is_null())
}

fn sessions(world: &World) -> Vec<String> {
    let id = |session: &Value| session["id"].as_str().map(str::to_owned);
    listed(world).iter().filter_map(id).collect()
}

fn listed(world: &World) -> Vec<Value> {
    let told = Caller::new().fetch(&world.admin("/api/sessions"), &[]);
    let told = told.ok().and_then(|answer| serde_json::from_str::<Value>(&answer.body).ok());
    told.and_then(|told| told["sessions"].as_array().cloned()).unwrap_or_default()
}

/// Returns the path of a link, whose code may be in capitals so that it takes a smaller picture.
fn path_of(link: &str) -> Option<String> {
    let (_, rest) = link.split_once("://")?;
    let (_, path) = rest.split_once('/')?;
    let (root, code) = path.split_once('/')?;
    root.eq_ignore_ascii_case("d").then(|| format!("/d/{code}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scanned_link_leads_to_the_gateway_s_own_path() {
        for (link, path) in [
            ("HTTP://127.0.0.1:8080/D/WDJB-MJHT", Some("/d/WDJB-MJHT")),
            ("http://127.0.0.1:8080/d/WDJB-MJHT", Some("/d/WDJB-MJHT")),
            ("http://127.0.0.1:8080/other/WDJB-MJHT", None),
            ("no link", None),
        ] {
            assert_eq!(path_of(link).as_deref(), path, "{link}");
        }
    }
}
