//! A flight's way through the world: lease, request, reply, save.

use std::time::Duration;

use tokenward_core::event::Trigger;
use tokenward_core::grant::{NotSent, NotSentCause, Reply, Unheard};
use tokenward_core::lease::{Begun, Verdict};
use tokenward_core::refusal::Refusal;
use tokenward_core::session::Answer;
use tokenward_core::session::exchange::{Step, TokenRequest};

use super::line::{self, Twist};
use super::oracle::Request;
use super::store::{Ask, Told};
use super::{Due, Input, Mail, STORE_TAKES, World};

/// How long a request takes to the provider, and the reply back.
const NETWORK_TAKES: Duration = Duration::from_millis(100);

/// The most steps that a flight may take without waiting for anything.
const STEPS_MAX: u32 = 8;

impl World {
    /// Does what the flight of a machine says until it waits.
    pub(super) fn journey(&mut self, machine: usize) {
        for _ in 0..STEPS_MAX {
            let Some(flight) = &mut self.machines[machine].flight else {
                return;
            };
            match flight.step() {
                Step::Journal => {
                    let owner = self.owner(machine);
                    let Some(flight) = &self.machines[machine].flight else {
                        return;
                    };
                    let begin = flight.ask(owner, self.settle);
                    return self.ask_store(machine, Ask::Begin(begin));
                }
                Step::Send => {
                    let trigger = flight.trigger;
                    if let Some(request) = flight.send(self.now) {
                        self.oracle.asks(machine, &request.need, trigger, self.now);
                        return self.depart(machine, request, trigger);
                    }
                }
                Step::Save { commit, snapshot } => {
                    return self.ask_store(machine, Ask::Commit(commit, snapshot));
                }
                Step::Load => return self.ask_store(machine, Ask::Load),
                Step::Revoke(refresh_token) => {
                    self.fact(machine, || format!("revoke {}", refresh_token.spend()));
                    self.provider.revoke(&refresh_token);
                    if let Some(flight) = &mut self.machines[machine].flight {
                        flight.revoked();
                    }
                }
                Step::Pause(until) => return self.mail(machine, until, Mail::Paused),
                Step::Land(landing) => {
                    self.machines[machine].flight = None;
                    return self.input(machine, Input::Landed(landing));
                }
            }
        }
        self.oracle.broken(self.now, "L14 a flight goes round in circles");
    }

    fn depart(&mut self, machine: usize, request: TokenRequest, trigger: Trigger) {
        let now = self.now;
        let (what, spent) = (line::told(&request.need), request.refresh_token.clone());
        self.fact(machine, || format!("ask {what} with {}", spent.spend()));
        self.oracle.sends_right_token(
            machine,
            &request,
            &self.store,
            self.machines[machine].leased_at,
            now,
        );
        let twist = self.provider.twist();
        if twist.is_some() {
            self.oracle.fault(now);
        }
        let lease_until = self.store.record.head.intent.and_then(|intent| intent.until);
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
        let stalled = matches!(twist, Some(Twist::Stalls(_)));
        let boot = self.machines[machine].boot;
        let deadline = now + request.deadline;
        let number = self.oracle.departs(
            Request {
                machine,
                boot,
                request,
                twist,
                trigger,
                arrives_at: arrives.map(|span| now + span),
                lease_until,
                departed_at: now,
                stalled,
                closed: false,
                arrived: arrives.is_none(),
            },
            now,
        );
        if let Some(span) = arrives {
            self.due(now + span, Due::Arrival(number));
        }
        if let Some(reply) = early {
            self.reply(number, now + NETWORK_TAKES, reply);
        }
        self.reply(number, deadline, Reply::Unheard(Unheard::Deadline));
    }

    pub(super) fn arrive(&mut self, number: usize) {
        let Request { request, twist, .. } = self.oracle.arrives(number);
        let reply =
            self.provider.decide(&request.refresh_token, &request.need, twist.as_ref(), self.now);
        self.oracle.decided(number, &self.provider, reply.as_ref(), self.now);
        let takes = match twist {
            Some(Twist::Late(span)) => span,
            Some(_) | None => NETWORK_TAKES,
        };
        if let Some(reply) = reply {
            self.reply(number, self.now + takes, reply);
        }
    }

    pub(super) fn replied(&mut self, machine: usize, number: usize, reply: Reply) {
        if self.oracle.closes(number) {
            return;
        }
        let now = self.now;
        self.oracle.receives(number, &reply, now);
        if let Some(flight) = &mut self.machines[machine].flight {
            flight.replied(now, reply);
            self.journey(machine);
        }
    }

    pub(super) fn paused(&mut self, machine: usize) {
        if let Some(flight) = &mut self.machines[machine].flight {
            flight.paused();
            self.journey(machine);
        }
    }

    pub(super) fn store_takes(&mut self, machine: usize, ask: Ask) {
        let generation = self.store.record.head.generation;
        let told = self.store.take(&ask, self.now);
        if matches!(ask, Ask::Commit(..)) {
            self.oracle.saves(generation, &self.store, self.now);
        }
        match (&ask, &told) {
            (_, Told::Begun(None) | Told::Committed(None) | Told::Ended(false)) => {
                self.oracle.fault(self.now);
                self.fact(machine, || "store fails".to_owned());
            }
            (Ask::Begin(_), Told::Begun(Some(begun))) => {
                let word = match begun {
                    Begun::Leased(_) => "lease",
                    Begun::Busy(_) => "busy",
                    Begun::Moved => "moved",
                    Begun::Ended => "ended",
                };
                self.machines[machine].leased_at = self.now;
                self.fact(machine, || word.to_owned());
            }
            (Ask::Commit(commit, snapshot), Told::Committed(Some(Verdict::Accept(_)))) => {
                self.notify(machine);
                let kept = snapshot.refresh_token.clone().filter(|_| commit.rotated);
                self.fact(machine, || {
                    kept.map_or("save".to_owned(), |kept| format!("save {}", kept.spend()))
                });
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
        self.mail(machine, self.now + STORE_TAKES, Mail::Told(ask, told));
    }

    pub(super) fn told(&mut self, machine: usize, ask: Ask, told: Told) {
        let now = self.now;
        let flight = self.machines[machine].flight.as_mut();
        match (told, ask) {
            (Told::Ended(true), Ask::End(_, in_memory)) => {
                // Where another machine wrote a newer one, that one is revoked too.
                let stored = self.store.record.refresh_token.take();
                let newer = stored.filter(|stored| in_memory.as_ref() != Some(stored));
                for refresh_token in
                    newer.into_iter().filter(|_| in_memory.is_some()).chain(in_memory.clone())
                {
                    self.fact(machine, || format!("revoke {}", refresh_token.spend()));
                    self.provider.revoke(&refresh_token);
                }
                return;
            }
            (Told::Ended(_), ask) => return self.ask_store(machine, ask),
            (Told::Begun(begun), _) => flight.map(|flight| flight.journalled(begun)),
            (Told::Committed(verdict), _) => flight.map(|flight| flight.saved(now, verdict)),
            (Told::Loaded(reading), _) => flight.map(|flight| flight.loaded(reading)),
        };
        self.journey(machine);
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
