//! The canonical form of an identifier: what is the same person must become the same bytes.

use std::borrow::Cow;

use unicode_normalization::{IsNormalized, UnicodeNormalization as _, is_nfc_quick};

use super::Identifier;
use crate::limits;

/// One step towards the canonical form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CanonicalRule {
    /// ASCII letters become lower case; nothing else is folded.
    Lower,
    /// Unicode Normalization Form C (UAX 15), stable by Unicode's own promise.
    Nfc,
    /// Leading zeros go; `000` becomes `0`.
    StripZeros,
    /// Spaces, tabs and line ends at both ends go.
    Trim,
}

impl CanonicalRule {
    /// The rule of that name in `from = [...]`.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        [Self::Lower, Self::Nfc, Self::StripZeros, Self::Trim]
            .into_iter()
            .find(|rule| rule.name() == name)
    }

    /// Its name in `from = [...]`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Lower => "lower",
            Self::Nfc => "nfc",
            Self::StripZeros => "strip-zeros",
            Self::Trim => "trim",
        }
    }

    fn apply(self, text: Cow<'_, str>) -> Cow<'_, str> {
        match self {
            Self::Lower if text.bytes().any(|byte| byte.is_ascii_uppercase()) => {
                Cow::Owned(text.to_ascii_lowercase())
            }
            // ASCII is in NFC, and most identifiers are ASCII.
            Self::Nfc if !text.is_ascii() && is_nfc_quick(text.chars()) != IsNormalized::Yes => {
                Cow::Owned(text.nfc().collect())
            }
            Self::Lower | Self::Nfc => text,
            Self::StripZeros => match text.trim_start_matches('0') {
                "" if text.is_empty() => text,
                "" => Cow::Borrowed("0"),
                rest if rest.len() == text.len() => text,
                rest => Cow::Owned(rest.to_owned()),
            },
            Self::Trim => match text.trim_matches([' ', '\t', '\r', '\n']) {
                rest if rest.len() == text.len() => text,
                rest => Cow::Owned(rest.to_owned()),
            },
        }
    }
}

/// The rules of one kind, applied in order. The default is `trim`, then `nfc`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Canonical(Box<[CanonicalRule]>);

impl Default for Canonical {
    fn default() -> Self {
        Self::new(vec![CanonicalRule::Trim, CanonicalRule::Nfc])
    }
}

impl Canonical {
    /// These rules in this order; none means byte for byte.
    #[must_use]
    pub fn new(rules: Vec<CanonicalRule>) -> Self {
        Self(rules.into())
    }

    /// The rules in their order.
    #[must_use]
    pub fn rules(&self) -> &[CanonicalRule] {
        &self.0
    }

    /// The canonical form.
    ///
    /// # Errors
    /// [`IdentifierFault::Empty`], [`IdentifierFault::TooLong`] beyond
    /// [`limits::IDENTIFIER_BYTES_MAX`], [`IdentifierFault::Invisible`].
    pub fn form<'a>(&self, id: Identifier<'a>) -> Result<Cow<'a, str>, IdentifierFault> {
        // Bounds the work of the rules.
        if id.0.len() > limits::IDENTIFIER_WRITTEN_BYTES_MAX {
            return Err(IdentifierFault::TooLong);
        }
        let start = Cow::Borrowed(id.0);
        let text = self.0.iter().fold(start, |text, rule| rule.apply(text));
        if text.is_empty() {
            Err(IdentifierFault::Empty)
        } else if text.len() > limits::IDENTIFIER_BYTES_MAX {
            Err(IdentifierFault::TooLong)
        } else if !is_plain(&text) && text.chars().any(is_invisible) {
            Err(IdentifierFault::Invisible)
        } else {
            Ok(text)
        }
    }
}

/// Whether `text` is made of visible ASCII and spaces. Eight bytes are looked at at once, the last
/// eight perhaps twice: most identifiers are short.
fn is_plain(text: &str) -> bool {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGHS: u64 = 0x8080_8080_8080_8080;
    let text = text.as_bytes();
    let (eights, last) = (text.as_chunks::<8>().0, text.last_chunk::<8>());
    let Some(last) = last else {
        return text.iter().all(|byte| matches!(byte, b' '..=b'~'));
    };
    let odd = |eight: &[u8; 8]| {
        let word = u64::from_le_bytes(*eight);
        // The high bit of a byte beyond `~` or below a space; what it carries into others only says
        // so once more.
        (word.wrapping_add(ONES) | word | word.wrapping_sub(ONES.wrapping_mul(0x20))) & HIGHS
    };
    { eights.iter().chain([last]) }.fold(0, |found, eight| found | odd(eight)) == 0
}

/// Control, zero-width and direction characters: with one of these two identifiers look alike
/// and are not. Unicode 16: Cc, Bidi_Control, Default_Ignorable_Code_Point in outline.
pub(crate) fn is_invisible(character: char) -> bool {
    character.is_control()
        || matches!(character,
            '\u{AD}' | '\u{34F}' | '\u{61C}' | '\u{115F}' | '\u{1160}' | '\u{17B4}' | '\u{17B5}'
            | '\u{180B}'..='\u{180F}' | '\u{200B}'..='\u{200F}' | '\u{2028}'..='\u{202E}'
            | '\u{2060}'..='\u{206F}' | '\u{3164}' | '\u{FE00}'..='\u{FE0F}' | '\u{FEFF}'
            | '\u{FFA0}' | '\u{FFF0}'..='\u{FFFB}' | '\u{1BCA0}'..='\u{1BCA3}'
            | '\u{1D173}'..='\u{1D17A}' | '\u{E0000}'..='\u{E0FFF}')
}

/// Why an identifier has no pseudonym.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IdentifierFault {
    /// Nothing in it. It stays empty: a pseudonym of `""` would join all pupils without an id.
    Empty,
    /// A control, zero-width or direction character.
    Invisible,
    /// More than [`limits::IDENTIFIER_BYTES_MAX`] bytes.
    TooLong,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn form(rules: &[CanonicalRule], text: &str) -> Result<String, IdentifierFault> {
        Canonical::new(rules.to_vec())
            .form(Identifier::new(text))
            .map(Cow::into_owned)
    }

    #[test]
    fn rules_apply_in_order() {
        use CanonicalRule::*;
        assert_eq!(form(&[Trim, StripZeros], " 00123 ").unwrap(), "123");
        assert_eq!(form(&[StripZeros, Trim], " 00123 ").unwrap(), "00123");
        assert_eq!(form(&[StripZeros], "000").unwrap(), "0");
        assert_eq!(form(&[Nfc], "Zoe\u{308}").unwrap(), "Zoë");
        assert_eq!(form(&[Lower], "ÉA").unwrap(), "Éa");
        assert_eq!(form(&[], " a ").unwrap(), " a ");
        assert_eq!(Canonical::default().rules(), [Trim, Nfc]);
    }

    #[test]
    fn plain_is_what_stands_between_space_and_tilde() {
        let places = (1..=25).flat_map(|length| (0..length).map(move |place| (length, place)));
        let around = [b' ', b'a', b'~'];
        let texts = places.flat_map(|of| around.map(|around| (of, around)));
        for (((length, place), around), byte) in
            texts.flat_map(|text| (0..=0x7F).map(move |byte| (text, byte)))
        {
            let mut text = vec![around; length];
            text[place] = byte;
            let text = String::from_utf8(text).unwrap();
            let plain = (b' '..=b'~').contains(&byte);
            assert_eq!(is_plain(&text), plain, "{byte} at {place} of {length}");
        }
        for text in [
            "é",
            "aé",
            "12345678é",
            "é12345678",
            "1234567\u{7FF}",
            "\u{10FFFF}123456789",
        ] {
            assert!(!is_plain(text), "{text}");
        }
        assert!(is_plain(""));
    }

    #[test]
    fn empty_long_and_invisible_identifiers_have_no_form() {
        assert_eq!(
            form(&[CanonicalRule::Trim], " \t"),
            Err(IdentifierFault::Empty)
        );
        assert_eq!(
            form(&[CanonicalRule::StripZeros], ""),
            Err(IdentifierFault::Empty)
        );
        assert_eq!(form(&[], &"a".repeat(1_025)), Err(IdentifierFault::TooLong));
        assert!(form(&[], &"a".repeat(1_024)).is_ok());
        let written = |bytes| form(&[CanonicalRule::Trim], &format!("{:bytes$}", "a"));
        assert_eq!(written(4_096).unwrap(), "a");
        assert_eq!(written(4_097), Err(IdentifierFault::TooLong));
        for bad in [
            "a\u{0}b",
            "a\u{7f}",
            "a\u{85}",
            "a\u{200b}b",
            "a\u{202e}b",
            "\u{feff}a",
            "a\nb",
        ] {
            assert_eq!(form(&[], bad), Err(IdentifierFault::Invisible), "{bad:?}");
        }
    }
}
