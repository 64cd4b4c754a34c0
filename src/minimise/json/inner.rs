//! Values that have something within: links, texts with identifiers, JSON in a text.

use super::frame::{State, fields};
use super::pass::{Pass, Place};
use super::plan::{Plan, Token, TokenKind, text_of};
use super::scan::{self, Rest};
use crate::limits;
use crate::minimise::crossing::Pages;
use crate::minimise::head::{self, Ids};
use crate::minimise::watch::{Unwatched, Watch};
use crate::minimise::{Action, Counts, Crossing, value};
use crate::policy::{Constant, Fields, Index, Rule, Shape, Side, Template};
use crate::refusal::{Bug, JsonFault, LinkFault, Refusal};

impl<W: Watch> Pass<'_, W> {
    /// A link becomes the address of the same thing on the other side, if there is one.
    pub(super) fn plan_link(
        &mut self,
        otherwise: Option<Index<Constant>>,
        token: Token,
    ) -> Result<Plan, Refusal> {
        let flow = self.crossing.flow;
        let mut fault = LinkFault::FieldType;
        let plan = if token.kind == TokenKind::Null {
            Plan::Keep
        } else {
            self.plan_text(token, |ids, link| {
                let made = head::translate(ids, flow, link);
                made.inspect_err(|none| fault = none.fault)
                    .map_err(|none| none.refusal)
            })?
        };
        if matches!(plan, Plan::Drop(_)) && self.is_to_the_next_page(token) {
            return Err(Refusal::NextPageLost { fault });
        }
        Ok(match (plan, otherwise) {
            // Nothing is added on the way home.
            (Plan::Drop(why), Some(constant)) if self.crossing.to == Side::Vendor => {
                // What stands in its place must not hide that.
                if why == Action::DroppedEcho {
                    self.state.count(why);
                }
                Plan::Constant(constant)
            }
            (Plan::Keep, Some(constant)) if self.crossing.to == Side::Vendor => {
                Plan::Constant(constant)
            }
            (plan, _) => plan,
        })
    }

    /// What is no object, where one is declared. A record of the answer's own list is what it is
    /// about, and the link to the next page is one too where its address stands in that shape.
    #[cold]
    pub(super) fn plan_no_object(
        &self,
        shape: Index<Shape>,
        token: Token,
    ) -> Result<Plan, Refusal> {
        let is_item = self.stands == Place::Item && self.state.frame.kind.is_list();
        if is_item && (self.is_all_that_is_read(1) || self.is_all_that_is_read(2)) {
            return Err(Refusal::BodyOfAnotherShape);
        }
        let lines = self.law.policy.fields(shape).map_or(&[][..], Fields::lines);
        let mut links = lines.iter().filter(|it| matches!(it.rule, Rule::Link(_)));
        let is_address = links.any(|it| ADDRESS_KEYS.contains(&&*it.key));
        match is_address && self.is_to_the_next_page(token) {
            true => Err(Refusal::NextPageLost {
                fault: LinkFault::FieldType,
            }),
            false => Ok(Plan::Drop(Action::DroppedType)),
        }
    }

    /// Whether a value is the link to the page behind this one, by its name. What stands in a list
    /// is of an item; `null`, `false` and an empty text say that there is none.
    fn is_to_the_next_page(&self, token: Token) -> bool {
        let says = match token.kind {
            TokenKind::Null => false,
            TokenKind::Bool => self.bytes.get(token.start) == Some(&b't'),
            TokenKind::Text { .. } => token.end.saturating_sub(token.start) > r#""""#.len(),
            TokenKind::List
            | TokenKind::Number { .. }
            | TokenKind::Object
            | TokenKind::TextPart => true,
        };
        let state = &self.state;
        if !says || self.crossing.pages == Pages::One || state.nesting > 0 || state.is_in_list() {
            return false;
        }
        let policy = &self.law.policy;
        let fields = fields(policy, state.frame.kind);
        let line = self.key.line.filter(|_| self.stands == Place::Key);
        let key = fields
            .zip(line)
            .and_then(|(fields, line)| fields.line(line));
        key.is_some_and(|key| match ADDRESS_KEYS.contains(&&*key.key) {
            true => state.key_around(policy).is_some_and(is_of_next_page),
            false => is_of_next_page(&key.key),
        })
    }

    /// The identifiers of a text are turned, and what stands around them stays.
    pub(super) fn plan_template(
        &mut self,
        template: Index<Template>,
        token: Token,
    ) -> Result<Plan, Refusal> {
        let template = self.law.policy.templates.get(template.place());
        let template = template.ok_or(Refusal::Bug(Bug::Policy))?;
        self.plan_text(token, |ids, text| {
            let found = template.read(text).ok_or(Refusal::RouteUnknown)?;
            let turn = |(kind, id)| ids.turn(kind, id).map(str::to_owned);
            let turned: Result<Vec<_>, _> = found.into_iter().map(turn).collect();
            Ok(template.write(&turned?))
        })
    }

    /// A text of which something else is made, if it can be made.
    fn plan_text(
        &mut self,
        token: Token,
        make: impl FnOnce(&mut Ids<'_>, &str) -> Result<String, Refusal>,
    ) -> Result<Plan, Refusal> {
        if !matches!(token.kind, TokenKind::Text { .. }) {
            return Ok(Plan::Drop(Action::DroppedType));
        }
        let (at, state) = (self.place(token.start), &mut *self.state);
        let text = text_of(self.bytes, token, &mut state.text);
        let mut counts = Counts::default();
        let trail = std::mem::take(&mut state.trail);
        let mut ids = Ids::within(self.crossing, trail, &mut counts);
        std::mem::swap(&mut ids.echo, &mut state.echo);
        let made = make(&mut ids, text);
        let (missed, refused, why) = (ids.missed, ids.refused, ids.why);
        (state.trail, state.echo) = (ids.trail, ids.echo);
        let home = self.crossing.to == Side::School;
        if missed {
            state.missed = true;
            return Ok(Plan::Missed);
        }
        state.counts.absorb(&counts);
        match (made, refused) {
            (_, Some(refused)) if home => Err(refused.at(at)),
            (Err(Refusal::Bug(bug)), _) => Err(Refusal::Bug(bug)),
            (Err(_), _) => Ok(Plan::Drop(why)),
            (Ok(made), _) => {
                state.made.clear();
                scan::escape_into(&made, &mut state.made);
                Ok(Plan::Made(Action::Translated))
            }
        }
    }

    /// JSON in a text is read under its own shape; what is no such JSON is dropped.
    pub(super) fn plan_nested(
        &mut self,
        shape: Index<Shape>,
        token: Token,
    ) -> Result<Plan, Refusal> {
        if !matches!(token.kind, TokenKind::Text { .. }) {
            return Ok(Plan::Drop(Action::DroppedType));
        }
        let (at, outer) = (self.place(token.start), &mut *self.state);
        if outer.nesting >= limits::JSON_NESTING_MAX {
            return Ok(Plan::Drop(Action::DroppedValue));
        }
        let json = text_of(self.bytes, token, &mut outer.text).to_owned();
        let mut state = State::new(Rule::Object(shape), &self.law.limits);
        state.nesting = outer.nesting.wrapping_add(1);
        std::mem::swap(&mut state.trail, &mut outer.trail);
        std::mem::swap(&mut state.echo, &mut outer.echo);
        let mut out = Vec::with_capacity(json.len());
        let read = read_whole(self.crossing, &mut state, json.as_bytes(), &mut out);
        std::mem::swap(&mut state.trail, &mut outer.trail);
        std::mem::swap(&mut state.echo, &mut outer.echo);
        if state.missed {
            outer.missed = true;
            return Ok(Plan::Missed);
        }
        match read {
            Ok(()) => {
                outer.counts.absorb(&state.counts);
                outer.made.clear();
                // All that was written is JSON, and so UTF-8.
                scan::escape_into(
                    std::str::from_utf8(&out).unwrap_or_default(),
                    &mut outer.made,
                );
                Ok(Plan::Made(Action::Translated))
            }
            Err(Refusal::Bug(bug)) => Err(Refusal::Bug(bug)),
            // Its place within the text would be none in the body.
            Err(Refusal::PseudonymUnknown { .. }) => {
                outer.counts.absorb(&state.counts);
                Err(Refusal::PseudonymUnknown { at })
            }
            Err(_) => Ok(Plan::Drop(Action::DroppedValue)),
        }
    }
}

/// The keys of an address in an object that says what the address is of: `"next": {"href": …}`.
const ADDRESS_KEYS: [&str; 4] = ["href", "link", "uri", "url"];

/// What the link to the next page is called, without marks and in lower case.
const NEXT_KEYS: [&str; 10] = [
    "more",
    "next",
    "nexthref",
    "nextlink",
    "nextpage",
    "nextpagelink",
    "nextpageurl",
    "nexturi",
    "nexturl",
    "odatanextlink",
];

fn is_of_next_page(key: &str) -> bool {
    NEXT_KEYS.contains(&&*value::plain_name(key))
}

/// Reads a document that is here as a whole.
fn read_whole(
    crossing: &Crossing,
    state: &mut State,
    json: &[u8],
    out: &mut Vec<u8>,
) -> Result<(), Refusal> {
    let mut watch = Unwatched;
    let mut pass = Pass::new(crossing, state, &mut watch, json, out);
    pass.then = Rest::IsNothing;
    let read = pass.run();
    pass.finish();
    read?;
    match state.is_done() {
        true => Ok(()),
        false => Err(Refusal::BodyMalformed {
            fault: JsonFault::Cut,
            at: 0,
        }),
    }
}
