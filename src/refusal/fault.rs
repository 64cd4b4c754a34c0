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
    /// The fault in words that stand alone in a line of the log.
    #[must_use]
    pub const fn words(self) -> &'static str {
        match self {
            Self::ByteOrderMark => "the body begins with a byte order mark",
            Self::Cut => "the body ends before its JSON does",
            Self::DuplicateKey => "a key stands twice in one object of the body",
            Self::Escape => "a text in the body has a bad escape or half a surrogate pair",
            Self::StringTooLong => "a key or text in the body is longer than the limit",
            Self::Number => {
                "something stands in the body where a JSON value should, or a number is malformed \
                 or too long"
            }
            Self::RawControl => "a text in the body has a control character in it",
            Self::SwitchTooLate => {
                "the field that says what an object of the body is comes too late"
            }
            Self::Syntax => "the body has a syntax error in its JSON",
            Self::TooDeep => "the body is nested deeper than the limit",
            Self::TooManyKeys => "an object of the body has more keys than the limit",
            Self::Trailing => "something follows the end of the body's JSON",
            Self::Utf8 => "the body is not UTF-8",
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
