//! What a caller is told when its request is not served.
//!
//! The one place where a [`Refusal`] becomes a status. The same fault has two: one for what a
//! caller sent, one for what an upstream answered.

use std::fmt::Write as _;

use bytes::Bytes;
use http::header::{
    ALLOW, CACHE_CONTROL, CONNECTION, CONTENT_TYPE, HeaderName, HeaderValue, PRAGMA, RETRY_AFTER,
    VIA, WWW_AUTHENTICATE,
};
use http::{HeaderMap, Response, StatusCode};

use super::answer::{JSON, NO_CACHE, NO_STORE, OUR_VIA};
use super::document::token_refused;
use crate::minimise::{Cleared, NoRoute, problem};
use crate::policy::Methods;
use crate::refusal::{Reference, Refusal};

/// RFC 9457 section 3.
const PROBLEM: HeaderValue = HeaderValue::from_static("application/problem+json");
/// RFC 6750 section 3.
pub(super) const BEARER: HeaderValue = HeaderValue::from_static("Bearer");
const INVALID_TOKEN: HeaderValue = HeaderValue::from_static("Bearer error=\"invalid_token\"");
/// RFC 7617 section 2.
const BASIC: HeaderValue = HeaderValue::from_static("Basic realm=\"sluis\"");
const CLOSE: HeaderValue = HeaderValue::from_static("close");
/// RFC 9209.
const PROXY_STATUS: HeaderName = HeaderName::from_static("proxy-status");
/// When to try again after [`Refusal::Overloaded`], in seconds: as soon as anything has ended.
const SOON_S: u64 = 1;

/// On which side the fault was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// In what the caller sent, or in the gateway itself.
    Inward,
    /// In what the upstream answered.
    Outward,
}

/// A request that is not served, with all that its answer depends on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Refused {
    pub(super) refusal: Refusal,
    pub(super) side: Side,
    /// Seconds to wait, where the upstream or a rate asks for that.
    pub(super) retry_after_s: Option<u64>,
    pub(super) told: Told,
    /// The methods that the path is served with, where that is what was wrong and they are known.
    pub(super) allowed: Option<Methods>,
}

/// In which form a caller is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Told {
    /// A problem document; a challenge for any token.
    Problem,
    /// A problem document; the challenge says that the token that came is not good.
    TokenInvalid,
    /// As OAuth has it: to those who ask for a token.
    TokenRefused,
}

/// What becomes of a connection after an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Then {
    /// It is closed, and the caller told so.
    Close,
    /// Another request may follow.
    GoOn,
}

impl Refused {
    pub(super) const fn outward(refusal: Refusal) -> Self {
        Self {
            refusal,
            side: Side::Outward,
            retry_after_s: None,
            told: Told::Problem,
            allowed: None,
        }
    }

    /// What the caller is told: of a record that it may not have, the same as of none at all.
    const fn unrevealed(self) -> Self {
        match (self.refusal, self.side) {
            (Refusal::PersonObjected | Refusal::RecordFiltered, Side::Outward) => Self {
                refusal: Refusal::UpstreamError { status: 404 },
                ..self
            },
            _ => self,
        }
    }

    /// Whether an upstream is at fault, and not the gateway.
    pub(super) const fn is_of_upstream(self) -> bool {
        matches!(status(self.refusal, self.side), 502 | 504)
    }

    /// What the answer and the log call it. RFC 6749 has no place for one.
    pub(super) fn reference(self) -> Option<Reference> {
        match self.told {
            // Without randomness the log and the answer say all else that they have.
            Told::Problem | Told::TokenInvalid => Reference::random().ok(),
            Told::TokenRefused => None,
        }
    }

    /// The whole answer, and what becomes of the connection after it.
    pub(super) fn answer(
        self,
        then: Then,
        reference: Option<Reference>,
    ) -> Response<Cleared<Bytes>> {
        self.unrevealed().written(then, reference)
    }

    fn written(self, then: Then, reference: Option<Reference>) -> Response<Cleared<Bytes>> {
        let number = status(self.refusal, self.side);
        let (body, kind, challenge) = match self.told {
            Told::Problem => (problem(self.refusal, number, reference), PROBLEM, BEARER),
            Told::TokenInvalid => {
                let body = problem(self.refusal, number, reference);
                (body, PROBLEM, INVALID_TOKEN)
            }
            Told::TokenRefused => (token_refused(self.refusal), JSON, BASIC),
        };
        let mut answer = Response::new(body);
        // Every status of the table is one: a test goes through it.
        *answer.status_mut() =
            StatusCode::from_u16(number).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let headers = answer.headers_mut();
        headers.insert(CONTENT_TYPE, kind);
        headers.insert(CACHE_CONTROL, NO_STORE);
        headers.insert(VIA, OUR_VIA);
        self.explain(headers);
        if number == 401 {
            headers.insert(WWW_AUTHENTICATE, challenge);
        }
        let soon = if let Refusal::UpstreamResting { wait_s } = self.refusal {
            Some(wait_s)
        } else {
            (self.refusal == Refusal::Overloaded).then_some(SOON_S)
        };
        if let Some(seconds) = self.retry_after_s.or(soon) {
            headers.insert(RETRY_AFTER, seconds.into());
        }
        let allowed = self.allowed.map(|methods| methods.to_string());
        if let Some(Ok(allowed)) = allowed.map(HeaderValue::try_from) {
            headers.insert(ALLOW, allowed);
        }
        if self.told == Told::TokenRefused {
            headers.insert(PRAGMA, NO_CACHE);
        }
        match then {
            Then::Close => {
                headers.insert(CONNECTION, CLOSE);
            }
            Then::GoOn => {}
        }
        answer
    }

    fn explain(self, headers: &mut HeaderMap) {
        let (error, code) = (proxy_error(self.refusal, self.side), self.refusal.code());
        let text = format!("sluis; error={error}; details=\"{code}\"");
        if let Ok(value) = HeaderValue::try_from(text) {
            headers.insert(PROXY_STATUS, value);
        }
    }
}

impl From<NoRoute> for Refused {
    fn from(none: NoRoute) -> Self {
        let by_method = none.refusal == Refusal::MethodNotListed;
        Self {
            allowed: by_method.then_some(none.allowed),
            ..none.refusal.into()
        }
    }
}

impl From<Refusal> for Refused {
    fn from(refusal: Refusal) -> Self {
        Self {
            refusal,
            side: Side::Inward,
            retry_after_s: None,
            told: Told::Problem,
            allowed: None,
        }
    }
}

/// The status for a fault that was found on that side.
#[must_use]
pub const fn status(refusal: Refusal, side: Side) -> u16 {
    let (inward, outward) = statuses(refusal);
    match side {
        Side::Inward => inward,
        Side::Outward => outward,
    }
}

/// Inward and outward.
const fn statuses(refusal: Refusal) -> (u16, u16) {
    match refusal {
        Refusal::BodyMalformed { .. }
        | Refusal::BodyMissing
        | Refusal::BodyOfAnotherShape
        | Refusal::BodyUnexpected
        | Refusal::FieldUnexpected { .. }
        | Refusal::FramingInvalid
        | Refusal::GrantTypeUnsupported
        | Refusal::HeadInvalid
        | Refusal::HostInvalid
        | Refusal::IdentifierInvalid { .. }
        | Refusal::PathInvalid
        | Refusal::QueryInvalid { .. }
        | Refusal::ScopeUnknown
        | Refusal::TokenRequestInvalid
        | Refusal::UpgradeRequested => (400, 502),
        Refusal::CallerUnauthenticated => (401, 502),
        Refusal::AddressForbidden | Refusal::AgreementNotInForce | Refusal::CallerForbidden => {
            (403, 502)
        }
        // To who asks for a record that it may not have, there is none.
        Refusal::PersonObjected | Refusal::RecordFiltered => (403, 404),
        Refusal::FlowUnknown | Refusal::RouteUnknown | Refusal::TargetUnknown => (404, 502),
        Refusal::MethodNotListed => (405, 502),
        Refusal::BodyTimeout => (408, 504),
        Refusal::BodyTooLarge => (413, 502),
        Refusal::TargetTooLong => (414, 502),
        Refusal::ContentCodingUnsupported | Refusal::ContentTypeUnsupported => (415, 502),
        Refusal::ExpectationUnknown => (417, 502),
        Refusal::HostUnknown => (421, 502),
        Refusal::PseudonymUnknown { .. } => (422, 502),
        Refusal::RateLimited => (429, 502),
        Refusal::HeadTooLarge => (431, 502),
        Refusal::Bug(_) => (500, 500),
        Refusal::TransferEncodingUnsupported => (501, 502),
        Refusal::VersionUnsupported => (505, 502),
        // Nobody is there to read it; it only shows in logs and metrics.
        Refusal::CallerGone => (400, 400),
        Refusal::NextPageLost { .. }
        | Refusal::PrivateAddress
        | Refusal::UpstreamAuthentication
        | Refusal::UpstreamBroken
        | Refusal::UpstreamUnexpected { .. }
        | Refusal::UpstreamUnreachable { .. } => (502, 502),
        Refusal::UpstreamError { status } => (status, status),
        Refusal::UpstreamTimeout { .. } => (504, 504),
        Refusal::ObjectionsUnknown
        | Refusal::Overloaded
        | Refusal::PseudonymCollision
        | Refusal::RegisterUnavailable
        | Refusal::UpstreamResting { .. }
        | Refusal::VendorObserved => (503, 503),
    }
}

/// The type of the error (RFC 9209 section 2.3).
const fn proxy_error(refusal: Refusal, side: Side) -> &'static str {
    match (refusal, side) {
        (
            Refusal::Bug(_)
            | Refusal::ObjectionsUnknown
            | Refusal::PseudonymCollision
            | Refusal::RegisterUnavailable,
            _,
        ) => "proxy_internal_error",
        (Refusal::Overloaded, _) => "connection_limit_reached",
        (Refusal::PrivateAddress, _) => "destination_ip_prohibited",
        (Refusal::UpstreamBroken, _) => "http_protocol_error",
        (Refusal::UpstreamResting { .. } | Refusal::UpstreamUnreachable { .. }, _) => {
            "destination_unavailable"
        }
        (Refusal::UpstreamTimeout { .. }, _) => "http_response_timeout",
        (Refusal::BodyTooLarge, Side::Outward) => "http_response_body_size",
        (Refusal::ContentCodingUnsupported, Side::Outward) => "http_response_content_coding",
        (
            Refusal::NextPageLost { .. }
            | Refusal::UpstreamAuthentication
            | Refusal::UpstreamError { .. }
            | Refusal::UpstreamUnexpected { .. },
            _,
        )
        | (_, Side::Outward) => "http_protocol_error",
        (
            Refusal::AddressForbidden
            | Refusal::AgreementNotInForce
            | Refusal::CallerForbidden
            | Refusal::CallerUnauthenticated
            | Refusal::PersonObjected
            | Refusal::RateLimited
            | Refusal::RecordFiltered
            | Refusal::VendorObserved,
            Side::Inward,
        ) => "http_request_denied",
        (_, Side::Inward) => "http_request_error",
    }
}

/// Every refusal with its statuses and words, as a table in Markdown: the README shows it.
#[must_use]
pub fn table() -> String {
    let mut table =
        String::from("| code | from the caller | from the upstream | what it means |\n");
    table.push_str("|---|---|---|---|\n");
    let mut last = "";
    for refusal in Refusal::ALL {
        if refusal.code() == last {
            continue;
        }
        last = refusal.code();
        let (inward, outward) = shown(refusal);
        let title = refusal.title();
        let row = writeln!(table, "| `{last}` | {inward} | {outward} | {title} |");
        debug_assert!(row.is_ok(), "a String takes what is written");
    }
    table
}

/// The statuses as the table shows them; a dash where the fault cannot be found on that side.
fn shown(refusal: Refusal) -> (String, String) {
    let (inward, outward) = statuses(refusal);
    let dash = || "–".to_owned();
    match refusal {
        Refusal::BodyMalformed { .. }
        | Refusal::BodyOfAnotherShape
        | Refusal::BodyTooLarge
        | Refusal::ContentCodingUnsupported
        | Refusal::ContentTypeUnsupported
        | Refusal::FieldUnexpected { .. }
        | Refusal::IdentifierInvalid { .. }
        | Refusal::Bug(_)
        | Refusal::Overloaded
        | Refusal::PersonObjected
        | Refusal::PseudonymCollision
        | Refusal::PseudonymUnknown { .. }
        | Refusal::RecordFiltered
        | Refusal::RegisterUnavailable => (inward.to_string(), outward.to_string()),
        Refusal::UpstreamError { .. } => (dash(), "the same".to_owned()),
        Refusal::CallerGone => (dash(), dash()),
        Refusal::NextPageLost { .. }
        | Refusal::PrivateAddress
        | Refusal::UpstreamAuthentication
        | Refusal::UpstreamBroken
        | Refusal::UpstreamResting { .. }
        | Refusal::UpstreamTimeout { .. }
        | Refusal::UpstreamUnexpected { .. }
        | Refusal::UpstreamUnreachable { .. } => (dash(), outward.to_string()),
        Refusal::AddressForbidden
        | Refusal::AgreementNotInForce
        | Refusal::BodyMissing
        | Refusal::BodyTimeout
        | Refusal::BodyUnexpected
        | Refusal::CallerForbidden
        | Refusal::CallerUnauthenticated
        | Refusal::ExpectationUnknown
        | Refusal::FlowUnknown
        | Refusal::FramingInvalid
        | Refusal::GrantTypeUnsupported
        | Refusal::HeadInvalid
        | Refusal::HeadTooLarge
        | Refusal::HostInvalid
        | Refusal::HostUnknown
        | Refusal::MethodNotListed
        | Refusal::ObjectionsUnknown
        | Refusal::PathInvalid
        | Refusal::QueryInvalid { .. }
        | Refusal::RateLimited
        | Refusal::RouteUnknown
        | Refusal::ScopeUnknown
        | Refusal::TargetTooLong
        | Refusal::TargetUnknown
        | Refusal::TokenRequestInvalid
        | Refusal::TransferEncodingUnsupported
        | Refusal::UpgradeRequested
        | Refusal::VendorObserved
        | Refusal::VersionUnsupported => (inward.to_string(), dash()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_refusal_has_an_error_status_on_both_sides() {
        for refusal in Refusal::ALL {
            for side in [Side::Inward, Side::Outward] {
                let number = status(refusal, side);
                assert!(
                    (400..=599).contains(&number),
                    "{refusal:?} {side:?} {number}"
                );
                assert_eq!(
                    Refused {
                        side,
                        ..refusal.into()
                    }
                    .answer(Then::GoOn, None)
                    .status(),
                    number
                );
            }
        }
    }

    #[test]
    fn no_fault_of_an_upstream_is_blamed_on_the_caller() {
        for refusal in Refusal::ALL {
            let passes = matches!(
                refusal,
                Refusal::CallerGone
                    | Refusal::PersonObjected
                    | Refusal::RecordFiltered
                    | Refusal::UpstreamError { .. }
            );
            assert!(
                passes || status(refusal, Side::Outward) >= 500,
                "{refusal:?}"
            );
        }
    }

    #[test]
    fn an_answer_says_what_and_why_and_no_more() {
        let answer = Refused::from(Refusal::Overloaded).answer(Then::Close, None);
        let line = |name: &str| {
            answer
                .headers()
                .get(name)
                .map(|value| value.to_str().unwrap())
        };
        assert_eq!(line("content-type"), Some("application/problem+json"));
        assert_eq!(line("cache-control"), Some("no-store"));
        assert_eq!(line("retry-after"), Some("1"));
        assert_eq!(line("connection"), Some("close"));
        assert_eq!(
            line("proxy-status"),
            Some(r#"sluis; error=connection_limit_reached; details="overloaded""#)
        );
        let unknown = Refused::from(Refusal::CallerUnauthenticated).answer(Then::GoOn, None);
        assert_eq!(unknown.headers().get("www-authenticate").unwrap(), "Bearer");
        assert!(unknown.headers().get("connection").is_none());
    }

    #[test]
    fn a_record_that_is_withheld_looks_like_none_at_all() {
        let reference = Reference::random().ok();
        let text = |refusal| {
            let answer = Refused::outward(refusal).answer(Then::GoOn, reference);
            format!("{:?} {:?}", answer.headers(), answer.body().look())
        };
        let none = text(Refusal::UpstreamError { status: 404 });
        for withheld in [Refusal::PersonObjected, Refusal::RecordFiltered] {
            assert_eq!(text(withheld), none);
            assert_eq!(status(withheld, Side::Outward), 404);
        }
    }

    #[test]
    fn the_table_has_a_row_for_every_code() {
        let table = table();
        for refusal in Refusal::ALL {
            let row = format!("| `{}` |", refusal.code());
            assert_eq!(table.matches(&row).count(), 1, "{row}");
        }
        assert!(
            table.contains("| `upstream_error` | – | the same |"),
            "{table}"
        );
    }
}
