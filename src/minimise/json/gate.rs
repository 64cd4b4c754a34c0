//! Whether a record is sent at all, decided before anything of it is noted or written.

use super::frame::{FrameKind, State};
use super::look::{self, Read, Room, Scalar, Seek};
use super::pass::{Pass, Place};
use super::plan::{Plan, Token, TokenKind, text_of};
use super::scan::{self, Rest};
use crate::limits;
use crate::minimise::head;
use crate::minimise::watch::{Entered, Watch, Withheld};
use crate::minimise::{Action, Crossing};
use crate::policy::{
    self, Fields, Gate, Glimpse, IdKind, Index, Names, Policy, Shape, Side, Template,
};
use crate::refusal::Refusal;

/// Whether an object is a record: what is said of somebody in it then goes with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// It is a field of the record around it.
    Field,
    /// An item of a list, an entry of a map, the whole message.
    Record,
}

impl<W: Watch> Pass<'_, W> {
    /// Where an object stands that is no item of a list with brackets.
    pub(super) fn standing(&self) -> Standing {
        match self.stands {
            Place::Any | Place::Item => Standing::Record,
            Place::Key => Standing::Field,
        }
    }

    /// What becomes of an object of shape `chosen`, which a switch may have chosen for `outer`.
    pub(super) fn plan_record(
        &mut self,
        (outer, chosen): (Index<Shape>, Index<Shape>),
        standing: Standing,
        token: Token,
    ) -> Result<Plan, Refusal> {
        let law = self.law;
        let enter = Plan::Enter(FrameKind::Object(chosen));
        let gates = law.policy.gate(outer).zip(law.policy.gate(chosen));
        let Some((outer_gate, gate)) = gates.filter(|_| self.crossing.to == Side::Vendor) else {
            return Ok(enter);
        };
        let watched = standing == Standing::Record && !gate.glimpses.is_empty();
        if outer_gate.only.is_empty() && gate.only.is_empty() && !watched {
            return Ok(enter);
        }
        let bytes_max = self.state.bounds.switch_max;
        let State {
            met,
            text,
            look,
            nesting,
            ..
        } = &mut *self.state;
        let lines = match outer == chosen {
            true => gate.only.len(),
            false => outer_gate.only.len().wrapping_add(gate.only.len()),
        };
        met.clear();
        met.resize(lines, false);
        let mut judging = Judging {
            crossing: self.crossing,
            policy: &law.policy,
            gates: [outer_gate, gate],
            met,
            objected: false,
            room: text,
            nesting: *nesting,
        };
        let shape = watched.then_some(chosen);
        let sought = (&mut judging, shape, look);
        let read = look::look(self.bytes, token.start, sought, bytes_max, self.then);
        let withheld = judging.withheld();
        if read.map_err(|fault| self.found(fault))? == Read::More {
            return Ok(Plan::Wait);
        }
        let Some(withheld) = withheld else {
            return Ok(enter);
        };
        let alone = self.state.frame.kind == FrameKind::Outside;
        Ok(match law.policy.stub_among(outer, chosen) {
            // Who asks for one record is not told that there is one.
            Some(stub) if !(alone && withheld == Withheld::Objected) => Plan::Stub(stub, withheld),
            Some(_) | None => Plan::Withhold(withheld),
        })
    }

    /// Why a message is refused that is a record which is not sent.
    pub(super) fn refuse_whole(&mut self, why: Withheld) -> Refusal {
        self.state.counts.add(why.action());
        match why {
            Withheld::Filtered(_) => Refusal::RecordFiltered,
            Withheld::Objected => Refusal::PersonObjected,
        }
    }

    /// Enters what takes the place of a record: none of its own fields but those of the stub leave.
    pub(super) fn enter_stub(
        &mut self,
        (stub, why): (Index<Shape>, Withheld),
        token: Token,
    ) -> Result<(), Refusal> {
        self.state.counts.add(Action::RecordStubbed);
        self.emit.copy(token.start, token.end);
        self.enter_watched(Entered::Stub(stub, why));
        self.enter(FrameKind::Object(stub), token.start)?;
        let fields = self.law.policy.fields(stub);
        self.state.frame.own_id = fields.and_then(Fields::own_id);
        Ok(())
    }

    /// An identifier, which may be a record of its own: an item of a list of identifiers, or what
    /// stands behind a key of a map. In a field it is the record around it that goes, and of
    /// whoever objected nothing is left but the id of a stub itself.
    pub(super) fn plan_person(
        &mut self,
        kind: Index<IdKind>,
        standing: Standing,
        token: Token,
    ) -> Result<Plan, Refusal> {
        let own = standing == Standing::Field && self.is_own_id();
        let sent = own || self.crossing.to == Side::School;
        if !sent && self.law.policy.excepts(kind) {
            let text = text_of(self.bytes, token, &mut self.state.text);
            if self.crossing.objects(kind, text) {
                return Ok(Plan::Withhold(Withheld::Objected));
            }
        }
        self.plan_identifier(kind, token)
    }

    /// Whether the value stands behind the key of a stub's own id.
    pub(super) fn is_own_id(&self) -> bool {
        self.key.line.is_some() && self.key.line == self.state.frame.own_id
    }

    /// The same of a text with identifiers in it.
    pub(super) fn plan_named(
        &mut self,
        template: Index<Template>,
        standing: Standing,
        token: Token,
    ) -> Result<Plan, Refusal> {
        let sent = standing == Standing::Field || self.crossing.to == Side::School;
        if !sent && matches!(token.kind, TokenKind::Text { .. }) {
            let text = text_of(self.bytes, token, &mut self.state.text);
            if self.crossing.names_objected(template, text) {
                return Ok(Plan::Withhold(Withheld::Objected));
            }
        }
        self.plan_template(template, token)
    }
}

impl Withheld {
    /// What is counted if nothing takes the place of the record.
    pub(super) const fn action(self) -> Action {
        match self {
            Self::Filtered(_) => Action::RecordFiltered,
            Self::Objected => Action::RecordObjected,
        }
    }
}

/// Looks for all that a record is judged by.
struct Judging<'a> {
    crossing: &'a Crossing,
    policy: &'a Policy,
    /// That of the switch, and that of the shape that was chosen; the same without a switch.
    gates: [&'a Gate; 2],
    /// Whether the lines of both were met, in order.
    met: &'a mut [bool],
    /// Whether an identifier of an excepted kind stands in it that is on the list.
    objected: bool,
    room: &'a mut Vec<u8>,
    /// In how many texts, one within the other, what is looked at stands.
    nesting: usize,
}

impl Judging<'_> {
    /// The place among the policy's lines of the line at that place among its own.
    fn line(&self, path: usize) -> Option<usize> {
        self.met.get(path)?;
        let lines = self.gates.iter().flat_map(|gate| &*gate.only);
        { lines }.nth(path).copied()
    }

    fn only(&self, path: usize) -> Option<&policy::Only> {
        self.policy.records.only.get(self.line(path)?)
    }

    /// Whether JSON in a text names somebody who objected, in whatever shape it can have. What is
    /// no such JSON is dropped whoever it is about.
    fn names_in_json(&self, shapes: &[Index<Shape>], json: &str) -> bool {
        let open = scan::space(json.as_bytes(), 0);
        if self.nesting >= limits::JSON_NESTING_MAX || json.as_bytes().get(open) != Some(&b'{') {
            return false;
        }
        let mut judging = Judging {
            gates: self.gates,
            met: &mut [],
            objected: false,
            room: &mut Vec::new(),
            nesting: self.nesting.wrapping_add(1),
            ..*self
        };
        for shape in shapes {
            let sought = (&mut judging, Some(*shape), &mut Room::default());
            // What is met before a fault counts.
            look::look(json.as_bytes(), open, sought, usize::MAX, Rest::IsNothing).ok();
        }
        judging.objected
    }

    fn withheld(&self) -> Option<Withheld> {
        if self.objected {
            return Some(Withheld::Objected);
        }
        let unmet = self.met.iter().position(|met| !met)?;
        self.line(unmet).map(Withheld::Filtered)
    }
}

impl Seek for Judging<'_> {
    fn path(&self, path: usize) -> &[Box<str>] {
        self.only(path).map_or(&[], |only| &only.path)
    }

    fn glimpses(&self, shape: Index<Shape>) -> &[Glimpse] {
        self.policy.gate(shape).map_or(&[], |gate| &gate.glimpses)
    }

    fn value(&mut self, path: usize, scalar: &Scalar<'_>) {
        let is = |value: &policy::Scalar| match value {
            policy::Scalar::Bare(json) => scalar.is_bare(json),
            policy::Scalar::Text(text) => scalar.is_text(text),
        };
        let only = self.only(path);
        let is_met = only.is_some_and(|only| only.values.iter().any(is));
        if let Some(met) = self.met.get_mut(path) {
            *met |= is_met;
        }
    }

    fn glimpse(&mut self, shape: Index<Shape>, place: usize, scalar: &Scalar<'_>) {
        let (policy, crossing) = (self.policy, self.crossing);
        let glimpse = policy.gate(shape).and_then(|gate| gate.glimpses.get(place));
        let kinds = glimpse.map_or(&[][..], |glimpse| &glimpse.kinds);
        let is_string = scalar.is_string();
        let Some(text) = scalar.identifier(self.room) else {
            return;
        };
        self.objected |= kinds.iter().any(|kind| crossing.objects(*kind, text));
        self.objected |= match glimpse.and_then(|glimpse| glimpse.text.as_ref()) {
            Some(Names::Link) => is_string && head::names_objected(crossing, text),
            Some(Names::Nested(shapes)) => {
                let json = text.to_owned();
                is_string && self.names_in_json(shapes, &json)
            }
            Some(Names::Template(template)) => {
                is_string && crossing.names_objected(*template, text)
            }
            None => false,
        };
    }
}
