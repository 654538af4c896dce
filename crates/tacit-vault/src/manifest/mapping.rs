//! A manifest with other names in it: what is called `A` there is called `B` here.
//!
//! Names are replaced where they are references in what was parsed, so text that only looks like one stays text.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use tacit_model::{Automation, Problem, SecretName};
use tacit_template::{Condition, Reference, Template};

use super::Manifest;

/// New names by the keys of the old ones.
pub(super) struct Names<'a>(BTreeMap<String, &'a SecretName>);

impl<'a> Names<'a> {
    /// Names of secrets and variables, which share theirs.
    ///
    /// # Errors
    /// `validation_failed` for a name that the manifest does not have, or has two new names for.
    pub(super) fn new(pairs: &'a [(SecretName, SecretName)], manifest: &Manifest) -> Result<Self, Problem> {
        if pairs.is_empty() {
            return Ok(Self(BTreeMap::new()));
        }
        let (mut names, known) = (BTreeMap::new(), known(manifest));
        for (from, to) in pairs {
            let key = from.key();
            if known.as_ref().is_some_and(|known| !known.contains(&key)) {
                return Err(Problem::invalid(
                    format!("map.{from}"),
                    "is a name that nothing in the document has",
                ));
            }
            if names.insert(key, to).is_some() {
                return Err(Problem::invalid(format!("map.{from}"), "has two new names"));
            }
        }
        Ok(Self(names))
    }

    fn of(&self, name: &str) -> Option<&'a SecretName> {
        let key = name.parse::<SecretName>().map_or_else(|_| name.to_owned(), |name| name.key());
        self.0.get(&key).copied()
    }

    /// Gives everything in the manifest its new name.
    pub(super) fn apply(&self, manifest: &mut Manifest) -> Result<(), Problem> {
        if self.0.is_empty() {
            return Ok(());
        }
        for wanted in &mut manifest.secrets {
            if let Some(name) = self.of(wanted.secret.name.as_str()) {
                wanted.secret.name = name.clone();
            }
        }
        for wanted in &mut manifest.variables {
            if let Some(name) = self.of(wanted.name.as_str()) {
                wanted.name = name.clone();
            }
        }
        for automation in &mut manifest.automations {
            *automation = self.definition(automation)?;
        }
        Ok(())
    }

    /// A definition with the new names.
    fn definition(&self, definition: &Automation) -> Result<Automation, Problem> {
        let mut value = serde_json::to_value(definition).map_err(Problem::internal)?;
        for step in value.get_mut("steps").and_then(Value::as_array_mut).into_iter().flatten() {
            let Some(step) = step.as_object_mut() else { continue };
            for (key, part) in step {
                match key.as_str() {
                    "id" | "on_error" => {}
                    "when" => self.condition(part),
                    _ => self.action(part),
                }
            }
        }
        // The definition was valid in its shape, and only texts changed.
        serde_json::from_value(value).map_err(Problem::internal)
    }

    /// What a step does: `auth` names a secret literally, all other texts are templates.
    fn action(&self, action: &mut Value) {
        let Some(fields) = action.as_object_mut() else { return };
        for (key, field) in fields {
            match key.as_str() {
                "auth" => {
                    if let Some(Value::String(name)) = field.get_mut("secret")
                        && let Some(new) = self.of(name)
                    {
                        *name = new.to_string();
                    }
                }
                _ => self.texts(field),
            }
        }
    }

    fn texts(&self, value: &mut Value) {
        match value {
            Value::String(text) => {
                // What does not parse is refused when it is published, as it was written.
                if let Ok(template) = Template::parse(text) {
                    *text = template.renamed(|reference| self.name_of(reference));
                }
            }
            Value::Array(items) => items.iter_mut().for_each(|item| self.texts(item)),
            Value::Object(fields) => fields.values_mut().for_each(|field| self.texts(field)),
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }

    fn condition(&self, when: &mut Value) {
        if let Value::String(text) = when
            && let Ok(condition) = Condition::parse(text)
        {
            *text = condition.renamed(|reference| self.name_of(reference));
        }
    }

    fn name_of(&self, reference: &Reference) -> Option<String> {
        let name = match reference {
            Reference::Secret(secret) => &secret.name,
            Reference::Var(name) => name,
            _ => return None,
        };
        self.of(name).map(ToString::to_string)
    }
}

/// The keys of everything that a manifest names. Nobody knows of a definition that does not compile; it is refused when it is
/// published, for what is wrong with it.
fn known(manifest: &Manifest) -> Option<BTreeSet<String>> {
    let secrets = manifest.secrets.iter().map(|wanted| wanted.secret.name.key());
    let mut known: BTreeSet<String> =
        secrets.chain(manifest.variables.iter().map(|wanted| wanted.name.key())).collect();
    for automation in &manifest.automations {
        let (secrets, variables) = crate::automations::references(automation).ok()?;
        let names = secrets.iter().chain(&variables);
        known.extend(names.filter_map(|name| Some(name.parse::<SecretName>().ok()?.key())));
    }
    Some(known)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn name(text: &str) -> SecretName {
        text.parse().unwrap()
    }

    /// Every place of a definition where a name may stand, and none besides.
    #[test]
    fn names_change_everywhere() {
        let definition = |secret: &str, secret_reference: &str, variable: &str| -> Automation {
            serde_json::from_value(json!({
                "name": "A", "description": "{{secrets.A}} of A",
                "steps": [{"id": "A", "when": format!("vars.{variable} != \"vars.V\""), "http": {
                    "method": "POST", "url": format!("https://{{{{vars.{variable}}}}}/A"), "auth": {"secret": secret},
                    "headers": {"A": format!("Bearer {secret_reference}")},
                    "query": {"A": "A", "b": format!("{{{{vars.{variable} | trim}}}}")},
                    "body": {"json": {"A": [{"deep": secret_reference}], "b": "{{\"{{secrets.A}}\"}}"}},
                    "fields": ["/A"]
                }}, {"id": "B", "sftp": {
                    "host": "files.bank.example", "auth": {"secret": secret},
                    "put": {"path": "/in/A", "content": format!("A {{{{vars.{variable}}}}}")}
                }}]
            }))
            .unwrap()
        };
        let manifest =
            || Manifest { automations: vec![definition("a", "{{ secrets.A }}", "V")], ..Manifest::default() };
        crate::automations::references(&manifest().automations[0]).unwrap();
        let pairs = [(name("A"), name("any name")), (name("v"), name("W"))];
        let mut mapped = manifest();
        Names::new(&pairs, &mapped).unwrap().apply(&mut mapped).unwrap();
        assert_eq!(mapped.automations[0], definition("any name", "{{secrets[\"any name\"]}}", "W"));
        let mut same = manifest();
        Names::new(&[], &same).unwrap().apply(&mut same).unwrap();
        assert_eq!(same.automations[0], manifest().automations[0]);
        for bad in [vec![(name("B"), name("C"))], vec![(name("A"), name("C")), (name("a"), name("D"))]] {
            assert!(Names::new(&bad, &manifest()).is_err(), "{bad:?}");
        }
    }
}
