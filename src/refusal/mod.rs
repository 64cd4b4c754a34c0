//! Why a request is not served: a `Copy` enum with room for numbers only, never for what was sent.
//!
//! The status that a caller sees is decided in one place, `proxy::refuse`; here stand the causes,
//! their stable codes and the words for people.

mod fault;
mod reference;

pub use fault::{JsonFault, LinkFault, QueryFault, UpstreamFault};
pub use reference::Reference;

use std::fmt;

/// A part of Sluis that met a state it was built never to reach. Counted and alerted on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Bug {
    /// A configured value could not be written into a head.
    Head,
    /// The policy names a part that it does not hold.
    Policy,
    /// The rewriter lost its place.
    Rewriter,
}

/// The words of [`Refusal::UpstreamResting`].
const RESTING: &str = "the upstream failed again and again, and has a moment's rest";

/// Why a request is not served.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Refusal {
    /// The caller's address is not in `ip-ranges`.
    AddressForbidden,
    /// Today lies outside `valid` of the agreement.
    AgreementNotInForce,
    /// The message is not well-formed JSON, or goes beyond a `json-…` bound; `at` counts bytes
    /// from 0.
    BodyMalformed {
        /// What is wrong.
        fault: JsonFault,
        /// Where, in bytes from the start of the body.
        at: u64,
    },
    /// The route takes a body and none came.
    BodyMissing,
    /// The body as a whole is not the object or list that the route declares.
    BodyOfAnotherShape,
    /// The sender of the body paused or took too long.
    BodyTimeout,
    /// The body is larger than `body` allows.
    BodyTooLarge,
    /// The route takes no body and one came.
    BodyUnexpected,
    /// A defect of Sluis itself.
    Bug(Bug),
    /// The caller is known, but not for this flow.
    CallerForbidden,
    /// The caller went away before its answer was whole.
    CallerGone,
    /// No valid credentials came.
    CallerUnauthenticated,
    /// A content coding other than `identity`.
    ContentCodingUnsupported,
    /// No content type, two, or one that the route does not declare.
    ContentTypeUnsupported,
    /// An `Expect` other than `100-continue`.
    ExpectationUnknown,
    /// A field outside the policy in a shape with `_strict`; `at` counts bytes from 0.
    FieldUnexpected {
        /// Where, in bytes from the start of the body.
        at: u64,
    },
    /// No flow answers on this path.
    FlowUnknown,
    /// The body's framing is against RFC 9112: a bad chunk, two lengths.
    FramingInvalid,
    /// A token is asked for in another way than with client credentials.
    GrantTypeUnsupported,
    /// A head that is not written as RFC 9112 has it.
    HeadInvalid,
    /// A head with more or longer lines than `headers`, `header` and `head` allow.
    HeadTooLarge,
    /// No `Host`, two, or one that is no host.
    HostInvalid,
    /// `Host`, authority and SNI disagree, or belong to no school.
    HostUnknown,
    /// An identifier is too long or has control, zero-width or direction characters in it; or it is
    /// empty, in a path or query: in a body an empty one stays empty.
    IdentifierInvalid {
        /// Where, in bytes from the start of the body; 0 for a path or query.
        at: u64,
    },
    /// The path matches a route, but not with this method.
    MethodNotListed,
    /// There is a next page, and the link to it cannot be translated: the caller would take this
    /// page for the last.
    NextPageLost {
        /// Why not.
        fault: LinkFault,
    },
    /// A list of objections cannot be read, or is older than it may be.
    ObjectionsUnknown,
    /// As many requests are under way as the limits allow.
    Overloaded,
    /// Bad percent-encoding, dot or empty segments, or characters that a path may not have.
    PathInvalid,
    /// Somebody whom the request or the whole message is about has objected.
    PersonObjected,
    /// An upstream's address is loopback, link-local or private and `allow-private` is not set.
    PrivateAddress,
    /// Two identifiers of the school have the same pseudonym, and one of them is in this message.
    PseudonymCollision,
    /// A pseudonym in a body that stands for nobody, at this vendor and under the keys in force.
    PseudonymUnknown {
        /// Where, in bytes from the start of the body.
        at: u64,
    },
    /// A query parameter that may not be asked so, by its [`QueryFault`].
    QueryInvalid {
        /// What is wrong.
        fault: QueryFault,
    },
    /// The caller asks more often than its `rate` allows.
    RateLimited,
    /// The whole message is a record that `[only]` does not let through.
    RecordFiltered,
    /// The register cannot be written, so that a pseudonym that left could not come home.
    RegisterUnavailable,
    /// No route matches the path.
    RouteUnknown,
    /// A token is asked for with a scope that is not this client's.
    ScopeUnknown,
    /// The target is longer than `target`.
    TargetTooLong,
    /// A pseudonym in a path or query that stands for nobody.
    TargetUnknown,
    /// A request for a token that is not as RFC 6749 has it.
    TokenRequestInvalid,
    /// A `Transfer-Encoding` other than exactly `chunked`.
    TransferEncodingUnsupported,
    /// An attempt to change protocols.
    UpgradeRequested,
    /// The upstream refused our own credentials, or its token server gave us none.
    UpstreamAuthentication,
    /// The upstream broke off, or sent what is not HTTP.
    UpstreamBroken,
    /// The upstream answered with an error; the status passes, its body does not.
    UpstreamError {
        /// 400 to 599.
        status: u16,
    },
    /// The upstream failed again and again, and is left alone for a moment.
    UpstreamResting {
        /// Until one request tries it, in seconds, rounded up.
        wait_s: u64,
    },
    /// The upstream did not answer in time.
    UpstreamTimeout {
        /// What took so long.
        fault: UpstreamFault,
    },
    /// A redirect, a partial or an informational answer.
    UpstreamUnexpected {
        /// 100 to 399.
        status: u16,
    },
    /// The upstream could not be reached.
    UpstreamUnreachable {
        /// Why.
        fault: UpstreamFault,
    },
    /// The vendor is in `observe`: nothing is forwarded.
    VendorObserved,
    /// A version of HTTP before 1.1.
    VersionUnsupported,
}

impl Refusal {
    /// The upstream was connected to, and its answer did not come in time.
    pub const UPSTREAM_SILENT: Self = Self::UpstreamTimeout {
        fault: UpstreamFault::AnswerTimeout,
    };

    /// What may not be asked about, or is not understood.
    pub const QUESTION_INVALID: Self = Self::QueryInvalid {
        fault: QueryFault::Question,
    };

    /// One of each, for tables and tests.
    pub const ALL: [Self; 53] = [
        Self::AddressForbidden,
        Self::AgreementNotInForce,
        Self::BodyMalformed {
            fault: JsonFault::Syntax,
            at: 0,
        },
        Self::BodyMissing,
        Self::BodyOfAnotherShape,
        Self::BodyTimeout,
        Self::BodyTooLarge,
        Self::BodyUnexpected,
        Self::Bug(Bug::Rewriter),
        Self::CallerForbidden,
        Self::CallerGone,
        Self::CallerUnauthenticated,
        Self::ContentCodingUnsupported,
        Self::ContentTypeUnsupported,
        Self::ExpectationUnknown,
        Self::FieldUnexpected { at: 0 },
        Self::FlowUnknown,
        Self::FramingInvalid,
        Self::GrantTypeUnsupported,
        Self::HeadInvalid,
        Self::HeadTooLarge,
        Self::HostInvalid,
        Self::HostUnknown,
        Self::IdentifierInvalid { at: 0 },
        Self::MethodNotListed,
        Self::NextPageLost {
            fault: LinkFault::NoRoute,
        },
        Self::ObjectionsUnknown,
        Self::Overloaded,
        Self::PathInvalid,
        Self::PersonObjected,
        Self::PrivateAddress,
        Self::PseudonymCollision,
        Self::PseudonymUnknown { at: 0 },
        Self::QueryInvalid {
            fault: QueryFault::Unlisted,
        },
        Self::RateLimited,
        Self::RecordFiltered,
        Self::RegisterUnavailable,
        Self::RouteUnknown,
        Self::ScopeUnknown,
        Self::TargetTooLong,
        Self::TargetUnknown,
        Self::TokenRequestInvalid,
        Self::TransferEncodingUnsupported,
        Self::UpgradeRequested,
        Self::UpstreamAuthentication,
        Self::UpstreamBroken,
        Self::UpstreamError { status: 500 },
        Self::UpstreamResting { wait_s: 1 },
        Self::UPSTREAM_SILENT,
        Self::UpstreamUnexpected { status: 302 },
        Self::UpstreamUnreachable {
            fault: UpstreamFault::Refused,
        },
        Self::VendorObserved,
        Self::VersionUnsupported,
    ];

    /// The stable code: part of the problem document, the log line and the metric label.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::AddressForbidden => "address_forbidden",
            Self::AgreementNotInForce => "agreement_not_in_force",
            Self::BodyMalformed { .. } => "body_malformed",
            Self::BodyMissing => "body_missing",
            Self::BodyOfAnotherShape => "body_of_another_shape",
            Self::BodyTimeout => "body_timeout",
            Self::BodyTooLarge => "body_too_large",
            Self::BodyUnexpected => "body_unexpected",
            Self::Bug(_) => "gateway_bug",
            Self::CallerForbidden => "caller_forbidden",
            Self::CallerGone => "caller_gone",
            Self::CallerUnauthenticated => "caller_unauthenticated",
            Self::ContentCodingUnsupported => "content_coding_unsupported",
            Self::ContentTypeUnsupported => "content_type_unsupported",
            Self::ExpectationUnknown => "expectation_unknown",
            Self::FieldUnexpected { .. } => "field_unexpected",
            Self::FlowUnknown => "flow_unknown",
            Self::FramingInvalid => "framing_invalid",
            Self::GrantTypeUnsupported => "grant_type_unsupported",
            Self::HeadInvalid => "head_invalid",
            Self::HeadTooLarge => "head_too_large",
            Self::HostInvalid => "host_invalid",
            Self::HostUnknown => "host_unknown",
            Self::IdentifierInvalid { .. } => "identifier_invalid",
            Self::MethodNotListed => "method_not_listed",
            Self::NextPageLost { .. } => "next_page_lost",
            Self::ObjectionsUnknown => "objections_unknown",
            Self::Overloaded => "overloaded",
            Self::PathInvalid => "path_invalid",
            Self::PersonObjected => "person_objected",
            Self::PrivateAddress => "private_address",
            Self::PseudonymCollision => "pseudonym_collision",
            Self::PseudonymUnknown { .. } => "pseudonym_unknown",
            Self::QueryInvalid { .. } => "query_invalid",
            Self::RateLimited => "rate_limited",
            Self::RecordFiltered => "record_filtered",
            Self::RegisterUnavailable => "register_unavailable",
            Self::RouteUnknown => "route_unknown",
            Self::ScopeUnknown => "scope_unknown",
            Self::TargetTooLong => "target_too_long",
            Self::TargetUnknown => "target_unknown",
            Self::TokenRequestInvalid => "token_request_invalid",
            Self::TransferEncodingUnsupported => "transfer_encoding_unsupported",
            Self::UpgradeRequested => "upgrade_requested",
            Self::UpstreamAuthentication => "upstream_authentication",
            Self::UpstreamBroken => "upstream_broken",
            Self::UpstreamError { .. } => "upstream_error",
            Self::UpstreamResting { .. } => "upstream_resting",
            Self::UpstreamTimeout { .. } => "upstream_timeout",
            Self::UpstreamUnexpected { .. } => "upstream_unexpected",
            Self::UpstreamUnreachable { .. } => "upstream_unreachable",
            Self::VendorObserved => "vendor_observed",
            Self::VersionUnsupported => "version_unsupported",
        }
    }

    /// One sentence for the person who reads the problem document or the table in the README.
    #[must_use]
    pub const fn words(self) -> &'static str {
        match self {
            Self::AddressForbidden => "the caller's address is not in this flow's ip-ranges",
            Self::AgreementNotInForce => "the agreement with this vendor is not in force today",
            Self::BodyMalformed { fault, .. } => fault.words(),
            Self::BodyMissing => "this route takes a body and none came",
            Self::BodyOfAnotherShape => "the body is not the object or list that is declared",
            Self::BodyTimeout => "the body came too slowly",
            Self::BodyTooLarge => "the body is larger than the limit",
            Self::BodyUnexpected => "this route takes no body and one came",
            Self::Bug(_) => "a defect of the gateway; it has been counted and logged",
            Self::CallerForbidden => "these credentials are not for this flow",
            Self::CallerGone => "the caller went away before its answer was whole",
            Self::CallerUnauthenticated => "no valid credentials came with the request",
            Self::ContentCodingUnsupported => "only the identity content coding is understood",
            Self::ContentTypeUnsupported => "the content type is missing, doubled or undeclared",
            Self::ExpectationUnknown => "only Expect: 100-continue is understood",
            Self::FieldUnexpected { .. } => "a field of the body has no line in its strict shape",
            Self::FlowUnknown => "nothing answers on this path",
            Self::FramingInvalid => "the length or the chunks of the body are not well-formed",
            Self::GrantTypeUnsupported => "tokens are given for client credentials only",
            Self::HeadInvalid => "the head of the request is not well-formed HTTP/1.1",
            Self::HeadTooLarge => "the head of the request is larger than the limit",
            Self::HostInvalid => "the request names no host, or two, or one that cannot be",
            Self::HostUnknown => "host, authority and TLS name disagree, or belong to no school",
            Self::IdentifierInvalid { .. } => {
                "an identifier is too long, has invisible characters, or is empty in path or query"
            }
            Self::MethodNotListed => "this path is not served with this method",
            Self::NextPageLost { .. } => "the link to the next page cannot be handed on",
            Self::ObjectionsUnknown => "who objected is not known: a list cannot be read or is old",
            Self::Overloaded => "too many requests are under way",
            Self::PathInvalid => "the path is not well-formed",
            Self::PersonObjected => "somebody this is about has objected to this vendor",
            Self::PrivateAddress => "the upstream's name leads to a private address",
            Self::PseudonymCollision => "two identifiers of the school have the same pseudonym",
            Self::PseudonymUnknown { .. } => "a pseudonym in the body stands for nobody",
            Self::QueryInvalid { fault } => fault.words(),
            Self::RateLimited => "this caller asks more often than it may",
            Self::RecordFiltered => "this record is not among those that this vendor gets",
            Self::RegisterUnavailable => "the register of pseudonyms cannot be reached or written",
            Self::RouteUnknown => "no route of this flow matches the path",
            Self::ScopeUnknown => "a scope is asked for that this client may not have",
            Self::TargetTooLong => "path and query are longer than the limit",
            Self::TargetUnknown => "a pseudonym in the path or query stands for nobody",
            Self::TokenRequestInvalid => "the request for a token is not as RFC 6749 has it",
            Self::TransferEncodingUnsupported => "only Transfer-Encoding: chunked is understood",
            Self::UpgradeRequested => "the request asks for another protocol",
            Self::UpstreamAuthentication => {
                "the upstream refused the gateway's own credentials, or there is no token for it"
            }
            Self::UpstreamBroken => "the upstream broke off or did not speak HTTP",
            Self::UpstreamError { .. } => "the upstream answered with an error",
            Self::UpstreamResting { .. } => RESTING,
            Self::UpstreamTimeout { .. } => "the upstream did not answer in time",
            Self::UpstreamUnexpected { .. } => "the upstream sent a redirect or a partial answer",
            Self::UpstreamUnreachable { .. } => "the upstream cannot be reached",
            Self::VendorObserved => "this vendor is being observed: nothing is forwarded yet",
            Self::VersionUnsupported => "only HTTP/1.1 is understood, and HTTP/2 over TLS",
        }
    }

    /// The same for our log alone, with the line of a file to look at: who calls is told none.
    #[must_use]
    pub const fn words_for_us(self) -> &'static str {
        if let Self::HostUnknown = self {
            "host, authority and TLS name disagree, or belong to no school: a school is called by \
             the host of `public` in [school] of its school.toml"
        } else {
            self.words()
        }
    }

    /// The same sentence for every refusal with this code, however exact [`Self::words`] are.
    #[must_use]
    pub const fn title(self) -> &'static str {
        if let Self::BodyMalformed { .. } = self {
            "the body is not well-formed JSON, or beyond the limits for JSON"
        } else if let Self::QueryInvalid { .. } = self {
            "a query parameter is not listed, repeated or not of its type"
        } else {
            self.words()
        }
    }

    /// Why the link to the next page could not be handed on: for our log alone.
    #[must_use]
    pub const fn of_link(self) -> Option<LinkFault> {
        if let Self::NextPageLost { fault } = self {
            Some(fault)
        } else {
            None
        }
    }

    /// Why an upstream could not be reached or was not waited for: for our log alone.
    #[must_use]
    pub const fn of_upstream(self) -> Option<UpstreamFault> {
        if let Self::UpstreamTimeout { fault } | Self::UpstreamUnreachable { fault } = self {
            Some(fault)
        } else {
            None
        }
    }

    /// Where in the body, in bytes from 0, if the cause has a place.
    #[must_use]
    pub const fn at(self) -> Option<u64> {
        if let Self::BodyMalformed { at, .. }
        | Self::FieldUnexpected { at }
        | Self::IdentifierInvalid { at }
        | Self::PseudonymUnknown { at } = self
        {
            Some(at)
        } else {
            None
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.words())?;
        match self.at() {
            Some(at) => write!(f, " (at byte {at})"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Refusal {}
