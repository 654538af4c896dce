//! Sending a step again: whether that is safe, and after how long.

use std::time::{Duration, SystemTime};

use serde_json::Value;
use tacit_model::{Code, HttpStep, Problem, Retry, limits};
use tacit_template::{Rendered, Scope, Template};

use crate::StepDone;

/// Answers that say "perhaps later".
const PASSING: [u64; 7] = [408, 425, 429, 500, 502, 503, 504];

/// Methods of which sending twice is as good as sending once (RFC 9110, section 9.2.2).
const IDEMPOTENT: [&str; 5] = ["GET", "HEAD", "OPTIONS", "PUT", "DELETE"];

/// The moment at which a step failed.
#[derive(Clone, Copy)]
pub(crate) struct Moment {
    /// Whether what was sent had a key by which the service knows it again.
    pub(crate) has_key: bool,
    /// By the clock on the wall.
    pub(crate) now: SystemTime,
    /// What is left of the time that a run may take.
    pub(crate) left: Duration,
    /// Between 0 and 1. Without it, everybody who was turned away at the same time would come back at the same time.
    pub(crate) chance: f64,
}

/// How long to wait before a step is sent again; `None` if it is not.
pub(crate) fn wait(
    step: &HttpStep,
    result: &Result<StepDone, Problem>,
    attempt: u32,
    at: Moment,
) -> Option<Duration> {
    let retry = step.retry.as_ref().filter(|retry| attempt < retry.attempts)?;
    let (unsent, asked) = match result {
        Ok(StepDone { problem: None, .. }) => return None,
        Ok(done) => {
            let status = done.output["status"].as_u64()?;
            if !PASSING.contains(&status) {
                return None;
            }
            (false, retry_after(&done.output, at.now))
        }
        Err(problem) if matches!(problem.code, Code::UpstreamFailed | Code::UpstreamTimeout) => {
            (problem.unsent, None)
        }
        Err(_) => return None,
    };
    if !unsent && !at.has_key && !is_safe(step, retry) {
        return None;
    }
    let longest = Duration::from_millis(limits::RETRY_BACKOFF_MS_MAX);
    // Sooner than the service asked for would be rude, and later than this is a matter for another run.
    if asked.is_some_and(|asked| asked > longest) {
        return None;
    }
    let wait = backoff(retry, attempt, at.chance).max(asked.unwrap_or_default()).min(longest);
    (wait < at.left).then_some(wait)
}

/// Whether the service cannot have done anything that a second time would do again.
fn is_safe(step: &HttpStep, retry: &Retry) -> bool {
    retry.repeat_unsafe || IDEMPOTENT.contains(&step.method.as_str())
}

/// Whether a step sends an `Idempotency-Key`, with this data: whoever chooses the input may have left it empty.
pub(crate) fn has_key(step: &HttpStep, data: &dyn Scope) -> bool {
    let is_sent = |written: &str| {
        let rendered = Template::parse(written).ok()?.render_text(data).ok()?;
        Rendered::into_plain_text(rendered).filter(|text| !text.trim().is_empty())
    };
    step.headers.iter().any(|(name, value)| {
        name.eq_ignore_ascii_case("idempotency-key") && value.as_str().and_then(is_sent).is_some()
    })
}

/// Twice as long each time; half of it is left to chance.
fn backoff(retry: &Retry, attempt: u32, chance: f64) -> Duration {
    let first = retry.backoff_ms.unwrap_or(limits::RETRY_BACKOFF_MS_DEFAULT);
    let whole =
        first.saturating_mul(1 << attempt.saturating_sub(1).min(20)).min(limits::RETRY_BACKOFF_MS_MAX);
    Duration::from_millis(whole).mul_f64(0.5 + 0.5 * chance.clamp(0.0, 1.0))
}

/// What the service asks for: seconds, or a date (RFC 9110, section 10.2.3). A date is by the service's own clock, which the
/// answer's `Date` shows; without one it is taken to be ours.
fn retry_after(output: &Value, now: SystemTime) -> Option<Duration> {
    let headers = output["headers"].as_object()?;
    let header = |wanted: &str| {
        let (_, value) = headers.iter().find(|(name, _)| name.eq_ignore_ascii_case(wanted))?;
        value.as_str().map(str::trim)
    };
    let asked = header("retry-after")?;
    if !asked.is_empty() && asked.bytes().all(|byte| byte.is_ascii_digit()) {
        // More digits than fit are more than anybody waits for.
        return Some(Duration::from_secs(asked.parse().unwrap_or(u64::MAX)));
    }
    let then = httpdate::parse_http_date(asked).ok()?;
    let sent = header("date").and_then(|date| httpdate::parse_http_date(date).ok()).unwrap_or(now);
    Some(then.duration_since(sent).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn step(method: &str, more: Value) -> HttpStep {
        let mut step =
            json!({"method": method, "url": "https://x.test/", "retry": {"attempts": 3, "backoff_ms": 100}});
        step.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        serde_json::from_value(step).unwrap()
    }

    fn at(chance: f64) -> Moment {
        Moment { has_key: false, now: SystemTime::UNIX_EPOCH, left: Duration::from_secs(3600), chance }
    }

    fn answered(status: u16, headers: Value) -> Result<StepDone, Problem> {
        let problem = Some(Problem::new(Code::UnexpectedStatus, "no"));
        Ok(StepDone { output: json!({"status": status, "headers": headers}), redactions: 0, problem })
    }

    fn failed(code: Code, unsent: bool) -> Result<StepDone, Problem> {
        let mut problem = Problem::new(code, "no");
        problem.unsent = unsent;
        Err(problem)
    }

    /// Only what cannot do harm twice is sent twice, unless the step says so.
    #[test]
    fn only_what_is_safe() {
        let data = crate::Data::new(json!({"invoice": "in_1", "none": " "}), "test", "run_1");
        let again = |step: &HttpStep, result| {
            let at = Moment { has_key: has_key(step, &data), ..at(0.0) };
            wait(step, &result, 1, at).is_some()
        };
        let (get, post) = (step("GET", json!({})), step("POST", json!({})));
        let keyed = step("POST", json!({"headers": {"idempotency-KEY": "{{input.invoice}}"}}));
        let keyless = step("POST", json!({"headers": {"Idempotency-Key": ""}}));
        let emptied = step("POST", json!({"headers": {"Idempotency-Key": "{{input.none}}"}}));
        let bold = step("PATCH", json!({"retry": {"attempts": 3, "repeat_unsafe": true}}));
        for (step, is_safe) in [
            (&get, true),
            (&post, false),
            (&keyed, true),
            (&keyless, false),
            (&emptied, false),
            (&bold, true),
        ] {
            assert_eq!(again(step, answered(503, json!({}))), is_safe, "{step:?}");
            assert_eq!(again(step, failed(Code::UpstreamTimeout, false)), is_safe, "{step:?}");
            // Nothing was sent: nothing can be done twice.
            assert!(again(step, failed(Code::UpstreamFailed, true)), "{step:?}");
            for refusal in
                [Code::AddressBlocked, Code::DestinationNotAllowed, Code::Forbidden, Code::Interrupted]
            {
                assert!(!again(step, failed(refusal, true)), "{step:?} {refusal}");
            }
            assert!(!again(step, answered(404, json!({}))), "{step:?}");
        }
        assert!(!again(&step("GET", json!({"retry": null})), answered(503, json!({}))));
    }

    /// As often as it says, each time twice as long, by chance up to half of that earlier.
    #[test]
    fn backoff_grows() {
        let get = step("GET", json!({}));
        let after = |attempt, chance| {
            wait(&get, &answered(503, json!({})), attempt, at(chance)).map(|wait| wait.as_millis())
        };
        assert_eq!([after(1, 0.0), after(1, 1.0)], [Some(50), Some(100)]);
        assert_eq!([after(2, 0.0), after(2, 1.0)], [Some(100), Some(200)]);
        assert_eq!(after(3, 0.5), None);
        let patient = step("GET", json!({"retry": {"attempts": 10, "backoff_ms": 300_000}}));
        let longest = wait(&patient, &answered(503, json!({})), 9, at(1.0)).unwrap();
        assert_eq!(longest.as_millis(), u128::from(limits::RETRY_BACKOFF_MS_MAX));
        // Not beyond the time that the run has.
        let late = Moment { left: longest, ..at(1.0) };
        assert_eq!(wait(&patient, &answered(503, json!({})), 9, late), None);
    }

    /// The service's own word counts, up to a bound; beyond it the step is not sent again.
    #[test]
    fn retry_after_counts() {
        let get = step("GET", json!({}));
        let wait = |headers: Value| wait(&get, &answered(429, headers), 1, at(0.0));
        let after = |asked: &str| wait(json!({"Retry-After": asked}));
        assert_eq!(after("7"), Some(Duration::from_secs(7)));
        assert_eq!(after("0"), Some(Duration::from_millis(50)));
        assert_eq!(after("301"), None);
        assert_eq!(after("99999999999999999999"), None);
        assert_eq!(after("-1"), Some(Duration::from_millis(50)));
        // Dates in each of their forms: past, soon, too late.
        for (date, expected) in [
            ("Thu, 01 Jan 1970 00:00:00 GMT", Some(Duration::from_millis(50))),
            ("Thu, 01 Jan 1970 00:00:30 GMT", Some(Duration::from_secs(30))),
            ("Thursday, 01-Jan-70 00:00:30 GMT", Some(Duration::from_secs(30))),
            ("Thu Jan  1 00:00:30 1970", Some(Duration::from_secs(30))),
            ("Fri, 31 Dec 1999 23:59:59 GMT", None),
            ("soon", Some(Duration::from_millis(50))),
        ] {
            assert_eq!(after(date), expected, "{date}");
        }
        // Whatever time it is there.
        let headers = |date: &str| json!({"retry-after": "Fri, 31 Dec 1999 23:59:59 GMT", "date": date});
        assert_eq!(wait(headers("Fri, 31 Dec 1999 23:59:50 GMT")), Some(Duration::from_secs(9)));
        assert_eq!(wait(headers("Sat, 01 Jan 2000 00:00:00 GMT")), Some(Duration::from_millis(50)));
        assert_eq!(wait(headers("yesterday")), None);
    }
}
