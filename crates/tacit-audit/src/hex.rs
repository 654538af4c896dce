//! Lower-case hex, for hashes and ids that have no printed form of their own.

use std::fmt::{self, Display};

/// Prints as lower-case hex.
pub(crate) struct Hex<'a>(pub(crate) &'a [u8]);

impl Display for Hex<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

#[cfg(test)]
pub(crate) fn of(bytes: &[u8]) -> String {
    Hex(bytes).to_string()
}
