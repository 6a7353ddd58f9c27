//! The scene of a story: what its `given` row says.

use std::sync::Arc;
use std::time::Duration;

use tokenward_core::name::Audience;
use tokenward_core::policy::{AudiencePolicy, Deadlines, KeepFresh, MfaPolicy};
use tokenward_core::session::{Input, Need};
use tokenward_core::step_up::{Proof, Remembered};

use super::machine::{Clock, Machine};
use super::{World, line};

impl World {
    pub(super) fn set(&mut self, clause: &str) {
        let words: Vec<&str> = clause.split_whitespace().collect();
        match words.as_slice() {
            ["window", span] => {
                self.provider.window = line::span(span);
                self.policies.deadlines = Deadlines::for_reuse_window(self.provider.window);
            }
            ["life", span] => self.provider.life = line::span(span),
            ["settle", span] => {
                self.settle = line::span(span);
                self.oracle.settle = self.settle;
            }
            ["machines", number] => {
                let number = number.parse().unwrap();
                self.machines = (0..number).map(|_| Machine::default()).collect();
                self.oracle.machines = number;
            }
            ["clocks", "apart", span] => {
                let apart = line::span(span);
                for (machine, place) in self.machines.iter_mut().zip(0..) {
                    machine.clock = Clock::ahead(apart * place);
                }
            }
            ["ceiling", span] => {
                self.ceiling = Some(line::span(span));
                self.oracle.has_ceiling = true;
            }
            // A law stricter than the core knows of: such a world is broken on purpose.
            ["law", "settles", span] => self.oracle.settle = line::span(span),
            ["notices"] => self.notices = Some(Duration::ZERO),
            ["notices", late] => self.notices = Some(line::span(late)),
            ["known", "since", age] => {
                let proof = Proof { at: None, class: None, methods: vec!["mfa".to_owned()] };
                let age = line::span(age);
                self.store.record.remembered = Some(Remembered { proof, age });
            }
            ["no", "refresh", "token"] => self.store.record.refresh_token = None,
            ["keep", what] => self.policy(&line::need(&what.replace('+', ",")), true),
            ["ask", what] => self.policy(&line::need(&what.replace('+', ",")), false),
            _ => panic!("what setting is \"{clause}\"?"),
        }
    }

    /// Sets what an audience asks of people.
    pub(super) fn needs(&mut self, audience: Audience, mfa: MfaPolicy) {
        self.policies.audiences.entry(audience).or_default().mfa = mfa;
        let policies = Arc::new(self.policies.clone());
        for machine in 0..self.machines.len() {
            self.input(machine, Input::PoliciesReplaced(Arc::clone(&policies)));
        }
    }

    pub(super) fn policy(&mut self, need: &Need, always: bool) {
        let policy = AudiencePolicy {
            scopes: need.scopes.clone(),
            keep_fresh: if always { KeepFresh::Always } else { KeepFresh::WhileUsed },
            ..AudiencePolicy::default()
        };
        self.policies.audiences.insert(need.audience.clone(), policy);
    }
}
