//! One message before and after, field by field, as wide as the terminal.

use anstyle::{AnsiColor, Style};
use serde_json::Value;

const BOLD: Style = Style::new().bold();
const DIM: Style = Style::new().dimmed();
const DROPPED: Style = AnsiColor::Red.on_default().strikethrough();
const CROSS: Style = AnsiColor::Red.on_default();
const KEPT: Style = AnsiColor::Green.on_default();
const CHANGED: Style = AnsiColor::Blue.on_default();

/// The least and the most columns that a picture takes.
const COLUMNS: (usize, usize) = (72, 120);
/// Pseudonyms are shown whole where there is room.
const UUID_CHARS: usize = 36;
/// What the school has is shown at least so far.
const BEFORE_CHARS_MIN: usize = 16;

/// What became of one value.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Fate {
    Changed(String),
    Dropped,
    Kept,
}

impl Fate {
    /// What leaves changed comes first, what does not leave last.
    const fn rank(&self) -> u8 {
        match self {
            Self::Changed(_) => 0,
            Self::Kept => 1,
            Self::Dropped => 2,
        }
    }
}

/// One value of the message: where it stands, what it was, what became of it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Row {
    place: String,
    before: String,
    fate: Fate,
}

/// The two columns of a picture.
#[derive(Clone, Copy, Debug)]
pub(super) struct Heads<'h> {
    pub(super) before: &'h str,
    pub(super) after: &'h str,
}

/// Draws what became of `before`: kept green, pseudonyms and made-up values blue, dropped red and
/// struck; and the same in signs, for those who see no colours.
pub(super) fn draw(heads: Heads<'_>, before: &Value, after: &Value, columns: usize) -> String {
    let mut rows = Vec::new();
    compare(String::new(), before, Some(after), &mut rows);
    rows.sort_by_key(|row| row.fate.rank());
    let widths = Widths::of(&rows, columns);
    let mut text = widths.heads(heads);
    for row in &rows {
        text += &widths.line(row);
    }
    text
}

/// The columns of a picture, in characters.
struct Widths {
    place: usize,
    before: usize,
    after: usize,
}

impl Widths {
    fn of(rows: &[Row], columns: usize) -> Self {
        let (least, most) = COLUMNS;
        let columns = columns.clamp(least, most);
        let longest = |text: fn(&Row) -> &str| {
            let lengths = rows.iter().map(|row| text(row).chars().count());
            lengths.max().unwrap_or_default()
        };
        let place = longest(|row| &row.place).min(columns / 4);
        // Two spaces at the left, two and five between the columns.
        let rest = columns.saturating_sub(place).saturating_sub(9);
        let before = longest(|row| &row.before).min(rest.saturating_sub(UUID_CHARS));
        let before = before.max(BEFORE_CHARS_MIN);
        Self {
            place,
            before,
            after: rest.saturating_sub(before),
        }
    }

    fn heads(&self, Heads { before, after }: Heads<'_>) -> String {
        let gap = " ".repeat(self.place);
        let before = pad(&beginning(before, self.before), self.before);
        let after = beginning(after, self.after);
        format!("  {gap}  {BOLD}{before}     {after}{BOLD:#}\n")
    }

    fn line(&self, row: &Row) -> String {
        let place = pad(&ending(&row.place, self.place), self.place);
        let before = beginning(&row.before, self.before);
        let gap = " ".repeat(self.before.saturating_sub(before.chars().count()));
        let fate = match &row.fate {
            Fate::Kept => {
                let after = beginning(&row.before, self.after);
                format!("{KEPT}{before}{gap}  =  {after}{KEPT:#}")
            }
            Fate::Dropped => format!("{DROPPED}{before}{DROPPED:#}{gap}  {CROSS}×{CROSS:#}"),
            Fate::Changed(after) => {
                let after = beginning(after, self.after);
                format!("{before}{gap}  {CHANGED}→  {after}{CHANGED:#}")
            }
        };
        format!("  {place}  {fate}\n")
    }
}

/// Under a picture: what the signs mean.
pub(super) fn legend() -> String {
    format!(
        "  {KEPT}= the same{KEPT:#}   {CHANGED}→ pseudonym or id, or made up{CHANGED:#}   \
         {CROSS}× does not leave{CROSS:#}\n"
    )
}

/// A heading.
pub(super) fn bold(text: &str) -> String {
    format!("{BOLD}{text}{BOLD:#}")
}

/// Something that matters less.
pub(super) fn dim(text: &str) -> String {
    format!("{DIM}{text}{DIM:#}")
}

/// Something good.
pub(super) fn green(text: &str) -> String {
    format!("{KEPT}{text}{KEPT:#}")
}

/// Something bad.
pub(super) fn red(text: &str) -> String {
    format!("{CROSS}{text}{CROSS:#}")
}

/// Walks the two side by side; a container that is gone as a whole is one row.
fn compare(place: String, before: &Value, after: Option<&Value>, rows: &mut Vec<Row>) {
    match (before, after) {
        (Value::Object(fields), Some(Value::Object(left))) => {
            for (key, value) in fields {
                let place = if place.is_empty() {
                    key.clone()
                } else {
                    format!("{place}.{key}")
                };
                compare(place, value, left.get(key), rows);
            }
        }
        (Value::Array(items), Some(Value::Array(left))) => {
            for (at, item) in items.iter().enumerate() {
                compare(format!("{place}[{at}]"), item, left.get(at), rows);
            }
        }
        (_, after) => {
            let fate = match after {
                None => Fate::Dropped,
                Some(after) if after == before => Fate::Kept,
                Some(after) => Fate::Changed(shown(after)),
            };
            rows.push(Row {
                place,
                before: shown(before),
                fate,
            });
        }
    }
}

/// A value for people: texts without quotes unless they are empty, containers in short.
fn shown(value: &Value) -> String {
    match value {
        Value::String(text) if text.is_empty() => "\"\"".to_owned(),
        Value::String(text) => text.clone(),
        Value::Array(items) => format!("(list of {})", items.len()),
        Value::Object(fields) => {
            let keys: Vec<&str> = fields.keys().map(String::as_str).collect();
            format!("{{ {} }}", keys.join(", "))
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => value.to_string(),
    }
}

fn pad(text: &str, width: usize) -> String {
    format!("{text:width$}")
}

/// At most `width` characters from the beginning.
fn beginning(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.to_owned();
    }
    let kept: String = text.chars().take(width.saturating_sub(1)).collect();
    kept + "…"
}

/// At most `width` characters from the end.
fn ending(text: &str, width: usize) -> String {
    let length = text.chars().count();
    if length <= width {
        return text.to_owned();
    }
    let skipped = length.saturating_sub(width).saturating_add(1);
    let kept: String = text.chars().skip(skipped).collect();
    format!("…{kept}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const HEADS: Heads<'_> = Heads {
        before: "the school",
        after: "the vendor",
    };

    fn plain(text: &str) -> String {
        let mut plain = String::new();
        let mut inside = false;
        for letter in text.chars() {
            match letter {
                '\u{1b}' => inside = true,
                'm' if inside => inside = false,
                _ if inside => {}
                _ => plain.push(letter),
            }
        }
        plain
    }

    #[test]
    fn every_value_of_the_school_has_a_row() {
        let before = json!({
            "id": "L-1", "name": "Noor", "grades": ["07"], "agents": [{ "id": "O-1" }],
            "role": { "org": { "id": "x" } }, "more": { "a": 1, "b": 2 },
        });
        let after =
            json!({ "id": "p", "name": "", "grades": ["07"], "role": { "org": { "id": "y" } } });
        let drawn = plain(&draw(HEADS, &before, &after, 80));
        let expected = [
            "               the school           the vendor",
            "  id           L-1               →  p",
            "  name         Noor              →  \"\"",
            "  role.org.id  x                 →  y",
            "  grades[0]    07                =  07",
            "  agents       (list of 1)       ×",
            "  more         { a, b }          ×",
        ];
        let drawn: Vec<&str> = drawn.lines().collect();
        assert_eq!(drawn, expected);
    }

    #[test]
    fn no_line_is_wider_than_the_terminal() {
        let long = "x".repeat(300);
        let before = json!({ &long: { "some": long, "other": long, "third": long } });
        let after = json!({ &long: { "some": long, "other": "y".repeat(300) } });
        for columns in [0, 72, 80, 100, 120, 500] {
            let most = columns.clamp(COLUMNS.0, COLUMNS.1);
            for line in plain(&draw(HEADS, &before, &after, columns)).lines() {
                assert!(line.chars().count() <= most, "{columns}: {line}");
            }
        }
    }
}
