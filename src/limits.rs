//! Every bound in one place, each with its unit and its reason.
//!
//! A [`Bound`] can be set in `[limits]` of `sluis.toml` under its [name](Bound::name); a constant
//! cannot, because a pseudonym or a proof depends on it.

use std::time::Duration;

/// A name in the configuration (school, vendor, flow), in bytes. Names become metric labels.
pub const NAME_BYTES_MAX: usize = 64;
/// An identifier in its canonical form, in bytes (pseudonyms, derivation v1). ECK iD has 154.
pub const IDENTIFIER_BYTES_MAX: usize = 1_024;
/// An identifier as a school wrote it, in bytes: no rule makes a text three times as long.
pub const IDENTIFIER_WRITTEN_BYTES_MAX: usize = 4 * IDENTIFIER_BYTES_MAX;
/// Fields of one shape. A frame of the rewriter remembers which it saw in this many bits.
pub const SHAPE_FIELDS_MAX: usize = 256;
/// Shapes, kinds, value rules and constants of one policy, each. They are numbered with 16 bits.
pub const POLICY_PARTS_MAX: usize = 4_096;
/// Fields of one shape that are derived from a sibling. A frame remembers them in this many bits.
pub const SHAPE_DERIVED_MAX: usize = 64;
/// White space around the colon between a key and its value, in bytes: it is held with the key.
pub const JSON_GAP_BYTES_MAX: usize = 64 << 10;
/// JSON in a text, in so many texts one within the other: each doubles what must be escaped.
pub const JSON_NESTING_MAX: usize = 4;
/// A URL kept as a URL or translated, in characters: what browsers and servers commonly take.
pub const URL_CHARS_MAX: usize = 2_048;
/// A word kept as a slug, in characters.
pub const SLUG_CHARS_MAX: usize = 128;
/// A language tag, in characters: RFC 5646 section 4.4.1 asks of software to take that much.
pub const LANG_CHARS_MAX: usize = 35;
/// A compiled `like` expression, in bytes of program: bounds the memory of one value rule.
pub const LIKE_BYTES_MAX: usize = 1 << 20;
/// Identifiers brought home in one exchange, each in every spelling: beyond it nothing that is kept
/// leaves in its answer.
pub const HOME_TEXTS_MAX: usize = 10_000;
/// The name of a client that fetches tokens, in bytes. It stands in every token.
pub const OAUTH_CLIENT_BYTES_MAX: usize = 128;
/// A request for a token, in bytes: a client, a secret and scopes as a form.
pub const OAUTH_FORM_BYTES_MAX: usize = 8 << 10;
/// A token server's answer, in bytes: a token of that size would not fit into most heads.
pub const OAUTH_GRANT_BYTES_MAX: usize = 64 << 10;
/// One scope, in bytes: those of 1EdTech are web addresses. They stand in every token.
pub const OAUTH_SCOPE_BYTES_MAX: usize = 128;
/// Scopes of one client.
pub const OAUTH_SCOPES_MAX: usize = 16;
/// Header lines of an answer; a request has fewer.
pub const ANSWER_LINES_MAX: usize = 100;
/// Exchanges at once on one connection of HTTP/2 to an upstream; beyond it another one is opened.
/// The least that a server should allow (RFC 9113 section 6.5.2).
pub const UPSTREAM_STREAMS_MAX: usize = 100;
/// The trailers of a body, in bytes: they are dropped.
pub const TRAILER_BYTES_MAX: usize = 4 << 10;
/// Lines of the trailers of a body.
pub const TRAILER_LINES_MAX: usize = 16;
/// Digits of a number that counts: no list of a school has ten million places, and the numbers by
/// which a country knows its pupils are longer.
pub const COUNT_DIGITS_MAX: usize = 7;
/// Clauses of one filter: each may ask the register for an identifier.
pub const FILTER_CLAUSES_MAX: usize = 8;
/// Keys on the way to a field that a filter or an order names: `user.sourcedId` has two.
pub const FILTER_STEPS_MAX: usize = 4;
/// Addresses of one upstream that are tried for one connection.
pub const UPSTREAM_ADDRESSES_MAX: usize = 8;
/// How long one address has before the next is tried beside it (RFC 8305 section 8 has the same).
pub const UPSTREAM_ADDRESS_STAGGER: Duration = Duration::from_millis(250);
/// How long a connection is read on that sent too many frames, so that its caller gets to read why
/// it ends: one that is closed on unread bytes is reset, and what was sent is lost with it.
pub const FLOOD_LINGER: Duration = Duration::from_millis(250);
/// How many bytes of such a connection are read on, and of one over HTTP/2 that is drained: more
/// than the buffers of most sockets hold.
pub const LINGER_BYTES_MAX: usize = 4 << 20;
/// One configuration file, in bytes.
pub const CONFIG_FILE_BYTES_MAX: u64 = 4 << 20;
/// A list of objections, in bytes: half a million pupils.
pub const OBJECTIONS_BYTES_MAX: u64 = 16 << 20;
/// How often it is looked whether a list of objections or a certificate has changed; what is half
/// written then is whole the next time.
pub const OBJECTIONS_LOOK: Duration = Duration::from_secs(2);
/// Reading the lists of a vendor with the configuration: as long as a disk may take to wake up.
pub const OBJECTIONS_READ: Duration = Duration::from_secs(5);
/// What was read of a list holds for so long after it was last seen unchanged: a file server may
/// start again, and nobody who objects meanwhile is sent for long.
pub const OBJECTIONS_KNOWN: Duration = Duration::from_mins(10);
/// So far in the future a list may have been changed: the clocks of two machines differ.
pub const OBJECTIONS_AHEAD: Duration = Duration::from_mins(10);
/// So much longer than its life a token of ours may have: the clocks of two machines differ. One
/// that has more is of a clock that was wrong.
pub const TOKEN_AHEAD: Duration = Duration::from_mins(10);
/// The reason for something that is done by hand, in characters: a few sentences.
pub const REASON_CHARS_MAX: usize = 500;
/// Problems shown of one configuration; the rest is counted.
pub const PROBLEMS_SHOWN_MAX: usize = 20;
/// Lines of the metrics page that names from the configuration may make; beyond it `other`.
pub const METRIC_SERIES_MAX: u64 = 50_000;
/// Log lines of one subject written within [`LOG_WINDOW`]; the rest is counted.
pub const LOG_REPEATS_MAX: u64 = 10;
/// How long repeated log lines are counted together.
pub const LOG_WINDOW: Duration = Duration::from_secs(10);

/// Batches that may wait for the register's thread; beyond it 503. More than requests under way.
pub const REGISTER_WAITING_MAX: usize = 4_096;
/// Identifiers that are written in one commit: a few milliseconds of work. One message may have
/// more, and is not cut.
pub const REGISTER_COMMIT_ROWS: usize = 10_000;
/// Identifiers of an import that are written in one commit: some 50 MiB in memory.
pub const REGISTER_IMPORT_ROWS: usize = 200_000;
/// Rows of the register that a thread opens at a time: some three milliseconds of work.
pub const REGISTER_OPEN_ROWS: usize = 2_048;
/// And so many bytes of them, of which one may have more.
pub const REGISTER_OPEN_BYTES: usize = 1 << 20;
/// What the register's file may hold of itself in memory, in bytes.
pub const REGISTER_CACHE_BYTES: usize = 64 << 20;
/// The journal of the register's file, in bytes: some 8,000 identifiers, or 256 commits of one.
pub const REGISTER_JOURNAL_BYTES: usize = 1 << 20;
/// How far an index may lag behind to be completed by a request itself, in words of 8 bytes:
/// some 3,000 identifiers, a millisecond. Beyond it the register's thread does it.
pub const REGISTER_RECALL_WORDS: u32 = 1 << 14;
/// How long rows that other nodes wrote may go unseen, if no message asks for one.
pub const REGISTER_POLL: Duration = Duration::from_secs(1);
/// From the first byte to a server of the register to its greeting, for each of its addresses.
pub const REGISTER_CONNECT: Duration = Duration::from_secs(5);
/// What a server of the register may take for one statement, or for a connection in all.
pub const REGISTER_STATEMENT: Duration = Duration::from_secs(10);
/// How long a server of the register that failed is left alone; twice as long each time.
pub const REGISTER_REST: Duration = Duration::from_millis(100);
/// The longest it is left alone.
pub const REGISTER_REST_MAX: Duration = Duration::from_secs(5);
/// A register that is longer at one thing is said to hang: a server fails before that.
pub const REGISTER_HANGS: Duration = Duration::from_secs(15);
/// How long a school of which a row does not open is left alone before that is tried again.
pub const REGISTER_MEND_REST: Duration = Duration::from_secs(10);
/// Or so many times as long as it took, as all behind that row is read.
pub const REGISTER_MEND_SHARE: u32 = 20;
/// Damaged rows of a register that are shown by number; the rest is counted.
pub const REGISTER_DAMAGE_SHOWN_MAX: usize = 100;

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;

/// What a bound counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Bytes: written `"16 MiB"`, `"64 KiB"` or a whole number.
    Bytes,
    /// A number of things.
    Count,
    /// Milliseconds: written `"10s"`, `"500ms"` or `"2m"`.
    Time,
}

/// A bound that the configuration may set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(
    missing_docs,
    reason = "Bound::why says what each is for, for readers and for docs alike"
)]
pub enum Bound {
    AnswerWriteIdle,
    Body,
    BodyBytesInFlight,
    BodyIdle,
    BodyTotal,
    Connections,
    ConnectionsPerClient,
    Drain,
    DrainDelay,
    H2ConnectionWindow,
    H2ControlFrames,
    H2ControlWindow,
    H2Frame,
    H2HeaderList,
    H2LocalResets,
    H2PendingResets,
    H2StreamWindow,
    H2Streams,
    Head,
    HeadTime,
    Header,
    Headers,
    HoldBack,
    JsonDepth,
    JsonKeys,
    JsonNumber,
    JsonString,
    JsonSwitch,
    KeepAliveIdle,
    RegisterWait,
    Requests,
    RequestsPerVendor,
    Target,
    TlsHandshake,
    TokenLife,
    UpstreamAge,
    UpstreamBodyIdle,
    UpstreamBodyTotal,
    UpstreamCircuitFailures,
    UpstreamCircuitRest,
    UpstreamCircuitWindow,
    UpstreamConnect,
    UpstreamHead,
    UpstreamHeadTime,
    UpstreamIdle,
    UpstreamIdleFloor,
    UpstreamIdleMemory,
    UpstreamInformational,
    UpstreamStaleRest,
    UpstreamStaleWindow,
    UpstreamToken,
}

/// One row of the table of bounds: name, unit, default, least, most, why.
type Row = (Bound, &'static str, Unit, u64, u64, u64, &'static str);

#[rustfmt::skip]
const ROWS: &[Row] = &[
    (Bound::AnswerWriteIdle, "answer-write-idle", Unit::Time, 30_000, 100, 600_000,
     "a caller that does not read its answer is let go after this"),
    (Bound::Body, "body", Unit::Bytes, 64 * MIB, 1, 16 << 30,
     "one message; beyond it 413 inward, 502 outward"),
    (Bound::BodyBytesInFlight, "body-bytes-in-flight", Unit::Bytes, 256 * MIB, MIB, 1 << 40,
     "what all messages being read may announce or hold together"),
    (Bound::BodyIdle, "body-idle", Unit::Time, 10_000, 100, 600_000,
     "the longest pause within a request body"),
    (Bound::BodyTotal, "body-total", Unit::Time, 60_000, 100, 3_600_000,
     "all pauses within a request body together; a second more for every MiB"),
    (Bound::Connections, "connections", Unit::Count, 10_000, 1, 1_000_000,
     "open connections; beyond it new ones wait in the backlog"),
    (Bound::ConnectionsPerClient, "connections-per-client", Unit::Count, 1_000, 1, 1_000_000,
     "open connections of one address; beyond it new ones are closed"),
    (Bound::Drain, "drain", Unit::Time, 30_000, 0, 3_600_000,
     "what SIGTERM gives requests under way to finish"),
    (Bound::DrainDelay, "drain-delay", Unit::Time, 5_000, 0, 600_000,
     "from SIGTERM, when readiness drops, to the moment when no connection is taken any more"),
    (Bound::H2ConnectionWindow, "h2-connection-window", Unit::Bytes, MIB, 64 * KIB, 1 << 30,
     "HTTP/2 flow control of one connection"),
    (Bound::H2ControlFrames, "h2-control-frames", Unit::Count, 1_000, 100, 1_000_000,
     "frames of no message (PING …) that a caller or an upstream may send in `h2-control-window`; \
      24 bytes sent to it allow one more"),
    (Bound::H2ControlWindow, "h2-control-window", Unit::Time, 10_000, 100, 3_600_000,
     "how long that budget of frames must last"),
    (Bound::H2Frame, "h2-frame", Unit::Bytes, 16 * KIB, 16 * KIB, 16 * MIB - 1,
     "largest HTTP/2 frame taken"),
    (Bound::H2HeaderList, "h2-header-list", Unit::Bytes, 16 * KIB, KIB, MIB,
     "decoded HTTP/2 head"),
    (Bound::H2LocalResets, "h2-local-resets", Unit::Count, 64, 1, 10_000,
     "streams we reset for errors before the connection ends"),
    (Bound::H2PendingResets, "h2-pending-resets", Unit::Count, 20, 1, 10_000,
     "streams reset by the peer and not yet seen by us (Rapid Reset)"),
    (Bound::H2StreamWindow, "h2-stream-window", Unit::Bytes, 64 * KIB, 64 * KIB, 1 << 30,
     "HTTP/2 flow control of one stream"),
    (Bound::H2Streams, "h2-streams", Unit::Count, 100, 1, 10_000,
     "HTTP/2 requests at once on one connection"),
    (Bound::Head, "head", Unit::Bytes, 16 * KIB, KIB, MIB,
     "all header lines of one request; beyond it 431"),
    (Bound::HeadTime, "head-time", Unit::Time, 10_000, 100, 600_000,
     "from the first byte of a request to the end of its head"),
    (Bound::Header, "header", Unit::Bytes, 8 * KIB, 256, MIB,
     "one header line; beyond it 431"),
    (Bound::Headers, "headers", Unit::Count, 64, 8, 100,
     "header lines of one request; beyond it 431"),
    (Bound::HoldBack, "hold-back", Unit::Bytes, 256 * KIB, 0, 64 * MIB,
     "input of a message that is read before its first byte goes on, so that a fault can \
      still be refused whole"),
    (Bound::JsonDepth, "json-depth", Unit::Count, 64, 1, 128,
     "nesting of lists and objects"),
    (Bound::JsonKeys, "json-keys", Unit::Count, 10_000, 1, 1_000_000,
     "keys of one object that the policy enters"),
    (Bound::JsonNumber, "json-number", Unit::Bytes, 64, 1, 1_024,
     "one number"),
    (Bound::JsonString, "json-string", Unit::Bytes, MIB, 64, 64 * MIB,
     "one key or string that the policy reads; what is dropped passes by unheld"),
    (Bound::JsonSwitch, "json-switch", Unit::Bytes, 64 * KIB, 64, 16 * MIB,
     "what of an object is held until the field comes that says which shape it has"),
    (Bound::KeepAliveIdle, "keep-alive-idle", Unit::Time, 60_000, 100, 3_600_000,
     "a caller's connection with nothing on it"),
    (Bound::RegisterWait, "register-wait", Unit::Time, 10_000, 100, 600_000,
     "for the register to write identifiers down, or to look for others; beyond it 503"),
    (Bound::Requests, "requests", Unit::Count, 1_000, 1, 1_000_000,
     "requests under way; beyond it 503"),
    (Bound::RequestsPerVendor, "requests-per-vendor", Unit::Count, 256, 1, 1_000_000,
     "requests under way for one vendor; beyond it 503"),
    (Bound::Target, "target", Unit::Bytes, 8 * KIB, 64, 60 * KIB,
     "path and query of one request; beyond it 414"),
    (Bound::TlsHandshake, "tls-handshake", Unit::Time, 10_000, 100, 600_000,
     "from accept to the end of the handshake"),
    (Bound::TokenLife, "token-life", Unit::Time, 3_600_000, 1_000, 86_400_000,
     "an access token of ours; beyond it 401, and the caller fetches another"),
    (Bound::UpstreamAge, "upstream-age", Unit::Time, 600_000, 1_000, 86_400_000,
     "how old an upstream connection may be to get a request; a new one looks the name up anew"),
    (Bound::UpstreamBodyIdle, "upstream-body-idle", Unit::Time, 15_000, 100, 600_000,
     "the longest pause within an upstream's answer"),
    (Bound::UpstreamBodyTotal, "upstream-body-total", Unit::Time, 300_000, 100, 86_400_000,
     "all pauses within an upstream's answer together; a second more for every MiB"),
    (Bound::UpstreamCircuitFailures, "upstream-circuit-failures", Unit::Count, 5, 1, 1_000,
     "failures of an upstream with no whole answer between them before it is left alone (503)"),
    (Bound::UpstreamCircuitRest, "upstream-circuit-rest", Unit::Time, 1_000, 10, 600_000,
     "how long such an upstream is left alone; then one request each time tries it"),
    (Bound::UpstreamCircuitWindow, "upstream-circuit-window", Unit::Time, 10_000, 10, 3_600_000,
     "how close together those failures must be"),
    (Bound::UpstreamConnect, "upstream-connect", Unit::Time, 3_000, 10, 600_000,
     "name, connection and TLS handshake to an upstream"),
    (Bound::UpstreamHead, "upstream-head", Unit::Bytes, 64 * KIB, 8 * KIB, 16 * MIB,
     "the head of an upstream's answer"),
    (Bound::UpstreamHeadTime, "upstream-head-time", Unit::Time, 30_000, 10, 3_600_000,
     "from the request sent to the head of the answer"),
    (Bound::UpstreamIdle, "upstream-idle", Unit::Time, 30_000, 0, 3_600_000,
     "an upstream connection kept open with nothing on it; less where the upstream closes sooner"),
    (Bound::UpstreamIdleFloor, "upstream-idle-floor", Unit::Time, 100, 0, 600_000,
     "an upstream that closes idle connections sooner than this gets a new one each time"),
    (Bound::UpstreamIdleMemory, "upstream-idle-memory", Unit::Time, 60_000, 1_000, 86_400_000,
     "how long it is remembered how soon an upstream closed; at most twice as long"),
    (Bound::UpstreamInformational, "upstream-informational", Unit::Count, 8, 0, 100,
     "answers of 1xx before an answer itself over HTTP/1.1; over HTTP/2 `h2-control-frames` bounds \
      them"),
    (Bound::UpstreamStaleRest, "upstream-stale-rest", Unit::Time, 60_000, 0, 3_600_000,
     "no connection to an upstream is used twice for so long after two broke under a request"),
    (Bound::UpstreamStaleWindow, "upstream-stale-window", Unit::Time, 10_000, 0, 3_600_000,
     "how close together those two must be"),
    (Bound::UpstreamToken, "upstream-token", Unit::Time, 10_000, 10, 600_000,
     "fetching an access token for an upstream, and waiting for one that is being fetched"),
];

impl Bound {
    /// All bounds, in alphabetical order.
    pub fn all() -> impl Iterator<Item = Self> {
        ROWS.iter().map(|row| row.0)
    }

    /// The bound of that name in `[limits]`.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        ROWS.iter().find(|row| row.1 == name).map(|row| row.0)
    }

    /// Its name in `[limits]`, kebab-case.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.row().1
    }

    /// What it counts.
    #[must_use]
    pub fn unit(self) -> Unit {
        self.row().2
    }

    /// The default, in its unit.
    #[must_use]
    pub fn default_value(self) -> u64 {
        self.row().3
    }

    /// The least and the most it can be set to.
    #[must_use]
    pub fn range(self) -> std::ops::RangeInclusive<u64> {
        self.row().4..=self.row().5
    }

    /// What it is for, and what happens beyond it.
    #[must_use]
    pub fn why(self) -> &'static str {
        self.row().6
    }

    fn row(self) -> &'static Row {
        let place = ROWS.binary_search_by_key(&self.place(), |row| row.0.place());
        // Every variant has its row at its own place: a test walks them all.
        place
            .ok()
            .and_then(|place| ROWS.get(place))
            .unwrap_or(&NO_ROW)
    }

    #[expect(
        clippy::as_conversions,
        reason = "the discriminant of a field-less enum"
    )]
    const fn place(self) -> usize {
        self as usize
    }
}

const NO_ROW: Row = (Bound::AnswerWriteIdle, "", Unit::Count, 0, 0, 0, "");

/// The bounds in force: the defaults, with what the configuration set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    values: Box<[u64]>,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            values: ROWS.iter().map(|row| row.3).collect(),
        }
    }
}

impl Limits {
    /// Sets one bound; `Err` with the range if it lies outside it.
    ///
    /// # Errors
    /// The range that the value must lie in.
    pub fn set(&mut self, bound: Bound, value: u64) -> Result<(), std::ops::RangeInclusive<u64>> {
        let range = bound.range();
        match self.values.get_mut(bound.place()) {
            Some(place) if range.contains(&value) => {
                *place = value;
                Ok(())
            }
            _ => Err(range),
        }
    }

    /// A bound in its own unit.
    #[must_use]
    pub fn of(&self, bound: Bound) -> u64 {
        self.values.get(bound.place()).copied().unwrap_or_default()
    }

    /// A bound as a size in memory, or a count.
    #[must_use]
    pub fn size(&self, bound: Bound) -> usize {
        usize::try_from(self.of(bound)).unwrap_or(usize::MAX)
    }

    /// A bound as a wait.
    #[must_use]
    pub fn time(&self, bound: Bound) -> Duration {
        Duration::from_millis(self.of(bound))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_bound_has_its_row_and_its_default_lies_within_its_range() {
        for (place, bound) in Bound::all().enumerate() {
            assert_eq!(bound.place(), place, "{} is out of order", bound.name());
            assert!(
                bound.range().contains(&bound.default_value()),
                "{}",
                bound.name()
            );
            assert_eq!(Bound::named(bound.name()), Some(bound));
            assert_eq!(Limits::default().of(bound), bound.default_value());
        }
        assert_eq!(Bound::UpstreamToken.place().saturating_add(1), ROWS.len());
    }

    #[test]
    fn a_bound_can_be_set_within_its_range_only() {
        let mut limits = Limits::default();
        assert_eq!(limits.set(Bound::JsonDepth, 3), Ok(()));
        assert_eq!(limits.size(Bound::JsonDepth), 3);
        assert_eq!(limits.set(Bound::JsonDepth, 129), Err(1..=128));
    }
}
