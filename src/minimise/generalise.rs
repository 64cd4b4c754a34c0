//! Saying less: a year for a date, a band for a number. Deterministic, and `None` where it does
//! not apply.

use std::fmt::Write as _;

use unicode_normalization::char::is_combining_mark;

use super::value::{self, Day};
use crate::policy::{DateForm, Generaliser};

/// What is made of a text.
pub(super) fn text(generaliser: &Generaliser, text: &str) -> Option<String> {
    let day = |form: &DateForm, make: fn(Day, DateForm) -> Option<String>| {
        value::day_of(text).and_then(|day| make(day, *form))
    };
    match generaliser {
        Generaliser::Band(_) | Generaliser::Round(_) => None,
        Generaliser::Initial => initial(text),
        Generaliser::Month(form) => day(form, month),
        Generaliser::SchoolYear(form) => day(form, school_year),
        Generaliser::Year(form) => day(form, year),
    }
}

/// A generalised number: a text, or a number again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Generalised {
    Number(i64),
    Text(String),
}

/// What is made of a number without exponent.
pub(super) fn number(generaliser: &Generaliser, digits: &str) -> Option<Generalised> {
    match generaliser {
        Generaliser::Band(edges) => band(edges, Decimal::parse(digits)?).map(Generalised::Text),
        Generaliser::Round(to) => round(*to, Decimal::parse(digits)?).map(Generalised::Number),
        Generaliser::Initial
        | Generaliser::Month(_)
        | Generaliser::SchoolYear(_)
        | Generaliser::Year(_) => None,
    }
}

/// The first character with its combining marks.
fn initial(text: &str) -> Option<String> {
    let mut characters = text.chars();
    let first = characters.next()?;
    Some(
        std::iter::once(first)
            .chain(characters.take_while(|c| is_combining_mark(*c)))
            .collect(),
    )
}

fn year(day: Day, form: DateForm) -> Option<String> {
    Some(match form {
        DateForm::FirstDay => format!("{:04}-01-01", day.year),
        DateForm::Short => format!("{:04}", day.year),
    })
}

fn month(day: Day, form: DateForm) -> Option<String> {
    let mut text = format!("{:04}-{:02}", day.year, day.month);
    if form == DateForm::FirstDay {
        text.push_str("-01");
    }
    Some(text)
}

/// The Dutch school year: from 1 August (Wet op het primair onderwijs, art. 1).
fn school_year(day: Day, form: DateForm) -> Option<String> {
    let first = if day.month >= 8 {
        day.year
    } else {
        day.year.checked_sub(1)?
    };
    let mut text = format!("{first:04}");
    match form {
        DateForm::FirstDay => text.push_str("-08-01"),
        DateForm::Short => write!(text, "-{:04}", first.checked_add(1)?).ok()?,
    }
    Some(text)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Sign {
    Minus,
    Plus,
}

/// A decimal number, as far as bands and rounding need it.
#[derive(Clone, Copy)]
struct Decimal {
    sign: Sign,
    whole: i64,
    /// The first digit behind the point.
    tenths: u8,
    /// Whether anything but zeros stands behind the point.
    fraction: bool,
}

impl Decimal {
    /// `None` for an exponent and for more than 18 digits before the point.
    fn parse(digits: &str) -> Option<Self> {
        let (sign, digits) = match digits.strip_prefix('-') {
            Some(rest) => (Sign::Minus, rest),
            None => (Sign::Plus, digits),
        };
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
        let plain = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        if !plain(whole) || !plain(fraction) || whole.len() > 18 {
            return None;
        }
        Some(Self {
            sign,
            whole: whole.parse().ok()?,
            tenths: fraction
                .bytes()
                .next()
                .map_or(0, |byte| byte.wrapping_sub(b'0')),
            fraction: fraction.bytes().any(|byte| byte != b'0'),
        })
    }

    /// Whether the number lies below `edge`.
    fn is_below(&self, edge: i64) -> bool {
        match self.sign {
            Sign::Minus => {
                let whole = self.whole.wrapping_neg();
                whole < edge || whole == edge && self.fraction
            }
            Sign::Plus => self.whole < edge,
        }
    }
}

/// `"<4"`, `"4-5"`, …, `"12+"`: an edge belongs to the band it opens.
fn band(edges: &[i64], number: Decimal) -> Option<String> {
    let (first, last) = (edges.first()?, edges.last()?);
    match edges.iter().position(|edge| number.is_below(*edge)) {
        Some(0) => Some(format!("<{first}")),
        None => Some(format!("{last}+")),
        Some(above) => {
            let (low, high) = (edges.get(above.checked_sub(1)?)?, edges.get(above)?);
            let high = high.checked_sub(1)?;
            Some(if *low == high {
                low.to_string()
            } else {
                format!("{low}-{high}")
            })
        }
    }
}

/// Rounds to a multiple of `to`, half away from zero.
fn round(to: u32, number: Decimal) -> Option<i64> {
    let to = i64::from(to);
    let rest = number.whole.checked_rem(to)?;
    // rest + 0.tenths… ≥ to / 2, in twentieths so that no fraction is needed.
    let twice = rest
        .checked_mul(20)?
        .checked_add(i64::from(number.tenths).checked_mul(2)?)?;
    let up = if twice >= to.checked_mul(10)? { to } else { 0 };
    let size = number.whole.checked_sub(rest)?.checked_add(up)?;
    match number.sign {
        Sign::Minus => size.checked_neg(),
        Sign::Plus => Some(size),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made(generaliser: &Generaliser, from: &str) -> Option<String> {
        text(generaliser, from)
    }

    #[test]
    fn dates_lose_their_day() {
        use DateForm::{FirstDay, Short};
        use Generaliser::{Month, SchoolYear, Year};
        let born = "2017-03-05";
        assert_eq!(made(&Year(Short), born).unwrap(), "2017");
        assert_eq!(made(&Year(FirstDay), born).unwrap(), "2017-01-01");
        assert_eq!(
            made(&Month(Short), "2017-03-05T10:00:00Z").unwrap(),
            "2017-03"
        );
        assert_eq!(made(&Month(FirstDay), born).unwrap(), "2017-03-01");
        assert_eq!(made(&SchoolYear(Short), born).unwrap(), "2016-2017");
        assert_eq!(made(&SchoolYear(Short), "2016-08-01").unwrap(), "2016-2017");
        assert_eq!(made(&SchoolYear(Short), "2016-07-31").unwrap(), "2015-2016");
        assert_eq!(made(&SchoolYear(FirstDay), born).unwrap(), "2016-08-01");
        assert_eq!(made(&SchoolYear(Short), "0000-01-01"), None);
        assert_eq!(made(&Year(Short), "2017"), None);
        assert_eq!(made(&Year(Short), "2017-02-30"), None);
    }

    #[test]
    fn an_initial_keeps_its_combining_marks() {
        assert_eq!(made(&Generaliser::Initial, "Zoe").unwrap(), "Z");
        assert_eq!(
            made(&Generaliser::Initial, "E\u{301}\u{327}va").unwrap(),
            "E\u{301}\u{327}"
        );
        assert_eq!(made(&Generaliser::Initial, ""), None);
    }

    #[test]
    fn bands_open_at_their_edge() {
        let bands = Generaliser::Band([4, 6, 9, 10].into());
        for (from, to) in [
            ("3", "<4"),
            ("3.99", "<4"),
            ("4", "4-5"),
            ("5.5", "4-5"),
            ("8", "6-8"),
            ("9.9", "9"),
            ("10", "10+"),
            ("-1", "<4"),
            ("-0.5", "<4"),
        ] {
            assert_eq!(
                number(&bands, from),
                Some(Generalised::Text(to.to_owned())),
                "{from}"
            );
        }
        assert_eq!(number(&bands, "1e3"), None);
        assert_eq!(
            number(&Generaliser::Band([-2, 0].into()), "-2.5"),
            Some(Generalised::Text("<-2".to_owned()))
        );
        assert_eq!(
            number(&Generaliser::Band([-2, 0].into()), "-2"),
            Some(Generalised::Text("-2--1".to_owned()))
        );
    }

    #[test]
    fn rounding_goes_half_away_from_zero() {
        for (to, from, want) in [
            (5, "7", 5),
            (5, "7.4", 5),
            (5, "7.5", 10),
            (5, "8", 10),
            (5, "-7.5", -10),
            (10, "5", 10),
            (10, "4.99", 0),
            (1, "0.5", 1),
            (1, "0.49", 0),
            (1, "-0.5", -1),
        ] {
            assert_eq!(
                number(&Generaliser::Round(to), from),
                Some(Generalised::Number(want)),
                "{from} to {to}"
            );
        }
        assert_eq!(number(&Generaliser::Round(5), "1234567890123456789"), None);
    }
}
