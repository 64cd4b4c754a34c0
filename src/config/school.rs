//! `school.toml`: whose pupils these are, and under which address callers reach them.

use std::sync::Arc;

use super::address::{WebAddress, WebScheme};
use super::code;
use super::problem::{Problem, Problems, shown};
use super::raw::{At, Document, Table};
use super::source::SourceFile;

/// Pupils of a school that does not say how many it has.
const PUPILS_DEFAULT: u32 = 20_000;
/// More than all pupils of the country.
const PUPILS_MAX: u32 = 10_000_000;
/// A name or address for people, in characters.
const WORDS_CHARS_MAX: usize = 200;

/// A school as its file describes it.
#[derive(Clone, Debug)]
pub struct School {
    /// Its name for people.
    pub name: String,
    /// Whom parents and vendors write to.
    pub contact: String,
    /// The language of what parents read.
    pub language: Language,
    /// How many pupils it has, or will have: decides how long a pseudonym must be.
    pub pupils: u32,
    /// How callers see the gateway: `Host`, and the path before the flows' own.
    pub(super) public: WebAddress,
}

/// A language that pages for parents are written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Language {
    /// English.
    En,
    /// Dutch, the default.
    Nl,
}

impl School {
    /// Reads the file; `None` if something that must be there is not.
    pub(super) fn read(file: &Arc<SourceFile>, problems: &mut Problems) -> Option<Self> {
        let document = Document::parse(file, problems);
        let root = document.root();
        version(&root, problems);
        let table = root
            .need("school", problems)
            .and_then(|value| value.table(problems));
        root.finish(problems);
        let table = table?;
        let name = words(&table, "name", problems);
        let contact = words(&table, "contact", problems);
        let public = public(&table, problems);
        let language = match table.text("language", problems) {
            None => Language::Nl,
            Some(text) => {
                let words = [("en", Language::En), ("nl", Language::Nl)];
                one_of(&text, "school.language", &words, problems).unwrap_or(Language::Nl)
            }
        };
        let pupils = pupils(&table, problems);
        table.finish(problems);
        Some(Self {
            name: name?,
            contact: contact?,
            language,
            pupils,
            public: public?,
        })
    }
}

fn public(table: &Table<'_>, problems: &mut Problems) -> Option<WebAddress> {
    let text = table.need("public", problems)?.text(problems)?;
    match WebAddress::parse(text.value) {
        Ok(address) => {
            if address.scheme == WebScheme::Http && !address.is_loopback() {
                let message = "what callers send to this address can be read on the way";
                let help = "https, spoken by this gateway or by a server before it";
                let problem = Problem::finding(code::PLAIN_HTTP, message);
                problems.push(problem.at(&text.place).help(help));
            }
            Some(address)
        }
        Err(why) => {
            let message = format!("{} is not an address callers can use", shown(text.value));
            let help = "write it as callers will: public = \"https://sluis.school.example\"";
            problems.push(
                Problem::error(code::VALUE, message)
                    .at(&text.place)
                    .label(why)
                    .help(help),
            );
            None
        }
    }
}

fn pupils(table: &Table<'_>, problems: &mut Problems) -> u32 {
    let Some(number) = table.integer("pupils", problems) else {
        return PUPILS_DEFAULT;
    };
    match u32::try_from(number.value) {
        Ok(pupils) if (1..=PUPILS_MAX).contains(&pupils) => pupils,
        Ok(_) | Err(_) => {
            let message = format!("`school.pupils` must be 1 to {PUPILS_MAX}");
            problems.push(Problem::error(code::VALUE, message).at(&number.place));
            PUPILS_DEFAULT
        }
    }
}

/// Reads `version = 1`, which every file begins with.
pub(super) fn version(root: &Table<'_>, problems: &mut Problems) {
    let Some(version) = root
        .need_as("version", &["write version = 1"], problems)
        .and_then(|value| value.integer(problems))
    else {
        return;
    };
    if version.value != 1 {
        let message = format!(
            "this release reads files of version 1, not {}",
            version.value
        );
        problems.push(Problem::error(code::VALUE, message).at(&version.place));
    }
}

/// What to write under a key of [`words`] that is missing.
fn about(key: &str) -> &'static [&'static str] {
    match key {
        "agreement" => &["the number of the processing agreement: agreement = \"VO-2026-022\""],
        "contact" => &["whom to ask about privacy: contact = \"privacy@school.example\""],
        "name" => &["as people know it: name = \"…\""],
        "purpose" => &["what the data is for, in a few words: purpose = \"Practising arithmetic\""],
        _ => &[],
    }
}

/// A text for people that must be there: not empty, on one line and not endless.
pub(super) fn words(table: &Table<'_>, key: &str, problems: &mut Problems) -> Option<String> {
    let value = table.need_as(key, about(key), problems)?;
    let text = value.text(problems)?;
    let fits = (1..=WORDS_CHARS_MAX).contains(&text.value.chars().count());
    if fits && !text.value.contains(char::is_control) && !text.value.trim().is_empty() {
        return Some(text.value.to_owned());
    }
    let message = format!(
        "{} must be 1 to {WORDS_CHARS_MAX} characters",
        shown(value.name())
    );
    problems.push(
        Problem::error(code::VALUE, message)
            .at(&text.place)
            .label("on one line"),
    );
    None
}

/// One of these words, and what it stands for.
pub(super) fn one_of<T: Copy>(
    text: &At<&str>,
    name: &str,
    words: &[(&str, T)],
    problems: &mut Problems,
) -> Option<T> {
    let found = words.iter().find(|(word, _)| *word == text.value);
    if found.is_none() {
        let known: Vec<String> = words.iter().map(|(word, _)| shown(word)).collect();
        let message = format!("{} cannot be {}", shown(name), shown(text.value));
        problems.push(
            Problem::error(code::VALUE, message)
                .at(&text.place)
                .label(format!("it is one of {}", known.join(" ")))
                .did_you_mean(text.value, words.iter().map(|(word, _)| *word)),
        );
    }
    found.map(|(_, meaning)| *meaning)
}
