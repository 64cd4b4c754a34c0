//! The head of a message: its path, query and status.
//!
//! Nothing of a caller's head is copied. A target is matched on decoded segments and built anew
//! from the route's own template.

mod answer;
mod choice;
mod filter;
mod links;
mod place;
mod query;

pub(super) use place::{names_objected, translate};
pub(super) use query::Ids;

pub use answer::{AnswerHead, AnswerLines, Answered, NextPage, answer};

use std::borrow::Cow;
use std::fmt::Write as _;

use bytes::Bytes;

use super::value::is_parameter;
use super::{Cleared, Counts, Crossing, Trail};
use crate::policy::{Content, Flow, Method, Methods, Policy, Route, Segment};
use crate::pseudonym::Asked;
use crate::refusal::{Bug, Reference, Refusal};
use query::write_query;

/// A request that may go on, as far as its head tells.
#[derive(Debug)]
pub struct RequestHead {
    /// The place of its route in the flow.
    pub route: usize,
    /// What the upstream gets to see of it.
    pub outbound: Cleared<OutboundHead>,
    /// What the identifiers in its path and query leave behind.
    pub trail: Trail,
}

/// The head of a request as the upstream sees it; the wire adds host, lengths and credentials.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutboundHead {
    /// The method.
    pub method: Method,
    /// Path and query below the upstream's own base path; begins with a slash, or is empty.
    pub target: String,
}

/// For a request that is sent twice: what has passed a policy once has passed it.
impl Clone for Cleared<OutboundHead> {
    fn clone(&self) -> Self {
        Self::new(self.look().clone())
    }
}

/// A request line that a route answers.
#[derive(Debug)]
pub struct RouteFound<'l> {
    /// The place of the route in the flow.
    pub route: usize,
    method: Method,
    segments: Vec<Cow<'l, str>>,
    line: RequestLine<'l>,
}

/// Why no route answers a request line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoRoute {
    /// The reason.
    pub refusal: Refusal,
    /// The methods that the path is served with; none for another reason than its method.
    pub allowed: Methods,
}

impl From<NoRoute> for Refusal {
    fn from(none: NoRoute) -> Self {
        none.refusal
    }
}

impl From<Refusal> for NoRoute {
    fn from(refusal: Refusal) -> Self {
        Self {
            refusal,
            allowed: Methods::default(),
        }
    }
}

/// Finds the route of the flow at that place that answers a request line.
///
/// # Errors
/// [`Refusal::PathInvalid`] for what is no path at all, or for a parameter of another type;
/// [`Refusal::RouteUnknown`], [`Refusal::MethodNotListed`].
pub fn find<'l>(
    policy: &Policy,
    flow: usize,
    line: RequestLine<'l>,
) -> Result<RouteFound<'l>, NoRoute> {
    let flow = policy.flows.get(flow);
    let flow = flow.ok_or(Refusal::Bug(Bug::Policy))?;
    let segments = segments(line.path, Escapes::Plain)?;
    let method = Method::parse(line.method);
    let mut allowed = Methods::default();
    let answers = |route: &Route| {
        // Of two with the same method the first answers, and says whether HEAD goes with GET.
        let served = match allowed.has(route.method) {
            true => Methods::default(),
            false => served(policy, flow, route),
        };
        allowed = allowed.with(served);
        method.is_some_and(|method| served.has(method))
    };
    match search(flow, &segments, answers) {
        Ok((place, route)) => Ok(RouteFound {
            route: place,
            // Its own, but for HEAD, which has no route.
            method: method.unwrap_or(route.method),
            segments,
            line,
        }),
        Err(refusal) => Err(NoRoute { refusal, allowed }),
    }
}

/// The methods that a route answers: its own, and HEAD where that is GET. The head alone of what
/// may be withheld would say that there is something.
fn served(policy: &Policy, flow: &Flow, route: &Route) -> Methods {
    let own = Methods::default().and(route.method);
    match route.method == Method::Get && !policy.may_hide(flow, route) {
        true => own.and(Method::Head),
        false => own,
    }
}

/// Builds the head that goes on of a request whose route was found in the flow at that place.
///
/// What is done to identifiers in it is counted, also if it is refused.
///
/// # Errors
/// In this order: [`Refusal::QueryInvalid`], [`Refusal::IdentifierInvalid`];
/// [`Refusal::TargetUnknown`] for a pseudonym that is nobody's, at the first asking perhaps only so
/// far.
pub fn request(
    crossing: &Crossing,
    flow: usize,
    found: &RouteFound<'_>,
    asked: Asked,
    counts: &mut Counts,
) -> Result<RequestHead, Refusal> {
    let flow = crossing.law.policy.flows.get(flow);
    let route = flow.and_then(|flow| Some((flow, flow.routes.get(found.route)?)));
    let (flow, route) = route.ok_or(Refusal::Bug(Bug::Policy))?;
    let RequestLine { path, query, .. } = found.line;
    let mut ids = Ids::asking(crossing, flow.caller, asked, counts);
    let mut target = String::with_capacity(path.len().saturating_add(64));
    let rest = (&*found.segments, query.unwrap_or_default());
    write_target(&mut ids, route, rest, &mut target)?;
    let outbound = OutboundHead {
        method: found.method,
        target,
    };
    Ok(RequestHead {
        route: found.route,
        outbound: Cleared::new(outbound),
        trail: ids.trail,
    })
}

/// Writes path and query of a route anew.
fn write_target<'c>(
    ids: &mut Ids<'c>,
    route: &'c Route,
    (segments, query): (&[Cow<'_, str>], &str),
    target: &mut String,
) -> Result<(), Refusal> {
    ids.route = &route.name;
    for (place, (segment, text)) in route.path.iter().zip(segments).enumerate() {
        target.push('/');
        match segment {
            Segment::Identifier(kind) => ids.write(*kind, text, target)?,
            Segment::Literal(_) => encode(text, target),
            Segment::Parameter(of) => {
                ids.pass_segment(of, segments.get(..=place).unwrap_or_default())?;
                encode(text, target);
            }
        }
    }
    write_query(ids, route, query, target)
}

/// The first line of a request, as it came.
#[derive(Clone, Copy, Debug)]
pub struct RequestLine<'h> {
    /// The method.
    pub method: &'h str,
    /// What of the raw path is left behind the flow's door: empty, or beginning with a slash.
    pub path: &'h str,
    /// Raw, without its question mark.
    pub query: Option<&'h str>,
}

/// Whose credentials an upstream was shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Credentials {
    /// The caller's own: what the upstream thinks of them is the caller's business.
    Callers,
    /// The gateway's: if they are refused, the gateway is at fault.
    Ours,
}

/// Which statuses of an upstream may be answered with, and what such an answer may carry, if that
/// is `declared`.
///
/// # Errors
/// [`Refusal::UpstreamUnexpected`] for 1xx, 3xx, 206 and what is no status;
/// [`Refusal::UpstreamAuthentication`] for 407, and for 401 and 403 against our own credentials;
/// [`Refusal::UpstreamError`] for all other 4xx and 5xx of which nothing is declared: their status
/// passes without a body.
pub const fn answer_status(
    status: u16,
    credentials: Credentials,
    declared: Option<Content>,
) -> Result<(Cleared<u16>, Content), Refusal> {
    match (status, credentials, declared) {
        (206, ..) => Err(Refusal::UpstreamUnexpected { status }),
        (407, ..) | (401 | 403, Credentials::Ours, _) => Err(Refusal::UpstreamAuthentication),
        (200..=299 | 400..=599, _, Some(content)) => Ok((Cleared::new(status), content)),
        (400..=599, _, None) => Err(Refusal::UpstreamError { status }),
        _ => Err(Refusal::UpstreamUnexpected { status }),
    }
}

/// The problem document (RFC 9457) of a refusal.
///
/// Cleared by its types: a [`Refusal`] has no room for anything of a message, and a [`Reference`]
/// is made of nothing.
#[must_use]
pub fn problem(refusal: Refusal, status: u16, reference: Option<Reference>) -> Cleared<Bytes> {
    let (code, title, words) = (refusal.code(), refusal.title(), refusal.words());
    let mut text = String::with_capacity(256);
    // Codes and words are ours and hold no character that JSON would escape: a test looks.
    let written = write!(
        text,
        r#"{{"type":"urn:sluis:refusal:{code}","title":"{title}","status":{status},"code":"{code}""#
    );
    debug_assert!(written.is_ok(), "a String takes what is written");
    if words != title {
        let written = write!(text, r#","detail":"{words}""#);
        debug_assert!(written.is_ok(), "a String takes what is written");
    }
    if let Some(at) = refusal.at() {
        let written = write!(text, r#","at":{at}"#);
        debug_assert!(written.is_ok(), "a String takes what is written");
    }
    if let Some(reference) = reference {
        let written = write!(text, r#","instance":"{reference}""#);
        debug_assert!(written.is_ok(), "a String takes what is written");
    }
    text.push('}');
    Cleared::new(Bytes::from(text))
}

/// What may stand behind an escape.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Escapes {
    /// Whatever the school's identifiers are made of: in a link of its own. It is split before it
    /// is decoded, and what is in it leaves as a pseudonym, or escaped again.
    Any,
    /// Nothing that could be taken for something else further on: in what a caller asks.
    Plain,
    /// The same in a query, which a slash does not split (RFC 3986 section 3.4).
    PlainInQuery,
}

impl Escapes {
    /// The same in a query.
    const fn in_query(self) -> Self {
        match self {
            Self::Any => Self::Any,
            Self::Plain | Self::PlainInQuery => Self::PlainInQuery,
        }
    }

    /// Whether a sign that RFC 3986 wants escaped in a query may stand there as it is: many servers
    /// repeat a filter in their links as they read it, and write `page[number]` as it is called.
    fn may_miss(self, byte: u8) -> bool {
        self == Self::Any && (b" \"<>[]".contains(&byte) || !byte.is_ascii())
    }

    /// What may not stand behind one, besides control characters.
    const fn hidden(self) -> &'static [u8] {
        match self {
            Self::Any => b"",
            Self::Plain => b"%/\\;",
            Self::PlainInQuery => b"%\\;",
        }
    }
}

/// The segments that a path stands for, with or without a slash at its end, and the query.
fn path_and_query(target: &str) -> Option<(Vec<Cow<'_, str>>, &str)> {
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let path = path.strip_suffix('/').unwrap_or(path);
    Some((segments(path, Escapes::Any).ok()?, query))
}

/// The decoded segments of a raw path; none for an empty path or a lone slash.
fn segments(path: &str, escapes: Escapes) -> Result<Vec<Cow<'_, str>>, Refusal> {
    match path.strip_prefix('/') {
        None if path.is_empty() => Ok(Vec::new()),
        None => Err(Refusal::PathInvalid),
        Some("") => Ok(Vec::new()),
        Some(rest) => { rest.split('/') }
            .map(|raw| segment(raw, escapes))
            .collect(),
    }
}

fn segment(raw: &str, escapes: Escapes) -> Result<Cow<'_, str>, Refusal> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,=:@%".contains(&byte);
    if raw.is_empty() || !raw.bytes().all(plain) {
        return Err(Refusal::PathInvalid);
    }
    let text = decode(raw, escapes).ok_or(Refusal::PathInvalid)?;
    if text == "." || text == ".." {
        return Err(Refusal::PathInvalid);
    }
    Ok(text)
}

/// Percent-decodes once; `None` for a bad escape, bad UTF-8, and for what must not hide behind an
/// escape: control characters, and what is [hidden](Escapes::hidden) there.
fn decode(raw: &str, escapes: Escapes) -> Option<Cow<'_, str>> {
    if !raw.contains('%') {
        return Some(Cow::Borrowed(raw));
    }
    let mut bytes = Vec::with_capacity(raw.len());
    let mut rest = raw.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        rest = after;
        if *first != b'%' {
            bytes.push(*first);
            continue;
        }
        let (digits, after) = rest.split_first_chunk::<2>()?;
        let byte = data_encoding::HEXLOWER_PERMISSIVE.decode(digits).ok()?;
        let [byte] = byte.as_slice() else { return None };
        if escapes.hidden().contains(byte) || byte.is_ascii_control() {
            return None;
        }
        bytes.push(*byte);
        rest = after;
    }
    let text = String::from_utf8(bytes).ok()?;
    (!text.chars().any(char::is_control)).then_some(Cow::Owned(text))
}

/// The name of a parameter in the query of a request, as it is compared; `None` if no request may
/// write one so.
pub(crate) fn parameter_name(raw: &str) -> Option<Cow<'_, str>> {
    decode(raw, Escapes::PlainInQuery)
}

/// Whether a request may have a parameter of that name, decoded: nothing in it must be
/// [hidden](Escapes::hidden) behind an escape.
pub(crate) fn is_parameter_name(name: &str) -> bool {
    let hidden = Escapes::PlainInQuery.hidden();
    !name.chars().any(char::is_control) && !name.bytes().any(|byte| hidden.contains(&byte))
}

/// Percent-encodes everything but the unreserved characters of RFC 3986 section 2.3.
pub(super) fn encode(text: &str, target: &mut String) {
    for byte in text.bytes() {
        if is_unreserved(byte) {
            target.push(char::from(byte));
        } else {
            let written = write!(target, "%{byte:02X}");
            debug_assert!(written.is_ok(), "a String takes what is written");
        }
    }
}

pub(super) const fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~')
}

/// How well a route fits a path.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Fit {
    Not,
    ButAParameter,
    Whole,
}

/// The first route that fits a path and `answers`.
fn search<'f>(
    flow: &'f Flow,
    segments: &[Cow<'_, str>],
    mut answers: impl FnMut(&Route) -> bool,
) -> Result<(usize, &'f Route), Refusal> {
    let mut best = Fit::Not;
    for (place, route) in flow.routes.iter().enumerate() {
        let fit = fit(route, segments);
        if fit == Fit::Whole && answers(route) {
            return Ok((place, route));
        }
        best = best.max(fit);
    }
    Err(match best {
        Fit::ButAParameter => Refusal::PathInvalid,
        Fit::Not => Refusal::RouteUnknown,
        Fit::Whole => Refusal::MethodNotListed,
    })
}

fn fit(route: &Route, segments: &[Cow<'_, str>]) -> Fit {
    if route.path.len() != segments.len() {
        return Fit::Not;
    }
    let one = |(segment, text): (&Segment, &Cow<'_, str>)| match segment {
        Segment::Identifier(_) => Fit::Whole,
        Segment::Literal(literal) if **literal == **text => Fit::Whole,
        Segment::Literal(_) => Fit::Not,
        Segment::Parameter(of) if is_parameter(text, of) => Fit::Whole,
        Segment::Parameter(_) => Fit::ButAParameter,
    };
    route
        .path
        .iter()
        .zip(segments)
        .map(one)
        .min()
        .unwrap_or(Fit::Whole)
}

#[cfg(test)]
mod tests;
