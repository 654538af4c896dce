//! Routes, middleware, metrics; puts everything together.
