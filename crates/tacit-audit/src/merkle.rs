//! The tree over the record (RFC 6962 §2.1, RFC 9162 §2.1). To be filled in below.

use aws_lc_rs::digest;

/// A SHA-256 hash: of a leaf, a node or a whole tree.
pub type Hash = [u8; 32];

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

fn to_hash(digest: &digest::Digest) -> Hash {
    let mut hash = [0; 32];
    hash.copy_from_slice(digest.as_ref());
    hash
}
