//! `ETag` and `If-Match` on the wire.

use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use tacit_model::Problem;
use tacit_vault::Precondition;

/// The header of a thing's tag.
pub(crate) fn etag(tag: &str) -> [(HeaderName, HeaderValue); 1] {
    // A tag is hexadecimal digits, which a header may hold.
    let value = HeaderValue::try_from(format!("\"{tag}\"")).unwrap_or(HeaderValue::from_static("\"\""));
    [(header::ETAG, value)]
}

const WORKSPACE: &str = "/v1/workspaces/{workspace}";

/// Writes of things that have a tag.
const TAGGED: &[(Method, &str)] = &[
    (Method::PATCH, ""),
    (Method::PATCH, "/secrets/{name}"),
    (Method::DELETE, "/secrets/{name}"),
    (Method::POST, "/secrets/{name}/restore"),
    (Method::POST, "/secrets/{name}/disable"),
    (Method::POST, "/secrets/{name}/enable"),
    (Method::PUT, "/secrets/{name}/values/{environment}"),
    (Method::DELETE, "/secrets/{name}/values/{environment}"),
    (Method::POST, "/secrets/{name}/values/{environment}/rollback"),
    (Method::POST, "/secrets/{name}/values/{environment}/disable"),
    (Method::POST, "/secrets/{name}/values/{environment}/enable"),
    (Method::PATCH, "/variables/{name}"),
    (Method::DELETE, "/variables/{name}"),
    (Method::PUT, "/variables/{name}/values/{environment}"),
    (Method::PUT, "/automations/{name}"),
    (Method::DELETE, "/automations/{name}"),
    // A dry run's plan has one.
    (Method::POST, "/deployments"),
];

/// Refuses a condition on a write that nothing could hold it against: done all the same, it would be done to what nobody saw.
///
/// # Errors
/// `validation_failed`.
pub(crate) fn check_tagged(method: &Method, route: &str, condition: &Precondition) -> Result<(), Problem> {
    let reads = matches!(*method, Method::GET | Method::HEAD);
    let inside = route.strip_prefix(WORKSPACE).unwrap_or(route);
    if *condition == Precondition::NONE || reads || TAGGED.contains(&(method.clone(), inside)) {
        return Ok(());
    }
    Err(Problem::invalid("If-Match", "is not taken here: what this route writes has no `ETag`"))
}

/// What a request says it is conditional on. Weak tags never match: a write wants the very thing.
///
/// # Errors
/// `validation_failed` for what is no list of tags: taken for nothing, it would let a write through that was not meant to be.
pub(crate) fn if_match(headers: &HeaderMap) -> Result<Precondition, Problem> {
    let mut tags = Vec::new();
    let mut is_any = false;
    let mut is_given = false;
    for value in headers.get_all(header::IF_MATCH) {
        is_given = true;
        let bad = || {
            Problem::invalid(
                "If-Match",
                "must be `*` or tags as an `ETag` gave them, such as \"0a1b2c\", with commas between",
            )
        };
        for item in value.to_str().map_err(|_| bad())?.split(',').map(str::trim) {
            if item == "*" {
                is_any = true;
                continue;
            }
            let (strong, quoted) = match item.strip_prefix("W/") {
                Some(rest) => (false, rest),
                None => (true, item),
            };
            let tag = quoted.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).ok_or_else(bad)?;
            if tag.contains('"') {
                return Err(bad());
            }
            if strong {
                tags.push(tag.to_owned());
            }
        }
    }
    Ok(if is_given && !is_any { Precondition::one_of(tags) } else { Precondition::NONE })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(values: &[&str]) -> Result<Precondition, Problem> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(header::IF_MATCH, value.parse().unwrap());
        }
        if_match(&headers)
    }

    /// A condition is for what has a tag; reading needs none.
    #[test]
    fn conditions_need_a_tag() {
        let condition = parsed(&["\"a\""]).unwrap();
        let check = |method: Method, route: &str| {
            check_tagged(&method, &format!("/v1/workspaces/{{workspace}}{route}"), &condition)
        };
        assert!(check(Method::PATCH, "/secrets/{name}").is_ok() && check(Method::PATCH, "").is_ok());
        assert!(check(Method::GET, "/export").is_ok());
        for (method, route) in
            [(Method::POST, "/secrets"), (Method::POST, "/import"), (Method::PATCH, "/roles/{name}")]
        {
            assert!(check(method.clone(), route).is_err(), "{method} {route}");
            assert!(check_tagged(&method, route, &Precondition::NONE).is_ok());
        }
    }

    /// Lists over one or several headers, and nothing that is half a tag.
    #[test]
    fn conditions() {
        let tags = |tags: &[&str]| Precondition::one_of(tags.iter().map(|tag| (*tag).to_owned()).collect());
        assert_eq!(parsed(&[]).unwrap(), Precondition::NONE);
        assert_eq!(parsed(&["*"]).unwrap(), Precondition::NONE);
        assert_eq!(parsed(&["\"a\", \"b\"", "\"c\""]).unwrap(), tags(&["a", "b", "c"]));
        assert_eq!(parsed(&["W/\"a\""]).unwrap(), tags(&[]));
        for bad in ["a", "\"a", "a\"", "\"a\"b\"", "", "\"a\","] {
            assert!(parsed(&[bad]).is_err(), "{bad}");
        }
    }
}
