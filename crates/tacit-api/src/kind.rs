//! The types of secrets, for whoever builds a form or a prompt. The server's own list decides.

/// One type of secret.
#[derive(Debug)]
pub struct Kind {
    /// Its name on the wire.
    pub name: &'static str,
    /// The field that `{{secrets.NAME}}` stands for.
    pub main_field: &'static str,
    /// Its fields.
    pub fields: &'static [Field],
}

/// One field of a type.
#[derive(Debug)]
pub struct Field {
    /// Its name on the wire.
    pub name: &'static str,
    /// Whether it is hidden; the others show in metadata.
    pub hidden: bool,
    /// Whether a value may be without it.
    pub optional: bool,
}

/// Every type.
pub const KINDS: &[Kind] = &[
    Kind { name: "text", main_field: "value", fields: &[hidden("value")] },
    Kind { name: "basic_auth", main_field: "password", fields: &[shown("username"), hidden("password")] },
    Kind { name: "bearer_token", main_field: "token", fields: &[hidden("token")] },
    Kind { name: "api_key", main_field: "key", fields: &[shown("header"), hidden("key")] },
    Kind { name: "sftp_password", main_field: "password", fields: &[shown("username"), hidden("password")] },
    Kind {
        name: "sftp_private_key",
        main_field: "private_key",
        fields: &[shown("username"), hidden("private_key"), optional(hidden("passphrase"))],
    },
    Kind {
        name: "oauth2_client_credentials",
        main_field: "client_secret",
        fields: &[shown("client_id"), hidden("client_secret"), shown("token_url"), optional(shown("scopes"))],
    },
    Kind { name: "json", main_field: "content", fields: &[hidden("content")] },
    Kind {
        name: "access_key",
        main_field: "secret_access_key",
        fields: &[shown("access_key_id"), hidden("secret_access_key"), optional(shown("region"))],
    },
];

impl Kind {
    /// The type of this name.
    pub fn named(name: &str) -> Option<&'static Self> {
        KINDS.iter().find(|kind| kind.name == name)
    }

    /// The field of this name.
    pub fn field(&self, name: &str) -> Option<&'static Field> {
        self.fields.iter().find(|field| field.name == name)
    }
}

const fn hidden(name: &'static str) -> Field {
    Field { name, hidden: true, optional: false }
}

const fn shown(name: &'static str) -> Field {
    Field { name, hidden: false, optional: false }
}

const fn optional(field: Field) -> Field {
    Field { optional: true, ..field }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every main field is a field, and hidden.
    #[test]
    fn main_fields_are_hidden() {
        for kind in KINDS {
            assert!(kind.field(kind.main_field).is_some_and(|field| field.hidden), "{kind:?}");
            assert_eq!(Kind::named(kind.name).map(|found| found.name), Some(kind.name));
        }
    }
}
