//! What a lease may say about itself: where its requests go that carry no secret, and under which names a program finds
//! its placeholders.

use std::str::FromStr;

use crate::name::SecretName;

/// What becomes of a lease's requests to hosts that no destination of its secrets names.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum OtherHosts {
    /// They pass, unread: a tunnel to a vetted address.
    #[default]
    Tunnel,
    /// They are refused.
    Block,
}

impl OtherHosts {
    /// The word on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Tunnel => "tunnel",
            Self::Block => "block",
        }
    }
}

impl FromStr for OtherHosts {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        [Self::Tunnel, Self::Block].into_iter().find(|known| known.as_str() == text).ok_or(())
    }
}

/// The name of an environment variable that a secret has when nobody chose one: upper case, and `_` for every other
/// character.
pub fn default_alias(name: &SecretName) -> String {
    let character = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' };
    let alias: String = name.as_str().chars().map(character).collect();
    // A variable's name does not begin with a digit.
    if alias.starts_with(|c: char| c.is_ascii_digit()) { format!("_{alias}") } else { alias }
}

/// Whether a text can be the name of an environment variable.
pub fn is_alias(text: &str) -> bool {
    let mut bytes = text.bytes();
    text.len() <= crate::limits::NAME_BYTES_MAX
        && bytes.next().is_some_and(|first| first.is_ascii_alphabetic() || first == b'_')
        && bytes.all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The contract's rule, on its own examples.
    #[test]
    fn default_aliases_are_variable_names() {
        for (name, alias) in [
            ("STRIPE_KEY", "STRIPE_KEY"),
            ("stripe-api-key", "STRIPE_API_KEY"),
            ("HubSpot API key – production", "HUBSPOT_API_KEY___PRODUCTION"),
            ("2fa", "_2FA"),
        ] {
            assert_eq!(default_alias(&name.parse().unwrap()), alias);
            assert!(is_alias(alias), "{alias}");
        }
    }

    #[test]
    fn aliases() {
        for bad in ["", "1A", "A-B", "A B", "É", "A="] {
            assert!(!is_alias(bad), "{bad}");
        }
        assert!(is_alias("_") && is_alias("a1_B"));
    }
}
