//! Which texts are of which type. Strict: what is not clearly of the type is not.

use crate::limits;
use crate::policy::ParameterType;

/// A day that exists (RFC 3339 full-date).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Day {
    pub(super) year: u16,
    pub(super) month: u8,
}

/// Whether `text` may stand for a parameter of that type.
pub(super) fn is_parameter(text: &str, of: &ParameterType) -> bool {
    match of {
        ParameterType::Date => is_date(text),
        ParameterType::DateTime => is_datetime(text),
        ParameterType::Int => is_int(text),
        ParameterType::OneOf(words) => words.iter().any(|word| **word == *text),
        ParameterType::Slug => is_slug(text),
        ParameterType::Uuid => is_uuid(text),
    }
}

/// A name without marks and in lower case, to be found whoever writes it: `page[size]`, `nextPage`.
pub(super) fn plain_name(name: &str) -> String {
    let letters = name.chars().filter(char::is_ascii_alphanumeric);
    letters.map(|it| it.to_ascii_lowercase()).collect()
}

/// A whole number of at most 18 digits, in its one canonical writing.
pub(super) fn is_int(text: &str) -> bool {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let canonical = digits == "0" && digits.len() == text.len() || !digits.starts_with('0');
    canonical && (1..=18).contains(&digits.len()) && all(digits, |byte| byte.is_ascii_digit())
}

/// RFC 3339 full-date: `2026-08-01`, a day that exists.
pub(super) fn is_date(text: &str) -> bool {
    day(text.as_bytes()).is_some_and(|(_, rest)| rest.is_empty())
}

/// RFC 3339 date-time with its offset; `T` and `Z` in either case, a leap second allowed.
pub(super) fn is_datetime(text: &str) -> bool {
    day(text.as_bytes()).is_some_and(|(_, rest)| is_time_of_day(rest))
}

/// Whether a text is a day, or a moment as any system writes one (RFC 3339, and ISO 8601 as it is
/// met): with its seconds or without, its offset as `Z`, `+02:00`, `+0200`, `+02` or not there.
pub(super) fn is_when(text: &str) -> bool {
    let rest = day(text.as_bytes()).map(|(_, rest)| rest);
    rest.is_some_and(|rest| rest.is_empty() || is_moment(rest))
}

fn is_moment(text: &[u8]) -> bool {
    let offset = text.iter().position(|byte| b"Zz+-".contains(byte));
    let (time, offset) = text.split_at(offset.unwrap_or(text.len()));
    let seconds: &[u8] = match time.len() == "T10:00".len() {
        true => b":00",
        false => b"",
    };
    let whole: &[&[u8]] = match offset {
        [] => &[b"Z"],
        [sign, h1, h2] => &[&[*sign, *h1, *h2], b":00"],
        [sign, h1, h2, m1, m2] => &[&[*sign, *h1, *h2, b':', *m1, *m2]],
        offset => &[offset],
    };
    is_time_of_day(&[time, seconds, &whole.concat()].concat())
}

/// The day of a full-date or a date-time.
pub(super) fn day_of(text: &str) -> Option<Day> {
    let (day, rest) = day(text.as_bytes())?;
    (rest.is_empty() || is_time_of_day(rest)).then_some(day)
}

fn day(text: &[u8]) -> Option<(Day, &[u8])> {
    let (full, rest) = text.split_first_chunk::<10>()?;
    let [y1, y2, y3, y4, b'-', m1, m2, b'-', d1, d2] = full else {
        return None;
    };
    let year = two(*y1, *y2)?
        .checked_mul(100)?
        .checked_add(two(*y3, *y4)?)?;
    let month = u8::try_from(two(*m1, *m2)?).ok()?;
    let leap = year.is_multiple_of(4) && !year.is_multiple_of(100) || year.is_multiple_of(400);
    let days = match month {
        1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
        4 | 6 | 9 | 11 => 30,
        2 if leap => 29,
        2 => 28,
        _ => return None,
    };
    (1..=days)
        .contains(&two(*d1, *d2)?)
        .then_some((Day { year, month }, rest))
}

fn is_time_of_day(text: &[u8]) -> bool {
    let Some(([b'T' | b't', h1, h2, b':', m1, m2, b':', s1, s2], rest)) =
        text.split_first_chunk::<9>()
    else {
        return false;
    };
    let in_day = two(*h1, *h2).is_some_and(|hour| hour < 24)
        && two(*m1, *m2).is_some_and(|minute| minute < 60)
        && two(*s1, *s2).is_some_and(|second| second <= 60);
    let rest = match rest {
        [b'.', digits @ ..] => {
            let end = digits
                .iter()
                .take_while(|byte| byte.is_ascii_digit())
                .count();
            match digits.split_at_checked(end) {
                Some((fraction, rest)) if !fraction.is_empty() => rest,
                _ => return false,
            }
        }
        rest => rest,
    };
    in_day
        && match rest {
            [b'Z' | b'z'] => true,
            [b'+' | b'-', h1, h2, b':', m1, m2] => {
                two(*h1, *h2).is_some_and(|hour| hour < 24)
                    && two(*m1, *m2).is_some_and(|minute| minute < 60)
            }
            _ => false,
        }
}

fn two(tens: u8, ones: u8) -> Option<u16> {
    let digit = |byte: u8| {
        byte.is_ascii_digit()
            .then(|| u16::from(byte.wrapping_sub(b'0')))
    };
    digit(tens)?.checked_mul(10)?.checked_add(digit(ones)?)
}

/// 8-4-4-4-12 hexadecimal digits (RFC 9562 section 4), either case.
pub(super) fn is_uuid(text: &str) -> bool {
    let groups = text.split('-').map(str::len);
    groups.eq([8, 4, 4, 4, 12]) && all(text, |byte| byte == b'-' || byte.is_ascii_hexdigit())
}

/// `[A-Za-z0-9._-]`, 1 to [`limits::SLUG_CHARS_MAX`] characters.
pub(super) fn is_slug(text: &str) -> bool {
    (1..=limits::SLUG_CHARS_MAX).contains(&text.len())
        && all(text, |byte| {
            byte.is_ascii_alphanumeric() || b"._-".contains(&byte)
        })
}

/// A language tag (RFC 5646 section 2.1): language, script, region and variants, in that order, and
/// no subtag besides. No registered variant is a number of more than four digits, so none is taken:
/// somebody's number is of that length.
pub(super) fn is_lang(text: &str) -> bool {
    let letters = |word: &str| all(word, |byte| byte.is_ascii_alphabetic());
    let digits = |word: &str| all(word, |byte| byte.is_ascii_digit());
    let mut words = text.split('-').peekable();
    let language = words.next_if(|word| matches!(word.len(), 2..=3) && letters(word));
    let _script = words.next_if(|word| word.len() == 4 && letters(word));
    let _region =
        words.next_if(|word| word.len() == 2 && letters(word) || word.len() == 3 && digits(word));
    let variant = |word: &str| match word.len() {
        4 => word.starts_with(|first: char| first.is_ascii_digit()),
        5..=8 => !digits(word),
        _ => false,
    } && all(word, |byte| byte.is_ascii_alphanumeric());
    text.len() <= limits::LANG_CHARS_MAX && language.is_some() && words.all(variant)
}

/// An absolute http or https URL (RFC 3986) with a host and without user information.
pub(super) fn is_url(text: &str) -> bool {
    let rest = text
        .strip_prefix("https://")
        .or_else(|| text.strip_prefix("http://"));
    let Some(rest) = rest.filter(|_| text.len() <= limits::URL_CHARS_MAX) else {
        return false;
    };
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, _) = rest.split_at_checked(end).unwrap_or((rest, ""));
    let host = authority
        .rsplit_once(':')
        .map_or(authority, |(host, _)| host);
    !host.is_empty() && !authority.contains('@') && is_uri_text(rest.as_bytes())
}

/// Characters of RFC 3986 only, and `%` only before two hexadecimal digits.
fn is_uri_text(mut text: &[u8]) -> bool {
    loop {
        text = match text {
            [] => return true,
            [b'%', high, low, rest @ ..] if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => {
                rest
            }
            [byte, rest @ ..]
                if byte.is_ascii_alphanumeric() || b"-._~:/?#[]@!$&'()*+,;=".contains(byte) =>
            {
                rest
            }
            _ => return false,
        };
    }
}

fn all(text: &str, holds: impl Fn(u8) -> bool) -> bool {
    text.bytes().all(holds)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sort(is: fn(&str) -> bool, good: &[&str], bad: &[&str]) {
        for text in good {
            assert!(is(text), "{text:?} is");
        }
        for text in bad {
            assert!(!is(text), "{text:?} is not");
        }
    }

    #[test]
    fn dates_are_days_that_exist() {
        sort(
            is_date,
            &["2026-08-01", "2024-02-29", "2000-02-29"],
            &[
                "2026-02-29",
                "1900-02-29",
                "2026-13-01",
                "2026-00-10",
                "2026-1-1",
                "2026-08-32",
                "2026-08-00",
                "2026-08-01 ",
                "2026-08-01T00:00:00Z",
                "",
                "26-08-01",
                "２026-08-01",
            ],
        );
    }

    #[test]
    fn datetimes_have_an_offset() {
        sort(
            is_datetime,
            &[
                "2026-08-01T10:00:00Z",
                "2026-08-01t10:00:00.123456z",
                "2026-08-01T23:59:60+02:00",
            ],
            &[
                "2026-08-01",
                "2026-08-01T10:00:00",
                "2026-08-01 10:00:00Z",
                "2026-08-01T24:00:00Z",
                "2026-08-01T10:00:00.Z",
                "2026-08-01T10:00Z",
                "2026-08-01T10:00:00+0200",
                "2026-08-01T10:00:00Zx",
                "2026-02-30T10:00:00Z",
            ],
        );
    }

    #[test]
    fn what_is_a_day_or_a_moment_may_be_short_of_its_end() {
        sort(
            is_when,
            &[
                "2026-08-01",
                "2026-08-01T10:00:00+02:00",
                "2026-08-01T10:00:00",
                "2026-08-01T10:00:00.5",
                "2026-08-01T10:00",
                "2026-08-01T10:00Z",
                "2026-08-01T10:00+02:00",
                "2026-08-01T10:00-0930",
                "2026-08-01T10:00:00+0200",
                "2026-08-01T10:00:00.5-02",
                "2026-08-01t10:00z",
            ],
            &[
                "",
                "2026-08",
                "2026-02-30",
                "2026-08-01T",
                "2026-08-01T1",
                "2026-08-01T10",
                "2026-08-01T24:00",
                "2026-08-01 10:00:00",
                "2026-08-01T10:00:00Z10",
                "2026-08-01T10:00+2",
                "2026-08-01T10:00+024",
                "2026-08-01T10:00+24",
                "2026-08-01T10:00:00+0260",
                "2026-08-01T10:00:00+02:0",
                "2026-08-01T10:00:00+02:00:00",
                "2026-08-01T10:00:00+02Z",
                "2026-08-01T+02",
                "2026-08-01+02:00",
                "10:00:00Z",
            ],
        );
    }

    #[test]
    fn ints_slugs_and_uuids() {
        sort(
            is_int,
            &["0", "7", "-7", "999999999999999999"],
            &[
                "",
                "-",
                "+1",
                "01",
                "-0",
                "1.0",
                "1e3",
                "1000000000000000000",
                " 1",
            ],
        );
        sort(
            is_slug,
            &["a", "A.b_c-9"],
            &["", "a b", "é", "a/b", &"a".repeat(129)],
        );
        sort(
            is_uuid,
            &[
                "7d1f8a52-3f0c-4a5e-9b7e-0c9b3f1e2d44",
                "7D1F8A52-3F0C-4A5E-9B7E-0C9B3F1E2D44",
            ],
            &[
                "7d1f8a523f0c4a5e9b7e0c9b3f1e2d44",
                "7d1f8a52-3f0c-4a5e-9b7e-0c9b3f1e2d4",
                "7d1f8a52-3f0c-4a5e-9b7e-0c9b3f1e2d4g",
                "{7d1f8a52-3f0c-4a5e-9b7e-0c9b3f1e2d44}",
            ],
        );
    }

    #[test]
    fn a_parameter_is_of_its_type_and_of_no_other() {
        let words = ["active".into(), "to be".into(), "".into(), "é".into()];
        let one_of = ParameterType::OneOf(words.into());
        let uuid = "7d1f8a52-3f0c-4a5e-9b7e-0c9b3f1e2d44";
        // What is of another type may be a slug as well.
        let slugs = [
            "a",
            "..",
            "-",
            "0",
            "-7",
            "12",
            "active",
            "Active",
            "toString",
            "2026-08-01",
            uuid,
        ];
        let good: [(&ParameterType, &[&str]); 6] = [
            (&ParameterType::Date, &["2026-08-01"]),
            (&ParameterType::DateTime, &["2026-08-01T10:00:00Z"]),
            (&ParameterType::Int, &["0", "-7", "12"]),
            // A word is compared as it is, an empty one too.
            (&one_of, &["active", "to be", "", "é"]),
            (&ParameterType::Slug, &slugs),
            (&ParameterType::Uuid, &[uuid]),
        ];
        let odd = [
            "Active", "active ", "e\u{301}", "toString", "%41", "{pupil}", "*", "a/b", "a\0",
            "\u{200b}",
        ];
        let every = good.iter().flat_map(|(_, texts)| *texts).chain(&odd);
        for text in every {
            for (of, texts) in &good {
                assert_eq!(
                    is_parameter(text, of),
                    texts.contains(text),
                    "{text:?} as {of:?}"
                );
            }
        }
    }

    #[test]
    fn languages_are_tags_and_no_words_with_hyphens() {
        sort(
            is_lang,
            &[
                "nl",
                "fry",
                "nl-NL",
                "es-419",
                "zh-Hant-TW",
                "de-1996",
                "sl-Latn-IT-rozaj-1994",
                "en-GB-scotland-oxendict-fonipa-1606",
            ],
            &[
                "",
                "n",
                "nl_NL",
                "nl-",
                "-nl",
                "nl--NL",
                "123",
                "Noor",
                "jansen",
                "Noor-van-Dijk",
                "nl-99999000-1",
                "nl-99999",
                "nl-99999000",
                "nl-Noor-Dijk",
                "nl-NL-Latn",
                "nl-1",
                "nl-x-jansen",
                "nl-12345678a",
                "nl-ja_nse",
                "nl-NLé",
                "en-GB-scotland-oxendict-fonipa-1606a",
            ],
        );
    }

    #[test]
    fn urls_are_absolute_and_name_no_user() {
        sort(
            is_url,
            &[
                "https://a.example",
                "http://a.example:8080/x?y=z#w",
                "https://[::1]/",
            ],
            &[
                "ftp://a.example",
                "//a.example",
                "https://",
                "https:///x",
                "https://u@a.example/",
                "https://a.example/ x",
                "https://a.example/\"",
                "https://a.example/%4",
                "https://a.é/",
                "HTTPS://A.EXAMPLE",
                "https://:80/",
            ],
        );
        assert!(!is_url(&format!("https://a.example/{}", "a".repeat(2_048))));
    }
}
