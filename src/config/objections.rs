//! The lists of `[except]`: who objected, as it stands in files that change while the gateway runs.

use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, TryLockError, mpsc};
use std::thread;
use std::time::Duration;

use arc_swap::ArcSwap;

use super::language::ObjectionsDraft;
use super::list::{List, ListFault, ListRead, Seen, stamp};
use super::problem::Problems;
use crate::clock::Time;
use crate::limits;
use crate::minimise::Objections;
use crate::pseudonym::KindSpec;

/// No moment.
const NEVER: u64 = u64::MAX;

/// The lists of one vendor, and what they said when they were last read.
#[derive(Debug)]
pub struct Lists {
    lists: Arc<[List]>,
    now: ArcSwap<Now>,
    /// How the files looked the last time, if that was not how they looked when they were read.
    /// Held by whoever looks: for as long as a file system hangs.
    changing: Mutex<Option<Box<[Seen]>>>,
    /// When it was last known that the files say what they said when they were read, by the clock
    /// that nobody sets; [`NEVER`] until somebody asks.
    known_steady_s: AtomicU64,
    /// Whether the files have been seen at rest since they were read.
    at_rest: AtomicBool,
}

/// What the lists say.
#[derive(Debug)]
struct Now {
    read: Box<[ListRead]>,
    /// Everyone on them; `None` if one of them could not be read.
    objections: Option<Arc<Objections>>,
}

impl Lists {
    /// None: nobody can object.
    #[must_use]
    pub fn none() -> Self {
        Self::read(&[], &[], Path::new(""), &mut Problems::new())
    }

    /// Reads the lists of a vendor, which lie below the folder of its school. What is wrong with
    /// them is a finding: the vendor is not served then, and all others are.
    pub(super) fn read(
        drafts: &[ObjectionsDraft],
        specs: &[KindSpec],
        folder: &Path,
        problems: &mut Problems,
    ) -> Self {
        let list = |draft: &ObjectionsDraft| {
            let spec = specs.get(draft.kind.place())?;
            Some(List {
                kind: draft.kind,
                kind_name: spec.name.clone(),
                canonical: spec.canonical.clone(),
                path: folder.join(&draft.list.value),
                name: draft.list.value.clone(),
                place: draft.list.place.clone(),
                age_max_s: draft.age_max_s,
            })
        };
        let lists: Arc<[List]> = drafts.iter().filter_map(list).collect();
        let now = Now::read_within(limits::OBJECTIONS_READ, &lists, Now::read, problems);
        Self {
            lists,
            now: ArcSwap::from_pointee(now),
            changing: Mutex::new(None),
            known_steady_s: AtomicU64::new(NEVER),
            at_rest: AtomicBool::new(false),
        }
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.lists.is_empty()
    }

    /// Who objected, at a time; `None` if that is not known: then nobody can be sent.
    #[must_use]
    pub fn current(&self, time: Time) -> Option<Arc<Objections>> {
        let now = self.now.load();
        let good = self.is_empty() || self.faults(&now, time).all(|it| it.is_none());
        now.objections.clone().filter(|_| good)
    }

    /// Looks whether a file has changed, and reads it again if it has and looks the same as the
    /// last time: what is half written is left to the next.
    ///
    /// A file system may hang: then this does not come back, and whoever looks next comes back at
    /// once, having seen nothing.
    pub fn look(&self, time: Time) {
        let mut changing = match self.changing.try_lock() {
            Ok(changing) => changing,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => return,
        };
        let seen: Box<[Seen]> = self.lists.iter().map(|list| stamp(&list.path)).collect();
        let now = self.now.load();
        let same = now
            .read
            .iter()
            .map(|read| read.seen)
            .eq(seen.iter().copied());
        if !same && changing.as_ref() != Some(&seen) {
            *changing = Some(seen);
            return;
        }
        if !same {
            let now = Now::read(&self.lists, &mut Problems::new());
            if now
                .read
                .iter()
                .any(|read| read.fault == Some(ListFault::Changing))
            {
                return;
            }
            self.now.store(Arc::new(now));
        }
        *changing = None;
        self.at_rest.store(true, Ordering::Release);
        self.known_steady_s.store(time.steady_s, Ordering::Release);
    }

    /// Takes over what a former configuration read of the same lists, if these could not be read in
    /// time. It holds for as long as it would have there.
    pub(super) fn take_over(&self, former: &Self) {
        let silent = |read: &ListRead| read.fault == Some(ListFault::Silent);
        let theirs = former.now.load();
        let (true, Some(objections)) = (
            self.now.load().read.iter().any(silent),
            theirs.objections.as_ref(),
        ) else {
            return;
        };
        let before = |list: &List| {
            let mut lists = former.lists.iter().zip(&theirs.read);
            let (other, read) = lists.find(|(other, _)| list.is_same(other))?;
            Some(((other.kind, list.kind), *read))
        };
        let same: Option<Vec<_>> = self.lists.iter().map(before).collect();
        let Some((kinds, read)) = same.map(|same| same.into_iter().unzip::<_, _, Vec<_>, Vec<_>>())
        else {
            return;
        };
        self.now.store(Arc::new(Now {
            read: read.into(),
            objections: Some(Arc::new(objections.moved(&kinds))),
        }));
        let at_rest = former.at_rest.load(Ordering::Acquire);
        self.at_rest.store(at_rest, Ordering::Release);
        let known_steady_s = former.known_steady_s.load(Ordering::Acquire);
        self.known_steady_s.store(known_steady_s, Ordering::Release);
    }

    /// As if they could not be read in time.
    #[cfg(test)]
    pub(crate) fn fall_silent(&self) {
        self.now.store(Arc::new(Now::silent(&self.lists)));
    }

    /// As if the disk that they are on did not answer, until what this gives is let go.
    #[cfg(test)]
    pub(crate) fn hang(&self) -> impl Drop + '_ {
        self.changing.lock().unwrap()
    }

    /// Why each list cannot be used at a time, if it cannot.
    fn faults<'n>(
        &self,
        now: &'n Now,
        time: Time,
    ) -> impl Iterator<Item = Option<ListFault>> + use<'n, '_> {
        let Time { unix_s, steady_s } = time;
        let first = self.known_steady_s.compare_exchange(
            NEVER,
            steady_s,
            Ordering::AcqRel,
            Ordering::Acquire,
        );
        let known_s = first.err().unwrap_or(steady_s);
        let silent = steady_s.saturating_sub(known_s) > limits::OBJECTIONS_KNOWN.as_secs();
        let silent = silent.then_some(ListFault::Silent);
        let at_rest = self.at_rest.load(Ordering::Acquire);
        let lists = self.lists.iter().zip(&now.read);
        lists.map(move |(list, read)| {
            let young = read.is_young(unix_s) && !at_rest;
            let fault = read.fault.or_else(|| list.age_fault(read.seen, unix_s));
            fault
                .or_else(|| young.then_some(ListFault::Changing))
                .or(silent)
        })
    }

    /// Every list by its name in the vendor's file, and why it cannot be used at a time, if it
    /// cannot.
    #[must_use]
    pub fn standing(&self, time: Time) -> Vec<(&str, Option<ListFault>)> {
        let now = self.now.load();
        let names = self.lists.iter().map(|list| &*list.name);
        names.zip(self.faults(&now, time)).collect()
    }

    /// How many are on each list, by its name in the vendor's file; nobody knows as long as one of
    /// them cannot be read.
    #[must_use]
    pub fn counts(&self) -> Vec<(&str, Option<usize>)> {
        let now = self.now.load();
        let count = |list: &List| {
            let objections = now.objections.as_ref();
            objections.map(|it| it.count(list.kind))
        };
        let counts = self
            .lists
            .iter()
            .map(|list| (list.name.as_str(), count(list)));
        counts.collect()
    }

    /// What they said when they were last read, however old that is; for a trial.
    #[must_use]
    pub fn as_read(&self) -> Option<Arc<Objections>> {
        self.now.load().objections.clone()
    }

    /// Reports the lists that are too old at a time, or of an age that nobody can tell.
    pub(super) fn find_old(&self, unix_s: u64, problems: &mut Problems) {
        let now = self.now.load();
        for (list, read) in self.lists.iter().zip(&now.read) {
            let fault = list.age_fault(read.seen, unix_s);
            let fault = fault.filter(|_| read.fault.is_none());
            problems.extend(fault.map(|fault| list.problem(fault)));
        }
    }
}

impl Now {
    /// As `read`, on a thread of its own: a file system that hangs keeps nobody waiting for longer
    /// than that.
    fn read_within(
        most: Duration,
        lists: &Arc<[List]>,
        read: fn(&[List], &mut Problems) -> Self,
        problems: &mut Problems,
    ) -> Self {
        if lists.is_empty() {
            return read(lists, problems);
        }
        let (give, take) = mpsc::channel();
        let theirs = Arc::clone(lists);
        let reading = thread::Builder::new().name("sluis-lists".to_owned());
        let started = reading.spawn(move || {
            let mut problems = Problems::new();
            let now = read(&theirs, &mut problems);
            // Nobody waits any more, if it took too long.
            give.send((now, problems)).ok();
        });
        if let (Ok(_), Ok((now, found))) = (started, take.recv_timeout(most)) {
            problems.append(found);
            return now;
        }
        let fault = ListFault::Silent;
        problems.extend(lists.iter().map(|list| list.problem(fault)));
        Self::silent(lists)
    }

    /// Nothing was to be heard of the lists.
    fn silent(lists: &[List]) -> Self {
        let fault = ListFault::Silent;
        let unread = ListRead {
            seen: Err(fault),
            fault: Some(fault),
        };
        Self {
            read: lists.iter().map(|_| unread).collect(),
            objections: None,
        }
    }

    fn read(lists: &[List], problems: &mut Problems) -> Self {
        let mut objections = Objections::default();
        let mut all = Vec::new();
        for list in lists {
            let read = list.read(stamp, &mut objections, problems);
            problems.extend(read.fault.map(|fault| list.problem(fault)));
            all.push(read);
        }
        let whole = all.iter().all(|read| read.fault.is_none());
        Self {
            read: all.into(),
            objections: whole.then(|| Arc::new(objections)),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs::{self, File};
    use std::time::SystemTime;

    use super::super::list::Stamp;
    use super::super::problem::Place;
    use super::super::source::SourceFile;
    use super::*;
    use crate::policy::Index;
    use crate::pseudonym::{Back, Canonical, Notation, Unknown};

    const NOW: u64 = 1_800_000_000;

    /// A moment of a machine whose clock nobody sets.
    const fn at(unix_s: u64) -> Time {
        Time {
            unix_s,
            steady_s: unix_s.saturating_sub(NOW),
        }
    }

    fn lists(folder: &Path, age_max_s: Option<u64>) -> (Lists, Vec<String>) {
        lists_of(folder, &["pupil"], &Canonical::default(), age_max_s)
    }

    /// A list of the last of these kinds.
    fn lists_of(
        folder: &Path,
        kinds: &[&str],
        canonical: &Canonical,
        age_max_s: Option<u64>,
    ) -> (Lists, Vec<String>) {
        let spec = |name: &&str| KindSpec {
            name: (*name).to_owned(),
            canonical: canonical.clone(),
            notation: Notation::Hex,
            back: Back::Never,
            unknown: Unknown::Reject,
            accept_keys: 1,
        };
        let draft = ObjectionsDraft {
            kind: Index::new(kinds.len().saturating_sub(1)).unwrap(),
            list: super::super::At {
                value: "list.txt".to_owned(),
                place: Place {
                    file: SourceFile::new("v.toml", String::new()),
                    span: 0..0,
                },
            },
            age_max_s,
        };
        let mut problems = Problems::new();
        let specs: Vec<KindSpec> = kinds.iter().map(spec).collect();
        let lists = Lists::read(&[draft], &specs, folder, &mut problems);
        let sorted = problems.sorted();
        let messages = sorted.iter().map(|it| it.message.clone());
        (lists, messages.collect())
    }

    fn write(folder: &Path, text: impl AsRef<[u8]>) {
        fs::write(folder.join("list.txt"), text).unwrap();
    }

    fn count(lists: &Lists) -> Option<usize> {
        let objections = lists.current(at(NOW))?;
        Some(objections.count(Index::new(0)?))
    }

    #[test]
    fn a_list_has_one_identifier_a_line_and_comments() {
        let folder = tempfile::tempdir().unwrap();
        write(
            folder.path(),
            "\u{feff}# who\nS-1\r\n\n  S-2 \t# since May\n S-1\nS#3\n",
        );
        let (lists, problems) = lists(folder.path(), None);
        assert_eq!(count(&lists), Some(3));
        assert!(problems.is_empty(), "{problems:?}");
        assert_eq!(lists.counts(), [("list.txt", Some(3))]);
        assert!(!format!("{lists:?}").contains("S-1"), "{lists:?}");
    }

    #[test]
    fn a_line_that_is_no_identifier_says_nobody_may_be_sent() {
        let folder = tempfile::tempdir().unwrap();
        let long = "a".repeat(2_000);
        write(folder.path(), format!("S-1\n{long}\nS\u{200b}4"));
        let (unclear, mut problems) = lists(folder.path(), None);
        problems.sort_unstable();
        assert_eq!(
            problems,
            [
                "`list.txt` has a line that is no identifier",
                "`list.txt`: line 2 is no identifier: it is too long",
                "`list.txt`: line 3 is no identifier: it has invisible characters in it",
            ]
        );
        assert_eq!(count(&unclear), None);
        write(folder.path(), "S-1\n");
        unclear.look(at(NOW));
        unclear.look(at(NOW));
        assert_eq!(count(&unclear), Some(1));
        // Nobody reads findings while the gateway runs.
        write(folder.path(), "S-1\nS\u{200b}4\n");
        unclear.look(at(NOW));
        unclear.look(at(NOW));
        assert_eq!(count(&unclear), None);
        let standing = unclear.standing(at(NOW));
        assert_eq!(standing, [("list.txt", Some(ListFault::NotClear))]);
        // As long as it has not changed, it says the same.
        let read = unclear.now.load_full();
        (0..4).for_each(|_| unclear.look(at(NOW)));
        assert!(Arc::ptr_eq(&read, &unclear.now.load_full()));
    }

    #[test]
    fn a_list_that_cannot_be_read_says_nobody_may_be_sent() {
        let folder = tempfile::tempdir().unwrap();
        let (missing, problems) = lists(folder.path(), None);
        assert_eq!(problems, ["`list.txt` is missing"]);
        assert_eq!(
            missing.standing(at(NOW)),
            [("list.txt", Some(ListFault::Missing))]
        );
        assert_eq!(count(&missing), None);
        write(folder.path(), b"\xff");
        assert_eq!(lists(folder.path(), None).1, ["`list.txt` is not text"]);
        fs::remove_file(folder.path().join("list.txt")).unwrap();
        fs::create_dir(folder.path().join("list.txt")).unwrap();
        assert_eq!(lists(folder.path(), None).1, ["`list.txt` cannot be read"]);
    }

    #[test]
    fn a_file_that_has_changed_is_read_once_it_has_come_to_rest() {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), "S-1\n");
        let (lists, _) = lists(folder.path(), None);
        for (text, now, then) in [("S-1\nS-2\n", 1, 2), ("", 2, 0)] {
            write(folder.path(), text);
            lists.look(at(NOW));
            assert_eq!(count(&lists), Some(now), "still as it was");
            lists.look(at(NOW));
            assert_eq!(count(&lists), Some(then));
        }
        fs::remove_file(folder.path().join("list.txt")).unwrap();
        lists.look(at(NOW));
        lists.look(at(NOW));
        assert_eq!(count(&lists), None);
        write(folder.path(), "S-9\n");
        lists.look(at(NOW));
        lists.look(at(NOW));
        assert_eq!(count(&lists), Some(1));
    }

    #[test]
    fn a_list_is_good_for_as_long_as_it_says() {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), "S-1\n");
        let (lists, _) = lists(folder.path(), Some(60));
        let changed_at = |unix_s: u64| {
            let file = File::options()
                .write(true)
                .open(folder.path().join("list.txt"))
                .unwrap();
            let time = SystemTime::UNIX_EPOCH + Duration::from_secs(unix_s);
            file.set_modified(time).unwrap();
            lists.look(at(NOW));
            lists.look(at(NOW));
        };
        changed_at(NOW - 60);
        assert_eq!(count(&lists), Some(1));
        changed_at(NOW - 61);
        assert_eq!(count(&lists), None);
        assert_eq!(
            lists.standing(at(NOW)),
            [("list.txt", Some(ListFault::TooOld))]
        );
        let mut problems = Problems::new();
        lists.find_old(NOW, &mut problems);
        assert_eq!(
            problems.sorted()[0].message,
            "`list.txt` is older than its max-age"
        );
        changed_at(NOW + 600);
        assert_eq!(count(&lists), Some(1), "the clocks of two machines differ");
        changed_at(NOW + 601);
        assert_eq!(count(&lists), None, "it would be fresh for ever");
        assert_eq!(
            lists.standing(at(NOW)),
            [("list.txt", Some(ListFault::Ahead))]
        );
        let mut problems = Problems::new();
        lists.find_old(NOW, &mut problems);
        assert_eq!(
            problems.sorted()[0].message,
            "`list.txt` was changed in the future: a clock is wrong"
        );
    }

    #[test]
    fn a_list_that_was_just_changed_is_taken_once_it_is_seen_at_rest() {
        let folder = tempfile::tempdir().unwrap();
        for (ago, known) in [(0, None), (2, None), (3, Some(1))] {
            write(folder.path(), "S-1\n");
            let file = File::options()
                .write(true)
                .open(folder.path().join("list.txt"));
            let time = SystemTime::UNIX_EPOCH + Duration::from_secs(NOW - ago);
            file.unwrap().set_modified(time).unwrap();
            let (lists, problems) = lists(folder.path(), None);
            assert!(problems.is_empty(), "{problems:?}");
            assert_eq!(count(&lists), known, "{ago}");
            let fault = known.is_none().then_some(ListFault::Changing);
            assert_eq!(lists.standing(at(NOW)), [("list.txt", fault)]);
            lists.look(at(NOW));
            assert_eq!(count(&lists), Some(1), "{ago}");
        }
    }

    #[test]
    fn what_changes_while_it_is_read_is_not_taken() {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), "S-1\n");
        let (lists, _) = lists(folder.path(), None);
        let mut lengths = [4, 8].into_iter();
        let longer = |path: &Path| {
            let bytes = lengths.next().unwrap();
            stamp(path).map(|it| Stamp { bytes, ..it })
        };
        let mut objections = Objections::default();
        let read = lists.lists[0].read(longer, &mut objections, &mut Problems::new());
        assert_eq!(read.fault, Some(ListFault::Changing));
        assert_eq!(read.seen, Err(ListFault::Changing), "it is read again");
    }

    #[test]
    fn a_disk_that_hangs_keeps_nobody_waiting() {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), "S-1\n");
        let (lists, _) = lists(folder.path(), None);
        assert_eq!(count(&lists), Some(1));
        let hanging = lists.hang();
        lists.look(at(NOW + 600));
        assert!(lists.current(at(NOW + 600)).is_some(), "the old list holds");
        assert!(lists.current(at(NOW + 601)).is_none(), "but not for ever");
        let standing = lists.standing(at(NOW + 601));
        assert_eq!(standing, [("list.txt", Some(ListFault::Silent))]);
        drop(hanging);
        lists.look(at(NOW + 601));
        assert!(lists.current(at(NOW + 601)).is_some());

        let mut problems = Problems::new();
        let hangs = |_: &[List], _: &mut Problems| loop {
            thread::park();
        };
        let moment = Duration::from_millis(1);
        let now = Now::read_within(moment, &lists.lists, hangs, &mut problems);
        assert!(now.objections.is_none());
        assert!(problems.sorted()[0].message.contains("cannot be followed"));
    }

    #[test]
    fn a_clock_that_is_set_neither_hides_a_list_nor_keeps_one_for_longer() {
        const HOUR: u64 = 3_600;
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), "S-1\n");
        let (lists, _) = lists(folder.path(), None);
        lists.look(at(NOW));
        let hanging = lists.hang();
        for unix_s in [NOW - HOUR, NOW + HOUR, NOW + 20 * 365 * 24 * HOUR] {
            let after = |steady_s| lists.current(Time { unix_s, steady_s });
            assert!(after(600).is_some(), "nothing has happened");
            assert!(after(601).is_none(), "nobody has looked for too long");
        }
        drop(hanging);
    }

    #[test]
    fn a_list_that_others_can_write_says_nobody_may_be_sent() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), "S-1\n");
        let path = folder.path().join("list.txt");
        let chmod = |mode| fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        for mode in [0o400, 0o600, 0o640, 0o644, 0o444, 0o755] {
            chmod(mode);
            let (good, problems) = lists(folder.path(), None);
            assert!(problems.is_empty(), "{mode:o}: {problems:?}");
            assert_eq!(count(&good), Some(1), "{mode:o}");
            for wide in [0o620, 0o602, 0o666, 0o660] {
                chmod(wide);
                good.look(at(NOW));
                good.look(at(NOW));
                assert_eq!(count(&good), None, "{wide:o}");
                let standing = good.standing(at(NOW));
                assert_eq!(standing, [("list.txt", Some(ListFault::Writable))]);
            }
            chmod(mode);
            good.look(at(NOW));
            good.look(at(NOW));
            assert_eq!(count(&good), Some(1), "{mode:o}");
        }
        chmod(0o664);
        let (wide, problems) = lists(folder.path(), None);
        let why = "`list.txt` can be written by others than its owner";
        assert_eq!((problems, count(&wide)), (vec![why.to_owned()], None));
    }

    #[test]
    fn a_reload_while_the_disk_hangs_takes_over_what_was_read() {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), "S-1\n");
        let former = lists(folder.path(), None).0;
        former.look(at(NOW));
        let taken = |kinds: &[&str], canonical: &Canonical, folder: &Path| {
            let next = lists_of(folder, kinds, canonical, None).0;
            next.fall_silent();
            assert!(next.current(at(NOW)).is_none(), "it hangs");
            next.take_over(&former);
            next
        };
        // Also at another place among the kinds.
        for kinds in [&["pupil"][..], &["mail", "pupil"]] {
            let next = taken(kinds, &Canonical::default(), folder.path());
            let kind = Index::new(kinds.len() - 1).unwrap();
            let known = |unix_s| Some(next.current(at(unix_s))?.count(kind));
            assert_eq!(known(NOW + 600), Some(1));
            assert_eq!(known(NOW + 601), None, "for as long as before");
            write(folder.path(), "S-1\nS-2\n");
            next.look(at(NOW + 700));
            next.look(at(NOW + 700));
            assert_eq!(known(NOW + 700), Some(2), "the disk answers again");
        }
        let elsewhere = tempfile::tempdir().unwrap();
        let bare = Canonical::new(Vec::new());
        for other in [
            taken(&["mail"], &Canonical::default(), folder.path()),
            taken(&["pupil"], &bare, folder.path()),
            taken(&["pupil"], &Canonical::default(), elsewhere.path()),
        ] {
            assert!(other.current(at(NOW)).is_none(), "{other:?}");
        }
        // What was read this time is newer.
        let next = lists(folder.path(), None).0;
        next.take_over(&former);
        next.look(at(NOW));
        assert_eq!(count(&next), Some(2));
        // What the former one could not read is known to nobody.
        former.fall_silent();
        let next = taken(&["pupil"], &Canonical::default(), folder.path());
        assert!(next.current(at(NOW)).is_none());
    }

    #[test]
    fn a_list_that_never_rests_is_not_followed() {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), "S-1\n");
        let (lists, _) = lists(folder.path(), None);
        assert_eq!(count(&lists), Some(1));
        for more in 1..=11 {
            write(folder.path(), "S-1\n".repeat(more + 1));
            lists.look(at(NOW + 60));
        }
        assert!(lists.current(at(NOW + 600)).is_some());
        assert!(lists.current(at(NOW + 601)).is_none());
    }
}
