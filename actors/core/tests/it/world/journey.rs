//! A flight's way through the world: lease, request, reply, save.

use std::time::Duration;

use tokenward_core::event::Trigger;
use tokenward_core::grant::{NotSent, NotSentCause, Reply, Unheard};
use tokenward_core::lease::{Begun, Verdict};
use tokenward_core::refusal::Refusal;
use tokenward_core::secret::RefreshToken;
use tokenward_core::session::exchange::{Landing, Step, TokenRequest};
use tokenward_core::session::{Answer, Input, Session, State};
use tokenward_core::step_up::Errand;

use super::factor;
use super::line::{self, Point, Twist};
use super::oracle::Request;
use super::provider::serial;
use super::store::{Ask, Told};
use super::{Due, Mail, STORE_TAKES, World};

/// How long a request takes to the provider, and the reply back.
const NETWORK_TAKES: Duration = Duration::from_millis(100);

/// The most steps that a flight may take without waiting for anything.
const STEPS_MAX: u32 = 8;

impl World {
    /// Does what a flight says until it waits.
    pub(super) fn journey(&mut self, machine: usize, number: u64) {
        for _ in 0..STEPS_MAX {
            let local = self.machines[machine].clock.at(self.now);
            let owner = self.owner(machine);
            let Some(aloft) = self.machines[machine].flights.get_mut(&number) else {
                return;
            };
            let flight = &mut aloft.flight;
            match flight.step() {
                Step::Journal => {
                    let begin = flight.ask(owner, self.settle);
                    return self.ask_store(machine, number, Ask::Begin(begin));
                }
                Step::Send => {
                    let trigger = flight.trigger;
                    if let Some(request) = flight.send(local) {
                        self.oracle.asks(machine, &request.need, trigger, self.now);
                        return self.depart(machine, number, request, trigger);
                    }
                }
                Step::Save { commit, snapshot } => {
                    return self.ask_store(machine, number, Ask::Commit(commit, snapshot));
                }
                Step::Load => return self.ask_store(machine, number, Ask::Load),
                Step::Revoke(refresh_token) => {
                    flight.revoked();
                    self.revoke(machine, &refresh_token);
                }
                Step::Pause(until) => {
                    let at = self.machines[machine].clock.back(until);
                    return self.mail(machine, at, Mail::Paused(number));
                }
                Step::Land(landing) => return self.land(machine, number, landing),
            }
        }
        self.oracle.broken(self.now, "L14 a flight goes round in circles");
    }

    fn land(&mut self, machine: usize, number: u64, landing: Box<Landing>) {
        let Some(aloft) = self.machines[machine].flights.remove(&number) else {
            return;
        };
        let open = self.store.record.head.intent.is_some();
        self.oracle.lands(number, open, aloft.stray, self.now);
        // Whoever took the session's place is not told what came of it, but that something did.
        if aloft.stray {
            return self.observe(machine);
        }
        let state = self.machines[machine].session.as_ref().map(Session::state);
        if let (Landing::Doubt { .. }, Some(State::Exchanging { need, trigger, .. })) =
            (&*landing, state)
            && *trigger == Trigger::StepUp
        {
            self.oracle.tried_unheard(need);
        }
        let own = aloft.flight.number;
        if let Some(span) = self.machines[machine].lands_twice.take() {
            let seat = self.machines[machine].seat;
            self.mail(machine, self.now + span, Mail::Landed(seat, own, landing.clone()));
        }
        self.input(machine, Input::Landed(own, landing));
    }

    fn revoke(&mut self, machine: usize, refresh_token: &RefreshToken) {
        self.fact(machine, || format!("revoke {}", refresh_token.spend()));
        // A stranger's family, which is none of ours.
        if self.provider.factors.strays.contains(&serial(refresh_token)) {
            return;
        }
        if self.store.ended.is_none() {
            self.oracle.broken(self.now, "L11 a refresh token of a living session is revoked");
        }
        self.provider.revoke(refresh_token);
    }

    fn depart(&mut self, machine: usize, number: u64, request: TokenRequest, trigger: Trigger) {
        let now = self.now;
        let (what, spent) = (line::told(&request.need), request.refresh_token.clone());
        match &request.errand {
            Errand::Refresh => self.fact(machine, || format!("ask {what} with {}", spent.spend())),
            errand @ (Errand::Verify { .. } | Errand::Code(_)) => {
                self.fact(machine, || factor::told(&what, errand));
            }
        }
        let leased_at = self.machines[machine].flights.get(&number).map(|aloft| aloft.leased_at);
        self.oracle.sends_right_token(machine, &request, &self.store, leased_at, now);
        let twist = self.provider.twist();
        let arrives = match &twist {
            Some(Twist::Slow(span)) => Some(*span),
            Some(Twist::GatewayTimeout(span)) => Some(NETWORK_TAKES + *span),
            Some(Twist::Stalls(span)) => Some(*span + NETWORK_TAKES),
            Some(Twist::Silent | Twist::CutEarly | Twist::Unreachable | Twist::Breaker(_)) => None,
            Some(_) | None => Some(NETWORK_TAKES),
        };
        let early = match &twist {
            Some(Twist::CutEarly) => Some(Reply::Unheard(Unheard::ConnectionLost)),
            Some(Twist::GatewayTimeout(_)) => {
                Some(Reply::Refused(Refusal { status: 504, ..Refusal::default() }))
            }
            Some(Twist::Unreachable) => Some(not_sent(NotSentCause::Connect, None)),
            Some(Twist::Breaker(span)) => Some(not_sent(NotSentCause::BreakerOpen, Some(*span))),
            Some(_) | None => None,
        };
        let deadline = now + request.deadline;
        let request = Request {
            machine,
            boot: self.machines[machine].boot,
            flight: number,
            serial: serial(&request.refresh_token),
            stalled: matches!(twist, Some(Twist::Stalls(_))),
            request,
            twist,
            trigger,
            leased_at: leased_at.unwrap_or(now),
            departed_at: now,
            arrives_at: arrives.map(|span| now + span),
            decided_at: None,
            child: None,
            closed: false,
        };
        let number = self.oracle.departs(request, now);
        if let Some(span) = arrives {
            self.due(now + span, Due::Arrival(number));
        }
        if let Some(reply) = early {
            self.reply(number, now + NETWORK_TAKES, reply);
        }
        self.reply(number, deadline, Reply::Unheard(Unheard::Deadline));
        self.reach(Point::Send);
    }

    pub(super) fn arrive(&mut self, number: usize) {
        let twist = self.oracle.requests[number].twist.clone();
        let reply = self.decide(number, twist.as_ref());
        let takes = match twist {
            Some(Twist::Twice(span)) => return self.due(self.now + span, Due::Echo(number)),
            Some(Twist::Late(span)) => span,
            Some(_) | None => NETWORK_TAKES,
        };
        if let Some(reply) = reply {
            self.reply(number, self.now + takes, reply);
        }
    }

    pub(super) fn arrives_again(&mut self, number: usize) {
        if let Some(reply) = self.decide(number, None) {
            self.reply(number, self.now + NETWORK_TAKES, reply);
        }
    }

    fn decide(&mut self, number: usize, twist: Option<&Twist>) -> Option<Reply> {
        let request = self.oracle.requests[number].request.clone();
        let before = self.provider.newest();
        let reply = match &request.errand {
            Errand::Refresh => {
                self.provider.decide(&request.refresh_token, &request.need, twist, self.now)
            }
            errand @ (Errand::Verify { .. } | Errand::Code(_)) => {
                self.provider.step_up(errand, &request, twist, self.now)
            }
        };
        let child = Some(self.provider.newest()).filter(|newest| *newest != before);
        self.oracle.decided(number, child, &self.provider, reply.as_ref(), self.now);
        self.reach(Point::Decision);
        reply
    }

    pub(super) fn replied(&mut self, machine: usize, number: usize, reply: Reply) {
        if self.oracle.closes(number) {
            return;
        }
        let local = self.machines[machine].clock.at(self.now);
        self.oracle.receives(number, &reply, self.now);
        let flight = self.oracle.requests[number].flight;
        if let Some(aloft) = self.machines[machine].flights.get_mut(&flight) {
            if aloft.stray {
                self.oracle.is_unheard(machine);
            }
            aloft.flight.replied(local, reply);
            self.reach(Point::Reply);
            self.journey(machine, flight);
        }
    }

    pub(super) fn paused(&mut self, machine: usize, number: u64) {
        if let Some(aloft) = self.machines[machine].flights.get_mut(&number) {
            aloft.flight.paused();
            self.journey(machine, number);
        }
    }

    pub(super) fn store_takes(&mut self, machine: usize, number: u64, ask: Ask) {
        let clock = self.machines[machine].clock;
        let generation = self.store.record.head.generation;
        let writer = (machine, self.machines[machine].boot);
        let told = self.store.take(&ask, writer, clock, self.now);
        if matches!(ask, Ask::Commit(..)) {
            self.oracle.saves(generation, &self.store, self.now);
        }
        match (&ask, &told) {
            (_, told) if told.is_no_write() => {
                self.oracle.log.store_fails(self.now);
                self.fact(machine, || "store fails".to_owned());
            }
            (Ask::Begin(_), Told::Begun(Some(begun))) => {
                let word = match begun {
                    Begun::Leased { .. } => "lease",
                    Begun::Busy(_) => "busy",
                    Begun::Moved => "moved",
                    Begun::Ended => "ended",
                };
                if let Some(aloft) = self.machines[machine].flights.get_mut(&number) {
                    aloft.leased_at = self.now;
                }
                self.fact(machine, || word.to_owned());
            }
            (Ask::Commit(commit, snapshot), Told::Committed(Some(Verdict::Accept(_)))) => {
                self.notify(machine);
                let kept = snapshot.refresh_token.clone().filter(|_| commit.rotated);
                self.fact(machine, || {
                    kept.map_or("save".to_owned(), |kept| format!("save {}", kept.spend()))
                });
                self.reach(Point::Save);
            }
            (Ask::Commit(..), Told::Committed(Some(_))) => {
                self.oracle.drops(machine);
                self.fact(machine, || "drop".to_owned());
            }
            (Ask::End(reason, _), _) => {
                let code = reason.code();
                self.fact(machine, || format!("end {code}"));
            }
            (_, _) => {}
        }
        // What was written counts, whether or not the answer is heard.
        if let Some(intent) = self.store.record.head.intent.filter(|_| matches!(ask, Ask::Begin(_)))
            && intent.owner == self.owner(machine)
        {
            let until = clock.back(intent.until.unwrap_or(clock.at(self.now)));
            self.oracle.log.leased(machine, number, self.now, until);
            self.reach(Point::Lease);
        }
        let late = std::mem::take(&mut self.store.late);
        if !late.is_zero() {
            self.oracle.log.store_takes(self.now, self.now + late);
        }
        let era = self.store.era;
        self.mail(machine, self.now + STORE_TAKES + late, Mail::Told(number, era, ask, told));
    }

    pub(super) fn told(&mut self, machine: usize, number: u64, ask: Ask, told: Told) {
        let local = self.machines[machine].clock.at(self.now);
        let flight = self.machines[machine].flights.get_mut(&number).map(|aloft| &mut aloft.flight);
        match (told, ask) {
            (Told::Ended(true), Ask::End(reason, in_memory)) => {
                // Where another machine wrote a newer one, that one is revoked too.
                let stored = self.store.record.refresh_token.take();
                let newer = stored.filter(|stored| in_memory.as_ref() != Some(stored));
                for refresh_token in
                    newer.into_iter().filter(|_| in_memory.is_some()).chain(in_memory.clone())
                {
                    self.revoke(machine, &refresh_token);
                }
                // Whoever took the place of the session that was ended is ended too.
                return self.input(machine, Input::End(reason));
            }
            (Told::Ended(_), ask) => return self.ask_store(machine, number, ask),
            (Told::Begun(begun), _) => flight.map(|flight| flight.journalled(begun)),
            (Told::Committed(verdict), _) => flight.map(|flight| flight.saved(local, verdict)),
            (Told::Loaded(reading), _) => flight.map(|flight| flight.loaded(reading)),
            (Told::Held(_), _) => None,
        };
        self.journey(machine, number);
    }

    pub(super) fn answer_fact(&mut self, machine: usize, waiter: u64, answer: &Answer) {
        let text = |answer: &Answer| match answer {
            Answer::Granted(offer) => format!("gets {}", offer.entry.access_token.expose()),
            Answer::Busy => "told busy".to_owned(),
            Answer::Denied(code) => format!("told denied({code})"),
            Answer::Downscoped { missing } => format!("told downscoped({missing})"),
            Answer::Ended(reason) => format!("told ended({})", reason.code()),
            Answer::MfaRequired(_) => "told mfa_required".to_owned(),
            Answer::NotNow { why, .. } => format!("told not now({why})"),
            Answer::OperatorFault(fault) => format!("told fault({})", fault.code()),
            Answer::Rejected(code) => format!("told rejected({code})"),
            Answer::Unchanged => "told unchanged".to_owned(),
            Answer::Unusable(why) => format!("told unusable({why})"),
        };
        self.fact(machine, || format!("#{waiter} {}", text(answer)));
    }
}

fn not_sent(cause: NotSentCause, wait: Option<Duration>) -> Reply {
    Reply::NotSent(NotSent { cause, wait })
}
