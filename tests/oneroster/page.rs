//! What the preset files say, as tables: `docs/presets.md` shows them.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use toml::de::{DeTable, DeValue};

use crate::standard::{VERSIONS, Version};

#[test]
fn every_field_of_the_presets_stands_in_presets_md() {
    let mut tables = String::new();
    for version in VERSIONS {
        tables.push_str(&people(version));
    }
    let [_, shared] = VERSIONS[0].files;
    for object in objects(shared) {
        tables.push_str(&table(&VERSIONS[0], &object, &object));
    }
    check(&tables);
}

/// What differs between the versions: people, and their parts.
fn people(version: &Version) -> String {
    let [own, _] = version.files;
    let tables = objects(own).into_iter().map(|object| {
        let title = format!("{object} (OneRoster {})", version.name);
        table(version, &object, &title)
    });
    tables.collect()
}

fn table(version: &Version, object: &str, title: &str) -> String {
    let of_object = |shape: &&(String, Vec<(String, String)>)| {
        let rest = shape.0.strip_prefix(object);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
    };
    let all = rules(version);
    let shapes: Vec<_> = all.iter().filter(of_object).collect();
    let mut text = format!("### {title}\n\n| field | class |");
    for (name, _) in &shapes {
        let case = match name.strip_prefix(object).unwrap_or_default() {
            "" => "to the vendor",
            "-in" => "from the vendor",
            case => case.strip_prefix('-').unwrap(),
        };
        write!(text, " {case} |").unwrap();
    }
    if shapes.is_empty() {
        text.push_str(" to the vendor |");
    }
    let columns = "---|".repeat(shapes.len().max(1));
    writeln!(text, "\n|---|---|{columns}").unwrap();
    for (field, class) in catalogue(version, object) {
        write!(text, "| `{field}` | {class} |").unwrap();
        for (_, lines) in &shapes {
            let line = lines.iter().find(|(key, _)| *key == field);
            write!(text, " {} |", line.map_or("never", |(_, said)| said)).unwrap();
        }
        text.push_str(if shapes.is_empty() {
            " never |\n"
        } else {
            "\n"
        });
    }
    text.push('\n');
    text
}

/// Each shape with fields, and its fields' names.
pub(crate) fn shapes(version: &Version) -> Vec<(String, Vec<String>)> {
    let shapes = rules(version).into_iter().map(|(shape, lines)| {
        let names = lines.into_iter().map(|(name, _)| name);
        (shape, names.collect())
    });
    shapes.collect()
}

/// The fields that the catalogue has of such an object, with their classes.
pub(crate) fn catalogue(version: &Version, object: &str) -> Vec<(String, String)> {
    let found = version.files.iter().find_map(|text| {
        let all = DeTable::parse(text).unwrap();
        let objects = in_order(&all, "catalogue");
        let found = objects.iter().find(|(name, _)| name == object)?;
        let fields = entries(found.1)
            .into_iter()
            .map(|(field, class)| (field, class.as_str().unwrap().to_owned()));
        Some(fields.collect())
    });
    found.unwrap_or_else(|| panic!("no catalogue of {object}"))
}

/// Each shape with fields, and what its lines say.
fn rules(version: &Version) -> Vec<(String, Vec<(String, String)>)> {
    let mut rules = Vec::new();
    for text in version.files {
        let all = DeTable::parse(text).unwrap();
        for (shape, table) in in_order(&all, "shape") {
            let lines = entries(table).into_iter();
            let lines = lines.filter(|(key, _)| !key.starts_with('_'));
            let lines: Vec<_> = lines.map(|(key, rule)| (key, told(&rule))).collect();
            if !lines.is_empty() {
                rules.push((shape, lines));
            }
        }
    }
    rules
}

/// The objects of a file's catalogue.
fn objects(text: &str) -> Vec<String> {
    let all = DeTable::parse(text).unwrap();
    let objects = in_order(&all, "catalogue").into_iter();
    objects.map(|(name, _)| name).collect()
}

/// The tables below a key, as they stand in the file.
fn in_order<'t>(all: &'t toml::Spanned<DeTable<'t>>, key: &str) -> Vec<(String, &'t DeTable<'t>)> {
    let below = all.get_ref()[key].get_ref().as_table().unwrap();
    let mut tables: Vec<_> = below
        .iter()
        .map(|(name, table)| (name.span().start, name, table))
        .collect();
    tables.sort_by_key(|(start, ..)| *start);
    let tables = tables.into_iter().map(|(_, name, table)| {
        (
            name.get_ref().clone().into_owned(),
            table.get_ref().as_table().unwrap(),
        )
    });
    tables.collect()
}

fn entries<'t>(table: &DeTable<'t>) -> Vec<(String, DeValue<'t>)> {
    let mut entries: Vec<_> = table
        .iter()
        .map(|(key, value)| (key.span().start, key, value.get_ref().clone()))
        .collect();
    entries.sort_by_key(|(start, ..)| *start);
    let entries = entries.into_iter();
    entries
        .map(|(_, key, value)| (key.get_ref().clone().into_owned(), value))
        .collect()
}

/// A line of a shape, in words.
fn told(rule: &DeValue<'_>) -> String {
    match rule.as_str() {
        Some(word) => short(word),
        None => long(rule.as_table().unwrap()),
    }
}

fn short(word: &str) -> String {
    let (base, list) = match word.strip_suffix("[]") {
        Some(base) => (base, "each "),
        None => (word, ""),
    };
    match base {
        "drop" => "never".to_owned(),
        "keep:number" => "as it is, if a number".to_owned(),
        "keep:date" | "keep:datetime" => "as it is, if a date".to_owned(),
        shape if shape.starts_with(|it: char| it.is_ascii_uppercase()) => {
            format!("{list}{shape}")
        }
        kind if kind.contains(':') => panic!("no words for {kind}"),
        kind => format!("{list}pseudonym: {kind}"),
    }
}

fn long(table: &DeTable<'_>) -> String {
    let text = |key: &str| Some(table.get(key)?.get_ref().as_str()?.to_owned());
    let word = text("as").unwrap();
    match (word.as_str(), text("of")) {
        ("constant", _) => {
            let value = table["value"].get_ref();
            let number = value.as_integer().map(|number| number.as_str().to_owned());
            format!("made up: `{}`", text("value").or(number).unwrap())
        }
        ("url", _) => "a link to the gateway, or made up".to_owned(),
        ("keep" | "keep[]", _) if table.contains_key("one-of") => {
            "as it is, if a listed word".into()
        }
        ("keep", _) if text("like").is_some_and(|like| like.contains("|ext:")) => {
            "as it is, if a listed word or `ext:…`".into()
        }
        ("keep", _) if text("like").is_some_and(|like| like == "(?s).+") => {
            "as it is, if neither empty nor too long".into()
        }
        ("keep" | "keep[]", _) if table.contains_key("like") => {
            "as it is, if short and plain".into()
        }
        ("keep", _) => "as it is, if not too long".to_owned(),
        (_, Some(of)) => format!("made up, from `{of}`"),
        (word, None) => panic!("no words for {word}"),
    }
}

/// Fails unless `docs/presets.md` has these tables.
fn check(tables: &str) {
    const PAGE: &str = "docs/presets.md";
    const BEGIN: &str = "<!-- presets:begin -->\n";
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let found = fs::read_to_string(root.join(PAGE)).unwrap();
    let (before, _) = found.split_once(BEGIN).unwrap();
    let want = format!("{before}{BEGIN}{tables}<!-- presets:end -->\n");
    if found != want {
        let copy = root.join("target/pages").join(PAGE);
        fs::create_dir_all(copy.parent().unwrap()).unwrap();
        fs::write(&copy, want).unwrap();
        panic!("{PAGE} differs from the presets: cp target/pages/{PAGE} {PAGE}");
    }
}
