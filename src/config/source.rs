//! The text of one configuration file, with its lines.

use std::borrow::Cow;
use std::io::Read as _;
use std::path::Path;
use std::string::FromUtf8Error;
use std::sync::Arc;

use super::code;
use super::guarded::open_trusted;
use super::problem::{Problem, Problems, shown};
use crate::limits;

/// The keys behind which a value may be a secret that someone wrote into the wrong file.
const SECRET_KEYS: &[&str] = &[
    "basic",
    "bearer",
    "pass",
    "password",
    "secret",
    "secret-sha256",
    "token",
    "token-sha256",
];

/// Why bytes are no UTF-8, and on which line.
fn not_utf8(error: &FromUtf8Error) -> String {
    let bytes = error.as_bytes();
    if bytes.starts_with(&[0xff, 0xfe]) || bytes.starts_with(&[0xfe, 0xff]) {
        return "is UTF-16 and not UTF-8".to_owned();
    }
    let at = error.utf8_error().valid_up_to();
    let before = bytes.iter().take(at);
    let line = before.filter(|byte| **byte == b'\n').count();
    format!("is not UTF-8: see line {}", line.saturating_add(1))
}

/// A configuration file as it was read.
#[derive(Debug)]
pub struct SourceFile {
    shown: String,
    text: String,
}

impl SourceFile {
    /// A text with the name that people know it by.
    #[must_use]
    pub fn new(shown: impl Into<String>, text: String) -> Arc<Self> {
        Arc::new(Self {
            shown: shown.into(),
            text,
        })
    }

    /// Reads a file of at most [`limits::CONFIG_FILE_BYTES_MAX`] that others cannot write;
    /// otherwise says why not.
    pub fn read(path: &Path, name: &str, problems: &mut Problems) -> Option<Arc<Self>> {
        let opened = open_trusted(path).map_err(|problem| problems.push(*problem));
        let mut bytes = Vec::new();
        let most = limits::CONFIG_FILE_BYTES_MAX;
        let read = { opened.ok()? }
            .take(most.saturating_add(1))
            .read_to_end(&mut bytes);
        let (fault, help) = match read {
            Err(error) => (format!("cannot be read: {error}"), None),
            Ok(_) if u64::try_from(bytes.len()).is_ok_and(|size| size > most) => {
                (format!("is larger than {} MiB", most >> 20), None)
            }
            Ok(_) => match String::from_utf8(bytes) {
                Ok(text) => return Some(Self::new(name, text)),
                Err(error) => (not_utf8(&error), Some("save it as UTF-8")),
            },
        };
        let mut problem = Problem::error(code::FILE, format!("{} {fault}", shown(name)));
        problem.help.extend(help.map(str::to_owned));
        problems.push(problem);
        None
    }

    /// The name that people know it by.
    #[must_use]
    pub fn shown(&self) -> &str {
        &self.shown
    }

    /// Its text.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Line and column of a byte, both counted from 1; columns are characters.
    #[must_use]
    pub fn line_and_column(&self, byte: usize) -> (usize, usize) {
        let before = self.before(byte);
        let line = before.matches('\n').count().saturating_add(1);
        let start = before.rfind('\n').map_or(0, |at| at.saturating_add(1));
        let column = before.get(start..).unwrap_or_default().chars().count();
        (line, column.saturating_add(1))
    }

    /// The whole lines around these bytes, what may be secret in them masked byte by byte; with
    /// them the number of the first line and the place of its first byte.
    pub(super) fn lines_around(&self, start: usize, end: usize) -> (String, usize, usize) {
        let (line, _) = self.line_and_column(start);
        let from = self
            .before(start)
            .rfind('\n')
            .map_or(0, |at| at.saturating_add(1));
        let rest = self.text.get(end.max(from)..).unwrap_or_default();
        let to = rest
            .find('\n')
            .map_or(self.text.len(), |at| at.saturating_add(end.max(from)));
        let lines = self.text.get(from..to).unwrap_or_default();
        let masked: Vec<String> = lines.split('\n').map(masked).collect();
        (masked.join("\n"), line, from)
    }

    fn before(&self, byte: usize) -> &str {
        let byte = byte.min(self.text.len());
        let byte = (0..=byte).rev().find(|at| self.text.is_char_boundary(*at));
        self.text.get(..byte.unwrap_or(0)).unwrap_or_default()
    }
}

/// A line without what may be a secret in it. A value is starred whole if a
/// [secret key](SECRET_KEYS) stands before it; `{ file = … }` behind such a key says where the
/// secret is, and is shown. Of a URL, the user and the query are starred.
fn masked(line: &str) -> String {
    let signs = line.match_indices('=').map(|(at, _)| at.saturating_add(1));
    let secret = { signs }.find(|value| is_secret(line.split_at(*value)));
    let (shown, value) = line.split_at(secret.unwrap_or(line.len()));
    let mut masked = without_credentials(shown);
    masked.extend(value.bytes().map(star));
    masked
}

/// Whether a secret key stands before a sign of equality, and no table behind it.
fn is_secret((before, value): (&str, &str)) -> bool {
    let key = before.trim_end_matches(['=', ' ', '\t', '"', '\'']);
    let key = key.rsplit(|c: char| !c.is_ascii_alphanumeric() && c != '-');
    let named = { key }.next().is_some_and(|key| SECRET_KEYS.contains(&key));
    named && !value.trim_start().starts_with('{')
}

/// Stars what stands between `://` and `@`, and what stands behind `?`, in every URL of a text; and
/// what may be user and password of one that has lost its beginning: `user:password@host`. A
/// password may hold quotes; blanks end it.
pub(super) fn without_credentials(text: &str) -> String {
    let words = text.split_inclusive(char::is_whitespace);
    without_credentials_of_urls(&words.map(without_user).collect::<String>())
}

fn without_user(word: &str) -> Cow<'_, str> {
    let (before, host) = word.split_at(word.rfind('@').unwrap_or(0));
    let user = before.find(':').and_then(|colon| before.get(..colon));
    let quote = user.and_then(|user| user.rfind(QUOTES));
    let (opened, user) = before.split_at(quote.map_or(0, |at| at.saturating_add(1)));
    let is_one = user.contains(':') && !user.contains("://") && !user.starts_with("mailto:");
    match is_one {
        true => { opened.chars() }
            .chain(user.bytes().map(star))
            .chain(host.chars())
            .collect(),
        false => word.into(),
    }
}

fn without_credentials_of_urls(text: &str) -> String {
    let mut parts = text.split("://");
    let mut whole = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let word = part.split(char::is_whitespace).next().unwrap_or_default();
        let (user, host) = part.split_at(word.rfind('@').unwrap_or(0));
        let end = host.find([' ', '"', '\'']).unwrap_or(host.len());
        let (url, rest) = host.split_at(end);
        let (url, query) = url.split_at(url.find('?').unwrap_or(url.len()));
        whole.push_str("://");
        whole.extend(user.bytes().map(star));
        whole.push_str(url);
        whole.extend(query.bytes().map(star));
        whole.push_str(rest);
    }
    whole
}

const QUOTES: [char; 3] = ['"', '\'', '`'];

const fn star(byte: u8) -> char {
    if byte.is_ascii_whitespace() { ' ' } else { '*' }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_and_columns_count_from_one_and_columns_are_characters() {
        let file = SourceFile::new("x", "aë1\nb\n".to_owned());
        assert_eq!(file.line_and_column(0), (1, 1));
        assert_eq!(file.line_and_column(3), (1, 3));
        assert_eq!(file.line_and_column(2), (1, 2), "inside a character");
        assert_eq!(file.line_and_column(5), (2, 1));
        assert_eq!(file.line_and_column(99), (3, 1));
    }

    #[test]
    fn a_secret_in_the_wrong_file_is_not_shown() {
        let open = r#"upstream-auth = { bearer = { file = "secrets/token" } }"#;
        assert_eq!(masked(open), open);
        let closed = masked(r#"upstream-auth = { bearer = "fake-not-a-key" }"#);
        assert_eq!(closed, "upstream-auth = { bearer = **************** *");
        assert_eq!(masked("basic = piet:fäke"), "basic = **********");
        let url = masked(r#"upstream = "https://piet:fake@a.example/b?key=fake", x = "y@z""#);
        assert_eq!(
            url,
            r#"upstream = "https://*********@a.example/b*********", x = "y@z""#
        );
        for (text, seen) in [
            (
                "match = \"piet:fake@x /users\"",
                "match = \"*********@x /users\"",
            ),
            (
                "no such method: `piet:f@ke@x`",
                "no such method: `*********@x`",
            ),
            ("PUT piet:fa/ke@x/users", "PUT **********@x/users"),
            ("match = \"piet:fa\"ke@x\"", "match = \"**********@x\""),
            (
                "at=\"https://piet:fa\"ke@x\"",
                "at=\"https://**********@x\"",
            ),
            ("\"https://a?b=c@d\", 1", "\"https://*****@d\", 1"),
            ("contact = \"mailto:p@x\"", "contact = \"mailto:p@x\""),
            (
                "{a:slug} of preset/pull@1: x",
                "{a:slug} of preset/pull@1: x",
            ),
        ] {
            assert_eq!(masked(text), seen);
        }
        assert_eq!(
            masked(r#"basic = { user = "piet", "pass" = "fake" }"#),
            r#"basic = { user = "piet", "pass" = ****** *"#
        );
    }
}
