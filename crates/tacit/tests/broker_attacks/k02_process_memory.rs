//! K2: the process's memory: core dumps, ptrace, `/proc/PID/mem`, swap. The process is not dumpable, has no core,
//! gets no new privileges, and has its keys locked in memory.

use std::{os::unix::fs::MetadataExt, process::Command};

use crate::{
    ensure,
    scene::{Scene, Verdict},
    world::World,
};

pub(crate) async fn case(world: &'static World) -> Verdict {
    let scene = Scene::new(world, "K2").await;
    let lease = scene.lease().await;
    scene.works(&lease).await;
    let proc = format!("/proc/{}", world.pid);
    let limits = std::fs::read_to_string(format!("{proc}/limits")).unwrap();
    let core = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
    let words: Vec<&str> = core.split_whitespace().collect();
    ensure!(words[4..6] == ["0", "0"], "{core}");
    let status = std::fs::read_to_string(format!("{proc}/status")).unwrap();
    let entry = |name: &str| {
        status.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default().trim().to_owned()
    };
    let locked: u64 = entry("VmLck:").trim_end_matches(" kB").parse().unwrap();
    ensure!(locked > 0, "nothing is locked in memory");
    // Each thread has its own.
    for thread in std::fs::read_dir(format!("{proc}/task")).unwrap() {
        let status = std::fs::read_to_string(thread.unwrap().path().join("status")).unwrap_or_default();
        let is_set = status.is_empty() || status.contains("NoNewPrivs:\t1\n");
        ensure!(is_set, "a thread could get new privileges: {status}");
    }
    // What is not dumpable belongs to root in /proc, whoever runs it.
    let owner = std::fs::metadata(format!("{proc}/mem")).unwrap().uid();
    ensure!(owner == 0, "/proc/PID/mem belongs to {owner}");
    // As somebody else: not even its environment. (Only root can become somebody else.)
    let as_nobody = Command::new("setpriv")
        .args(["--reuid=65534", "--regid=65534", "--clear-groups", "cat"])
        .arg(format!("{proc}/environ"))
        .output();
    if let Ok(output) = as_nobody {
        ensure!(!output.status.success() && output.stdout.is_empty(), "another user reads its environment");
    }
    Ok(())
}
