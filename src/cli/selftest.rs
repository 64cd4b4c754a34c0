//! `sluis selftest`: whether this build gives the answers that are published.

use clap::Args;
use data_encoding::HEXLOWER;
use serde_json::{Value, json};

use super::out::{Exit, Format, Out};
use crate::pseudonym::{Back, Canonical, CanonicalRule, Identifier, Kind, KindSpec};
use crate::pseudonym::{KnownAnswer, Notation, Unknown, VendorKey, known_answers};

/// The vectors of derivation v1, as every release carries them.
const VECTORS: &str = include_str!("../../tests/vectors/pseudonym-v1.json");

/// What is said of a build that fails.
pub(super) const UNFIT: &str =
    "this build must not be used: its pseudonyms would not be the right ones";

/// Compare this build with the published vectors of its cryptography
#[derive(Args, Debug)]
pub(super) struct Options {
    /// Who reads the output
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

/// A question with a published answer, and whether this build gives the same.
pub(super) type Answer = (String, bool);

/// Asks for every published answer.
pub(super) fn answers() -> Vec<Answer> {
    let primitives = known_answers().into_iter();
    primitives
        .map(|KnownAnswer { name, holds }| (name.to_owned(), holds))
        .chain(derivation(VECTORS))
        .collect()
}

pub(super) fn run(options: &Options, out: &mut Out) -> Exit {
    let answers = answers();
    let failed = answers.iter().filter(|(_, holds)| !holds).count();
    match options.format {
        Format::Json => {
            let answer = |(name, holds): &Answer| json!({ "name": name, "holds": holds });
            let answers: Vec<Value> = answers.iter().map(answer).collect();
            out.json(&json!({ "answers": answers, "failed": failed }));
        }
        Format::Text => {
            for (name, holds) in &answers {
                out.say(&format!(
                    "{}  {name}",
                    if *holds { "ok    " } else { "FAILED" }
                ));
            }
            out.say(&format!("{} answers, {failed} failed", answers.len()));
            if failed > 0 {
                out.tell(UNFIT);
            }
        }
    }
    if failed == 0 { Exit::Fine } else { Exit::Bug }
}

/// Asks for every vector of a vector file; a file that cannot be read is one failed answer.
fn derivation(vectors: &str) -> Vec<Answer> {
    let document: Value = serde_json::from_str(vectors).unwrap_or_default();
    let rows = document.get("vectors").and_then(Value::as_array);
    let prints = document.get("fingerprints").and_then(Value::as_object);
    let (Some(rows), Some(prints)) = (rows, prints) else {
        return vec![("sluis v1 vectors".to_owned(), false)];
    };
    let prints = prints.iter().map(|(key, print)| {
        let given = vendor_key(key).map(|key| key.fingerprint().to_string());
        (
            format!("sluis v1 fingerprint {}…", key.get(..8).unwrap_or(key)),
            given.as_deref() == print.as_str(),
        )
    });
    let rows = (1..).zip(rows).map(|(number, row)| {
        let text = |name: &str| row.get(name).and_then(Value::as_str).unwrap_or_default();
        let name = format!(
            "sluis v1 vector {number}, {} as {}",
            text("kind"),
            text("looks")
        );
        (
            name,
            pseudonym(row).is_some_and(|given| given == text("pseudonym")),
        )
    });
    prints.chain(rows).collect()
}

/// What this build makes of the identifier of one vector.
fn pseudonym(row: &Value) -> Option<String> {
    let text = |name: &str| row.get(name)?.as_str();
    let rules = row.get("from")?.as_array()?.iter();
    let rules: Option<Vec<_>> = rules
        .map(|rule| CanonicalRule::named(rule.as_str()?))
        .collect();
    let spec = KindSpec {
        name: text("kind")?.to_owned(),
        canonical: Canonical::new(rules?),
        notation: notation(text("looks")?)?,
        back: Back::Never,
        unknown: Unknown::Reject,
        accept_keys: 1,
    };
    let kind = Kind::new(&vendor_key(text("vendor_key")?)?, spec);
    let mut pseudonym = Vec::new();
    kind.write(Identifier::new(text("id")?), &mut pseudonym)
        .ok()?;
    String::from_utf8(pseudonym).ok()
}

fn vendor_key(hex: &str) -> Option<VendorKey> {
    let bytes: [u8; 32] = HEXLOWER.decode(hex.as_bytes()).ok()?.try_into().ok()?;
    Some(VendorKey::from(bytes))
}

/// The notation of a vector; its parameter stands behind a colon.
fn notation(looks: &str) -> Option<Notation> {
    let (name, parameter) = looks.split_once(':').unwrap_or((looks, ""));
    match name {
        "digits" => parameter.parse().ok().map(Notation::Digits),
        "email" => Some(Notation::Email {
            domain: parameter.to_owned(),
        }),
        "hex" => Some(Notation::Hex),
        "text" => parameter.parse().ok().map(Notation::Text),
        "url" => Some(Notation::Url {
            prefix: parameter.to_owned(),
        }),
        "uuid" => Some(Notation::Uuid),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_vector_holds_and_one_changed_digit_does_not() {
        let answers = derivation(VECTORS);
        assert_eq!(answers.len(), 22);
        for (name, holds) in answers {
            assert!(holds, "{name}");
        }
        let changed = VECTORS.replace("\"pseudonym\": \"e8f15a68", "\"pseudonym\": \"f8f15a68");
        assert_eq!(
            derivation(&changed)
                .iter()
                .filter(|(_, holds)| !holds)
                .count(),
            1
        );
        let changed = VECTORS.replace("41fcfbb21dbaeda8", "41fcfbb21dbaeda9");
        assert_eq!(
            derivation(&changed)
                .iter()
                .filter(|(_, holds)| !holds)
                .count(),
            1
        );
    }

    #[test]
    fn vectors_that_cannot_be_read_have_failed() {
        for text in ["", "{}", "[]", r#"{"fingerprints": {}}"#] {
            assert_eq!(derivation(text), [("sluis v1 vectors".to_owned(), false)]);
        }
        let empty = r#"{"fingerprints": {}, "vectors": [{}]}"#;
        assert_eq!(
            derivation(empty).iter().filter(|(_, holds)| !holds).count(),
            1
        );
    }
}
