//! The search that ends the demo: is anything of the school in what the vendors received?

use data_encoding::{BASE64, BASE64URL, HEXLOWER, HEXUPPER};

/// Fewer characters than this stand somewhere by chance.
const ENCODED_CHARS_MIN: usize = 6;
/// Fewer letters than this stand in a pseudonym by chance, if their case does not matter.
const CASELESS_CHARS_MIN: usize = 8;

/// Which of the secrets stand in the text, however they are written: as they are, percent-encoded,
/// as JSON or hexadecimal escapes, or within a longer text in base64.
pub(super) fn found<'s>(secrets: &'s [String], text: &str) -> Vec<&'s str> {
    let unescaped = unescaped(text);
    let lower = unescaped.to_lowercase();
    let stands = |secret: &str| {
        let long = secret.len() >= CASELESS_CHARS_MIN;
        text.contains(secret)
            || (long && lower.contains(&secret.to_lowercase()))
            || unescaped.contains(secret)
            || encodings(secret)
                .iter()
                .any(|form| text.contains(form.as_str()))
    };
    secrets
        .iter()
        .map(String::as_str)
        .filter(|secret| stands(secret))
        .collect()
}

/// The secret as it looks within something that was encoded, wherever in it it began.
fn encodings(secret: &str) -> Vec<String> {
    let bytes = secret.as_bytes();
    let mut forms = vec![HEXLOWER.encode(bytes), HEXUPPER.encode(bytes)];
    for shift in 0..3_usize {
        let mut shifted = vec![0; shift];
        shifted.extend_from_slice(bytes);
        // Only groups of three bytes that are all the secret's are the same in every surrounding.
        let whole = shifted.len().saturating_sub(shifted.len() % 3);
        let groups = shifted.get(..whole).unwrap_or_default();
        let skipped = shift.div_ceil(3).saturating_mul(4);
        for alphabet in [BASE64, BASE64URL] {
            forms.extend(alphabet.encode(groups).get(skipped..).map(str::to_owned));
        }
    }
    forms.retain(|form| form.len() >= ENCODED_CHARS_MIN);
    forms
}

/// The text with `%41` and `\u0041` turned into what they stand for.
fn unescaped(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(['%', '\\']) {
        let (before, escape) = rest.split_at(at);
        bytes.extend_from_slice(before.as_bytes());
        let (escaped, length) = match escape.strip_prefix("\\u") {
            Some(digits) => (digits.get(..4), 6),
            None => (escape.get(1..3), 3),
        };
        let number = escaped.and_then(|digits| u32::from_str_radix(digits, 16).ok());
        let after = match number {
            Some(number) if length == 3 => {
                bytes.extend(u8::try_from(number));
                escape.get(length..)
            }
            Some(number) => {
                let letter = char::from_u32(number).unwrap_or(char::REPLACEMENT_CHARACTER);
                bytes.extend_from_slice(letter.to_string().as_bytes());
                escape.get(length..)
            }
            None => {
                bytes.extend(escape.bytes().take(1));
                escape.get(1..)
            }
        };
        rest = after.unwrap_or_default();
    }
    bytes.extend_from_slice(rest.as_bytes());
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        if !chunk.invalid().is_empty() {
            text.push(char::REPLACEMENT_CHARACTER);
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_found_however_it_is_written() {
        let secrets = ["van Dijk".to_owned(), "999901002".to_owned()];
        let base64 = |text: &str| BASE64.encode(text.as_bytes());
        for text in [
            "name: van Dijk",
            "/users/van%20Dijk",
            "/users/%76an%20Dijk",
            r#""\u0076an\u0020D\u0069jk""#,
            "%ff van%20Dijk",
            "VAN DIJK",
            "van%20dijk",
            "76616e2044696a6b",
            &base64("van Dijk"),
            &base64("xvan Dijk"),
            &base64("xyvan Dijk and more"),
            &base64("xyzvan Dijk"),
        ] {
            assert_eq!(found(&secrets, text), ["van Dijk"], "{text}");
        }
        assert_eq!(found(&secrets, "van-dijk 99990100 van%2Dijk \\ %"), [""; 0]);
        assert_eq!(found(&secrets, "999901002 van Dijk").len(), 2);
    }
}
