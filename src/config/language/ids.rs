//! `[ids.X]`: kinds of identifier and how their pseudonyms look.

use super::Compiler;
use super::named::Origin;
use crate::config::school::one_of;
use crate::config::{At, Place, Problem, Table, Value, code, shown};
use crate::names;
use crate::policy::IdKind;
use crate::pseudonym::{Back, Canonical, CanonicalRule, KindSpec, Notation, Unknown};

/// The keys of a kind that come later.
const NOT_YET: &[&str] = &["fields", "form"];

/// A rotation leaves what is under way with the vendor understood, unless the file says otherwise.
const ACCEPT_KEYS: usize = 2;
/// More versions than a vendor will ever have in use at once.
const ACCEPT_KEYS_MAX: i64 = 16;

/// `digits:N` must fit the 2^53 that every JSON reader can hold (RFC 8259 section 6).
const DIGITS_MAX: u8 = 15;

/// Examples of what stands beside `looks`.
const DOMAIN: &str = "rekenwijs.leerling.school.example";
const PREFIX: &str = "https://id.school.example/";

impl<'d> Compiler<'d, '_> {
    /// Reads all kinds of the presets and of the vendor's file; a key of the file counts more.
    pub(super) fn read_kinds(&mut self, roots: &[(Origin, &Table<'d>)]) {
        let mut layers: Vec<Vec<(Origin, Table<'d>)>> = Vec::new();
        for (origin, name, table) in self.named_by_all(roots, "ids") {
            if !self.is_kind_name(&name, origin) {
                continue;
            }
            let number = self.vocabulary.kinds.add(name.value, &name.place, origin);
            match layers.get_mut(number) {
                Some(tables) => tables.push((origin, table)),
                None => layers.push(vec![(origin, table)]),
            }
        }
        self.vocabulary.kinds.check_count("id kinds", self.problems);
        for (place, tables) in layers.iter().enumerate() {
            let name = self.vocabulary.kinds.all().get(place);
            let name = name.map_or_else(String::new, |name| name.text.clone());
            let public = self.is_public(tables);
            let kind = IdKind {
                name: name.clone(),
                public,
            };
            self.policy.kinds.push(kind);
            let tables: Vec<&Table<'d>> = tables.iter().map(|(_, table)| table).collect();
            let spec = self.kind_spec(name, &tables);
            self.kind_specs.push(spec);
        }
    }

    fn is_kind_name(&mut self, name: &At<&str>, origin: Origin) -> bool {
        let good = names::FlowId::parse(name.value).is_some();
        if !good {
            let message = format!("{} cannot name an id kind", shown(name.value));
            self.problems.push(
                Problem::error(code::VALUE, message)
                    .at(&name.place)
                    .help("an id kind is named with a-z, 0-9 and -, for example `pupil`"),
            );
        } else if origin == Origin::Vendor {
            self.check_confusable_kind(name);
        }
        good
    }

    /// The last table that has a key decides about it.
    fn kind_spec(&mut self, name: String, tables: &[&Table<'d>]) -> KindSpec {
        for table in tables {
            let later = NOT_YET
                .iter()
                .filter_map(|key| Some((key, table.value(key)?)));
            later.for_each(|(key, value)| self.not_yet(key, value.key_place()));
            self.check_scope(table);
        }
        let last = |key: &str| tables.iter().rev().find_map(|it| it.value(key));
        let (looks, domain, prefix) = (last("looks"), last("domain"), last("prefix"));
        let place = looks.as_ref().map(Value::place);
        let from = last("from");
        let (back, unknown, accept_keys) = (last("back"), last("unknown"), last("accept-keys"));
        let public = last("public");
        let notation = self.notation(looks, domain, prefix);
        let canonical = from.and_then(|from| self.canonical(&from));
        for table in tables {
            for key in [
                "looks",
                "domain",
                "prefix",
                "from",
                "back",
                "unknown",
                "accept-keys",
                "public",
            ] {
                let _asked = table.has(key);
            }
            table.finish(self.problems);
        }
        let back = back.and_then(|back| self.back(&back)).unwrap_or_default();
        for stray in [&unknown, &accept_keys, &public].into_iter().flatten() {
            self.needs_way_back(back, stray);
        }
        let spec = KindSpec {
            name,
            canonical: canonical.unwrap_or_default(),
            notation: notation.unwrap_or_default(),
            back,
            unknown: unknown.and_then(|it| self.unknown(&it)).unwrap_or_default(),
            accept_keys: accept_keys
                .and_then(|it| self.accept_keys(&it))
                .unwrap_or(ACCEPT_KEYS),
        };
        if let Some(place) = place {
            self.check_collisions(&spec, &place);
        }
        spec
    }

    /// Whether everybody may know the ids of a kind. Of a preset's, a vendor's file cannot say so.
    fn is_public(&mut self, tables: &[(Origin, Table<'d>)]) -> bool {
        let mut public = false;
        let mut preset = false;
        for (origin, table) in tables {
            let widens = preset && !public && *origin == Origin::Vendor;
            preset |= *origin == Origin::Preset;
            let Some(now) = table.flag("public", self.problems) else {
                continue;
            };
            public = now.value;
            if public && widens {
                let message = "ids of this kind are not public in the preset";
                let help = "that needs a [[widen]] with a reason, which is not built yet";
                let problem = Problem::error(code::WIDENS, message).at(&now.place);
                self.problems.push(problem.help(help));
            }
        }
        public
    }

    fn back(&mut self, back: &Value<'d>) -> Option<Back> {
        let words = [Back::Never, Back::SchoolOnly].map(|back| (back.name(), back));
        one_of(&back.text(self.problems)?, "back", &words, self.problems)
    }

    fn unknown(&mut self, unknown: &Value<'d>) -> Option<Unknown> {
        let words = [Unknown::Drop, Unknown::Keep, Unknown::Own, Unknown::Reject];
        let words = words.map(|unknown| (unknown.name(), unknown));
        one_of(
            &unknown.text(self.problems)?,
            "unknown",
            &words,
            self.problems,
        )
    }

    fn accept_keys(&mut self, versions: &Value<'d>) -> Option<usize> {
        let number = versions.integer(self.problems)?;
        let fits = (1..=ACCEPT_KEYS_MAX).contains(&number.value);
        if !fits {
            let message = format!("`accept-keys` is 1 to {ACCEPT_KEYS_MAX}");
            self.problems
                .push(Problem::error(code::VALUE, message).at(&number.place));
        }
        usize::try_from(number.value).ok().filter(|_| fits)
    }

    fn needs_way_back(&mut self, back: Back, value: &Value<'d>) {
        if back == Back::Never {
            let message = format!("{} goes with a way back only", shown(value.name()));
            let problem = Problem::error(code::CONFLICT, message).at(value.key_place());
            self.problems
                .push(problem.help("write back = \"school-only\""));
        }
    }

    fn check_scope(&mut self, table: &Table<'d>) {
        if let Some(scope) = table.text("scope", self.problems) {
            match scope.value {
                "vendor" => {}
                shared if shared.starts_with("shared:") => self.not_yet("shared:", &scope.place),
                other => self.no_such("word", other, &scope.place, &["vendor", "shared:NAME"]),
            }
        }
    }

    fn notation(
        &mut self,
        looks: Option<Value<'d>>,
        domain: Option<Value<'d>>,
        prefix: Option<Value<'d>>,
    ) -> Option<Notation> {
        let looks = looks.map(|looks| looks.text(self.problems));
        let (word, place) = match looks {
            None => ("uuid", None),
            Some(None) => return None,
            Some(Some(looks)) => (looks.value, Some(looks.place)),
        };
        let (sort, number) = word
            .split_once(':')
            .map_or((word, None), |(sort, number)| (sort, Some(number)));
        if let Some(stray) = domain.as_ref().filter(|_| sort != "email") {
            self.stray(stray.key_place(), "domain", "email");
        }
        if let Some(stray) = prefix.as_ref().filter(|_| sort != "url") {
            self.stray(stray.key_place(), "prefix", "url");
        }
        let Some(place) = place else {
            return Some(Notation::Uuid);
        };
        match (sort, number) {
            ("uuid", None) => Some(Notation::Uuid),
            ("hex", None) => Some(Notation::Hex),
            ("text", Some(number)) => self.length(number, 8, 52, &place).map(Notation::Text),
            ("digits", Some(number)) => self.digits(number, &place),
            ("email", None) => {
                let domain = self.beside(domain, &place, ("domain", DOMAIN))?;
                self.domain(&domain)
            }
            ("url", None) => {
                let prefix = self.beside(prefix, &place, ("prefix", PREFIX))?;
                self.prefix(&prefix)
            }
            _ => {
                let known = ["uuid", "hex", "text:12", "digits:15", "email", "url"];
                self.no_such("word", word, &place, &known);
                None
            }
        }
    }

    fn stray(&mut self, place: &Place, key: &str, looks: &str) {
        let message = format!("{} goes with looks = \"{looks}\" only", shown(key));
        self.problems
            .push(Problem::error(code::CONFLICT, message).at(place));
    }

    fn beside(
        &mut self,
        value: Option<Value<'d>>,
        looks: &Place,
        (key, example): (&str, &str),
    ) -> Option<At<&'d str>> {
        if value.is_none() {
            let message = format!("{} is missing", shown(key));
            let problem = Problem::error(code::MISSING, message).at(looks);
            let help = format!("beside it, for example {key} = \"{example}\"");
            self.problems.push(problem.help(help));
        }
        value?.text(self.problems)
    }

    fn length(&mut self, number: &str, least: u8, most: u8, place: &Place) -> Option<u8> {
        let length = number.parse().ok().filter(|it| (least..=most).contains(it));
        if length.is_none() || number.starts_with(['0', '+']) {
            let message = format!("the length must be {least} to {most}");
            self.problems
                .push(Problem::error(code::VALUE, message).at(place));
            return None;
        }
        length
    }

    fn digits(&mut self, number: &str, place: &Place) -> Option<Notation> {
        if number
            .parse()
            .is_ok_and(|digits: u64| digits > u64::from(DIGITS_MAX))
        {
            self.problems.push(
                Problem::error(code::VALUE, "these numbers do not fit 2^53")
                    .at(place)
                    .label("JSON readers would round them, and two pupils could become one")
                    .help(format!("`digits:{DIGITS_MAX}` is the longest that fits")),
            );
            return None;
        }
        self.length(number, 6, DIGITS_MAX, place)
            .map(Notation::Digits)
    }

    fn domain(&mut self, domain: &At<&'d str>) -> Option<Notation> {
        if is_domain(domain.value) {
            let domain = domain.value.to_owned();
            return Some(Notation::Email { domain });
        }
        self.problems.push(
            Problem::error(code::VALUE, "this is not the domain of an e-mail address")
                .at(&domain.place)
                .help(format!("lower case, for example `{DOMAIN}`")),
        );
        None
    }

    fn prefix(&mut self, prefix: &At<&'d str>) -> Option<Notation> {
        let text = prefix.value;
        let absolute = text.starts_with("https://") || text.starts_with("http://");
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~:/".contains(&byte);
        if !absolute || !text.bytes().all(plain) || text.len() > 256 {
            let problem = Problem::error(code::VALUE, "this is not the beginning of a URL");
            let help = format!("for example `{PREFIX}`, without `?` and `#`");
            self.problems.push(problem.at(&prefix.place).help(help));
            return None;
        }
        let host = text
            .split('/')
            .nth(2)
            .unwrap_or_default()
            .to_ascii_lowercase();
        if host == "ketenid.nl" || host.ends_with(".ketenid.nl") {
            self.problems.push(
                Problem::error(
                    code::WIDENS,
                    "these pseudonyms would look like a real ECK iD",
                )
                .at(&prefix.place)
                .help("that needs a [[widen]] with a reason, which is not built yet"),
            );
            return None;
        }
        let prefix = text.to_owned();
        Some(Notation::Url { prefix })
    }

    fn canonical(&mut self, from: &Value<'d>) -> Option<Canonical> {
        const NAMES: [&str; 4] = ["trim", "lower", "nfc", "strip-zeros"];
        let mut rules = Vec::new();
        for value in from.array(self.problems)? {
            let Some(name) = value.text(self.problems) else {
                continue;
            };
            match CanonicalRule::named(name.value) {
                None => self.no_such("rule", name.value, &name.place, &NAMES),
                Some(rule) if rules.contains(&rule) => {
                    let message = format!("{} stands here twice", shown(name.value));
                    self.problems
                        .push(Problem::error(code::CONFLICT, message).at(&name.place));
                }
                Some(rule) => rules.push(rule),
            }
        }
        Some(Canonical::new(rules))
    }
}

/// A host name of two labels or more, in lower case.
fn is_domain(text: &str) -> bool {
    text.len() <= 253 && text.contains('.') && text.split('.').all(is_label)
}

/// One label of a host name (RFC 1123 section 2.1), in lower case.
pub(super) fn is_label(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    let edges = !text.starts_with('-') && !text.ends_with('-');
    (1..=63).contains(&text.len()) && edges && text.bytes().all(plain)
}
