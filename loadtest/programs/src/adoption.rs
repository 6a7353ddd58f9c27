//! Sessions without a browser: the sandbox starts token families, and a gateway adopts each.

use serde::Deserialize;
use serde_json::json;

use crate::control::Control;
use crate::failure::Failure;
use crate::http::Caller;

/// What the families are started for.
#[derive(Clone, Copy, Debug)]
pub struct Wish<'a> {
    /// How many.
    pub count: u32,
    /// The client that the gateway is.
    pub client_id: &'a str,
    /// The API of their first access token.
    pub audience: &'a str,
    /// What they may do there, with spaces between.
    pub scope: &'a str,
}

/// A token family that nobody keeps yet. Has no text in logs, because it is a secret.
#[derive(Deserialize)]
pub struct Family {
    /// The person.
    pub subject: String,
    refresh_token: String,
}

/// A session that a gateway has made of a family. Has no text in logs, because it holds a secret.
#[derive(Deserialize)]
pub struct Adopted {
    /// What a caller of this session sends as a bearer.
    pub handle: String,
    /// The session's public id.
    pub session: String,
}

/// Has the sandbox start token families.
///
/// # Errors
/// `Ours` when it refuses.
pub fn mint(control: &Control, wish: &Wish<'_>) -> Result<Vec<Family>, Failure> {
    #[derive(Deserialize)]
    struct Minted {
        sessions: Vec<Family>,
    }
    let asked = json!({
        "count": wish.count,
        "client_id": wish.client_id,
        "audience": wish.audience,
        "scope": format!("openid offline_access {}", wish.scope),
    });
    let minted: Minted = serde_json::from_value(control.post("sessions", &asked)?)
        .map_err(|error| Failure::Ours(format!("the sandbox minted something else: {error}")))?;
    Ok(minted.sessions)
}

/// Lets the gateway with this admin listener adopt a family for an audience.
///
/// # Errors
/// `Ours` when it refuses.
pub fn adopt(
    admin: &str,
    caller: &Caller,
    family: &Family,
    audience: &str,
) -> Result<Adopted, Failure> {
    let wish = json!({
        "refresh_token": family.refresh_token,
        "subject": family.subject,
        "audience": audience,
    });
    let answer = caller.post_json(&format!("{admin}/api/adopt"), &[], &wish);
    let answer = answer.map_err(Failure::Ours)?.json("adopting a refresh token")?;
    // The answer holds a handle: what cannot be read of it is not told.
    serde_json::from_value(answer)
        .map_err(|_| Failure::Ours("adopting answered something else".to_owned()))
}
