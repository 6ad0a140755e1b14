//! Extra header fields, of a REGISTER or of a request to upgrade.

use super::check::Checker;
use crate::profile::places::Path;
use std::collections::BTreeMap;

/// Extra header fields of a request; `every` request of its kind has those of `own` already.
pub(super) fn headers(
    check: &mut Checker,
    path: &Path,
    written: BTreeMap<String, String>,
    (every, own): (&str, &[&str]),
) -> Vec<(String, String)> {
    let mut headers: Vec<(String, String)> = written.into_iter().collect();
    headers.sort_by_key(|(name, _)| check.places.key(&path.key(name)).start);
    for (n, (name, value)) in headers.iter().enumerate() {
        let at = path.key(name);
        let token = |c: char| c.is_ascii_alphanumeric() || "-.!%*_+`'~".contains(c);
        if name.is_empty() || !name.chars().all(token) {
            check.bad_key(&at, "is not a header name", "names are letters, digits and \"-\" (RFC 3261 §25.1)");
        } else if own.iter().any(|own| own.eq_ignore_ascii_case(name)) {
            check.bad_key(
                &at,
                format!("is a header every {every} has already"),
                "leave it out, or name another header",
            );
        } else if headers[..n].iter().any(|(earlier, _)| earlier.eq_ignore_ascii_case(name)) {
            check.bad_key(&at, "is written twice in different case", "write it once");
        }
        check.one_line(&at, value);
    }
    headers
}
