//! Carrying out what was planned: notes the key, writes what leaves, enters or passes over.

use super::frame::{FrameKind, Ready, bit, fields};
use super::identifier::{form, make};
use super::pass::{Pass, Place, Step, Wanted};
use super::plan::{Plan, Token, TokenKind, text_of};
use super::scan;
use crate::minimise::Action;
use crate::minimise::watch::{Entered, Seen, Watch, Withheld};
use crate::policy::{Constant, Derived, Index, Rule, Side};
use crate::refusal::{Bug, Refusal};

impl<W: Watch> Pass<'_, W> {
    /// Reads the value that begins at `at` under `rule`.
    #[inline(always)]
    pub(super) fn value(&mut self, at: usize, rule: &Rule) -> Result<Step, Refusal> {
        let source = self.source();
        if W::LOOKS {
            return self.read(at, rule, source);
        }
        match (self.opens(at, rule), rule) {
            (Some(kind), _) => self.enter_unread(at, kind),
            (None, Rule::Drop) if source.is_none() => self.drop_unread(at),
            (None, _) => self.read(at, rule, source),
        }
    }

    #[inline(never)]
    fn read(&mut self, at: usize, rule: &Rule, source: Option<usize>) -> Result<Step, Refusal> {
        let Some(token) = self.token_of_key(at, Wanted::Text)? else {
            return self.wait(at, self.state.bounds.string_max);
        };
        self.bound(token).map_err(|fault| self.found(fault))?;
        let plan = self.plan(*rule, token)?;
        let alone = self.state.frame.kind == FrameKind::Outside;
        match plan {
            Plan::Drop(_) if alone => return Err(Refusal::BodyOfAnotherShape),
            Plan::Withhold(why) if alone => return Err(self.refuse_whole(why)),
            Plan::Missed => return Ok(Step::Waits),
            Plan::Wait => return self.wait(at, usize::MAX),
            Plan::Blank
            | Plan::Constant(_)
            | Plan::Derived
            | Plan::Drop(_)
            | Plan::Enter(_)
            | Plan::Identifier(_)
            | Plan::Keep
            | Plan::Made(_)
            | Plan::Stub(..)
            | Plan::Withhold(_) => {}
        }
        self.note()?;
        let from = if W::LOOKS { self.emit.out().len() } else { 0 };
        if let Some(action) = self.carry_out(plan, *rule, token)? {
            self.state.count(action);
            let withheld = if let Plan::Withhold(why) = plan {
                Some(why)
            } else {
                None
            };
            self.show((*rule, action, withheld), token, from);
        }
        if let Some(line) = source {
            self.derive(line, token)?;
        }
        Ok(Step::Taken)
    }

    /// Passes over the value that begins at `at`: nothing depends on what it is.
    #[inline(always)]
    fn drop_unread(&mut self, at: usize) -> Result<Step, Refusal> {
        let Some(token) = self.token_of_key(at, Wanted::End)? else {
            return self.wait(at, self.state.bounds.string_max);
        };
        self.note()?;
        self.state.count(self.why_dropped());
        self.go_behind(token);
        Ok(Step::Taken)
    }

    /// The token at `at`. The key comes before it, and so does what is wrong with the key.
    #[inline(always)]
    fn token_of_key(&mut self, at: usize, wanted: Wanted) -> Result<Option<Token>, Refusal> {
        match self.token(at, wanted) {
            Ok(token) => Ok(token),
            Err(fault) => {
                self.note()?;
                Err(self.found(fault))
            }
        }
    }

    /// The line of the key, if other fields are made from it.
    fn source(&self) -> Option<usize> {
        let line = if self.key.source { self.key.line } else { None };
        line.filter(|_| self.stands == Place::Key)
    }

    /// Writes, enters or passes over the value, and goes behind it. Gives what was done, if that
    /// is clear by now.
    fn carry_out(
        &mut self,
        plan: Plan,
        rule: Rule,
        token: Token,
    ) -> Result<Option<Action>, Refusal> {
        let done = match plan {
            Plan::Blank => {
                let empty = self.empty_of(token);
                self.lead(token.start);
                self.emit.text(empty);
                Some(Action::Blanked)
            }
            Plan::Constant(constant) => {
                self.lead(token.start);
                self.write_constant(constant)?;
                Some(Action::Constant)
            }
            Plan::Derived => self.write_derived(rule, token)?,
            Plan::Drop(why) => Some(why),
            Plan::Enter(kind) => {
                self.lead(token.start);
                self.emit.copy(token.start, token.end);
                self.enter_watched(entered(kind));
                self.enter(kind, token.start)?;
                return Ok(None);
            }
            Plan::Identifier(kind) => {
                self.lead(token.start);
                Some(self.write_identifier(kind, token)?)
            }
            Plan::Keep => {
                self.lead(token.start);
                self.emit.copy(token.start, token.end);
                Some(Action::Kept)
            }
            Plan::Made(action) => {
                self.lead(token.start);
                self.emit.text(&self.state.made);
                Some(action)
            }
            Plan::Missed | Plan::Wait => return Err(Refusal::Bug(Bug::Rewriter)),
            Plan::Stub(stub, why) => {
                self.lead(token.start);
                self.enter_stub((stub, why), token)?;
                return Ok(None);
            }
            Plan::Withhold(why) => Some(why.action()),
        };
        self.go_behind(token);
        Ok(done)
    }

    fn go_behind(&mut self, token: Token) {
        match token.kind {
            TokenKind::List | TokenKind::Object => {
                self.state.skip.container();
                self.at = token.start;
            }
            TokenKind::TextPart => {
                self.state.skip.text();
                self.at = token.end;
            }
            TokenKind::Bool
            | TokenKind::Null
            | TokenKind::Number { .. }
            | TokenKind::Text { .. } => {
                self.at = token.end;
                self.after_value();
            }
        }
    }

    /// Writes what stands before a value: comma, key, colon.
    #[inline]
    pub(super) fn lead(&mut self, at: usize) {
        match self.stands {
            Place::Item => {
                if self.take_comma() {
                    self.emit.comma_and_copy(at, at);
                }
            }
            Place::Any => {
                let comma = self.take_comma();
                let out = self.emit.out();
                if comma {
                    out.push(b',');
                }
                out.extend_from_slice(&self.state.key);
                out.push(b':');
            }
            Place::Key => {
                let colon = self.key.end.wrapping_add(1);
                if at == colon {
                    self.copy_field(colon);
                } else {
                    self.copy_field(self.key.end);
                    self.emit.text(b":");
                }
            }
        }
    }

    /// Writes comma and key, and what stands right behind it up to `end`, as they came.
    #[inline(always)]
    pub(super) fn copy_field(&mut self, end: usize) {
        if self.take_comma() {
            self.emit.comma_and_copy(self.key.start, end);
        } else {
            self.emit.copy(self.key.start, end);
        }
    }

    /// Writes comma, key and colon for a line of the shape that stands nowhere in the input.
    fn lead_line(&mut self, kind: FrameKind, line: usize) -> Result<(), Refusal> {
        let bug = Refusal::Bug(Bug::Policy);
        let fields = fields(&self.law.policy, kind).ok_or(bug)?;
        let key = &fields.line(line).ok_or(bug)?.key;
        let comma = self.take_comma();
        let out = self.emit.out();
        if comma {
            out.push(b',');
        }
        scan::escape_into(key, out);
        out.push(b':');
        Ok(())
    }

    /// Whether a comma must come first; from now on it must.
    fn take_comma(&mut self) -> bool {
        std::mem::replace(&mut self.state.frame.comma, true)
    }

    fn empty_of(&self, token: Token) -> &'static [u8] {
        match token.kind {
            TokenKind::Bool => b"false",
            TokenKind::List => b"[]",
            TokenKind::Null => b"null",
            TokenKind::Number { .. } => b"0",
            TokenKind::Object => b"{}",
            TokenKind::Text { .. } | TokenKind::TextPart => b"\"\"",
        }
    }

    fn write_constant(&mut self, constant: Index<Constant>) -> Result<(), Refusal> {
        let constant = self.law.policy.constants.get(constant.place());
        self.emit
            .text(&constant.ok_or(Refusal::Bug(Bug::Policy))?.json);
        Ok(())
    }

    /// A field that others are made from has come: writes those that wait for it, and makes the
    /// texts of the others ready.
    fn derive(&mut self, line: usize, token: Token) -> Result<(), Refusal> {
        if !self.is_identifier(token) || self.crossing.to == Side::School {
            return Ok(());
        }
        let (law, own) = (self.law, self.is_own_id());
        let (kind, waiting) = (self.state.frame.kind, self.state.frame.waiting);
        let derived = fields(&law.policy, kind).map_or(&[][..], |fields| fields.derived());
        for (place, one) in derived.iter().enumerate().filter(|(_, one)| one.of == line) {
            let mut json = Vec::new();
            let (crossing, state) = (self.crossing, &mut *self.state);
            let text = text_of(self.bytes, token, &mut state.text);
            if !own && crossing.objects(one.kind, text) {
                continue;
            }
            let id = (text, form(token));
            let made = make(crossing, one.kind, id, &mut json, &mut state.trail);
            let action = made.map_err(|refused| refused.at(self.place(token.start)))?;
            if action == Action::IdentifierEmpty {
                continue;
            }
            if waiting & bit(place) == 0 {
                self.state.ready.push(Ready {
                    field: one.field,
                    action,
                    json,
                });
                continue;
            }
            self.state.frame.waiting &= !bit(place);
            self.lead_line(kind, one.field)?;
            self.emit.text(&json);
            self.state.counts.add(action);
            self.show_line(kind, one.field, action, &json);
        }
        Ok(())
    }

    /// A derived field has come: writes it if its sibling came first, else it waits.
    fn write_derived(&mut self, rule: Rule, token: Token) -> Result<Option<Action>, Refusal> {
        let bug = Refusal::Bug(Bug::Rewriter);
        let (Rule::Derived { of, .. }, Some(line)) = (rule, self.key.line) else {
            return Err(bug);
        };
        let frame = &mut self.state.frame;
        let ready = self
            .state
            .ready
            .get_mut(frame.ready_from..)
            .unwrap_or_default();
        if let Some(ready) = ready.iter_mut().find(|ready| ready.field == line) {
            let (action, json) = (ready.action, std::mem::take(&mut ready.json));
            self.lead(token.start);
            self.emit.text(&json);
            return Ok(Some(action));
        }
        if frame.has_seen(of) {
            return Ok(Some(Action::DroppedValue));
        }
        let derived = fields(&self.law.policy, frame.kind).map(|fields| fields.derived());
        let waits = |one: &Derived| one.field == line;
        let waits = derived
            .and_then(|derived| derived.iter().position(waits))
            .ok_or(bug)?;
        frame.waiting |= bit(waits);
        Ok(None)
    }

    /// At the end of an object: the constants that had no place in it.
    pub(super) fn write_missing_constants(&mut self, kind: FrameKind) -> Result<(), Refusal> {
        let law = self.law;
        let to_vendor = self.crossing.to == Side::Vendor;
        let Some(fields) = fields(&law.policy, kind).filter(|_| to_vendor) else {
            return Ok(());
        };
        for line in fields.constants() {
            let constant = fields.line(*line).and_then(|field| field.rule.stands_in());
            if let (false, Some(constant)) = (self.state.frame.has_seen(*line), constant) {
                self.lead_line(kind, *line)?;
                self.write_constant(constant)?;
                self.state.counts.add(Action::Constant);
                let json = law.policy.constants.get(constant.place());
                let json = json.map_or(&[][..], |constant| &constant.json);
                self.show_line(kind, *line, Action::Constant, json);
            }
        }
        Ok(())
    }

    pub(super) fn enter_watched(&mut self, entered: Entered) {
        if W::LOOKS {
            let key = self.key_text();
            self.watch.enter(key.as_deref(), entered);
        }
    }

    /// Tells the watcher of a value that has been written or dropped.
    fn show(
        &mut self,
        (rule, action, withheld): (Rule, Action, Option<Withheld>),
        token: Token,
        from: usize,
    ) {
        if !W::LOOKS {
            return;
        }
        let key = self.key_text();
        let listed = self.stands != Place::Key || self.key.line.is_some();
        let written = self.emit.out().get(from..).unwrap_or_default();
        let comma = usize::from(written.first() == Some(&b','));
        let lead = match self.stands {
            Place::Item => comma,
            Place::Any | Place::Key => match scan::text(written, comma.wrapping_add(1)) {
                Ok(scan::Text::Whole { end, .. }) => end.wrapping_add(1),
                _ => written.len(),
            },
        };
        self.watch.value(Seen {
            key: key.as_deref(),
            before: self.bytes.get(token.start..token.end).unwrap_or_default(),
            rule: listed.then_some(rule),
            action,
            after: written.get(lead..).unwrap_or_default(),
            withheld,
        });
    }

    fn show_line(&mut self, kind: FrameKind, line: usize, action: Action, json: &[u8]) {
        if !W::LOOKS {
            return;
        }
        let law = self.law;
        let field = fields(&law.policy, kind).and_then(|fields| fields.line(line));
        self.watch.value(Seen {
            key: field.map(|field| &*field.key),
            before: &[],
            rule: field.map(|field| field.rule),
            action,
            after: json,
            withheld: None,
        });
    }

    /// The key of the value as text.
    fn key_text(&self) -> Option<String> {
        let (start, end) = match self.stands {
            Place::Item => return None,
            // The key as it came; its pseudonym stands in `State::key`.
            Place::Any => return String::from_utf8(self.state.key.clone()).ok(),
            Place::Key => (self.key.start.wrapping_add(1), self.key.end.wrapping_sub(1)),
        };
        let mut text = Vec::new();
        scan::unescape(self.bytes.get(start..end).unwrap_or_default(), &mut text);
        String::from_utf8(text).ok()
    }
}

/// What a watcher is told of what is entered.
const fn entered(kind: FrameKind) -> Entered {
    match kind {
        FrameKind::List(_) | FrameKind::WholeList => Entered::List,
        FrameKind::Object(shape) => Entered::Object(Some(shape)),
        FrameKind::Outside | FrameKind::WholeObject => Entered::Object(None),
    }
}
