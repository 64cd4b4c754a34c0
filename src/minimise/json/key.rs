//! Keys: which line of the policy they are, and that none comes twice.

use super::frame::FrameKind;
use super::pass::{Key, Pass, Place};
use super::scan;
use crate::minimise::Action;
use crate::minimise::crossing::{Refused, Turned};
use crate::minimise::echo::{Holds, Kept};
use crate::minimise::watch::Watch;
use crate::policy::{Fields, IdKind, Index, Rule, Side, Unlisted, key_hash};
use crate::pseudonym::Form;
use crate::refusal::{Bug, JsonFault, Refusal};

impl<'a, W: Watch> Pass<'a, W> {
    /// The key at `start`, if it is that of the line to expect: where it ends, and what the policy
    /// says of it. As [`Pass::line`], but nothing has to be looked for.
    #[inline(always)]
    pub(super) fn expected_line(
        &mut self,
        fields: Option<&'a Fields>,
        start: usize,
    ) -> Option<(usize, &'a Rule)> {
        let (fields, line) = (fields?, self.state.frame.line_next);
        let (end, field) = fields.begins(line, self.bytes, start)?;
        if end.wrapping_sub(start) > self.state.bounds.string_max {
            return None;
        }
        self.stands = Place::Key;
        self.key = Key {
            start,
            end,
            hash: 0,
            line: Some(line),
            source: fields.is_source(line),
            why: Action::DroppedUnlisted,
            came_home: None,
        };
        Some((end, &field.rule))
    }

    /// What the policy says of the key from quote to quote, which becomes [`Pass::key`].
    #[inline(always)]
    pub(super) fn line(
        &mut self,
        fields: Option<&'a Fields>,
        (start, end): (usize, usize),
    ) -> Result<&'a Rule, Refusal> {
        let bug = Refusal::Bug(Bug::Rewriter);
        let bytes = self.bytes;
        let content = bytes.get(start.wrapping_add(1)..end.wrapping_sub(1));
        let mut text = content.ok_or(bug)?;
        if self.escaped {
            self.state.text.clear();
            scan::unescape(text, &mut self.state.text);
            text = &self.state.text;
        }
        let hash = key_hash(text);
        self.stands = Place::Key;
        self.key = Key {
            start,
            end,
            hash,
            line: None,
            source: false,
            why: Action::DroppedUnlisted,
            came_home: None,
        };
        let Some(fields) = fields else {
            let (home, echo) = (self.crossing.guarded(), &mut self.state.echo);
            let kept = Kept {
                // All bytes at hand are UTF-8, and a key ends on a character.
                text: std::str::from_utf8(text).unwrap_or_default(),
                holds: Holds::Text,
                rules: None,
            };
            if home.is_some_and(|home| echo.is_in(kept, home)) {
                self.key.why = Action::DroppedEcho;
                return Ok(&Rule::Drop);
            }
            return Ok(&Rule::KeepAll);
        };
        if let Some((line, field)) = fields.find(hash, text) {
            self.key.line = Some(line);
            self.key.source = fields.is_source(line);
            return Ok(&field.rule);
        }
        match (&fields.any, fields.unlisted) {
            (Some(any), _) => {
                let known = self.turn_key(any.key, fields, start)?;
                self.stands = if known { Place::Any } else { Place::Key };
                Ok(if known { &any.rule } else { &Rule::Drop })
            }
            (None, Unlisted::Drop) => Ok(&Rule::Drop),
            (None, Unlisted::Refuse) => Err(Refusal::FieldUnexpected {
                at: self.place(start),
            }),
        }
    }

    /// Notes the key, now that its value is being read: no key may come twice.
    #[inline(always)]
    pub(super) fn note(&mut self) -> Result<(), Refusal> {
        let hash = match self.stands {
            Place::Any => {
                self.state.counts.extend(self.key.came_home);
                // Its value stands in no line.
                self.state.frame.line_next = usize::MAX;
                key_hash(&self.state.key)
            }
            Place::Item => return Ok(()),
            Place::Key => self.key.hash,
        };
        let at = self.place(self.key.start);
        let keys_max = self.state.bounds.keys_max;
        let frame = &mut self.state.frame;
        frame.keys = frame.keys.wrapping_add(1);
        if frame.keys > keys_max {
            return Err(Refusal::BodyMalformed {
                fault: JsonFault::TooManyKeys,
                at,
            });
        }
        match self.key.line {
            Some(line) if frame.see(line) => Err(Refusal::BodyMalformed {
                fault: JsonFault::DuplicateKey,
                at,
            }),
            Some(_) => Ok(()),
            None => {
                // Of somebody who objected nothing should be listed.
                let objected = self.key.why == Action::RecordObjected;
                if let (FrameKind::Object(shape), Place::Key, false) =
                    (frame.kind, self.stands, objected)
                {
                    self.state.counts.see_unlisted(shape);
                }
                self.state.see_unlisted(hash, at);
                Ok(())
            }
        }
    }

    /// A key that is an identifier: makes what takes its place ready in `State::key`, as `"…"`;
    /// `false` if nothing does.
    ///
    /// Two keys with one canonical form would become one: they count as the same key.
    fn turn_key(
        &mut self,
        kind: Index<IdKind>,
        fields: &Fields,
        start: usize,
    ) -> Result<bool, Refusal> {
        let at = self.place(start);
        let content = start.wrapping_add(1)..self.key.end.wrapping_sub(1);
        let state = &mut *self.state;
        let text = match self.escaped {
            true => &state.text,
            false => self.bytes.get(content).unwrap_or_default(),
        };
        let text = std::str::from_utf8(text).unwrap_or_default();
        state.key.clear();
        let (crossing, came) = (self.crossing, (text, Form::Text));
        if crossing.to == Side::Vendor && crossing.objects(kind, text) {
            self.key.why = Action::RecordObjected;
            return Ok(false);
        }
        match crossing.turn(kind, came, &mut state.key, &mut state.trail) {
            Ok(Turned::AsItCame) => state.key.extend_from_slice(text.as_bytes()),
            Ok(Turned::Done(action, _)) if crossing.to == Side::School => {
                self.key.came_home = Some(action);
            }
            Ok(Turned::Done(_, _) | Turned::Empty) => {}
            Ok(Turned::Missed) => {
                state.missed = true;
                return Ok(false);
            }
            Ok(Turned::Dropped(why)) => {
                self.key.why = why;
                return Ok(false);
            }
            // No identifier at all; what stands behind it is dropped.
            Err(Refused::Identifier) => return Ok(false),
            Err(refused) => {
                state.counts.extend(refused.why());
                return Err(refused.at(at));
            }
        }
        // What an empty identifier or an id at home reads as may be a line's own key: beside that
        // line it would be a second.
        if fields.find(key_hash(&state.key), &state.key).is_some() {
            return Ok(false);
        }
        scan::quote(Form::Text, &mut state.key);
        Ok(true)
    }
}
