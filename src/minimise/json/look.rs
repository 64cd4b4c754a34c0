//! Reading ahead in an object before it is entered: what stands at the end of some paths in it, and
//! which identifiers do.

use super::scan::{self, Fault, Rest, Text};
use super::skip::Skip;
use crate::policy::{Glimpse, Index, Shape};
use crate::refusal::JsonFault;

/// Who looks, and for what.
pub(super) trait Seek {
    /// The keys of a path that is looked for; the first one without keys ends them.
    fn path(&self, path: usize) -> &[Box<str>];
    /// Where identifiers that are looked for stand in objects of a shape.
    fn glimpses(&self, shape: Index<Shape>) -> &[Glimpse];
    /// A scalar stands at the end of a path.
    fn value(&mut self, path: usize, scalar: &Scalar<'_>);
    /// A scalar stands where a shape's glimpse at that place is of.
    fn glimpse(&mut self, shape: Index<Shape>, place: usize, scalar: &Scalar<'_>);
}

/// What of an object was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Read {
    /// All that may hold what is looked for.
    Enough,
    /// What is looked for may still come.
    More,
}

/// Looks in the object that begins at `open`, in at most `bytes_max` bytes of it: for what stands
/// behind the paths, and for identifiers if it is of a shape with glimpses.
///
/// Read whole are the fields in which the paths and glimpses begin; without one of them, the object
/// is read to its end. The way there is read by the grammar, for what is decided there must stand
/// there; its limits are left to the second reading, when the object is entered or passed over.
pub(super) fn look(
    bytes: &[u8],
    open: usize,
    (seek, shape, room): (&mut impl Seek, Option<Index<Shape>>, &mut Room),
    bytes_max: usize,
    then: Rest,
) -> Result<Read, Fault> {
    let all = bytes.get(open..).unwrap_or_default();
    let here = all.get(..bytes_max).unwrap_or(all);
    room.open.clear();
    room.live.clear();
    room.seen.clear();
    let mut look = Look {
        bytes: here,
        at: 1,
        seek,
        room,
        left: 0,
    };
    look.begin(shape);
    match look.run() {
        Err(fault) => Err(Fault::new(fault.fault, fault.at.wrapping_add(open))),
        Ok(Read::Enough) => Ok(Read::Enough),
        Ok(Read::More) if here.len() == bytes_max => {
            Err(Fault::new(JsonFault::SwitchTooLate, open))
        }
        Ok(Read::More) if then == Rest::IsNothing => Err(Fault::new(JsonFault::Cut, bytes.len())),
        Ok(Read::More) => Ok(Read::More),
    }
}

/// A scalar that was read whole.
pub(super) struct Scalar<'a> {
    bytes: &'a [u8],
}

impl Scalar<'_> {
    /// Whether it is a string with that text.
    pub(super) fn is_text(&self, text: &str) -> bool {
        self.is_string() && is_text(self.bytes, 0, self.bytes.len(), text.as_bytes())
    }

    /// Whether it is no string and written like that.
    pub(super) fn is_bare(&self, json: &str) -> bool {
        !self.is_string() && self.bytes == json.as_bytes()
    }

    /// The text of an identifier, if it can be one: that of a string, or the digits of a number.
    pub(super) fn identifier<'s>(&'s self, room: &'s mut Vec<u8>) -> Option<&'s str> {
        let text = match self.bytes {
            [b'"', content @ .., b'"'] if content.contains(&b'\\') => {
                room.clear();
                scan::unescape(content, room);
                room
            }
            [b'"', content @ .., b'"'] => content,
            digits if digits.iter().all(u8::is_ascii_digit) => digits,
            _ => return None,
        };
        std::str::from_utf8(text).ok()
    }

    pub(super) fn is_string(&self) -> bool {
        self.bytes.first() == Some(&b'"')
    }
}

/// Something that is looked for, as far as the way there goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Live {
    /// What a glimpse of a shape is of: that shape, and its place.
    Glimpse(Index<Shape>, usize),
    /// So many keys of a path lie behind.
    Path { path: usize, keys: usize },
    /// An object of that shape.
    Shape(Index<Shape>),
}

/// A list or object on the way.
struct Open {
    /// The bracket that ends it.
    close: u8,
    /// So many of its items or keys were read.
    parts: usize,
    /// Where what is looked for in it begins in [`Room::live`], and ends.
    live: (usize, usize),
    /// Where the keys of it that matter begin in [`Room::seen`].
    seen: usize,
}

/// What stands where an item or key may stand.
enum Part {
    /// The end of the list or object.
    End,
    /// The bytes end before it.
    More,
    /// An item or key.
    Next,
}

/// What is remembered while it is looked: room that one look leaves to the next.
#[derive(Default)]
pub(super) struct Room {
    open: Vec<Open>,
    live: Vec<Live>,
    /// Of every key that mattered, of all open objects, what it led to first: the same key would
    /// lead there again.
    seen: Vec<Live>,
}

struct Look<'a, S> {
    bytes: &'a [u8],
    at: usize,
    seek: &'a mut S,
    room: &'a mut Room,
    /// So many ways begin in the outermost object at keys that did not come yet.
    left: usize,
}

impl<S: Seek> Look<'_, S> {
    fn begin(&mut self, shape: Option<Index<Shape>>) {
        let paths = (0_usize..).take_while(|path| !self.seek.path(*path).is_empty());
        let paths = paths.map(|path| Live::Path { path, keys: 0 });
        self.room.live.extend(paths);
        let glimpses = shape.map_or(0, |shape| self.seek.glimpses(shape).len());
        self.left = self.room.live.len().wrapping_add(glimpses);
        self.room.live.extend(shape.map(Live::Shape));
        self.enter(b'}', 0);
    }

    fn run(&mut self) -> Result<Read, Fault> {
        while let Some(here) = self.room.open.last() {
            let (close, parts, (from, to)) = (here.close, here.parts, here.live);
            if self.left == 0 && self.room.open.len() == 1 {
                return Ok(Read::Enough);
            }
            match self.part(parts, close)? {
                Part::More => return Ok(Read::More),
                Part::End => {
                    self.leave();
                    continue;
                }
                Part::Next => {}
            }
            if let Some(here) = self.room.open.last_mut() {
                here.parts = here.parts.wrapping_add(1);
            }
            if close == b']' {
                self.room.live.extend_from_within(from..to);
            } else if self.key((from, to))?.is_none() {
                return Ok(Read::More);
            }
            if self.value(to)? == Read::More {
                return Ok(Read::More);
            }
        }
        Ok(Read::Enough)
    }

    /// Goes to the next item or key after so many `parts`, or behind the bracket that closes.
    fn part(&mut self, parts: usize, close: u8) -> Result<Part, Fault> {
        self.at = scan::space(self.bytes, self.at);
        match self.bytes.get(self.at) {
            None => Ok(Part::More),
            Some(byte) if *byte == close => {
                self.at = self.at.wrapping_add(1);
                Ok(Part::End)
            }
            Some(_) if parts == 0 => Ok(Part::Next),
            Some(b',') => {
                self.at = scan::space(self.bytes, self.at.wrapping_add(1));
                let more = self.at == self.bytes.len();
                Ok(if more { Part::More } else { Part::Next })
            }
            Some(_) => Err(Fault::new(JsonFault::Syntax, self.at)),
        }
    }

    fn enter(&mut self, close: u8, live: usize) {
        self.room.open.push(Open {
            close,
            parts: 0,
            live: (live, self.room.live.len()),
            seen: self.room.seen.len(),
        });
    }

    fn leave(&mut self) {
        if let Some(ended) = self.room.open.pop() {
            self.room.live.truncate(ended.live.0);
            self.room.seen.truncate(ended.seen);
        }
    }

    /// Reads a key and its colon, and adds what it leads to; `None` if the bytes end before.
    fn key(&mut self, (from, to): (usize, usize)) -> Result<Option<()>, Fault> {
        let start = self.at;
        if self.bytes.get(start) != Some(&b'"') {
            return Err(Fault::new(JsonFault::Syntax, start));
        }
        let Text::Whole { end, .. } = scan::text(self.bytes, start.wrapping_add(1))? else {
            return Ok(None);
        };
        let colon = scan::space(self.bytes, end);
        match self.bytes.get(colon) {
            None => return Ok(None),
            Some(b':') => self.at = scan::space(self.bytes, colon.wrapping_add(1)),
            Some(_) => return Err(Fault::new(JsonFault::Syntax, colon)),
        }
        for place in from..to {
            let Some(live) = self.room.live.get(place).copied() else {
                continue;
            };
            self.follow(live, (start, end));
        }
        let Some(first) = self.room.live.get(to).copied() else {
            return Ok(Some(()));
        };
        let seen = self.room.open.last().map_or(0, |here| here.seen);
        if self
            .room
            .seen
            .get(seen..)
            .unwrap_or_default()
            .contains(&first)
        {
            return Err(Fault::new(JsonFault::DuplicateKey, start));
        }
        self.room.seen.push(first);
        if self.room.open.len() == 1 {
            let led = self.room.live.len().wrapping_sub(to);
            self.left = self.left.saturating_sub(led);
        }
        Ok(Some(()))
    }

    /// Adds what a key leads to on one way.
    fn follow(&mut self, live: Live, (start, end): (usize, usize)) {
        let is = |key: &str| is_text(self.bytes, start, end, key.as_bytes());
        match live {
            Live::Glimpse(..) => {}
            Live::Path { path, keys } => {
                let key = self.seek.path(path).get(keys);
                if key.is_some_and(|key| is(key)) {
                    let keys = keys.wrapping_add(1);
                    self.room.live.push(Live::Path { path, keys });
                }
            }
            Live::Shape(shape) => {
                let glimpses = self.seek.glimpses(shape).iter();
                let place = { glimpses }.position(|glimpse| is(&glimpse.key));
                let led = place.map(|place| Live::Glimpse(shape, place));
                self.room.live.extend(led);
            }
        }
    }

    /// Reads a value to which what stands in [`Room::live`] from `from` on leads, or enters it.
    fn value(&mut self, from: usize) -> Result<Read, Fault> {
        let start = self.at;
        let bracket = match self.bytes.get(start) {
            None => return Ok(Read::More),
            Some(bracket @ (b'[' | b'{')) => Some(*bracket),
            Some(_) => None,
        };
        match bracket {
            Some(b'[') => self.keep_paths(from),
            Some(_) => self.go_into(from),
            None => {}
        }
        if let (Some(bracket), true) = (bracket, from < self.room.live.len()) {
            self.at = start.wrapping_add(1);
            self.enter(if bracket == b'[' { b']' } else { b'}' }, from);
            return Ok(Read::Enough);
        }
        if !self.pass()? {
            return Ok(Read::More);
        }
        let bytes = self.bytes.get(start..self.at).unwrap_or_default();
        for live in self.room.live.drain(from..) {
            tell(self.seek, live, &Scalar { bytes });
        }
        Ok(Read::Enough)
    }

    /// Of a list, only the paths lead on: its items are records of their own.
    fn keep_paths(&mut self, from: usize) {
        let mut place = 0_usize;
        self.room.live.retain(|live| {
            let inner = place >= from;
            place = place.wrapping_add(1);
            !inner || matches!(live, Live::Path { .. })
        });
    }

    /// What is looked for in an object, of what led to it.
    fn go_into(&mut self, from: usize) {
        let to = self.room.live.len();
        for place in from..to {
            match self.room.live.get(place).copied() {
                Some(live @ Live::Path { path, keys }) if keys < self.seek.path(path).len() => {
                    self.room.live.push(live);
                }
                Some(Live::Glimpse(shape, place)) => self.go_into_shapes(to, (shape, place)),
                Some(Live::Path { .. } | Live::Shape(_)) | None => {}
            }
        }
        self.room.live.drain(from..to);
    }

    /// The shapes that the object behind a glimpse can have, each once.
    fn go_into_shapes(&mut self, from: usize, (shape, place): (Index<Shape>, usize)) {
        let glimpse = self.seek.glimpses(shape).get(place);
        for inside in glimpse.into_iter().flat_map(|it| &it.inside) {
            let inside = Live::Shape(*inside);
            let known = self.room.live.get(from..).unwrap_or_default();
            if !known.contains(&inside) {
                self.room.live.push(inside);
            }
        }
    }

    /// Passes over any value; `false` if the bytes end before it does.
    fn pass(&mut self) -> Result<bool, Fault> {
        let start = self.at;
        let end = match self.bytes.get(start) {
            None => return Ok(false),
            Some(b'"') => match scan::text(self.bytes, start.wrapping_add(1))? {
                Text::Whole { end, .. } => end,
                Text::Part { .. } => return Ok(false),
            },
            Some(b'[' | b'{') => {
                let mut skip = Skip::default();
                skip.container();
                let end = skip.run(self.bytes, start, usize::MAX)?;
                if skip.is_active() {
                    return Ok(false);
                }
                end
            }
            Some(b't') => return self.word(b"true"),
            Some(b'f') => return self.word(b"false"),
            Some(b'n') => return self.word(b"null"),
            Some(b'-' | b'0'..=b'9' | b'+' | b'.' | b'N' | b'I') => {
                match scan::number(self.bytes, start, Rest::Comes, usize::MAX)? {
                    None => return Ok(false),
                    Some(number) => number.end,
                }
            }
            Some(_) => return Err(Fault::new(JsonFault::Syntax, start)),
        };
        self.at = end;
        Ok(true)
    }

    fn word(&mut self, word: &[u8]) -> Result<bool, Fault> {
        let end = scan::literal(self.bytes, self.at, word)?;
        self.at = end.unwrap_or(self.at);
        Ok(end.is_some())
    }
}

/// Says what a scalar is, of all that led to it.
fn tell(seek: &mut impl Seek, live: Live, scalar: &Scalar<'_>) {
    match live {
        Live::Path { path, keys } if keys == seek.path(path).len() => seek.value(path, scalar),
        Live::Glimpse(shape, place) => seek.glimpse(shape, place, scalar),
        Live::Path { .. } | Live::Shape(_) => {}
    }
}

/// Whether the string from quote to quote is that text.
fn is_text(bytes: &[u8], start: usize, end: usize, text: &[u8]) -> bool {
    let content = bytes
        .get(start.wrapping_add(1)..end.wrapping_sub(1))
        .unwrap_or_default();
    if !content.contains(&b'\\') {
        return content == text;
    }
    let mut plain = Vec::with_capacity(content.len());
    scan::unescape(content, &mut plain);
    plain == text
}
