//! The bytes of what waits for a person, and of what a person has shown.

use super::RecordFault;
use super::bytes::{Reader, Writer};
use crate::core::refusal::MfaDemand;
use crate::core::secret::MfaToken;
use crate::core::snapshot::Hold;
use crate::core::step_up::{Context, ContextId, Origin, Proof, Remembered, Strength};
use crate::core::time::Instant;

pub(super) fn write_hold(to: &mut Writer, hold: &Hold, now: Instant) {
    to.text(hold.audience.as_str());
    to.text(&hold.scopes.to_string());
    to.instant(hold.since);
    to.maybe(hold.probe_at, Writer::instant);
    to.texts(hold.demand.challenge.iter().map(String::as_str));
    to.texts(hold.demand.enroll.iter().map(String::as_str));
    to.byte(u8::from(hold.demand.is_listed));
    to.byte(match hold.origin {
        Origin::Provider => 0,
        Origin::Policy => 1,
        Origin::Upstream => 2,
    });
    to.texts(hold.strength.classes.iter().map(String::as_str));
    to.maybe(hold.strength.max_age, Writer::span);
    to.byte(u8::from(hold.strength.factor) | u8::from(hold.strength.each_time) << 1);
    // Purged on write: what is over opens nothing, and is not kept.
    let open = hold.context.as_ref().filter(|context| !context.is_over(now));
    to.maybe(open, |to, context| {
        to.text(context.mfa_token.expose());
        to.raw(&context.id().0);
        to.instant(context.opened_at);
        to.span(context.ttl);
    });
}

pub(super) fn read_hold_1(from: &mut Reader<'_>) -> Result<Hold, RecordFault> {
    Ok(Hold {
        audience: from.audience()?,
        scopes: from.scopes()?,
        since: from.instant()?,
        probe_at: from.maybe(Reader::instant)?,
        demand: MfaDemand {
            mfa_token: None,
            challenge: from.texts()?,
            enroll: from.texts()?,
            is_listed: false,
        },
        origin: Origin::Provider,
        strength: Strength::default(),
        context: None,
    })
}

pub(super) fn read_hold_2(from: &mut Reader<'_>) -> Result<Hold, RecordFault> {
    let mut hold = read_hold_1(from)?;
    hold.demand.is_listed = from.byte()? != 0;
    hold.origin = match from.byte()? {
        0 => Origin::Provider,
        1 => Origin::Policy,
        2 => Origin::Upstream,
        _ => return Err(RecordFault::Malformed("nobody demands this factor")),
    };
    hold.strength.classes = from.texts()?;
    hold.strength.max_age = from.maybe(Reader::span)?;
    let flags = from.byte()?;
    (hold.strength.factor, hold.strength.each_time) = (flags & 1 != 0, flags & 2 != 0);
    hold.context = from.maybe(|from| {
        let text = from.text()?;
        let mfa_token = MfaToken::new(text, ContextId(from.array()?));
        Ok(Context { mfa_token, opened_at: from.instant()?, ttl: from.span()? })
    })?;
    Ok(hold)
}

pub(super) fn write_proof(to: &mut Writer, proof: &Proof) {
    to.maybe(proof.at, Writer::instant);
    to.maybe(proof.class.as_deref(), Writer::text);
    to.texts(proof.methods.iter().map(String::as_str));
}

pub(super) fn read_proof(from: &mut Reader<'_>) -> Result<Proof, RecordFault> {
    Ok(Proof {
        at: from.maybe(Reader::instant)?,
        class: from.maybe(|from| from.text().map(str::to_owned))?,
        methods: from.texts()?,
    })
}

pub(super) fn write_remembered(to: &mut Writer, remembered: &Remembered) {
    write_proof(to, &remembered.proof);
    to.span(remembered.age);
}

pub(super) fn read_remembered(from: &mut Reader<'_>) -> Result<Remembered, RecordFault> {
    Ok(Remembered { proof: Proof { at: None, ..read_proof(from)? }, age: from.span()? })
}

/// Makes a hold of unknown age begin at `now`, and its probe come as late after that as it was to
/// come after its beginning. Its context counts as over.
pub(super) fn count_anew(hold: &mut Hold, now: Instant) {
    hold.probe_at = hold.probe_at.map(|probe_at| now + probe_at.since(hold.since));
    hold.since = now;
    hold.context = None;
}
