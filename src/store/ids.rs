//! The identifiers of one kind at one school that are on disk, in memory.

use std::hash::{BuildHasher as _, RandomState};

use super::arena::{Arena, Full, Place};
use super::places::{Places, upper_half};
use crate::pseudonym::{Form, Identifier};

/// All identifiers of one kind at one school, each text once.
pub(super) struct Ids {
    pub(super) arena: Arena,
    /// Under a hash of the text.
    places: Places,
    /// Keyed anew in each process: nobody can choose texts that meet.
    hasher: RandomState,
}

impl Ids {
    pub(super) fn new() -> Self {
        Self {
            arena: Arena::new(),
            places: Places::with_room_for(0),
            hasher: RandomState::new(),
        }
    }

    /// Where this text stands.
    pub(super) fn place(&self, id: Identifier<'_>) -> Option<Place> {
        self.find(self.number(id), id)
    }

    /// Takes in what is on disk; a text that is there already stays as it is.
    pub(super) fn add(&self, form: Form, day: u32, id: Identifier<'_>) -> Result<(), Full> {
        let number = self.number(id);
        if self.find(number, id).is_none() {
            let place = self.arena.add(form, day, id.text())?;
            self.places.list(number, place, |_| false);
        }
        Ok(())
    }

    pub(super) fn len(&self) -> usize {
        self.places.len()
    }

    /// Leaves no room for one more text.
    #[cfg(test)]
    pub(super) fn fill(&self) {
        self.arena.fill();
    }

    fn find(&self, number: u32, id: Identifier<'_>) -> Option<Place> {
        self.places.find(number, |place| {
            self.arena.holds(place, id.text()).then_some(place)
        })
    }

    fn number(&self, id: Identifier<'_>) -> u32 {
        upper_half(self.hasher.hash_one(id.text()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_taken_in_once() {
        let ids = Ids::new();
        let names: Vec<_> = (0..1_000).map(|number| format!("S-{number}")).collect();
        for round in 0..2 {
            for name in &names {
                ids.add(Form::Text, round, Identifier::new(name)).unwrap();
            }
        }
        assert_eq!(ids.len(), 1_000);
        let place = ids.place(Identifier::new("S-17")).unwrap();
        let mut text = Vec::new();
        assert_eq!(ids.arena.read(place, &mut text).unwrap().day, 0);
        assert_eq!(text, b"S-17");
        assert_eq!(ids.place(Identifier::new("S-1000")), None);
    }
}
