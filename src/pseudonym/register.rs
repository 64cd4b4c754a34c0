//! What a register is to the rewriter: two verbs, and the batch between them and the disk.

use std::collections::BTreeMap;
use std::fmt;
use std::hash::{BuildHasher as _, RandomState};

use super::{Identifier, IdentifierFault};
use crate::limits;
use crate::secret::SecretText;

/// The identifiers that one school let out, as one vendor sees them.
///
/// `kind` is always the place of the kind in the policy, as in [`Generation::kinds`].
///
/// [`Generation::kinds`]: super::Generation::kinds
pub trait Register: fmt::Debug + Send + Sync {
    /// Sees to it that an identifier can be found again before its pseudonym leaves.
    ///
    /// One that is on disk already costs a hash and a compare. Any other is added to `batch`, and
    /// nothing of the message may leave before the batch is settled.
    ///
    /// # Errors
    /// [`IdentifierFault`], of an identifier that has no pseudonym; then nothing was added.
    fn remember(
        &self,
        kind: usize,
        id: Identifier<'_>,
        form: Form,
        batch: &mut Batch,
    ) -> Result<(), IdentifierFault>;

    /// Finds the identifier of a pseudonym and appends it to `into`, as the school wrote it.
    ///
    /// Nothing is appended unless it is [`Recall::Found`]. Another node may have let it out: before
    /// anything else counts, the caller lets the register catch up once all of the pseudonym has
    /// come, and asks once more. Until then only what no other node can mean somebody else by is
    /// found.
    fn recall(&self, kind: usize, pseudonym: &str, asked: Asked, into: &mut Vec<u8>) -> Recall;
}

/// When in a message it is asked whom a pseudonym leads to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Asked {
    /// Again, after the register has caught up with the moment at which the pseudonym came: if it
    /// is not found now, it is nobody's.
    Again,
    /// For the first time.
    #[default]
    First,
}

/// How the school wrote an identifier in its JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// As a number, without quotes.
    Number,
    /// As text.
    Text,
}

impl Form {
    pub(super) const fn byte(self) -> u8 {
        match self {
            Self::Number => 1,
            Self::Text => 0,
        }
    }

    pub(super) const fn of_byte(byte: u8) -> Option<Self> {
        match byte {
            0 => Some(Self::Text),
            1 => Some(Self::Number),
            _ => None,
        }
    }
}

/// What a pseudonym leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Recall {
    /// Another vendor of this school would have it.
    Foreign,
    /// An identifier.
    Found {
        /// How the school wrote it.
        form: Form,
        /// How many keys came after the one that made the pseudonym: 0 for the one in use, and
        /// for one that is prepared.
        age: usize,
    },
    /// It was made under a key that is no longer accepted.
    Retired,
    /// Nobody's.
    Unknown,
}

/// Identifiers of one message that are not on disk yet. Each is there once; wiped when it goes.
#[derive(Debug, Default)]
pub struct Batch {
    news: Vec<News>,
    /// Where in `news` a kind and text with this hash stand; a second one is not listed here.
    places: BTreeMap<u64, usize>,
    hasher: RandomState,
}

struct News {
    kind: usize,
    form: Form,
    text: SecretText,
}

impl Batch {
    /// One with nothing in it.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds an identifier, unless it is there already.
    pub fn add(&mut self, kind: usize, form: Form, id: Identifier<'_>) {
        let hash = self.hasher.hash_one((kind, id.0));
        let there = self.places.get(&hash).and_then(|at| self.news.get(*at));
        if there.is_some_and(|news| news.kind == kind && news.text.expose() == id.0) {
            return;
        }
        self.places.entry(hash).or_insert(self.news.len());
        let text = SecretText::new(id.0.to_owned());
        self.news.push(News { kind, form, text });
    }

    /// What is in it, in the order in which it came.
    pub fn iter(&self) -> impl Iterator<Item = (usize, Form, Identifier<'_>)> {
        self.news.iter().map(|news| {
            // Exposed to the register, which seals it.
            (news.kind, news.form, Identifier::new(news.text.expose()))
        })
    }

    /// How many identifiers it holds.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.news.len()
    }

    /// Whether no more should be written at once.
    #[must_use]
    pub const fn fills_a_commit(&self) -> bool {
        self.news.len() >= limits::REGISTER_COMMIT_ROWS
    }

    /// Whether there is nothing to wait for.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.news.is_empty()
    }
}

impl fmt::Debug for News {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} of kind {}", self.text, self.kind)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_holds_each_identifier_once_in_its_order_and_shows_none() {
        let mut batch = Batch::new();
        assert!(batch.is_empty());
        for (kind, text) in [(0, "S-1"), (1, "S-1"), (0, "S-2"), (0, "S-1"), (1, "S-1")] {
            batch.add(kind, Form::Text, Identifier::new(text));
        }
        let held: Vec<_> = batch.iter().map(|(kind, _, id)| (kind, id.0)).collect();
        assert_eq!(held, [(0, "S-1"), (1, "S-1"), (0, "S-2")]);
        assert_eq!((batch.len(), batch.is_empty()), (3, false));
        let shown = format!("{batch:?}");
        assert!(shown.contains("of kind 1") && !shown.contains("S-"));
        let id = Identifier::new("S-64003");
        assert_eq!(format!("{id:?}"), "Identifier(7 bytes)");
        assert_eq!(id.text(), "S-64003");
    }

    #[test]
    fn a_batch_is_full_at_what_is_written_at_once() {
        let mut batch = Batch::new();
        for number in 1..=limits::REGISTER_COMMIT_ROWS {
            assert!(!batch.fills_a_commit(), "{number}");
            batch.add(0, Form::Text, Identifier::new(&number.to_string()));
        }
        assert!(batch.fills_a_commit());
    }

    #[test]
    fn forms_are_told_apart_by_their_byte() {
        for form in [Form::Number, Form::Text] {
            assert_eq!(Form::of_byte(form.byte()), Some(form));
        }
        assert_eq!(Form::of_byte(2), None);
    }
}
