//! The use cases and the authorization; the only crate that opens envelopes.
