//! What `sluis try` says: a table for people, a document for programs.

use serde_json::json;

use super::preview::{Preview, Row, mark, summary};
use super::refused::Refused;
use super::{Found, Message};
use crate::cli::out::{Exit, Format, Out};
use crate::config::VendorDraft;
use crate::minimise::{Action, Fate};
use crate::policy::{Content, Rule};
use crate::pseudonym::is_invisible;
use crate::refusal::Refusal;

/// The widest a value is shown, in characters.
const VALUE_CHARS_MAX: usize = 38;

/// What is shown, and to whom.
pub(super) struct Show<'d> {
    pub(super) vendor: &'d VendorDraft,
    pub(super) found: &'d Found<'d>,
    pub(super) message: Message,
    pub(super) to_vendor: bool,
    pub(super) format: Format,
}

impl Show<'_> {
    fn head(&self) -> String {
        let method = self.found.route.method.as_str();
        format!(
            "{} · {}\nthe upstream is asked: {method} {}",
            self.found.flow.name, self.found.route.name, self.found.target
        )
    }

    pub(super) fn nothing(&self, content: Option<Content>, out: &mut Out) -> Exit {
        match self.format {
            Format::Json => out.json(&self.document(None, &[])),
            Format::Text => {
                out.say(&self.head());
                out.say(match (content, self.message) {
                    (None, _) => {
                        "this route declares nothing for that status: the gateway tells it itself"
                    }
                    (Some(_), Message::Answer) => {
                        "this route carries nothing in its answer: only its status passes"
                    }
                    (Some(_), Message::Request) => {
                        "this route carries nothing in its request: one with a body is refused"
                    }
                });
            }
        }
        Exit::Fine
    }

    pub(super) fn head_only(&self, out: &mut Out) -> Exit {
        match self.format {
            Format::Json => out.json(&self.document(None, &[])),
            Format::Text => {
                out.say(&self.head());
                out.say(
                    "give a message with --sample FILE, or on standard input, to see it rewritten",
                );
            }
        }
        Exit::Fine
    }

    pub(super) fn preview(
        &self,
        rule: Rule,
        preview: Result<Preview, Refusal>,
        message: &[u8],
        out: &mut Out,
    ) -> Exit {
        match (preview, self.format) {
            (Err(refusal), format) => {
                let refused = Refused::message(refusal, message);
                let refused = refused.expecting(&self.vendor.policy, rule);
                refused.show(format, out)
            }
            (Ok(preview), Format::Json) => {
                out.json(&self.document(Some(&preview), message));
                Exit::Fine
            }
            (Ok(preview), Format::Text) => {
                self.table(&preview, message, out);
                Exit::Fine
            }
        }
    }

    fn document(&self, preview: Option<&Preview>, message: &[u8]) -> serde_json::Value {
        let rows = preview
            .map(|preview| preview.rows.as_slice())
            .unwrap_or_default();
        let fields: Vec<serde_json::Value> = rows
            .iter()
            .map(|row| {
                json!({
                    "path": row.path, "before": row.before, "action": row.action.name(),
                    "after": row.after, "word": row.word,
                })
            })
            .collect();
        let output = preview.and_then(|preview| std::str::from_utf8(&preview.output).ok());
        json!({
            "flow": self.found.flow.name,
            "route": self.found.route.name,
            "upstream_target": self.found.target,
            "to_vendor": self.to_vendor,
            "fields": fields,
            "output": output,
            "bytes_in": message.len(),
            "bytes_out": output.map(str::len),
            "keys": "test",
        })
    }

    fn table(&self, preview: &Preview, message: &[u8], out: &mut Out) {
        let gets = if self.to_vendor {
            self.vendor.name.as_str()
        } else {
            "the school"
        };
        let has = if self.to_vendor {
            "the school"
        } else {
            self.vendor.name.as_str()
        };
        let rows: Vec<Row> = preview.rows.iter().map(visible_row).collect();
        let wide = |cell: fn(&Row) -> &str, least: usize, most: usize| {
            let widest = rows.iter().map(|row| cell(row).chars().count()).max();
            widest.unwrap_or(0).clamp(least, most)
        };
        let path = wide(|row| &row.path, 4, 44);
        let before = wide(|row| &row.before, has.chars().count(), VALUE_CHARS_MAX);
        let after = wide(
            |row| &row.after,
            gets.chars().count().saturating_add(5),
            VALUE_CHARS_MAX,
        );
        out.say(&self.head());
        out.say("");
        out.say(&format!(
            "{:path$}  {has:before$}     {:after$}",
            "",
            format!("{gets} gets")
        ));
        for row in &rows {
            let (mark, gets) = (mark(row.action), after_cell(row));
            let colour = colour(row.action);
            out.say(&format!(
                "{:path$}  {:before$}  {colour}{mark}  {:after$}{colour:#}  {}",
                cut(&row.path, path),
                cut(&row.before, before),
                cut(gets, after),
                row.word,
            ));
        }
        out.say(&format!(
            "\n{}.   in {} B  out {} B",
            summary(&preview.counts),
            message.len(),
            preview.output.len()
        ));
        out.say(
            "Keys: one test key for all vendors (the live pseudonyms are others, and others for \
             each vendor; `sluis pseudonym` gives those)",
        );
        if preview.counts.of(Action::BroughtHome) > 0 {
            out.say(
                "`the-schools-own-id` stands for what the register knows under a pseudonym. Here \
                 it knows them all; `serve` refuses one that was not given out (422)",
            );
        }
    }
}

/// The row as a terminal may have it: what a message says must not move the cursor, and not add a
/// row of its own.
fn visible_row(row: &Row) -> Row {
    Row {
        path: visible(&row.path),
        before: visible(&row.before),
        action: row.action,
        after: visible(&row.after),
        word: visible(&row.word),
    }
}

/// Escapes what cannot be seen as JSON does: control, zero-width and direction characters.
fn visible(text: &str) -> String {
    let mut seen = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '\n' => seen.push_str("\\n"),
            '\r' => seen.push_str("\\r"),
            '\t' => seen.push_str("\\t"),
            _ if is_invisible(character) => {
                for unit in character.encode_utf16(&mut [0; 2]) {
                    seen.push_str(&format!("\\u{unit:04x}"));
                }
            }
            _ => seen.push(character),
        }
    }
    seen
}

fn after_cell(row: &Row) -> &str {
    match row.action.fate() {
        Fate::Changed if row.action == Action::RecordStubbed => "record not sent: a stub",
        Fate::Changed => &row.after,
        Fate::Dropped if is_of_record(row.action) => "record not sent",
        Fate::Dropped => "not sent",
        Fate::Kept => "",
    }
}

/// Whether a record was removed.
const fn is_of_record(action: Action) -> bool {
    matches!(
        action,
        Action::DroppedItem | Action::RecordFiltered | Action::RecordObjected
    )
}

/// Red and struck for what stays, blue for what was changed, green for what passes.
const fn colour(action: Action) -> anstyle::Style {
    let colour = match action.fate() {
        Fate::Changed => anstyle::AnsiColor::Blue,
        Fate::Dropped => anstyle::AnsiColor::Red,
        Fate::Kept => anstyle::AnsiColor::Green,
    };
    anstyle::Style::new().fg_color(Some(anstyle::Color::Ansi(colour)))
}

/// The text, cut to so many characters.
fn cut(text: &str, chars_max: usize) -> String {
    if text.chars().count() <= chars_max {
        return text.to_owned();
    }
    text.chars()
        .take(chars_max.saturating_sub(1))
        .chain(['…'])
        .collect()
}
