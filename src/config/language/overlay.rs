//! What a vendor's file may change about a preset: it may say less, and nothing else.

use super::Compiler;
use super::named::{Origin, base_of};
use super::shapes::{Layer, Line};
use super::words::Among;
use crate::config::{Problem, Value, code, nearest, shown};
use crate::policy::{Item, Keep, Rule, ValueType};

/// The shape that a line is in.
#[derive(Debug)]
pub(super) struct Base<'a, 'd> {
    pub(super) name: &'a str,
    pub(super) layers: &'a [Layer<'d>],
}

impl Base<'_, '_> {
    fn has_preset(&self) -> bool {
        self.layers
            .iter()
            .any(|layer| layer.origin == Origin::Preset)
    }
}

impl<'d> Compiler<'d, '_> {
    /// The rule of a line. In a shape of a preset the line must name a field that the standard
    /// knows, and a line of the vendor's file must not send more than the preset's.
    pub(super) fn line(
        &mut self,
        line: &Line<'d>,
        shape: &Base<'_, 'd>,
        among: Among<'_>,
    ) -> Option<Rule> {
        if shape.has_preset() && !self.is_in_catalogue(line, shape) {
            return None;
        }
        let rule = self.rule(&line.value, among)?;
        if line.origin == Origin::Preset || !shape.has_preset() {
            return Some(rule);
        }
        let preset = match &line.preset {
            Some(value) => self.quietly(|it| it.rule(value, among)),
            None => Some(Rule::Drop),
        };
        let Some(preset) = preset else {
            return Some(rule);
        };
        let narrows = if let Rule::Derived { of, .. } = rule {
            self.is_sent_as_pseudonym(shape, among, of)
        } else {
            says_no_more(rule, preset)
        };
        if matches!((rule, preset), (Rule::Generalise(_), Rule::Keep(_))) && !narrows {
            self.report_other_narrowing(line);
        } else if !narrows {
            self.report_widening(line, shape, rule);
        }
        Some(rule)
    }

    fn is_in_catalogue(&mut self, line: &Line<'d>, shape: &Base<'_, 'd>) -> bool {
        let fields = self.catalogue.fields(shape.name);
        let known = match fields {
            Some(fields) => fields.contains_key(line.key),
            None => line.origin == Origin::Preset || line.preset.is_some(),
        };
        if !known {
            let standard = self.standard();
            let object = base_of(shape.name);
            let message = format!("{} is not a field of {standard} {object}", shown(line.key));
            let names: Vec<&String> = fields.into_iter().flat_map(|it| it.keys()).collect();
            self.problems.push(
                Problem::error(code::FIELD_UNKNOWN, message)
                    .at(&line.key_place)
                    .label("this line would never do anything")
                    .did_you_mean(line.key, names),
            );
        }
        known
    }

    /// Whether a field's text is one that the vendor gets a pseudonym of already, so that another
    /// text made of it tells nothing new.
    fn is_sent_as_pseudonym(&mut self, shape: &Base<'_, 'd>, among: Among<'_>, of: usize) -> bool {
        let Some(key) = among.keys.get(of) else {
            return false;
        };
        let preset = shape
            .layers
            .iter()
            .filter(|layer| layer.origin == Origin::Preset);
        let values: Vec<Value<'d>> = preset.filter_map(|layer| layer.table.value(key)).collect();
        values.iter().any(|value| {
            let rule = self.quietly(|it| it.rule(value, among));
            matches!(rule, Some(Rule::Identifier(_)))
        })
    }

    /// A year instead of a date is less, unless the field has something else than dates in it:
    /// which of two words says less is not always known yet.
    fn report_other_narrowing(&mut self, line: &Line<'d>) {
        let said = line.preset.as_ref().map_or("", Value::raw);
        let help = "today a preset's field can be drop, blank, a constant or made of an id";
        let problem = Problem::not_yet(line.value.raw()).at(&line.value.place());
        let label = format!("{} says {said}", self.preset_names());
        self.problems.push(problem.label(label).help(help));
    }

    fn report_widening(&mut self, line: &Line<'d>, shape: &Base<'_, 'd>, rule: Rule) {
        let said = match &line.preset {
            Some(value) => format!("{} says {}", self.preset_names(), value.raw()),
            None => format!("{} does not send it", self.preset_names()),
        };
        let message = "this line sends more than the preset";
        let mut problem = Problem::error(code::WIDENS, message)
            .at(&line.value.place())
            .label(said);
        if matches!(rule, Rule::Derived { .. }) {
            let help = "only an id of which the vendor gets a pseudonym can be used again";
            problem = problem.help(help);
        }
        problem =
            problem.help("sending more needs a [[widen]] with a reason, which is not built yet");
        if let Some(class) = self.catalogue.class(shape.name, line.key) {
            problem = problem.help(format!("class of {}: {}", shown(line.key), class.name()));
        }
        self.problems.push(problem);
    }

    /// Whether a control word stands in the vendor's part of a preset's shape, which is reported.
    pub(super) fn is_control_of_preset(
        &mut self,
        layer: &Layer<'d>,
        layers: &[Layer<'d>],
        value: &Value<'d>,
    ) -> bool {
        let preset = layers.iter().any(|other| other.origin == Origin::Preset);
        let foreign = layer.origin == Origin::Vendor && preset;
        if foreign {
            let message = "this changes what the preset sends";
            self.problems.push(
                Problem::error(code::WIDENS, message)
                    .at(value.key_place())
                    .help("that needs a [[widen]] with a reason, which is not built yet"),
            );
        }
        foreign
    }

    /// Names of a vendor's file that nothing uses while a preset is: perhaps a preset's name with
    /// a typing error, and then what was narrowed would go out after all.
    pub(super) fn check_names_beside_presets(&mut self) {
        if self.presets.is_empty() {
            return;
        }
        let mut problems = Vec::new();
        for (names, what) in [
            (&self.vocabulary.kinds, "an id kind"),
            (&self.vocabulary.shapes, "a shape"),
        ] {
            let of_presets = names
                .all()
                .iter()
                .filter(|name| name.origin == Origin::Preset);
            let of_presets: Vec<&str> = of_presets.map(|name| name.text.as_str()).collect();
            let strays = names
                .all()
                .iter()
                .filter(|name| name.origin == Origin::Vendor && !name.used);
            for name in strays.filter(|_| !names.open) {
                let message = format!(
                    "{} is not {what} of {}, and nothing uses it",
                    shown(&name.text),
                    self.preset_names()
                );
                let problem = Problem::error(code::WORD_UNKNOWN, message).at(&name.place);
                problems.push(match nearest(&name.text, of_presets.iter().copied()) {
                    Some(meant) => problem.help(format!("did you mean {}?", shown(meant))),
                    None => problem,
                });
            }
        }
        self.problems.extend(problems);
    }

    fn preset_names(&self) -> String {
        let named = self.presets.iter().filter(|it| it.standard.is_some());
        let names: Vec<&str> = named.map(|it| it.name.as_str()).collect();
        names.join(", ")
    }

    /// What people call the standard of the presets in use.
    fn standard(&self) -> String {
        let standards = self.presets.iter().filter_map(|it| it.standard.as_deref());
        let mut names: Vec<&str> = standards.collect();
        names.dedup();
        names.join(", ")
    }
}

/// Whether a rule sends no more than the preset's: the same, nothing of the value, or less of it.
fn says_no_more(rule: Rule, preset: Rule) -> bool {
    if rule == preset || matches!(rule, Rule::Blank | Rule::Constant(_) | Rule::Drop) {
        return true;
    }
    match (rule, preset) {
        (Rule::Generalise(_), Rule::Keep(theirs)) => theirs == ANYTHING,
        (Rule::Keep(mine), Rule::Keep(theirs)) => keeps_no_more(mine, theirs),
        (Rule::Link(_), Rule::Link(_)) => true,
        (Rule::List(mine), Rule::List(theirs) | Rule::ListOrOne(theirs))
        | (Rule::ListOrOne(mine), Rule::ListOrOne(theirs)) => match (mine, theirs) {
            (Item::Keep(mine), Item::Keep(theirs)) => keeps_no_more(mine, theirs),
            (Item::Link(_), Item::Link(_)) => true,
            (mine, theirs) => mine == theirs,
        },
        _ => false,
    }
}

const ANYTHING: Keep = Keep {
    of: ValueType::Any,
    rules: None,
};

fn keeps_no_more(mine: Keep, theirs: Keep) -> bool {
    theirs == ANYTHING || theirs.rules.is_none() && mine.of == theirs.of
}
