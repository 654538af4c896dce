//! Load: so many clients, each with a request in flight on a connection of its own.
//!
//! A closed loop: a client sends its next request when it has the answer to the last. Clients are spread over as many
//! threads as there are cores, each a runtime of its own, so that no client's wake-up crosses threads.

use std::{
    sync::{Arc, Barrier},
    time::{Duration, Instant},
};

use anyhow::{Context, bail};

use crate::{
    connection::{Connection, Route},
    stats::{Sample, percentile_us},
};

/// How long a side of a round lasts.
#[derive(Clone, Copy)]
pub(crate) struct Effort {
    warm: Duration,
    measured: Duration,
    requests_max: usize,
}

impl Effort {
    /// For some time, after a fifth of it to warm up.
    pub(crate) fn time(measured: Duration) -> Self {
        Self { warm: measured / 5, measured, requests_max: usize::MAX }
    }

    /// So many requests by all clients together, and at least one by each.
    pub(crate) fn requests(requests_max: usize) -> Self {
        Self { warm: Duration::ZERO, measured: Duration::from_secs(30), requests_max }
    }
}

/// What a client did: nanoseconds of each request that counts, when it was done with them, and how many there were
/// with those that do not.
struct Ran {
    requests: usize,
    nanos: Vec<u32>,
    ended: Instant,
}

/// Sends one request over and over.
pub(crate) fn run(
    route: &Route,
    request: &Arc<[u8]>,
    clients: usize,
    effort: Effort,
) -> anyhow::Result<Sample> {
    let threads = std::thread::available_parallelism().map_or(1, usize::from).min(clients);
    let barrier = Arc::new(Barrier::new(threads));
    let quota = (effort.requests_max / clients).max(1);
    let started: Vec<_> = (0..threads)
        .map(|thread| {
            let (barrier, request, route) = (Arc::clone(&barrier), Arc::clone(request), route.clone());
            let mine = clients / threads + usize::from(thread < clients % threads);
            std::thread::spawn(move || drive(&route, &request, mine, quota, effort, &barrier))
        })
        .collect();
    let mut nanos = Vec::new();
    let (mut requests, mut measured) = (0, Duration::ZERO);
    for thread in started {
        let Ok(ran) = thread.join() else { bail!("a client's thread panicked") };
        let (began, clients) = ran?;
        for client in clients {
            measured = measured.max(client.ended.duration_since(began));
            requests += client.requests;
            nanos.extend(client.nanos);
        }
    }
    anyhow::ensure!(!nanos.is_empty(), "no request was answered in time");
    nanos.sort_unstable();
    Ok(Sample {
        requests,
        per_sec: nanos.len() as f64 / measured.as_secs_f64(),
        p50_us: percentile_us(&nanos, 0.50),
        p99_us: percentile_us(&nanos, 0.99),
    })
}

/// One thread's clients, from the moment on at which all threads are connected.
fn drive(
    route: &Route,
    request: &Arc<[u8]>,
    clients: usize,
    quota: usize,
    effort: Effort,
    barrier: &Barrier,
) -> anyhow::Result<(Instant, Vec<Ran>)> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let connections = runtime.block_on(async {
        let mut connections = Vec::with_capacity(clients);
        for _ in 0..clients {
            connections.push(Connection::open(route).await?);
        }
        anyhow::Ok(connections)
    });
    // Before the error is looked at: the other threads wait.
    barrier.wait();
    let began = Instant::now() + effort.warm;
    let until = began + effort.measured;
    runtime.block_on(async {
        let tasks: Vec<_> = connections?
            .into_iter()
            .map(|connection| tokio::spawn(client(connection, Arc::clone(request), began, until, quota)))
            .collect();
        let mut ran = Vec::with_capacity(clients);
        for task in tasks {
            ran.push(task.await.context("a client panicked")??);
        }
        Ok((began, ran))
    })
}

async fn client(
    mut connection: Connection,
    request: Arc<[u8]>,
    began: Instant,
    until: Instant,
    quota: usize,
) -> anyhow::Result<Ran> {
    let mut nanos = Vec::with_capacity(quota.min(1 << 14));
    let (mut requests, mut sent) = (0, Instant::now());
    while nanos.len() < quota {
        let answer = connection.exchange(&request).await?;
        if !(200..300).contains(&answer.status) {
            bail!("a request was answered with {}: {}", answer.status, String::from_utf8_lossy(answer.body));
        }
        requests += 1;
        let now = Instant::now();
        if now > until {
            return Ok(Ran { requests, nanos, ended: until });
        }
        if sent >= began {
            nanos.push(u32::try_from((now - sent).as_nanos()).unwrap_or(u32::MAX));
        }
        sent = now;
    }
    Ok(Ran { requests, nanos, ended: sent })
}
