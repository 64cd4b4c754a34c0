//! Keys: which line of the policy they are, and that none comes twice.

use super::frame::{FrameKind, fields};
use super::pass::{Key, Pass, Place};
use super::scan;
use crate::minimise::Law;
use crate::minimise::watch::Watch;
use crate::policy::{IdKind, Index, Rule, Unlisted, key_hash};
use crate::pseudonym::{Identifier, IdentifierFault};
use crate::refusal::{Bug, JsonFault, Refusal};

impl<'a, W: Watch> Pass<'a, W> {
    /// The key at `start`, if it is that of the line to expect: where it ends, and what the policy
    /// says of it. As [`Pass::line`], but nothing has to be looked for.
    #[inline(always)]
    pub(super) fn expected_line(&mut self, start: usize) -> Option<(usize, &'a Rule)> {
        let (law, line) = (self.law, self.state.frame.line_next);
        let fields = fields(&law.policy, self.state.frame.kind)?;
        let (length, field) = fields.begins(line, self.bytes.get(start..)?)?;
        if length > self.state.bounds.string_max {
            return None;
        }
        let end = start.wrapping_add(length);
        self.stands = Place::Key;
        self.key = Key {
            start,
            end,
            hash: 0,
            line: Some(line),
            source: fields.derived().iter().any(|derived| derived.of == line),
        };
        Some((end, &field.rule))
    }

    /// What the policy says of the key from quote to quote, which becomes [`Pass::key`].
    #[inline(always)]
    pub(super) fn line(&mut self, start: usize, end: usize) -> Result<&'a Rule, Refusal> {
        let bug = Refusal::Bug(Bug::Rewriter);
        let (law, bytes) = (self.law, self.bytes);
        let kind = self.state.frame.kind;
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
        };
        let Some(fields) = fields(&law.policy, kind) else {
            return Ok(&Rule::KeepAll);
        };
        if let Some((line, field)) = fields.find(hash, text) {
            self.key.line = Some(line);
            self.key.source = fields.derived().iter().any(|derived| derived.of == line);
            return Ok(&field.rule);
        }
        match (&fields.any, fields.unlisted) {
            (Some(any), _) => {
                // An empty identifier stays empty: beside a line of that name it would be a second.
                let known = make_any(law, any.key, text, &mut self.state.key)?
                    && (self.state.key != b"\"\"" || fields.find(key_hash(b""), b"").is_none());
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
            Place::Any => key_hash(&self.state.key),
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
                if let (FrameKind::Object(shape), Place::Key) = (frame.kind, self.stands) {
                    self.state.counts.see_unlisted(shape);
                }
                self.state.see_unlisted(hash, at);
                Ok(())
            }
        }
    }
}

/// A key that is an identifier: makes its pseudonym ready as `"…"`; `false` if it is none.
///
/// Two keys with one canonical form would become one: they count as the same key.
fn make_any(
    law: &Law,
    kind: Index<IdKind>,
    text: &[u8],
    made: &mut Vec<u8>,
) -> Result<bool, Refusal> {
    let kind = law.kind(kind).ok_or(Refusal::Bug(Bug::Policy))?;
    let id = Identifier::new(std::str::from_utf8(text).unwrap_or_default());
    made.clear();
    made.push(b'"');
    let written = kind.write(id, made);
    made.push(b'"');
    match written {
        Ok(()) | Err(IdentifierFault::Empty) => Ok(true),
        Err(IdentifierFault::Invisible | IdentifierFault::TooLong) => Ok(false),
    }
}
