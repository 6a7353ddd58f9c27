//! Signing out at the provider: Auth0's /v2/logout, RP-initiated logout, and back-channel logout.

use std::sync::Arc;

use axum::Form;
use axum::extract::{Query, State};
use axum::http::HeaderMap;
use axum::response::Response;
use url::Url;

use crate::control::NamedBy;
use crate::hold;
use crate::ledger::{Entry, Kind};
use crate::secrecy;

use super::login::redirect;
use super::{Params, Provider, pages};

/// GET /v2/logout.
pub(crate) async fn v2_logout(
    State(provider): State<Arc<Provider>>,
    headers: HeaderMap,
    Query(query): Query<Params>,
) -> Response {
    let client = query.get("client_id").cloned();
    provider.end_browser(&headers, client.clone());
    provider.leave(client, query.get("returnTo"), None)
}

/// GET /oidc/logout.
pub(crate) async fn end_session_query(
    State(provider): State<Arc<Provider>>,
    headers: HeaderMap,
    Query(query): Query<Params>,
) -> Response {
    provider.end_session(&headers, &query)
}

/// POST /oidc/logout.
pub(crate) async fn end_session_form(
    State(provider): State<Arc<Provider>>,
    headers: HeaderMap,
    Form(form): Form<Params>,
) -> Response {
    provider.end_session(&headers, &form)
}

impl Provider {
    /// Sends a logout token to a client and returns the status it answered with.
    pub(crate) async fn backchannel_logout(
        &self,
        client: &str,
        subject: &str,
        sid: Option<String>,
        by: NamedBy,
    ) -> Result<u16, String> {
        let (uri, sid) = {
            let tenant = hold(&self.tenant);
            let registered = tenant.client(client).ok_or("the client is not registered")?;
            let uri = registered.backchannel_logout_uri.clone();
            (uri, sid.or_else(|| tenant.newest_sid(subject, client)))
        };
        let uri = uri.ok_or("the client has no backchannel_logout_uri")?;
        let named = match by {
            NamedBy::Both => (Some(subject), sid.as_deref()),
            NamedBy::Sid => (None, Some(sid.as_deref().ok_or("the person has no login")?)),
            NamedBy::Sub => (Some(subject), None),
        };
        let logout_token = self.logout_token(client, named);
        self.secrets.learn(secrecy::Kind::LogoutToken, &logout_token);
        let call = self.http.post(uri).form(&[("logout_token", logout_token)]);
        let answer = call.send().await.map_err(|error| error.to_string())?;
        let status = answer.status().as_u16();
        self.log(
            Kind::BackchannelLogout,
            Entry {
                client: Some(client.to_owned()),
                subject: Some(subject.to_owned()),
                detail: Some(format!("answered {status}")),
                ..Entry::default()
            },
        );
        Ok(status)
    }

    fn end_session(&self, headers: &HeaderMap, params: &Params) -> Response {
        let hint = params.get("id_token_hint").map(|hint| self.keys.verify(hint));
        let hinted = match hint {
            Some(None) => return pages::refused("id_token_hint is no ID token of this provider."),
            Some(Some(claims)) => claims.get("aud").and_then(|aud| aud.as_str()).map(str::to_owned),
            None => None,
        };
        let named = params.get("client_id").cloned();
        if named.is_some() && hinted.is_some() && named != hinted {
            return pages::refused("client_id and id_token_hint name different clients.");
        }
        let client = named.or(hinted);
        self.end_browser(headers, client.clone());
        self.leave(client, params.get("post_logout_redirect_uri"), params.get("state"))
    }

    /// Refresh tokens live on: ending the provider's session revokes none, as at real providers.
    fn end_browser(&self, headers: &HeaderMap, client: Option<String>) {
        let subject = self.sign_out(headers).map(|browser| browser.subject);
        self.log(Kind::Logout, Entry { client, subject, ..Entry::default() });
    }

    fn leave(
        &self,
        client: Option<String>,
        to: Option<&String>,
        state: Option<&String>,
    ) -> Response {
        let Some(to) = to else {
            return pages::done("Signed out", "You are signed out at the provider.");
        };
        let registered = client.is_some_and(|client| {
            let tenant = hold(&self.tenant);
            tenant.client(&client).is_some_and(|one| one.post_logout_redirect_uris.contains(to))
        });
        match Url::parse(to) {
            Ok(mut url) if registered => {
                if let Some(state) = state {
                    url.query_pairs_mut().append_pair("state", state);
                }
                redirect(url.as_str())
            }
            Ok(_) | Err(_) => pages::refused(
                "You are signed out, but the address to return to is not registered exactly.",
            ),
        }
    }
}
