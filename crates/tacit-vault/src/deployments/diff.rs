//! What is different between two definitions: a list of places with what stands there before and after.
//!
//! Steps are told apart by their ids, so that one that is put in between does not make all later ones look changed.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use tacit_model::limits;

/// One place where two definitions are different.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Difference {
    /// Where, such as `steps[charge].http.url`.
    pub path: String,
    /// What stands there before; none if it is new.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<Value>,
    /// What stands there after; none if it is gone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<Value>,
}

/// The differences, in the order of the new definition; only so many, and how many there are beside them.
pub(super) fn differences(before: Option<&Value>, after: &Value) -> (Vec<Difference>, usize) {
    let nothing = Value::Object(serde_json::Map::new());
    let mut found = Vec::new();
    compare("", before.unwrap_or(&nothing), after, &mut found);
    let left_out = found.len().saturating_sub(limits::DIFFERENCES_MAX);
    found.truncate(limits::DIFFERENCES_MAX);
    (found, left_out)
}

fn compare(path: &str, before: &Value, after: &Value, found: &mut Vec<Difference>) {
    if before == after {
        // Equal as data: the order of an object's keys says nothing.
        return;
    }
    match (before, after) {
        (Value::Object(old), Value::Object(new)) => {
            let at = |key: &str| if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") };
            for (key, after) in new {
                compare_part(&at(key), old.get(key), Some(after), found);
            }
            for (key, before) in old.iter().filter(|(key, _)| !new.contains_key(*key)) {
                compare_part(&at(key), Some(before), None, found);
            }
        }
        (Value::Array(old), Value::Array(new)) => compare_lists(path, old, new, found),
        _ => found.push(Difference {
            path: path.to_owned(),
            before: Some(before.clone()),
            after: Some(after.clone()),
        }),
    }
}

fn compare_part(path: &str, before: Option<&Value>, after: Option<&Value>, found: &mut Vec<Difference>) {
    let nothing = Value::Array(Vec::new());
    match (before, after) {
        (Some(before), Some(after)) => compare(path, before, after, found),
        // A list that is new is new item by item: steps one by one.
        (None, Some(Value::Array(items))) if id_of_all(items) => {
            compare(path, &nothing, after.unwrap_or(&nothing), found);
        }
        _ => found.push(Difference { path: path.to_owned(), before: before.cloned(), after: after.cloned() }),
    }
}

fn compare_lists(path: &str, old: &[Value], new: &[Value], found: &mut Vec<Difference>) {
    if !id_of_all(old) || !id_of_all(new) {
        for at in 0..old.len().max(new.len()) {
            compare_part(&format!("{path}[{at}]"), old.get(at), new.get(at), found);
        }
        return;
    }
    let places: std::collections::HashMap<&str, usize> =
        old.iter().enumerate().map(|(at, item)| (id_of(item).unwrap_or_default(), at)).collect();
    let mut kept = std::collections::HashSet::new();
    let mut last = None;
    for item in new {
        let id = id_of(item).unwrap_or_default();
        let place = places.get(id);
        let here = format!("{path}[{id}]");
        compare_part(&here, place.and_then(|at| old.get(*at)), Some(item), found);
        if let Some(place) = place {
            kept.insert(id);
            if last.is_some_and(|last| *place < last) {
                found.push(Difference { path: here, before: None, after: Some("moved".into()) });
            }
            last = Some(*place);
        }
    }
    for item in old {
        let id = id_of(item).unwrap_or_default();
        if !kept.contains(id) {
            compare_part(&format!("{path}[{id}]"), Some(item), None, found);
        }
    }
}

fn id_of(item: &Value) -> Option<&str> {
    item.get("id")?.as_str()
}

fn id_of_all(items: &[Value]) -> bool {
    items.iter().all(|item| id_of(item).is_some())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn paths(before: Option<Value>, after: Value) -> Vec<String> {
        let sign = |found: &Difference| match (&found.before, &found.after) {
            (None, Some(after)) if after == "moved" => '>',
            (None, _) => '+',
            (_, None) => '-',
            _ => '~',
        };
        differences(before.as_ref(), &after).0.iter().map(|d| format!("{}{}", sign(d), d.path)).collect()
    }

    /// Steps are compared by id, what is equal is not named, and what is new is new as a whole.
    #[test]
    fn differences_are_named_by_place() {
        let old = json!({"name": "a", "steps": [{"id": "one", "http": {"url": "u", "fields": ["/a"]}}, {"id": "two", "http": {"url": "v"}}]});
        assert!(paths(Some(old.clone()), old.clone()).is_empty());
        let new = json!({"name": "a", "description": "d", "steps": [{"id": "zero", "http": {"url": "z"}}, {"id": "one", "http": {"fields": ["/a", "/b"], "url": "w"}}]});
        assert_eq!(
            paths(Some(old.clone()), new),
            [
                "+description",
                "+steps[zero]",
                "+steps[one].http.fields[1]",
                "~steps[one].http.url",
                "-steps[two]"
            ]
        );
        assert_eq!(paths(None, old.clone()), ["+name", "+steps[one]", "+steps[two]"]);
        let mut turned = old.clone();
        turned["steps"].as_array_mut().unwrap().reverse();
        assert_eq!(paths(Some(old), turned), [">steps[one]"]);
    }

    /// What is left out is counted: nobody hides a change behind many others.
    #[test]
    fn many_differences() {
        let after: Vec<usize> = (0..limits::DIFFERENCES_MAX + 7).collect();
        let (found, left_out) = differences(Some(&json!({"a": []})), &json!({"a": after}));
        assert_eq!((found.len(), left_out), (limits::DIFFERENCES_MAX, 7));
    }

    /// A list of plain things is compared place by place, and another kind of thing is a change of the whole.
    #[test]
    fn other_lists() {
        assert_eq!(paths(Some(json!({"a": [1, 2, 3]})), json!({"a": [1, 5]})), ["~a[1]", "-a[2]"]);
        assert_eq!(paths(Some(json!({"a": {"b": 1}})), json!({"a": "b"})), ["~a"]);
    }
}
