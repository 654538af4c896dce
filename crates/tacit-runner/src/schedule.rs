//! Schedules: when they fire, and firing them.
//!
//! When a schedule fires next stands in the database. Whoever fires it moves that on in the transaction that makes the run,
//! so that one node fires it, once. After a time in which no node was there, what was missed fires once and not as often as
//! it was missed.

use std::{str::FromStr, time::Duration};

use croner::Cron;
use jiff::{Timestamp as Instant, Zoned, tz::TimeZone};
use tacit_model::{Automation, Code, Issue, Problem, Timestamp, Trigger};
use tacit_vault::Scheduled;
use tokio::task::JoinSet;

use crate::{Runner, now};

/// How long to sleep at most: another node may have planned something sooner.
const SLEEP_MAX: Duration = Duration::from_secs(1);

/// Schedules that are looked at together.
const BATCH_MAX: usize = 1000;

/// Schedules that are fired at the same time: enough to share commits, and few enough to leave room for others.
const AT_ONCE_MAX: usize = 128;

/// What is wrong with the schedules of a definition beyond their spelling: a time zone that nobody knows, a time that never
/// comes.
pub fn issues(definition: &Automation) -> Vec<Issue> {
    let mut issues = Vec::new();
    for (at, trigger) in definition.triggers.iter().enumerate() {
        let Trigger::Schedule(schedule) = trigger else { continue };
        let field = format!("triggers[{at}].schedule");
        if !trigger.issues("").is_empty() {
            // It is not even one; that is said elsewhere, and better.
            continue;
        }
        if TimeZone::get(&schedule.timezone).is_err() {
            let message = "is no time zone that is known, such as Europe/Berlin or UTC";
            issues.push(Issue::new(format!("{field}.timezone"), message));
        } else if next(&schedule.cron, &schedule.timezone, now()).is_none() {
            issues.push(Issue::new(format!("{field}.cron"), "names a time that never comes"));
        }
    }
    issues
}

/// When a schedule fires next after a time, by its own clock: a time that is left out in spring fires when it would have been,
/// one that comes twice in autumn fires once; what fires every so many minutes goes on through both.
pub fn next(cron: &str, timezone: &str, after: Timestamp) -> Option<Timestamp> {
    let zone = TimeZone::get(timezone).ok()?;
    let after: Zoned = Instant::from_millisecond(after.as_millis()).ok()?.to_zoned(zone);
    let next = Cron::from_str(cron).ok()?.find_next_occurrence(&after, false).ok()?;
    Some(Timestamp::from_millis(next.timestamp().as_millisecond()))
}

impl Runner {
    /// Fires schedules until the process is about to stop.
    pub async fn keep_schedules(self) {
        while !self.is_closing() {
            let (is_more, is_well) = match self.fire_due().await {
                Ok((looked_at, left)) => (looked_at == BATCH_MAX && left == 0, left == 0),
                Err(problem) => {
                    tracing::error!(cause = problem.cause(), "schedules cannot be kept");
                    (false, false)
                }
            };
            if is_more {
                continue;
            }
            let next_at = self.vault.next_schedule_at().await.ok().flatten();
            let left_ms = next_at.map_or(i64::MAX, |next| next.as_millis().saturating_sub(now().as_millis()));
            // What could not be fired just now is due still: while a disk is full that is no reason to be busy.
            let shortest = if is_well { Duration::from_millis(5) } else { SLEEP_MAX };
            let sleep = Duration::from_millis(u64::try_from(left_ms).unwrap_or(0)).clamp(shortest, SLEEP_MAX);
            tokio::select! {
                () = self.shared.replan.notified() => {}
                () = tokio::time::sleep(sleep) => {}
                () = self.closing() => {}
            }
        }
    }

    /// Hears that triggers were enabled: their times are worked out at once.
    pub fn replan(&self) {
        self.shared.replan.notify_one();
    }

    /// Fires what is due and works out what is not yet; how many those were, and how many of them are left for another time.
    async fn fire_due(&self) -> Result<(usize, usize), Problem> {
        let due = self.vault.due_schedules(now(), BATCH_MAX).await?;
        let looked_at = due.len();
        let (mut firing, mut left) = (JoinSet::new(), 0);
        for schedule in due {
            if self.is_closing() {
                break;
            }
            if firing.len() == AT_ONCE_MAX {
                left += usize::from(!matches!(firing.join_next().await, Some(Ok(true))));
            }
            let runner = self.clone();
            firing.spawn(async move { runner.fire_or_plan(&schedule).await });
        }
        while let Some(done) = firing.join_next().await {
            left += usize::from(!matches!(done, Ok(true)));
        }
        Ok((looked_at, left))
    }

    /// False if it has to be tried again.
    async fn fire_or_plan(&self, schedule: &Scheduled) -> bool {
        let now = now();
        let next_at = next(&schedule.cron, &schedule.timezone, now);
        let Some(due) = schedule.next_at else {
            let planned = self.vault.plan_schedule(schedule, next_at).await;
            if let Err(problem) = &planned {
                tracing::error!(cause = problem.cause(), "a schedule cannot be planned");
            }
            return planned.is_ok();
        };
        let late = now.as_millis().saturating_sub(due.as_millis());
        metrics::histogram!("tacit_schedule_late_seconds").record(late as f64 / 1000.0);
        match self.vault.fire_schedule(schedule, next_at, *self.shared.node, now).await {
            Ok(Some(queued)) => drop(self.queued(queued).await),
            // Another node's.
            Ok(None) => {}
            Err(problem) if matches!(problem.code, Code::AuditUnavailable | Code::Internal) => {
                tracing::error!(cause = problem.cause(), "a schedule cannot be fired; it is tried again");
                return false;
            }
            // It is on the record, where whoever enabled it looks.
            Err(problem) => tracing::warn!(code = %problem.code, "a schedule was refused"),
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nexts(cron: &str, zone: &str, after: &str, count: usize) -> Vec<String> {
        let millis = |text: &str| Timestamp::from_millis(text.parse::<Instant>().unwrap().as_millisecond());
        let mut at = millis(after);
        (0..count)
            .map(|_| {
                at = next(cron, zone, at).unwrap();
                Instant::from_millisecond(at.as_millis()).unwrap().to_string()
            })
            .collect()
    }

    /// Six o'clock is six o'clock on the wall, summer and winter; a weekend is left out.
    #[test]
    fn by_the_wall_clock() {
        assert_eq!(
            nexts("0 6 * * MON-FRI", "Europe/Berlin", "2026-03-26T00:00:00Z", 4),
            ["2026-03-26T05:00:00Z", "2026-03-27T05:00:00Z", "2026-03-30T04:00:00Z", "2026-03-31T04:00:00Z"]
        );
        assert_eq!(
            nexts("*/15 * * * *", "UTC", "2026-01-01T00:00:00Z", 2),
            ["2026-01-01T00:15:00Z", "2026-01-01T00:30:00Z"]
        );
    }

    /// Half past two: once when there is none, once when there are two.
    #[test]
    fn hours_that_are_missing_or_twice() {
        let spring = nexts("30 2 * * *", "Europe/Berlin", "2026-03-28T12:00:00Z", 2);
        assert_eq!(spring.len(), 2);
        assert!(spring[0].starts_with("2026-03-29T01:") && spring[1] == "2026-03-30T00:30:00Z", "{spring:?}");
        let autumn = nexts("30 2 * * *", "Europe/Berlin", "2026-10-24T12:00:00Z", 2);
        assert!(autumn[0].starts_with("2026-10-25T0") && autumn[1] == "2026-10-26T01:30:00Z", "{autumn:?}");
    }

    /// What fires all day long goes on through both: in spring it leaves nothing out, in autumn it fires in both of the hours.
    #[test]
    fn quarters_of_an_hour() {
        let spring = nexts("*/30 * * * *", "Europe/Berlin", "2026-03-29T00:10:00Z", 4);
        assert_eq!(
            spring,
            ["2026-03-29T00:30:00Z", "2026-03-29T01:00:00Z", "2026-03-29T01:30:00Z", "2026-03-29T02:00:00Z"]
        );
        let autumn = nexts("*/30 * * * *", "Europe/Berlin", "2026-10-24T23:40:00Z", 5);
        assert_eq!(
            autumn,
            [
                "2026-10-25T00:00:00Z",
                "2026-10-25T00:30:00Z",
                "2026-10-25T01:00:00Z",
                "2026-10-25T01:30:00Z",
                "2026-10-25T02:00:00Z"
            ]
        );
    }

    /// A zone that is none and a day that never comes are told when the definition is saved.
    #[test]
    fn never() {
        let definition = |cron: &str, zone: &str| -> Automation {
            serde_json::from_value(serde_json::json!({"name": "a", "triggers": [{"webhook": {}}, {"schedule": {"cron": cron, "timezone": zone}}], "steps": []}))
                .unwrap()
        };
        let fields = |cron, zone| -> Vec<String> {
            issues(&definition(cron, zone)).into_iter().map(|issue| issue.field).collect()
        };
        assert!(fields("0 6 * * *", "America/New_York").is_empty());
        assert_eq!(fields("0 6 * * *", "Europe/Berln"), ["triggers[1].schedule.timezone"]);
        assert_eq!(fields("0 0 30 2 *", "UTC"), ["triggers[1].schedule.cron"]);
    }

    /// What the model accepts, the calendar understands.
    #[test]
    fn one_grammar() {
        for cron in [
            "0 6 * * MON-FRI",
            "*/15 0-6,22 1,15 jan-mar 0",
            "59 23 31 DEC 7",
            "0-30/5 * * * *",
            "0 0 1 1 sun",
        ] {
            assert!(next(cron, "UTC", Timestamp::from_millis(0)).is_some(), "{cron}");
        }
    }
}
