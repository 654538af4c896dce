//! Times on the wire: RFC 3339, in UTC.

use std::time::SystemTime;

use tacit_model::{Problem, Timestamp};

/// The server's clock.
pub(crate) fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_millis(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

/// As it is sent.
pub(crate) fn print(time: Timestamp) -> String {
    jiff::Timestamp::from_millisecond(time.as_millis()).map(|time| time.to_string()).unwrap_or_default()
}

/// As it is received.
pub(crate) fn parse(field: &str, text: &str) -> Result<Timestamp, Problem> {
    text.parse::<jiff::Timestamp>()
        .map(|time| Timestamp::from_millis(time.as_millisecond()))
        .map_err(|_| Problem::invalid(field, "must be a time in RFC 3339, such as 2027-01-31T00:00:00Z"))
}

/// The same where it may be left out.
pub(crate) fn parse_opt(field: &str, text: Option<&str>) -> Result<Option<Timestamp>, Problem> {
    text.map(|text| parse(field, text)).transpose()
}
