//! Why somebody did what they did, in their own words.
//!
//! The words of a person can hold anything, a value too. So they are no part of an event: they are kept beside the record,
//! scrubbed, and the event names them by an id. They are scrubbed of every kept version of the secret they are about. What of
//! a value somebody could guess (`guessable`) is taken out only where whoever wrote the words knows it anyway, because they
//! set it or saw it just then: else what is taken out would tell whether a guess was right.

use tacit_crypto::SecretValue;
use tacit_model::{Fields, Problem, limits};
use tacit_redact::{ScanSet, ScanSetBuilder, scrub_text};
use tacit_store::{Change, reasons as rows};
use zeroize::Zeroizing;

use crate::{
    Stop, Vault,
    access::{Access, Snapshot},
    authorize::{self, Authorized, Scan},
    decrypt::Recorded,
    guessable::unguessable,
};

/// What stands where a value stood.
const MARKER: &str = "[value]";

/// A reason that was given.
pub(crate) struct Said {
    pub(crate) id: [u8; 16],
    text: Zeroizing<String>,
}

impl Said {
    /// Checks a reason; blank is none.
    pub(crate) fn parse(reason: Option<&str>) -> Result<Option<Self>, Problem> {
        let Some(text) = reason.map(str::trim).filter(|text| !text.is_empty()) else { return Ok(None) };
        if text.chars().count() > limits::REASON_CHARS_MAX {
            let message = format!("must be at most {} characters", limits::REASON_CHARS_MAX);
            return Err(Problem::invalid("reason", message));
        }
        Ok(Some(Self { id: tacit_crypto::random_bytes(), text: Zeroizing::new(text.to_owned()) }))
    }
}

/// A value that whoever gives the reason knows.
pub(crate) fn known(fields: &Fields, kind: tacit_model::SecretType) -> Vec<Zeroizing<String>> {
    fields.hidden(kind).map(|(_, text)| Zeroizing::new(text.to_owned())).collect()
}

impl Vault {
    /// Proofs to know every kept version of a secret so that it can be taken out of a reason; none without a reason.
    pub(crate) fn reason_scans(
        &self,
        access: &Access,
        snapshot: &Snapshot,
        said: Option<&Said>,
    ) -> Vec<Authorized<Scan>> {
        let of = |value: &tacit_store::secrets::Value| {
            authorize::scan(snapshot, value.environment, access.view.revision)
        };
        if said.is_some() { snapshot.values.iter().map(of).collect() } else { Vec::new() }
    }

    /// Keeps a reason, scrubbed. The act is done and on the record: if this fails, the log says so and the caller does not
    /// hear of it.
    pub(crate) async fn keep_reason(
        &self,
        access: &Access,
        snapshot: &Snapshot,
        said: Option<&Said>,
        scans: &[Recorded<Scan>],
        known: &[Zeroizing<String>],
    ) {
        let Some(said) = said else { return };
        let kept = match self.scrubbed(access, snapshot, said, scans, known).await {
            Ok(text) => {
                let workspace = access.view.workspace.id;
                let change = Change::new(workspace).and(rows::insert(workspace, &said.id, &text, access.now));
                self.0.store.write(change).await.map(drop).map_err(|error| error.to_string())
            }
            Err(Stop::Problem(problem)) => Err(problem.cause().unwrap_or("a problem").to_owned()),
            Err(Stop::Stale) => Err("the workspace changed".to_owned()),
        };
        if let Err(cause) = kept {
            tracing::error!(cause, "a reason could not be kept");
        }
    }

    async fn scrubbed(
        &self,
        access: &Access,
        snapshot: &Snapshot,
        said: &Said,
        scans: &[Recorded<Scan>],
        known: &[Zeroizing<String>],
    ) -> Result<String, Stop> {
        let mut set = ScanSet::builder();
        let kind = snapshot.secret.kind;
        for proof in scans {
            let versions =
                self.sealed_versions(&access.view, snapshot.secret.id, proof.environment()).await?;
            for version in versions.iter() {
                let value: SecretValue =
                    self.open(access.view.workspace.id, proof, snapshot, version).await?;
                let fields = Fields::decode(kind, value.dangerous_expose())
                    .ok_or_else(|| Problem::internal("a value does not decode"))?;
                for (_, text) in fields.hidden(kind) {
                    for part in unguessable(text) {
                        add(&mut set, &part);
                    }
                }
            }
        }
        for text in known {
            add(&mut set, text);
        }
        let (text, _) = scrub_text(&set.build(), &said.text);
        let text = known.iter().fold(text, |text, known| without(text, known));
        // A value of several lines is found in the words as they were said, so they become one line only now.
        Ok(one_line(&text))
    }
}

/// Looks for a value, also where its lines were put into one.
fn add(set: &mut ScanSetBuilder, value: &str) {
    set.add(MARKER, value.as_bytes());
    let line = Zeroizing::new(one_line(value));
    if *line != value {
        set.add(MARKER, line.as_bytes());
    }
}

fn one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// A text without a value, however guessable it is.
fn without(text: String, value: &str) -> String {
    let value = value.trim();
    if value.is_empty() {
        return text;
    }
    text.replace(value, MARKER).replace(&*Zeroizing::new(one_line(value)), MARKER)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Blank is no reason, length is counted in characters, and a line stays a line.
    #[test]
    fn reasons_are_checked() {
        assert!(Said::parse(None).unwrap().is_none());
        assert!(Said::parse(Some(" \n ")).unwrap().is_none());
        assert_eq!(*Said::parse(Some(" a\nb ")).unwrap().unwrap().text, "a\nb");
        assert_eq!(one_line("a\nb\tc"), "a b c");
        assert!(Said::parse(Some(&"ü".repeat(200))).unwrap().is_some());
        assert!(Said::parse(Some(&"ü".repeat(201))).is_err());
        assert_eq!(without("hunter2 leaked".to_owned(), "hunter2"), "[value] leaked");
        assert_eq!(without("a\nb leaked".to_owned(), "a\nb"), "[value] leaked");
        assert_eq!(without("a b leaked".to_owned(), "a\nb\n"), "[value] leaked");
    }
}
