//! How often each caller may ask: one bucket for each, over all threads.
//!
//! A bucket is one number, the moment at which it will be full again (the generic cell rate
//! algorithm, ITU-T I.371), moved without a lock. A library for it would bring its own clock, its
//! own random numbers and a dozen crates for these thirty lines.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use crate::config::{Callers, Flow, Rate};

const SECOND_NS: u64 = 1_000_000_000;

/// The buckets of one flow's callers. Callers are configured, so there is no more of them than
/// lines in a file; what one may ask for in a second is kept for it, and no more.
#[derive(Debug)]
pub(super) struct Rates {
    began: Instant,
    /// Nanoseconds between two requests.
    gap: u64,
    /// How many nanoseconds too early a request may come.
    slack: u64,
    requests: Box<[AtomicU64]>,
    /// Apart, so that fetching a token costs no request.
    tokens: Box<[AtomicU64]>,
}

/// What a caller asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    Request,
    Token,
}

impl Rates {
    /// Full buckets for every caller of a flow; none if it has no rate.
    pub(super) fn new(flow: &Flow, now: Instant) -> Option<Self> {
        let Rate { requests, period } = flow.rate?;
        let period_ns = u64::try_from(period.time().as_nanos()).unwrap_or(u64::MAX);
        let gap = period_ns
            .checked_div(u64::from(requests))
            .unwrap_or(period_ns);
        let in_a_second = SECOND_NS.checked_div(gap).unwrap_or(1).max(1);
        let callers = match &flow.callers {
            Callers::Anyone | Callers::Forwarded => 1,
            Callers::Listed(listed) => {
                let credentials = listed.tokens.len().saturating_add(listed.clients.len());
                credentials.saturating_add(listed.certificates.len())
            }
        };
        let buckets = || (0..callers).map(|_| AtomicU64::new(0)).collect();
        Some(Self {
            began: now,
            gap,
            slack: gap.saturating_mul(in_a_second.saturating_sub(1)),
            requests: buckets(),
            tokens: buckets(),
        })
    }

    /// Takes one from the bucket of the caller at that place.
    ///
    /// # Errors
    /// In how many whole seconds there will be one, if there is none now.
    pub(super) fn take(&self, wanted: Wanted, caller: usize, now: Instant) -> Result<(), u64> {
        let buckets = match wanted {
            Wanted::Request => &self.requests,
            Wanted::Token => &self.tokens,
        };
        let Some(full_at) = buckets.get(caller) else {
            return Ok(());
        };
        let now = now.saturating_duration_since(self.began).as_nanos();
        let now = u64::try_from(now).unwrap_or(u64::MAX);
        let take = |full_at: u64| {
            let full_at = full_at.max(now);
            let early = full_at.saturating_sub(now) > self.slack;
            (!early).then(|| full_at.saturating_add(self.gap))
        };
        match full_at.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take) {
            Ok(_) => Ok(()),
            Err(full_at) => {
                let wait = full_at.saturating_sub(now).saturating_sub(self.slack);
                Err(wait.div_ceil(SECOND_NS).max(1))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::clock::Clock;
    use crate::config::{Listed, Period, Reach, Retry, Scheme, Upstream, UpstreamAuth};
    use crate::names::FlowId;
    use crate::secret::SecretBytes;

    fn rates(requests: u32, period: Period, clock: &Clock) -> Rates {
        let token = || SecretBytes::from([7; 32]);
        let flow = Flow {
            id: FlowId::parse("pull").unwrap(),
            callers: Callers::Listed(Listed {
                tokens: vec![token(), token()],
                clients: Vec::new(),
                certificates: Vec::new(),
            }),
            ip_ranges: Vec::new(),
            rate: Some(Rate { requests, period }),
            upstream: Upstream {
                scheme: Scheme::Http,
                host: "127.0.0.1".to_owned(),
                port: 9,
                base: String::new(),
                reach: Reach::Any,
            },
            upstream_auth: UpstreamAuth::None,
            retry: Retry::Idempotent,
        };
        Rates::new(&flow, clock.now()).unwrap()
    }

    #[test]
    fn a_second_of_requests_may_come_at_once_and_then_no_more_than_the_rate() {
        let clock = Clock::test(0);
        let rates = rates(20, Period::Second, &clock);
        let ask = || rates.take(Wanted::Request, 0, clock.now());
        let at_once = (0..100).filter(|_| ask().is_ok()).count();
        assert_eq!(at_once, 20);
        clock.turn(Duration::from_millis(49));
        assert_eq!(ask(), Err(1));
        clock.turn(Duration::from_millis(1));
        assert_eq!((ask(), ask()), (Ok(()), Err(1)));
        clock.turn(Duration::from_secs(3_600));
        let at_once = (0..100).filter(|_| ask().is_ok()).count();
        assert_eq!(at_once, 20, "an hour of silence saves up one second");
    }

    #[test]
    fn a_slow_rate_lets_one_through_and_says_how_long_to_wait() {
        let clock = Clock::test(0);
        let rates = rates(6, Period::Minute, &clock);
        let ask = || rates.take(Wanted::Request, 0, clock.now());
        assert_eq!((ask(), ask()), (Ok(()), Err(10)));
        clock.turn(Duration::from_millis(8_500));
        assert_eq!(ask(), Err(2), "whole seconds, never too few");
        clock.turn(Duration::from_secs(2));
        assert_eq!(ask(), Ok(()));
    }

    #[test]
    fn every_caller_has_a_bucket_and_another_one_for_tokens() {
        let clock = Clock::test(0);
        let rates = rates(1, Period::Second, &clock);
        for caller in [0, 1] {
            for wanted in [Wanted::Request, Wanted::Token] {
                assert_eq!(rates.take(wanted, caller, clock.now()), Ok(()));
                assert_eq!(rates.take(wanted, caller, clock.now()), Err(1));
            }
        }
    }

    #[test]
    fn threads_together_get_no_more_than_one_would() {
        let clock = Clock::test(0);
        let rates = rates(1_000, Period::Second, &clock);
        let take = || rates.take(Wanted::Request, 0, clock.now()).is_ok();
        let thread = || (0..1_000).filter(|_| take()).count();
        let taken: usize = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..4).map(|_| scope.spawn(thread)).collect();
            threads
                .into_iter()
                .map(|thread| thread.join().unwrap())
                .sum()
        });
        assert_eq!(taken, 1_000);
    }
}
