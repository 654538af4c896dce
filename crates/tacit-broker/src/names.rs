//! Names that came back, of files and of objects: searched one by one, and together.

use tacit_redact::{Findings, ScanSet};

/// A value is spread over several names, in none of which it can be seen.
pub(crate) struct Spread;

/// Takes everything in the set out of names. What is left is searched together, in the order in which it is shown.
///
/// # Errors
/// If that is not enough: then none of the names may be shown.
pub(crate) fn scrub_names<'a>(
    scan: &ScanSet,
    names: impl Iterator<Item = &'a mut String>,
) -> Result<Findings, Spread> {
    let mut findings = Findings::default();
    let mut together = String::new();
    for name in names {
        let (clean, found) = tacit_redact::scrub_text(scan, name);
        *name = clean;
        findings.merge(found);
        together.push_str(name);
        together.push('\n');
    }
    let (_, spread) = tacit_redact::scrub_text(scan, &together);
    if spread.total() > 0 { Err(Spread) } else { Ok(findings) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const VALUE: &str = "Zq8WnX2vT7bLk4RmP9sD1hJ6";

    /// A value in a name is taken out; one that is cut into names is noticed.
    #[test]
    fn values_in_names() {
        let mut builder = ScanSet::builder();
        builder.add("[sealed:K]", VALUE.as_bytes());
        let scan = builder.build();
        let scrub = |names: &[&str]| {
            let mut names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
            scrub_names(&scan, names.iter_mut()).map(|findings| (names, findings.total())).ok()
        };
        assert_eq!(
            scrub(&["a.txt", VALUE, "b"]),
            Some((vec!["a.txt".into(), "[sealed:K]".into(), "b".into()], 1))
        );
        assert_eq!(scrub(&[&VALUE[..8], &VALUE[8..16], &VALUE[16..]]), None);
        assert_eq!(
            scrub(&[&VALUE[..8], "unrelated"]),
            Some((vec![VALUE[..8].into(), "unrelated".into()], 0))
        );
    }
}
