//! What is destroyed is gone from every file of the data directory, and not only from what is read of them.

use std::{collections::BTreeMap, fs, path::Path};

use tacit_model::Visibility;
use tacit_vault::SettingsPatch;

use crate::ground::{Ground, NOW};

/// Which version of what value, in which environment.
type Key = (Vec<u8>, Vec<u8>, i64);

/// Every ciphertext that is kept.
fn sealed(directory: &Path) -> BTreeMap<Key, Vec<u8>> {
    let database = rusqlite::Connection::open(directory.join("tacit.db")).unwrap();
    let mut rows = database
        .prepare("SELECT secret, environment, version, sealed FROM secret_versions WHERE length(sealed) > 0")
        .unwrap();
    let row = |row: &rusqlite::Row<'_>| Ok(((row.get(0)?, row.get(1)?, row.get(2)?), row.get(3)?));
    rows.query_map([], row).unwrap().collect::<Result<_, _>>().unwrap()
}

/// How many of these ciphertexts have a part in some file.
fn found(directory: &Path, ciphertexts: &[&Vec<u8>]) -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        let bytes = fs::read(&path).unwrap();
        // Parts of 16 bytes, by where they begin in a ciphertext: any of them is enough to find one.
        let parts: std::collections::HashSet<&[u8]> = bytes.windows(16).collect();
        for ciphertext in ciphertexts {
            let is_there = ciphertext[24..].chunks_exact(16).any(|part| parts.contains(part));
            if is_there {
                found.push(format!("{} bytes in {}", ciphertext.len(), path.display()));
            }
        }
    }
    found
}

/// Values of all sizes are rotated, rolled back and taken away, and secrets purged; by writes, and by the job. Of each ciphertext
/// that is destroyed nothing is left while the server runs on.
#[tokio::test]
async fn destroyed_ciphertext_is_in_no_file() {
    let ground = Ground::new().await;
    let directory = ground.directory.path();
    let settings = SettingsPatch {
        version_keep_count: Some(2),
        deletion_window_days: Some(0),
        ..SettingsPatch::default()
    };
    ground.vault.update_workspace(&ground.owner, settings, false).await.unwrap();
    let value = |number: usize| "v".repeat(1 + number * 7919 % 9000 / (1 + number % 7));
    for number in 0..40 {
        let name = format!("secret-{number}");
        ground.create(&name, Visibility::Masked, &[], &[("test", &value(number))]).await;
    }
    let mut all = sealed(directory);
    for round in 1..6 {
        for number in 0..40 {
            let name = format!("secret-{}", number * 17 % 40);
            ground.rotate(&name, "test", &value(number * 3 + round)).await;
            if number % 9 == round {
                all.append(&mut sealed(directory));
            }
        }
        all.append(&mut sealed(directory));
    }
    let gone = |all: &BTreeMap<Key, Vec<u8>>| {
        let kept = sealed(directory);
        let gone: Vec<_> = all.iter().filter(|(key, _)| !kept.contains_key(*key)).collect();
        (gone.len(), found(directory, &gone.into_iter().map(|(_, bytes)| bytes).collect::<Vec<_>>()))
    };
    let (count, found) = gone(&all);
    assert!(count >= 100, "{count}");
    assert_eq!(found, Vec::<String>::new(), "by writes");
    // The job, and whole values and secrets.
    ground.vault.keep_up(NOW.plus_secs(9 * 86_400), false).await.unwrap();
    for number in 0..20 {
        let name = format!("secret-{number}").parse().unwrap();
        if number % 2 == 0 {
            ground.vault.delete_value(&ground.owner, &name, &"test".parse().unwrap()).await.unwrap();
        } else {
            ground.vault.delete_secret(&ground.owner, &name, false).await.unwrap();
        }
    }
    let (more, found) = gone(&all);
    assert!(more >= count + 50, "{more}");
    assert_eq!(found, Vec::<String>::new(), "by the job, and with what held them");
}
