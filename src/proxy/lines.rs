//! The lines of an answer's head with which the caller finds its way: to the next page, to what it
//! has made.

use http::header::{CONTENT_LOCATION, HeaderName, HeaderValue, LINK, LOCATION};
use http::{HeaderMap, Method};

use super::admit::Exchange;
use super::record::Record;
use crate::minimise::{self, AnswerHead, AnswerLines, Cleared, Counts, NextPage};
use crate::policy::Content;
use crate::pseudonym::Asked;
use crate::refusal::Refusal;
use crate::upstream::Untrusted;

const X_TOTAL_COUNT: HeaderName = HeaderName::from_static("x-total-count");

/// Those lines as they came.
#[derive(Debug, Default)]
pub(super) struct Lines {
    content_location: Vec<HeaderValue>,
    link: Vec<HeaderValue>,
    location: Vec<HeaderValue>,
    total_count: Vec<HeaderValue>,
}

impl Lines {
    /// Those of an answer. An error has none.
    pub(super) fn of(answer: &Untrusted) -> Self {
        if !answer.status.is_success() {
            return Self::default();
        }
        let headers = &answer.headers;
        let all = |name: HeaderName| headers.get_all(name).iter().cloned().collect();
        Self {
            content_location: all(CONTENT_LOCATION),
            link: all(LINK),
            location: all(LOCATION),
            total_count: all(X_TOTAL_COUNT),
        }
    }

    /// What goes on of them. The identifiers in it are on disk then.
    ///
    /// # Errors
    /// If the register does not do its part. [`Refusal::NextPageLost`] for a page that would look
    /// like the last; but not after the upstream has done something, which would be done again.
    pub(super) async fn cleared(
        self,
        exchange: &Exchange<'_>,
        (method, body): (&Method, Option<Content>),
        record: &mut Record,
    ) -> Result<Cleared<AnswerHead>, Refusal> {
        let lines = AnswerLines {
            content_location: bytes(&self.content_location),
            link: bytes(&self.link),
            location: bytes(&self.location),
            total_count: bytes(&self.total_count),
            body: match body {
                Some(Content::Json(rule)) => Some(rule),
                Some(Content::Nothing) | None => None,
            },
        };
        if lines.is_empty() {
            return Ok(Cleared::default());
        }
        let back = exchange.back();
        let mut ask = |asked| {
            // What is asked again is counted once.
            record.lines = Counts::default();
            minimise::answer(&back, exchange.flow(), &lines, asked, &mut record.lines)
        };
        let register = exchange.register();
        let mut answered = ask(match &register {
            Some(_) => Asked::First,
            None => Asked::Again,
        });
        if let (true, Some(register)) = (answered.missed, &register) {
            register.catch_up().await?;
            answered = ask(Asked::Again);
        }
        if let NextPage::Lost(fault) = answered.next
            && [Method::GET, Method::HEAD].contains(method)
        {
            return Err(Refusal::NextPageLost { fault });
        }
        if let Some(register) = register {
            register.settle(answered.trail.batch).await?;
        }
        Ok(answered.head)
    }
}

/// Writes what was cleared.
pub(super) fn write(head: Cleared<AnswerHead>, headers: &mut HeaderMap) {
    let AnswerHead {
        content_location,
        link,
        location,
        total_count,
    } = head.release();
    let lines = [
        (CONTENT_LOCATION, content_location),
        (LINK, link),
        (LOCATION, location),
        (X_TOTAL_COUNT, total_count),
    ];
    for (name, text) in lines {
        let value = text.and_then(|text| HeaderValue::try_from(text).ok());
        if let Some(value) = value {
            headers.insert(name, value);
        }
    }
}

fn bytes(values: &[HeaderValue]) -> Vec<&[u8]> {
    values.iter().map(HeaderValue::as_bytes).collect()
}
