//! Keys: which line of the policy they are, and that none comes twice.

use super::frame::fields;
use super::pass::{Line, Pass, Place};
use super::scan;
use crate::minimise::watch::Watch;
use crate::policy::{IdKind, Index, Rule, Unlisted, key_hash};
use crate::pseudonym::{Identifier, IdentifierFault};
use crate::refusal::{Bug, JsonFault, Refusal};

impl<W: Watch> Pass<'_, W> {
    /// What the policy says of the key from quote to quote.
    pub(super) fn line(&mut self, start: usize, end: usize) -> Result<(Rule, Place), Refusal> {
        let bug = Refusal::Bug(Bug::Rewriter);
        let kind = self.state.frames.last().ok_or(bug)?.kind;
        let content = self
            .bytes
            .get(start.wrapping_add(1)..end.wrapping_sub(1))
            .ok_or(bug)?;
        let mut key = std::mem::take(&mut self.state.key);
        key.clear();
        let text = if content.contains(&b'\\') {
            scan::unescape(content, &mut key);
            &key
        } else {
            content
        };
        let hash = key_hash(text);
        let unlisted = Place::Key {
            start,
            end,
            line: None,
            hash,
        };
        let found = match fields(&self.law.policy, kind) {
            None => (Rule::KeepAll, unlisted),
            Some(fields) => match (fields.find(hash, text), fields.any) {
                (Some((place, field)), _) => {
                    let derived = fields.derived();
                    let source = derived.iter().any(|derived| derived.of == place);
                    let line = Some(Line { place, source });
                    (
                        field.rule,
                        Place::Key {
                            start,
                            end,
                            line,
                            hash,
                        },
                    )
                }
                (None, Some(any)) => {
                    let text = text.to_vec();
                    self.state.key = key;
                    return self.any(any.key, any.rule, &text, unlisted);
                }
                (None, None) if fields.unlisted == Unlisted::Refuse => {
                    return Err(Refusal::FieldUnexpected {
                        at: self.place(start),
                    });
                }
                (None, None) => (Rule::Drop, unlisted),
            },
        };
        self.state.key = key;
        Ok(found)
    }

    /// A key that is an identifier: its pseudonym is made ready as `"…"` in `State::key`.
    ///
    /// Two keys with one canonical form would become one: they count as the same key.
    fn any(
        &mut self,
        kind: Index<IdKind>,
        rule: Rule,
        text: &[u8],
        unlisted: Place,
    ) -> Result<(Rule, Place), Refusal> {
        let kind = self.law.kind(kind).ok_or(Refusal::Bug(Bug::Policy))?;
        let id = Identifier::new(std::str::from_utf8(text).unwrap_or_default());
        let made = &mut self.state.key;
        made.clear();
        made.push(b'"');
        let written = kind.write(id, made);
        made.push(b'"');
        match written {
            Ok(()) | Err(IdentifierFault::Empty) => Ok((rule, Place::Any)),
            Err(_) => Ok((Rule::Drop, unlisted)),
        }
    }

    /// Notes a key, now that its value is being read: no key may come twice.
    pub(super) fn note(&mut self, place: Place, key_at: usize) -> Result<(), Refusal> {
        let (line, hash, at) = match place {
            Place::Item => return Ok(()),
            Place::Any => (None, key_hash(&self.state.key), self.place(key_at)),
            Place::Key {
                start, line, hash, ..
            } => (line, hash, self.place(start)),
        };
        let keys_max = self.state.bounds.keys_max;
        let frame = self
            .state
            .frames
            .last_mut()
            .ok_or(Refusal::Bug(Bug::Rewriter))?;
        frame.keys = frame.keys.wrapping_add(1);
        if frame.keys > keys_max {
            return Err(Refusal::BodyMalformed {
                fault: JsonFault::TooManyKeys,
                at,
            });
        }
        match line {
            Some(line) if frame.see(line.place) => Err(Refusal::BodyMalformed {
                fault: JsonFault::DuplicateKey,
                at,
            }),
            Some(_) => Ok(()),
            None => {
                self.state.unlisted.push((hash, at));
                Ok(())
            }
        }
    }
}
