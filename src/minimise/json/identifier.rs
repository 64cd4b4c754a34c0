//! Identifiers among values: what takes their place, either way.

use super::pass::Pass;
use super::plan::{Plan, Token, TokenKind, text_of};
use super::scan;
use crate::minimise::crossing::{Refused, Turned};
use crate::minimise::watch::Watch;
use crate::minimise::{Action, Crossing, Trail};
use crate::policy::{IdKind, Index, Side};
use crate::pseudonym::Form;
use crate::refusal::Refusal;

impl<W: Watch> Pass<'_, W> {
    /// Towards the vendor every identifier has a pseudonym; on the way home it must be found.
    pub(super) fn plan_identifier(
        &mut self,
        kind: Index<IdKind>,
        token: Token,
    ) -> Result<Plan, Refusal> {
        let crossing = self.crossing;
        if crossing.to == Side::Vendor {
            return Ok(Plan::Identifier(kind));
        }
        let at = self.place(token.start);
        let state = &mut *self.state;
        let text = text_of(self.bytes, token, &mut state.text);
        state.made.clear();
        let turned = crossing.turn(kind, (text, form(token)), &mut state.made, &mut state.trail);
        Ok(match turned {
            Ok(Turned::AsItCame) => Plan::Keep,
            Ok(Turned::Done(action, form)) => {
                scan::quote(form, &mut state.made);
                Plan::Made(action)
            }
            Ok(Turned::Dropped(why)) => Plan::Drop(why),
            Ok(Turned::Empty) => {
                scan::quote(Form::Text, &mut state.made);
                Plan::Made(Action::IdentifierEmpty)
            }
            Ok(Turned::Missed) => {
                state.missed = true;
                Plan::Missed
            }
            Err(refused) => {
                state.counts.extend(refused.why());
                return Err(refused.at(at));
            }
        })
    }

    /// Writes what a vendor gets in place of an identifier.
    pub(super) fn write_identifier(
        &mut self,
        kind: Index<IdKind>,
        token: Token,
    ) -> Result<Action, Refusal> {
        let (crossing, state) = (self.crossing, &mut *self.state);
        let text = text_of(self.bytes, token, &mut state.text);
        let out = self.emit.out();
        let made = make(crossing, kind, (text, form(token)), out, &mut state.trail);
        made.map_err(|refused| refused.at(self.place(token.start)))
    }
}

/// Makes the JSON text that a vendor gets in place of an identifier: a pseudonym, or what it made
/// itself; `""` stands for an empty one. If the text is no identifier, nothing is written.
pub(super) fn make(
    crossing: &Crossing,
    kind: Index<IdKind>,
    id: (&str, Form),
    made: &mut Vec<u8>,
    trail: &mut Trail,
) -> Result<Action, Refused> {
    let start = made.len();
    made.push(b'"');
    match crossing.turn(kind, id, made, trail) {
        Ok(Turned::Done(action, Form::Number)) => {
            made.remove(start);
            Ok(action)
        }
        Ok(Turned::Done(action, Form::Text)) => {
            made.push(b'"');
            Ok(action)
        }
        Ok(Turned::Empty) => {
            made.push(b'"');
            Ok(Action::IdentifierEmpty)
        }
        // On the way home, which does not lead past here.
        Ok(Turned::AsItCame | Turned::Dropped(_) | Turned::Missed) => Err(Refused::Bug),
        Err(refused) => {
            made.truncate(start);
            Err(refused)
        }
    }
}

/// How an identifier is written.
pub(super) const fn form(token: Token) -> Form {
    match token.kind {
        TokenKind::Number { .. } => Form::Number,
        TokenKind::Bool
        | TokenKind::List
        | TokenKind::Null
        | TokenKind::Object
        | TokenKind::Text { .. }
        | TokenKind::TextPart => Form::Text,
    }
}
