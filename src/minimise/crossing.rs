//! Identifiers on their way across: into pseudonyms towards the vendor, home towards the school.

use std::sync::Arc;

use super::{Action, Home, Law, Objections, own};
use crate::policy::{IdKind, Index, Method, Side, Template};
use crate::pseudonym::{
    Asked, Back, Batch, Form, Identifier, IdentifierFault, Kind, Notation, Recall, Register,
    Unknown,
};
use crate::refusal::{Bug, Refusal};

/// Which way a message goes, under which law, and who remembers its identifiers.
#[derive(Clone, Debug)]
pub struct Crossing {
    pub(super) law: Arc<Law>,
    pub(super) to: Side,
    register: Option<Arc<dyn Register>>,
    /// The flow that the message is in; without it a relative link in it leads nowhere.
    pub(super) flow: Option<usize>,
    /// What its upstream was asked: path and query below its own base.
    pub(super) asked: Option<Arc<str>>,
    /// Whether there may be more pages behind it.
    pub(super) pages: Pages,
    /// What is brought home in the exchange: added to on the way to the school, kept from leaving
    /// again on the way to the vendor.
    pub(super) home: Option<Arc<Home>>,
    /// Who objected. As long as nobody said, everyone did.
    objections: Option<Arc<Objections>>,
}

impl Crossing {
    /// Towards a side. Without a register no identifier is remembered, and no pseudonym is
    /// anybody's.
    #[must_use]
    pub const fn towards(to: Side, law: Arc<Law>, register: Option<Arc<dyn Register>>) -> Self {
        Self {
            law,
            to,
            register,
            flow: None,
            asked: None,
            pages: Pages::One,
            home: None,
            objections: None,
        }
    }

    /// Towards the vendor with nobody who remembers: for a policy without a way back, or a trial.
    #[must_use]
    pub const fn one_way(law: Arc<Law>) -> Self {
        Self::towards(Side::Vendor, law, None)
    }

    /// In the flow at that place of the policy.
    #[must_use]
    pub const fn in_flow(mut self, flow: usize) -> Self {
        self.flow = Some(flow);
        self
    }

    /// The target of the request that it answers, as the upstream saw it: what a link in it is
    /// relative to that does not begin with a slash.
    #[must_use]
    pub fn in_answer_to(mut self, target: Option<Arc<str>>) -> Self {
        self.asked = target;
        self
    }

    /// It answers a request with that method. What has done something is not to be done again for
    /// a link.
    #[must_use]
    pub const fn asked_by(self, method: Method) -> Self {
        match matches!(method, Method::Get) {
            true => self.among_pages(),
            false => self,
        }
    }

    /// It answers a request that does nothing but read. Without its link to the next page, whoever
    /// asked would take it for the last.
    #[must_use]
    pub const fn among_pages(mut self) -> Self {
        self.pages = Pages::Perhaps;
        self
    }

    /// Both messages of an exchange are given the same `home`: what the one brings home does not
    /// leave again in a kept value of the other.
    #[must_use]
    pub fn with_home(mut self, home: Option<Arc<Home>>) -> Self {
        self.home = home;
        self
    }

    /// What must not leave again: on the way to the vendor, what was brought home.
    pub(super) fn guarded(&self) -> Option<&Home> {
        match self.to {
            Side::School => None,
            Side::Vendor => self.home.as_deref(),
        }
    }

    /// Where what a vendor asks is noted: on the way to the school.
    pub(super) fn noted(&self) -> Option<&Home> {
        match self.to {
            Side::School => self.home.as_deref(),
            Side::Vendor => None,
        }
    }

    /// Who is on the lists of `[except]`. Without, nobody is sent of whose kind there is a list.
    #[must_use]
    pub fn with_objections(mut self, objections: Arc<Objections>) -> Self {
        self.objections = Some(objections);
        self
    }

    /// Whether an identifier is on the list of its kind, or on that of a kind that it is made of.
    pub(super) fn objects(&self, kind: Index<IdKind>, text: &str) -> bool {
        let mut sources = self.law.policy.excepted_sources(kind);
        sources.any(|kind| self.is_listed(kind, text))
    }

    /// Whether somebody is named in a text who is on a list.
    pub(super) fn names_objected(&self, template: Index<Template>, text: &str) -> bool {
        if !self.law.policy.names_excepted(template) {
            return false;
        }
        let template = self.law.policy.templates.get(template.place());
        let ids = template.and_then(|template| template.read(text));
        let mut ids = ids.into_iter().flatten();
        ids.any(|(kind, id)| self.objects(kind, id))
    }

    fn is_listed(&self, kind: Index<IdKind>, text: &str) -> bool {
        let Some((objections, keyed)) = self.objections.as_ref().zip(self.law.kind(kind)) else {
            return true;
        };
        let form = keyed.spec().canonical.form(Identifier::new(text));
        // What is no identifier is nobody's.
        form.is_ok_and(|form| objections.holds(kind, &form))
    }

    /// Under which law.
    #[must_use]
    pub const fn law(&self) -> &Arc<Law> {
        &self.law
    }

    /// Turns one identifier, and appends what goes on in its place to `into`.
    ///
    /// `came` says how it was written. What is appended towards the vendor is ASCII and needs no
    /// escaping; what is brought home is as the school wrote it, whatever that was.
    pub(super) fn turn(
        &self,
        kind: Index<IdKind>,
        (text, came): (&str, Form),
        into: &mut Vec<u8>,
        trail: &mut Trail,
    ) -> Result<Turned, Refused> {
        let keyed = self.law.kind(kind).ok_or(Refused::Bug)?;
        match self.to {
            Side::Vendor => self.pseudonymise((kind, keyed), (text, came), into, trail),
            Side::School => self.bring_home((kind, keyed), text, into, trail),
        }
    }

    fn pseudonymise(
        &self,
        (place, kind): (Index<IdKind>, &Kind),
        (text, came): (&str, Form),
        into: &mut Vec<u8>,
        trail: &mut Trail,
    ) -> Result<Turned, Refused> {
        if let (Unknown::Own, Some(own)) = (kind.spec().unknown, self.unmarked(kind, text)) {
            into.extend_from_slice(own.as_bytes());
            return Ok(Turned::Done(Action::Kept, Form::Text));
        }
        let id = Identifier::new(text);
        match kind.write(id, into) {
            Ok(()) => {}
            Err(IdentifierFault::Empty) => return Ok(Turned::Empty),
            Err(IdentifierFault::Invisible | IdentifierFault::TooLong) => {
                return Err(Refused::Identifier);
            }
        }
        if let (Back::SchoolOnly, Some(register)) = (kind.spec().back, &self.register) {
            let noted = register.remember(place.place(), id, came, &mut trail.batch);
            noted.map_err(|_fault| Refused::Identifier)?;
        }
        let bare = came == Form::Number && matches!(kind.spec().notation, Notation::Digits(_));
        let form = if bare { Form::Number } else { Form::Text };
        Ok(Turned::Done(Action::Pseudonymised, form))
    }

    fn bring_home(
        &self,
        (place, kind): (Index<IdKind>, &Kind),
        text: &str,
        into: &mut Vec<u8>,
        trail: &mut Trail,
    ) -> Result<Turned, Refused> {
        if text.is_empty() {
            return Ok(Turned::Empty);
        }
        if kind.spec().unknown == Unknown::Own && kind.spec().notation.read(text).is_none() {
            // No id of the school's can be named so, and none can be guessed at.
            return match own::mark(&self.law.policy.vendor, text, into) {
                true => Ok(Turned::Done(Action::Kept, Form::Text)),
                false => Err(Refused::Pseudonym(Action::PseudonymUnknown)),
            };
        }
        let start = into.len();
        // Another node may have let it out a moment ago.
        let asks_again = trail.asked == Asked::First && self.register.is_some();
        let recall = match &self.register {
            Some(register) => register.recall(place.place(), text, trail.asked, into),
            None => Recall::Unknown,
        };
        let found = matches!(recall, Recall::Found { .. });
        let objected = found && self.has_objected(place, into.get(start..).unwrap_or_default());
        let why = match recall {
            Recall::Found { form, age } if age < kind.spec().accept_keys && !objected => {
                self.note_home((place, kind), into.get(start..).unwrap_or_default());
                let action = match age {
                    0 => Action::BroughtHome,
                    _ => Action::BroughtHomeOld,
                };
                return Ok(Turned::Done(action, form));
            }
            Recall::Foreign | Recall::Retired | Recall::Unknown if asks_again => {
                return Ok(Turned::Missed);
            }
            // That takes as long as for somebody unknown.
            Recall::Found { .. } if objected && asks_again => {
                into.truncate(start);
                return Ok(Turned::Missed);
            }
            Recall::Foreign => Action::PseudonymForeign,
            Recall::Found { .. } if objected => {
                into.truncate(start);
                Action::PseudonymObjected
            }
            Recall::Found { .. } | Recall::Retired => {
                into.truncate(start);
                Action::PseudonymRetired
            }
            Recall::Unknown => Action::PseudonymUnknown,
        };
        match kind.spec().unknown {
            Unknown::Drop => Ok(Turned::Dropped(why)),
            // Another vendor's, or a former one: that is somebody's. Whoever objected is nobody to
            // the vendor, who must not see a difference.
            Unknown::Keep
                if matches!(why, Action::PseudonymObjected | Action::PseudonymUnknown) =>
            {
                Ok(Turned::AsItCame)
            }
            Unknown::Keep | Unknown::Own | Unknown::Reject => Err(Refused::Pseudonym(why)),
        }
    }

    /// The id of the vendor's own making that stands at the school as this text.
    fn unmarked<'t>(&self, kind: &Kind, text: &'t str) -> Option<&'t str> {
        let own = own::unmarked(&self.law.policy.vendor, text)?;
        kind.spec().notation.read(own).is_none().then_some(own)
    }

    fn has_objected(&self, kind: Index<IdKind>, id: &[u8]) -> bool {
        // What the register gives is text: of a kind that is made of another, that one's.
        self.objects(kind, std::str::from_utf8(id).unwrap_or_default())
    }

    fn note_home(&self, (place, kind): (Index<IdKind>, &Kind), id: &[u8]) {
        let named = self.law.policy.kinds.get(place.place());
        let public = named.is_some_and(|kind| kind.public);
        if let Some(home) = self.home.as_ref().filter(|_| !public) {
            // What the register gives is text.
            let id = std::str::from_utf8(id).unwrap_or_default();
            let canonical = kind.spec().canonical.form(Identifier::new(id));
            home.add(id, &canonical.unwrap_or_default());
        }
    }
}

/// How many pages a message may be one of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pages {
    One,
    Perhaps,
}

/// What the identifiers of one message leave behind.
#[derive(Debug, Default)]
pub struct Trail {
    /// Those that are not on disk yet: nothing of the message may leave before they are.
    pub batch: Batch,
    /// Whether the register has caught up for what is read now.
    pub asked: Asked,
}

/// What became of one identifier.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Turned {
    /// It goes on as it came: nobody's, and `unknown = "keep"`.
    AsItCame,
    /// What takes its place has been written, to stand in this form.
    Done(Action, Form),
    /// Nobody's, and `unknown = "drop"`.
    Dropped(Action),
    /// There is nothing in it, and nothing takes its place.
    Empty,
    /// Nobody's so far: to be asked for again once the register has caught up.
    Missed,
}

/// Why a message cannot go on with an identifier.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refused {
    /// The policy has no such kind after all.
    Bug,
    /// It is too long, or has invisible characters in it.
    Identifier,
    /// Of somebody who objected.
    Objected,
    /// Nobody's, for this reason, and `unknown = "reject"`.
    Pseudonym(Action),
}

impl Refused {
    /// What is counted of it.
    pub(super) const fn why(self) -> Option<Action> {
        match self {
            Self::Bug | Self::Identifier => None,
            Self::Objected => Some(Action::RecordObjected),
            Self::Pseudonym(why) => Some(why),
        }
    }

    /// The refusal, for an identifier that begins at this byte of the body.
    pub(super) const fn at(self, at: u64) -> Refusal {
        match self {
            Self::Bug => Refusal::Bug(Bug::Policy),
            Self::Identifier => Refusal::IdentifierInvalid { at },
            Self::Objected => Refusal::PersonObjected,
            Self::Pseudonym(_) => Refusal::PseudonymUnknown { at },
        }
    }

    /// The refusal, for an identifier in a path or query.
    pub(super) const fn in_target(self) -> Refusal {
        match self {
            Self::Bug => Refusal::Bug(Bug::Policy),
            Self::Identifier => Refusal::IdentifierInvalid { at: 0 },
            Self::Objected => Refusal::PersonObjected,
            Self::Pseudonym(_) => Refusal::TargetUnknown,
        }
    }
}
