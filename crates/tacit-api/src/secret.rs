//! Secrets: metadata out, values in. Only [`Revealed`] carries a value out.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize, de::Error};
use serde_json::{Map, Value};
use utoipa::{IntoParams, ToSchema};

use crate::{Destination, exact::Exact, patch::present};

/// The fields of a value, by name, as the secret's type has them: `{"value": …}`, `{"username": …, "password": …}`.
// No `Debug`, so that it cannot be logged by accident.
#[derive(Clone, Default, Serialize, ToSchema)]
#[serde(transparent)]
#[schema(value_type = Object, example = json!({"value": "…"}))]
pub struct FieldMap(pub Map<String, Value>);

impl<'de> Deserialize<'de> for FieldMap {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        match Exact::deserialize(from)? {
            Exact(Value::Object(fields)) => Ok(Self(fields)),
            Exact(_) => Err(D::Error::custom("fields are an object")),
        }
    }
}

/// What is known of a secret without its value.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Secret {
    /// Unique in the workspace, fixed.
    #[schema(example = "STRIPE_KEY")]
    pub name: String,
    /// `text`, `basic_auth`, `bearer_token`, `api_key`, `sftp_password`, `sftp_private_key`, `oauth2_client_credentials`,
    /// `json` or `access_key`; fixed.
    #[serde(rename = "type")]
    #[schema(example = "text")]
    pub kind: String,
    /// `restricted` (nobody may ever read it back) or `masked`; fixed.
    #[schema(example = "restricted")]
    pub visibility: String,
    /// Free text.
    pub description: String,
    /// Where it is filed; empty for nowhere.
    #[schema(example = "payments/eu")]
    pub folder: String,
    /// Whether it can be used at all.
    pub state: SecretState,
    /// Whether an integration manages it.
    pub system: bool,
    /// Where it may go.
    pub destinations: Vec<Destination>,
    /// Where whoever proposed it would have it go. Nothing of this is in force.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub suggested_destinations: Vec<Destination>,
    /// Per environment that has a value: what is known of it.
    pub environments: BTreeMap<String, ValueState>,
    /// How often it should be rotated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rotate_every_days: Option<i64>,
    /// When the oldest of its values should be replaced, RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(format = "date-time")]
    pub rotate_at: Option<String>,
    /// When it stops to be of use, RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(format = "date-time")]
    pub expires_at: Option<String>,
    /// When it was created, RFC 3339.
    #[schema(format = "date-time")]
    pub created_at: String,
    /// Who created it, such as `user:owner`.
    pub created_by: String,
    /// When anything about it last changed, RFC 3339.
    #[schema(format = "date-time")]
    pub updated_at: String,
    /// When it was deleted, RFC 3339; it can be restored while the deletion window lasts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(format = "date-time")]
    pub deleted_at: Option<String>,
    /// What to know about what was just saved. Only in answers to writes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
}

/// Whether a secret can be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum SecretState {
    /// It can.
    Active,
    /// It is switched off, everywhere, and can be switched on again.
    Disabled,
    /// It is deleted and can be restored for a while.
    Deleted,
    /// It is an empty slot that somebody proposed, and waits for its first value.
    Proposed,
    /// It can, and a date is near: that of its next rotation, or that of its end.
    Due,
    /// It can, and should have been rotated.
    Overdue,
    /// The date of its end has passed. Whether its service still takes it is the service's to say.
    Expired,
}

impl SecretState {
    /// The state as it is written.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Disabled => "disabled",
            Self::Deleted => "deleted",
            Self::Proposed => "proposed",
            Self::Due => "due",
            Self::Overdue => "overdue",
            Self::Expired => "expired",
        }
    }
}

/// What is known of a value in one environment.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct ValueState {
    /// The current version, counted per environment from 1.
    pub version: i64,
    /// Since when, RFC 3339.
    #[schema(format = "date-time")]
    pub set_at: String,
    /// Whether it is switched off in this environment.
    pub disabled: bool,
    /// The fields that are not hidden, such as a user name.
    #[schema(value_type = Object)]
    pub fields: Map<String, Value>,
}

/// Which secrets to list.
#[derive(Clone, Debug, Default, Serialize, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct SecretQuery {
    /// Part of the name, description or folder, ignoring case.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub search: Option<String>,
    /// Only those with a value in this environment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub environment: Option<String>,
    /// Only those of this type.
    #[serde(default, rename = "type", skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// Only those in this folder.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub folder: Option<String>,
    /// Only those in this state.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<SecretState>,
    /// Whether to list system-managed secrets too; `false` unless said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub system: Option<bool>,
    /// Items per page; 100 unless said, 500 at most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[param(minimum = 1, maximum = 500)]
    pub limit: Option<u32>,
    /// The `next_cursor` of the page before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
}

/// A secret to create, with values or without.
#[derive(Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateSecret {
    /// Unique in the workspace, ignoring case; fixed.
    #[schema(example = "STRIPE_KEY")]
    pub name: String,
    /// `text` unless said; fixed.
    #[serde(rename = "type", default = "text")]
    #[schema(default = "text")]
    pub kind: String,
    /// `restricted` unless said; fixed.
    #[serde(default = "restricted")]
    #[schema(default = "restricted")]
    pub visibility: String,
    /// Free text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Where to file it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub folder: Option<String>,
    /// Where it may go.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub destinations: Vec<Destination>,
    /// Per environment, all fields of the value there.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub values: BTreeMap<String, FieldMap>,
    /// How often it should be rotated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1)]
    pub rotate_every_days: Option<i64>,
    /// When it stops to be of use, RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(format = "date-time")]
    pub expires_at: Option<String>,
    /// Why, for the record; 200 characters at most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 200)]
    pub reason: Option<String>,
}

impl CreateSecret {
    /// A secret of a name and otherwise the defaults: a restricted text without values.
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            kind: text(),
            visibility: restricted(),
            description: None,
            folder: None,
            destinations: Vec::new(),
            values: BTreeMap::new(),
            rotate_every_days: None,
            expires_at: None,
            reason: None,
        }
    }
}

/// What to change about a secret. What is absent stays.
#[derive(Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct UpdateSecret {
    /// Refused (`immutable_field`) whatever it holds: present so that the refusal says why.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    #[schema(ignore)]
    pub name: Option<Value>,
    /// Refused (`immutable_field`) whatever it holds.
    #[serde(rename = "type", default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    #[schema(ignore)]
    pub kind: Option<Value>,
    /// Refused (`immutable_field`) whatever it holds.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    #[schema(ignore)]
    pub visibility: Option<Value>,
    /// Free text; `null` for none.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub description: Option<Option<String>>,
    /// Where to file it; `null` or empty for nowhere.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub folder: Option<Option<String>>,
    /// Where it may go, all of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub destinations: Option<Vec<Destination>>,
    /// New values, only together with wider destinations of a restricted secret, which need one for every environment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub values: Option<BTreeMap<String, FieldMap>>,
    /// How often it should be rotated; `null` for never.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<i64>, minimum = 1)]
    pub rotate_every_days: Option<Option<i64>>,
    /// When it stops to be of use, RFC 3339; `null` for never.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = "date-time")]
    pub expires_at: Option<Option<String>>,
    /// Why, for the record; 200 characters at most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 200)]
    pub reason: Option<String>,
}

/// Whether to delete in spite of dependents.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct DeleteQuery {
    /// Delete although something depends on it; what does will fail with a clear error.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub force: Option<bool>,
}

/// A secret that was deleted.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
pub struct Deleted {
    /// Until when it can be restored, RFC 3339; absent if it is gone for good.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(format = "date-time")]
    pub restorable_until: Option<String>,
}

/// A value to set: the first one or a rotation.
#[derive(Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PutValue {
    /// All fields of the secret's type.
    pub fields: FieldMap,
    /// Why, for the record; 200 characters at most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 200)]
    pub reason: Option<String>,
}

/// The version that a write made current.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct NewVersion {
    /// Counted per environment from 1.
    pub version: i64,
    /// What to know about what was just saved.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
}

/// Why somebody wants to look.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RevealRequest {
    /// Why, for the record; 200 characters at most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 200)]
    pub reason: Option<String>,
}

/// A value, shown to somebody who may look.
// No `Debug`: see `FieldMap`.
#[derive(Clone, Serialize, Deserialize, ToSchema)]
pub struct Revealed {
    /// All fields, the hidden ones too.
    #[serde(deserialize_with = "as_answered")]
    pub fields: FieldMap,
    /// Which version this is.
    pub version: i64,
    /// After how many seconds a screen should hide it again.
    pub hide_after_secs: u64,
}

/// What a server answers is taken as it is, so that a value can be seen whatever somebody once stored.
fn as_answered<'de, D: Deserializer<'de>>(from: D) -> Result<FieldMap, D::Error> {
    Map::deserialize(from).map(FieldMap)
}

/// One version of a value.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct VersionInfo {
    /// Counted per environment from 1.
    pub version: i64,
    /// When it was set, RFC 3339.
    #[schema(format = "date-time")]
    pub created_at: String,
    /// Who set it, such as `user:owner`.
    pub created_by: String,
    /// Whether it is the one in use.
    pub current: bool,
    /// What became of it.
    pub state: VersionState,
    /// Why it was set, as its author said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// When its ciphertext was destroyed, RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(format = "date-time")]
    pub destroyed_at: Option<String>,
}

/// What became of a version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum VersionState {
    /// It is the one in use.
    Current,
    /// It is kept for a while, and can be rolled back to.
    Kept,
    /// Its ciphertext is destroyed; its number, author and dates remain.
    Destroyed,
}

impl VersionState {
    /// `current`, `kept` or `destroyed`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Current => "current",
            Self::Kept => "kept",
            Self::Destroyed => "destroyed",
        }
    }
}

/// Which earlier version to make current.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Rollback {
    /// The version, as the list of versions names it.
    pub version: i64,
    /// Why, for the record; 200 characters at most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 200)]
    pub reason: Option<String>,
}

/// What depends on a secret.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
pub struct Usage {
    /// Published automations that name it.
    pub automations: Vec<UsingAutomation>,
    /// Who used it where, the latest first: all uses for those who may read the record, for others their own and those of
    /// automations that they may see.
    #[serde(default)]
    pub observed: Vec<ObservedUse>,
}

/// A published automation that names a secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct UsingAutomation {
    /// The automation's name.
    pub name: String,
    /// Where it is published.
    pub environment: String,
    /// The fields that name the secret. Empty if it was published by a version that did not keep them.
    #[serde(default)]
    pub fields: Vec<UsingField>,
}

/// A field of a step that names a secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct UsingField {
    /// The step's id.
    pub step: String,
    /// The place in it, as destinations name places: `auth`, `header:NAME`, `json:/pointer`, …
    pub field: String,
}

/// That somebody used a secret somewhere.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ObservedUse {
    /// Who, as the record names them: `automation:NAME`, `user:NAME`, …
    pub by: String,
    /// In which environment.
    pub environment: String,
    /// Scheme, host and port it went to.
    pub target: String,
    /// For the first time.
    pub first_used_at: String,
    /// For the last time, to the minute.
    pub last_used_at: String,
}

pub(crate) fn text() -> String {
    "text".to_owned()
}

pub(crate) fn restricted() -> String {
    "restricted".to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// Defaults are filled in, and a field that is not there is refused.
    #[test]
    fn create_secret() {
        let parsed: CreateSecret = serde_json::from_value(json!({"name": "K"})).unwrap();
        assert_eq!((parsed.kind.as_str(), parsed.visibility.as_str()), ("text", "restricted"));
        assert_eq!(
            serde_json::to_value(CreateSecret::new("K")).unwrap(),
            json!({"name": "K", "type": "text", "visibility": "restricted"})
        );
        assert!(serde_json::from_value::<CreateSecret>(json!({"name": "K", "value": "v"})).is_err());
    }

    /// A PATCH tells absent, null and present apart, also for the fields that are always refused.
    #[test]
    fn update_secret() {
        let parse = |value| serde_json::from_value::<UpdateSecret>(value).ok().unwrap();
        let nothing = parse(json!({}));
        assert!(
            nothing.name.is_none() && nothing.expires_at.is_none() && nothing.rotate_every_days.is_none()
        );
        let nulls = parse(json!({"name": null, "type": 1, "expires_at": null, "rotate_every_days": 30}));
        assert_eq!(nulls.name, Some(Value::Null));
        assert_eq!(nulls.kind, Some(json!(1)));
        assert_eq!(nulls.expires_at, Some(None));
        assert_eq!(nulls.rotate_every_days, Some(Some(30)));
        assert_eq!(serde_json::to_value(&nothing).unwrap(), json!({}));
    }
}
