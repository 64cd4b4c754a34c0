//! Holds files to TOML 1.0. The parser also takes 1.1, which editors and other tools may not read.

use std::sync::Arc;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::code;
use super::problem::{Place, Problem, Problems};
use super::source::SourceFile;

/// Reports what only later versions of TOML have.
pub(super) fn check(file: &Arc<SourceFile>, root: &Spanned<DeTable<'_>>, problems: &mut Problems) {
    let mut dialect = Dialect { file, problems };
    dialect.entries(root.get_ref());
}

struct Dialect<'c> {
    file: &'c Arc<SourceFile>,
    problems: &'c mut Problems,
}

impl Dialect<'_> {
    /// The parser bounds how deep tables and lists nest.
    fn entries(&mut self, table: &DeTable<'_>) {
        for (key, value) in table {
            self.escapes(key.span());
            self.value(value);
        }
    }

    fn value(&mut self, value: &Spanned<DeValue<'_>>) {
        match value.get_ref() {
            DeValue::String(_) => self.escapes(value.span()),
            DeValue::Datetime(moment) => {
                if moment.time.is_some_and(|time| time.second.is_none()) {
                    self.refuse(value.span(), "a time without seconds");
                }
            }
            DeValue::Array(items) => items.iter().for_each(|item| self.value(item)),
            DeValue::Table(table) => {
                self.braces(value.span(), table);
                self.entries(table);
            }
            DeValue::Boolean(_) | DeValue::Float(_) | DeValue::Integer(_) => {}
        }
    }

    /// `\e` and `\x41` in a text.
    fn escapes(&mut self, span: std::ops::Range<usize>) {
        let raw = self.file.text().get(span.clone()).unwrap_or_default();
        if !raw.starts_with('"') {
            return;
        }
        let mut characters = raw.chars();
        while let Some(character) = characters.next() {
            if character == '\\' && matches!(characters.next(), Some('e' | 'x')) {
                self.refuse(span, "`\\e` or `\\x` in a text");
                return;
            }
        }
    }

    /// Line ends, comments and a last comma between the values of an inline table.
    fn braces(&mut self, span: std::ops::Range<usize>, table: &DeTable<'_>) {
        let raw = self.file.text().get(span.clone()).unwrap_or_default();
        if !raw.starts_with('{') {
            return;
        }
        let mut values = Vec::new();
        value_spans(table, &mut values);
        values.sort_by_key(|value| value.start);
        let mut from = span.start;
        let mut last = "";
        let ends = values.iter().map(|value| value.start).chain([span.end]);
        let nexts = values.iter().map(|value| value.end).chain([span.end]);
        for (to, next) in ends.zip(nexts) {
            last = self.file.text().get(from..to).unwrap_or_default();
            from = next.max(from);
            if last.contains('\n') {
                self.refuse(span, "an inline table over several lines");
                return;
            }
        }
        if last.contains(',') {
            self.refuse(span, "a comma behind the last value of an inline table");
        }
    }

    fn refuse(&mut self, span: std::ops::Range<usize>, what: &str) {
        let place = Place {
            file: Arc::clone(self.file),
            span,
        };
        self.problems.push(
            Problem::error(code::DIALECT, format!("{what} is TOML 1.1"))
                .at(&place)
                .help("these files stay within TOML 1.0, so that every editor can read them"),
        );
    }
}

/// Where the values of an inline table stand; those of dotted keys are looked for within.
fn value_spans(table: &DeTable<'_>, spans: &mut Vec<std::ops::Range<usize>>) {
    for (key, value) in table {
        match value.get_ref().as_table() {
            Some(dotted) if value.span().start <= key.span().start => value_spans(dotted, spans),
            _ => spans.push(value.span()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::raw::Document;

    fn problems(text: &str) -> Vec<String> {
        let file = SourceFile::new("t.toml", text.to_owned());
        let mut problems = Problems::new();
        let _document = Document::parse(&file, &mut problems);
        problems
            .sorted()
            .iter()
            .map(|problem| problem.message.clone())
            .collect()
    }

    #[test]
    fn toml_1_0_is_taken() {
        let text = "a = { b = 1, c.d = [\n 2, # x\n 3,\n], e = '{\\x}', f = { g = \"\\\\x\" } }\n\
                    [h]\ni = 1979-05-27T07:32:00Z\nj = 1979-05-27\n[[k]]\nl = { }\n";
        assert_eq!(problems(text), [""; 0]);
    }

    #[test]
    fn toml_1_1_is_refused() {
        let lines = "an inline table over several lines is TOML 1.1";
        assert_eq!(problems("a = { b = 1,\n c = 2 }"), [lines]);
        assert_eq!(problems("a = [{ b.c = 1\n }]"), [lines]);
        assert_eq!(problems("a = {\n}"), [lines]);
        let comma = "a comma behind the last value of an inline table is TOML 1.1";
        assert_eq!(problems("a = { b = 1, }"), [comma]);
        assert_eq!(
            problems("a = \"\\e\""),
            ["`\\e` or `\\x` in a text is TOML 1.1"]
        );
        assert_eq!(
            problems("\"\\x41\" = 1"),
            ["`\\e` or `\\x` in a text is TOML 1.1"]
        );
        assert_eq!(
            problems("a = 07:32"),
            ["a time without seconds is TOML 1.1"]
        );
    }
}
