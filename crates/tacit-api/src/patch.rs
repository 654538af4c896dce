//! Telling `null` from absent in a PATCH.

use serde::{Deserialize, Deserializer};

/// Whatever stands there, `null` included, becomes `Some`; with `#[serde(default)]`, absent is `None`.
pub(crate) fn present<'de, T, D>(deserializer: D) -> Result<Option<T>, D::Error>
where
    T: Deserialize<'de>,
    D: Deserializer<'de>,
{
    T::deserialize(deserializer).map(Some)
}
