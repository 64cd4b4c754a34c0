//! What a rule makes of a value: decided before anything of it is noted or written.

use super::frame::FrameKind;
use super::gate::Standing;
use super::pass::{Pass, Place};
use super::scan::{self, Fault};
use super::switch::{self, Choice};
use crate::minimise::crossing::Pages;
use crate::minimise::echo::{Holds, Kept};
use crate::minimise::generalise::{self, Generalised};
use crate::minimise::watch::{Watch, Withheld};
use crate::minimise::{Action, value};
use crate::policy::{
    Constant, Generaliser, IdKind, Index, Item, Keep, Rule, Shape, ShapeBody, Side, ValueRules,
    ValueType,
};
use crate::refusal::{Bug, JsonFault, Refusal};

/// A scalar that is all here, or the beginning of anything else.
#[derive(Clone, Copy, Debug)]
pub(super) struct Token {
    pub(super) kind: TokenKind,
    pub(super) start: usize,
    pub(super) end: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TokenKind {
    Bool,
    List,
    Null,
    Number {
        int: bool,
    },
    Object,
    Text {
        escaped: bool,
    },
    /// A string that goes on and that nobody wants to read.
    TextPart,
}

/// What happens to a value.
#[derive(Clone, Copy, Debug)]
pub(super) enum Plan {
    /// The same type, empty.
    Blank,
    Constant(Index<Constant>),
    /// A text made from the sibling with that kind.
    Derived,
    Drop(Action),
    Enter(FrameKind),
    Identifier(Index<IdKind>),
    /// It leaves as it came.
    Keep,
    /// What stands in `State::made` leaves; this has been done to make it.
    Made(Action),
    /// The register has to catch up before it is clear whose pseudonym this is.
    Missed,
    /// A record that is not sent; this stub of it is entered.
    Stub(Index<Shape>, Withheld),
    /// What the shape is, or whether it is sent, waits for more bytes.
    Wait,
    /// A record that is not sent.
    Withhold(Withheld),
}

impl<W: Watch> Pass<'_, W> {
    /// What `rule` makes of the value that begins with `token`.
    pub(super) fn plan(&mut self, rule: Rule, token: Token) -> Result<Plan, Refusal> {
        use TokenKind::{Bool, List, Null, Number, Object, Text, TextPart};
        Ok(match rule {
            Rule::Drop => Plan::Drop(self.why_dropped()),
            // Nothing is added on the way home: it would replace what the school knows better.
            Rule::Blank | Rule::Constant(_) | Rule::Derived { .. } | Rule::Generalise(_)
                if self.crossing.to == Side::School =>
            {
                Plan::Drop(Action::DroppedValue)
            }
            Rule::Constant(constant) => Plan::Constant(constant),
            Rule::KeepAll => match token.kind {
                List => Plan::Enter(FrameKind::WholeList),
                Object => Plan::Enter(FrameKind::WholeObject),
                Number { .. } if self.is_echo(token, Holds::Codes, None) => {
                    Plan::Drop(Action::DroppedEcho)
                }
                Text { .. } if self.is_echo(token, Holds::Text, None) => {
                    Plan::Drop(Action::DroppedEcho)
                }
                Bool | Null | Number { .. } | Text { .. } => Plan::Keep,
                TextPart => return Err(Refusal::Bug(Bug::Rewriter)),
            },
            Rule::Link(otherwise) => self.plan_link(otherwise, token)?,
            _ if token.kind == Null => self.plan_null(rule),
            _ if token.kind == TextPart => return Err(Refusal::Bug(Bug::Rewriter)),
            Rule::Blank => Plan::Blank,
            Rule::Derived { .. } => Plan::Derived,
            Rule::Generalise(generaliser) => self.plan_generalised(generaliser, token)?,
            Rule::Identifier(kind) if self.is_identifier(token) => {
                self.plan_person(kind, self.standing(), token)?
            }
            Rule::Identifier(_) => Plan::Drop(Action::DroppedType),
            Rule::Keep(keep) => match self.kept(keep, token)? {
                None => Plan::Keep,
                Some(why) => Plan::Drop(why),
            },
            Rule::Nested(shape) => self.plan_nested(shape, token)?,
            Rule::Template(template) => self.plan_named(template, self.standing(), token)?,
            Rule::List(item) | Rule::ListOrOne(item) if token.kind == List => {
                Plan::Enter(FrameKind::List(item))
            }
            Rule::ListOrOne(Item::Object(shape)) if token.kind == Object => {
                self.plan_object(shape, Standing::Record, token)?
            }
            Rule::Object(shape) if token.kind == Object => {
                self.plan_object(shape, self.standing(), token)?
            }
            Rule::ListOrOne(Item::Identifier(kind)) if self.is_identifier(token) => {
                self.plan_person(kind, Standing::Record, token)?
            }
            Rule::ListOrOne(Item::Keep(keep)) => match self.kept(keep, token)? {
                None => Plan::Keep,
                Some(why) => Plan::Drop(why),
            },
            Rule::ListOrOne(Item::Link(otherwise)) => self.plan_link(otherwise, token)?,
            Rule::ListOrOne(Item::Template(template)) => {
                self.plan_named(template, Standing::Record, token)?
            }
            Rule::Object(shape) => self.plan_no_object(shape, token)?,
            Rule::List(_) | Rule::ListOrOne(_) => self.plan_no_list(rule)?,
        })
    }

    /// null stays null. A message that is null is not the object or list that is declared, and
    /// reads as nobody. Where it answers what may have done something, it is let pass as an empty
    /// one is: whoever hears of a fault does it again.
    fn plan_null(&self, rule: Rule) -> Plan {
        let (crossing, state) = (self.crossing, &*self.state);
        let done = crossing.asked.is_some() && crossing.pages == Pages::One && state.nesting == 0;
        let declared = matches!(rule, Rule::List(_) | Rule::ListOrOne(_) | Rule::Object(_));
        match declared && !done && state.frame.kind == FrameKind::Outside {
            true => Plan::Drop(Action::DroppedType),
            false => Plan::Keep,
        }
    }

    /// What is no list, where one is declared. The list of an answer that is read is what it is
    /// about: left out, it says that there is nobody.
    #[cold]
    fn plan_no_list(&self, rule: Rule) -> Result<Plan, Refusal> {
        let of_records = matches!(
            rule,
            Rule::List(Item::Object(_)) | Rule::ListOrOne(Item::Object(_))
        );
        match of_records && self.is_all_that_is_read(1) {
            true => Err(Refusal::BodyOfAnotherShape),
            false => Ok(Plan::Drop(Action::DroppedType)),
        }
    }

    /// Whether a kept value would send back what was brought home in this exchange.
    fn is_echo(&mut self, token: Token, holds: Holds, rules: Option<&ValueRules>) -> bool {
        let Some(home) = self.crossing.guarded() else {
            return false;
        };
        let state = &mut *self.state;
        let text = text_of(self.bytes, token, &mut state.text);
        let kept = Kept { text, holds, rules };
        state.echo.is_in(kept, home)
    }

    /// Whether a number, rounded as it would leave, is what was brought home in this exchange.
    fn rounds_to_echo(&mut self) -> bool {
        let Some(home) = self.crossing.guarded() else {
            return false;
        };
        let state = &mut *self.state;
        let kept = Kept {
            text: str::from_utf8(&state.made).unwrap_or_default(),
            holds: Holds::Codes,
            rules: None,
        };
        state.echo.is_in(kept, home)
    }

    fn keeps_echo(&mut self, keep: Keep, token: Token) -> bool {
        let law = self.law;
        let rules = keep.rules;
        let rules = rules.and_then(|rules| law.policy.value_rules.get(rules.place()));
        if rules.is_some_and(|rules| rules.one_of.is_some()) {
            // A word from the policy is nobody's identifier.
            return false;
        }
        match (Holds::of(keep.of), token.kind) {
            (None, _) => false,
            (Some(holds), TokenKind::Text { .. }) => self.is_echo(token, holds, rules),
            (Some(_), _) => self.is_echo(token, Holds::Codes, rules),
        }
    }

    /// Whether the policy says so, or says nothing.
    pub(super) fn why_dropped(&self) -> Action {
        if self.stands == Place::Key && self.key.line.is_none() {
            self.key.why
        } else {
            Action::DroppedListed
        }
    }

    fn plan_object(
        &mut self,
        shape: Index<Shape>,
        standing: Standing,
        token: Token,
    ) -> Result<Plan, Refusal> {
        let bug = Refusal::Bug(Bug::Policy);
        let law = self.law;
        let switch = match &law.policy.shape(shape).ok_or(bug)?.body {
            ShapeBody::Fields(_) => return self.plan_record((shape, shape), standing, token),
            ShapeBody::Switch(switch) => switch,
        };
        let bytes_max = self.state.bounds.switch_max;
        let sought = (switch, &mut self.state.look);
        let choice = switch::choose(self.bytes, token.start, sought, bytes_max, self.then);
        match choice.map_err(|fault| self.found(fault))? {
            Choice::Drop => Ok(Plan::Drop(Action::DroppedItem)),
            Choice::More => Ok(Plan::Wait),
            Choice::Shape(chosen) => self.plan_record((shape, chosen), standing, token),
        }
    }

    /// Strings, and numbers in their one canonical writing: a number and the string of its digits
    /// are the same identifier.
    pub(super) fn is_identifier(&self, token: Token) -> bool {
        match token.kind {
            TokenKind::Text { .. } => true,
            TokenKind::Number { int } => int && self.bytes.get(token.start) != Some(&b'-'),
            TokenKind::Bool
            | TokenKind::List
            | TokenKind::Null
            | TokenKind::Object
            | TokenKind::TextPart => false,
        }
    }

    fn plan_generalised(
        &mut self,
        generaliser: Index<Generaliser>,
        token: Token,
    ) -> Result<Plan, Refusal> {
        let all = &self.law.policy.generalisers;
        let generaliser = all
            .get(generaliser.place())
            .ok_or(Refusal::Bug(Bug::Policy))?;
        let takes_number = matches!(generaliser, Generaliser::Band(_) | Generaliser::Round(_));
        let mut made = std::mem::take(&mut self.state.made);
        made.clear();
        let right_type = match token.kind {
            TokenKind::Number { .. } => takes_number,
            TokenKind::Text { .. } => !takes_number,
            TokenKind::Bool
            | TokenKind::List
            | TokenKind::Null
            | TokenKind::Object
            | TokenKind::TextPart => false,
        };
        let written =
            right_type.then(|| write_generalised(generaliser, self.text(token), &mut made));
        self.state.made = made;
        let rounds = matches!(generaliser, Generaliser::Round(_));
        Ok(match written {
            None => Plan::Drop(Action::DroppedType),
            Some(Some(())) if rounds && self.rounds_to_echo() => Plan::Drop(Action::DroppedEcho),
            Some(None) => Plan::Drop(Action::DroppedValue),
            Some(Some(())) => Plan::Made(Action::Generalised),
        })
    }

    /// Why a value is not kept under `keep`; `None` if it is.
    #[inline]
    pub(super) fn kept(&mut self, keep: Keep, token: Token) -> Result<Option<Action>, Refusal> {
        let right_type = match token.kind {
            TokenKind::Bool => matches!(keep.of, ValueType::Any | ValueType::Bool),
            TokenKind::Number { int } => {
                matches!(keep.of, ValueType::Any | ValueType::Number)
                    || int && keep.of == ValueType::Int
            }
            TokenKind::Text { .. } => match keep.of {
                ValueType::Any => true,
                ValueType::Bool | ValueType::Int | ValueType::Number => false,
                ValueType::Date => value::is_date(self.text(token)),
                ValueType::DateTime => value::is_datetime(self.text(token)),
                ValueType::Lang => value::is_lang(self.text(token)),
                ValueType::Slug => value::is_slug(self.text(token)),
                ValueType::Url => value::is_url(self.text(token)),
                ValueType::Uuid => value::is_uuid(self.text(token)),
            },
            TokenKind::List | TokenKind::Null | TokenKind::Object | TokenKind::TextPart => false,
        };
        let rules = match keep.rules {
            _ if !right_type => return Ok(Some(Action::DroppedType)),
            _ if self.keeps_echo(keep, token) => return Ok(Some(Action::DroppedEcho)),
            None => return Ok(None),
            Some(rules) => self.law.policy.value_rules.get(rules.place()),
        };
        let rules = rules.ok_or(Refusal::Bug(Bug::Policy))?;
        let quoted = matches!(token.kind, TokenKind::Text { .. });
        let text = self.text(token);
        let fits = rules.fits(text);
        let listed = rules.one_of.as_ref().is_none_or(|values| {
            let mut json = Vec::with_capacity(text.len().saturating_add(2));
            if quoted {
                scan::escape_into(text, &mut json);
            } else {
                json.extend_from_slice(text.as_bytes());
            }
            values.iter().any(|value| value.as_bytes() == json)
        });
        Ok((!(fits && listed)).then_some(Action::DroppedValue))
    }

    /// The text of a scalar, as [`text_of`] gives it.
    fn text(&mut self, token: Token) -> &str {
        text_of(self.bytes, token, &mut self.state.text)
    }

    /// A token whose text is longer than the policy reads.
    pub(super) fn bound(&self, token: Token) -> Result<(), Fault> {
        let most = self.state.bounds.string_max;
        let text = matches!(token.kind, TokenKind::Text { .. });
        if text && token.end.wrapping_sub(token.start) > most {
            return Err(Fault::new(JsonFault::StringTooLong, token.start));
        }
        Ok(())
    }
}

/// The text of a scalar: of a string what it stands for, of others what is written.
pub(super) fn text_of<'a>(bytes: &'a [u8], token: Token, room: &'a mut Vec<u8>) -> &'a str {
    let text = match token.kind {
        TokenKind::Text { escaped } => {
            let content = token.start.wrapping_add(1)..token.end.wrapping_sub(1);
            let content = bytes.get(content).unwrap_or_default();
            if escaped {
                room.clear();
                scan::unescape(content, room);
                room
            } else {
                content
            }
        }
        TokenKind::Bool
        | TokenKind::List
        | TokenKind::Null
        | TokenKind::Number { .. }
        | TokenKind::Object
        | TokenKind::TextPart => bytes.get(token.start..token.end).unwrap_or_default(),
    };
    // All bytes at hand are UTF-8, and a token ends on a character.
    std::str::from_utf8(text).unwrap_or_default()
}

/// Writes what is made of a text or number as JSON; `None` if nothing can be made of it.
fn write_generalised(generaliser: &Generaliser, text: &str, made: &mut Vec<u8>) -> Option<()> {
    let text = match generaliser {
        Generaliser::Band(_) | Generaliser::Round(_) => generalise::number(generaliser, text)?,
        Generaliser::Initial
        | Generaliser::Month(_)
        | Generaliser::SchoolYear(_)
        | Generaliser::Year(_) => Generalised::Text(generalise::text(generaliser, text)?),
    };
    match text {
        Generalised::Number(number) => made.extend_from_slice(number.to_string().as_bytes()),
        Generalised::Text(text) => scan::escape_into(&text, made),
    }
    Some(())
}
