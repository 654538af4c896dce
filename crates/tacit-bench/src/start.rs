//! From nothing to ready, and what a server holds that has nothing to do.

use std::{path::Path, time::Instant};

use crate::{Plan, instance, process::Memory, stats::median};

/// A start, and the rest after it.
pub(crate) struct Start {
    /// From exec to `tacit: ready`, on a directory that is initialised; the median.
    pub(crate) ready_ms: f64,
    /// The slowest of them.
    pub(crate) slowest_ms: f64,
    pub(crate) at_rest: Memory,
}

/// Starts and stops a server many times over.
pub(crate) fn measure(tacit: &Path, directory: &Path, plan: Plan) -> anyhow::Result<Start> {
    let data = directory.join("start");
    instance::init(tacit, &data)?;
    let mut took_ms = Vec::with_capacity(plan.starts);
    for _ in 0..plan.starts {
        let began = Instant::now();
        let served = instance::serve(tacit, &data, &[])?;
        took_ms.push(began.elapsed().as_secs_f64() * 1000.0);
        served.stop()?;
    }
    let served = instance::serve(tacit, &data, &[])?;
    std::thread::sleep(plan.rest);
    let at_rest = served.memory();
    served.stop()?;
    let slowest_ms = took_ms.iter().copied().fold(0.0, f64::max);
    Ok(Start { ready_ms: median(took_ms), slowest_ms, at_rest })
}
