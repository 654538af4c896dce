//! Keys sealed under their parents.

use crate::envelope::{self, Frame, OVERHEAD_BYTES};
use crate::error::{CryptoError, OpenError};
use crate::key::KeyHandle;
use zeroize::Zeroizing;

const SUITE: u8 = 0x11;
const LABEL: &str = "tacit/1/wrapped-key";

/// A wrapped key has this length, always.
pub const WRAPPED_KEY_BYTES: usize = 1 + OVERHEAD_BYTES + 32;

/// Which key is wrapped: its kind, its place and its own generation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WrapContext {
    /// A workspace's key; its parent is the root key.
    WorkspaceKey {
        /// The installation.
        instance: [u8; 16],
        /// The workspace.
        workspace: [u8; 16],
        /// The generation of this workspace key.
        generation: u32,
    },
    /// An environment's key; its parent is the workspace key.
    DataKey {
        /// The installation.
        instance: [u8; 16],
        /// The workspace.
        workspace: [u8; 16],
        /// The environment.
        environment: [u8; 16],
        /// The generation of this data key.
        generation: u32,
    },
    /// The key for what belongs to no workspace; its parent is the root key.
    InstanceKey {
        /// The installation.
        instance: [u8; 16],
        /// The generation of this instance key.
        generation: u32,
    },
    /// The key of a workspace's [`fingerprint`](crate::fingerprint)s; its parent
    /// is the workspace key.
    FingerprintKey {
        /// The installation.
        instance: [u8; 16],
        /// The workspace.
        workspace: [u8; 16],
        /// The generation of this fingerprint key.
        generation: u32,
    },
    /// The key of a person's [one-time codes](crate::totp); its parent is the
    /// root key.
    SecondFactorKey {
        /// The installation.
        instance: [u8; 16],
        /// The person.
        user: [u8; 16],
        /// The generation of this key.
        generation: u32,
    },
}

impl WrapContext {
    /// The kind, then fixed widths that follow from it: no two contexts share
    /// an encoding.
    fn encode(&self) -> Vec<u8> {
        let (kind, ids, generation): (u8, &[&[u8; 16]], u32) = match self {
            Self::WorkspaceKey { instance, workspace, generation } => {
                (1, &[instance, workspace], *generation)
            }
            Self::DataKey { instance, workspace, environment, generation } => {
                (2, &[instance, workspace, environment], *generation)
            }
            Self::InstanceKey { instance, generation } => (3, &[instance], *generation),
            Self::FingerprintKey { instance, workspace, generation } => {
                (4, &[instance, workspace], *generation)
            }
            Self::SecondFactorKey { instance, user, generation } => (5, &[instance, user], *generation),
        };
        let mut bytes = vec![kind];
        for id in ids {
            bytes.extend_from_slice(*id);
        }
        bytes.extend_from_slice(&generation.to_be_bytes());
        bytes
    }
}

/// Seals `child` under `parent`.
///
/// # Errors
///
/// [`CryptoError::Library`], which is not known to happen.
pub fn wrap_key(
    parent: &KeyHandle,
    context: &WrapContext,
    child: &KeyHandle,
) -> Result<Vec<u8>, CryptoError> {
    framed(context, |frame| envelope::seal(parent, frame, &*child.load()))
}

/// Opens a wrapped key.
///
/// # Errors
///
/// [`OpenError::Commitment`] for another parent or another place; the others as
/// for records, save that there is no generation in the header.
pub fn unwrap_key(parent: &KeyHandle, context: &WrapContext, wrapped: &[u8]) -> Result<KeyHandle, OpenError> {
    if wrapped.len() < WRAPPED_KEY_BYTES {
        return Err(OpenError::Truncated);
    }
    if wrapped[0] != SUITE {
        return Err(OpenError::UnknownSuite);
    }
    if wrapped.len() > WRAPPED_KEY_BYTES {
        return Err(OpenError::Corrupt);
    }
    let body = framed(context, |frame| envelope::open(parent, frame, wrapped))?;
    let mut bytes = Zeroizing::new([0; 32]);
    // The length was checked above: 105 bytes in all are 32 of key.
    bytes.copy_from_slice(&body);
    Ok(KeyHandle::from_bytes(&bytes))
}

fn framed<T>(context: &WrapContext, act: impl FnOnce(&Frame<'_>) -> T) -> T {
    act(&Frame { label: LABEL, prefix: &[SUITE], context: &context.encode() })
}

/// For the vectors: a chosen salt.
#[cfg(test)]
pub(crate) fn wrap_for_vectors(
    parent: &KeyHandle,
    context: &WrapContext,
    salt: &envelope::Salt,
    child: &KeyHandle,
) -> Vec<u8> {
    framed(context, |frame| envelope::seal_with_salt(parent, frame, salt, &*child.load()).unwrap())
}

#[cfg(test)]
mod tests {
    use super::*;

    const I: [u8; 16] = [1; 16];
    const W: [u8; 16] = [2; 16];

    #[test]
    fn a_wrapped_key_comes_back_as_itself() {
        let (parent, child) = (KeyHandle::generate(), KeyHandle::generate());
        let context = WrapContext::DataKey { instance: I, workspace: W, environment: [3; 16], generation: 1 };
        let wrapped = wrap_key(&parent, &context, &child).unwrap();
        assert_eq!(wrapped.len(), WRAPPED_KEY_BYTES);
        assert_eq!(WRAPPED_KEY_BYTES, 105);
        assert_eq!(*unwrap_key(&parent, &context, &wrapped).unwrap().load(), *child.load());
    }

    /// Kinds with equal fields, other ids, other generations: none opens another's.
    #[test]
    fn a_wrapped_key_opens_in_no_other_place() {
        let (parent, child) = (KeyHandle::generate(), KeyHandle::generate());
        let contexts = [
            WrapContext::WorkspaceKey { instance: I, workspace: W, generation: 1 },
            WrapContext::WorkspaceKey { instance: I, workspace: W, generation: 2 },
            WrapContext::WorkspaceKey { instance: W, workspace: I, generation: 1 },
            WrapContext::FingerprintKey { instance: I, workspace: W, generation: 1 },
            WrapContext::DataKey { instance: I, workspace: W, environment: [3; 16], generation: 1 },
            WrapContext::DataKey { instance: I, workspace: W, environment: [4; 16], generation: 1 },
            WrapContext::InstanceKey { instance: I, generation: 1 },
        ];
        for (n, sealed_for) in contexts.iter().enumerate() {
            let wrapped = wrap_key(&parent, sealed_for, &child).unwrap();
            for (m, context) in contexts.iter().enumerate() {
                let error = unwrap_key(&parent, context, &wrapped).err();
                assert_eq!(error, (n != m).then_some(OpenError::Commitment));
            }
            assert_eq!(unwrap_key(&child, sealed_for, &wrapped).err(), Some(OpenError::Commitment));
        }
    }

    #[test]
    fn every_single_bit_and_every_length_counts() {
        let (parent, child) = (KeyHandle::generate(), KeyHandle::generate());
        let context = WrapContext::InstanceKey { instance: I, generation: 1 };
        let wrapped = wrap_key(&parent, &context, &child).unwrap();
        for bit in 0..wrapped.len() * 8 {
            let mut flipped = wrapped.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(unwrap_key(&parent, &context, &flipped).is_err(), "bit {bit}");
        }
        for bytes in 0..wrapped.len() {
            assert_eq!(unwrap_key(&parent, &context, &wrapped[..bytes]).err(), Some(OpenError::Truncated));
        }
        let grown = [&wrapped[..], &[0]].concat();
        assert_eq!(unwrap_key(&parent, &context, &grown).err(), Some(OpenError::Corrupt));
    }
}
