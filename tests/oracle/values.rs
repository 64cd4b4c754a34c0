//! What a single value may be, and what can be made of it.

use std::cell::RefCell;
use std::collections::BTreeMap;

use regex::Regex;
use sluis::policy::{DateForm, Generaliser, ValueRules, ValueType};
use unicode_normalization::char::is_combining_mark;

/// Whether a text is of that type.
pub(crate) fn text_is(text: &str, of: ValueType) -> bool {
    match of {
        ValueType::Any => true,
        ValueType::Bool | ValueType::Int | ValueType::Number => false,
        ValueType::Date => date(text).is_some(),
        ValueType::DateTime => date_time(text).is_some(),
        ValueType::Lang => is_lang(text),
        ValueType::Slug => is_slug(text),
        ValueType::Url => is_url(text),
        ValueType::Uuid => is_uuid(text),
    }
}

/// Whether a JSON number is of that type.
pub(crate) fn number_is(number: &str, of: ValueType) -> bool {
    match of {
        ValueType::Any | ValueType::Number => true,
        ValueType::Int => !number.contains(['.', 'e', 'E']),
        ValueType::Bool
        | ValueType::Date
        | ValueType::DateTime
        | ValueType::Lang
        | ValueType::Slug
        | ValueType::Url
        | ValueType::Uuid => false,
    }
}

/// Whether a scalar passes the rules; `json` is its JSON text, `says` what a string says.
pub(crate) fn passes(rules: &ValueRules, json: &str, says: Option<&str>) -> bool {
    let shortest = says.map_or_else(
        || json.to_owned(),
        |says| serde_json::to_string(says).unwrap(),
    );
    let is_one = |list: &[Box<str>]| list.iter().any(|one| **one == *shortest);
    let shown = says.unwrap_or(json);
    let like = |expression: &std::sync::Arc<Regex>| {
        is_like(&format!(r"\A(?:{})\z", expression.as_str()), shown)
    };
    rules.one_of.as_deref().is_none_or(is_one)
        && rules
            .chars_max
            .is_none_or(|most| shown.chars().count() <= most)
        && rules.like.as_ref().is_none_or(like)
}

thread_local! {
    /// Those of the policies and of this file: to make one takes longer than all else.
    static EXPRESSIONS: RefCell<BTreeMap<String, Regex>> = RefCell::default();
}

fn is_like(expression: &str, text: &str) -> bool {
    EXPRESSIONS.with_borrow_mut(|known| {
        let made = || Regex::new(expression).unwrap();
        let entry = known.entry(expression.to_owned());
        entry.or_insert_with(made).is_match(text)
    })
}

/// Whether an identifier may be written as this JSON number.
pub(crate) fn is_id_number(number: &str) -> bool {
    let digits = number.bytes().all(|byte| byte.is_ascii_digit());
    digits && (number == "0" || !number.starts_with('0'))
}

/// Year, month and day of an RFC 3339 full-date, if there is such a day.
fn date(text: &str) -> Option<(u32, u32, u32)> {
    let parts: Vec<&str> = text.split('-').collect();
    let [year, month, day] = parts.as_slice() else {
        return None;
    };
    let (year, month, day) = (digits(year, 4)?, digits(month, 2)?, digits(day, 2)?);
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let days = match month {
        4 | 6 | 9 | 11 => 30,
        2 if leap => 29,
        2 => 28,
        1..=12 => 31,
        _ => return None,
    };
    (1..=days).contains(&day).then_some((year, month, day))
}

/// The date of an RFC 3339 date-time.
fn date_time(text: &str) -> Option<(u32, u32, u32)> {
    let (day, clock) = text.split_once(['T', 't'])?;
    let (clock, offset) = match clock.find(['Z', 'z', '+', '-']) {
        Some(at) => clock.split_at(at),
        None => return None,
    };
    let (clock, fraction) = clock.split_once('.').unwrap_or((clock, "0"));
    let parts: Vec<&str> = clock.split(':').collect();
    let [hour, minute, second] = parts.as_slice() else {
        return None;
    };
    let in_day = digits(hour, 2)? < 24 && digits(minute, 2)? < 60 && digits(second, 2)? <= 60;
    let exact = !fraction.is_empty() && fraction.bytes().all(|byte| byte.is_ascii_digit());
    (in_day && exact && is_offset(offset)).then_some(date(day)?)
}

fn is_offset(text: &str) -> bool {
    if text == "Z" || text == "z" {
        return true;
    }
    let numbers = text
        .strip_prefix(['+', '-'])
        .and_then(|text| text.split_once(':'));
    let Some((hours, minutes)) = numbers else {
        return false;
    };
    digits(hours, 2).is_some_and(|hours| hours < 24)
        && digits(minutes, 2).is_some_and(|minutes| minutes < 60)
}

fn digits(text: &str, count: usize) -> Option<u32> {
    let plain = text.len() == count && text.bytes().all(|byte| byte.is_ascii_digit());
    plain.then(|| text.parse().unwrap())
}

/// RFC 5646 section 2.1 without extensions; a variant that is a number has four digits.
fn is_lang(text: &str) -> bool {
    let variant = "[A-Za-z0-9]{5,8}|[0-9][A-Za-z0-9]{3}";
    let tag = format!(
        r"\A[A-Za-z]{{2,3}}(-[A-Za-z]{{4}})?(-([A-Za-z]{{2}}|[0-9]{{3}}))?(-({variant}))*\z"
    );
    text.len() <= 35 && is_like(&tag, text) && !is_like(r"-[0-9]{5,}(-|\z)", text)
}

fn is_slug(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    (1..=128).contains(&text.len()) && text.bytes().all(plain)
}

/// RFC 3986 section 2: what is no character of a URI is percent-encoded.
fn is_url(text: &str) -> bool {
    let url = r"\Ahttps?://[^/?#@:][^/?#@]*(?:[/?#].*)?\z";
    let plain = r"\A(?:[A-Za-z0-9._~:/?#@!$&'()*+,;=\[\]-]|%[0-9A-Fa-f]{2})*\z";
    text.chars().count() <= 2_048 && is_like(url, text) && is_like(plain, text)
}

fn is_uuid(text: &str) -> bool {
    let parts: Vec<&str> = text.split('-').collect();
    let lengths: Vec<usize> = parts.iter().map(|part| part.len()).collect();
    let hex = |part: &&str| part.bytes().all(|byte| byte.is_ascii_hexdigit());
    lengths == [8, 4, 4, 4, 12] && parts.iter().all(hex)
}

/// What a text becomes, as JSON; nothing if the generaliser does not take it.
pub(crate) fn generalise_text(generaliser: &Generaliser, text: &str) -> Option<String> {
    let day = || date(text).or_else(|| date_time(text));
    let short = match generaliser {
        Generaliser::Band(_) | Generaliser::Round(_) => return None,
        Generaliser::Initial if text.is_empty() => return None,
        Generaliser::Initial => initial(text),
        Generaliser::Month(form) => {
            let (year, month, _) = day()?;
            dated(format!("{year:04}-{month:02}"), *form, "-01")
        }
        Generaliser::SchoolYear(form) => {
            let (year, month, _) = day()?;
            let start = if month >= 8 {
                year
            } else {
                year.checked_sub(1)?
            };
            match form {
                DateForm::FirstDay => format!("{start:04}-08-01"),
                DateForm::Short => format!("{start:04}-{:04}", start + 1),
            }
        }
        Generaliser::Year(form) => dated(format!("{:04}", day()?.0), *form, "-01-01"),
    };
    Some(serde_json::to_string(&short).unwrap())
}

fn dated(short: String, form: DateForm, rest: &str) -> String {
    match form {
        DateForm::FirstDay => short + rest,
        DateForm::Short => short,
    }
}

fn initial(text: &str) -> String {
    let marks = text.chars().skip(1).take_while(|c| is_combining_mark(*c));
    text.chars().take(1).chain(marks).collect()
}

/// What a JSON number becomes, as JSON; nothing if the generaliser does not take it.
pub(crate) fn generalise_number(generaliser: &Generaliser, number: &str) -> Option<String> {
    let number = Decimal::read(number)?;
    match generaliser {
        Generaliser::Band(edges) => Some(format!("\"{}\"", band(edges, &number))),
        Generaliser::Initial
        | Generaliser::Month(_)
        | Generaliser::SchoolYear(_)
        | Generaliser::Year(_) => None,
        Generaliser::Round(to) => Some(number.rounded(u64::from(*to))),
    }
}

fn band(edges: &[i64], number: &Decimal) -> String {
    let below = edges
        .iter()
        .take_while(|edge| !number.is_below(**edge))
        .count();
    match (
        below.checked_sub(1).map(|place| edges[place]),
        edges.get(below),
    ) {
        (None, Some(first)) => format!("<{first}"),
        (Some(last), None) => format!("{last}+"),
        (Some(from), Some(to)) if from == to - 1 => from.to_string(),
        (Some(from), Some(to)) => format!("{from}-{}", to - 1),
        (None, None) => String::new(),
    }
}

/// A JSON number without exponent, digit for digit.
struct Decimal {
    negative: bool,
    whole: String,
    fraction: String,
}

impl Decimal {
    fn read(number: &str) -> Option<Self> {
        if number.contains(['e', 'E']) {
            return None;
        }
        let (negative, digits) = match number.strip_prefix('-') {
            Some(digits) => (true, digits),
            None => (false, number),
        };
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
        let countable = whole.len() <= 18;
        countable.then(|| Self {
            negative,
            whole: whole.to_owned(),
            fraction: fraction.to_owned(),
        })
    }

    fn is_whole(&self) -> bool {
        self.fraction.bytes().all(|digit| digit == b'0')
    }

    fn is_below(&self, edge: i64) -> bool {
        let Ok(size) = self.whole.parse::<i128>() else {
            return self.negative;
        };
        let edge = i128::from(edge);
        match self.negative {
            false => size < edge,
            true if self.is_whole() => -size < edge,
            true => -size <= edge,
        }
    }

    /// To the nearest multiple, half away from zero: long division on the digits.
    fn rounded(&self, to: u64) -> String {
        let mut rest = 0;
        let mut times = Vec::new();
        for digit in self.whole.bytes().map(|digit| u64::from(digit - b'0')) {
            rest = rest * 10 + digit;
            times.push(rest / to);
            rest %= to;
        }
        let half = self
            .fraction
            .bytes()
            .next()
            .is_some_and(|digit| digit >= b'5');
        if 2 * rest + u64::from(half) >= to {
            times.insert(0, 0);
            let nines = times.iter().rev().take_while(|digit| **digit == 9).count();
            let end = times.len() - nines;
            times[end..].fill(0);
            times[end - 1] += 1;
        }
        let digits = multiplied(&times, to);
        let digits = digits.trim_start_matches('0');
        match (digits, self.negative) {
            ("", _) => "0".to_owned(),
            (digits, true) => format!("-{digits}"),
            (digits, false) => digits.to_owned(),
        }
    }
}

fn multiplied(digits: &[u64], by: u64) -> String {
    let mut carry = 0;
    let mut product = Vec::new();
    for digit in digits.iter().rev() {
        carry += digit * by;
        product.push(char::from_digit(u32::try_from(carry % 10).unwrap(), 10).unwrap());
        carry /= 10;
    }
    product.extend(carry.to_string().chars().rev());
    product.iter().rev().collect()
}
