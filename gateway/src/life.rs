//! One request, in order. Each phase is one call here and one file elsewhere:
//!
//! 1. **judge** the head: one reading or none, within the limits (`judge`)
//! 2. **settle** the path: what is routed is exactly what is forwarded (`path`)
//! 3. **route** by host and longest path; the reserved prefix goes to the control room (`route`)
//! 4. **identify** the caller, and refuse what a foreign page made its browser send (`identify`)
//! 5. **ticket**: look the access token up in what is published, or obtain one (`tokens`)
//! 6. **inject** it, and take out what callers must not say to upstreams (`inject`)
//! 7. **forward** over a kept connection, streaming both ways (`forward`)
//! 8. **replay** once after a 401, with a newer access token (`replay`)
//! 9. **rescue**: whatever went wrong becomes one reply (`rescue`)

use std::sync::Arc;

use http::request::Parts;
use http::uri::PathAndQuery;
use http::{HeaderValue, Method, Request, Response, header};
use hyper::body::{Body as _, Incoming};
use tokenward::AccessError;
use tokenward::core::name::SessionKey;
use tokenward::core::snapshot::Hold;

use crate::control;
use crate::device;
use crate::forward::{self, Relayed, ReplyBody, Tape};
use crate::house::Live;
use crate::identify::{self, Caller, OwnOrigin};
use crate::inject::{self, Statement};
use crate::judge;
use crate::observe::AnsweredBy;
use crate::origin;
use crate::path;
use crate::rescue::{Asked, Held, Refusal, rescue};
use crate::route::{Route, below};
use crate::serve::{Flight, Line};
use crate::tokens::{Ticket, Want};
use crate::trip::Trip;

/// Answers one request.
pub(crate) async fn serve(line: Arc<Line>, request: Request<Incoming>) -> Response<ReplyBody> {
    let mut flight = Flight::begin(line, request.method().clone());
    flight.traces(request.headers());
    let live = flight.line().house.live_for_long();
    let (mut head, body) = request.into_parts();
    if head.headers.contains_key(device::HEADER) {
        take_note(flight.line(), &live, &mut head);
    }
    match find_way(flight.line(), &live, &head) {
        Err(refusal) => {
            let reply = rescue(refusal, asked(&head, &live));
            depart(flight, reply, AnsweredBy::Gateway)
        }
        Ok(Way::Control) => {
            let reply = control::answer(flight.line(), &live, head, body).await;
            depart(flight, reply, AnsweredBy::Gateway)
        }
        Ok(Way::Upstream(way)) => travel(flight, &live, way, &mut head, body).await,
    }
}

/// Takes out what a display tells of itself, which is for us and for no upstream.
fn take_note(line: &Line, live: &Live, head: &mut Parts) {
    let mut told = head.headers.get_all(device::HEADER).into_iter();
    let only = told.next().filter(|_| told.next().is_none()).cloned();
    head.headers.remove(device::HEADER);
    let caller = identify::identify(&head.headers, &live.config.session.cookie);
    if let (Some(told), Some(_), Caller::Program(session)) = (only, &live.config.device, caller) {
        let tokens = Arc::clone(&line.house.tokens);
        line.house.runtime.spawn(async move { tokens.note(&session, told).await });
    }
}

/// Where a request goes.
enum Way<'a> {
    Control,
    Upstream(UpstreamWay<'a>),
}

struct UpstreamWay<'a> {
    route: &'a Arc<Route>,
    target: PathAndQuery,
    session: Option<SessionKey>,
    opens_socket: bool,
}

/// Phases 1 to 4, which wait for nothing.
fn find_way<'a>(line: &Line, live: &'a Live, head: &Parts) -> Result<Way<'a>, Refusal> {
    let host = judge::judge(line, &live.config.limits, head)?;
    let opens_socket = judge::opens_socket(head)?;
    let settled = path::settle(head.uri.path()).map_err(Refusal::Path)?;

    let caller = identify::identify(&head.headers, &live.config.session.cookie);
    if let Caller::Browser(_) = caller {
        let own = match &live.origin {
            Some(origin) => OwnOrigin::Configured(origin),
            None => OwnOrigin::Requested { https: line.tls, host },
        };
        identify::guard(&head.method, &head.headers, opens_socket, own, &live.config.session)
            .map_err(|_| Refusal::Forged)?;
    }
    let to_door = live.config.device.is_some() && below(device::ROOT, &settled);
    if to_door || below(&live.config.prefix, &settled) {
        return Ok(Way::Control);
    }
    let route = live.table.find(host, &settled).map_err(Refusal::Astray)?;
    let target = route
        .target(&head.uri, &settled)
        .ok_or(Refusal::Upstream(forward::UpstreamFault::Target))?;
    let session = match (&route.config.audience, caller) {
        (None, _) => None,
        (Some(_), Caller::Browser(key) | Caller::Program(key)) => Some(key),
        (Some(_), Caller::Nobody) => return Err(Refusal::NotSignedIn),
        (Some(_), Caller::Two) => {
            return Err(Refusal::Ambiguous(
                "The request names two sessions in cookies of one name.",
            ));
        }
        (Some(_), Caller::Stranger) => return Err(Refusal::Stranger),
    };
    Ok(Way::Upstream(UpstreamWay { route, target, session, opens_socket }))
}

/// Phases 5 to 8.
async fn travel(
    mut flight: Box<Flight>,
    live: &Live,
    way: UpstreamWay<'_>,
    head: &mut Parts,
    body: Incoming,
) -> Response<ReplyBody> {
    let UpstreamWay { route, target, session, opens_socket } = way;
    let route: &Route = route;
    flight.takes(route.number);
    if route.config.max_body.is_some_and(|max| body.size_hint().lower() > max) {
        return refuse(flight, live, session, Refusal::BodyTooLarge, head).await;
    }
    let ticket = match ticket(&flight, route, session).await {
        Ok(ticket) => ticket,
        Err(refusal) => return refuse(flight, live, session, refusal, head).await,
    };
    let caller_upgrade = opens_socket.then(|| head.extensions.remove()).flatten();
    let statement = statement(flight.line(), live, route, ticket.as_ref(), head);
    inject::inject(&mut head.headers, &statement);
    let tape = tape(route, body);
    if let Some(tape) = &tape {
        flight.carries(Arc::clone(tape));
    }
    let mut trip = Trip { flight: &flight, route, target, session, ticket, head, tape };
    if let Some(caller_upgrade) = caller_upgrade {
        let opened = Box::pin(trip.open(caller_upgrade)).await;
        let leash = match &opened {
            Ok(forward::Opened::Tunnel(..)) => trip.enter(),
            Ok(forward::Opened::Declined(response)) => trip.enter_reply(response.body()),
            Err(_) => None,
        };
        flight.leashed(leash);
        return match opened {
            Ok(forward::Opened::Tunnel(response, tunnel)) => {
                flight.answered(response.status(), AnsweredBy::Upstream);
                tunnel.carry(flight);
                response.map(|()| ReplyBody::empty())
            }
            Ok(forward::Opened::Declined(response)) => arrive(flight, live, response),
            Err(refusal) => refuse(flight, live, session, refusal, head).await,
        };
    }
    match trip.make().await {
        Ok(response) => {
            let leash = trip.enter_reply(response.body());
            flight.leashed(leash);
            arrive(flight, live, response)
        }
        Err(refusal) => refuse(flight, live, session, refusal, head).await,
    }
}

async fn refuse(
    flight: Box<Flight>,
    live: &Live,
    session: Option<SessionKey>,
    refusal: Refusal,
    head: &Parts,
) -> Response<ReplyBody> {
    let refusal = match (refusal, session) {
        (Refusal::Access(AccessError::MfaRequired(hold)), Some(session)) => {
            Refusal::Held(Box::pin(seen(&flight, live, &session, &hold, head)).await)
        }
        (refusal, _) => refusal,
    };
    let reply = rescue(refusal, asked(head, live));
    depart(flight, reply, AnsweredBy::Gateway)
}

/// Shows a hold to the person of its session, with all that is needed to go on.
async fn seen(
    flight: &Flight,
    live: &Live,
    session: &SessionKey,
    hold: &Hold,
    head: &Parts,
) -> Box<Held> {
    let tokens = &flight.line().house.tokens;
    let view = tokens.view_of(session, hold);
    let link = tokens.link_of(session, &view).await;
    let own = origin::of(&live.config, &head.headers, &head.uri).unwrap_or_default();
    Box::new(Held { link: link.map(|path| path.map(|path| format!("{own}{path}"))), view })
}

/// Takes a request's body, where there is one, so that it can be sent and perhaps sent again.
fn tape(route: &Route, body: Incoming) -> Option<Arc<Tape>> {
    let Route { config, .. } = route;
    (!body.is_end_stream())
        .then(|| Tape::new(body, config.replay_body, config.max_body, config.timeouts.idle))
}

/// Finds the access token of a route, at hand or with a wait.
async fn ticket(
    flight: &Flight,
    route: &Route,
    session: Option<SessionKey>,
) -> Result<Option<Ticket>, Refusal> {
    let (Some(session), Some(audience)) = (&session, &route.config.audience) else {
        return Ok(None);
    };
    let tokens = &flight.line().house.tokens;
    let want = Want { session, audience, scopes: &route.config.scopes };
    match tokens.at_hand(want) {
        Some(ticket) => Ok(Some(ticket)),
        None => {
            let before = flight.age();
            let obtained = tokens.obtain(want, None).await;
            flight.waited(flight.age().saturating_sub(before));
            if let (Ok(ticket), Some(trace)) = (&obtained, flight.trace()) {
                trace.waited_for(session, ticket.serial);
            }
            obtained.map(Some).map_err(Refusal::Access)
        }
    }
}

fn statement<'a>(
    line: &'a Line,
    live: &'a Live,
    route: &'a Route,
    ticket: Option<&'a Ticket>,
    head: &Parts,
) -> Statement<'a> {
    Statement {
        ticket,
        host: route.host(),
        asked_host: judge::asked_host(head),
        peer: &line.peer_value,
        https: line.tls || live.config.is_https(),
        trusted: live.config.trusted_proxies.iter().any(|network| network.contains(&line.peer)),
        via: &line.house.via,
        cookie: &live.config.session.cookie,
        trailers: judge::takes_trailers(head),
    }
}

/// Passes an upstream's response on, without what is not for the caller.
fn arrive(flight: Box<Flight>, live: &Live, response: Response<Relayed>) -> Response<ReplyBody> {
    let mut reply = response.map(ReplyBody::relayed);
    inject::clean_response(reply.headers_mut(), &live.config.session.cookie);
    flight.passes_on();
    depart(flight, reply, AnsweredBy::Upstream)
}

fn depart(
    mut flight: Box<Flight>,
    mut reply: Response<ReplyBody>,
    by: AnsweredBy,
) -> Response<ReplyBody> {
    if flight.line().pulse.is_lost() {
        reply.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    flight.answered(reply.status(), by);
    let ends_here = reply.body().is_end_stream() || *flight.method() == Method::HEAD;
    if ends_here {
        flight.complete();
    }
    reply.body_mut().in_flight(flight);
    reply
}

fn asked<'a>(head: &'a Parts, live: &'a Live) -> Asked<'a> {
    Asked {
        method: &head.method,
        headers: &head.headers,
        target: head.uri.path_and_query(),
        prefix: &live.config.prefix,
        origin: live.origin.as_deref(),
    }
}
