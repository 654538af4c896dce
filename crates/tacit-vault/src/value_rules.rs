//! What a value must be beyond the shape of its fields: no placeholder of ours, and a private key that opens.

use tacit_crypto::{check_private_key, placeholder::find_placeholders};
use tacit_model::{Fields, Problem, SecretType};
use zeroize::Zeroizing;

/// Checks a value before it is sealed.
///
/// # Errors
/// `validation_failed`, which names the field and repeats nothing of it.
pub(crate) async fn check_value(kind: SecretType, fields: &Fields) -> Result<(), Problem> {
    refuse_placeholders(fields)?;
    if kind == SecretType::SftpPrivateKey { check_key(fields).await } else { Ok(()) }
}

/// A value that holds a placeholder would be a value that stands for another one. What was put in for a placeholder is
/// never looked through for more, so it would only be sent as it is; but nobody means that.
fn refuse_placeholders(fields: &Fields) -> Result<(), Problem> {
    let is_clean = |text: &str| find_placeholders(text.as_bytes()).next().is_none();
    let Some((field, _)) = fields.iter().find(|(_, text)| !is_clean(text)) else { return Ok(()) };
    let message = "holds a placeholder of a lease instead of a value";
    Err(Problem::invalid(format!("fields.{field}"), message)
        .suggest("a placeholder stands for a value only in its lease; enter the value itself"))
}

async fn check_key(fields: &Fields) -> Result<(), Problem> {
    let key = Zeroizing::new(fields.text("private_key").unwrap_or_default().to_owned());
    let passphrase = fields.text("passphrase").map(|text| Zeroizing::new(text.to_owned()));
    // A passphrase is made slow to try on purpose: not on a thread that serves others.
    let checked = tokio::task::spawn_blocking(move || {
        check_private_key(&key, passphrase.as_ref().map(|text| text.as_str()))
    });
    let checked = checked.await.map_err(|_| Problem::internal("a private key could not be checked"))?;
    checked.map_err(|error| {
        use tacit_crypto::PrivateKeyError::{PassphraseMissing, PassphraseUnneeded, PassphraseWrong};
        let field = match error {
            PassphraseMissing | PassphraseUnneeded | PassphraseWrong => "passphrase",
            _ => "private_key",
        };
        let message = match error {
            PassphraseMissing => "is missing: the private key is encrypted".to_owned(),
            PassphraseUnneeded => "is not needed: the private key is not encrypted; leave it out".to_owned(),
            PassphraseWrong => "does not open the private key".to_owned(),
            other => other.to_string(),
        };
        Problem::invalid(format!("fields.{field}"), message)
    })
}
