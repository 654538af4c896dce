//! The fields of steps that are not HTTP requests: templates in which no secret may stand.

use tacit_model::{Code, Issue, Problem};
use tacit_template::{Reference, Template};

/// Compiles fields and collects what is wrong with them.
pub(crate) struct PlainFields {
    at: String,
    issues: Vec<Issue>,
    misplaced: Vec<Issue>,
}

impl PlainFields {
    /// `at` is put before each field's name in what is wrong; `issues` are known already.
    pub(crate) fn new(at: &str, issues: Vec<Issue>) -> Self {
        Self { at: at.to_owned(), issues, misplaced: Vec::new() }
    }

    /// Something is wrong with a field.
    pub(crate) fn wrong(&mut self, field: &str, message: impl Into<String>) {
        self.issues.push(Issue::new(format!("{}{field}", self.at), message));
    }

    fn misplaced(&mut self, field: &str, message: impl Into<String>) {
        self.misplaced.push(Issue::new(format!("{}{field}", self.at), message));
    }

    /// A text of anything but secrets.
    pub(crate) fn text(&mut self, field: &str, source: &str) -> Option<Template> {
        let template = self.parse(field, source)?;
        if template.references().any(|reference| matches!(reference, Reference::Secret(_))) {
            self.misplaced(field, "references a secret, which may stand in `auth` alone");
        }
        Some(template)
    }

    /// What forms a host or is signed like one: written out, or by variables alone.
    pub(crate) fn host(&mut self, field: &str, source: &str) -> Option<Template> {
        let template = self.parse(field, source)?;
        let foreign = template.references().find(|reference| !matches!(reference, Reference::Var(_)));
        if let Some(reference) = foreign {
            self.misplaced(field, format!("references {reference}; only variables may form it"));
        }
        Some(template)
    }

    fn parse(&mut self, field: &str, source: &str) -> Option<Template> {
        match Template::parse(source) {
            Ok(template) => Some(template),
            Err(error) => {
                let text = format!("{} (at byte {}); {}", error.message, error.offset, error.suggestion);
                self.wrong(field, text);
                None
            }
        }
    }

    /// What was wrong, as one refusal.
    pub(crate) fn finish(self) -> Result<(), Problem> {
        if let Some(first) = self.misplaced.first() {
            let detail = format!("`{}` {}", first.field, first.message);
            let mut problem = Problem::new(Code::PlacementNotAllowed, detail).suggest(
                "name the secret in the step's `auth`, and write hosts out or keep them in variables",
            );
            problem.issues = self.misplaced;
            return Err(problem);
        }
        if self.issues.is_empty() { Ok(()) } else { Err(Problem::invalid_fields(self.issues)) }
    }
}
