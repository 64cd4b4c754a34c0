//! Which statuses are counted apart.

use super::metrics::OTHER;

/// The place and the label of a status. Upstreams choose theirs, so only those of the standards
/// are counted apart.
pub(super) fn code(status: Option<u16>) -> (usize, &'static str) {
    let known = STATUSES
        .iter()
        .zip(0_usize..)
        .find(|((number, _), _)| Some(*number) == status);
    match (known, status) {
        (Some(((_, label), place)), _) => (place, label),
        (None, Some(_)) => (STATUSES.len(), OTHER),
        (None, None) => (STATUSES.len().saturating_add(1), "none"),
    }
}

/// Labels that there are: one for each of them, one for others, one for none.
pub(super) const CODES: usize = STATUSES.len() + 2;

/// Statuses with a label of their own (RFC 9110, 6585, 9457's users); the most frequent first.
const STATUSES: [(u16, &str); 32] = [
    (200, "200"),
    (201, "201"),
    (202, "202"),
    (204, "204"),
    (400, "400"),
    (401, "401"),
    (403, "403"),
    (404, "404"),
    (405, "405"),
    (408, "408"),
    (409, "409"),
    (410, "410"),
    (412, "412"),
    (413, "413"),
    (414, "414"),
    (415, "415"),
    (417, "417"),
    (421, "421"),
    (422, "422"),
    (429, "429"),
    (431, "431"),
    (500, "500"),
    (501, "501"),
    (502, "502"),
    (503, "503"),
    (504, "504"),
    (505, "505"),
    (203, "203"),
    (206, "206"),
    (301, "301"),
    (302, "302"),
    (304, "304"),
];
