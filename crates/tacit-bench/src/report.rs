//! What was found: as a table for people, as JSON for machines.

use std::{
    fmt::Write as _,
    io::Write as _,
    path::{Path, PathBuf},
};

use anyhow::Context;
use serde_json::{Value, json};

use crate::{
    aims::{aims, mb},
    compare::Compared,
    disk::{Flush, Flushes},
    process::Memory,
    proxies::Proxies,
    schedules::Schedules,
    start::Start,
    stats::Sample,
};

/// Everything one run found.
pub(crate) struct Report {
    pub(crate) is_quick: bool,
    pub(crate) directory: PathBuf,
    pub(crate) binary_bytes: u64,
    pub(crate) flush: Option<Flushes>,
    pub(crate) start: Option<Start>,
    pub(crate) reveal: Vec<Compared>,
    pub(crate) sealed: Vec<Compared>,
    pub(crate) runs: Vec<Compared>,
    pub(crate) schedules: Option<Schedules>,
    pub(crate) proxies: Option<Proxies>,
    pub(crate) memory_after_load: Option<Memory>,
}

impl Report {
    pub(crate) fn new(tacit: &Path, directory: &Path, is_quick: bool) -> anyhow::Result<Self> {
        let binary_bytes = std::fs::metadata(tacit).with_context(|| tacit.display().to_string())?.len();
        Ok(Self {
            is_quick,
            directory: directory.to_owned(),
            binary_bytes,
            flush: None,
            start: None,
            reveal: Vec::new(),
            sealed: Vec::new(),
            runs: Vec::new(),
            schedules: None,
            proxies: None,
            memory_after_load: None,
        })
    }

    /// Onto standard output.
    pub(crate) fn print(&self) -> anyhow::Result<()> {
        let mut text = String::new();
        self.write(&mut text)?;
        std::io::stdout().write_all(text.as_bytes())?;
        Ok(())
    }

    fn write(&self, out: &mut String) -> std::fmt::Result {
        if let Some(flush) = &self.flush {
            writeln!(out, "one flush of 4 KiB      p50        p99")?;
            for (what, flush) in [("append", flush.append), ("overwrite", flush.overwrite)] {
                writeln!(out, "  {what:<15} {:>7.0} us {:>7.0} us", flush.p50_us, flush.p99_us)?;
            }
            if flush.is_memory {
                let directory = self.directory.display();
                writeln!(
                    out,
                    "  {directory} is memory: a flush costs nothing here. Name a disk with --dir."
                )?;
            }
        }
        write_compared(out, "reveal", "bare", &self.reveal)?;
        write_compared(out, "sealed use", "direct", &self.sealed)?;
        write_compared(out, "run of one step", "direct", &self.runs)?;
        if let Some(schedules) = &self.schedules {
            writeln!(out, "\nschedules due together    p50 late    p99 late      latest")?;
            writeln!(
                out,
                "  {:<20}  {:>7.0} ms  {:>7.0} ms  {:>7.0} ms",
                schedules.count, schedules.p50_ms, schedules.p99_ms, schedules.latest_ms
            )?;
        }
        if let Some(proxies) = &self.proxies {
            write_proxies(out, proxies)?;
        }
        writeln!(out, "\nprocess")?;
        if let Some(start) = &self.start {
            writeln!(out, "  exec to ready   {:.0} ms (slowest {:.0} ms)", start.ready_ms, start.slowest_ms)?;
            writeln!(out, "  at rest         {}", memory(&start.at_rest))?;
        }
        if let Some(after) = &self.memory_after_load {
            writeln!(out, "  after the load  {}", memory(after))?;
        }
        writeln!(out, "  binary          {:.1} MB", mb(self.binary_bytes))?;
        writeln!(out, "\naim                                  aimed at              found")?;
        for aim in aims(self) {
            let verdict = if aim.is_met { "met" } else { "missed" };
            writeln!(out, "  {:<34} {:<21} {:<10} {verdict}", aim.what, aim.aim, aim.found)?;
        }
        if self.is_quick {
            writeln!(out, "\nA quick run: it shows that things work, and says nothing about how fast.")?;
        }
        Ok(())
    }

    /// For a file that is compared with the next one.
    pub(crate) fn json(&self) -> Value {
        let aims: Vec<Value> = aims(self)
            .into_iter()
            .map(|aim| json!({"what": aim.what, "aim": aim.aim, "found": aim.found, "met": aim.is_met}))
            .collect();
        let flush = |flush: &Flush| json!({"p50_us": flush.p50_us, "p99_us": flush.p99_us});
        json!({
            "quick": self.is_quick,
            "cores": std::thread::available_parallelism().map_or(1, usize::from),
            "flush": self.flush.as_ref().map(|found| json!({
                "append": flush(&found.append), "overwrite": flush(&found.overwrite), "is_memory": found.is_memory,
            })),
            "reveal": self.reveal.iter().map(compared_json).collect::<Vec<_>>(),
            "sealed": self.sealed.iter().map(compared_json).collect::<Vec<_>>(),
            "runs": self.runs.iter().map(compared_json).collect::<Vec<_>>(),
            "schedules": self.schedules.as_ref().map(|found| json!({
                "count": found.count, "p50_ms": found.p50_ms, "p99_ms": found.p99_ms, "latest_ms": found.latest_ms,
            })),
            "proxies": self.proxies.as_ref().map(proxies_json),
            "start": self.start.as_ref().map(|start| json!({
                "ready_ms": start.ready_ms, "slowest_ms": start.slowest_ms, "at_rest": memory_json(&start.at_rest),
            })),
            "memory_after_load": self.memory_after_load.as_ref().map(memory_json),
            "binary_bytes": self.binary_bytes,
            "aims": aims,
        })
    }
}

fn write_compared(out: &mut String, what: &str, baseline: &str, rows: &[Compared]) -> std::fmt::Result {
    if rows.is_empty() {
        return Ok(());
    }
    writeln!(
        out,
        "\n{what:<22}  requests/s    p50 us    p99 us   share  +p50 us  +p99 us  events/commit  cpu us"
    )?;
    for row in rows {
        let side = |out: &mut String, who: &str, sample: &Sample| {
            let clients = format!("{} client{}", row.clients, if row.clients == 1 { "" } else { "s" });
            write!(
                out,
                "  {clients:<12}{who:<8}  {:>10.0}  {:>8.0}  {:>8.0}",
                sample.per_sec, sample.p50_us, sample.p99_us
            )
        };
        let or_unknown =
            |number: Option<f64>| number.map_or_else(|| "-".to_owned(), |number| format!("{number:.1}"));
        side(out, baseline, &row.baseline)?;
        writeln!(out, "{:>48}", or_unknown(row.baseline_cpu_us))?;
        side(out, "tacit", &row.tacit)?;
        write!(out, "  {:>6.2}  {:>7.0}  {:>7.0}", row.share, row.added_p50_us, row.added_p99_us)?;
        let or_unknown =
            |number: Option<f64>| number.map_or_else(|| "-".to_owned(), |number| format!("{number:.1}"));
        writeln!(out, "  {:>13}  {:>6}", or_unknown(row.events_per_commit), or_unknown(row.tacit_cpu_us))?;
    }
    Ok(())
}

fn write_proxies(out: &mut String, proxies: &Proxies) -> std::fmt::Result {
    writeln!(
        out,
        "\nproxy, TLS                     requests/s    p50 us    p99 us   share  +p50 us  +p99 us  cpu us"
    )?;
    for way in &proxies.ways {
        let clients = format!("{} client{}", way.clients, if way.clients == 1 { "" } else { "s" });
        let cpu = way.cpu_us.map_or_else(|| "-".to_owned(), |cpu| format!("{cpu:.1}"));
        writeln!(
            out,
            "  {clients:<12}{:<15}  {:>10.0}  {:>8.0}  {:>8.0}  {:>6.2}  {:>7.0}  {:>7.0}  {cpu:>6}",
            way.name,
            way.sample.per_sec,
            way.sample.p50_us,
            way.sample.p99_us,
            way.share,
            way.added_p50_us,
            way.added_p99_us
        )?;
    }
    writeln!(out, "  (a flush in the same rounds: {:.0} us)", proxies.flush_p50_us)?;
    writeln!(out, "\nproxy, one large body    GB/s")?;
    for bulk in &proxies.bulk {
        writeln!(out, "  {:<20}  {:>5.2}  {}", bulk.name, bulk.gb_per_sec, memory(&bulk.memory))?;
    }
    Ok(())
}

fn proxies_json(proxies: &Proxies) -> Value {
    json!({
        "ways": proxies.ways.iter().map(|way| json!({
            "name": way.name, "clients": way.clients, "per_sec": way.sample.per_sec, "p50_us": way.sample.p50_us,
            "p99_us": way.sample.p99_us, "share": way.share, "added_p50_us": way.added_p50_us,
            "added_p99_us": way.added_p99_us, "cpu_us": way.cpu_us,
        })).collect::<Vec<_>>(),
        "bulk": proxies.bulk.iter().map(|bulk| json!({
            "name": bulk.name, "gb_per_sec": bulk.gb_per_sec, "memory": memory_json(&bulk.memory),
        })).collect::<Vec<_>>(),
        "flush_p50_us": proxies.flush_p50_us,
    })
}

fn compared_json(row: &Compared) -> Value {
    let side = |sample: &Sample| json!({"requests": sample.requests, "per_sec": sample.per_sec, "p50_us": sample.p50_us, "p99_us": sample.p99_us});
    json!({
        "clients": row.clients, "baseline": side(&row.baseline), "tacit": side(&row.tacit), "share": row.share,
        "added_p50_us": row.added_p50_us, "added_p99_us": row.added_p99_us, "flush_p50_us": row.flush_p50_us,
        "events_per_commit": row.events_per_commit, "baseline_cpu_us": row.baseline_cpu_us, "tacit_cpu_us": row.tacit_cpu_us,
    })
}

fn memory(memory: &Memory) -> String {
    let part = |what: &str, bytes: Option<u64>| match bytes {
        Some(bytes) => format!("{what} {:.1} MB", mb(bytes)),
        None => format!("{what} unknown"),
    };
    format!("{}, {}", part("resident", memory.rss), part("proportional", memory.pss))
}

fn memory_json(memory: &Memory) -> Value {
    json!({"rss_bytes": memory.rss, "pss_bytes": memory.pss})
}
