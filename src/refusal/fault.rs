//! What a fault was more exactly, where one code stands for several.

/// What is wrong with a JSON text (RFC 8259).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum JsonFault {
    /// A byte order mark (RFC 8259 section 8.1 forbids sending one).
    ByteOrderMark,
    /// The text ends before its value does.
    Cut,
    /// The same key twice in one object, however it is escaped.
    DuplicateKey,
    /// An escape that does not exist, or half of a surrogate pair.
    Escape,
    /// A key or string longer than `json-string`.
    StringTooLong,
    /// A number longer than `json-number`, or not a JSON number: `NaN`, `+1`, `01`, `1.`.
    Number,
    /// A byte below 0x20 within a string.
    RawControl,
    /// More than `json-switch` bytes of an object before the field that says which shape it has.
    SwitchTooLate,
    /// Anything else that is not JSON here.
    Syntax,
    /// Lists and objects deeper than `json-depth`.
    TooDeep,
    /// More than `json-keys` keys in one object.
    TooManyKeys,
    /// Something after the value.
    Trailing,
    /// Not UTF-8.
    Utf8,
}

impl JsonFault {
    /// The fault in words that stand alone in a line of the log. Where it is a bound of ours, they
    /// name it as `[limits]` does: the text itself may be well-formed.
    #[must_use]
    pub const fn words(self) -> &'static str {
        match self {
            Self::ByteOrderMark => "the body begins with a byte order mark",
            Self::Cut => "the body ends before its JSON does",
            Self::DuplicateKey => "a key stands twice in one object of the body",
            Self::Escape => "a text in the body has a bad escape or half a surrogate pair",
            Self::StringTooLong => "a key or text in the body is longer than the limit json-string",
            Self::Number => {
                "something stands in the body where a JSON value should, or a number is malformed \
                 or longer than the limit json-number"
            }
            Self::RawControl => "a text in the body has a control character in it",
            Self::SwitchTooLate => {
                "the field that says what an object of the body is comes too late: behind more \
                 bytes than the limit json-switch"
            }
            Self::Syntax => "the body has a syntax error in its JSON",
            Self::TooDeep => "the body is nested deeper than the limit json-depth",
            Self::TooManyKeys => "an object of the body has more keys than the limit json-keys",
            Self::Trailing => "something follows the end of the body's JSON",
            Self::Utf8 => "the body is not UTF-8",
        }
    }
}

/// What is wrong with a query.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum QueryFault {
    /// A value has what was brought home in the same exchange; in links alone.
    Echo,
    /// A parameter without `=`, a bad escape, or one that hides what may not be hidden.
    Malformed,
    /// A value that the caller did not ask with; in links alone.
    NotAsked,
    /// A filter, an order or a choice of fields that may not be asked, or is not understood.
    Question,
    /// A parameter comes twice.
    Repeated,
    /// A value of another type.
    Type,
    /// A character that RFC 3986 section 3.4 wants percent-encoded, or a bare `+`.
    Unencoded,
    /// A parameter that the route does not list.
    Unlisted,
}

impl QueryFault {
    /// The fault in words that stand alone.
    #[must_use]
    pub const fn words(self) -> &'static str {
        match self {
            Self::Echo => "a query parameter has what was brought home",
            Self::Malformed => "the query is not well-formed: name=value, with & between",
            Self::NotAsked => "a query parameter is not what was asked with",
            Self::Question => {
                "a filter, sort or choice of fields may not be asked, or cannot be read"
            }
            Self::Repeated => "a query parameter comes twice",
            Self::Type => "a query parameter is not of its type",
            Self::Unencoded => {
                "a sign in the query must be percent-encoded: [ as %5B, ] as %5D, a space as %20, \
                 a plus as %2B"
            }
            Self::Unlisted => "a query parameter is not listed",
        }
    }
}

/// Why a link to the next page could not be handed on: told in the log alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum LinkFault {
    /// Its `anchor` may be something else than this answer.
    Anchor,
    /// It has what was brought home in the same exchange.
    Echo,
    /// The field is no text, or stands in another form than the policy has it.
    FieldType,
    /// It has a fragment.
    Fragment,
    /// An identifier in it has no counterpart on the other side.
    Identifier,
    /// It cannot be read: no link, a path or a query that is not well-formed.
    Malformed,
    /// No route for GET has its path.
    NoRoute,
    /// An open parameter in it is not what was asked with.
    NotAsked,
    /// Its path does not lie below that of the upstream.
    OutsideUpstream,
    /// A parameter stands in it twice.
    ParameterRepeated,
    /// A parameter in its path or query is of another type.
    ParameterType,
    /// A parameter in its query is not listed.
    ParameterUnlisted,
    /// A filter or a choice of fields in it is not one that may be asked.
    Question,
    /// It is longer than links may be.
    TooLong,
}

impl LinkFault {
    /// One of each, for tables and tests.
    pub const ALL: [Self; 14] = [
        Self::Anchor,
        Self::Echo,
        Self::FieldType,
        Self::Fragment,
        Self::Identifier,
        Self::Malformed,
        Self::NoRoute,
        Self::NotAsked,
        Self::OutsideUpstream,
        Self::ParameterRepeated,
        Self::ParameterType,
        Self::ParameterUnlisted,
        Self::Question,
        Self::TooLong,
    ];

    /// Its name in the log.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Anchor => "anchor",
            Self::Echo => "echo",
            Self::FieldType => "field_type",
            Self::Fragment => "fragment",
            Self::Identifier => "identifier",
            Self::Malformed => "malformed",
            Self::NoRoute => "no_route",
            Self::NotAsked => "not_asked",
            Self::OutsideUpstream => "outside_upstream",
            Self::ParameterRepeated => "parameter_repeated",
            Self::ParameterType => "parameter_type",
            Self::ParameterUnlisted => "parameter_unlisted",
            Self::Question => "question",
            Self::TooLong => "too_long",
        }
    }

    /// What it comes to for whoever writes the policy.
    #[must_use]
    pub const fn words(self) -> &'static str {
        match self {
            Self::Anchor => "its `anchor` may be something else than this answer",
            Self::Echo => "it has what was brought home in the same exchange",
            Self::FieldType => "the field is no text, or of another form than the policy has it",
            Self::Fragment => "it has a fragment: #…",
            Self::Identifier => "an identifier in it has no counterpart",
            Self::Malformed => "it is not well-formed",
            Self::NoRoute => "no route for GET has its path",
            Self::NotAsked => "a parameter in it is not what was asked with",
            Self::OutsideUpstream => "its path does not lie below that of `upstream`",
            Self::ParameterRepeated => "a parameter stands in it twice",
            Self::ParameterType => "a parameter in it is not of its type",
            Self::ParameterUnlisted => "a parameter in it is not listed in `query` of its route",
            Self::Question => "a filter or choice of fields in it may not be asked",
            Self::TooLong => "it is longer than links may be",
        }
    }
}

impl From<QueryFault> for LinkFault {
    fn from(fault: QueryFault) -> Self {
        match fault {
            QueryFault::Echo => Self::Echo,
            QueryFault::Malformed | QueryFault::Unencoded => Self::Malformed,
            QueryFault::NotAsked => Self::NotAsked,
            QueryFault::Question => Self::Question,
            QueryFault::Repeated => Self::ParameterRepeated,
            QueryFault::Type => Self::ParameterType,
            QueryFault::Unlisted => Self::ParameterUnlisted,
        }
    }
}

/// Why an upstream could not be reached, or was not waited for: told in the log alone. The names
/// are those of RFC 9209 section 2.3 where it has one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum UpstreamFault {
    /// It was connected to, and said nothing or not enough in time.
    AnswerTimeout,
    /// Its name has no address, or nobody could be asked for it.
    Dns,
    /// No connection came about, for another reason.
    Failed,
    /// Nobody listens there.
    Refused,
    /// The connection ended before a request could be sent.
    Terminated,
    /// No connection came about in time, its TLS handshake included.
    Timeout,
    /// Its certificate cannot be used, for another reason.
    TlsCertificate,
    /// Its certificate has expired, or is not yet valid.
    TlsExpired,
    /// Its certificate is of nobody who is trusted.
    TlsIssuer,
    /// Its certificate is for another name.
    TlsName,
    /// The TLS handshake failed, for another reason.
    TlsProtocol,
    /// No way leads to its address.
    Unroutable,
}

impl UpstreamFault {
    /// One of each, for tables and tests.
    pub const ALL: [Self; 12] = [
        Self::AnswerTimeout,
        Self::Dns,
        Self::Failed,
        Self::Refused,
        Self::Terminated,
        Self::Timeout,
        Self::TlsCertificate,
        Self::TlsExpired,
        Self::TlsIssuer,
        Self::TlsName,
        Self::TlsProtocol,
        Self::Unroutable,
    ];

    /// Its name in the log.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::AnswerTimeout => "http_response_timeout",
            Self::Dns => "dns_error",
            Self::Failed => "connection_failed",
            Self::Refused => "connection_refused",
            Self::Terminated => "connection_terminated",
            Self::Timeout => "connection_timeout",
            Self::TlsCertificate => "tls_certificate_error",
            Self::TlsExpired => "tls_certificate_expired",
            Self::TlsIssuer => "tls_certificate_unknown_issuer",
            Self::TlsName => "tls_certificate_wrong_name",
            Self::TlsProtocol => "tls_protocol_error",
            Self::Unroutable => "destination_ip_unroutable",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::Bound;

    #[test]
    fn a_fault_that_is_a_bound_of_ours_names_it() {
        for (fault, bound) in [
            (JsonFault::Number, Bound::JsonNumber),
            (JsonFault::StringTooLong, Bound::JsonString),
            (JsonFault::SwitchTooLate, Bound::JsonSwitch),
            (JsonFault::TooDeep, Bound::JsonDepth),
            (JsonFault::TooManyKeys, Bound::JsonKeys),
        ] {
            let said = format!("limit {}", bound.name());
            assert!(fault.words().ends_with(&said), "{fault:?}");
        }
    }
}
