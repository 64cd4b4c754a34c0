//! Presets: what a standard's fields are, and what a vendor of it gets if its file says no less.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use regex::Regex;

use super::named::base_of;
use super::shared::Shared;
use crate::config::school::{one_of, version};
use crate::config::{At, Document, Problem, Problems, SourceFile, Table, Value, code, shown};
use crate::policy::Side;

/// A preset that ships with the gateway: its name, and its file.
macro_rules! shipped {
    ($name:literal) => {
        (
            $name,
            include_str!(concat!("../../../config/presets/", $name, ".toml")),
        )
    };
}

/// The presets that a flow can name.
const SHIPPED: &[(&str, &str)] = &[
    shipped!("oneroster-1.1/gradebook@1"),
    shipped!("oneroster-1.1/pull@1"),
    shipped!("oneroster-1.2/gradebook@1"),
    shipped!("oneroster-1.2/pull@1"),
];

/// What several of them `use`.
const PARTS: &[(&str, &str)] = &[shipped!("oneroster/shapes@1")];

/// All presets that a vendor's file may name, and what the files that name them share.
#[derive(Debug)]
pub struct Presets {
    files: BTreeMap<String, PresetFile>,
    /// What presets have in common: kinds, shapes and catalogue, without routes.
    parts: BTreeMap<String, PresetFile>,
    expressions: Expressions,
    shared: InCommon,
}

/// The file of a preset, parsed once for all vendors that name it.
#[derive(Debug)]
pub(super) struct PresetFile {
    document: Document<'static>,
    /// Which others it `use`s.
    pub(super) uses: Vec<String>,
    catalogue: Catalogue,
    /// What is wrong with the above: every vendor that names it is told.
    problems: Vec<Problem>,
}

/// What files have in common that name the same presets, by the names of these.
#[derive(Debug)]
struct InCommon(Mutex<BTreeMap<Vec<String>, Arc<Shared>>>);

/// `like` expressions that have been compiled: all vendors have the same few of a preset, and to
/// compile one takes longer than to read a small file.
#[derive(Debug, Default)]
pub(super) struct Expressions(Mutex<BTreeMap<String, Arc<Regex>>>);

impl Expressions {
    /// The expression of that text, made by `compile` if nobody had it before.
    pub(super) fn of<E>(
        &self,
        text: &str,
        compile: impl FnOnce() -> Result<Regex, E>,
    ) -> Result<Arc<Regex>, E> {
        let known = || self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(compiled) = known().get(text) {
            return Ok(Arc::clone(compiled));
        }
        let compiled = Arc::new(compile()?);
        known().insert(text.to_owned(), Arc::clone(&compiled));
        Ok(compiled)
    }
}

impl Presets {
    /// Those that ship with the gateway.
    #[must_use]
    pub fn shipped() -> Self {
        let mut presets = Self::none();
        for (name, text) in SHIPPED {
            presets.add(name, text);
        }
        for (name, text) in PARTS {
            let file = PresetFile::parse(name, text);
            presets.parts.insert((*name).to_owned(), file);
        }
        presets
    }

    /// None at all.
    #[must_use]
    pub const fn none() -> Self {
        Self {
            files: BTreeMap::new(),
            parts: BTreeMap::new(),
            expressions: Expressions(Mutex::new(BTreeMap::new())),
            shared: InCommon(Mutex::new(BTreeMap::new())),
        }
    }

    /// Adds one under its name, `standard/flow@version`.
    pub fn add(&mut self, name: &str, text: &'static str) {
        let file = PresetFile::parse(name, text);
        self.files.insert(name.to_owned(), file);
        // It may take the place of one of that name.
        self.shared.0 = Mutex::default();
    }

    /// Their names.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.files.keys().map(String::as_str)
    }

    /// The file of one.
    pub(super) fn file(&self, name: &str) -> Option<&PresetFile> {
        self.files.get(name)
    }

    /// The file of what presets have in common.
    pub(super) fn part(&self, name: &str) -> Option<&PresetFile> {
        self.parts.get(name)
    }

    /// What all files have in common that name these.
    pub(super) fn shared(&self, named: &[(String, &PresetFile)]) -> Arc<Shared> {
        let names: Vec<String> = named.iter().map(|(name, _)| name.clone()).collect();
        let known = self.shared.0.lock();
        let mut known = known.unwrap_or_else(PoisonError::into_inner);
        let shared = known.entry(names).or_insert_with(|| {
            let mut together = Catalogue::default();
            for (_, preset) in named {
                together.add(&preset.catalogue);
            }
            Arc::new(Shared::new(together))
        });
        Arc::clone(shared)
    }

    /// What has been compiled of the files that name them.
    pub(super) const fn expressions(&self) -> &Expressions {
        &self.expressions
    }
}

impl PresetFile {
    fn parse(name: &str, text: &'static str) -> Self {
        let mut problems = Problems::new();
        let file = SourceFile::new(format!("presets/{name}.toml"), text.to_owned());
        let document = Document::of_text(&file, text, &mut problems);
        let mut catalogue = Catalogue::default();
        catalogue.read(&document.root(), &mut problems);
        Self {
            uses: used_by(&document),
            catalogue,
            problems: problems.sorted().into_iter().cloned().collect(),
            document,
        }
    }
}

/// The presets that a flow names: `preset = "…"`, or a list of them.
pub(super) fn named_by<'d>(flow: &Table<'d>, problems: &mut Problems) -> Vec<At<&'d str>> {
    match flow.value("preset") {
        Some(value) if value.is_array() => {
            let names = value.array(problems).unwrap_or_default();
            let names = names.iter().filter_map(|name| name.text(problems));
            names.collect()
        }
        Some(value) => value.text(problems).into_iter().collect(),
        None => Vec::new(),
    }
}

/// The names under `use` in a preset's head. What is wrong there is reported when it is read.
fn used_by(document: &Document<'_>) -> Vec<String> {
    let mut later = Problems::new();
    let head = document.root().table("preset", &mut later);
    let used = head.and_then(|head| head.array("use", &mut later));
    let names = used.into_iter().flatten();
    let names = names.filter_map(|name| name.text(&mut later));
    names.map(|name| name.value.to_owned()).collect()
}

/// How much a field says about a person.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// It tells who somebody is, or is a secret of theirs.
    Direct,
    /// It names one person or thing, alone.
    Identifier,
    /// Nothing.
    Neutral,
    /// With others, it narrows down who.
    Quasi,
    /// GDPR article 9, or close to it.
    Special,
}

impl Class {
    const ALL: [Self; 5] = [
        Self::Direct,
        Self::Identifier,
        Self::Neutral,
        Self::Quasi,
        Self::Special,
    ];

    /// Its name in a catalogue.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Direct => "direct",
            Self::Identifier => "identifier",
            Self::Neutral => "neutral",
            Self::Quasi => "quasi",
            Self::Special => "special",
        }
    }
}

/// Every field that a standard knows of each kind of object, with its class.
#[derive(Clone, Debug, Default)]
pub struct Catalogue {
    objects: BTreeMap<String, BTreeMap<String, Class>>,
}

impl Catalogue {
    /// The fields of the object that a shape shows. `User-student` shows a `User`.
    #[must_use]
    pub fn fields(&self, shape: &str) -> Option<&BTreeMap<String, Class>> {
        self.objects.get(base_of(shape))
    }

    /// The class of one field.
    #[must_use]
    pub fn class(&self, shape: &str, field: &str) -> Option<Class> {
        self.fields(shape)?.get(field).copied()
    }

    /// What another knows is known here too.
    fn add(&mut self, other: &Self) {
        for (object, theirs) in &other.objects {
            let fields = self.objects.entry(object.clone()).or_default();
            fields.extend(theirs.iter().map(|(field, class)| (field.clone(), *class)));
        }
    }

    fn read(&mut self, root: &Table<'_>, problems: &mut Problems) {
        for (object, table) in root.named_tables("catalogue", problems) {
            let fields = self.objects.entry(object.value.to_owned()).or_default();
            for (field, value) in table.entries() {
                let class = read_class(&value, problems);
                fields.extend(class.map(|class| (field.value.to_owned(), class)));
            }
        }
    }
}

fn read_class(value: &Value<'_>, problems: &mut Problems) -> Option<Class> {
    let classes = Class::ALL.map(|class| (class.name(), class));
    one_of(&value.text(problems)?, value.name(), &classes, problems)
}

/// A preset that a file uses, being read.
#[derive(Debug)]
pub(super) struct PresetInUse<'d> {
    pub(super) name: String,
    /// How people call the standard: `OneRoster 1.2`. What presets have in common is of none.
    pub(super) standard: Option<String>,
    /// Who calls.
    pub(super) caller: Option<Side>,
    pub(super) root: Table<'d>,
}

impl<'d> PresetInUse<'d> {
    /// Reads the head of a preset.
    pub(super) fn read(name: &str, preset: &'d PresetFile, problems: &mut Problems) -> Self {
        problems.extend(preset.problems.iter().cloned());
        let root = preset.document.root();
        let mut standard = None;
        let mut caller = None;
        version(&root, problems);
        let head = root.need("preset", problems);
        if let Some(head) = head.and_then(|head| head.table(problems)) {
            let own = head.need("name", problems).and_then(|it| it.text(problems));
            if let Some(own) = own.filter(|own| own.value != name) {
                let message = format!("this file is {}", shown(name));
                problems.push(Problem::error(code::VALUE, message).at(&own.place));
            }
            standard = head.text("standard", problems);
            let _read_before = head.has("use");
            caller = super::flows::read_side(&head, problems);
            head.finish(problems);
        }
        let _read_before = root.has("catalogue");
        Self {
            name: name.to_owned(),
            standard: standard.map(|text| text.value.to_owned()),
            caller,
            root,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shape_of_an_object_shares_its_catalogue() {
        let text = "[catalogue.User]\nsourcedId = \"identifier\"\nemail = \"direkt\"\n";
        let file = SourceFile::new("p", text.to_owned());
        let mut problems = Problems::new();
        let mut catalogue = Catalogue::default();
        let document = Document::parse(&file, &mut problems);
        catalogue.read(&document.root(), &mut problems);
        assert_eq!(
            catalogue.class("User-student", "sourcedId"),
            Some(Class::Identifier)
        );
        assert_eq!(catalogue.class("User", "email"), None);
        assert_eq!(catalogue.class("Org", "sourcedId"), None);
        let messages: Vec<_> = problems.sorted().into_iter().map(|it| &it.help).collect();
        assert_eq!(messages, [&["did you mean `direct`?".to_owned()]]);
    }
}
