//! What was done to the fields of one message, as numbers.

use crate::policy::{Index, Shape};

/// What became of one field or list item.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Action {
    /// Emptied, its type kept.
    Blanked,
    /// A pseudonym became the identifier that it stands for.
    BroughtHome,
    /// The same, of a pseudonym that was made under a former key.
    BroughtHomeOld,
    /// A constant was written.
    Constant,
    /// It would have sent back what was brought home in the same exchange.
    DroppedEcho,
    /// An item of a list that no shape describes was removed.
    DroppedItem,
    /// The policy lists the field, to be dropped.
    DroppedListed,
    /// Not of the type that the policy names.
    DroppedType,
    /// The policy does not list the field.
    DroppedUnlisted,
    /// Of the right type, but against a value rule.
    DroppedValue,
    /// Made less exact.
    Generalised,
    /// An identifier with nothing in it; it stays empty.
    IdentifierEmpty,
    /// Left as it came.
    Kept,
    /// A pseudonym that another vendor of the school would have.
    PseudonymForeign,
    /// A pseudonym of somebody who objected.
    PseudonymObjected,
    /// A pseudonym that was made under a key which is no longer accepted.
    PseudonymRetired,
    /// A pseudonym that was never given out.
    PseudonymUnknown,
    /// Became a pseudonym.
    Pseudonymised,
    /// A record that `[only]` does not name was removed.
    RecordFiltered,
    /// A record of somebody who objected was removed.
    RecordObjected,
    /// A record was removed for either reason, and a stub says that it is to be deleted.
    RecordStubbed,
    /// A link, a text with identifiers, or JSON in a text: became that of the other side.
    Translated,
}

impl Action {
    /// All of them, in order.
    pub const ALL: [Self; 22] = [
        Self::Blanked,
        Self::BroughtHome,
        Self::BroughtHomeOld,
        Self::Constant,
        Self::DroppedEcho,
        Self::DroppedItem,
        Self::DroppedListed,
        Self::DroppedType,
        Self::DroppedUnlisted,
        Self::DroppedValue,
        Self::Generalised,
        Self::IdentifierEmpty,
        Self::Kept,
        Self::PseudonymForeign,
        Self::PseudonymObjected,
        Self::PseudonymRetired,
        Self::PseudonymUnknown,
        Self::Pseudonymised,
        Self::RecordFiltered,
        Self::RecordObjected,
        Self::RecordStubbed,
        Self::Translated,
    ];

    /// Its name as a metric label.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Blanked => "blanked",
            Self::BroughtHome => "brought_home",
            Self::BroughtHomeOld => "brought_home_old",
            Self::Constant => "constant",
            Self::DroppedEcho => "dropped_echo",
            Self::DroppedItem => "dropped_item",
            Self::DroppedListed => "dropped_listed",
            Self::DroppedType => "dropped_type",
            Self::DroppedUnlisted => "dropped_unlisted",
            Self::DroppedValue => "dropped_value",
            Self::Generalised => "generalised",
            Self::IdentifierEmpty => "identifier_empty",
            Self::Kept => "kept",
            Self::PseudonymForeign => "pseudonym_foreign",
            Self::PseudonymObjected => "pseudonym_objected",
            Self::PseudonymRetired => "pseudonym_retired",
            Self::PseudonymUnknown => "pseudonym_unknown",
            Self::Pseudonymised => "pseudonymised",
            Self::RecordFiltered => "record_filtered",
            Self::RecordObjected => "record_objected",
            Self::RecordStubbed => "record_stubbed",
            Self::Translated => "translated",
        }
    }

    /// Whether something else, the same or nothing goes on.
    #[must_use]
    pub const fn fate(self) -> Fate {
        match self {
            Self::Blanked
            | Self::BroughtHome
            | Self::BroughtHomeOld
            | Self::Constant
            | Self::Generalised
            | Self::Pseudonymised
            | Self::RecordStubbed
            | Self::Translated => Fate::Changed,
            Self::DroppedEcho
            | Self::DroppedItem
            | Self::DroppedListed
            | Self::DroppedType
            | Self::DroppedUnlisted
            | Self::DroppedValue
            | Self::PseudonymForeign
            | Self::PseudonymObjected
            | Self::PseudonymRetired
            | Self::PseudonymUnknown
            | Self::RecordFiltered
            | Self::RecordObjected => Fate::Dropped,
            Self::IdentifierEmpty | Self::Kept => Fate::Kept,
        }
    }

    /// Its place in [`Self::ALL`].
    #[must_use]
    #[expect(
        clippy::as_conversions,
        reason = "the discriminant of a field-less enum"
    )]
    pub const fn place(self) -> usize {
        self as usize
    }
}

/// What an [`Action`] comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// Something else goes on.
    Changed,
    /// Nothing goes on.
    Dropped,
    /// It goes on as it came.
    Kept,
}

/// How often each [`Action`] was taken in one message, and where the policy lists too little. A
/// removed object counts once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    actions: [u64; Action::ALL.len()],
    unlisted: UnlistedIn,
    echo: Option<EchoAt>,
}

/// Where the policy has the first field that would have sent back what was brought home.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EchoAt {
    /// In an object of that shape: in the line at that place, or in an entry of a map. Or in what
    /// the line holds, if that is a list or kept whole.
    Field(Index<Shape>, Option<usize>),
    /// In a header of that name.
    Header(&'static str),
}

impl Counts {
    /// How often.
    #[must_use]
    pub fn of(&self, action: Action) -> u64 {
        self.actions.get(action.place()).copied().unwrap_or(0)
    }

    /// Every action that was taken, and how often.
    pub fn taken(&self) -> impl Iterator<Item = (Action, u64)> {
        let all = Action::ALL.into_iter().zip(self.actions);
        all.filter(|(_, count)| *count > 0)
    }

    /// How often actions were taken that come to this.
    #[must_use]
    pub fn of_fate(&self, fate: Fate) -> u64 {
        let alike = Action::ALL
            .into_iter()
            .filter(|action| action.fate() == fate);
        alike.fold(0, |sum, action| sum.saturating_add(self.of(action)))
    }

    /// In which shapes fields came that the policy does not list.
    #[must_use]
    pub const fn unlisted(&self) -> UnlistedIn {
        self.unlisted
    }

    /// Where the first echo was.
    #[must_use]
    pub const fn echo(&self) -> Option<EchoAt> {
        self.echo
    }

    /// Those of a message with one echo, for the rooms that tell of it.
    #[cfg(test)]
    pub(crate) fn of_echo(at: EchoAt) -> Self {
        let mut counts = Self::default();
        counts.add_echo(Some(at));
        counts
    }

    /// An echo was met there.
    pub(super) fn add_echo(&mut self, at: Option<EchoAt>) {
        self.add(Action::DroppedEcho);
        self.echo = self.echo.or(at);
    }

    /// Once more.
    #[inline]
    pub(super) fn add(&mut self, action: Action) {
        if let Some(count) = self.actions.get_mut(action.place()) {
            *count = count.wrapping_add(1);
        }
    }

    /// Once more for each.
    pub(super) fn extend(&mut self, actions: impl IntoIterator<Item = Action>) {
        actions.into_iter().for_each(|action| self.add(action));
    }

    /// As often as in a part of the message.
    pub fn absorb(&mut self, part: &Self) {
        for (count, more) in self.actions.iter_mut().zip(part.actions) {
            *count = count.wrapping_add(more);
        }
        self.unlisted.0 |= part.unlisted.0;
        self.echo = self.echo.or(part.echo);
    }

    /// A field came that the shape does not list.
    #[inline]
    pub(super) fn see_unlisted(&mut self, shape: Index<Shape>) {
        self.unlisted.0 |= 1 << shape.place().min(UnlistedIn::LAST);
    }
}

/// A set of shapes, by their places. From the 64th on they are not told apart: a policy seldom has
/// so many, and a message has room for this much.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct UnlistedIn(pub u64);

impl UnlistedIn {
    /// Stands for all shapes from this place on.
    pub const LAST: usize = 63;

    /// The places, rising.
    pub fn places(self) -> impl Iterator<Item = usize> {
        // Most often there is none.
        let last = if self.0 == 0 {
            0
        } else {
            Self::LAST.saturating_add(1)
        };
        (0..last).filter(move |place| self.0 >> place & 1 == 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_action_has_its_own_place() {
        let mut counts = Counts::default();
        for (place, action) in Action::ALL.into_iter().enumerate() {
            assert_eq!(action.place(), place);
            counts.add(action);
            assert_eq!(counts.of(action), 1, "{}", action.name());
        }
    }

    #[test]
    fn shapes_are_told_apart_as_far_as_there_is_room() {
        let mut counts = Counts::default();
        for place in [2, 0, 63, 64, 2] {
            counts.see_unlisted(Index::new(place).unwrap());
        }
        assert_eq!(counts.unlisted().places().collect::<Vec<_>>(), [0, 2, 63]);
    }
}
