//! A switch that takes the tenant out of every query, so that a test can see what stands behind that condition.
//!
//! It is compiled with the feature `dangerous-switches`, which only tests ask for, and only with debug assertions: no release
//! build has it. It counts for the thread that set it.

use std::cell::Cell;

thread_local! {
    static IGNORES_WORKSPACE: Cell<bool> = const { Cell::new(false) };
}

/// From now on, queries of this thread find rows of every workspace; or again only of the one they are asked for.
pub fn ignore_workspace(ignore: bool) {
    IGNORES_WORKSPACE.set(ignore);
}

/// The statement as it is run.
pub(crate) fn widened(sql: &str) -> std::borrow::Cow<'_, str> {
    const CONDITION: &str = "workspace = ?1";
    if !IGNORES_WORKSPACE.get() || !sql.contains(CONDITION) {
        return sql.into();
    }
    let mut wide = String::with_capacity(sql.len());
    let mut rest = sql;
    while let Some(at) = rest.find(CONDITION) {
        // With what names the table before it, such as `m.`.
        let before = rest[..at].trim_end_matches(|c: char| c.is_ascii_alphanumeric() || c == '.' || c == '_');
        wide.push_str(before);
        wide.push_str("?1 IS NOT NULL");
        rest = &rest[at + CONDITION.len()..];
    }
    wide.push_str(rest);
    wide.into()
}
