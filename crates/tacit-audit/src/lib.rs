//! The record: events, their canonical bytes, the Merkle tree. Pure.
