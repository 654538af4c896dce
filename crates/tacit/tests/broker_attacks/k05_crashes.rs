//! K5: what a crash leaves behind: a core, a report, a message with memory in it. Nothing but a line.

use std::{path::Path, process::Command, time::Duration};

use crate::{
    ensure,
    scene::{Scene, Verdict, noleak},
    world::World,
};

/// Everything below a folder.
fn files(folder: &Path, found: &mut Vec<std::path::PathBuf>) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        if entry.path().is_dir() { files(&entry.path(), found) } else { found.push(entry.path()) }
    }
}

pub(crate) async fn case(_: &'static World) -> Verdict {
    for signal in ["ABRT", "SEGV", "BUS", "ILL"] {
        let world = World::own(&[], &[("RUST_BACKTRACE", "full")]).await;
        let scene = Scene::new(world, "K5").await;
        let lease = scene.lease().await;
        scene.works(&lease).await;
        let folder = world.data().parent().unwrap().to_owned();
        let (mut before, mut here) = (Vec::new(), Vec::new());
        files(&folder, &mut before);
        files(&std::env::current_dir().unwrap().join("."), &mut here);
        let cores = |found: &[std::path::PathBuf]| {
            found
                .iter()
                .filter(|path| {
                    path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("core"))
                })
                .count()
        };
        let cores_here = cores(&here);
        for _ in 0..100 {
            if !Path::new(&format!("/proc/{}", world.pid)).exists() {
                break;
            }
            // More than once: the runtime's handler for exhausted stacks takes the first one for its own.
            let _ = Command::new("kill").args([format!("-{signal}"), world.pid.to_string()]).output();
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        ensure!(!Path::new(&format!("/proc/{}", world.pid)).exists(), "it does not end at {signal}");
        let (mut after, mut here) = (Vec::new(), Vec::new());
        files(&folder, &mut after);
        files(&std::env::current_dir().unwrap().join("."), &mut here);
        let fresh: Vec<_> = after.iter().filter(|path| !before.contains(path)).collect();
        ensure!(fresh.is_empty() && cores(&here) == cores_here, "{signal} leaves {fresh:?} behind");
        for path in &after {
            let bytes = std::fs::read(path).unwrap_or_default();
            let found = memchr::memmem::find(&bytes, &scene.s.as_bytes()[8..24]);
            ensure!(found.is_none(), "{signal}: {} holds S", path.display());
        }
        noleak(&scene.s, "the log's end", &world.log()[world.log().len().saturating_sub(8192)..])?;
    }
    Ok(())
}
