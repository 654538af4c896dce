//! Schedules: how late they fire when very many are due in the same moment.

use std::{
    thread::sleep,
    time::{Duration, Instant},
};

use anyhow::Context;
use serde_json::{Value, json};

use crate::{instance::Instance, process::Served};

/// Schedules of one automation.
const EACH: usize = 16;

/// How long to wait for what is due; a minute until it is, and some for doing it.
const PATIENCE: Duration = Duration::from_secs(180);

/// How late schedules were that were due together.
pub(crate) struct Schedules {
    pub(crate) count: usize,
    /// Milliseconds from when it was due until its run was durable.
    pub(crate) p50_ms: f64,
    pub(crate) p99_ms: f64,
    pub(crate) latest_ms: f64,
}

/// Makes schedules that are all due each minute, and looks when the runs of the first one began.
pub(crate) fn measure(instance: &Instance, upstream: &Served, count: usize) -> anyhow::Result<Schedules> {
    let address = upstream.address;
    let destination = json!([{"host": "127.0.0.1", "scheme": "http", "port": address.port()}]);
    instance.create_secret("BENCH_SCHEDULE", "bearer_token", "token", &destination)?;
    let step = json!({"id": "call", "http": {"url": format!("http://{address}/"), "auth": {"secret": "BENCH_SCHEDULE"}}});
    let triggers = vec![json!({"schedule": {"cron": "* * * * *", "timezone": "Europe/Berlin"}}); EACH];
    let definition = json!({"triggers": triggers, "steps": [step]}).to_string();
    let automations = count.div_ceil(EACH);
    // So that all of it is there before the first of them is due.
    for number in 0..automations {
        let path = format!("/v1/workspaces/default/automations/scheduled-{number}");
        instance.ask("PUT", &path, &definition, 201)?;
    }
    let mut minute = None;
    for number in 0..automations {
        let path = format!("/v1/workspaces/default/automations/scheduled-{number}/triggers/test/enable");
        instance.ask("POST", &path, "", 200)?;
        minute = Some(next_of(instance, number)?).or(minute);
    }
    // What was enabled before the last minute began has fired already: the first minute that all of them share counts.
    let due = minute.context("nothing is scheduled")?;
    let begun = Instant::now();
    loop {
        sleep(Duration::from_secs(2));
        let late = late_ms(instance, &due)?;
        if late.len() >= automations * EACH {
            let of = |share: f64| late[((late.len() as f64 * share).ceil() as usize).saturating_sub(1)];
            return Ok(Schedules {
                count: late.len(),
                p50_ms: of(0.5),
                p99_ms: of(0.99),
                latest_ms: of(1.0),
            });
        }
        anyhow::ensure!(begun.elapsed() < PATIENCE, "only {} of {count} schedules fired", late.len());
    }
}

/// When the schedules of an automation are due next.
fn next_of(instance: &Instance, number: usize) -> anyhow::Result<String> {
    let path = format!("/v1/workspaces/default/automations/scheduled-{number}/triggers");
    for _ in 0..100 {
        let found: Value = serde_json::from_str(&instance.ask("GET", &path, "", 200)?)?;
        if let Some(next) = found["items"][0]["schedules"][EACH - 1]["next_at"].as_str() {
            return Ok(next.to_owned());
        }
        sleep(Duration::from_millis(20));
    }
    anyhow::bail!("schedules are not worked out")
}

/// By how many milliseconds the runs of a minute were late, sorted.
fn late_ms(instance: &Instance, due: &str) -> anyhow::Result<Vec<f64>> {
    let minute = due.get(..16).context("a time without minutes")?;
    let mut late = Vec::new();
    let mut cursor = String::new();
    loop {
        let path = format!("/v1/workspaces/default/runs?limit=500{cursor}");
        let page: Value = serde_json::from_str(&instance.ask("GET", &path, "", 200)?)?;
        for run in page["items"].as_array().into_iter().flatten() {
            let started = run["started_at"].as_str().unwrap_or_default();
            if run["trigger"] == "schedule"
                && let Some(seconds) = started.strip_prefix(minute).and_then(|rest| rest.strip_prefix(':'))
                && let Ok(seconds) = seconds.trim_end_matches('Z').parse::<f64>()
            {
                late.push(seconds * 1000.0);
            }
        }
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    late.sort_unstable_by(f64::total_cmp);
    Ok(late)
}
