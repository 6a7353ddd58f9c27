//! The addresses a browser is sent to: to sign in, and to sign out.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};
use url::Url;

use crate::core::name::Audience;
use crate::core::scope::ScopeSet;
use crate::core::secret::IdToken;
use crate::provider::Provider;
use crate::provider::error::ProviderError;
use crate::provider::settings::{AudienceParameter, LogoutFallback};

/// What a person is asked to agree to.
#[derive(Clone, Copy, Debug)]
pub struct AuthorizeRequest<'a> {
    /// Where the browser comes back to.
    pub redirect_uri: &'a str,
    /// What it must bring back unchanged.
    pub state: &'a str,
    /// What the ID token must repeat.
    pub nonce: &'a str,
    /// The hash of the PKCE secret: [`code_challenge`].
    pub code_challenge: &'a str,
    /// The scopes; `openid` and `offline_access` are the caller's to ask for.
    pub scopes: &'a ScopeSet,
    /// The APIs; a provider that takes one only is asked for the first.
    pub audiences: &'a [Audience],
    /// `prompt`, such as `login` or `none`.
    pub prompt: Option<&'a str>,
    /// How long ago the person may have authenticated.
    pub max_age: Option<Duration>,
    /// The authentication contexts that will do.
    pub acr_values: Option<&'a str>,
    /// Who is expected to sign in.
    pub login_hint: Option<&'a str>,
}

/// Returns what a provider is told of a PKCE secret (RFC 7636 §4.2, `S256`).
pub fn code_challenge(code_verifier: &str) -> String {
    URL_SAFE_NO_PAD.encode(Sha256::digest(code_verifier.as_bytes()))
}

impl Provider {
    /// Returns the address to sign in at.
    ///
    /// # Errors
    /// Fails where the provider's metadata cannot be had, or names no such address.
    pub async fn authorize_url(
        &self,
        request: &AuthorizeRequest<'_>,
    ) -> Result<Url, ProviderError> {
        let metadata = self.discover().await?;
        let endpoint = metadata.authorization_endpoint.clone();
        let mut url = endpoint.ok_or(ProviderError::NotOffered("authorization endpoint"))?;
        {
            let mut query = url.query_pairs_mut();
            query
                .append_pair("response_type", "code")
                .append_pair("client_id", &self.0.settings.client_id)
                .append_pair("redirect_uri", request.redirect_uri)
                .append_pair("scope", &request.scopes.to_string())
                .append_pair("state", request.state)
                .append_pair("nonce", request.nonce)
                .append_pair("code_challenge", request.code_challenge)
                .append_pair("code_challenge_method", "S256");
            let (name, audiences) = match self.0.settings.audience_parameter {
                AudienceParameter::Audience => ("audience", request.audiences.get(..1)),
                AudienceParameter::Resource => ("resource", Some(request.audiences)),
                AudienceParameter::Omit => ("", None),
            };
            for audience in audiences.unwrap_or_default() {
                query.append_pair(name, audience.as_str());
            }
            let max_age = request.max_age.map(|age| age.as_secs().to_string());
            for (name, value) in [
                ("prompt", request.prompt),
                ("max_age", max_age.as_deref()),
                ("acr_values", request.acr_values),
                ("login_hint", request.login_hint),
            ] {
                if let Some(value) = value {
                    query.append_pair(name, value);
                }
            }
            for (name, value) in &self.0.settings.authorize_parameters {
                query.append_pair(name, value);
            }
        }
        Ok(url)
    }

    /// Returns the address to sign out at, if the provider has one.
    ///
    /// The ID token goes into the address because RP-initiated logout has it there (§2); it opens
    /// nothing.
    pub async fn end_session_url(
        &self,
        id_token_hint: Option<&IdToken>,
        post_logout_redirect_uri: Option<&str>,
        state: Option<&str>,
    ) -> Option<Url> {
        let client_id = self.0.settings.client_id.as_str();
        let metadata = self.discover().await.ok();
        if let Some(mut url) = metadata.and_then(|known| known.end_session_endpoint.clone()) {
            let pairs = [
                ("client_id", Some(client_id)),
                ("id_token_hint", id_token_hint.map(IdToken::expose)),
                ("post_logout_redirect_uri", post_logout_redirect_uri),
                ("state", state),
            ];
            append(&mut url, &pairs);
            return Some(url);
        }
        match self.0.settings.logout {
            LogoutFallback::None => None,
            LogoutFallback::Auth0 => {
                let mut url = Url::parse(&self.0.settings.issuer).ok()?;
                url.set_path("/v2/logout");
                let pairs =
                    [("client_id", Some(client_id)), ("returnTo", post_logout_redirect_uri)];
                append(&mut url, &pairs);
                Some(url)
            }
        }
    }
}

fn append(url: &mut Url, pairs: &[(&str, Option<&str>)]) {
    let mut query = url.query_pairs_mut();
    for (name, value) in pairs {
        if let Some(value) = value {
            query.append_pair(name, value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_challenge_is_that_of_rfc_7636_appendix_b() {
        let verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
        assert_eq!(code_challenge(verifier), "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM");
    }
}
