//! What one flush costs here, because nothing that is durable can be faster.

use std::{
    fs::{File, OpenOptions},
    io::{Seek, SeekFrom, Write},
    path::Path,
    time::Instant,
};

use anyhow::Context;

use crate::stats::percentile_us;

const PAGE_BYTES: usize = 4096;
const TMPFS_MAGIC: i64 = 0x0102_1994;

/// A page and its flush.
#[derive(Clone, Copy)]
pub(crate) struct Flush {
    pub(crate) p50_us: f64,
    pub(crate) p99_us: f64,
}

/// The two kinds of flush that a write-ahead log pays.
#[derive(Clone, Copy)]
pub(crate) struct Flushes {
    /// The file grows, and with it its metadata: a log that was never this long.
    pub(crate) append: Flush,
    /// The file stays as long as it is: a log that is written over after a checkpoint.
    pub(crate) overwrite: Flush,
    /// Whether this is memory and not a disk.
    pub(crate) is_memory: bool,
}

/// Writes and flushes pages in a directory, one by one.
pub(crate) fn flushes(directory: &Path, count: usize) -> anyhow::Result<Flushes> {
    let path = directory.join("flush");
    let mut file = OpenOptions::new().create(true).truncate(true).write(true).open(&path)?;
    let is_memory =
        rustix::fs::fstatfs(&file).context("no answer about the file system")?.f_type == TMPFS_MAGIC;
    let append = timed(&mut file, count)?;
    file.seek(SeekFrom::Start(0))?;
    let overwrite = timed(&mut file, count)?;
    std::fs::remove_file(path)?;
    Ok(Flushes { append, overwrite, is_memory })
}

fn timed(file: &mut File, count: usize) -> anyhow::Result<Flush> {
    let mut nanos = Vec::with_capacity(count);
    for number in 0..count {
        let page = [number as u8; PAGE_BYTES];
        let began = Instant::now();
        file.write_all(&page)?;
        file.sync_data()?;
        nanos.push(u32::try_from(began.elapsed().as_nanos()).unwrap_or(u32::MAX));
    }
    nanos.sort_unstable();
    Ok(Flush { p50_us: percentile_us(&nanos, 0.50), p99_us: percentile_us(&nanos, 0.99) })
}
