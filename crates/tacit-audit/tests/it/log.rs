//! A whole record, and the ways somebody with the database could change it.

use tacit_audit::*;
use tacit_model::{EventId, Timestamp};

use crate::sample;

type Row = (u64, Vec<u8>, Hash);

fn record(size: u64) -> Vec<Row> {
    (0..size)
        .map(|seq| {
            let id = EventId::generate(Timestamp::from_millis(seq as i64), [0; 10]);
            let bytes = Event { id, ..sample::intent() }.encode();
            let leaf = leaf_hash(&bytes);
            (seq, bytes, leaf)
        })
        .collect()
}

fn fault(rows: Vec<Row>) -> (u64, LogFault) {
    let error = verify_log(rows).expect_err("the record is broken");
    (error.seq, error.what)
}

/// An untouched record has the tree's size and root, an empty one the empty tree's.
#[test]
fn an_untouched_record() {
    let rows = record(9);
    let leaves: Vec<Hash> = rows.iter().map(|row| row.2).collect();
    assert_eq!(verify_log(rows), Ok(LogReport { size: 9, root: tree_root(&leaves) }));
    assert_eq!(verify_log(record(0)), Ok(LogReport { size: 0, root: tree_root(&[]) }));
}

/// Each change is found at the event it was made to.
#[test]
fn changes_are_found_where_they_are() {
    let mut dropped = record(9);
    dropped.remove(4);
    assert_eq!(fault(dropped), (4, LogFault::Sequence { found: 5 }));

    let mut doubled = record(9);
    doubled.insert(4, doubled[3].clone());
    assert_eq!(fault(doubled), (4, LogFault::Sequence { found: 3 }));

    let beginning_cut = record(9).split_off(2);
    assert_eq!(fault(beginning_cut), (0, LogFault::Sequence { found: 2 }));

    let mut bytes_changed = record(9);
    bytes_changed[4].1[30] ^= 1;
    assert_eq!(fault(bytes_changed), (4, LogFault::Leaf));

    let mut leaf_changed = record(9);
    leaf_changed[4].2[0] ^= 1;
    assert_eq!(fault(leaf_changed), (4, LogFault::Leaf));

    let mut not_an_event = record(9);
    not_an_event[4].1 = b"hello".to_vec();
    not_an_event[4].2 = leaf_hash(b"hello");
    assert_eq!(fault(not_an_event), (4, LogFault::Bytes(DecodeError::NotAnEvent)));
}

/// A record that was rewritten with all its hashes, or cut at the end, is consistent with itself. Only a checkpoint
/// kept elsewhere tells.
#[test]
fn a_checkpoint_tells_a_rewritten_record() {
    let signer = Signer::from_seed("tacit.test/wsp", &[7; 32]).unwrap();
    let honest = verify_log(record(9)).unwrap();
    let note = Checkpoint { origin: "tacit.test/wsp".into(), size: honest.size, root: honest.root }
        .sign(&signer)
        .unwrap();
    let kept = Checkpoint::verify(&note, signer.verifier()).unwrap();

    let mut rewritten = record(9);
    rewritten[4].1 = sample::denied().encode();
    rewritten[4].2 = leaf_hash(&rewritten[4].1);
    let rewritten = verify_log(rewritten).unwrap();
    assert_eq!(rewritten.size, kept.size);
    assert_ne!(rewritten.root, kept.root);

    assert!(verify_log(record(8)).unwrap().size < kept.size);

    let mut verifier = LogVerifier::new();
    let mut root_then = None;
    for (seq, bytes, leaf) in record(12) {
        verifier.check(seq, &bytes, &leaf).unwrap();
        if verifier.report().size == kept.size {
            root_then = Some(verifier.report().root);
        }
    }
    assert_eq!(root_then, Some(kept.root));
}

/// The message says which event and what, and nothing of its content.
#[test]
fn the_message_names_the_event() {
    let mut rows = record(3);
    rows[1].1[30] ^= 1;
    assert_eq!(
        verify_log(rows).unwrap_err().to_string(),
        "event 1: the stored hash does not belong to the stored bytes"
    );
    let error = LogError { seq: 4, what: LogFault::Sequence { found: 6 } };
    assert_eq!(error.to_string(), "event 4: is missing; event 6 was found in its place");
}
