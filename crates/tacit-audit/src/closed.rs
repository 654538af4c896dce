//! Closed lists: each member has a number for the bytes and a word for people.

/// Makes an enum whose members carry a stable number and a stable word.
///
/// The number is what is hashed, so it is written beside the member and never reused: reordering the list, or taking
/// something out of the middle, cannot change what old bytes mean.
macro_rules! closed {
    (
        $(#[$doc:meta])* $name:ident, $error:ident, $noun:literal;
        $($(#[$member_doc:meta])* $member:ident = $number:literal, $text:literal;)+
    ) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum $name { $($(#[$member_doc])* $member,)+ }

        impl $name {
            /// Every member, in the order in which they are documented.
            pub const ALL: &[$name] = &[$($name::$member,)+];

            /// The word, as the API, the command line and a reader of the record see it.
            pub const fn as_str(self) -> &'static str {
                match self { $($name::$member => $text,)+ }
            }

            /// The number in the canonical bytes. It never changes and is never given to another member.
            pub const fn number(self) -> u64 {
                match self { $($name::$member => $number,)+ }
            }

            /// The inverse of [`Self::number`].
            pub const fn from_number(number: u64) -> Option<Self> {
                match number { $($number => Some($name::$member),)+ _ => None }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }

        /// The word is none of the list's.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
        #[error("is not {}", $noun)]
        pub struct $error;

        impl std::str::FromStr for $name {
            type Err = $error;

            fn from_str(text: &str) -> Result<Self, $error> {
                match text { $($text => Ok($name::$member),)+ _ => Err($error) }
            }
        }
    };
}

pub(crate) use closed;
