//! What a receiver is sent, and how it is signed (Standard Webhooks 1.0.0).

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use bytes::Bytes;
use ring::hmac;
use serde_json::json;
use tokenward::LifecycleEvent;

use crate::config::SigningKey;
use crate::moment::moment;

/// One message: the same in each try.
#[derive(Clone, Debug)]
pub(crate) struct Letter {
    /// By which a receiver knows a repetition; without a full stop, which separates what is signed.
    pub(super) id: String,
    pub(super) body: Bytes,
}

impl Letter {
    /// Writes a letter about a fact; `None` where there is no randomness for its id.
    pub(super) fn about(fact: &LifecycleEvent) -> Option<Self> {
        let kind = format!("session.{}", fact.event);
        let data = json!({
            "session": fact.session,
            "audience": fact.audience,
            "text": fact.text,
        });
        Self::write(&kind, fact.at_ms, &data)
    }

    /// Writes the letter by which `tokenward check` tries a receiver.
    pub(super) fn trial(at_ms: u64) -> Option<Self> {
        Self::write("tokenward.check", at_ms, &json!({}))
    }

    /// Signs the letter for a try at this second.
    pub(super) fn signature(&self, key: &SigningKey, at_s: u64) -> String {
        let key = hmac::Key::new(hmac::HMAC_SHA256, key.expose());
        let mut signing = hmac::Context::with_key(&key);
        signing.update(format!("{}.{at_s}.", self.id).as_bytes());
        signing.update(&self.body);
        format!("v1,{}", STANDARD.encode(signing.sign()))
    }

    fn write(kind: &str, at_ms: u64, data: &serde_json::Value) -> Option<Self> {
        let mut random = [0; 18];
        getrandom::fill(&mut random).ok()?;
        let id = format!("msg_{}", URL_SAFE_NO_PAD.encode(random));
        let body = json!({ "type": kind, "timestamp": moment(at_ms), "data": data });
        Some(Self { id, body: Bytes::from(body.to_string()) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_is_that_of_the_specification() {
        // The example of the specification's own libraries.
        let key = SigningKey::parse("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        let letter = Letter {
            id: "msg_p5jXN8AQM9LWM0D4loKWxJek".to_owned(),
            body: Bytes::from_static(b"{\"test\": 2432232314}"),
        };
        let signature = letter.signature(&key, 1_614_265_330);
        assert_eq!(signature, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }
}
