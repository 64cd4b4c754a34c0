//! What is read of a journal, however it was left.

use std::ops::Range;

use redb::StorageBackend;

use super::record::{PAGE, Record};
use super::*;
use crate::pseudonym::{Form, Identifier};
use crate::store::tests::{Disk, Fails, school};

/// The last row of the database that a journal goes on from.
const BEFORE: u8 = 17;

fn mark(number: u8) -> Mark {
    Mark {
        number: number.into(),
        lookup: [number; 16],
    }
}

/// Writes rows with these numbers, whose sealed bytes are so many.
fn append(journal: &mut Journal, numbers: Range<u8>, sealed: usize) -> Option<Mark> {
    let school = school("regenboog");
    let row = |number: u8| NewRow {
        school: &school,
        kind: "pupil",
        form: Form::Text,
        id: Identifier::new("S-1"),
        lookup: [number; 16],
        spelling: None,
        sealed: vec![number; sealed],
        day: number.into(),
    };
    let rows: Vec<_> = numbers.clone().map(row).collect();
    journal.append(mark(numbers.start - 1), &rows)
}

/// Opens a journal whose database has all rows up to this one.
fn open(disk: &Disk, before: u8) -> Result<Journal, Fault> {
    let has = |wanted: Mark| Ok((1..=before).any(|number| mark(number) == wanted));
    Journal::open(Some(Box::new(disk.clone())), mark(before), has)
}

/// The numbers of the rows that the database does not have, each as it was written.
fn numbers(journal: &Journal) -> Range<u8> {
    let mut end = u8::try_from(journal.before.number).unwrap() + 1;
    let start = end;
    for row in journal.rows() {
        assert_eq!(row.mark(), mark(end));
        assert_eq!((row.school, row.kind), ("regenboog", "pupil"));
        assert_eq!(row.day, u32::from(end));
        assert!(row.sealed.iter().all(|byte| *byte == end));
        end += 1;
    }
    assert_eq!(journal.last, mark(end - 1));
    start..end
}

/// A disk with three records of a journal, and where the third begins and ends.
fn three_records() -> (Disk, Range<usize>) {
    let disk = Disk::new();
    let mut journal = open(&disk, BEFORE).unwrap();
    append(&mut journal, 18..20, 10).unwrap();
    append(&mut journal, 20..24, 2_000).unwrap();
    let start = journal.at;
    append(&mut journal, 24..30, 2_000).unwrap();
    (disk, start..journal.at)
}

#[test]
fn what_was_appended_is_found_again_and_again() {
    let (disk, _) = three_records();
    for _ in 0..3 {
        assert_eq!(numbers(&open(&disk, BEFORE).unwrap()), 18..30);
    }
    let mut journal = open(&disk, BEFORE).unwrap();
    assert_eq!(append(&mut journal, 30..31, 9), Some(mark(30)));
    assert_eq!(numbers(&journal), 18..31);
    assert_eq!(numbers(&open(&disk, BEFORE).unwrap()), 18..31);
    assert_eq!(journal.in_database(mark(30)), mark(BEFORE));
    assert_eq!(journal.in_database(mark(9)), mark(9));
}

#[test]
fn a_record_counts_as_a_whole_or_not_at_all() {
    let (disk, third) = three_records();
    let mut contents = disk.contents().unwrap();
    contents.truncate(third.end);
    let last = |contents: &[u8]| {
        let found = Found::among(contents, mark(BEFORE), |_| Ok(false)).unwrap();
        (found.last, found.end)
    };
    assert_eq!(last(&contents), (mark(29), third.end));
    // Cut from its end on, down to its magic.
    let zeros = contents.iter().rev().take_while(|byte| **byte == 0).count();
    for cut in (third.start..third.end - zeros).rev() {
        contents[cut] = !contents[cut];
        assert_eq!(last(&contents), (mark(23), third.start), "cut at {cut}");
        assert_eq!(last(&contents[..cut]), (mark(23), third.start));
        contents[cut] = 0;
        assert_eq!(last(&contents), (mark(23), third.start), "cut at {cut}");
    }
}

#[test]
fn a_record_of_which_a_bit_has_changed_is_none() {
    let (disk, third) = three_records();
    let mut record = disk.contents().unwrap()[third].to_vec();
    let used = 68 + Record::at_start_of(&record).unwrap().rows.len();
    for byte in 0..used {
        record[byte] ^= 0x10;
        assert!(Record::at_start_of(&record).is_none(), "byte {byte}");
        record[byte] ^= 0x10;
    }
    assert!(Record::at_start_of(&record).is_some());
}

#[test]
fn what_the_database_has_is_passed_by() {
    let (disk, _) = three_records();
    let mut journal = open(&disk, BEFORE).unwrap();
    journal.begin_again(mark(29));
    assert!(numbers(&journal).is_empty() && journal.is_empty());
    assert!(numbers(&open(&disk, 29).unwrap()).is_empty());
    // Short ones over the long ones that are there.
    for number in 30..34 {
        append(&mut journal, number..number + 1, 100).unwrap();
        assert_eq!(numbers(&open(&disk, 29).unwrap()), 30..number + 1);
    }
    assert_eq!(journal.at, 4 * PAGE);
}

#[test]
fn a_journal_that_does_not_follow_is_refused() {
    let (disk, _) = three_records();
    let has_none = |_| Ok(false);
    for before in [0, 1, BEFORE - 1, BEFORE + 1, 28] {
        // An older copy took the place of the register, or part of the journal's rows are in it.
        let fault = open(&disk, before).map(|_| ()).unwrap_err();
        assert!(matches!(fault, Fault::Journal { .. }), "{before}: {fault}");
        assert_eq!(fault.code(), "journal_mismatch");
        assert!(fault.is_loss());
    }
    let other = Mark {
        number: BEFORE.into(),
        lookup: [0; 16],
    };
    let refused = Journal::open(Some(Box::new(disk.clone())), other, has_none);
    assert!(matches!(
        refused.map(|_| ()),
        Err(Fault::Journal { row: 19 })
    ));
    // It is left as it was.
    assert_eq!(numbers(&open(&disk, BEFORE).unwrap()), 18..30);
}

#[test]
fn a_damaged_record_with_others_behind_it_is_loud() {
    let (disk, third) = three_records();
    Slate::write(&disk, 100, b"damage").unwrap();
    let fault = open(&disk, BEFORE).map(|_| ()).unwrap_err();
    assert!(matches!(fault, Fault::Journal { row: 23 }), "{fault}");
    // The last one may as well be one that was never finished.
    let (disk, _) = three_records();
    let damage = u64::try_from(third.start + 100).unwrap();
    Slate::write(&disk, damage, b"damage").unwrap();
    assert_eq!(numbers(&open(&disk, BEFORE).unwrap()), 18..24);
}

#[test]
fn what_a_sync_did_not_write_counts_for_nothing_and_is_written_over() {
    let disk = Disk::new();
    let mut journal = open(&disk, BEFORE).unwrap();
    append(&mut journal, 18..20, 10).unwrap();
    disk.soon(Fails::Sync, 0);
    assert_eq!(append(&mut journal, 20..22, 10), None);
    assert_eq!((journal.take_failures(), journal.take_failures()), (1, 0));
    assert_eq!(numbers(&journal), 18..20);
    disk.soon(Fails::Nothing, 0);
    assert_eq!(
        numbers(&open(&disk.after_a_torn_write(|| false), BEFORE).unwrap()),
        18..20
    );
    // Whoever reads what is only in memory has it on disk before it counts.
    let killed = disk.after_a_kill();
    assert_eq!(numbers(&open(&killed, BEFORE).unwrap()), 18..22);
    assert_eq!(
        numbers(&open(&killed.after_a_torn_write(|| false), BEFORE).unwrap()),
        18..22
    );
    append(&mut journal, 20..21, 10).unwrap();
    assert_eq!(
        numbers(&open(&disk.after_a_torn_write(|| false), BEFORE).unwrap()),
        18..21
    );
}

#[test]
fn what_cannot_be_taken_is_left_to_the_database() {
    let disk = Disk::new();
    let mut journal = open(&disk, BEFORE).unwrap();
    // Not behind the last, or behind none.
    assert_eq!(append(&mut journal, 20..21, 10), None);
    assert_eq!(append(&mut open(&disk, 0).unwrap(), 1..2, 10), None);
    // Too long: for its two bytes, and for the journal.
    assert_eq!(append(&mut journal, 18..19, 1 << 16), None);
    assert_eq!(append(&mut journal, 18..98, 16_000), None);
    assert!(disk.contents().unwrap().is_empty());
    let mut number = BEFORE;
    while append(&mut journal, number + 1..number + 2, 16_000).is_some() {
        number += 1;
    }
    assert_eq!(number, BEFORE + 64);
    assert_eq!(numbers(&open(&disk, BEFORE).unwrap()), 18..number + 1);
    assert_eq!(
        disk.contents().unwrap().len(),
        limits::REGISTER_JOURNAL_BYTES
    );
}

#[test]
fn a_disk_without_room_for_it_keeps_none_of_it() {
    // Nothing of it, or its length and nothing in it.
    for well in [0, 1] {
        let disk = Disk::new();
        let mut journal = open(&disk, BEFORE).unwrap();
        disk.soon(Fails::Write, well);
        assert_eq!(append(&mut journal, 18..20, 10), None);
        assert!(disk.contents().unwrap().is_empty(), "{well}");
        disk.soon(Fails::Nothing, 0);
        assert_eq!(append(&mut journal, 18..20, 10), None);
        assert_eq!(journal.take_failures(), 1, "it is not tried again");
        assert!(numbers(&journal).is_empty());
    }
}

#[test]
fn a_disk_without_room_keeps_what_a_journal_has_that_was_never_laid_out() {
    let (disk, third) = three_records();
    StorageBackend::set_len(&disk, u64::try_from(third.end).unwrap()).unwrap();
    let mut journal = open(&disk, BEFORE).unwrap();
    disk.soon(Fails::Write, 0);
    assert_eq!(append(&mut journal, 30..31, 10), None);
    disk.soon(Fails::Nothing, 0);
    assert_eq!(numbers(&journal), 18..30);
    assert_eq!(numbers(&open(&disk, BEFORE).unwrap()), 18..30);
}
