//! What can be told of a file's values before the first of them is written. The server says the last word on each; but a file
//! that it refuses half-way is written half.

use serde_json::{Map, Value};
use tacit_api::Kind;

use crate::error::{Failure, Outcome};

/// Bytes of a name, as the server has it.
const NAME_BYTES_MAX: usize = 128;
/// Bytes of a value, as the server has it.
const VALUE_BYTES_MAX: usize = 64 * 1024;

/// Checks one secret's name and fields.
pub(super) fn check(name: &str, kind: &Kind, fields: &Map<String, Value>) -> Outcome {
    let wrong = |what: String, hint: &str| Err(Failure::usage(what, format!("{hint}; nothing was written")));
    let is_odd = |c: char| c.is_control() || "\"'`\\/{}".contains(c);
    if name.is_empty() || name.len() > NAME_BYTES_MAX || name.trim() != name || name.chars().any(is_odd) {
        let shown: String = name.chars().filter(|c| !c.is_control()).take(40).collect();
        return wrong(
            format!("`{shown}` cannot be the name of a secret"),
            "a name has 1 to 128 bytes, no quotes, slashes or braces, and no blank at an end",
        );
    }
    let missing = kind.fields.iter().find(|field| !field.optional && !fields.contains_key(field.name));
    if let Some(field) = missing {
        return wrong(
            format!("{name} is of type {} and has no {}", kind.name, field.name),
            "say it in the file, as an object with the type's fields",
        );
    }
    if let Some(unknown) = fields.keys().find(|field| kind.field(field).is_none()) {
        let known: Vec<&str> = kind.fields.iter().map(|field| field.name).collect();
        let unknown: String = unknown.chars().filter(|c| !c.is_control()).take(40).collect();
        return wrong(
            format!("{name} is of type {}, which has no field `{unknown}`", kind.name),
            &format!("it has {}", known.join(", ")),
        );
    }
    for (field, value) in fields {
        let bytes = match value {
            Value::String(text) => text.len(),
            other => other.to_string().len(),
        };
        let what = if *field == kind.main_field { name.to_owned() } else { format!("{field} of {name}") };
        if bytes == 0 {
            return wrong(format!("{what} is empty"), "give it a value, or take it out of the file");
        }
        if bytes > VALUE_BYTES_MAX {
            return wrong(
                format!("{what} has more than {VALUE_BYTES_MAX} bytes"),
                "a value is no place for a file",
            );
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// Each mistake is found before anything is written, and named without its value.
    #[test]
    fn mistakes() {
        let (text, basic) = (Kind::named("text").unwrap(), Kind::named("basic_auth").unwrap());
        let check = |name: &str, kind: &Kind, fields: Value| check(name, kind, fields.as_object().unwrap());
        assert!(check("A", text, json!({"value": "x"})).is_ok());
        assert!(check("A", basic, json!({"username": "u", "password": "p"})).is_ok());
        for (name, kind, fields, what) in [
            ("A", text, json!({"value": ""}), "A is empty"),
            ("A", text, json!({"value": "hunter2".repeat(10_000)}), "more than 65536 bytes"),
            ("", text, json!({"value": "x"}), "cannot be the name"),
            ("a/b", text, json!({"value": "x"}), "cannot be the name"),
            (&"n".repeat(129), text, json!({"value": "x"}), "cannot be the name"),
            ("A", basic, json!({"password": "hunter2"}), "has no username"),
            ("A", basic, json!({"username": "", "password": "hunter2"}), "username of A is empty"),
            ("A", basic, json!({"username": "u", "password": "hunter2", "pin": "1"}), "no field `pin`"),
        ] {
            let failure = check(name, kind, fields).unwrap_err();
            assert!(failure.what.contains(what) && !failure.what.contains("hunter2"), "{failure}");
        }
    }
}
