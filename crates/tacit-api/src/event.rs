//! The record, as it is shown.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::{IntoParams, ToSchema};

/// One event: who did what to which thing, and how it ended. Never holds a value.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Event {
    /// Its place on the workspace's record.
    pub seq: i64,
    /// Its id, `evt_…`.
    pub id: String,
    /// When, by the server's clock, RFC 3339.
    #[schema(format = "date-time")]
    pub at: String,
    /// Who, such as `user:owner`.
    #[schema(example = "user:owner")]
    pub actor: String,
    /// For whom, where somebody acts for another.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_behalf_of: Option<String>,
    /// What was done or tried.
    #[schema(example = "secret.use")]
    pub verb: String,
    /// To what.
    #[schema(example = "secret:STRIPE_KEY")]
    pub object: String,
    /// `allowed` (an intent), `denied`, `succeeded` or `failed`.
    #[schema(example = "succeeded")]
    pub outcome: String,
    /// Why it was denied or failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// In which environment, where the act belongs to one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub environment: Option<String>,
    /// Why, as whoever did it said. Kept beside the record, without values.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The rest, each in a field of its own: `version`, `target`, `method`, `places`, `run`, `step`, `intent`, `status`, …
    #[serde(flatten)]
    #[schema(additional_properties, value_type = Object)]
    pub details: Map<String, Value>,
}

impl Event {
    /// An event as it is recorded (a flat object without `seq`), and its place on the record.
    ///
    /// # Errors
    /// If it is not an object with the fields that every event has.
    pub fn from_recorded(seq: i64, recorded: &impl Serialize) -> Result<Self, serde_json::Error> {
        let mut value = serde_json::to_value(recorded)?;
        if let Value::Object(map) = &mut value {
            map.insert("seq".to_owned(), seq.into());
        }
        serde_json::from_value(value)
    }
}

/// Which events to list, newest first.
#[derive(Clone, Debug, Default, Serialize, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct EventQuery {
    /// Only by this actor, such as `user:owner`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub actor: Option<String>,
    /// Only of this verb, such as `secret.use`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verb: Option<String>,
    /// Only about this thing, such as `secret:STRIPE_KEY`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub object: Option<String>,
    /// Not before this moment, RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[param(format = "date-time")]
    pub since: Option<String>,
    /// Before this moment, RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[param(format = "date-time")]
    pub until: Option<String>,
    /// Only with this outcome.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<String>,
    /// Items per page; 100 unless said, 500 at most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[param(minimum = 1, maximum = 500)]
    pub limit: Option<u32>,
    /// The `next_cursor` of the page before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// What is recorded is shown flat, with its place.
    #[test]
    fn from_recorded() {
        let recorded = json!({"id": "evt_1", "at": "2026-01-01T00:00:00Z", "actor": "user:o", "verb": "secret.use", "object": "secret:K", "outcome": "allowed", "version": 2});
        let event = Event::from_recorded(7, &recorded).unwrap();
        assert_eq!((event.seq, &event.details["version"]), (7, &json!(2)));
        let shown = serde_json::to_value(&event).unwrap();
        assert_eq!((&shown["version"], &shown["seq"]), (&json!(2), &json!(7)));
        assert!(Event::from_recorded(7, &"text").is_err());
    }
}
