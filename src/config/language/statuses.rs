//! `status` of a route: what an answer carries that has another status than the usual.

use super::Compiler;
use super::draft::UpstreamAuthDraft;
use super::lints::{Target, and_more};
use super::routes::PlacedRoute;
use crate::config::{At, Place, Problem, Table, code, shown};
use crate::limits;
use crate::policy::{
    Content, Generaliser, Keep, QueryRule, Side, StatusContent, Statuses, ValueType,
};

/// What `status` says of the answers of a route.
#[derive(Debug, Default)]
pub(super) struct Declared {
    /// `"2xx"`: what the usual answer carries.
    pub(super) usual: Option<At<Content>>,
    /// All others, each with the place of its key.
    pub(super) others: Vec<At<StatusContent>>,
}

impl<'d> Compiler<'d, '_> {
    /// Reads `status` of a route whose answer is what `usual` names: `to-vendor` or `from-vendor`.
    pub(super) fn statuses(&mut self, table: &Table<'d>, usual: &str, route: &str) -> Declared {
        let mut declared = Declared::default();
        let Some(lines) = table.table("status", self.problems) else {
            return declared;
        };
        for (key, _) in lines.entries() {
            let name = format!("body of {} to {route}", key.value);
            let content = self.content(&lines, key.value, name);
            let statuses = match statuses(key.value) {
                Ok(statuses) => statuses,
                Err(why) => {
                    let message = format!("nothing can be declared for {}", shown(key.value));
                    let problem = Problem::error(code::VALUE, message).at(&key.place);
                    let problem = problem.label(why);
                    self.problems
                        .push(problem.help("for example \"404\" or \"4xx\""));
                    continue;
                }
            };
            let place = key.place;
            if statuses == Statuses::Class(2) {
                self.check_said_once(table, usual, &place);
                let value = content;
                declared.usual = Some(At { value, place });
            } else {
                let value = StatusContent { statuses, content };
                declared.others.push(At { value, place });
            }
        }
        declared
    }

    fn check_said_once(&mut self, table: &Table<'d>, usual: &str, place: &Place) {
        if let Some(value) = table.value(usual) {
            let message = format!("`{usual}` says already what a 2xx answer carries");
            let problem = Problem::error(code::CONFLICT, message).at(place);
            self.problems.push(problem.also(value.key_place(), "here"));
        }
    }

    /// What is asked about the items of one answer must not be told of another's.
    pub(super) fn check_asked_alike(
        &mut self,
        statuses: &[At<StatusContent>],
        query: &[&QueryRule],
    ) {
        let asks = query.iter().any(|rule| match rule {
            QueryRule::Fields(_) | QueryRule::Filter(_) | QueryRule::Sort(_) => true,
            QueryRule::Identifier(_) | QueryRule::Identifiers(_) | QueryRule::One(_) => false,
        });
        for At { value, place } in statuses.iter().filter(|_| asks) {
            if let Statuses::One(200..=299) = value.statuses {
                let message = "what `ids` and `known` ask about is in every 2xx answer the same";
                let problem = Problem::error(code::CONFLICT, message).at(place);
                self.problems
                    .push(problem.help("write a route without them for it, or leave it out"));
            }
        }
    }

    /// Ids and texts in what the other statuses carry.
    pub(super) fn note_statuses(&mut self, statuses: &[At<StatusContent>], caller: Side) {
        for At { value, place } in statuses {
            let Content::Json(rule) = value.content else {
                continue;
            };
            if caller == Side::School {
                self.homeward.push((rule, place.clone(), caller));
            }
            let is_error = match value.statuses {
                Statuses::Class(class) => class >= 4,
                Statuses::One(status) => status >= 400,
            };
            let known = self.errors_told.iter().any(|(told, _)| *told == rule);
            if is_error && !known {
                self.errors_told.push((rule, place.clone()));
            }
        }
    }

    /// Errors repeat what was asked: ids, and names beside them.
    pub(super) fn find_told(&mut self) {
        for (rule, place) in std::mem::take(&mut self.errors_told) {
            let ends = self.ends(rule);
            for told in [Told::Text, Told::Number, Told::Day] {
                let tells = ends
                    .iter()
                    .filter(|(_, end)| self.tells(*end) == Some(told));
                let paths: Vec<&str> = tells.map(|(path, _)| path.as_str()).collect();
                self.problems.extend(told.problem(&paths, &place));
            }
        }
    }

    /// What of the sender's choice passes there that may be somebody's.
    fn tells(&self, end: Target) -> Option<Told> {
        match end {
            Target::Kept(keep) => self.keeps(keep),
            Target::Less(how) => match self.policy.generalisers.get(how.place())? {
                // So many digits as came, but for the last ones.
                Generaliser::Round(_) => Some(Told::Number),
                Generaliser::Band(_)
                | Generaliser::Initial
                | Generaliser::Month(_)
                | Generaliser::SchoolYear(_)
                | Generaliser::Year(_) => None,
            },
            Target::Id(_) | Target::Ids(_) | Target::Nothing | Target::Shape(_) => None,
        }
    }

    /// What of the sender's choice can be kept that may be somebody's.
    fn keeps(&self, keep: Keep) -> Option<Told> {
        let rules = keep
            .rules
            .and_then(|it| self.policy.value_rules.get(it.place()));
        if rules.is_some_and(|rules| rules.one_of.is_some()) {
            return None;
        }
        let most = rules.and_then(|rules| rules.chars_max);
        let long = most.is_none_or(|most| most > limits::COUNT_DIGITS_MAX);
        match keep.of {
            ValueType::Any | ValueType::Slug | ValueType::Url | ValueType::Uuid => Some(Told::Text),
            ValueType::Int | ValueType::Number => long.then_some(Told::Number),
            ValueType::Date | ValueType::DateTime => Some(Told::Day),
            ValueType::Bool | ValueType::Lang => None,
        }
    }

    /// 401 and 403 against our own credentials are no business of the caller's.
    pub(super) fn check_credentials(
        &mut self,
        auth: Option<&UpstreamAuthDraft>,
        credentials: &[Place],
    ) {
        let ours = match auth {
            Some(UpstreamAuthDraft::Forward) | None => false,
            Some(
                UpstreamAuthDraft::BasicFile(_)
                | UpstreamAuthDraft::BearerFile(_)
                | UpstreamAuthDraft::None
                | UpstreamAuthDraft::Oauth2(_),
            ) => true,
        };
        for place in credentials.iter().filter(|_| ours) {
            let message = "401 and 403 are about the gateway's own credentials here";
            let problem = Problem::error(code::CONFLICT, message).at(place);
            let label = "the caller gets 502, whatever it says";
            self.problems.push(problem.label(label));
        }
    }
}

/// What an error tells that may be somebody's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Told {
    Day,
    Number,
    Text,
}

impl Told {
    /// What is wrong with that, if there are such fields.
    fn problem(self, paths: &[&str], place: &Place) -> Option<Problem> {
        let (first, others) = paths.split_first()?;
        let more = and_more(others.len());
        let problem = Problem::finding(code::ERROR_TOLD, self.found()).at(place);
        let problem = problem.label(format!("{} is kept{more}", shown(first)));
        Some(problem.help(self.help()))
    }

    const fn found(self) -> &'static str {
        match self {
            Self::Day => "a day of an error passes",
            Self::Number => "a long number of an error passes",
            Self::Text => "a text of an error passes",
        }
    }

    /// What to do about it.
    fn help(self) -> String {
        match self {
            Self::Day => "a day can be a pupil's birthday: `year`, or leave it out".to_owned(),
            Self::Number => {
                let most = limits::COUNT_DIGITS_MAX;
                format!("long numbers can be a pupil's: `keep` with `max = {most}`, or `one-of`")
            }
            Self::Text => {
                let help =
                    "error texts repeat ids and names: say which words may pass, with `one-of`";
                help.to_owned()
            }
        }
    }
}

impl PlacedRoute {
    /// Where 401 and 403 have a line of their own.
    pub(super) fn about_credentials(&self) -> impl Iterator<Item = &Place> {
        let about = |it: &&At<StatusContent>| it.value.statuses.is_about_credentials();
        self.statuses.iter().filter(about).map(|it| &it.place)
    }
}

/// A status or a class of them, of which something can be declared; else why nothing can.
fn statuses(text: &str) -> Result<Statuses, &'static str> {
    match text {
        "2xx" => return Ok(Statuses::Class(2)),
        "4xx" => return Ok(Statuses::Class(4)),
        "5xx" => return Ok(Statuses::Class(5)),
        _ => {}
    }
    let digits = text.len() == 3 && text.bytes().all(|it| it.is_ascii_digit());
    let status: Option<u16> = text.parse().ok().filter(|_| digits);
    match status {
        Some(204 | 205) => Err("such an answer has no body"),
        Some(206) => Err("a part of an answer does not pass"),
        Some(300..=399) => Err("a redirect does not pass"),
        Some(407) => Err("it is about the gateway's own way to the upstream"),
        Some(status @ (200..=299 | 400..=599)) => Ok(Statuses::One(status)),
        Some(_) | None if text == "3xx" => Err("a redirect does not pass"),
        Some(_) | None => Err("this is no status of an answer, and no class of them"),
    }
}
