//! The one source of randomness: the library's generator, seeded by the
//! operating system.

use aws_lc_rs::rand;
use zeroize::Zeroizing;

/// `N` random bytes, fit for identifiers and challenges. Keys are made by
/// [`KeyHandle::generate`](crate::KeyHandle::generate), which never shows them.
///
/// # Panics
///
/// When the system has no randomness. Going on without would be worse.
#[must_use]
pub fn random_bytes<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    fill(&mut bytes);
    bytes
}

/// Random bytes that are wiped after use.
pub(crate) fn random_secret<const N: usize>() -> Zeroizing<[u8; N]> {
    let mut bytes = Zeroizing::new([0; N]);
    fill(&mut *bytes);
    bytes
}

fn fill(bytes: &mut [u8]) {
    rand::fill(bytes).expect("AWS-LC seeds itself at start or ends the process; after that it cannot fail");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_draws_differ() {
        assert_ne!(random_bytes::<32>(), random_bytes::<32>());
        assert_ne!(*random_secret::<32>(), *random_secret::<32>());
    }
}
