//! Floods over HTTP/2: frames without end that carry nothing of a request, or of none that is
//! served.

use std::fmt::Write as _;
use std::io::Write as _;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};

use super::h2::{
    ACK, CONTINUATION, Connection, DATA, END_HEADERS, END_STREAM, End, HEADERS, PING, PRIORITY,
    RST_STREAM, SETTINGS, WINDOW_UPDATE, block, field, foreign, frame, in_frames, open, open_with,
    pulling, pushing, with,
};
use crate::harness::House;
use crate::harness::upstream::ok;
use crate::wire::figures::{OTHERS, start_speaking};
use crate::wire::grammar::numbered;
use crate::wire::vendor::{Seen, Step, Vendor};
use crate::wire::{FIRST, markers, right_answer};

/// What tells a caller to go away because of its frames (RFC 9113 section 7).
const ENHANCE_YOUR_CALM: u32 = 11;

/// Frames without end: what is sent first, and then over and over.
type Flood = (&'static str, Vec<u8>, fn(u32) -> Vec<u8>);

fn floods() -> Vec<Flood> {
    let open = frame(HEADERS, END_HEADERS, 1, &block(&pushing()));
    let in_head = frame(HEADERS, 0, 1, &block(&pulling()));
    vec![
        ("requests that are reset", vec![], |number| {
            let stream = 2 * number + 1;
            let head = numbered(&block(&pulling()), FIRST);
            let head = frame(HEADERS, END_HEADERS | END_STREAM, stream, &head);
            [head, frame(RST_STREAM, 0, stream, &[0, 0, 0, 8])].concat()
        }),
        ("requests that are no requests", vec![], |number| {
            frame(
                HEADERS,
                END_HEADERS | END_STREAM,
                2 * number + 1,
                &field("x", "y"),
            )
        }),
        ("CONTINUATION", in_head, |_| {
            frame(CONTINUATION, 0, 1, &field("x", "y"))
        }),
        ("empty DATA", open, |_| frame(DATA, 0, 1, &[])),
    ]
}

/// Frames that cost little each, and that nobody has a use for.
pub(crate) fn endless() -> Vec<(&'static str, Vec<u8>)> {
    let setting = [0, 4, 0, 0, 0xff, 0xff];
    vec![
        ("PING", frame(PING, 0, 0, &[7; 8])),
        ("PING that acknowledges", frame(PING, ACK, 0, &[7; 8])),
        ("SETTINGS", frame(SETTINGS, 0, 0, &setting)),
        ("SETTINGS of nothing", frame(SETTINGS, 0, 0, &[])),
        (
            "SETTINGS of many",
            frame(SETTINGS, 0, 0, &setting.repeat(20)),
        ),
        ("PRIORITY", frame(PRIORITY, 0, 1, &[0, 0, 0, 0, 1])),
        ("WINDOW_UPDATE", frame(WINDOW_UPDATE, 0, 0, &[0, 0, 0, 1])),
        ("frames of no known kind", frame(0x42, 0, 0, &[0; 64])),
        (
            "PRIORITY_UPDATE",
            frame(0x10, 0, 0, &[0, 0, 0, 1, b'u', b'=', b'1']),
        ),
    ]
}

/// Within that a flood has ended its connection.
const SOON: Duration = Duration::from_secs(1);
/// More than are taken of any kind at once.
pub(crate) const TOO_MANY: usize = 4_000;

/// What becomes of a connection on which so many frames come at once, and of a request after them.
fn end_of_flood(house: &House, again: &[u8], times: usize) -> End {
    let mut connection = Connection::new(house);
    let request = numbered(&in_frames(&block(&pulling())), FIRST);
    connection.send(&[again.repeat(times), request].concat());
    let end = connection.end_of(1);
    if let End::Over(_) = end {
        assert_eq!(connection.next(), None);
    }
    end
}

#[test]
fn frames_that_nobody_needs_end_their_connection_and_it_is_told_why() {
    let (house, vendor) = open();
    let over = End::Over(Some(ENHANCE_YOUR_CALM));
    for (name, again) in endless() {
        let begun = Instant::now();
        assert_eq!(end_of_flood(&house, &again, TOO_MANY), over, "{name}");
        assert!(begun.elapsed() < SOON, "{name}");
        // What a busy caller may send in a moment.
        let end = end_of_flood(&house, &again, 500);
        assert_eq!(end, End::Answered(200), "{name}");
    }
    let count = endless().len();
    let line = format!("sluis_connections_failed_total{{fault=\"http2_flood\"}} {count}\n");
    let begun = Instant::now();
    // The last one is over a moment after it was told.
    while !house.metrics().contains(&line) {
        assert!(begun.elapsed() < SOON, "{}", house.metrics());
        thread::yield_now();
    }
    assert_eq!(
        vendor.seen().len(),
        count,
        "requests behind a flood went on"
    );
    let odd = vendor.seen().iter().find_map(|seen| foreign(&house, seen));
    assert_eq!(odd, None);
    house.search(&markers(), &[("the vendor", &vendor.bytes())]);
}

#[test]
fn a_flood_while_an_answer_is_awaited_ends_that_too() {
    let (house, vendor) = open_with("", |_: &Seen| vec![Step::Hold]);
    let mut connection = Connection::new(&house);
    connection.send(&numbered(&in_frames(&block(&pulling())), FIRST));
    vendor.await_seen(1);
    connection.send(&frame(PING, 0, 0, &[7; 8]).repeat(TOO_MANY));
    assert_eq!(connection.end_of(1), End::Over(Some(ENHANCE_YOUR_CALM)));
    vendor.await_closed(1);
    house.search(&markers(), &[("the vendor", &vendor.bytes())]);
}

#[test]
fn whoever_has_sent_much_more_is_told_all_the_same() {
    let (house, vendor) = open();
    // More than is read at once, and less than is read on.
    let many = frame(0x42, 0, 0, &[0; 1_000]).repeat(2_500);
    let mut connection = Connection::new(&house);
    assert!(connection.send(&many), "it is not read on");
    assert_eq!(connection.end_of(1), End::Over(Some(ENHANCE_YOUR_CALM)));
    assert_eq!(connection.next(), None);
    house.search(&markers(), &[("the vendor", &vendor.bytes())]);
}

#[test]
fn whoever_floods_on_and_on_is_read_on_for_a_moment_only() {
    let (house, vendor) = open();
    let mut connection = Connection::new(&house);
    // Refused before its body has come, the rest of which would be waited for longer.
    let head = with(":path", &["/nowhere"]);
    connection.send(&frame(HEADERS, END_HEADERS, 1, &block(&head)));
    assert_eq!(connection.end_of(1), End::Answered(404));
    let many = frame(PING, ACK, 0, &[7; 8]).repeat(TOO_MANY);
    let begun = Instant::now();
    while connection.send(&many) {
        assert!(begun.elapsed() < SOON, "it is read on");
    }
    house.search(&markers(), &[("the vendor", &vendor.bytes())]);
}

#[test]
fn a_budget_of_frames_can_be_set_and_ends_with_that_word_whatever_is_set_beside_it() {
    let ping = frame(PING, ACK, 0, &[7; 8]);
    let over = End::Over(Some(ENHANCE_YOUR_CALM));
    for (limits, answered, ended) in [
        ("h2-control-frames = 100", 90, 110),
        ("h2-control-frames = 3000", 2_990, 3_020),
        ("h2-header-list = \"1 MiB\"", 990, 1_020),
        (
            "h2-header-list = \"1 KiB\"\nh2-frame = 16777215",
            990,
            1_020,
        ),
    ] {
        let (house, vendor) = open_with(limits, right_answer);
        let end = end_of_flood(&house, &ping, answered);
        assert_eq!(end, End::Answered(200), "{limits}");
        assert_eq!(end_of_flood(&house, &ping, ended), over, "{limits}");
        house.search(&markers(), &[("the vendor", &vendor.bytes())]);
    }
}

/// Reads an answer, and opens the windows for each piece of it as it comes. Gives the pieces.
fn acknowledge_all(connection: &mut Connection, wanted: u32) -> usize {
    let mut pieces = 0;
    loop {
        let (kind, flags, stream, payload) = connection.next().unwrap();
        assert!(
            [DATA, HEADERS, SETTINGS, WINDOW_UPDATE].contains(&kind),
            "{kind}: {payload:?}"
        );
        if kind != DATA || stream != wanted {
            continue;
        }
        pieces += 1;
        let more = u32::try_from(payload.len()).unwrap().to_be_bytes();
        if more != [0; 4] {
            let windows = [0, stream].map(|it| frame(WINDOW_UPDATE, 0, it, &more));
            connection.send(&windows.concat());
        }
        if flags & END_STREAM != 0 {
            return pieces;
        }
    }
}

#[test]
fn a_caller_may_acknowledge_every_piece_of_every_answer() {
    let users: Vec<String> = (0..30_000)
        .map(|at| format!(r#"{{"grade":{at}}}"#))
        .collect();
    let long = ok(&format!(r#"{{"users":[{}]}}"#, users.join(",")));
    let (house, vendor) = open_with("", move |seen: &Seen| match seen.number() {
        Some(FIRST) => vec![Step::Send(long.clone().into_bytes())],
        Some(_) | None => right_answer(seen),
    });
    let mut connection = Connection::new(&house);
    // It opens a small window only, so that there are many pieces.
    connection.send(&frame(SETTINGS, 0, 0, &[0, 4, 0, 0, 0, 200]));
    let head = block(&pulling());
    connection.send(&numbered(&in_frames(&head), FIRST));
    let pieces = acknowledge_all(&mut connection, 1);
    assert!(pieces > 2_000, "{pieces} pieces");
    // Small answers, each with a window for the stream as well, and a priority.
    for (stream, number) in (3..).step_by(2).zip(FIRST + 1..).take(1_500) {
        let request = frame(HEADERS, END_HEADERS | END_STREAM, stream, &head);
        let id = stream.to_be_bytes();
        let priority = frame(0x10, 0, 0, &[&id[..], b"u=1"].concat());
        connection.send(&numbered(&[priority, request].concat(), number));
        assert_eq!(acknowledge_all(&mut connection, stream), 1);
    }
    house.search(&markers(), &[("the vendor", &vendor.bytes())]);
}

/// Floods on one connection after the other until it is over, and counts those that were ended.
fn flood_on(house: &House, flood: &Flood, (ended, over): (&AtomicU32, &AtomicBool)) {
    let (_, first, again) = flood;
    let numbers = (0..MANY).collect::<Vec<_>>();
    while !over.load(Ordering::Relaxed) {
        let mut connection = Connection::new(house);
        connection.send(first);
        // As many as it takes; the socket may swallow them all before the first is looked at.
        let pieces = numbers.chunks(500);
        let mut pieces = pieces.map(|piece| piece.iter().flat_map(|at| again(*at)).collect());
        pieces.all(|piece: Vec<u8>| connection.send(&piece));
        // To the end: a connection that goes on has nothing to say, and nobody waits for that.
        while connection.next().is_some() {}
        ended.fetch_add(1, Ordering::Relaxed);
    }
}

#[test]
fn a_flood_is_ended_and_hinders_nobody() {
    let (house, vendor) = open();
    let (mut asked, mut resets) = (0, 0);
    for flood in all_floods() {
        let (ended, over) = (AtomicU32::new(0), AtomicBool::new(false));
        thread::scope(|scope| {
            let flooding = scope.spawn(|| flood_on(&house, &flood, (&ended, &over)));
            let mut other = Connection::new(&house);
            // For as long as one flood lasts, and a little longer.
            let goes_on = || !flooding.is_finished() && ended.load(Ordering::Relaxed) == 0;
            for stream in (1..).step_by(2).take_while(|it| *it < 40 || goes_on()) {
                let head = numbered(&block(&pulling()), FIRST + 1);
                other.send(&frame(HEADERS, END_HEADERS | END_STREAM, stream, &head));
                assert_eq!(other.end_of(stream), End::Answered(200), "{}", flood.0);
                asked += 1;
            }
            over.store(true, Ordering::Relaxed);
            flooding.join().unwrap();
        });
        if flood.0 == "requests that are reset" {
            resets = ended.into_inner();
        }
    }
    assert_eq!(vendor.seen_of(FIRST + 1).len(), asked);
    // Of those that were reset at once, few were begun at all.
    let (begun, most) = (vendor.seen_of(FIRST).len(), 200 * resets);
    assert!(
        begun < usize::try_from(most).unwrap(),
        "{begun} requests were forwarded"
    );
    house.search(&markers(), &[("the vendor", &vendor.bytes())]);
}

/// How many frames of each kind come for the table.
const MANY: u32 = 20_000;

/// All kinds of the table.
fn all_floods() -> Vec<Flood> {
    let open = || frame(HEADERS, END_HEADERS, 1, &block(&pushing()));
    // One field of 4 KB, which is remembered and then said over and over in a byte each.
    let entry = [&[0x40, 1, b'x', 127, 0xb1, 0x1e][..], &[b'y'; 4_000]].concat();
    let bomb = frame(HEADERS, END_HEADERS | END_STREAM, 1, &entry);
    let setting = |count: usize| {
        let one = [0, 4, 0, 0, 0xff, 0xff];
        frame(SETTINGS, 0, 0, &one.repeat(count))
    };
    let mut all: Vec<Flood> = vec![
        ("PING", vec![], |_| frame(PING, 0, 0, &[7; 8])),
        ("PING that acknowledges", vec![], |_| {
            frame(PING, ACK, 0, &[7; 8])
        }),
        ("SETTINGS", setting(1), |_| {
            frame(SETTINGS, 0, 0, &[0, 4, 0, 0, 0xff, 0xff])
        }),
        ("SETTINGS of 500", setting(1), |_| {
            frame(SETTINGS, 0, 0, &[0, 4, 0, 0, 0xff, 0xff].repeat(500))
        }),
        ("PRIORITY", vec![], |_| {
            frame(PRIORITY, 0, 1, &[0, 0, 0, 0, 1])
        }),
        ("WINDOW_UPDATE", vec![], |_| {
            frame(WINDOW_UPDATE, 0, 0, &[0, 0, 0, 1])
        }),
        ("frames of no known kind", vec![], |_| {
            frame(0x42, 0, 0, &[0; 64])
        }),
        ("DATA of a byte", open(), |_| frame(DATA, 0, 1, b" ")),
        ("RST_STREAM of what never was", vec![], |_| {
            frame(RST_STREAM, 0, 1, &[0, 0, 0, 8])
        }),
        ("HPACK bombs", bomb, |number| {
            frame(
                HEADERS,
                END_HEADERS | END_STREAM,
                2 * number + 3,
                &[0xbe; 500],
            )
        }),
    ];
    all.extend(floods());
    all
}

/// Whoever is flooded: how it is reached, and its process.
struct Flooded<'c> {
    name: &'static str,
    connect: &'c (dyn Fn() -> Connection + Sync),
    /// Ours is the one of the test, whose callers and vendors are counted too.
    process: u32,
}

/// What it did under one flood.
struct Figures {
    ended: Duration,
    end: End,
    cpu: Duration,
    memory_kib: u64,
}

impl Flooded<'_> {
    /// CPU time of all its threads but this one.
    fn cpu(&self) -> Duration {
        let tasks = std::fs::read_dir(format!("/proc/{}/task", self.process)).unwrap();
        let times = tasks.map(|task| {
            let file = task.unwrap().path().join("schedstat");
            // One that has just ended has none.
            let text = std::fs::read_to_string(file).unwrap_or_default();
            let nanoseconds = text.split(' ').next().unwrap();
            Duration::from_nanos(nanoseconds.parse().unwrap_or_default())
        });
        let own = match self.process == std::process::id() {
            true => clock_gettime(ClockId::ThreadCPUTime).try_into().unwrap(),
            false => Duration::ZERO,
        };
        times.sum::<Duration>().saturating_sub(own)
    }

    fn memory_kib(&self) -> u64 {
        let statm = std::fs::read_to_string(format!("/proc/{}/statm", self.process)).unwrap();
        let pages: u64 = statm.split(' ').nth(1).unwrap().parse().unwrap();
        pages * 4
    }

    /// Sends a flood, and then a request to see whether the connection is served on.
    fn under(&self, first: &[u8], frames: &[Vec<u8>]) -> Figures {
        let mut connection = (self.connect)();
        let head = numbered(&block(&pulling()), FIRST);
        let last = frame(HEADERS, END_HEADERS | END_STREAM, 99_999, &head);
        let (begun, base, before) = (Instant::now(), self.memory_kib(), self.cpu());
        let mut most = base;
        connection.send(first);
        for piece in frames {
            if !connection.send(piece) || begun.elapsed() > Duration::from_secs(5) {
                break;
            }
            most = most.max(self.memory_kib());
        }
        let sent = connection.send(&last);
        let end = match sent {
            true => connection.end_of(99_999),
            false => End::Over(None),
        };
        let ended = begun.elapsed();
        // What is under way on a processor is counted when it rests.
        thread::sleep(Duration::from_millis(20));
        Figures {
            ended,
            end,
            cpu: self.cpu().saturating_sub(before),
            memory_kib: most.max(self.memory_kib()).saturating_sub(base),
        }
    }

    /// The longest that another caller waits for an answer while `work` is done, and at least so
    /// often.
    fn slowest_meanwhile(&self, count: u32, work: impl FnOnce() + Send) -> Duration {
        thread::scope(|scope| {
            let work = scope.spawn(work);
            let mut other = (self.connect)();
            let again = (0..).take_while(|number| *number <= count || !work.is_finished());
            let slowest = again.map(|number| wait(&mut other, 2 * number + 1)).max();
            work.join().unwrap();
            slowest.unwrap()
        })
    }

    /// Its column: when it ended a flood, CPU, memory and another's slowest request.
    fn column(&self) -> Vec<String> {
        let usual = self.slowest_meanwhile(1_000, || ());
        let mut cells = vec![format!("– / – / – / {}", ms(usual))];
        for (_, first, again) in all_floods() {
            let numbers: Vec<u32> = (0..MANY).collect();
            let pieces = numbers.chunks(500);
            let pieces = pieces.map(|piece| piece.iter().flat_map(|at| again(*at)).collect());
            let frames: Vec<Vec<u8>> = pieces.collect();
            let alone = self.under(&first, &frames);
            let slowest = self.slowest_meanwhile(100, || {
                self.under(&first, &frames);
            });
            let ended = match alone.end {
                End::Over(_) => ms(alone.ended),
                End::Answered(_) | End::Reset => "served on".to_owned(),
            };
            let (cpu, memory, slowest) = (ms(alone.cpu), alone.memory_kib, ms(slowest));
            cells.push(format!("{ended} / {cpu} / {memory} KiB / {slowest}"));
        }
        cells
    }
}

/// How long a request on that stream waits for its answer.
fn wait(connection: &mut Connection, stream: u32) -> Duration {
    let begun = Instant::now();
    let head = numbered(&block(&pulling()), FIRST);
    connection.send(&frame(HEADERS, END_HEADERS | END_STREAM, stream, &head));
    assert_eq!(connection.end_of(stream), End::Answered(200));
    begun.elapsed()
}

/// As the table has it.
fn ms(time: Duration) -> String {
    format!("{:.1} ms", time.as_secs_f64() * 1e3)
}

#[test]
#[ignore = "measures: wants a quiet machine"]
fn long_flood_figures_beside_other_proxies() {
    let (house, vendor) = open();
    let ours = Flooded {
        name: "Sluis",
        connect: &|| Connection::new(&house),
        process: std::process::id(),
    };
    let mut columns = vec![(ours.name, ours.column())];
    for (recipe, protocol) in OTHERS.iter().zip([" http2", " proto h2"]) {
        let folder = tempfile::tempdir().unwrap();
        let (_vendor, upstream) = Vendor::answering(right_answer);
        let begun = start_speaking(recipe, folder.path(), upstream.address, protocol);
        if let Some((other, address)) = begun {
            let flooded = Flooded {
                name: recipe.0,
                connect: &|| Connection::in_plain(address),
                process: other.id(),
            };
            columns.push((flooded.name, flooded.column()));
        }
    }
    let mut table = "| flood |".to_owned();
    columns
        .iter()
        .for_each(|(name, _)| write!(table, " {name} |").unwrap());
    let names = all_floods().into_iter().map(|it| it.0);
    for (at, name) in std::iter::once("none").chain(names).enumerate() {
        write!(table, "\n| {name} |").unwrap();
        columns
            .iter()
            .for_each(|(_, cells)| write!(table, " {} |", cells[at]).unwrap());
    }
    std::io::stdout()
        .write_all((table + "\n").as_bytes())
        .unwrap();
    let served_on = |cell: &String| cell.starts_with("served on");
    assert!(!columns[0].1.iter().any(served_on), "a flood goes on");
    house.search(&markers(), &[("the vendor", &vendor.bytes())]);
}
