//! Problems for people, for programs and for the forge that runs a check.

use std::borrow::Cow;
use std::ops::Range;
use std::sync::Arc;

use annotate_snippets::{
    AnnotationKind, Group, Level, Renderer, Snippet, normalize_untrusted_str as clean,
};

use super::problem::{Place, Problem, Problems};
use crate::limits;

/// Whether text is written with the colours of a terminal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Colour {
    /// Plain text.
    Off,
    /// ANSI escape sequences.
    On,
}

/// One problem as plain data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProblemView<'p> {
    /// `error` or `finding`.
    pub severity: &'static str,
    /// Its code.
    pub code: &'static str,
    /// The file; empty if it is in none.
    pub file: &'p str,
    /// The line, from 1; 0 if it is in no file.
    pub line: usize,
    /// The column in characters, from 1; 0 if it is in no file.
    pub column: usize,
    /// What is wrong.
    pub message: &'p str,
    /// What stands behind the caret.
    pub label: &'p str,
    /// What to do about it.
    pub help: &'p [String],
    /// Another place that belongs to it.
    pub also: Option<AlsoView<'p>>,
}

/// Another place that belongs to a problem, as plain data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AlsoView<'p> {
    /// The file.
    pub file: &'p str,
    /// The line, from 1.
    pub line: usize,
    /// The column in characters, from 1.
    pub column: usize,
    /// What stands behind its caret.
    pub label: &'p str,
}

impl Problem {
    /// The problem as plain data.
    #[must_use]
    pub fn view(&self) -> ProblemView<'_> {
        let place = self.place.as_ref();
        let (line, column) = place.map_or((0, 0), Place::line_and_column);
        ProblemView {
            severity: self.severity.name(),
            code: self.code,
            file: place.map_or("", |place| place.file.shown()),
            line,
            column,
            message: &self.message,
            label: &self.label,
            help: &self.help,
            also: self.also.as_ref().map(|(place, label)| {
                let (line, column) = place.line_and_column();
                AlsoView {
                    file: place.file.shown(),
                    line,
                    column,
                    label,
                }
            }),
        }
    }

    /// All that people are told of it but the lines it is about, in one line: for a log.
    #[must_use]
    pub fn line(&self) -> String {
        let view = self.view();
        let place = match view.file {
            "" => String::new(),
            file => format!("{file}:{}:{}: ", view.line, view.column),
        };
        let label = match view.label {
            "" => String::new(),
            label => format!(" ({label})"),
        };
        let also = view.also.map(|also| format!("; {}", also.words()));
        let help = view.help.iter().map(|help| format!("; help: {help}"));
        let (severity, code, message) = (view.severity, view.code, view.message);
        format!(
            "{place}{severity}[{code}]: {message}{label}{}{}",
            also.unwrap_or_default(),
            help.collect::<String>()
        )
    }

    /// The problem with the lines it is about, without a line end at the end.
    #[must_use]
    pub fn text(&self, colour: Colour) -> String {
        let renderer = match colour {
            Colour::Off => Renderer::plain(),
            Colour::On => Renderer::styled(),
        };
        let level = match self.severity.refuses() {
            true => Level::ERROR,
            false => Level::WARNING.with_name(self.severity.name()),
        };
        let mut group = Group::with_title(level.primary_title(&self.message).id(self.code));
        for part in self.parts() {
            group = group.element(part.snippet());
        }
        let help = self
            .help
            .iter()
            .map(|help| Level::HELP.message(clean(help)));
        renderer.render(&[group.elements(help)])
    }

    /// The parts of files to show: one if both places are in the same file.
    fn parts(&self) -> Vec<Part<'_>> {
        let Some(place) = &self.place else {
            return Vec::new();
        };
        let mut first = Part {
            place,
            marks: vec![(AnnotationKind::Primary, place, &self.label)],
        };
        match &self.also {
            None => vec![first],
            Some((other, label)) => {
                let mark = (AnnotationKind::Context, other, label);
                if Arc::ptr_eq(&other.file, &place.file) {
                    first.marks.push(mark);
                    return vec![first];
                }
                vec![
                    first,
                    Part {
                        place: other,
                        marks: vec![mark],
                    },
                ]
            }
        }
    }
}

impl AlsoView<'_> {
    /// `the other one: vendors/a.toml:2:6`.
    fn words(&self) -> String {
        let Self {
            file,
            line,
            column,
            label,
        } = self;
        let label = match *label {
            "" => "see also",
            label => label,
        };
        format!("{label}: {file}:{line}:{column}")
    }
}

/// Lines of one file with what is marked in them.
struct Part<'p> {
    place: &'p Place,
    marks: Vec<(AnnotationKind, &'p Place, &'p String)>,
}

impl<'p> Part<'p> {
    fn snippet(&self) -> Snippet<'p, annotate_snippets::Annotation<'p>> {
        let spans = self.marks.iter().map(|(_, place, _)| &place.span);
        let start = spans
            .clone()
            .map(|span| span.start)
            .min()
            .unwrap_or_default();
        let end = spans.map(|span| span.end).max().unwrap_or_default();
        let (lines, number, from) = self.place.file.lines_around(start, end);
        let within = |span: &Range<usize>| {
            let at = |byte: usize| byte.saturating_sub(from).min(lines.len());
            at(span.start)..at(span.end)
        };
        let mark = |(kind, place, label): &(AnnotationKind, &Place, &'p String)| {
            let mark = kind.span(within(&place.span));
            if label.is_empty() {
                mark
            } else {
                mark.label(label.as_str())
            }
        };
        let marks: Vec<_> = self.marks.iter().map(mark).collect();
        Snippet::source(Cow::Owned(lines))
            .line_start(number)
            .path(self.place.file.shown())
            .annotations(marks)
    }
}

impl Problems {
    /// The first [`limits::PROBLEMS_SHOWN_MAX`] with their lines, a blank line behind each, and how
    /// many more there are.
    #[must_use]
    pub fn text(&self, colour: Colour) -> String {
        let sorted = self.sorted();
        let mut text = String::new();
        for problem in sorted.iter().take(limits::PROBLEMS_SHOWN_MAX) {
            text.push_str(&problem.text(colour));
            text.push_str("\n\n");
        }
        match sorted.len().saturating_sub(limits::PROBLEMS_SHOWN_MAX) {
            0 => {}
            more => text.push_str(&format!("… and {more} more\n")),
        }
        text
    }

    /// One workflow command a problem, as GitHub and Forgejo read it:
    /// `::error file=…,line=…,col=…,title=E041::message`.
    #[must_use]
    pub fn github(&self) -> String {
        let line = |problem: &&Problem| {
            let view = problem.view();
            let command = if problem.severity.refuses() {
                "error"
            } else {
                "warning"
            };
            let place = match view.file {
                "" => String::new(),
                file => format!(
                    "file={},line={},col={},",
                    property(file),
                    view.line,
                    view.column
                ),
            };
            let help: String = view.help.iter().map(|help| format!("\n{help}")).collect();
            let also = view.also.map(|also| format!("\n{}", also.words()));
            let also = also.unwrap_or_default();
            let message = escaped(&format!("{}{also}{help}", view.message));
            format!("::{command} {place}title={}::{message}\n", view.code)
        };
        self.sorted().iter().map(line).collect()
    }
}

/// Escapes the message of a workflow command.
fn escaped(text: &str) -> String {
    text.replace('%', "%25")
        .replace('\r', "%0D")
        .replace('\n', "%0A")
}

/// Escapes a property of a workflow command.
fn property(text: &str) -> String {
    escaped(text).replace(':', "%3A").replace(',', "%2C")
}

#[cfg(test)]
mod tests {
    use super::super::source::SourceFile;
    use super::*;

    fn problem() -> Problem {
        let file = SourceFile::new("vendors/a.toml", "one\nid = \"pupli\"\ntwo\n".to_owned());
        Problem::error("E041", "no such word: `pupli`")
            .at(&Place { file, span: 9..16 })
            .label("not known here")
            .did_you_mean("pupli", ["pupil"])
    }

    #[test]
    fn a_problem_is_shown_with_its_line_a_caret_and_help() {
        let expected = "\
error[E041]: no such word: `pupli`
 --> vendors/a.toml:2:6
  |
2 | id = \"pupli\"
  |      ^^^^^^^ not known here
  |
  = help: did you mean `pupil`?";
        assert_eq!(problem().text(Colour::Off), expected);
        assert!(problem().text(Colour::On).contains("\u{1b}["));
    }

    #[test]
    fn two_places_of_one_file_are_shown_together() {
        let file = SourceFile::new("a.toml", "first\nsecond\nthird\n".to_owned());
        let place = |span| Place {
            file: Arc::clone(&file),
            span,
        };
        let text = Problem::error("E034", "two routes")
            .at(&place(6..12))
            .also(&place(0..5), "this one")
            .text(Colour::Off);
        assert!(text.contains("--> a.toml:2:1"), "{text}");
        assert!(
            text.contains("----- this one") && text.contains("^^^^^^"),
            "{text}"
        );
    }

    #[test]
    fn a_log_has_place_code_words_and_help_in_one_line() {
        assert_eq!(
            problem().line(),
            "vendors/a.toml:2:6: error[E041]: no such word: `pupli` (not known here); \
             help: did you mean `pupil`?"
        );
        let other = SourceFile::new("b.toml", "first\nsecond\n".to_owned());
        let place = Place {
            file: other,
            span: 6..12,
        };
        let two = Problem::finding("F15", "two shapes").also(&place, "the other one");
        assert_eq!(
            two.line(),
            "finding[F15]: two shapes; the other one: b.toml:2:1"
        );
    }

    #[test]
    fn a_file_that_is_not_shown_is_named_only() {
        let text = Problem::error("E001", "`x.toml` cannot be read")
            .help("make it")
            .text(Colour::Off);
        assert_eq!(
            text,
            "error[E001]: `x.toml` cannot be read\n |\n = help: make it"
        );
    }

    #[test]
    fn a_forge_gets_one_line_a_problem() {
        let mut problems = Problems::new();
        problems.push(problem());
        problems.push(Problem::finding("F07", "100 %\nof it"));
        assert_eq!(
            problems.github(),
            "\
::warning title=F07::100 %25%0Aof it
::error file=vendors/a.toml,line=2,col=6,title=E041::no such word: `pupli`%0Adid you mean `pupil`?
"
        );
    }

    #[test]
    fn no_more_than_the_limit_is_shown() {
        let mut problems = Problems::new();
        for number in 0..limits::PROBLEMS_SHOWN_MAX + 3 {
            problems.push(Problem::error("E001", format!("number {number:02}")));
        }
        let text = problems.text(Colour::Off);
        assert_eq!(
            text.matches("error[E001]").count(),
            limits::PROBLEMS_SHOWN_MAX
        );
        assert!(text.ends_with("… and 3 more\n"));
    }
}
