//! A step, compiled: whatever its kind, the secrets it names and the data it needs.
//!
//! Saving and running compile with the same code, so that what is refused when it runs was refused when it was written.

use tacit_model::{Problem, SecretType, Step, StepKind};
use tacit_template::{Condition, Reference};

use crate::{HttpTemplate, SftpTemplate, Slot, StorageTemplate};

/// What a step does, compiled.
#[derive(Clone, Debug)]
pub enum StepTemplate {
    /// An HTTP request.
    Http(HttpTemplate),
    /// Something done with a file of an SFTP server.
    Sftp(SftpTemplate),
    /// Something done with an object of a storage service.
    Storage(StorageTemplate),
}

impl StepTemplate {
    /// Compiles what a step does. `at` is put before each field's name in what is wrong.
    ///
    /// # Errors
    /// `validation_failed` or `placement_not_allowed`.
    pub fn compile(kind: &StepKind, at: &str) -> Result<Self, Problem> {
        let at = format!("{at}{}.", kind.as_str());
        match kind {
            StepKind::Http(http) => Ok(Self::Http(HttpTemplate::compile(http, &at)?)),
            StepKind::Sftp(sftp) => Ok(Self::Sftp(SftpTemplate::compile(sftp, &at)?)),
            StepKind::Storage(storage) => Ok(Self::Storage(StorageTemplate::compile(storage, &at)?)),
        }
    }

    /// The key under which it is written.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Http(_) => "http",
            Self::Sftp(_) => "sftp",
            Self::Storage(_) => "storage",
        }
    }

    /// Every secret that stands in it.
    pub fn slots(&self) -> &[Slot] {
        match self {
            Self::Http(http) => &http.slots,
            Self::Sftp(sftp) => &sftp.slots,
            Self::Storage(storage) => &storage.slots,
        }
    }

    /// Every reference that is not a secret.
    pub fn data_references(&self) -> Vec<&Reference> {
        match self {
            Self::Http(http) => http.data_references(),
            Self::Sftp(sftp) => sftp.data_references(),
            Self::Storage(storage) => storage.data_references(),
        }
    }

    /// Where it sends to, if that is written out and so the same for every run.
    pub fn literal_origin(&self) -> Option<&str> {
        match self {
            Self::Http(http) => http.literal_origin(),
            // A server is nobody's before its key is known, and only a destination says that.
            Self::Sftp(_) => None,
            Self::Storage(storage) => storage.literal_origin(),
        }
    }

    /// The types of secret that its `auth` takes; none if the step takes every type that goes into a request.
    pub fn auth_types(&self) -> &'static [SecretType] {
        match self {
            Self::Http(_) => &[],
            Self::Sftp(_) => &[SecretType::SftpPassword, SecretType::SftpPrivateKey],
            Self::Storage(_) => &[SecretType::AccessKey],
        }
    }
}

/// A step's condition, compiled. `at` is put before the field's name in what is wrong.
///
/// # Errors
/// `validation_failed`.
pub fn condition(step: &Step, at: &str) -> Result<Option<Condition>, Problem> {
    let Some(when) = &step.when else { return Ok(None) };
    Condition::parse(when).map(Some).map_err(|error| {
        let message = format!("{} (at byte {}); {}", error.message, error.offset, error.suggestion);
        Problem::invalid(format!("{at}when"), message)
    })
}
