//! The one type that holds a value in clear.

use zeroize::Zeroizing;

/// A secret value in clear, wiped when dropped.
///
/// It can be moved and it can be looked at through
/// [`dangerous_expose`](Self::dangerous_expose), a name to search for in
/// review. It can do nothing else, because every convenience is a way to leak:
/// `Debug` and `Display` end in logs, `Serialize` in answers, `Clone` in copies
/// that outlive the use, `AsRef` and `Deref` in functions that take any bytes,
/// `PartialEq` in comparisons that take a measurable time.
///
/// ```
/// let value = tacit_crypto::SecretValue::from(b"hunter2".to_vec());
/// assert_eq!(value.dangerous_expose(), b"hunter2");
/// ```
///
/// The shape of the proofs below compiles for a type that has the trait:
///
/// ```
/// fn needs<T: std::fmt::Debug + Clone + AsRef<[u8]> + std::ops::Deref + PartialEq + serde::Serialize>() {}
/// needs::<Box<[u8]>>();
/// fn needs_display<T: std::fmt::Display>() {}
/// needs_display::<String>();
/// ```
///
/// No `Debug`:
/// ```compile_fail
/// fn needs<T: std::fmt::Debug>() {}
/// needs::<tacit_crypto::SecretValue>();
/// ```
/// No `Display`:
/// ```compile_fail
/// fn needs<T: std::fmt::Display>() {}
/// needs::<tacit_crypto::SecretValue>();
/// ```
/// No `Serialize`:
/// ```compile_fail
/// fn needs<T: serde::Serialize>() {}
/// needs::<tacit_crypto::SecretValue>();
/// ```
/// No `Clone`:
/// ```compile_fail
/// fn needs<T: Clone>() {}
/// needs::<tacit_crypto::SecretValue>();
/// ```
/// No `AsRef`:
/// ```compile_fail
/// fn needs<T: AsRef<[u8]>>() {}
/// needs::<tacit_crypto::SecretValue>();
/// ```
/// No `Deref`:
/// ```compile_fail
/// fn needs<T: std::ops::Deref>() {}
/// needs::<tacit_crypto::SecretValue>();
/// ```
/// No `PartialEq`:
/// ```compile_fail
/// fn needs<T: PartialEq>() {}
/// needs::<tacit_crypto::SecretValue>();
/// ```
pub struct SecretValue(Zeroizing<Vec<u8>>);

impl SecretValue {
    /// The bytes. Whoever calls this answers for where they go.
    #[must_use]
    pub fn dangerous_expose(&self) -> &[u8] {
        &self.0
    }

    /// Takes over a buffer that is wiped already when it is dropped.
    pub(crate) fn from_wiped(bytes: Zeroizing<Vec<u8>>) -> Self {
        Self(bytes)
    }
}

impl From<Vec<u8>> for SecretValue {
    /// Takes the vector over without copying, so that nothing is left behind.
    /// Copies made before, by whoever filled the vector, are beyond reach.
    fn from(bytes: Vec<u8>) -> Self {
        Self(Zeroizing::new(bytes))
    }
}
