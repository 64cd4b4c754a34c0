//! A vendor with two flows and a register that knows two pupils.

#![allow(dead_code, reason = "each target takes what it needs")]

// As the made-up school of the integration tests does it.
#[path = "../../../it/school/percent.rs"]
mod percent;

pub(crate) use percent::decoded;

use std::sync::Arc;

use sluis::config::{Context, Presets, Problems, SourceFile, read_vendor};
use sluis::limits::Limits;
use sluis::minimise::{Crossing, Law};
use sluis::names::VendorId;
use sluis::policy::{Bases, Side};
use sluis::pseudonym::{
    Asked, Batch, Form, Generation, Identifier, IdentifierFault, Recall, Register, VendorKey,
};

/// The place of the flow that the vendor calls, and of the one that the school calls.
pub const PULL: usize = 0;
pub const PUSH: usize = 1;
/// Where callers reach the flows.
pub const PUBLIC: [&str; 2] = ["https://gw.example/pull", "https://gw.example/push"];
/// What the flows call.
pub const UPSTREAM: [&str; 2] = ["https://sis.example/api", "https://vendor.example/scim"];
/// What a vendor may ask about in a filter; everything else is hidden.
pub const SEEN: [&str; 4] = ["sourcedId", "status", "since", "note"];
/// The identifiers that the register knows, under `p-1` and `p-2`.
pub const PUPILS: [&str; 2] = ["S-1", "S/2'é"];

const POLICY: &str = r#"version = 1
vendor.name      = "V"
vendor.agreement = "A"
vendor.purpose   = "P"
vendor.contact   = "C"
vendor.valid     = { from = 2026-08-01, until = 2027-07-31 }
[ids.pupil]
back = "school-only"
[flow.pull]
caller   = "vendor"
callers  = "anyone"
upstream = "https://sis.example/api"
[[flow.pull.route]]
match     = "GET /users"
query     = { filter = "ids", sort = "known", fields = "known", limit = "int", pupil = "pupil[]" }
to-vendor = { users = "User[]" }
[[flow.pull.route]]
match     = "GET /users/{pupil}/{x:slug}/{day:date}"
to-vendor = "User"
[flow.push]
caller   = "school"
callers  = "anyone"
upstream = "https://vendor.example/scim"
[[flow.push.route]]
match       = "GET /users/{pupil}"
query       = { filter = "ids", state = { one-of = ["on", "off"] } }
from-vendor = "User"
[shape.User]
sourcedId = "pupil"
status    = { as = "keep", one-of = ["active", "tobedeleted"] }
since     = "keep:datetime"
note      = "keep"
name      = "drop"
href      = "url"
"#;

/// What holds for the vendor.
pub fn law() -> Arc<Law> {
    let file = SourceFile::new("v.toml", POLICY.to_owned());
    let mut problems = Problems::new();
    let (id, context) = (VendorId::parse("v").unwrap(), Context::default());
    let draft = read_vendor(&file, &id, &Presets::none(), &context, &mut problems);
    let mut draft = draft.expect("the policy above");
    let bases = PUBLIC.iter().zip(UPSTREAM).map(|(public, upstream)| Bases {
        public: (*public).to_owned(),
        upstream: upstream.to_owned(),
    });
    draft.policy.bases = bases.collect();
    let newest = Generation::new(1, &VendorKey::from([7; 32]), draft.kind_specs);
    Arc::new(Law {
        policy: draft.policy,
        generations: Arc::new([newest]),
        limits: Limits::default(),
    })
}

/// A message towards a side, in a flow.
pub fn crossing(law: &Arc<Law>, to: Side, flow: usize) -> Crossing {
    Crossing::towards(to, Arc::clone(law), Some(Arc::new(Book))).in_flow(flow)
}

#[derive(Debug)]
struct Book;

impl Register for Book {
    fn remember(
        &self,
        kind: usize,
        id: Identifier<'_>,
        form: Form,
        batch: &mut Batch,
    ) -> Result<(), IdentifierFault> {
        batch.add(kind, form, id);
        Ok(())
    }

    fn recall(&self, _: usize, pseudonym: &str, _: Asked, into: &mut Vec<u8>) -> Recall {
        let pupil = match pseudonym {
            "p-1" => PUPILS[0],
            "p-2" => PUPILS[1],
            "f-1" => return Recall::Foreign,
            _ => return Recall::Unknown,
        };
        into.extend_from_slice(pupil.as_bytes());
        let form = Form::Text;
        Recall::Found { form, age: 0 }
    }
}

/// Whether all of a target or link may stand in one as it is (RFC 3986).
pub fn is_plain(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~%/?&=:".contains(&byte);
    text.bytes().all(plain)
}

/// Whether a text can be a pseudonym of ours.
pub fn is_pseudonym(text: &str) -> bool {
    let groups = text.split('-').map(str::len);
    let hex = |it: char| it == '-' || it.is_ascii_digit() || ('a'..='f').contains(&it);
    groups.eq([8, 4, 4, 4, 12]) && text.chars().all(hex)
}

/// Reads a filter that went on, as a simple upstream would: its clauses, with field and value.
pub fn clauses(filter: &str) -> Vec<(String, String)> {
    let mut clauses = Vec::new();
    let mut rest = filter;
    loop {
        let (before, after) = rest.split_once('\'').expect("a value in quotes");
        let (value, behind) = after.split_once('\'').expect("a value that ends");
        let field = before.trim_end_matches(['=', '!', '<', '>', '~']);
        assert!(field.len() < before.len(), "no operator in {filter}");
        clauses.push((field.to_owned(), value.to_owned()));
        let joint = |joint| behind.strip_prefix(joint);
        match joint(" AND ").or_else(|| joint(" OR ")) {
            Some(more) => rest = more,
            None => {
                assert_eq!(behind, "", "{filter}");
                return clauses;
            }
        }
    }
}
