//! Which way a message goes, and a register that knows what it is told.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use sluis::limits::Limits;
use sluis::minimise::Law;
use sluis::policy::Side;
use sluis::pseudonym::{Asked, Batch, Form, Identifier, IdentifierFault, Recall, Register};

use super::dice::Dice;
use super::documents::{MARK, MARK_DIGITS};

/// Under which law messages go which way, and whose the pseudonyms in them are.
#[derive(Clone, Debug)]
pub(crate) struct Way {
    pub(crate) law: Arc<Law>,
    pub(crate) to: Side,
    pub(crate) book: Arc<Book>,
    pub(crate) pages: Pages,
}

impl Way {
    pub(crate) fn is_home(&self) -> bool {
        self.to == Side::School
    }

    pub(crate) fn limits(&self) -> &Limits {
        &self.law.limits
    }
}

/// How many pages a message may be one of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pages {
    One,
    /// It answers a request that does nothing but read.
    Perhaps,
}

/// Since when a pseudonym is in the register.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Since {
    Always,
    /// It is found once the register has caught up.
    CaughtUp,
    /// It is found only if it is asked again.
    Again,
}

/// What a pseudonym leads to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Owner {
    /// Empty, unless it is found.
    pub(crate) id: String,
    pub(crate) recall: Recall,
    pub(crate) since: Since,
}

/// The pseudonyms that are somebody's, by kind.
#[derive(Clone, Debug, Default)]
pub(crate) struct Book(BTreeMap<(usize, String), Owner>);

impl Book {
    pub(crate) fn add(&mut self, kind: usize, pseudonym: &str, owner: Owner) {
        let before = self.0.insert((kind, pseudonym.to_owned()), owner);
        assert_eq!(before, None, "{pseudonym} is given twice");
    }

    /// Whose it is, once the register has caught up.
    pub(crate) fn owner(&self, kind: usize, pseudonym: &str) -> Option<&Owner> {
        self.0.get(&(kind, pseudonym.to_owned()))
    }

    /// All of one kind.
    pub(crate) fn of_kind(&self, kind: usize) -> impl Iterator<Item = (&str, &Owner)> {
        let all = self.0.iter().filter(move |((other, _), _)| *other == kind);
        all.map(|((_, pseudonym), owner)| (&**pseudonym, owner))
    }

    /// A few pseudonyms of every kind, each with a mark in it: none of them may reach the school.
    pub(crate) fn random(dice: &mut Dice<'_>, kinds: usize) -> Self {
        let mut book = Self::default();
        for kind in 0..kinds {
            for number in 0..6 {
                book.add(kind, &pseudonym(dice, number), owner(dice, number));
            }
        }
        book
    }
}

/// One that looks like no other; the long ones look like one in hex.
fn pseudonym(dice: &mut Dice<'_>, number: usize) -> String {
    match dice.below(4) {
        0 => format!("{MARK_DIGITS}{number:020}"),
        1 => format!("{MARK_DIGITS}{number}"),
        2 => format!("\"\u{1}§{MARK}p{number}\\é"),
        _ => format!("§{MARK}p{number}"),
    }
}

fn owner(dice: &mut Dice<'_>, number: usize) -> Owner {
    let found = |form, age| Recall::Found { form, age };
    let number = if dice.once_in(8) { 0 } else { number };
    let (id, recall) = match dice.below(16) {
        // Of somebody who objected, where there is a list.
        0 => ("S-64009".to_owned(), found(Form::Text, 0)),
        1 => (String::new(), Recall::Foreign),
        2 => (String::new(), Recall::Retired),
        3 => (format!("S-{number}"), found(Form::Text, 1)),
        4 => (format!("S-{number}"), found(Form::Text, 2)),
        5..=7 => (format!("9531{number}"), found(Form::Number, 0)),
        8 => (format!("a\"b\\c\u{1}é{number}"), found(Form::Text, 0)),
        _ => (format!("S-{number}"), found(Form::Text, 0)),
    };
    let found = matches!(recall, Recall::Found { .. });
    let since = match dice.below(6) {
        0 | 1 if found => Since::CaughtUp,
        2 if found => Since::Again,
        _ => Since::Always,
    };
    Owner { id, recall, since }
}

/// The register that reads in a book for one message.
pub(crate) struct Reading {
    book: Arc<Book>,
    caught_up: AtomicBool,
}

impl Reading {
    pub(crate) fn of(book: &Arc<Book>) -> Self {
        Self {
            book: Arc::clone(book),
            caught_up: AtomicBool::new(false),
        }
    }

    pub(crate) fn catch_up(&self) {
        self.caught_up.store(true, Ordering::Relaxed);
    }
}

impl fmt::Debug for Reading {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Reading")
    }
}

impl Register for Reading {
    fn remember(
        &self,
        kind: usize,
        id: Identifier<'_>,
        form: Form,
        batch: &mut Batch,
    ) -> Result<(), IdentifierFault> {
        batch.add(kind, form, id);
        Ok(())
    }

    fn recall(&self, kind: usize, pseudonym: &str, asked: Asked, into: &mut Vec<u8>) -> Recall {
        let owner = self.book.owner(kind, pseudonym);
        let caught_up = self.caught_up.load(Ordering::Relaxed);
        let since = owner.map_or(Since::Always, |owner| owner.since);
        if since == Since::Again && asked != Asked::Again {
            return Recall::Unknown;
        }
        let owner = owner.filter(|_| caught_up || since != Since::CaughtUp);
        into.extend_from_slice(owner.map_or(&[][..], |owner| owner.id.as_bytes()));
        owner.map_or(Recall::Unknown, |owner| owner.recall)
    }
}
