//! Values that go into and come out of statements: the four kinds that every engine has.

use tacit_model::Timestamp;

use crate::ReadError;

/// A value of a statement.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Val {
    Null,
    I64(i64),
    Text(String),
    Blob(Vec<u8>),
}

impl rusqlite::ToSql for Val {
    fn to_sql(&self) -> rusqlite::Result<rusqlite::types::ToSqlOutput<'_>> {
        use rusqlite::types::{ToSqlOutput, ValueRef};
        Ok(ToSqlOutput::Borrowed(match self {
            Self::Null => ValueRef::Null,
            Self::I64(number) => ValueRef::Integer(*number),
            Self::Text(text) => ValueRef::Text(text.as_bytes()),
            Self::Blob(bytes) => ValueRef::Blob(bytes),
        }))
    }
}

impl From<i64> for Val {
    fn from(number: i64) -> Self {
        Self::I64(number)
    }
}

impl From<bool> for Val {
    fn from(flag: bool) -> Self {
        Self::I64(flag.into())
    }
}

impl From<&str> for Val {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Val {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl<const N: usize> From<[u8; N]> for Val {
    fn from(bytes: [u8; N]) -> Self {
        Self::Blob(bytes.to_vec())
    }
}

impl From<&[u8]> for Val {
    fn from(bytes: &[u8]) -> Self {
        Self::Blob(bytes.to_vec())
    }
}

impl From<Timestamp> for Val {
    fn from(time: Timestamp) -> Self {
        Self::I64(time.as_millis())
    }
}

impl<T: Into<Val>> From<Option<T>> for Val {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

macro_rules! ids {
    ($($id:ident),+) => {$(
        impl From<tacit_model::$id> for Val {
            fn from(id: tacit_model::$id) -> Self {
                Self::Blob(id.as_bytes().to_vec())
            }
        }

        impl FromVal for tacit_model::$id {
            fn from_val(value: Val) -> Option<Self> {
                <[u8; 16]>::from_val(value).map(Self::from_bytes)
            }
        }
    )+};
}

ids!(
    WorkspaceId,
    EnvironmentId,
    SecretId,
    VariableId,
    UserId,
    ServiceAccountId,
    TokenId,
    AutomationId,
    RunId,
    LeaseId,
    AgentSessionId,
    DeploymentId,
    RoleId,
    GrantId,
    SessionId,
    InvitationId
);

/// One row; its values are taken out from left to right.
pub(crate) struct Row(std::vec::IntoIter<Val>);

impl Row {
    pub(crate) fn new(values: Vec<Val>) -> Self {
        Self(values.into_iter())
    }

    /// The next value of the row.
    pub(crate) fn take<T: FromVal>(&mut self) -> Result<T, ReadError> {
        self.0
            .next()
            .and_then(T::from_val)
            .ok_or_else(|| ReadError("a column holds what it should not".to_owned()))
    }

    /// The next value, parsed from its text.
    pub(crate) fn parse<T: std::str::FromStr>(&mut self) -> Result<T, ReadError> {
        self.take::<String>()?
            .parse()
            .map_err(|_| ReadError("a column holds a text that does not parse".to_owned()))
    }
}

/// What a column can be read as.
pub(crate) trait FromVal: Sized {
    fn from_val(value: Val) -> Option<Self>;
}

impl FromVal for i64 {
    fn from_val(value: Val) -> Option<Self> {
        if let Val::I64(number) = value { Some(number) } else { None }
    }
}

impl FromVal for bool {
    fn from_val(value: Val) -> Option<Self> {
        i64::from_val(value).map(|number| number != 0)
    }
}

impl FromVal for Timestamp {
    fn from_val(value: Val) -> Option<Self> {
        i64::from_val(value).map(Timestamp::from_millis)
    }
}

impl FromVal for String {
    fn from_val(value: Val) -> Option<Self> {
        if let Val::Text(text) = value { Some(text) } else { None }
    }
}

impl FromVal for Vec<u8> {
    fn from_val(value: Val) -> Option<Self> {
        if let Val::Blob(bytes) = value { Some(bytes) } else { None }
    }
}

impl<const N: usize> FromVal for [u8; N] {
    fn from_val(value: Val) -> Option<Self> {
        Vec::<u8>::from_val(value)?.try_into().ok()
    }
}

impl<T: FromVal> FromVal for Option<T> {
    fn from_val(value: Val) -> Option<Self> {
        if value == Val::Null { Some(None) } else { T::from_val(value).map(Some) }
    }
}

/// `args![workspace, name]`: the values of a statement.
macro_rules! args {
    ($($value:expr),* $(,)?) => {
        [$($crate::value::Val::from($value)),*]
    };
}
pub(crate) use args;
