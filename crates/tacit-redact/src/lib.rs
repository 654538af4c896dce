//! Scrubs known values, in all their forms, from a stream of bytes. Pure.
