//! A second reading of what the guard lets pass. It looks for ends of lines and for nothing else:
//! where there is one way to write a message, that is enough to read it.

use http::Method;

/// A message as it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Message {
    /// The first line.
    pub(crate) start: String,
    pub(crate) body: Vec<u8>,
    /// Whether its end came.
    pub(crate) whole: bool,
}

/// The requests in `bytes`, up to one that asks to close.
pub(crate) fn requests(mut bytes: &[u8]) -> Vec<Message> {
    let mut messages = Vec::new();
    while let Some((head, rest)) = split(bytes, b"\r\n\r\n") {
        let (message, rest) = read(&head, rest, Unsaid::Nothing);
        let goes_on = message.whole && !closes(&head);
        messages.push(message);
        bytes = rest;
        if !goes_on {
            break;
        }
    }
    messages
}

/// The answer in `bytes` after the informational ones; `None` if its head is not there.
pub(crate) fn answer(mut bytes: &[u8], method: &Method) -> Option<Message> {
    loop {
        let (head, rest) = split(bytes, b"\r\n\r\n")?;
        let status = &head[9..12];
        let bodiless = *method == Method::HEAD || ["101", "204", "304"].contains(&status);
        if status.starts_with('1') && status != "101" {
            bytes = rest;
        } else if bodiless {
            return Some(read("\r\n", b"", Unsaid::Nothing).0.named(&head));
        } else {
            return Some(read(&head, rest, Unsaid::ToTheEnd).0);
        }
    }
}

impl Message {
    fn named(self, head: &str) -> Self {
        let start = head.split("\r\n").next().unwrap().to_owned();
        Self { start, ..self }
    }
}

/// What it means if a head says nothing of a body.
#[derive(PartialEq)]
enum Unsaid {
    Nothing,
    ToTheEnd,
}

fn read<'b>(head: &str, rest: &'b [u8], unsaid: Unsaid) -> (Message, &'b [u8]) {
    let (body, whole, rest) = match (value(head, "content-length"), unsaid) {
        (Some(length), _) => {
            let length: usize = length.parse().unwrap_or(usize::MAX);
            let (body, after) = rest.split_at(length.min(rest.len()));
            (body.to_vec(), body.len() == length, after)
        }
        (None, _) if value(head, "transfer-encoding").is_some() => chunks(rest),
        (None, Unsaid::Nothing) => (Vec::new(), true, rest),
        (None, Unsaid::ToTheEnd) => (rest.to_vec(), true, &rest[..0]),
    };
    let start = String::new();
    let message = Message { start, body, whole };
    (message.named(head), rest)
}

fn chunks(mut rest: &[u8]) -> (Vec<u8>, bool, &[u8]) {
    let mut body = Vec::new();
    while let Some((line, after)) = split(rest, b"\r\n") {
        let size = usize::from_str_radix(&line, 16).unwrap();
        if size == 0 {
            let end = rest.windows(4).position(|end| end == b"\r\n\r\n");
            let Some(end) = end else { break };
            return (body, true, &rest[end + 4..]);
        }
        body.extend_from_slice(&after[..size.min(after.len())]);
        let Some(next) = after.get(size.saturating_add(2)..) else {
            break;
        };
        rest = next;
    }
    (body, false, &rest[..0])
}

/// Up to the first `mark`, as Latin-1, and after it.
fn split<'b>(bytes: &'b [u8], mark: &[u8]) -> Option<(String, &'b [u8])> {
    let at = bytes
        .windows(mark.len())
        .position(|window| window == mark)?;
    let text = bytes[..at].iter().map(|byte| char::from(*byte)).collect();
    Some((text, &bytes[at + mark.len()..]))
}

fn value<'h>(head: &'h str, name: &str) -> Option<&'h str> {
    let lines = head.split("\r\n").skip(1);
    let mut pairs = lines.filter_map(|line| line.split_once(':'));
    let found = pairs.find(|(other, _)| other.eq_ignore_ascii_case(name));
    found.map(|(_, value)| value.trim_matches([' ', '\t']))
}

fn closes(head: &str) -> bool {
    let lines = head.split("\r\n").skip(1);
    let pairs = lines.filter_map(|line| line.split_once(':'));
    let mut values = pairs.filter(|(name, _)| name.eq_ignore_ascii_case("connection"));
    values.any(|(_, value)| {
        let mut options = value.split(',');
        options.any(|option| option.trim().eq_ignore_ascii_case("close"))
    })
}
