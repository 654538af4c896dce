//! Second factors: one-time codes of an app, and recovery codes for when it is lost.
//!
//! A code counts once: the step it belongs to is kept, and taking it is part of the change that it permits. Codes are
//! parsed to numbers before they are compared, so that none has a second spelling.

use std::net::IpAddr;

use tacit_audit::{Object, ObjectKind, Verb};
use tacit_crypto::{KeyHandle, WrapContext, ct_eq, random_bytes, sha256, totp, unwrap_key, wrap_key};
use tacit_model::{Problem, Timestamp, UserId, limits};
use tacit_store::{Statement, WriteError, people as rows, principals::User};
use zeroize::Zeroizing;

use crate::{By, Vault, sessions::wrong};
use tacit_crypto::token::TokenHash;

/// Characters of recovery codes: none that is mistaken for another.
const ALPHABET: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";
const RECOVERY_CHARS: usize = 16;

/// A code as it was typed, parsed.
#[derive(Clone)]
pub(crate) enum Code {
    Step(u32),
    Recovery([u8; 32]),
    Neither,
}

impl Code {
    /// Six digits, or the sixteen characters of a recovery code; spaces and hyphens between them do not matter.
    pub(crate) fn parse(text: &str) -> Self {
        let plain: Zeroizing<String> = Zeroizing::new(
            text.chars().filter(|c| !matches!(c, ' ' | '-')).map(|c| c.to_ascii_lowercase()).collect(),
        );
        match plain.parse::<u32>() {
            Ok(number) if plain.len() == 6 && plain.bytes().all(|b| b.is_ascii_digit()) => Self::Step(number),
            _ if plain.len() == RECOVERY_CHARS && plain.bytes().all(|b| ALPHABET.contains(&b)) => {
                Self::Recovery(recovery_hash(&plain))
            }
            _ => Self::Neither,
        }
    }
}

fn recovery_hash(plain: &str) -> [u8; 32] {
    sha256(format!("tacit/1/recovery-code\0{plain}").as_bytes())
}

/// A second factor to set up in an app: the only time its secret is seen.
pub struct Enrolment {
    /// The secret, base32.
    pub secret: Zeroizing<String>,
    /// The same as apps read it from a picture.
    pub uri: Zeroizing<String>,
}

/// One's account.
#[derive(Clone, Debug)]
pub struct AccountInfo {
    /// The name.
    pub name: String,
    /// Whether there is a password.
    pub has_password: bool,
    /// Whether a second factor counts.
    pub has_second_factor: bool,
    /// Recovery codes that are left.
    pub recovery_codes: usize,
    /// Since when there is an account.
    pub created_at: Timestamp,
}

fn object(user: &User) -> Object {
    Object::new(ObjectKind::Member, *user.id.as_bytes(), user.name.as_str())
}

impl Vault {
    fn factor_context(&self, user: UserId) -> WrapContext {
        WrapContext::SecondFactorKey {
            instance: *self.0.instance.as_bytes(),
            user: *user.as_bytes(),
            generation: 1,
        }
    }

    fn factor_key(&self, user: UserId, wrapped: &[u8]) -> Result<KeyHandle, Problem> {
        unwrap_key(self.0.keys.root(), &self.factor_context(user), wrapped).map_err(Problem::internal)
    }

    /// Whether a code is right for a person, or none is needed: the statements that take it; none if it is not.
    pub(crate) async fn check_factor(
        &self,
        user: UserId,
        code: Option<Code>,
        now: Timestamp,
    ) -> Result<Option<Vec<Statement>>, Problem> {
        let store = &self.0.store;
        let factor = store.second_factor(user).await.map_err(Problem::internal)?;
        let kept = store.recovery_codes(user).await.map_err(Problem::internal)?;
        let Some(factor) = factor.filter(|factor| factor.confirmed_at.is_some()) else {
            return Ok(Some(Vec::new()));
        };
        Ok(match code {
            Some(Code::Step(number)) => {
                let key = self.factor_key(user, &factor.wrapped)?;
                let step = totp::matching_step(&key, number, now.as_millis().div_euclid(1000));
                step.filter(|step| *step > factor.last_step).map(|step| vec![rows::take_code(user, step)])
            }
            Some(Code::Recovery(hash)) => {
                let is_kept = kept.iter().fold(false, |found, kept| found | ct_eq(kept, &hash));
                is_kept.then(|| vec![rows::take_recovery_code(user, &hash)])
            }
            Some(Code::Neither) | None => None,
        })
    }

    /// One's account.
    ///
    /// # Errors
    /// `unauthenticated`, `forbidden` for machines and agents.
    pub async fn account_info(&self, token: TokenHash, now: Timestamp) -> Result<AccountInfo, Problem> {
        let user = self.person(token, now).await?;
        let store = &self.0.store;
        let factor = store.second_factor(user.id).await.map_err(Problem::internal)?;
        Ok(AccountInfo {
            name: user.name.to_string(),
            has_password: store.password(user.id).await.map_err(Problem::internal)?.is_some(),
            has_second_factor: factor.is_some_and(|factor| factor.confirmed_at.is_some()),
            recovery_codes: store.recovery_codes(user.id).await.map_err(Problem::internal)?.len(),
            created_at: user.created_at,
        })
    }

    /// The person who asks, who has just said password and code again. A stolen session is not enough for what follows.
    async fn confirmed_person(
        &self,
        token: TokenHash,
        password: &str,
        code: Option<&str>,
        address: IpAddr,
        verb: Verb,
        by: By,
    ) -> Result<(User, Vec<Statement>), Problem> {
        let user = self.person(token, by.now).await?;
        match self.verified(user.name.as_str(), password, code, address, by.now).await? {
            Ok(found) => Ok(found),
            Err(_) => {
                self.record_wrong(Some(&user), verb, address, by).await;
                Err(wrong())
            }
        }
    }

    /// Sets a password. Who has one says it first. All other sessions end.
    ///
    /// # Errors
    /// `unauthenticated` for a wrong current password or code, `validation_failed`, `rate_limited`.
    pub async fn change_password(
        &self,
        token: TokenHash,
        change: &PasswordChange<'_>,
        address: IpAddr,
        by: By,
    ) -> Result<(), Problem> {
        let user = self.person(token, by.now).await?;
        let has_one = self.0.store.password(user.id).await.map_err(Problem::internal)?.is_some();
        let mut statements = Vec::new();
        if has_one {
            let current = change.current.unwrap_or_default();
            let verb = Verb::PasswordChange;
            statements = self.confirmed_person(token, current, change.code, address, verb, by).await?.1;
        }
        check_password("new", change.new, user.name.as_str())?;
        statements.push(rows::set_password(user.id, &self.hash_password(change.new).await?, by.now));
        statements.push(rows::delete_sessions_but(user.id, Some(token.as_bytes())));
        self.change_person(&user, statements, Verb::PasswordChange, &object(&user), by).await
    }

    /// Begins a second factor. It counts when its first code is confirmed.
    ///
    /// # Errors
    /// `unauthenticated` for a wrong password, `version_conflict` if there is one that counts.
    pub async fn enrol_second_factor(
        &self,
        token: TokenHash,
        password: &str,
        address: IpAddr,
        by: By,
    ) -> Result<Enrolment, Problem> {
        let user = self.person(token, by.now).await?;
        let factor = self.0.store.second_factor(user.id).await.map_err(Problem::internal)?;
        if factor.is_some_and(|factor| factor.confirmed_at.is_some()) {
            return Err(Problem::new(tacit_model::Code::NameTaken, "there is a second factor already")
                .suggest("remove it first, with its code: tacit account second-factor disable"));
        }
        let verb = Verb::SecondFactorEnable;
        let (user, statements) = self.confirmed_person(token, password, None, address, verb, by).await?;
        let key = KeyHandle::generate();
        let wrapped =
            wrap_key(self.0.keys.root(), &self.factor_context(user.id), &key).map_err(Problem::internal)?;
        let change = tacit_store::Change::new(tacit_model::WorkspaceId::from_bytes([0; 16]))
            .and_all(statements)
            .and(rows::enrol_second_factor(user.id, &wrapped));
        self.0.store.write(change).await.map_err(|error| match error {
            WriteError::Unavailable(cause) => Problem::audit_unavailable(cause),
            _ => crate::busy(),
        })?;
        let secret = totp::secret_text(&key);
        let label = percent(user.name.as_str());
        let uri = Zeroizing::new(format!(
            "otpauth://totp/Tacit:{label}?secret={}&issuer=Tacit&algorithm=SHA1&digits=6&period=30",
            *secret
        ));
        Ok(Enrolment { secret, uri })
    }

    /// Lets a second factor count, by its first code. All other sessions end. Returns the recovery codes, shown this once.
    ///
    /// # Errors
    /// `unauthenticated` for a wrong code; `not_found` if none waits; `rate_limited`.
    pub async fn confirm_second_factor(
        &self,
        token: TokenHash,
        code: &str,
        address: IpAddr,
        by: By,
    ) -> Result<Vec<Zeroizing<String>>, Problem> {
        let user = self.person(token, by.now).await?;
        self.0.sign_in_by_account.take(&user.name.key(), by.now)?;
        let factor = self.0.store.second_factor(user.id).await.map_err(Problem::internal)?;
        let waiting = factor.filter(|factor| factor.confirmed_at.is_none());
        let waiting = waiting.ok_or_else(|| {
            Problem::not_found("second factor that waits for its code")
                .suggest("begin one: tacit account second-factor begin")
        })?;
        let key = self.factor_key(user.id, &waiting.wrapped)?;
        let step = match Code::parse(code) {
            Code::Step(number) => totp::matching_step(&key, number, by.now.as_millis().div_euclid(1000)),
            Code::Recovery(_) | Code::Neither => None,
        };
        let Some(step) = step else {
            self.record_wrong(Some(&user), Verb::SecondFactorEnable, address, by).await;
            return Err(Problem::new(tacit_model::Code::Unauthenticated, "this is not the app's code of this moment")
                .suggest("wait for its next code and try again; if it is never right, check the clocks of both devices"));
        };
        let (codes, hashes) = recovery_codes();
        let mut statements = vec![rows::confirm_second_factor(user.id, step, by.now)];
        // Where somebody is signed in without it, it would be no second factor.
        statements.push(rows::delete_sessions_but(user.id, Some(token.as_bytes())));
        statements.extend(rows::set_recovery_codes(user.id, &hashes));
        self.change_person(&user, statements, Verb::SecondFactorEnable, &object(&user), by).await?;
        Ok(codes)
    }

    /// Removes the second factor, with password and a code.
    ///
    /// # Errors
    /// `unauthenticated`, `rate_limited`, `not_found` if there is none.
    pub async fn disable_second_factor(
        &self,
        token: TokenHash,
        password: &str,
        code: Option<&str>,
        address: IpAddr,
        by: By,
    ) -> Result<(), Problem> {
        let verb = Verb::SecondFactorDisable;
        let (user, mut statements) = self.confirmed_person(token, password, code, address, verb, by).await?;
        if self.0.store.second_factor(user.id).await.map_err(Problem::internal)?.is_none() {
            return Err(Problem::not_found("second factor"));
        }
        statements.extend(rows::delete_second_factor(user.id));
        self.change_person(&user, statements, verb, &object(&user), by).await
    }

    /// Makes new recovery codes instead of those before, shown this once.
    ///
    /// # Errors
    /// `unauthenticated`, `rate_limited`, `not_found` without a second factor.
    pub async fn renew_recovery_codes(
        &self,
        token: TokenHash,
        password: &str,
        code: Option<&str>,
        address: IpAddr,
        by: By,
    ) -> Result<Vec<Zeroizing<String>>, Problem> {
        let verb = Verb::SecondFactorEnable;
        let (user, mut statements) = self.confirmed_person(token, password, code, address, verb, by).await?;
        let factor = self.0.store.second_factor(user.id).await.map_err(Problem::internal)?;
        if factor.is_none_or(|factor| factor.confirmed_at.is_none()) {
            return Err(Problem::not_found("second factor"));
        }
        let (codes, hashes) = recovery_codes();
        statements.extend(rows::set_recovery_codes(user.id, &hashes));
        self.change_person(&user, statements, Verb::SecondFactorEnable, &object(&user), by).await?;
        Ok(codes)
    }
}

/// A password to set instead of the one before.
pub struct PasswordChange<'a> {
    /// The one before, where there is one.
    pub current: Option<&'a str>,
    /// The code of a second factor, where there is one.
    pub code: Option<&'a str>,
    /// The new one.
    pub new: &'a str,
}

/// Length is what makes a password; rules about characters only make it forgotten.
pub(crate) fn check_password(field: &str, password: &str, name: &str) -> Result<(), Problem> {
    let chars = password.chars().count();
    let least = limits::PASSWORD_CHARS_MIN;
    let what = match () {
        () if chars < least => format!("must have at least {least} characters"),
        () if password.len() > limits::PASSWORD_BYTES_MAX => {
            format!("must be at most {} bytes", limits::PASSWORD_BYTES_MAX)
        }
        () if password.to_lowercase() == name.to_lowercase() => "must not be the name".to_owned(),
        () if password.chars().all(|c| password.starts_with(c)) => {
            "must be more than one character over and over".to_owned()
        }
        () => return Ok(()),
    };
    Err(Problem::invalid(field, what))
}

/// Codes of 80 bits each, as they are shown and as they are kept.
fn recovery_codes() -> (Vec<Zeroizing<String>>, Vec<[u8; 32]>) {
    let code = || {
        let plain: Zeroizing<String> = Zeroizing::new(
            random_bytes::<RECOVERY_CHARS>()
                .iter()
                .map(|byte| char::from(ALPHABET[usize::from(byte % 32)]))
                .collect(),
        );
        let shown = [&plain[..4], &plain[4..8], &plain[8..12], &plain[12..]].join("-");
        (Zeroizing::new(shown), recovery_hash(&plain))
    };
    (0..limits::RECOVERY_CODES).map(|_| code()).unzip()
}

fn percent(text: &str) -> String {
    text.bytes()
        .map(|b| if b.is_ascii_alphanumeric() { char::from(b).to_string() } else { format!("%{b:02X}") })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A code has one meaning: spaces, hyphens and case do not make another one, and what is neither kind is nothing.
    #[test]
    fn codes_are_parsed() {
        for same in ["123456", " 123 456", "123-456"] {
            assert!(matches!(Code::parse(same), Code::Step(123_456)), "{same}");
        }
        for neither in ["", "12345", "1234567", "+12345", "１２３４５６", "abc", "abcd-efgh-ijkm-npq1"]
        {
            assert!(matches!(Code::parse(neither), Code::Neither), "{neither}");
        }
        let (shown, hashes) = recovery_codes();
        assert_eq!(shown.len(), limits::RECOVERY_CODES);
        for (shown, hash) in shown.iter().zip(hashes) {
            for typed in
                [shown.to_string(), shown.to_uppercase(), shown.replace('-', " "), shown.replace('-', "")]
            {
                assert!(matches!(Code::parse(&typed), Code::Recovery(found) if found == hash), "{typed}");
            }
        }
    }

    #[test]
    fn passwords() {
        assert!(check_password("new", "correct horse battery", "anna@example.com").is_ok());
        for bad in ["short", "aaaaaaaaaaaaaaaa", "anna@example.com", "ANNA@example.com", &"x1".repeat(600)] {
            assert!(check_password("new", bad, "anna@example.com").is_err(), "{bad}");
        }
    }
}
