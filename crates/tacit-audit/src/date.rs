//! A moment as RFC 3339 prints it, in UTC with milliseconds.

use std::fmt;

use tacit_model::Timestamp;

/// Prints as `2026-11-05T09:30:00.123Z`.
///
/// By hand, because the crate is pure and one conversion is not worth a calendar library. A year that has not four
/// digits is printed with as many as it needs: an event's time is never wrong, only unusual.
pub(crate) struct Rfc3339(pub(crate) Timestamp);

const DAY_MILLIS: i64 = 86_400_000;

impl fmt::Display for Rfc3339 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let millis = self.0.as_millis();
        let (year, month, day) = civil_from_days(millis.div_euclid(DAY_MILLIS));
        let of_day = millis.rem_euclid(DAY_MILLIS);
        let (hour, minute, second) = (of_day / 3_600_000, of_day / 60_000 % 60, of_day / 1000 % 60);
        write!(f, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{:03}Z", of_day % 1000)
    }
}

/// Year, month and day of the proleptic Gregorian calendar from the days since 1970-01-01.
///
/// Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms": years are counted from March, so that the leap day
/// comes last, in eras of 400 years, which all have the same 146,097 days.
fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468; // from 0000-03-01
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn print(millis: i64) -> String {
        Rfc3339(Timestamp::from_millis(millis)).to_string()
    }

    /// Known moments, leap days, the century rule and moments before 1970.
    #[test]
    fn known_moments() {
        for (millis, text) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (-1, "1969-12-31T23:59:59.999Z"),
            (951_782_400_000, "2000-02-29T00:00:00.000Z"),
            (1_709_164_800_000, "2024-02-29T00:00:00.000Z"),
            (1_700_000_000_123, "2023-11-14T22:13:20.123Z"),
            (4_107_542_399_999, "2100-02-28T23:59:59.999Z"),
            (4_107_542_400_000, "2100-03-01T00:00:00.000Z"),
            (253_402_300_799_999, "9999-12-31T23:59:59.999Z"),
            (-62_135_596_800_000, "0001-01-01T00:00:00.000Z"),
        ] {
            assert_eq!(print(millis), text);
        }
    }

    /// Each day follows the one before, over eight centuries.
    #[test]
    fn days_follow_each_other() {
        let length = |year: i64, month: i64| match month {
            2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
            2 => 28,
            4 | 6 | 9 | 11 => 30,
            _ => 31,
        };
        let mut expected = (1970, 1, 1);
        for days in 0..300_000 {
            assert_eq!(civil_from_days(days), expected);
            let (year, month, day) = expected;
            expected = match (month, day) {
                (12, 31) => (year + 1, 1, 1),
                _ if day == length(year, month) => (year, month + 1, 1),
                _ => (year, month, day + 1),
            };
        }
    }

    /// The ends of the range print something and do not overflow.
    #[test]
    fn extremes_print() {
        assert!(print(i64::MAX).ends_with('Z') && print(i64::MIN).starts_with('-'));
    }
}
