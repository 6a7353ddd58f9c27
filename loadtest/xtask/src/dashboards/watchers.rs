//! A real Prometheus and a real Alertmanager, on free ports and with state in the run's folder.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use serde_json::Value;
use tokenward_programs::child::Child;
use tokenward_programs::clock;
use tokenward_programs::failure::Failure;
use tokenward_programs::http::Caller;
use tokenward_programs::port;

use super::alerts::Hook;
use super::played::Played;
use crate::setup::{Program, Tools};
use crate::world::World;

/// A start takes a second; a machine that compiles beside it needs more.
const READY_LIMIT: Duration = Duration::from_secs(30);
const READY_GAP: Duration = Duration::from_millis(100);

/// Both programs. Dropping them kills them.
#[derive(Debug)]
pub(super) struct Watchers {
    caller: Caller,
    prometheus: String,
    _programs: [Child; 2],
}

impl Watchers {
    /// Starts both, and waits until they are ready.
    ///
    /// # Errors
    /// `Unavailable` with the end of a log.
    pub(super) fn start(
        tools: &Tools,
        folder: &Path,
        world: &World,
        hook: &Hook,
        played: &Played,
    ) -> Result<Self, Failure> {
        let program = |program: Program| {
            let path = tools.path(program.variable());
            path.map(Path::to_owned)
                .ok_or_else(|| Failure::Ours(format!("{} is not set up", program.variable())))
        };
        let manager_port = port::wanted_or_free(0)?;
        let manager_file = folder.join("alertmanager.yml");
        write(&manager_file, &manager_configuration(&hook.url()))?;
        let mut command = Command::new(program(Program::Alertmanager)?);
        command
            .arg(format!("--config.file={}", manager_file.display()))
            .arg(format!("--storage.path={}", folder.join("alertmanager").display()))
            .arg(format!("--web.listen-address=127.0.0.1:{manager_port}"))
            // No other Alertmanager is looked for.
            .arg("--cluster.listen-address=");
        let log = folder.join("alertmanager.log");
        let manager = Child::start("Alertmanager", &command, &log)?;

        let port = port::wanted_or_free(0)?;
        let file = folder.join("prometheus.yml");
        let gateway = world.admin("");
        write(&file, &configuration(&gateway, &played.address(), manager_port))?;
        let mut command = Command::new(program(Program::Prometheus)?);
        command
            .arg(format!("--config.file={}", file.display()))
            .arg(format!("--storage.tsdb.path={}", folder.join("prometheus").display()))
            .arg(format!("--web.listen-address=127.0.0.1:{port}"))
            .arg("--enable-feature=exemplar-storage");
        let prometheus = Child::start("Prometheus", &command, &folder.join("prometheus.log"))?;

        let caller = Caller::new();
        let mut programs = [manager, prometheus];
        for (child, port) in programs.iter_mut().zip([manager_port, port]) {
            let address = format!("http://127.0.0.1:{port}/-/ready");
            let ready = || caller.fetch(&address, &[]).is_ok_and(|answer| answer.status == 200);
            clock::poll(READY_LIMIT, READY_GAP, || ready().then_some(()))
                .ok_or_else(|| child.died("did not become ready"))?;
        }
        let prometheus = format!("http://127.0.0.1:{port}");
        Ok(Self { caller, prometheus, _programs: programs })
    }

    /// Returns where Prometheus answers.
    pub(super) fn prometheus(&self) -> &str {
        &self.prometheus
    }

    /// Returns how many exemplars of a histogram's buckets Prometheus has stored since a second.
    pub(super) fn exemplars(&self, metric: &str, since: u64) -> Result<usize, String> {
        let now = clock::unix_seconds();
        let url = format!(
            "{}/api/v1/query_exemplars?query={metric}_bucket&start={since}&end={now}",
            self.prometheus
        );
        let answer = self.caller.fetch(&url, &[])?;
        let said: Value = serde_json::from_str(&answer.body).map_err(|error| error.to_string())?;
        let series = said["data"].as_array().into_iter().flatten();
        let kept = series.flat_map(|series| series["exemplars"].as_array().into_iter().flatten());
        Ok(kept.filter(|kept| kept["labels"]["trace_id"].is_string()).count())
    }

    /// Evaluates an expression; the samples, each with its labels and value.
    pub(super) fn query(&self, expr: &str) -> Result<Vec<Value>, String> {
        let url = format!("{}/api/v1/query", self.prometheus);
        let answer = self.caller.post_form(&url, &[], &[("query".to_owned(), expr.to_owned())])?;
        let mut said: Value =
            serde_json::from_str(&answer.body).map_err(|error| error.to_string())?;
        match said["data"]["result"].take() {
            Value::Array(samples) => Ok(samples),
            Value::Bool(_)
            | Value::Null
            | Value::Number(_)
            | Value::Object(_)
            | Value::String(_) => Err(said["error"].as_str().unwrap_or("no answer").to_owned()),
        }
    }
}

fn configuration(gateway: &str, played: &str, manager_port: u16) -> String {
    let gateway = gateway.trim_start_matches("http://");
    format!(
        "global: {{ scrape_interval: 1s, scrape_timeout: 1s, evaluation_interval: 1s }}\n\
         rule_files: [\"rules/*.yaml\"]\n\
         alerting: {{ alertmanagers: [ {{ static_configs: [ {{ targets: \
         [\"127.0.0.1:{manager_port}\"] }} ] }} ] }}\n\
         scrape_configs:\n\
         - {{ job_name: tokenward, static_configs: [ {{ targets: [\"{gateway}\"] }} ] }}\n\
         - {{ job_name: tokenward-played, metrics_path: /gateway, static_configs: [ {{ targets: \
         [\"{played}\"] }} ] }}\n"
    )
}

fn manager_configuration(hook: &str) -> String {
    format!(
        "route: {{ receiver: hook, group_by: [\"...\"], group_wait: 0s, group_interval: 1s, \
         repeat_interval: 1h }}\n\
         receivers: [ {{ name: hook, webhook_configs: [ {{ url: \"{hook}\", send_resolved: true }} ] \
         }} ]\n"
    )
}

fn write(path: &Path, text: &str) -> Result<(), Failure> {
    fs::write(path, text).map_err(|error| Failure::io("write a configuration", &error))
}
