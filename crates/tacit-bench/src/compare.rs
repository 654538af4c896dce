//! Rounds that alternate between Tacit and what it is compared with.

use std::sync::Arc;

use crate::{
    Plan,
    connection::Route,
    disk,
    instance::Instance,
    load::{self, Effort},
    process::Served,
    stats::{Sample, median},
};

/// A request to a server.
pub(crate) struct Side<'a> {
    pub(crate) server: &'a Served,
    pub(crate) request: Arc<[u8]>,
}

impl Side<'_> {
    /// One side of one round, and the processor time it took the server.
    fn run(&self, clients: usize, effort: Effort) -> anyhow::Result<(Sample, Option<u64>)> {
        let before = self.server.cpu_us();
        let sample = load::run(&Route::plain(self.server.address), &self.request, clients, effort)?;
        let used = before.zip(self.server.cpu_us()).map(|(before, after)| after.saturating_sub(before));
        Ok((sample, used))
    }
}

/// Two sides at one number of clients. Every number is the median of the rounds.
pub(crate) struct Compared {
    pub(crate) clients: usize,
    pub(crate) baseline: Sample,
    pub(crate) tacit: Sample,
    /// Tacit's rate as a share of the baseline's, by round.
    pub(crate) share: f64,
    /// What Tacit adds to the median latency, by round.
    pub(crate) added_p50_us: f64,
    /// What Tacit adds to the 99th percentile, by round.
    pub(crate) added_p99_us: f64,
    /// A flush, measured in the same rounds.
    pub(crate) flush_p50_us: f64,
    /// Events in one commit, over all rounds.
    pub(crate) events_per_commit: Option<f64>,
    /// Processor time of each server for one request, over all rounds.
    pub(crate) baseline_cpu_us: Option<f64>,
    pub(crate) tacit_cpu_us: Option<f64>,
}

struct Round {
    baseline: Sample,
    tacit: Sample,
    flush_p50_us: f64,
}

/// Measures both sides in turns.
pub(crate) fn compare(
    instance: &Instance,
    baseline: &Side<'_>,
    tacit: &Side<'_>,
    clients: usize,
    plan: Plan,
) -> anyhow::Result<Compared> {
    let mut rounds = Vec::with_capacity(plan.rounds);
    let (mut baseline_used, mut tacit_used) = (Some(0), Some(0));
    let before = instance.written()?;
    for round in 0..plan.rounds {
        let flush_p50_us = disk::flushes(&instance.data, plan.flushes / 3)?.append.p50_us;
        // Whoever comes second finds the caches as the other one left them: take turns at that, too.
        let (one, other) = if round % 2 == 0 {
            let one = baseline.run(clients, plan.effort)?;
            (one, tacit.run(clients, plan.effort)?)
        } else {
            let other = tacit.run(clients, plan.effort)?;
            (baseline.run(clients, plan.effort)?, other)
        };
        baseline_used = baseline_used.zip(one.1).map(|(sum, used)| sum + used);
        tacit_used = tacit_used.zip(other.1).map(|(sum, used)| sum + used);
        rounds.push(Round { baseline: one.0, tacit: other.0, flush_p50_us });
    }
    let after = instance.written()?;
    let (events, commits) = (after.events - before.events, after.commits - before.commits);
    let of = |number: fn(&Round) -> f64| median(rounds.iter().map(number));
    let side = |pick: fn(&Round) -> Sample| Sample::median(&rounds.iter().map(pick).collect::<Vec<_>>());
    let (baseline, tacit) = (side(|round| round.baseline), side(|round| round.tacit));
    Ok(Compared {
        clients,
        baseline,
        tacit,
        share: of(|round| round.tacit.per_sec / round.baseline.per_sec),
        added_p50_us: of(|round| round.tacit.p50_us - round.baseline.p50_us),
        added_p99_us: of(|round| round.tacit.p99_us - round.baseline.p99_us),
        flush_p50_us: of(|round| round.flush_p50_us),
        events_per_commit: (commits > 0).then(|| events as f64 / commits as f64),
        baseline_cpu_us: baseline_used.map(|used| used as f64 / baseline.requests as f64),
        tacit_cpu_us: tacit_used.map(|used| used as f64 / tacit.requests as f64),
    })
}
