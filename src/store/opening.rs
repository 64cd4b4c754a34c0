//! Rows as they are read, opened on all cores: they come out in the order of their numbers.

use std::mem;
use std::ops::Range;
use std::sync::Arc;
use std::thread;

use super::backend::{Backend, Fault, Mark, Row};
use super::drawers::{Drawer, Seals};
use crate::cores::InOrder;
use crate::limits;
use crate::pseudonym::{Form, Identifier};

/// Where a row belongs.
pub(super) enum Belongs {
    /// To a kind of a school.
    In(Arc<Drawer>),
    /// To a school that is not asked for: it is not opened.
    Elsewhere,
    /// It is passed by.
    Nowhere,
}

/// A row without what was sealed in it.
pub(super) struct Head {
    pub(super) mark: Mark,
    pub(super) day: u32,
    /// `None` of a school that is not asked for.
    pub(super) drawer: Option<Arc<Drawer>>,
}

/// What was sealed in a row; `None` if it does not open.
pub(super) type Opened<'a> = Option<(Form, Identifier<'a>)>;

/// Reads all rows behind a mark, asks of each where it belongs, and hands on what is in it.
///
/// A few are opened here, by these seals. While there are more, this thread reads on, and what is
/// in memory of them is bounded. On a fault all that was read before is handed on.
pub(super) fn read(
    backend: &mut dyn Backend,
    after: Mark,
    seals: &mut Seals,
    belongs: &mut dyn FnMut(&Row<'_>) -> Belongs,
    each: &mut dyn FnMut(&Head, Opened<'_>),
) -> Result<(), Fault> {
    thread::scope(|scope| {
        let (mut under_way, mut spare) = (InOrder::new(scope), Vec::<(Share, Seals)>::new());
        let mut share = Share::default();
        let read = backend.read(after, &mut |row| {
            match belongs(&row) {
                Belongs::In(drawer) => share.add(Some(drawer), row),
                Belongs::Elsewhere => share.add(None, row),
                Belongs::Nowhere => {}
            }
            if !share.is_full() {
                return;
            }
            let (empty, mut seals) = spare.pop().unwrap_or_default();
            let mut full = mem::replace(&mut share, empty);
            let opened = under_way.begin(move || {
                full.open(&mut seals);
                (full, seals)
            });
            if let Some((mut opened, seals)) = opened {
                opened.hand_on(each);
                spare.push((opened, seals));
            }
        });
        under_way.for_each(|(mut opened, _)| opened.hand_on(each));
        share.open(seals);
        share.hand_on(each);
        read
    })
}

/// Rows that one thread opens.
#[derive(Default)]
struct Share {
    rows: Vec<Held>,
    /// What is sealed in them, one behind the other; or was.
    bytes: Vec<u8>,
}

struct Held {
    head: Head,
    /// In `bytes`: what is sealed, and of a row that opened its text.
    at: Range<usize>,
    /// Of a row that opened.
    form: Option<Form>,
}

impl Share {
    fn add(&mut self, drawer: Option<Arc<Drawer>>, row: Row<'_>) {
        let start = self.bytes.len();
        if drawer.is_some() {
            self.bytes.extend_from_slice(row.sealed);
        }
        self.rows.push(Held {
            head: Head {
                mark: row.mark(),
                day: row.day,
                drawer,
            },
            at: start..self.bytes.len(),
            form: None,
        });
    }

    fn is_full(&self) -> bool {
        self.rows.len() >= limits::REGISTER_OPEN_ROWS
            || self.bytes.len() >= limits::REGISTER_OPEN_BYTES
    }

    fn open(&mut self, seals: &mut Seals) {
        for row in &mut self.rows {
            let Some(drawer) = &row.head.drawer else {
                continue;
            };
            let sealed = self.bytes.get_mut(row.at.clone()).unwrap_or_default();
            if let Some((form, id)) = seals.of(drawer).open(sealed) {
                // The text is the end of what was sealed.
                row.at.start = row.at.end.saturating_sub(id.text().len());
                row.form = Some(form);
            }
        }
    }

    /// Hands on all rows, and is empty then.
    fn hand_on(&mut self, each: &mut dyn FnMut(&Head, Opened<'_>)) {
        for Held { head, at, form } in self.rows.drain(..) {
            let text = self.bytes.get(at).and_then(|it| str::from_utf8(it).ok());
            each(&head, form.zip(text.map(Identifier::new)));
        }
        self.bytes.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pseudonym::{RegisterKey, Seal};
    use crate::store::backend::{Appended, NewRow, Writers};
    use crate::store::drawers::Drawers;
    use crate::store::school::School;
    use crate::store::tests::school;

    /// Rows by school and what is sealed in them, and then a fault.
    struct Rows(Vec<(&'static str, Vec<u8>)>);

    impl Backend for Rows {
        fn append(&mut self, _: Mark, _: &[NewRow<'_>]) -> Result<Appended, Fault> {
            Err(Fault::Resting)
        }

        fn read(&mut self, after: Mark, each: &mut dyn FnMut(Row<'_>)) -> Result<(), Fault> {
            assert_eq!(after, Mark::default());
            let rows = (1..).zip(&self.0);
            rows.for_each(|(number, (school, sealed))| {
                each(Row {
                    number,
                    school,
                    kind: "pupil",
                    lookup: [7; 16],
                    sealed,
                    day: 3,
                });
            });
            Err(Fault::Timeout)
        }

        fn writers(&self) -> Writers {
            Writers::One
        }
    }

    fn named(name: &str) -> Option<Arc<School>> {
        let key = || Arc::new(RegisterKey::from([1; 32]));
        (name == "regenboog").then(|| Arc::new(School::new(school(name), key())))
    }

    /// Of a row: which, and its text if it is one that opens.
    type Found = (u64, Option<String>);

    /// So many rows: every fifth is of another school, every seventh does not open, and one of them
    /// is as long as all that a thread opens.
    fn rows(count: u64) -> (Rows, Vec<Found>) {
        let mut seal = Seal::new(&RegisterKey::from([1; 32]), &school("regenboog"), "pupil");
        let (mut rows, mut found) = (Vec::new(), Vec::new());
        for number in 1..=count {
            let text = format!("pupil-{number}");
            let sealed = match number {
                _ if number % 7 > 0 => seal.close(Form::Text, Identifier::new(&text)),
                77 => vec![7; limits::REGISTER_OPEN_BYTES],
                _ => text.clone().into_bytes(),
            };
            let of = ["zonnebloem", "regenboog"][usize::from(number % 5 > 0)];
            rows.push((of, sealed));
            let opens = number % 5 > 0 && number % 7 > 0;
            found.push((number, opens.then_some(text)));
        }
        (Rows(rows), found)
    }

    #[test]
    fn rows_come_out_in_their_order_however_many_there_are() {
        let share = u64::try_from(limits::REGISTER_OPEN_ROWS).unwrap();
        for count in [0, 1, 100, share - 1, share, share + 1, 9 * share + 17] {
            let (mut backend, expected) = rows(count);
            let (mut drawers, mut found) = (Drawers::default(), Vec::new());
            let read = read(
                &mut backend,
                Mark::default(),
                &mut Seals::default(),
                &mut |row| drawers.belongs(row, named),
                &mut |head, opened| {
                    assert_eq!(head.drawer.is_some(), head.mark.number % 5 > 0);
                    assert_eq!((head.day, head.mark.lookup), (3, [7; 16]));
                    let text = opened.map(|(_, id)| id.text().to_owned());
                    found.push((head.mark.number, text));
                },
            );
            assert!(matches!(read, Err(Fault::Timeout)), "{read:?}");
            assert!(found == expected, "of {count} rows");
        }
    }
}
