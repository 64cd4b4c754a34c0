//! Documents of our own for those who ask for a token (RFC 6749 section 5).
//!
//! Only `minimise` says what may leave, so these go through the lock as everything does, under a
//! policy that knows the fields of RFC 6749 and refuses any other.

use std::sync::Arc;

use bytes::Bytes;
use serde_json::{Value, json};

use crate::limits::Limits;
use crate::minimise::{Cleared, Crossing, Law, Rewriter};
use crate::policy::{
    Field, Fields, Index, Keep, Policy, Rule, Shape, ShapeBody, Unlisted, ValueType,
};
use crate::refusal::Refusal;

/// Texts and one number: all that RFC 6749 has in an answer.
const FIELDS: [(&str, ValueType); 6] = [
    ("access_token", ValueType::Any),
    ("error", ValueType::Slug),
    ("error_description", ValueType::Any),
    ("expires_in", ValueType::Int),
    ("scope", ValueType::Any),
    ("token_type", ValueType::Slug),
];

/// A token that was issued (section 5.1).
///
/// # Errors
/// [`Refusal::Bug`] if it does not pass after all.
pub(super) fn token_issued(
    token: &str,
    life_s: u64,
    scopes: &[&str],
) -> Result<Cleared<Bytes>, Refusal> {
    let mut document = json!({
        "access_token": token,
        "token_type": "Bearer",
        "expires_in": life_s,
    });
    if let (false, Some(fields)) = (scopes.is_empty(), document.as_object_mut()) {
        fields.insert("scope".to_owned(), scopes.join(" ").into());
    }
    cleared(&document)
}

/// Why none was issued (section 5.2).
pub(super) fn token_refused(refusal: Refusal) -> Cleared<Bytes> {
    let document = json!({
        "error": error(refusal),
        "error_description": refusal.words(),
    });
    // Words of ours pass: a test looks at each. Without them the status says enough.
    cleared(&document).unwrap_or_default()
}

/// The error of RFC 6749 section 5.2 that a refusal is.
fn error(refusal: Refusal) -> &'static str {
    if refusal == Refusal::CallerUnauthenticated {
        "invalid_client"
    } else if refusal == Refusal::GrantTypeUnsupported {
        "unsupported_grant_type"
    } else if refusal == Refusal::ScopeUnknown {
        "invalid_scope"
    } else {
        "invalid_request"
    }
}

fn cleared(document: &Value) -> Result<Cleared<Bytes>, Refusal> {
    let law = Law {
        policy: policy(),
        generations: Arc::default(),
        limits: Limits::default(),
    };
    let whole = Index::new(0).map_or(Rule::Drop, Rule::Object);
    let mut rewriter = Rewriter::new(Crossing::one_way(Arc::new(law)), whole);
    let mut out = Cleared::default();
    rewriter.write(document.to_string().as_bytes(), &mut out)?;
    rewriter.end(&mut out)?;
    Ok(out.take())
}

fn policy() -> Policy {
    let line = |(key, of): (&str, ValueType)| Field {
        key: key.into(),
        rule: Rule::Keep(Keep { of, rules: None }),
    };
    let lines = FIELDS.into_iter().map(line).collect();
    Policy {
        shapes: vec![Shape {
            name: "Token".to_owned(),
            body: ShapeBody::Fields(Fields::new(lines, None, Unlisted::Refuse).into()),
        }],
        ..Policy::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(document: Cleared<Bytes>) -> Value {
        serde_json::from_slice(&document.release()).unwrap()
    }

    #[test]
    fn every_refusal_can_be_told_to_those_who_ask_for_a_token() {
        for refusal in Refusal::ALL {
            let told = read(token_refused(refusal));
            assert_eq!(told["error"], error(refusal));
            assert_eq!(told["error_description"], refusal.words());
            assert_eq!(told.as_object().unwrap().len(), 2);
            // RFC 6749 section 5.2: printable ASCII without quotes and backslashes.
            let plain = |c: char| (' '..='~').contains(&c) && c != '"' && c != '\\';
            assert!(refusal.words().chars().all(plain), "{refusal:?}");
        }
    }

    #[test]
    fn a_token_leaves_with_what_belongs_to_it_and_nothing_else_does() {
        let issued = read(token_issued("abc", 3_600, &["a", "b"]).unwrap());
        let whole = json!({
            "access_token": "abc", "token_type": "Bearer", "expires_in": 3_600, "scope": "a b"
        });
        assert_eq!(issued, whole);
        let issued = read(token_issued("abc", 60, &[]).unwrap());
        assert!(issued.get("scope").is_none());
        assert!(cleared(&json!({ "givenName": "Noor" })).is_err());
    }
}
