//! What a plan must hold to beyond its spelling; each complaint names the key and the remedy.

use std::time::Duration;

use super::{Act, Deed, Plan, SignIn, Span, Store};

/// The longest run: a night.
const DURATION_MAX: Duration = Duration::from_secs(12 * 3_600);
/// More than any machine sends by one thread.
const RATE_MAX: f64 = 200_000.0;
/// Far below the open files that a process may have.
const CONNECTIONS_MAX: u32 = 4_096;
/// As many as one HTTP/2 connection of the gateway admits.
const STREAMS_MAX: u32 = 100;
/// Each signs in with four requests before the run.
const BROWSERS_MAX: u32 = 10_000;
/// Each is adopted by one durable write before the run.
const ADOPTED_MAX: u32 = 100_000;
/// Gateways of one fleet on one machine.
const GATEWAYS_MAX: u32 = 8;
/// The longest that a token endpoint may be told to take: the sandbox's own bound.
const LATENCY_MAX: Duration = Duration::from_secs(600);

pub(super) fn check(plan: &Plan) -> Result<(), String> {
    load(plan)?;
    rest(plan)?;
    plan.acts.iter().enumerate().try_for_each(|(at, act)| {
        check_act(plan, act).map_err(|wrong| format!("act {} ({}): {wrong}", at + 1, act.words()))
    })
}

fn load(plan: &Plan) -> Result<(), String> {
    let load = &plan.load;
    for stage in &load.stage {
        if !(0.0..=RATE_MAX).contains(&stage.rate) {
            return Err(format!("load.stage.rate must lie between 0 and {RATE_MAX} per second"));
        }
    }
    if plan.duration() < Duration::from_secs(1) || plan.duration() > DURATION_MAX {
        return Err("load.stage: the stages must last 1 s at least and 12 h at most".to_owned());
    }
    if load.stage.iter().all(|stage| stage.rate == 0.0) {
        return Err("load.stage.rate is 0 throughout; give one stage a rate".to_owned());
    }
    between("load.connections", load.connections, 1, CONNECTIONS_MAX)?;
    between("load.streams", load.streams, 1, STREAMS_MAX)?;
    let give_up = load.give_up.0;
    if give_up < Duration::from_millis(1) || give_up > Duration::from_secs(120) {
        return Err("load.give_up must lie between 1 ms and 120 s".to_owned());
    }
    let mut apis = load.apis.clone();
    apis.sort_unstable();
    apis.dedup();
    if apis.is_empty() || apis.len() != load.apis.len() {
        return Err("load.apis must name each API once, and at least one".to_owned());
    }
    Ok(())
}

fn rest(plan: &Plan) -> Result<(), String> {
    let most = match plan.sessions.by {
        SignIn::Browser => BROWSERS_MAX,
        SignIn::Adoption => ADOPTED_MAX,
    };
    between("sessions.count", plan.sessions.count, 1, most)?;
    let whole = |key: &str, span: Span, least: u64| match span.millis() {
        ms if ms % 1_000 == 0 && ms >= least * 1_000 => Ok(()),
        _ => Err(format!("{key} must be whole seconds, {least} s at least")),
    };
    // A second is lost to `exp` being a whole one, another to the way.
    whole("provider.access_token_life", plan.provider.access_token_life, 3)?;
    whole("provider.reuse_window", plan.provider.reuse_window, 0)?;
    latency("provider.latency", plan.provider.latency)?;
    between("gateway.count", plan.gateway.count, 1, GATEWAYS_MAX)?;
    if plan.gateway.count > 1 && plan.gateway.store == Store::Embedded {
        return Err("gateway.count is above 1: several gateways share sessions only with \
                    gateway.store = \"redis\""
            .to_owned());
    }
    if !(0.0..=1.0).contains(&plan.expect.failed_at_most) {
        return Err("expect.failed_at_most is a share: write it between 0 and 1".to_owned());
    }
    Ok(())
}

fn check_act(plan: &Plan, act: &Act) -> Result<(), String> {
    let (lasting, api) = (("lasting", act.lasting.is_some()), ("api", act.api.is_some()));
    let (slow, share) = (("latency", act.latency.is_some()), ("share", act.share.is_some()));
    let (needs, spare) = match act.does {
        Deed::ProviderSlow => (vec![lasting, slow], vec![share, api]),
        Deed::ProviderDown | Deed::KillGateway => (vec![lasting], vec![slow, share, api]),
        Deed::ProviderLimits => (vec![lasting, share], vec![slow, api]),
        Deed::MfaWave => (vec![lasting, api], vec![slow, share]),
        Deed::Logout => (vec![share], vec![lasting, slow, api]),
    };
    if let Some((key, _)) = needs.into_iter().find(|(_, given)| !given) {
        return Err(format!("`{key}` is lacking; add it"));
    }
    if let Some((key, _)) = spare.into_iter().find(|(_, given)| *given) {
        return Err(format!("`{key}` does not go with it; leave it out"));
    }
    if act.share.is_some_and(|share| !(0.0..=1.0).contains(&share)) {
        return Err("`share` must lie between 0 and 1".to_owned());
    }
    latency("latency", act.latency.unwrap_or_default())?;
    if act.at.0 + act.lasting.unwrap_or_default().0 > plan.duration() {
        return Err("it ends after the last stage; make the stages longer".to_owned());
    }
    Ok(())
}

fn latency(key: &str, span: Span) -> Result<(), String> {
    match span.0 <= LATENCY_MAX {
        true => Ok(()),
        false => Err(format!("{key} must be 10 m at most")),
    }
}

fn between(key: &str, value: u32, least: u32, most: u32) -> Result<(), String> {
    match (least..=most).contains(&value) {
        true => Ok(()),
        false => Err(format!("{key} is {value}; it must lie between {least} and {most}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "about = \"x\"\n[[load.stage]]\nrate = 5\nlasting = \"2s\"\n";

    #[test]
    fn a_wrong_plan_is_refused_with_one_sentence_that_names_the_key() {
        let act = |rest: &str| format!("{GOOD}[[act]]\nat = \"1s\"\n{rest}");
        for (text, part) in [
            ("about = \"x\"\n".to_owned(), "missing field `load`"),
            (format!("abuot = 1\n{GOOD}"), "line 1: the key `abuot` is not known; write `about`"),
            (format!("{GOOD}ratee = 3"), "line 5: the key `ratee` is not known; write `rate`"),
            (format!("{GOOD}[load"), "line 5: "),
            (format!("{GOOD}[zzz]"), "use one of about, load, sessions"),
            (GOOD.replace("2s", "2"), "`lasting` cannot be read: \"2\" is no time"),
            (GOOD.replace('5', "-5"), "load.stage.rate must lie"),
            (GOOD.replace("= 5", "= 0"), "load.stage.rate is 0 throughout"),
            (GOOD.replace("2s", "13h"), "12 h at most"),
            (GOOD.replace("[[load", "[load]\nconnections = 0\n[[load"), "load.connections is 0"),
            (GOOD.replace("[[load", "[load]\narrivals = \"evan\"\n[[load"), "write `even`"),
            (GOOD.replace("[[load", "[load]\napis = [\"echo\", \"echo\"]\n[[load"), "load.apis"),
            (format!("{GOOD}[sessions]\ncount = 10001"), "sessions.count is 10001"),
            (format!("{GOOD}[provider]\naccess_token_life = \"1500ms\""), "access_token_life"),
            (format!("{GOOD}[provider]\nlatency = \"11m\""), "provider.latency"),
            (format!("{GOOD}[gateway]\ncount = 2"), "gateway.store = \"redis\""),
            (format!("{GOOD}[expect]\nfailed_at_most = 5"), "expect.failed_at_most"),
            (act("does = \"logut\""), "the value `logut` is not known; write `logout`"),
            (act("does = \"logout\""), "act 1 (sign-outs): `share` is lacking"),
            (act("does = \"logout\"\nshare = 2"), "`share` must lie"),
            (act("does = \"logout\"\nshare = 1\nlasting = \"1s\""), "`lasting` does not go with"),
            (act("does = \"provider_down\"\nlasting = \"2s\""), "it ends after the last stage"),
        ] {
            let refused = Plan::parse("p.toml", &text).unwrap_err().to_string();
            assert!(refused.starts_with("p.toml") && refused.contains(part), "{text}: {refused}");
            assert!(!refused.trim_end_matches('\n').contains('\n'), "one sentence: {refused}");
        }
        Plan::parse("p.toml", GOOD).unwrap();
    }
}
