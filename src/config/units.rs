//! Sizes, waits and counts as people write them: `"16 MiB"`, `"10s"`, `1_000`.

use super::code;
use super::problem::{Problem, Problems, shown};
use super::raw::{At, Value};
use crate::limits::{Bound, Unit};

const SIZES: &[(&str, u64)] = &[
    ("B", 1),
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
];
const WAITS: &[(&str, u64)] = &[("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000)];

const AGES: &[(&str, u64)] = &[("h", 3_600), ("day", 86_400), ("days", 86_400)];
/// Who has not looked at a list for longer has forgotten it.
const AGE_DAYS_MAX: u64 = 366;

/// An age, in seconds: `"12h"`, `"7 days"`; otherwise says why not.
pub(super) fn days(value: &Value<'_>, problems: &mut Problems) -> Option<u64> {
    let text = value.text(problems)?;
    let most = AGE_DAYS_MAX.saturating_mul(86_400);
    let with_unit = text.value.ends_with(|last: char| !last.is_ascii_digit());
    let age = amount(text.value, AGES).filter(|age| with_unit && (1..=most).contains(age));
    if age.is_none() {
        let name = shown(value.name());
        let message = format!("{name} must be an age, `\"12h\"` or `\"7 days\"`");
        let problem = Problem::error(code::VALUE, message).at(&text.place);
        problems.push(problem.help(format!("at most {AGE_DAYS_MAX} days")));
    }
    age
}

/// The value of a bound, in the bound's own unit and within its range; otherwise says why not.
pub(super) fn bound(bound: Bound, value: &Value<'_>, problems: &mut Problems) -> Option<At<u64>> {
    let (units, wanted) = match bound.unit() {
        Unit::Bytes => (
            SIZES,
            "a size, `\"64 KiB\"` or `\"16 MiB\"`, or a number of bytes",
        ),
        Unit::Count => (&[][..], "a whole number"),
        Unit::Time => (WAITS, "a wait, `\"10s\"` or `\"500ms\"`"),
    };
    let At { value: text, place } = match (value.is_text(), bound.unit()) {
        (true, Unit::Bytes | Unit::Time) => value.text(problems).map(owned)?,
        // No wait at all is the same in every unit.
        (false, Unit::Time) if value.raw() == "0" => value.integer(problems).map(plain)?,
        (false, Unit::Time) => {
            let message = format!("{} must be {wanted}", shown(value.name()));
            let problem = Problem::error(code::TYPE, message).at(&value.place());
            problems.push(with_unit(problem, value.raw()));
            return None;
        }
        (false, Unit::Bytes) | (_, Unit::Count) => value.integer(problems).map(plain)?,
    };
    let is_bare = bound.unit() == Unit::Time && text.trim() != "0" && is_number(text.trim());
    let Some(amount) = amount(&text, units).filter(|_| !is_bare) else {
        let message = format!("{} must be {wanted}", shown(value.name()));
        let problem = Problem::error(code::VALUE, message).at(&place);
        problems.push(match text.trim_end().ends_with('B') {
            true => problem.help("units are B, KiB, MiB and GiB"),
            false if is_bare => with_unit(problem, text.trim()),
            false => problem,
        });
        return None;
    };
    let range = bound.range();
    if !range.contains(&amount) {
        let written = |amount| written(amount, bound.unit());
        let (least, most) = (written(*range.start()), written(*range.end()));
        let message = format!("{} must be {least} to {most}", shown(value.name()));
        problems.push(
            Problem::error(code::VALUE, message)
                .at(&place)
                .label(bound.why()),
        );
        return None;
    }
    Some(At {
        value: amount,
        place,
    })
}

/// An amount of a bound as people write it, in the largest unit that keeps it whole.
#[must_use]
pub fn written(amount: u64, unit: Unit) -> String {
    let (units, space) = match unit {
        Unit::Bytes => (SIZES, " "),
        Unit::Count => return amount.to_string(),
        Unit::Time => (WAITS, ""),
    };
    let whole = |(_, factor): &&(&str, u64)| amount > 0 && amount.is_multiple_of(*factor);
    match units.iter().rfind(whole).or_else(|| units.first()) {
        Some((name, factor)) => {
            format!(
                "{}{space}{name}",
                amount.checked_div(*factor).unwrap_or(amount)
            )
        }
        None => amount.to_string(),
    }
}

fn owned(text: At<&str>) -> At<String> {
    At {
        value: text.value.to_owned(),
        place: text.place,
    }
}

fn plain(number: At<i64>) -> At<String> {
    At {
        value: number.value.to_string(),
        place: number.place,
    }
}

fn is_number(text: &str) -> bool {
    let digit = |byte: u8| byte.is_ascii_digit() || byte == b'_';
    !text.is_empty() && text.bytes().all(digit)
}

/// Says how a number is written as a wait, if it is one.
fn with_unit(problem: Problem, number: &str) -> Problem {
    match is_number(number) {
        true => problem.help(format!("with its unit: \"{number}s\" or \"{number}ms\"")),
        false => problem,
    }
}

/// A whole number with one of these units behind it, or with none.
fn amount(text: &str, units: &[(&str, u64)]) -> Option<u64> {
    let end = text
        .find(|c: char| !c.is_ascii_digit() && c != '_')
        .unwrap_or(text.len());
    let (digits, unit) = text.split_at(end);
    let number: u64 = digits.replace('_', "").parse().ok()?;
    let factor = match unit.trim() {
        "" => 1,
        unit => units.iter().find(|(name, _)| *name == unit)?.1,
    };
    number.checked_mul(factor)
}

#[cfg(test)]
mod tests {
    use super::super::raw::Document;
    use super::super::source::SourceFile;
    use super::*;

    fn read(limit: Bound, text: &str) -> Result<u64, String> {
        let file = SourceFile::new("t.toml", format!("x = {text}\n"));
        let mut problems = Problems::new();
        let document = Document::parse(&file, &mut problems);
        let value = document.root().value("x").unwrap();
        let amount = bound(limit, &value, &mut problems);
        amount
            .map(|at| at.value)
            .ok_or_else(|| problems.sorted()[0].message.clone())
    }

    #[test]
    fn amounts_are_read_with_their_units() {
        assert_eq!(read(Bound::Body, "\"16 MiB\""), Ok(16 << 20));
        assert_eq!(read(Bound::Body, "\"64KiB\""), Ok(64 << 10));
        assert_eq!(read(Bound::Body, "1_000"), Ok(1_000));
        assert_eq!(read(Bound::Body, "\"1_000\""), Ok(1_000));
        assert_eq!(read(Bound::HeadTime, "\"500ms\""), Ok(500));
        assert_eq!(read(Bound::HeadTime, "\"2m\""), Ok(120_000));
        assert_eq!(read(Bound::Drain, "0"), Ok(0), "in any unit");
        assert_eq!(read(Bound::Drain, "\"0\""), Ok(0));
        assert_eq!(read(Bound::JsonDepth, "32"), Ok(32));
    }

    #[test]
    fn amounts_without_sense_are_refused() {
        let wait = Err("`x` must be a wait, `\"10s\"` or `\"500ms\"`".to_owned());
        assert_eq!(read(Bound::HeadTime, "10"), wait, "ten of what?");
        assert_eq!(read(Bound::HeadTime, "\"10\""), wait, "ten of what?");
        assert_eq!(read(Bound::HeadTime, "\"10 MiB\""), wait);
        let size = "`x` must be a size, `\"64 KiB\"` or `\"16 MiB\"`, or a number of bytes";
        for bad in [
            "\"16 MB\"",
            "\"-1\"",
            "-1",
            "\"\"",
            "\"MiB\"",
            "\"99999999999 GiB\"",
        ] {
            assert_eq!(read(Bound::Body, bad), Err(size.to_owned()), "{bad}");
        }
        assert_eq!(
            read(Bound::JsonDepth, "\"32\""),
            Err("`x` must be a whole number".to_owned())
        );
        assert_eq!(
            read(Bound::JsonDepth, "129"),
            Err("`x` must be 1 to 128".to_owned())
        );
        assert_eq!(
            read(Bound::Head, "1"),
            Err("`x` must be 1 KiB to 1 MiB".to_owned())
        );
        assert_eq!(
            read(Bound::Drain, "\"2h\""),
            Err("`x` must be 0ms to 1h".to_owned())
        );
    }

    #[test]
    fn what_is_written_reads_back() {
        for bound in Bound::all().filter(|bound| bound.unit() != Unit::Count) {
            let text = written(bound.default_value(), bound.unit());
            assert_eq!(
                read(bound, &format!("\"{text}\"")),
                Ok(bound.default_value()),
                "{text}"
            );
        }
    }
}
