//! The tree over the record: RFC 6962 §2.1, in the words of RFC 9162 §2.1.
//!
//! The leaves are the record's events in order. A tree of `n` leaves splits at the largest power of two below `n`, so
//! that a growing tree changes only along its right edge and every older tree is a part of every newer one.

use aws_lc_rs::digest;

/// A SHA-256 hash: of a leaf, a node or a whole tree.
pub type Hash = [u8; 32];

/// The largest size a tree may have, far from where arithmetic on sizes could overflow.
const SIZE_MAX: u64 = 1 << 62;

/// `SHA-256(0x00 ‖ bytes)`: the hash of an event's canonical bytes as a leaf.
pub fn leaf_hash(bytes: &[u8]) -> Hash {
    let mut context = digest::Context::new(&digest::SHA256);
    context.update(&[0]);
    context.update(bytes);
    to_hash(&context.finish())
}

/// `SHA-256(0x01 ‖ left ‖ right)`. The first byte differs from a leaf's, so that no node can pass for an event.
pub fn node_hash(left: &Hash, right: &Hash) -> Hash {
    let mut input = [0; 65];
    input[0] = 1;
    input[1..33].copy_from_slice(left);
    input[33..].copy_from_slice(right);
    to_hash(&digest::digest(&digest::SHA256, &input))
}

/// The root of the tree over these leaves; `SHA-256("")` for none.
pub fn tree_root(leaves: &[Hash]) -> Hash {
    let mut frontier = Frontier::new();
    leaves.iter().for_each(|leaf| frontier.push(*leaf));
    frontier.root()
}

pub(crate) fn sha256(bytes: &[u8]) -> Hash {
    to_hash(&digest::digest(&digest::SHA256, bytes))
}

fn to_hash(digest: &digest::Digest) -> Hash {
    let mut hash = [0; 32];
    hash.copy_from_slice(digest.as_ref());
    hash
}

/// The right edge of a growing tree: all that is needed to append and to know the root.
///
/// It holds the root of one full subtree per bit that is set in the size, the largest first: at most 62 hashes for
/// any record, about 20 for a million events.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Frontier {
    size: u64,
    peaks: Vec<Hash>,
}

/// The bytes are no frontier.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the bytes are not the right edge of a tree")]
pub struct FrontierError;

impl Frontier {
    /// The edge of the empty tree.
    pub fn new() -> Self {
        Self::default()
    }

    /// Appends a leaf. On average one hash, at worst one per level.
    pub fn push(&mut self, leaf: Hash) {
        let mut node = leaf;
        // As in adding one to a binary number: each trailing one carries, and two equal subtrees become one.
        for _ in 0..self.size.trailing_ones() {
            let Some(left) = self.peaks.pop() else { break };
            node = node_hash(&left, &node);
        }
        self.peaks.push(node);
        self.size += 1;
    }

    /// How many leaves the tree has.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The tree's root; `SHA-256("")` for an empty tree.
    pub fn root(&self) -> Hash {
        let mut peaks = self.peaks.iter().rev();
        let Some(smallest) = peaks.next() else { return sha256(&[]) };
        peaks.fold(*smallest, |right, left| node_hash(left, &right))
    }

    /// `size` as 8 bytes, big-endian, followed by the subtrees' roots, the largest first.
    ///
    /// A cache and no evidence: whoever can change it can claim any history. What it claims is checked against a
    /// signed checkpoint.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(8 + 32 * self.peaks.len());
        bytes.extend_from_slice(&self.size.to_be_bytes());
        self.peaks.iter().for_each(|peak| bytes.extend_from_slice(peak));
        bytes
    }

    /// The inverse of [`Self::to_bytes`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, FrontierError> {
        let (size, rest) = bytes.split_first_chunk::<8>().ok_or(FrontierError)?;
        let size = u64::from_be_bytes(*size);
        let (peaks, odd) = rest.as_chunks::<32>();
        if size > SIZE_MAX || !odd.is_empty() || peaks.len() != size.count_ones() as usize {
            return Err(FrontierError);
        }
        Ok(Self { size, peaks: peaks.to_vec() })
    }
}

/// The proof that leaf `index` is in the tree over `leaves` (RFC 9162 §2.1.3.1), from the leaf up to the root.
///
/// `None` if there is no such leaf.
pub fn inclusion_proof(leaves: &[Hash], index: usize) -> Option<Vec<Hash>> {
    if index >= leaves.len() {
        return None;
    }
    let mut proof = Vec::new();
    let (mut leaves, mut index) = (leaves, index);
    while leaves.len() > 1 {
        let (left, right) = leaves.split_at(split(leaves.len()));
        if index < left.len() {
            proof.push(tree_root(right));
            leaves = left;
        } else {
            proof.push(tree_root(left));
            index -= left.len();
            leaves = right;
        }
    }
    // Found from the root down, used from the leaf up.
    proof.reverse();
    Some(proof)
}

/// Whether `proof` shows that `leaf` is number `index` in the tree of this size and root (RFC 9162 §2.1.3.2).
pub fn verify_inclusion(leaf: &Hash, index: u64, size: u64, proof: &[Hash], root: &Hash) -> bool {
    if index >= size {
        return false;
    }
    let (mut at, mut last) = (index, size - 1);
    let mut hash = *leaf;
    for sibling in proof {
        if last == 0 {
            return false;
        }
        if at & 1 == 1 || at == last {
            hash = node_hash(sibling, &hash);
            // The right edge of an uneven tree skips the levels on which it has no sibling.
            while at & 1 == 0 && at != 0 {
                at >>= 1;
                last >>= 1;
            }
        } else {
            hash = node_hash(&hash, sibling);
        }
        at >>= 1;
        last >>= 1;
    }
    last == 0 && hash == *root
}

/// The proof that the tree over the first `old_size` leaves is a part of the tree over all (RFC 9162 §2.1.4.1).
///
/// Empty for an old tree that is empty or is the whole one. `None` if `old_size` is more than there are.
pub fn consistency_proof(leaves: &[Hash], old_size: usize) -> Option<Vec<Hash>> {
    if old_size > leaves.len() {
        return None;
    }
    let mut proof = Vec::new();
    if old_size == 0 || old_size == leaves.len() {
        return Some(proof);
    }
    let (mut leaves, mut old, mut old_is_whole) = (leaves, old_size, true);
    while old < leaves.len() {
        let (left, right) = leaves.split_at(split(leaves.len()));
        if old <= left.len() {
            proof.push(tree_root(right));
            leaves = left;
        } else {
            proof.push(tree_root(left));
            old -= left.len();
            leaves = right;
            old_is_whole = false;
        }
    }
    // The verifier knows the old root, so it is sent only where the old tree is more than this one subtree.
    if !old_is_whole {
        proof.push(tree_root(leaves));
    }
    proof.reverse();
    Some(proof)
}

/// Whether `proof` shows that the tree with `old_root` was only appended to (RFC 9162 §2.1.4.2).
///
/// The RFC leaves the empty tree out; here it is a part of every tree, if its root is the empty tree's.
pub fn verify_consistency(
    old_size: u64,
    old_root: &Hash,
    new_size: u64,
    new_root: &Hash,
    proof: &[Hash],
) -> bool {
    if old_size > new_size {
        return false;
    }
    if old_size == new_size {
        return proof.is_empty() && old_root == new_root;
    }
    if old_size == 0 {
        return proof.is_empty() && *old_root == sha256(&[]);
    }
    let (mut at, mut last) = (old_size - 1, new_size - 1);
    while at & 1 == 1 {
        at >>= 1;
        last >>= 1;
    }
    let (start, rest) = if old_size.is_power_of_two() {
        (old_root, proof)
    } else {
        let Some((first, rest)) = proof.split_first() else { return false };
        (first, rest)
    };
    let (mut old, mut new) = (*start, *start);
    for hash in rest {
        if last == 0 {
            return false;
        }
        if at & 1 == 1 || at == last {
            old = node_hash(hash, &old);
            new = node_hash(hash, &new);
            while at & 1 == 0 && at != 0 {
                at >>= 1;
                last >>= 1;
            }
        } else {
            new = node_hash(&new, hash);
        }
        at >>= 1;
        last >>= 1;
    }
    last == 0 && old == *old_root && new == *new_root
}

/// The largest power of two below `count`, which is at least 2.
fn split(count: usize) -> usize {
    1 << (count - 1).ilog2()
}
