//! Triggers: what starts an automation by itself. Here is how they are written and whether that is valid; they fire in
//! an environment where a deployment enables them.

use serde::{Deserialize, Serialize};

use crate::automation::Issue;

/// Bytes of a time zone's name.
const TIMEZONE_BYTES_MAX: usize = 64;
/// Bytes of a cron expression.
const CRON_BYTES_MAX: usize = 256;

/// One trigger.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
pub enum Trigger {
    /// At certain times.
    Schedule(Schedule),
    /// When somebody calls the automation's address.
    Webhook(Webhook),
}

/// The times of a trigger.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Schedule {
    /// Five fields: minute, hour, day of the month, month, day of the week.
    pub cron: String,
    /// Whose clock, such as `Europe/Berlin`; UTC unless said.
    #[serde(default = "utc")]
    pub timezone: String,
}

/// A webhook has nothing to say about itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Webhook {}

fn utc() -> String {
    "UTC".to_owned()
}

impl Trigger {
    /// Checks what serde cannot. `at` is the trigger's own field.
    pub fn issues(&self, at: &str) -> Vec<Issue> {
        let Self::Schedule(schedule) = self else { return Vec::new() };
        let mut issues = Vec::new();
        if let Err(message) = check_cron(&schedule.cron) {
            issues.push(Issue::new(format!("{at}.schedule.cron"), message));
        }
        if !is_timezone(&schedule.timezone) {
            issues.push(Issue::new(
                format!("{at}.schedule.timezone"),
                "must be the name of a time zone, such as Europe/Berlin or UTC",
            ));
        }
        issues
    }
}

/// One of the five fields of a cron expression.
struct Field {
    name: &'static str,
    min: u8,
    max: u8,
    /// What may stand for a number, in their order from `min`.
    words: &'static [&'static str],
}

const FIELDS: [Field; 5] = [
    Field { name: "minute", min: 0, max: 59, words: &[] },
    Field { name: "hour", min: 0, max: 23, words: &[] },
    Field { name: "day of the month", min: 1, max: 31, words: &[] },
    Field {
        name: "month",
        min: 1,
        max: 12,
        words: &["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"],
    },
    // Sunday is 0 and 7.
    Field {
        name: "day of the week",
        min: 0,
        max: 7,
        words: &["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"],
    },
];

fn check_cron(text: &str) -> Result<(), String> {
    let parts: Vec<&str> = text.split_ascii_whitespace().collect();
    if text.len() > CRON_BYTES_MAX || parts.len() != FIELDS.len() {
        return Err("must be five fields (minute, hour, day of the month, month, day of the week), \
                    such as `0 6 * * MON-FRI`"
            .to_owned());
    }
    for (field, part) in FIELDS.iter().zip(parts) {
        if !part.split(',').all(|item| field.accepts(item)) {
            let Field { name, min, max, .. } = field;
            return Err(format!(
                "names no {name}: write numbers from {min} to {max}, ranges, lists, steps or `*`"
            ));
        }
    }
    Ok(())
}

impl Field {
    /// `*`, `5`, `1-5`, `*/10`, `0-30/5`.
    fn accepts(&self, item: &str) -> bool {
        let (range, step) = match item.split_once('/') {
            Some((range, step)) => (range, Some(step)),
            None => (item, None),
        };
        let step_fits =
            step.is_none_or(|step| number(step).is_some_and(|step| (1..=self.max).contains(&step)));
        let range_fits = match range.split_once('-') {
            _ if range == "*" => true,
            Some((from, to)) => {
                matches!((self.value(from), self.value(to)), (Some(from), Some(to)) if from <= to)
            }
            // A step needs something to step through.
            None => step.is_none() && self.value(range).is_some(),
        };
        step_fits && range_fits
    }

    fn value(&self, text: &str) -> Option<u8> {
        let word = self.words.iter().position(|word| word.eq_ignore_ascii_case(text));
        let value = match word {
            Some(at) => self.min.checked_add(u8::try_from(at).ok()?),
            None => number(text),
        };
        value.filter(|value| (self.min..=self.max).contains(value))
    }
}

/// Digits alone: `parse` takes a sign too.
fn number(text: &str) -> Option<u8> {
    text.bytes().all(|b| b.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}

/// The shape of a name in the time zone database. Whether there is such a zone is known where clocks are.
fn is_timezone(text: &str) -> bool {
    text.len() <= TIMEZONE_BYTES_MAX
        && text.bytes().next().is_some_and(|b| b.is_ascii_alphabetic())
        && text.split('/').all(|part| {
            !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric() || b"_+-".contains(&b))
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// What crontab(5) takes is taken, and nothing else.
    #[test]
    fn cron() {
        for good in [
            "0 6 * * MON-FRI",
            "*/15 0-6,22 1,15 jan-mar 0",
            "59 23 31 DEC 7",
            "0-30/5 * * * *",
            "  0  0 1 1 sun ",
        ] {
            assert_eq!(check_cron(good), Ok(()), "{good}");
        }
        for bad in [
            "",
            "* * * *",
            "* * * * * *",
            "60 * * * *",
            "* 24 * * *",
            "* * 0 * *",
            "* * * 13 *",
            "* * * * 8",
            "5-1 * * * *",
            "*/0 * * * *",
            "5/10 * * * *",
            "1,, * * * *",
            "+5 * * * *",
            "-1 * * * *",
            "MON * * * *",
            "@daily",
            "* * * * MON-",
            "*-5 * * * *",
            "256 * * * *",
        ] {
            assert!(check_cron(bad).is_err(), "{bad}");
        }
        assert!(check_cron("0 25 * * *").unwrap_err().contains("hour"));
    }

    /// Names of zones, and no paths out of a zone directory.
    #[test]
    fn timezones() {
        for good in ["UTC", "Europe/Berlin", "America/Argentina/Buenos_Aires", "Etc/GMT+5"] {
            assert!(is_timezone(good), "{good}");
        }
        for bad in ["", "/etc/passwd", "../x", "Europe/", "Europe Berlin", "+02:00"] {
            assert!(!is_timezone(bad), "{bad}");
        }
    }

    /// Both kinds as the contract writes them, nothing beside.
    #[test]
    fn triggers() {
        let parse = |value| serde_json::from_value::<Trigger>(value);
        let written = json!({"schedule": {"cron": "0 6 * * *", "timezone": "Europe/Berlin"}});
        let parsed = parse(written.clone()).unwrap();
        assert!(parsed.issues("triggers[0]").is_empty());
        assert_eq!(serde_json::to_value(parsed).unwrap(), written);
        assert_eq!(parse(json!({"webhook": {}})).unwrap(), Trigger::Webhook(Webhook {}));
        let bad = parse(json!({"schedule": {"cron": "daily", "timezone": "moon base"}})).unwrap();
        let fields: Vec<String> = bad.issues("t").into_iter().map(|issue| issue.field).collect();
        assert_eq!(fields, ["t.schedule.cron", "t.schedule.timezone"]);
        for unknown in
            [json!({"schedule": {"cron": "* * * * *", "tz": "UTC"}}), json!({"webhook": {"x": 1}}), json!({})]
        {
            assert!(parse(unknown.clone()).is_err(), "{unknown}");
        }
    }
}
