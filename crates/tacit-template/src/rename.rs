//! The same template with other names in it, for what is brought to where things are called otherwise.

use crate::filter::FILTERS;
use crate::template::Node;
use crate::{Condition, Reference, Template};

impl Template {
    /// The source with other names for secrets and variables. `name_of` says the new name of a reference, or nothing to leave
    /// it; other references have no name and are not asked about. What is left stays as it was written, byte by byte.
    ///
    /// Names are replaced in what was parsed, so text that only looks like a reference stays text, and two names can be
    /// exchanged.
    pub fn renamed(&self, name_of: impl Fn(&Reference) -> Option<String>) -> String {
        let source = self.source();
        let (mut renamed, mut copied) = (String::with_capacity(source.len()), 0);
        for node in self.nodes() {
            let Node::Reference { reference, filters, offset, end } = node else { continue };
            let Some(reference) = with_name(reference, &name_of) else { continue };
            renamed.push_str(&source[copied..*offset]);
            renamed.push_str("{{");
            renamed.push_str(&reference.to_string());
            for filter in filters {
                let name = FILTERS.iter().find(|(_, known)| known == filter).map_or("", |(name, _)| *name);
                renamed.push_str(" | ");
                renamed.push_str(name);
            }
            renamed.push_str("}}");
            copied = *end;
        }
        renamed.push_str(&source[copied..]);
        renamed
    }
}

impl Condition {
    /// The source with other names for variables, as [`Template::renamed`].
    pub fn renamed(&self, name_of: impl Fn(&Reference) -> Option<String>) -> String {
        let source = self.source();
        let (mut renamed, mut copied) = (String::with_capacity(source.len()), 0);
        for (reference, place) in self.placed_references() {
            let Some(reference) = with_name(reference, &name_of) else { continue };
            renamed.push_str(&source[copied..place.start]);
            renamed.push_str(&reference.to_string());
            copied = place.end;
        }
        renamed.push_str(&source[copied..]);
        renamed
    }
}

fn with_name(reference: &Reference, name_of: &impl Fn(&Reference) -> Option<String>) -> Option<Reference> {
    match reference {
        Reference::Secret(secret) => {
            let name = name_of(reference)?;
            Some(Reference::Secret(crate::SecretRef { name, field: secret.field.clone() }))
        }
        Reference::Var(_) => name_of(reference).map(Reference::Var),
        Reference::Input(_) | Reference::Step { .. } | Reference::Env | Reference::RunId => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn renamed(source: &str, names: &[(&str, &str)]) -> String {
        Template::parse(source).unwrap().renamed(|reference| {
            let old = match reference {
                Reference::Secret(secret) => &secret.name,
                Reference::Var(name) => name,
                _ => unreachable!("only secrets and variables have names"),
            };
            let found = names.iter().find(|(from, _)| from == old);
            found.map(|(_, to)| (*to).to_owned())
        })
    }

    /// Names change where they are references, with their fields and filters, and nowhere else.
    #[test]
    fn only_references_change() {
        let names = [("A", "B"), ("B", "A"), ("C", "any name"), ("d e", "D")];
        for (source, expected) in [
            ("", ""),
            ("A {{ secrets.A }} B", "A {{secrets.B}} B"),
            ("{{secrets.A}}{{secrets.B}}", "{{secrets.B}}{{secrets.A}}"),
            ("{{secrets.C.users[0]}}!", "{{secrets[\"any name\"].users[0]}}!"),
            ("{{vars[\"d e\"]|upper |trim}}", "{{vars.D | upper | trim}}"),
            ("{{ secrets.other }} {{ input.A }}", "{{ secrets.other }} {{ input.A }}"),
            ("{{\"{{secrets.A}}\"}} {{secrets.A}}", "{{\"{{secrets.A}}\"}} {{secrets.B}}"),
            ("{{steps.A.A}} {{env}} {{run.id}}", "{{steps.A.A}} {{env}} {{run.id}}"),
        ] {
            assert_eq!(renamed(source, &names), expected, "{source}");
        }
    }

    /// The same in conditions, where a text in quotes stays a text.
    #[test]
    fn conditions_too() {
        let source = "vars.A == \"vars.A\" and (not vars[\"d e\"] or  steps.A.A > 1)";
        let condition = Condition::parse(source).unwrap();
        let to = |name: &'static str| {
            condition.renamed(move |reference| match reference {
                Reference::Var(old) if old == "A" => Some(name.to_owned()),
                Reference::Var(_) => Some("D".to_owned()),
                _ => unreachable!("only secrets and variables have names"),
            })
        };
        assert_eq!(to("B"), "vars.B == \"vars.A\" and (not vars.D or  steps.A.A > 1)");
        assert_eq!(to("any name"), "vars[\"any name\"] == \"vars.A\" and (not vars.D or  steps.A.A > 1)");
        assert_eq!(condition.renamed(|_| None), source);
    }

    proptest! {
        /// There and back is where it was, and in between it is a template with the new name.
        #[test]
        fn there_and_back(name in "[a-zA-Z]([a-zA-Z –.]{0,10}[a-zA-Z])?", text in "[^{]{0,12}") {
            let source = format!("{text}{{{{secrets.OLD.field}}}}{text}{{{{vars.OLD | trim}}}}{text}");
            let there = renamed(&source, &[("OLD", &name)]);
            let parsed = Template::parse(&there).unwrap();
            let expected = if name == "OLD" { source.clone() } else { there.clone() };
            prop_assert_eq!(&parsed.renamed(|_| None), &expected);
            let back = parsed.renamed(|_| Some("OLD".to_owned()));
            prop_assert_eq!(back, source);
        }
    }
}
