//! Turns a code, of a browser or a device, into the first tokens of a family.

use std::sync::Arc;

use axum::response::Response;

use crate::hold;
use crate::ledger::{Entry, Kind};

use super::family::{FamilyId, Grant};
use super::issue::Extras;
use super::mfa::settings::Protocol;
use super::policy::{Granted, has_scope};
use super::refusal::{self, Refusal};
use super::registry::Client;
use super::seal::s256;
use super::{Code, Params, Provider, family_name};

impl Provider {
    /// Answers grant_type=authorization_code.
    pub(crate) fn exchange_code(
        &self,
        client: &Client,
        params: &Params,
    ) -> Result<Response, Refusal> {
        let code = params
            .get("code")
            .ok_or(refusal::invalid_request("Missing required parameter: code"))?;
        let now_ms = self.clock.now_ms();
        let taken = hold(&self.desk).codes.take(code, now_ms);
        let Some(taken) = taken else {
            return Err(self.code_refused(client, code));
        };
        self.remember_spent(code, None);
        let request = &taken.request;
        let same_return = params.get("redirect_uri") == Some(&request.redirect_uri);
        if request.client != client.client_id || !same_return {
            return Err(self.code_refused(client, code));
        }
        let verifier = params.get("code_verifier");
        if request.challenge != verifier.map(|verifier| s256(verifier)) {
            self.code_refused(client, code);
            return Err(refusal::PKCE_FAILED);
        }
        if let Some(requirements) = self.demanded(Protocol::Login, &taken)? {
            return Ok(self.code_challenged(taken, Kind::CodeExchanged, requirements));
        }
        let (answer, family) = self.sign_in_answer(taken, client, Kind::CodeExchanged, None);
        self.remember_spent(code, family);
        Ok(answer)
    }

    /// Starts a family where `offline_access` was granted, and returns the answer.
    pub(crate) fn sign_in_answer(
        &self,
        Code { request, browser, .. }: Code,
        client: &Client,
        kind: Kind,
        recovery_code: Option<String>,
    ) -> (Response, Option<FamilyId>) {
        let grant = Grant {
            subject: browser.subject,
            client: client.client_id.clone(),
            audience: request.granted.audience.clone(),
            scope: request.granted.scope.clone(),
            sid: browser.sid,
            auth_time_ms: browser.auth_time_ms,
            acr: request.acr,
            nonce: request.nonce,
            second: browser.second,
        };
        let id_token = self.id_token(&grant, &grant.scope);
        let Granted { audience, scope } = request.granted.clone();
        let subject = grant.subject.clone();
        let shared = Some(Arc::new(grant.clone()));
        let family = has_scope(&scope, "offline_access").then(|| self.start_family(grant));
        let refresh_token = family.map(|family| self.seal.refresh_token(family, 1));
        let extras = Extras { refresh_token, id_token, grant: shared, recovery_code };
        let answer = self.token_answer(&subject, &client.client_id, &request.granted, extras);
        self.log(
            kind,
            Entry {
                family: family.map(family_name),
                latest: family.map(|_| 1),
                audience: Some(audience),
                scope: Some(scope),
                client: Some(client.client_id.clone()),
                subject: Some(subject),
                ..Entry::default()
            },
        );
        (answer, family)
    }

    /// Starts a family and notes the one that had to go for it.
    pub(crate) fn start_family(&self, grant: Grant) -> FamilyId {
        let now_ms = self.clock.now_ms();
        let (family, evicted) = hold(&self.tenant).start_family(grant, now_ms);
        if let Some(evicted) = evicted {
            let family = Some(family_name(evicted));
            self.log(Kind::FamilyEvicted, Entry { family, ..Entry::default() });
        }
        family
    }

    /// A code used twice is a stolen one: what its first use started ends (RFC 6749 §4.1.2).
    fn code_refused(&self, client: &Client, code: &str) -> Refusal {
        let now_ms = self.clock.now_ms();
        let family = hold(&self.desk).spent_codes.take(code, now_ms).flatten();
        if let Some(family) = family {
            hold(&self.tenant).revoke(family, &client.client_id);
            let family = Some(family_name(family));
            let detail = Some("authorization code used twice".to_owned());
            self.log(Kind::FamilyRevoked, Entry { family, detail, ..Entry::default() });
        }
        let client = Some(client.client_id.clone());
        self.log(Kind::CodeRefused, Entry { client, ..Entry::default() });
        refusal::INVALID_CODE
    }

    /// So that a second use of the code can end what its first use started.
    fn remember_spent(&self, code: &str, family: Option<FamilyId>) {
        let now_ms = self.clock.now_ms();
        hold(&self.desk).spent_codes.put(code.to_owned(), family, now_ms);
    }
}
