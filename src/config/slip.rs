//! Slips of people who write TOML now and then: what they meant.

use std::ops::Range;
use std::sync::Arc;

use jiff::civil::Date;
use toml::de::Error;

use super::code;
use super::problem::{Place, Problem, Problems};
use super::source::SourceFile;

/// Reports what is not TOML.
pub(super) fn tell(file: &Arc<SourceFile>, errors: &[Error], problems: &mut Problems) {
    let span = |error: &Error| error.span().unwrap_or_default();
    let mut errors: Vec<&Error> = errors.iter().collect();
    errors.sort_by_key(|error| span(error).start);
    // Where the line ends of which the rest is not worth a word.
    let mut spoilt = 0;
    for error in errors {
        let span = span(error);
        if span.start < spoilt {
            continue;
        }
        let slip = Slip::at(file, &span);
        if slip == Some(Slip::LineEnds) {
            // All of its lines are one to TOML.
            spoilt = usize::MAX;
        }
        if slip == Some(Slip::Quotes) {
            let rest = file.text().get(span.start..).unwrap_or_default();
            let rest = rest.split_inclusive('\n').next().map_or(0, str::len);
            spoilt = span.start.saturating_add(rest);
        }
        let words = match slip {
            Some(Slip::Nothing) => "nothing stands behind `=`",
            Some(Slip::Date(_) | Slip::LineEnds | Slip::Quotes | Slip::Space(_)) | None => {
                error.message()
            }
        };
        let message = format!("not TOML: {words}");
        let file = Arc::clone(file);
        let mut problem = Problem::error(code::TOML, message).at(&Place { file, span });
        problem.help.extend(slip.and_then(|slip| slip.help()));
        problems.push(problem);
    }
}

/// The quotes that word processors and chat programs make.
const TYPESET: [char; 7] = [
    '\u{201c}', '\u{201d}', '\u{201e}', '\u{2018}', '\u{2019}', '\u{201a}', '\u{b4}',
];
/// What looks like a space, or like nothing.
const INVISIBLE: [char; 4] = ['\u{200b}', '\u{200c}', '\u{200d}', '\u{feff}'];
const QUOTES_HELP: &str =
    "“ ” and ‘ ’ are quotes of a word processor: TOML has the straight ones, \" and \'";

/// What to do about text that is not TOML, and whether it spoils the rest of its line.
#[derive(Debug, PartialEq, Eq)]
enum Slip {
    /// A date that is not written as TOML has it.
    Date(String),
    /// Lines that end as those of an old Macintosh did.
    LineEnds,
    /// A key without a value.
    Nothing,
    /// Quotes that are none; all that follows them on the line may be taken for something else.
    Quotes,
    /// A space that is none to TOML.
    Space(char),
}

impl Slip {
    /// The slip that stands there, if it is a known one.
    fn at(file: &SourceFile, span: &Range<usize>) -> Option<Self> {
        let text = file.text();
        if let Some(date) = text.get(span.clone()).and_then(date) {
            return Some(Self::Date(date));
        }
        let before = text.get(..span.start).unwrap_or_default();
        let after = text.get(span.start..).unwrap_or_default();
        // Elsewhere on the line they may be right: within a text, or in a comment.
        if before.ends_with(TYPESET) || after.starts_with(TYPESET) {
            return Some(Self::Quotes);
        }
        let is_return = before.ends_with('\r') || after.starts_with('\r');
        if is_return && !text.contains('\n') {
            return Some(Self::LineEnds);
        }
        if before.trim_end_matches([' ', '\t']).ends_with('=') && ends_line(after) {
            return Some(Self::Nothing);
        }
        let space = after.chars().next()?;
        (!space.is_ascii() && (space.is_whitespace() || INVISIBLE.contains(&space)))
            .then_some(Self::Space(space))
    }

    fn help(&self) -> Option<String> {
        match self {
            Self::Date(date) => Some(date_help(date)),
            Self::LineEnds => {
                let help = "the lines of this file end with CR alone: save it with LF, or CR LF";
                Some(help.to_owned())
            }
            Self::Nothing => None,
            Self::Quotes => Some(QUOTES_HELP.to_owned()),
            Self::Space(space) => Some(format!(
                "here is a character that cannot be seen (U+{:04X}, perhaps pasted): TOML has \
                 plain spaces and tabs",
                u32::from(*space)
            )),
        }
    }
}

/// The header that is meant, where a table has that of a list of tables or the other way round.
pub(super) fn brackets(name: &str, written: &str) -> Option<String> {
    let (once, each) = (format!("[{name}]"), format!("[[{name}]]"));
    match written {
        _ if written == each => Some(format!("write {once}")),
        _ if written == once => Some(format!("write {each}, each time")),
        _ => None,
    }
}

/// Whether nothing else than a comment follows on the line.
fn ends_line(text: &str) -> bool {
    let rest = text.trim_start_matches([' ', '\t']);
    rest.is_empty() || rest.starts_with(['\n', '\r', '#'])
}

/// What to write for a date that is written in another way.
pub(super) fn date_help(date: &str) -> String {
    format!("a date has its year first and no quotes: {date}")
}

/// The day that is meant by `31-12-2026`, `31/12/2026` or `2026-1-2`, in quotes or not, as TOML has
/// it.
pub(super) fn date(text: &str) -> Option<String> {
    let quotes = |it: char| it == '"' || it == '\'' || TYPESET.contains(&it);
    let parts: Vec<&str> = text.trim_matches(quotes).split(['-', '/', '.']).collect();
    let [first, second, third] = *parts.as_slice() else {
        return None;
    };
    let (year, day) = match first.len() {
        4 => (first, third),
        _ => (third, first),
    };
    let numbers = [year, second, day].map(|part| part.bytes().all(|it| it.is_ascii_digit()));
    let lengths = year.len() == 4 && second.len() <= 2 && day.len() <= 2;
    if !lengths || numbers.contains(&false) {
        return None;
    }
    let (month, day) = (second.parse().ok()?, day.parse().ok()?);
    let date = Date::new(year.parse().ok()?, month, day).ok()?;
    Some(date.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_read_the_way_people_write_them() {
        for text in [
            "31-12-2026",
            "31/12/2026",
            "31.12.2026",
            "\"31-12-2026\"",
            "“2026-12-31”",
            "'2026/12/31'",
        ] {
            assert_eq!(date(text).as_deref(), Some("2026-12-31"), "{text}");
        }
        assert_eq!(date("1-2-2026").as_deref(), Some("2026-02-01"));
        assert_eq!(date("2026-2-1").as_deref(), Some("2026-02-01"));
        for text in [
            "31-02-2026",
            "12-31-2026",
            "31-12-26",
            "1-2-3-2026",
            "-1-2-2026",
            "x",
            "",
        ] {
            assert_eq!(date(text), None, "{text}");
        }
    }

    #[test]
    fn typeset_quotes_are_seen_where_they_stand() {
        let slip = |text: &str, at: usize| {
            let file = SourceFile::new("t.toml", text.to_owned());
            Slip::at(&file, &(at..at))
        };
        assert_eq!(slip("a = “x”\nb = 1\n", 4), Some(Slip::Quotes));
        assert_eq!(slip("a = \"x”\n", 9), Some(Slip::Quotes), "at the end");
        assert_eq!(slip("a = x\nb = “y”\n", 4), None, "on another line");
        assert_eq!(slip("a = \"“x”\" y\n", 14), None, "within a text");
        assert_eq!(slip("a = \"met “x”\"\n", 0), None, "a text behind it");
        assert_eq!(slip("a = 1 # Piet’s\n", 4), None, "a comment behind it");
    }

    #[test]
    fn what_cannot_be_seen_is_named_where_it_stands() {
        let slips = |text: &str| {
            let file = SourceFile::new("t.toml", text.to_owned());
            let mut problems = Problems::new();
            let (_, errors) = toml::de::DeTable::parse_recoverable(file.text());
            tell(&file, &errors, &mut problems);
            let sorted = problems.sorted().into_iter();
            let told = sorted.map(|it| format!("{} {}", it.message, it.help.join(" ")));
            told.collect::<Vec<_>>()
        };
        for (text, code) in [
            ("a\u{a0}= 1\n", "U+00A0"),
            ("a =\u{202f}1\n", "U+202F"),
            ("\u{200b}a = 1\n", "U+200B"),
        ] {
            let told = slips(text);
            assert!(told[0].contains(code), "{told:?}");
        }
        let told = slips("version = 1\r[a]\rb = 2\rc = 3\r");
        assert!(told.len() == 1 && told[0].contains("CR alone"), "{told:?}");
        let told = slips("a = 1\n\rb = 2\n");
        assert!(
            !told.is_empty() && !told[0].contains("CR alone"),
            "{told:?}"
        );
        for text in ["a = \nb = 1\n", "a =", "a = # later\n"] {
            assert_eq!(
                slips(text),
                ["not TOML: nothing stands behind `=` "],
                "{text:?}"
            );
        }
        let told = slips("a = b\n");
        assert!(!told[0].contains("nothing stands"), "{told:?}");
    }

    #[test]
    fn quotes_in_their_place_are_not_the_mistake_and_hide_none() {
        let told = |text: &str| {
            let file = SourceFile::new("t.toml", text.to_owned());
            let (_, errors) = toml::de::DeTable::parse_recoverable(text);
            let mut problems = Problems::new();
            tell(&file, &errors, &mut problems);
            let lines = problems.sorted();
            lines.iter().map(|it| it.line()).collect::<Vec<_>>()
        };
        for (text, count) in [
            ("a = 1\na = \"met “rekenen”\"\n", 1),
            ("a = foto’s maken\"\n", 1),
            ("a = x # Piet’s akkoord\n", 1),
            ("a = x, b = y # Piet’s akkoord\n", 2),
        ] {
            let lines = told(text);
            assert!(lines.len() >= count, "{text}: {lines:?}");
            let misled = lines.iter().any(|line| line.contains("word processor"));
            assert!(!misled, "{text}: {lines:?}");
        }
    }
}
