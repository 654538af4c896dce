#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod condition;
mod error;
mod filter;
mod json;
mod path;
mod reference;
mod rename;
mod render;
mod scan;
mod suggest;
mod template;

pub use condition::{CONDITION_BYTES_MAX, CONDITION_DEPTH_MAX, Condition};
pub use error::{ParseError, RenderError};
pub use json::{JsonTemplate, RenderedJson};
pub use path::{Path, Segment};
pub use reference::{Reference, SecretRef};
pub use render::{Piece, Rendered, Scope, Taint};
pub use template::{Part, Template, escape};

/// The longest source of one template, in bytes.
pub const SOURCE_BYTES_MAX: usize = 64 * 1024;

/// The most references in one template.
pub const REFERENCES_MAX: usize = 64;

/// The most keys and indexes in one path.
pub const PATH_DEPTH_MAX: usize = 32;

/// The deepest nesting of arrays and objects in a [`JsonTemplate`].
pub const JSON_DEPTH_MAX: usize = 64;

/// The longest name of a secret, a variable or a step, in bytes.
pub const NAME_BYTES_MAX: usize = 128;

/// The most filters on one reference. `hex` doubles its text, so a long chain would be a bomb.
pub const FILTERS_MAX: usize = 8;

/// The most that one template, or one JSON body as a whole, renders to, in bytes. Sixty-four references to
/// one large step result are otherwise sixty-four copies of it.
pub const RENDERED_BYTES_MAX: usize = 16 * 1024 * 1024;
