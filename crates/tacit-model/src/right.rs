//! Rights, sets of them, and the built-in roles.

use std::{fmt, str::FromStr};

use crate::RoleId;

macro_rules! rights {
    ($($(#[$doc:meta])* $variant:ident = $text:literal,)+) => {
        /// One right. None implies another.
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Right { $($(#[$doc])* $variant,)+ }

        impl Right {
            /// Every right there is.
            pub const ALL: &[Right] = &[$(Right::$variant,)+];

            /// The right's name on the wire.
            pub const fn as_str(self) -> &'static str {
                match self { $(Right::$variant => $text,)+ }
            }
        }
    };
}

rights! {
    /// See that secrets exist, their names, descriptions and state.
    SecretList = "secret.list",
    /// Have a value put where its destinations allow, without seeing it.
    SecretUse = "secret.use",
    /// Look at the value of a masked secret.
    SecretReveal = "secret.reveal",
    /// Create, rotate, roll back, disable, import.
    SecretWrite = "secret.write",
    /// Delete and restore.
    SecretDelete = "secret.delete",
    /// Say where a secret may go.
    SecretPolicy = "secret.policy",
    /// Create, change and delete variables.
    VariableWrite = "variable.write",
    /// Create, change and delete automations.
    AutomationWrite = "automation.write",
    /// Run automations.
    AutomationRun = "automation.run",
    /// Move automations between environments.
    Deploy = "deploy",
    /// Connect and revoke OAuth connections.
    ConnectionManage = "connection.manage",
    /// Grant rights that one holds.
    GrantManage = "grant.manage",
    /// Add and remove members and service accounts.
    MemberManage = "member.manage",
    /// Read the record.
    AuditRead = "audit.read",
    /// Change the workspace's settings and environments.
    WorkspaceManage = "workspace.manage",
}

/// There is no right of this name.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("is not a right")]
pub struct UnknownRight;

impl FromStr for Right {
    type Err = UnknownRight;

    fn from_str(text: &str) -> Result<Self, UnknownRight> {
        Right::ALL.iter().copied().find(|right| right.as_str() == text).ok_or(UnknownRight)
    }
}

impl fmt::Debug for Right {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Display for Right {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A set of rights.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub struct Rights(u32);

impl Rights {
    /// No right.
    pub const NONE: Rights = Rights(0);

    /// These rights.
    pub const fn of(rights: &[Right]) -> Self {
        let mut bits = 0;
        let mut at = 0;
        while at < rights.len() {
            bits |= 1 << rights[at] as u32;
            at += 1;
        }
        Self(bits)
    }

    /// Whether the set holds this one right.
    pub const fn has(self, right: Right) -> bool {
        self.0 & (1 << right as u32) != 0
    }

    /// Whether every right of `other` is in this set.
    pub const fn covers(self, other: Rights) -> bool {
        self.0 & other.0 == other.0
    }

    /// What an agent may do at most, whoever it acts for: never look, write, aim, delete, grant or manage.
    pub const AGENT: Rights = Rights::of(&[
        Right::SecretList,
        Right::SecretUse,
        Right::VariableWrite,
        Right::AutomationWrite,
        Right::AutomationRun,
    ]);

    /// What a trigger may do at most, whoever enabled it: find its automation, and run it.
    pub const TRIGGER: Rights = Rights::of(&[Right::SecretList, Right::AutomationRun]);

    /// The rights that are in both sets.
    pub const fn and(self, other: Rights) -> Self {
        Self(self.0 & other.0)
    }

    /// The rights that are in either set.
    pub const fn or(self, other: Rights) -> Self {
        Self(self.0 | other.0)
    }

    /// This set without those of another.
    pub const fn minus(self, other: Rights) -> Self {
        Self(self.0 & !other.0)
    }

    /// Whether there is none in it.
    pub const fn is_none(self) -> bool {
        self.0 == 0
    }

    /// This set without one right.
    pub const fn without(self, right: Right) -> Self {
        Self(self.0 & !(1 << right as u32))
    }

    /// The rights in their fixed order.
    pub fn iter(self) -> impl Iterator<Item = Right> {
        Right::ALL.iter().copied().filter(move |right| self.has(*right))
    }
}

impl fmt::Display for Rights {
    /// The rights' names with a space between them, which is also how a custom role is stored.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, right) in self.iter().enumerate() {
            write!(f, "{}{right}", if at == 0 { "" } else { " " })?;
        }
        Ok(())
    }
}

impl FromStr for Rights {
    type Err = UnknownRight;

    fn from_str(text: &str) -> Result<Self, UnknownRight> {
        text.split_whitespace().try_fold(Rights::NONE, |set, right| Ok(set.or(Rights::of(&[right.parse()?]))))
    }
}

impl fmt::Debug for Rights {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}

/// A built-in role: a name for a set of rights.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Role {
    /// All rights.
    Owner,
    /// All but the workspace's settings and owners' membership.
    Admin,
    /// Builds automations with secrets by name.
    Editor,
    /// Runs and deploys.
    Operator,
    /// Runs.
    Member,
    /// Reads the record.
    Auditor,
}

/// There is no built-in role of this name.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("is not a role; the built-in ones are owner, admin, editor, operator, member and auditor")]
pub struct UnknownRole;

impl Role {
    /// Every built-in role.
    pub const ALL: &[Role] =
        &[Role::Owner, Role::Admin, Role::Editor, Role::Operator, Role::Member, Role::Auditor];

    /// The role's name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Role::Owner => "owner",
            Role::Admin => "admin",
            Role::Editor => "editor",
            Role::Operator => "operator",
            Role::Member => "member",
            Role::Auditor => "auditor",
        }
    }

    /// What the role may do.
    pub const fn rights(self) -> Rights {
        use Right::*;
        match self {
            Role::Owner => Rights::of(Right::ALL),
            Role::Admin => Rights::of(Right::ALL).without(WorkspaceManage),
            Role::Editor => {
                Rights::of(&[SecretList, SecretUse, VariableWrite, AutomationWrite, AutomationRun])
            }
            Role::Operator => Rights::of(&[SecretList, AutomationRun, Deploy]),
            Role::Member => Rights::of(&[SecretList, AutomationRun]),
            Role::Auditor => Rights::of(&[SecretList, AuditRead]),
        }
    }
}

impl FromStr for Role {
    type Err = UnknownRole;

    fn from_str(text: &str) -> Result<Self, UnknownRole> {
        Role::ALL.iter().copied().find(|role| role.as_str() == text).ok_or(UnknownRole)
    }
}

/// The role that somebody has: a built-in one, or one of the workspace's own by its id. By id, so that a role made later
/// under the name of one that was deleted is nobody's.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum RoleRef {
    /// A built-in role.
    BuiltIn(Role),
    /// A custom role.
    Custom(RoleId),
}

impl From<Role> for RoleRef {
    fn from(role: Role) -> Self {
        Self::BuiltIn(role)
    }
}

impl fmt::Display for RoleRef {
    /// As it is stored: the name of a built-in role, the id of a custom one.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BuiltIn(role) => f.write_str(role.as_str()),
            Self::Custom(id) => id.fmt(f),
        }
    }
}

impl FromStr for RoleRef {
    type Err = UnknownRole;

    fn from_str(text: &str) -> Result<Self, UnknownRole> {
        text.parse().map(Self::BuiltIn).or_else(|_| text.parse().map(Self::Custom).map_err(|_| UnknownRole))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The contract's table of roles, word for word.
    #[test]
    fn built_in_roles() {
        let list = |role: Role| role.rights().iter().map(Right::as_str).collect::<Vec<_>>().join(" ");
        assert_eq!(
            list(Role::Editor),
            "secret.list secret.use variable.write automation.write automation.run"
        );
        assert_eq!(list(Role::Operator), "secret.list automation.run deploy");
        assert_eq!(list(Role::Member), "secret.list automation.run");
        assert_eq!(list(Role::Auditor), "secret.list audit.read");
        assert_eq!(Role::Owner.rights().iter().count(), Right::ALL.len());
        assert!(!Role::Admin.rights().has(Right::WorkspaceManage));
    }

    /// An agent of an owner does what it does at most, and an agent of an auditor next to nothing.
    #[test]
    fn agents() {
        assert_eq!(Role::Owner.rights().and(Rights::AGENT), Rights::AGENT);
        assert_eq!(Role::Auditor.rights().and(Rights::AGENT), Rights::of(&[Right::SecretList]));
        assert_eq!(Rights::AGENT, Role::Editor.rights());
    }

    /// A set survives being written down, and a word that is no right is no set.
    #[test]
    fn sets_are_written_and_read() {
        for role in Role::ALL {
            assert_eq!(role.rights().to_string().parse(), Ok(role.rights()));
        }
        assert_eq!("".parse(), Ok(Rights::NONE));
        assert_eq!("secret.list secret.everything".parse::<Rights>(), Err(UnknownRight));
    }

    /// No right brings another with it.
    #[test]
    fn rights_do_not_imply_each_other() {
        for one in Right::ALL {
            for other in Right::ALL {
                assert_eq!(Rights::of(&[*one]).has(*other), one == other);
            }
        }
    }
}
