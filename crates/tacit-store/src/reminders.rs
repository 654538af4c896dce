//! Which secrets are due to be rotated or about to end, and which of that is on the record.

use tacit_model::{SecretId, SecretName, Timestamp, WorkspaceId};

use crate::{
    ReadError, Statement, Store,
    value::{Row, args},
};

/// What a secret's dates ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reminder {
    /// A date is near.
    Due,
    /// The date of a rotation has passed.
    Overdue,
    /// The credential has ended.
    Expired,
}

/// How a secret without a reminder is written in the database.
pub(crate) const NO_REMINDER: &str = "none";

impl Reminder {
    /// `due`, `overdue` or `expired`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Due => "due",
            Self::Overdue => "overdue",
            Self::Expired => "expired",
        }
    }

    /// What two dates ask for at a time. The statements below and those of a list decide the same.
    pub fn of(rotate_at: Option<Timestamp>, expires_at: Option<Timestamp>, now: Timestamp) -> Option<Self> {
        let soon = now.plus_secs(tacit_model::limits::REMIND_DAYS * 86_400);
        if expires_at.is_some_and(|at| at <= now) {
            Some(Self::Expired)
        } else if rotate_at.is_some_and(|at| at <= now) {
            Some(Self::Overdue)
        } else if [rotate_at, expires_at].iter().flatten().any(|at| *at <= soon) {
            Some(Self::Due)
        } else {
            None
        }
    }

    fn parse(text: &str) -> Option<Self> {
        [Self::Due, Self::Overdue, Self::Expired].into_iter().find(|reminder| reminder.as_str() == text)
    }
}

/// A secret whose reminder is another one than the record says.
#[derive(Clone, Debug)]
pub struct Reminded {
    /// The secret.
    pub secret: SecretId,
    /// Its name.
    pub name: SecretName,
    /// Its reminder now.
    pub reminder: Option<Reminder>,
}

impl Store {
    /// Secrets whose reminder changed since it was last put on the record, at most `limit`.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn changed_reminders(
        &self,
        workspace: WorkspaceId,
        now: Timestamp,
        limit: usize,
    ) -> Result<Vec<Reminded>, ReadError> {
        const SQL: &str = "SELECT id, name, state FROM (
             SELECT id, name, reminded, CASE WHEN expires_at <= ?2 THEN 'expired' WHEN rotate_at <= ?2 THEN 'overdue'
               WHEN min(coalesce(expires_at, rotate_at), coalesce(rotate_at, expires_at)) <= ?2 + 604800000 THEN 'due'
               ELSE 'none' END AS state
             FROM secrets WHERE workspace = ?1 AND deleted_at IS NULL
               AND (rotate_at IS NOT NULL OR expires_at IS NOT NULL OR reminded <> 'none'))
             WHERE state <> reminded LIMIT ?3";
        let reminded = |mut row: Row| {
            Ok(Reminded {
                secret: row.take()?,
                name: row.parse()?,
                reminder: Reminder::parse(&row.take::<String>()?),
            })
        };
        self.rows(SQL, &args![workspace, now, limit as i64]).await?.into_iter().map(reminded).collect()
    }

    /// How many secrets of a workspace have each reminder: due, overdue, expired.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn reminder_counts(
        &self,
        workspace: WorkspaceId,
        now: Timestamp,
    ) -> Result<[i64; 3], ReadError> {
        const SQL: &str = "SELECT coalesce(sum(state = 'due'), 0), coalesce(sum(state = 'overdue'), 0), coalesce(sum(state = 'expired'), 0)
             FROM (SELECT CASE WHEN expires_at <= ?2 THEN 'expired' WHEN rotate_at <= ?2 THEN 'overdue'
               WHEN min(coalesce(expires_at, rotate_at), coalesce(rotate_at, expires_at)) <= ?2 + 604800000 THEN 'due'
               ELSE 'none' END AS state
             FROM secrets WHERE workspace = ?1 AND deleted_at IS NULL
               AND (rotate_at IS NOT NULL OR expires_at IS NOT NULL OR reminded <> 'none'))";
        let Some(mut row) = self.row(SQL, &args![workspace, now]).await? else { return Ok([0; 3]) };
        Ok([row.take()?, row.take()?, row.take()?])
    }
}

/// The record has this reminder of a secret now.
pub fn set_reminded(workspace: WorkspaceId, secret: SecretId, reminder: Option<Reminder>) -> Statement {
    Statement::exactly_one(
        "UPDATE secrets SET reminded = ?3 WHERE workspace = ?1 AND id = ?2",
        args![workspace, secret, reminder.map_or(NO_REMINDER, Reminder::as_str)],
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The number of days in the statements is the limit's.
    #[test]
    fn days_are_the_limit() {
        assert_eq!(tacit_model::limits::REMIND_DAYS * 86_400_000, 604_800_000);
    }

    /// What is over outweighs what is to come, and an end outweighs a rotation.
    #[test]
    fn reminders() {
        let day = |day: i64| Some(Timestamp::from_millis(1_700_000_000_000).plus_secs(day * 86_400));
        let now = day(0).unwrap();
        for (rotate, expires, expected) in [
            (None, None, None),
            (day(8), None, None),
            (day(7), None, Some(Reminder::Due)),
            (None, day(3), Some(Reminder::Due)),
            (day(30), day(3), Some(Reminder::Due)),
            (day(0), day(3), Some(Reminder::Overdue)),
            (day(-1), None, Some(Reminder::Overdue)),
            (day(-1), day(-1), Some(Reminder::Expired)),
            (day(9), day(0), Some(Reminder::Expired)),
        ] {
            assert_eq!(Reminder::of(rotate, expires, now), expected, "{rotate:?} {expires:?}");
        }
    }
}
