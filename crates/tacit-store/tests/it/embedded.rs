//! The files of the embedded engine: who may open them, and with whom.

use std::{fs, os::unix::fs::PermissionsExt, path::Path};

use tacit_model::WorkspaceId;
use tacit_store::{Change, Store, StoreError, WriteError, identity};

use crate::ground::{Ground, an_identity, event, identity_change};

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

/// Every file is its owner's alone, whatever the process's umask lets through, and so is a directory that was made.
#[tokio::test]
async fn files_are_for_their_owner() {
    let parent = tempfile::tempdir().unwrap();
    let directory = parent.path().join("made/here");
    let store = Store::open_embedded(&directory).unwrap();
    store.write(identity_change(&an_identity())).await.unwrap();
    assert_eq!(mode(&directory), 0o700);
    let mut names = Vec::new();
    for entry in fs::read_dir(&directory).unwrap() {
        let path = entry.unwrap().path();
        assert_eq!(mode(&path), 0o600, "{}", path.display());
        names.push(path.file_name().unwrap().to_string_lossy().into_owned());
    }
    assert!(
        names.contains(&"tacit.db".to_owned()) && names.contains(&"tacit.db-wal".to_owned()),
        "{names:?}"
    );
}

/// A database that others may read is not opened.
#[test]
fn a_loose_mode_is_refused() {
    let ground = Ground::new();
    ground.store.close();
    let Ground { store, directory } = ground;
    drop(store);
    let file = directory.path().join("tacit.db");
    for loose in [0o640, 0o604, 0o610, 0o601, 0o660, 0o777] {
        fs::set_permissions(&file, fs::Permissions::from_mode(loose)).unwrap();
        let opened = Store::open_embedded(directory.path()).map(drop);
        assert!(matches!(opened, Err(StoreError::LooseMode(_))), "{loose:o}: {opened:?}");
        assert_eq!(mode(&file), loose, "nothing was changed");
    }
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    Store::open_embedded(directory.path()).unwrap();
}

/// One writer at a time; as many readers as like beside it, who see what is acknowledged and write nothing.
#[tokio::test]
async fn readers_beside_the_writer() {
    let ground = Ground::new();
    let (workspace, _) = ground.workspace("a").await;
    let second = Store::open_embedded(ground.directory.path()).map(drop);
    assert!(matches!(second, Err(StoreError::InUse)), "{second:?}");
    let reader = Store::open_for_reading(ground.directory.path()).unwrap();
    for size in 1..=20 {
        ground.store.write(Change::new(workspace).record(&event(workspace, "x"))).await.unwrap();
        assert_eq!(reader.events_from(workspace, 0, 100).await.unwrap().len(), size);
    }
    let refused = reader.write(Change::new(workspace).record(&event(workspace, "y"))).await;
    assert!(matches!(refused, Err(WriteError::Unavailable(_))), "{refused:?}");
    reader.write_soon(Change::new(workspace).record(&event(workspace, "y")));
    reader.close();
    ground.store.close();
    assert_eq!(reader.events_from(workspace, 0, 100).await.unwrap().len(), 20, "without a writer as well");
    // A handle that was closed still holds the directory; its end gives it back.
    let directory = ground.directory;
    drop(ground.store);
    let reopened = Store::open_embedded(directory.path()).unwrap();
    assert_eq!(reopened.events_from(workspace, 0, 100).await.unwrap().len(), 20);
}

/// Where there is nothing to read, reading makes nothing.
#[test]
fn reading_makes_no_files() {
    let directory = tempfile::tempdir().unwrap();
    assert!(matches!(Store::open_for_reading(directory.path()), Err(StoreError::Io(_))));
    assert!(identity::peek(directory.path()).unwrap().is_none());
    assert!(matches!(Store::open_for_reading(&directory.path().join("nowhere")), Err(StoreError::Io(_))));
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0);
}

/// A look at the identity changes no byte, and sees what a whole file holds.
#[tokio::test]
async fn a_look_changes_nothing() {
    let ground = Ground::new();
    let identity = an_identity();
    assert!(identity::peek(ground.directory.path()).unwrap().is_none(), "not initialised yet");
    ground.store.write(identity_change(&identity)).await.unwrap();
    let ground = ground.again();
    assert!(ground.store.is_initialised().await.unwrap());
    let twice = ground.store.write(identity_change(&an_identity())).await;
    assert_eq!(twice, Err(WriteError::Taken), "an instance has one identity");
    ground.store.close();
    let Ground { store, directory } = ground;
    drop(store);
    let files = || {
        let mut found: Vec<_> = fs::read_dir(directory.path())
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .map(|path| (fs::read(&path).unwrap(), path))
            .collect();
        found.sort();
        found
    };
    let before = files();
    assert_eq!(identity::peek(directory.path()).unwrap(), Some(identity));
    assert!(files() == before, "a look changed something");
}

/// A directory with a name that needs escaping in a URL is found all the same.
#[tokio::test]
async fn odd_directory_names() {
    let parent = tempfile::tempdir().unwrap();
    for name in ["with space", "percent%20", "question?mark=1", "hash#tag", "umlaut-ü", "quote'\""] {
        let directory = parent.path().join(name);
        let store = Store::open_embedded(&directory).unwrap();
        let identity = an_identity();
        store.write(identity_change(&identity)).await.unwrap();
        store.close();
        assert_eq!(identity::peek(&directory).unwrap(), Some(identity), "{name}");
        Store::open_for_reading(&directory).unwrap();
    }
}

/// A database of a later release is left alone by every way of opening it.
#[test]
fn a_newer_schema_is_refused() {
    let ground = Ground::new();
    ground.store.close();
    let Ground { store, directory } = ground;
    drop(store);
    let database = rusqlite::Connection::open(directory.path().join("tacit.db")).unwrap();
    database.execute("INSERT INTO migrations (number, applied_at) VALUES (41, 0)", []).unwrap();
    database.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)").unwrap();
    drop(database);
    let newer = |error: Option<StoreError>| matches!(error, Some(StoreError::Newer { found: 41, .. }));
    assert!(newer(identity::peek(directory.path()).err()));
    assert!(newer(Store::open_for_reading(directory.path()).map(drop).err()));
    assert!(newer(Store::open_embedded(directory.path()).map(drop).err()));
}

/// What is destroyed is gone from the files: neither the database nor its journal still holds it.
#[tokio::test]
async fn what_is_destroyed_is_gone() {
    use tacit_store::secrets;
    let ground = Ground::new();
    let (workspace, environment) = ground.workspace("a").await;
    let secret = crate::ground::secret("short-lived");
    let canary = b"canary-Zq8Wn3Lk5Rt7Yp2Xc9Vb4Mf6".repeat(200);
    let version = secrets::Version { sealed: canary, ..crate::ground::version(1) };
    let insert = Change::new(workspace)
        .and_all(secrets::insert(workspace, &secret))
        .and_all(secrets::insert_version(workspace, secret.id, environment.id, &version));
    ground.store.write(insert).await.unwrap();
    ground.store.write(Change::new(workspace).and_all(secrets::purge(workspace, &secret))).await.unwrap();
    ground.store.close();
    for entry in fs::read_dir(ground.directory.path()).unwrap() {
        let path = entry.unwrap().path();
        let bytes = fs::read(&path).unwrap();
        assert!(!bytes.windows(16).any(|window| window == b"canary-Zq8Wn3Lk5"), "{}", path.display());
    }
}

/// An unknown workspace has no revision, whichever way the store was opened.
#[tokio::test]
async fn a_reader_knows_revisions() {
    let ground = Ground::new();
    let (workspace, _) = ground.workspace("a").await;
    let reader = Store::open_for_reading(ground.directory.path()).unwrap();
    assert_eq!(reader.revision(WorkspaceId::from_bytes([1; 16])).await.unwrap(), 0);
    assert_eq!(reader.revision(workspace).await.unwrap(), 1);
}
