//! `sort` and `fields`: in which order items come, and with which keys.

use super::encode;
use super::query::{Ids, query_text};
use crate::policy::{Index, Policy, Shape};
use crate::refusal::Refusal;

/// Reads the field to sort by: one that everybody's item keeps.
///
/// # Errors
/// [`Refusal::QUESTION_INVALID`] for any other.
pub(super) fn write_order(
    ids: &Ids<'_>,
    items: Index<Shape>,
    raw: &str,
    target: &mut String,
) -> Result<(), Refusal> {
    let field = query_text(raw, ids.escapes)?;
    if !ids.crossing.law().policy.is_orderly(items, &field) {
        return Err(Refusal::QUESTION_INVALID);
    }
    encode(&field, target);
    Ok(())
}

/// Reads the keys that are wanted of each item, and gives those that the other side must be asked
/// for; none if it need not be asked for any.
///
/// # Errors
/// [`Refusal::QUESTION_INVALID`] for a key that never leaves.
pub(super) fn keys(ids: &Ids<'_>, items: Index<Shape>, raw: &str) -> Result<Vec<String>, Refusal> {
    let text = query_text(raw, ids.escapes)?;
    let policy = &ids.crossing.law().policy;
    let mut keys = Vec::new();
    for key in text.split(',') {
        let some = match ids.are_onward() {
            true => policy.needs(items, key),
            false => shown(policy, items, key),
        };
        let some = some.ok_or(Refusal::QUESTION_INVALID)?;
        add(&mut keys, &some);
    }
    // What chooses the shape must come, or no item has one; and so must what it is judged by, or
    // who objected could not be told from others.
    if ids.are_onward() {
        add(&mut keys, policy.chooser(items).as_slice());
        add(&mut keys, &policy.judged_by(items));
    }
    Ok(keys)
}

fn add(keys: &mut Vec<String>, more: &[&str]) {
    for key in more {
        if !keys.iter().any(|known| known == key) {
            keys.push((*key).to_owned());
        }
    }
}

/// What the caller knows a key as that was asked for: itself, or what is made of it.
fn shown<'p>(policy: &'p Policy, items: Index<Shape>, key: &'p str) -> Option<Vec<&'p str>> {
    if policy.needs(items, key).is_some() {
        return Some(vec![key]);
    }
    let made: Vec<&str> = policy.made_of(items, key).map(|(made, _)| made).collect();
    let asked = policy.chooser(items) == Some(key) || policy.judged_by(items).contains(&key);
    let known = !made.is_empty() || asked;
    known.then_some(made)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    use crate::minimise::head::filter::tests::{law, target, target_under};
    use crate::policy::{Only, Scalar, Side};

    fn asked(query: &str) -> Result<String, Refusal> {
        target("vendor", Side::School, "/users", query)
    }

    #[test]
    fn items_come_in_an_order_that_shows_anyway() {
        assert_eq!(
            asked("sort=level"),
            Err(Refusal::QUESTION_INVALID),
            "blank in a stub"
        );
        assert_eq!(asked("sort=since").unwrap(), "/users?sort=since");
        for field in [
            "sourcedId",
            "email",
            "label",
            "name",
            "status",
            "grade",
            "note",
            "roles.role",
            "roles",
            "org.sourcedId",
            "friends",
            "Since",
            "",
            ".",
            "since,note",
        ] {
            let seen = asked(&format!("sort={field}"));
            assert_eq!(seen, Err(Refusal::QUESTION_INVALID), "{field}");
        }
    }

    #[test]
    fn the_school_is_asked_for_what_the_wanted_keys_need() {
        for (fields, expected) in [
            ("sourcedId", "?fields=sourcedId%2Croles"),
            ("sourcedId,email", "?fields=sourcedId%2Croles"),
            ("email,code", "?fields=sourcedId%2Croles"),
            ("status,status", "?fields=status%2Croles"),
            ("label,name", ""),
            ("label", "?fields=roles"),
            ("grade%2Cyear", "?fields=grade%2Cyear%2Croles"),
        ] {
            let seen = asked(&format!("fields={fields}"));
            match expected {
                "" => assert_eq!(seen, Err(Refusal::QUESTION_INVALID), "{fields}"),
                _ => assert_eq!(seen, Ok(format!("/users{expected}")), "{fields}"),
            }
        }
        for fields in [
            "",
            "name",
            "sourcedId,",
            ",",
            "sourcedId, status",
            "org.sourcedId",
            "*",
        ] {
            let seen = asked(&format!("fields={fields}"));
            assert!(
                matches!(seen, Err(Refusal::QueryInvalid { .. })),
                "{fields}"
            );
        }
        let seats = |query| target("vendor", Side::School, "/seats", query);
        assert_eq!(
            seats("fields=email&limit=1").unwrap(),
            "/seats?fields=owner%2Ckind&limit=1"
        );
        assert_eq!(seats("fields=owner"), Err(Refusal::QUESTION_INVALID));
        let rows = |query| target("vendor", Side::School, "/rows", query);
        assert_eq!(rows("fields=label&limit=1").unwrap(), "/rows?limit=1");
        assert_eq!(
            rows("limit=1&fields=label,email").unwrap(),
            "/rows?limit=1&fields=owner"
        );
    }

    #[test]
    fn the_school_is_asked_for_what_a_record_is_judged_by() {
        let judged = |to, query| {
            let mut law = Arc::into_inner(law("vendor")).unwrap();
            let only = Only {
                shape: Index::new(1).unwrap(),
                path: ["name".into()].into(),
                values: [Scalar::Text("Sem".into())].into(),
            };
            law.policy
                .send_only(vec![only], vec![Index::new(0).unwrap()]);
            target_under(Arc::new(law), to, "/users", query)
        };
        assert_eq!(
            judged(Side::School, "fields=grade").unwrap(),
            "/users?fields=grade%2Croles%2Cname%2CsourcedId%2Cother%2Corg"
        );
        assert_eq!(
            judged(Side::Vendor, "fields=grade,name,sourcedId").unwrap(),
            "/users?fields=grade%2CsourcedId"
        );
        assert_eq!(
            judged(Side::School, "fields=name"),
            Err(Refusal::QUESTION_INVALID)
        );
    }

    #[test]
    fn the_vendor_is_told_of_the_keys_that_it_knows() {
        let back = |path, query| target("vendor", Side::Vendor, path, query);
        let seen = back("/seats", "fields=owner,kind&limit=1").unwrap();
        assert_eq!(seen, "/seats?fields=email&limit=1");
        let seen = back("/users", "fields=sourcedId,roles").unwrap();
        assert_eq!(seen, "/users?fields=sourcedId%2Croles");
        assert_eq!(
            back("/users", "fields=name"),
            Err(Refusal::QUESTION_INVALID)
        );
    }
}
