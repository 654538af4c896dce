//! The tree against the reference tree of Certificate Transparency and against the definition.

use proptest::prelude::*;
use tacit_audit::*;

use crate::{hash, hex, unhex};

/// The leaves of the reference tree (`certificate-transparency`, `merkletree/merkle_tree_test.cc`).
const LEAVES: [&str; 8] =
    ["", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"];

/// Its roots after each leaf.
const ROOTS: [&str; 8] = [
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
];

const EMPTY: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

fn reference() -> Vec<Hash> {
    LEAVES.iter().map(|leaf| leaf_hash(&unhex(leaf))).collect()
}

/// `MTH` as RFC 6962 §2.1 defines it, for trees that are not empty.
fn by_definition(leaves: &[Hash]) -> Hash {
    if let [leaf] = leaves {
        return *leaf;
    }
    let split = (leaves.len() - 1).checked_ilog2().map_or(1, |bits| 1 << bits);
    let (left, right) = leaves.split_at(split);
    node_hash(&by_definition(left), &by_definition(right))
}

fn leaves(count: usize) -> Vec<Hash> {
    (0..count as u32).map(|n| leaf_hash(&n.to_be_bytes())).collect()
}

/// The root after each leaf of the reference tree.
#[test]
fn the_reference_roots() {
    let mut frontier = Frontier::new();
    assert_eq!(hex(&frontier.root()), EMPTY);
    for (leaf, root) in reference().into_iter().zip(ROOTS) {
        frontier.push(leaf);
        assert_eq!(hex(&frontier.root()), root);
        assert_eq!(Frontier::from_bytes(&frontier.to_bytes()).as_ref(), Ok(&frontier));
    }
    assert_eq!(frontier.size(), 8);
}

/// The reference tree's inclusion proofs: index, size, proof.
#[test]
fn the_reference_inclusion_proofs() {
    let all = reference();
    for (index, size, proof) in [
        (0, 1, &[][..]),
        (
            0,
            8,
            &[
                "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
                "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
                "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
            ],
        ),
        (
            5,
            8,
            &[
                "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
                "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
                "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
            ],
        ),
        (2, 3, &["fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125"]),
        (
            1,
            5,
            &[
                "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
                "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
                "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
            ],
        ),
    ] {
        let made = inclusion_proof(&all[..size], index).unwrap();
        assert_eq!(made.iter().map(|hash| hex(hash)).collect::<Vec<_>>(), proof);
        assert!(verify_inclusion(&all[index], index as u64, size as u64, &made, &hash(ROOTS[size - 1])));
    }
    assert_eq!(inclusion_proof(&all, 8), None);
    assert_eq!(inclusion_proof(&[], 0), None);
}

/// The reference tree's consistency proofs: old size, new size, proof.
#[test]
fn the_reference_consistency_proofs() {
    let all = reference();
    for (old, new, proof) in [
        (1, 1, &[][..]),
        (
            1,
            8,
            &[
                "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
                "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
                "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
            ],
        ),
        (
            6,
            8,
            &[
                "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
                "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
                "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
            ],
        ),
        (
            2,
            5,
            &[
                "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
                "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
            ],
        ),
    ] {
        let made = consistency_proof(&all[..new], old).unwrap();
        assert_eq!(made.iter().map(|hash| hex(hash)).collect::<Vec<_>>(), proof);
        assert!(verify_consistency(
            old as u64,
            &hash(ROOTS[old - 1]),
            new as u64,
            &hash(ROOTS[new - 1]),
            &made
        ));
    }
    assert_eq!(consistency_proof(&all, 9), None);
}

/// Every proof of every tree up to 40 leaves verifies, and for nothing but its own leaf, sizes and roots.
#[test]
fn every_proof_of_small_trees() {
    let all = leaves(40);
    for size in 1..=all.len() {
        let root = tree_root(&all[..size]);
        assert_eq!(root, by_definition(&all[..size]));
        for index in 0..size {
            let proof = inclusion_proof(&all[..size], index).unwrap();
            assert!(verify_inclusion(&all[index], index as u64, size as u64, &proof, &root));
            for other in 0..size {
                let verified = verify_inclusion(&all[index], other as u64, size as u64, &proof, &root);
                assert_eq!(verified, other == index, "leaf {index} as {other} of {size}");
            }
            assert!(!verify_inclusion(
                &all[index],
                index as u64,
                size as u64,
                &[&proof[..], &[root]].concat(),
                &root
            ));
            assert!(
                proof.is_empty()
                    || !verify_inclusion(&all[index], index as u64, size as u64, &proof[1..], &root)
            );
        }
        assert!(!verify_inclusion(&root, size as u64, size as u64, &[], &root));
        for old in 0..=size {
            let proof = consistency_proof(&all[..size], old).unwrap();
            let old_root = tree_root(&all[..old]);
            let (old, new) = (old as u64, size as u64);
            assert!(verify_consistency(old, &old_root, new, &root, &proof), "{old} in {new}");
            assert!(!verify_consistency(old, &[1; 32], new, &root, &proof));
            assert!(old == 0 || !verify_consistency(old, &old_root, new, &[1; 32], &proof));
            assert!(!verify_consistency(old, &old_root, new, &root, &[&proof[..], &[root]].concat()));
            assert!(proof.is_empty() || !verify_consistency(old, &old_root, new, &root, &proof[1..]));
            assert!(old == new || !verify_consistency(new, &root, old, &old_root, &proof));
        }
    }
}

/// A record that was rewritten, however little, has no proof that it grew from the old one.
#[test]
fn a_rewritten_history_is_not_consistent() {
    let honest = leaves(20);
    for rewritten in 0..13 {
        let mut forged = leaves(20);
        forged[rewritten] = [0xee; 32];
        let proof = consistency_proof(&forged, 13).unwrap();
        assert!(!verify_consistency(13, &tree_root(&honest[..13]), 20, &tree_root(&forged), &proof));
    }
}

/// A node is not a leaf: the two kinds of hash have no input in common.
#[test]
fn a_node_cannot_pass_for_a_leaf() {
    let [left, right] = [leaf_hash(b"a"), leaf_hash(b"b")];
    assert_ne!(leaf_hash(&[left, right].concat()), node_hash(&left, &right));
}

/// Bytes that are no right edge of any tree.
#[test]
fn malformed_frontiers() {
    let good = leaves(5).into_iter().fold(Frontier::new(), |mut frontier, leaf| {
        frontier.push(leaf);
        frontier
    });
    let bytes = good.to_bytes();
    assert_eq!(bytes.len(), 8 + 2 * 32);
    for bad in [
        &bytes[..71],
        &bytes[..40],
        &bytes[..7],
        &[],
        &[0xff; 8 + 64 * 32],
        &[bytes.clone(), vec![0; 32]].concat(),
    ] {
        assert_eq!(Frontier::from_bytes(bad), Err(FrontierError));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    /// The edge that grows has the root of the definition, also after being stored half-way.
    #[test]
    fn a_growing_edge_has_the_defined_root(count in 1..300usize, stored in 0..300usize) {
        let all = leaves(count);
        let mut frontier = Frontier::new();
        for (at, leaf) in all.iter().enumerate() {
            if at == stored {
                frontier = Frontier::from_bytes(&frontier.to_bytes()).unwrap();
            }
            frontier.push(*leaf);
        }
        prop_assert_eq!(frontier.root(), by_definition(&all));
        prop_assert_eq!(frontier.size(), count as u64);
    }
}
