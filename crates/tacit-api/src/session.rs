//! People: signing in, their account, invitations.
//!
//! What holds a password, a code or a token has no `Debug`.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// How a session is presented.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum SessionKind {
    /// A token for a program, in the answer.
    #[default]
    Token,
    /// A cookie for a browser.
    Cookie,
}

/// Who signs in.
#[derive(Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SignIn {
    /// The person's name.
    #[schema(example = "anna@example.com")]
    pub name: String,
    /// The password.
    #[schema(format = "password")]
    pub password: String,
    /// The code of the second factor, or a recovery code, where there is a second factor.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// For a browser or for a program.
    #[serde(default)]
    pub kind: SessionKind,
}

/// A new session.
#[derive(Clone, Serialize, Deserialize, ToSchema)]
pub struct SignedIn {
    /// Its id, `ses_…`.
    pub id: String,
    /// Who signed in.
    pub name: String,
    /// The token, `tct_u_…`, shown once; not there for a cookie.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
    /// Until when it works, RFC 3339.
    #[schema(format = "date-time")]
    pub expires_at: String,
}

/// With what one is signed in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum SignedInWith {
    /// The token of a program.
    Token,
    /// A browser's cookie.
    Cookie,
    /// The token that was made at set-up or to recover the account, which is no session.
    Setup,
}

/// Where one is signed in.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Session {
    /// Its id, `ses_…`; of a token of set-up `tok_…`.
    pub id: String,
    /// With what.
    pub kind: SignedInWith,
    /// From which address it was begun; not there for a token of set-up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// Since when, RFC 3339.
    #[schema(format = "date-time")]
    pub created_at: String,
    /// Until when it works, RFC 3339; without end if it is not there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(format = "date-time")]
    pub expires_at: Option<String>,
    /// Whether it is the one that asks.
    pub current: bool,
}

/// One's own account.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Account {
    /// The name.
    pub name: String,
    /// Whether there is a password.
    pub has_password: bool,
    /// Whether signing in needs a code.
    pub has_second_factor: bool,
    /// Recovery codes that are left.
    pub recovery_codes: usize,
    /// Since when, RFC 3339.
    #[schema(format = "date-time")]
    pub created_at: String,
}

/// Another password.
#[derive(Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ChangePassword {
    /// The one before, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(format = "password")]
    pub current: Option<String>,
    /// The code of the second factor, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// The new one: at least twelve characters.
    #[schema(format = "password")]
    pub new: String,
}

/// That it is really oneself.
#[derive(Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Confirm {
    /// The password.
    #[schema(format = "password")]
    pub password: String,
    /// The code of the second factor, or a recovery code, where there is a second factor.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
}

/// The first code of a second factor.
#[derive(Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ConfirmCode {
    /// Six digits.
    pub code: String,
}

/// A second factor to set up in an app, shown once.
#[derive(Clone, Serialize, Deserialize, ToSchema)]
pub struct SecondFactor {
    /// The secret to type in, base32.
    pub secret: String,
    /// The same for a picture that apps read.
    pub uri: String,
}

/// Recovery codes, shown once. Each signs one in once, instead of a code.
#[derive(Clone, Serialize, Deserialize, ToSchema)]
pub struct RecoveryCodes {
    /// The codes.
    pub recovery_codes: Vec<String>,
}

/// Somebody to invite.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateInvitation {
    /// The name that the person will have, like an e-mail address.
    #[schema(example = "anna@example.com")]
    pub name: String,
    /// `member` unless said. Nobody gives rights they do not hold.
    #[serde(default = "member")]
    #[schema(default = "member")]
    pub role: String,
    /// Until when the membership lasts, RFC 3339; without end unless said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(format = "date-time")]
    pub until: Option<String>,
    /// Seconds until the invitation ends; a week unless said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ttl_secs: Option<u64>,
}

/// An invitation. Its token is there only in the answer that made it.
#[derive(Clone, Serialize, Deserialize, ToSchema)]
pub struct Invitation {
    /// Its id, `inv_…`.
    pub id: String,
    /// Who is invited.
    pub name: String,
    /// The role that waits.
    pub role: String,
    /// Until when the membership lasts, RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(format = "date-time")]
    pub until: Option<String>,
    /// The token, `tct_iv_…`, shown once: whoever has it can accept, once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
    /// By whom.
    pub created_by: String,
    /// When it was made, RFC 3339.
    #[schema(format = "date-time")]
    pub created_at: String,
    /// Until when it can be accepted, RFC 3339.
    #[schema(format = "date-time")]
    pub expires_at: String,
}

/// An invitation to accept.
#[derive(Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AcceptInvitation {
    /// Its token.
    pub token: String,
    /// A new password of at least twelve characters; for an account that is there, its own.
    #[schema(format = "password")]
    pub password: String,
    /// The code of that account's second factor, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
}

/// Where one is a member now.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Accepted {
    /// The workspace.
    pub workspace: String,
    /// One's name, to sign in with.
    pub name: String,
}

fn member() -> String {
    "member".to_owned()
}
