//! The token for a flow's upstream: fetched from a token server, kept in memory, and renewed before
//! it ends. One fetch at a time, over all threads; the others wait for it.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use http::{HeaderValue, StatusCode};
use serde_json::Value;
use tokio::sync::Semaphore;
use tokio::time::timeout;

use crate::alarm::after;
use crate::clock::Clock;
use crate::config::{Flow, UpstreamAuth};
use crate::events::{Events, RouteMeter, TokenFetch, UpstreamTokenAsked};
use crate::limits::{Bound, Limits};
use crate::refusal::{Bug, Refusal};
use crate::secret::SecretText;
use crate::tls::Connectors;
use crate::upstream::{Granted, TokenServer};

/// The life of a token whose server does not say how long it is.
const LIFE_DEFAULT: Duration = Duration::from_secs(300);
/// So long a request waits for a better token than the one at hand.
const RENEWAL_WAIT: Duration = Duration::from_secs(1);
/// No token is kept for longer, whatever its server says.
const LIFE_MAX: Duration = Duration::from_secs(24 * 3_600);
/// A token is renewed so long before its end, or in the last tenth of its life if that is less.
const MARGIN_MAX: Duration = Duration::from_secs(60);
/// After a failure nobody asks for so long, twice as long after the next, and so on up to the most.
const PAUSE: Duration = Duration::from_secs(1);
const PAUSE_MAX: Duration = Duration::from_secs(60);
/// Two tokens in a row that the upstream refuses are not the token's fault: the second is kept for
/// so long.
const REFUSED_LIFE: Duration = Duration::from_secs(10);
/// A longer token would not fit into a head.
const TOKEN_BYTES_MAX: usize = 16 << 10;

/// Fetches and keeps the token of one flow.
pub(super) struct Fetcher {
    /// `None` if its configuration cannot be used after all.
    server: Option<TokenServer>,
    /// The one who may fetch.
    turn: Semaphore,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    kept: Option<Arc<Kept>>,
    /// Whether the token before was refused by the upstream.
    after_refusal: bool,
    failures: u32,
    /// Nobody asks before.
    pause_until: Option<Instant>,
}

/// A token that is kept.
pub(super) struct Kept {
    /// `Bearer …`
    text: SecretText,
    since: Instant,
    renew_at: Instant,
    ends_at: Instant,
    after_refusal: bool,
}

/// Whether another token may be fetched at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refetch {
    Allowed,
    NotNow,
}

/// What it takes to ask.
pub(super) struct Asking<'a> {
    pub(super) clock: &'a Clock,
    pub(super) limits: &'a Limits,
    pub(super) events: &'a Events,
    pub(super) meter: RouteMeter,
}

/// The same for one who does not wait for the answer.
struct Renewal {
    clock: Clock,
    limits: Limits,
    events: Events,
    meter: RouteMeter,
}

impl Renewal {
    fn of(asking: &Asking<'_>) -> Self {
        Self {
            clock: asking.clock.clone(),
            limits: asking.limits.clone(),
            events: asking.events.clone(),
            meter: asking.meter.clone(),
        }
    }

    fn asking(&self) -> Asking<'_> {
        Asking {
            clock: &self.clock,
            limits: &self.limits,
            events: &self.events,
            meter: self.meter.clone(),
        }
    }
}

/// What there is at a moment.
enum Look {
    /// A token that is good for a while.
    Good(Arc<Kept>),
    /// A token that is still good, and should be renewed.
    Ageing(Arc<Kept>),
    /// None, and it is time to ask.
    Nothing,
    /// None, and it is too early to ask again.
    Pause,
}

impl Fetcher {
    /// For a flow whose upstream wants tokens.
    pub(super) fn new(flow: &Flow, connectors: &Connectors) -> Option<Arc<Self>> {
        match &flow.upstream_auth {
            UpstreamAuth::Basic(_)
            | UpstreamAuth::Bearer(_)
            | UpstreamAuth::Forward
            | UpstreamAuth::None => None,
            UpstreamAuth::Oauth2(grant) => Some(Arc::new(Self {
                server: TokenServer::new(grant, connectors).ok(),
                turn: Semaphore::new(1),
                state: Mutex::default(),
            })),
        }
    }

    /// The token to show now.
    ///
    /// # Errors
    /// [`Refusal::UpstreamAuthentication`] if there is none and none comes within
    /// `upstream-token`, or if the last failure was too short a time ago.
    pub(super) async fn token(self: &Arc<Self>, asking: &Asking<'_>) -> Result<Arc<Kept>, Refusal> {
        match self.look(asking.clock.now()) {
            Look::Good(kept) => return Ok(kept),
            Look::Pause => return Err(Refusal::UpstreamAuthentication),
            Look::Ageing(kept) if self.turn.available_permits() == 0 => return Ok(kept),
            Look::Ageing(kept) => {
                // Whoever comes first has it renewed; until then it is as good as before.
                let renewal = Arc::clone(self).renew(Renewal::of(asking));
                let renewed = timeout(RENEWAL_WAIT, tokio::spawn(renewal)).await;
                let renewed = renewed.ok().and_then(Result::ok).flatten();
                // It may have ended while a better one was waited for.
                let before = || Some(kept).filter(|it| asking.clock.now() < it.ends_at);
                if let Some(kept) = renewed.or_else(before) {
                    return Ok(kept);
                }
            }
            Look::Nothing => {}
        }
        let most = asking.limits.time(Bound::UpstreamToken);
        let turn = timeout(most, self.turn.acquire()).await;
        let Ok(Ok(_turn)) = turn else {
            return Err(Refusal::UpstreamAuthentication);
        };
        // Somebody else may have asked meanwhile.
        match self.look(asking.clock.now()) {
            Look::Good(kept) | Look::Ageing(kept) => Ok(kept),
            Look::Pause => Err(Refusal::UpstreamAuthentication),
            Look::Nothing => self.fetch(asking).await,
        }
    }

    /// The upstream did not take a token: it is dropped, so that the next request fetches anew.
    pub(super) fn refused(&self, kept: &Arc<Kept>, now: Instant) -> Refetch {
        let mut state = self.state();
        let is_kept = state.kept.as_ref().is_some_and(|it| Arc::ptr_eq(it, kept));
        if !is_kept {
            // Another request has seen to it.
            return Refetch::Allowed;
        }
        let age = now.saturating_duration_since(kept.since);
        if kept.after_refusal && age < REFUSED_LIFE {
            return Refetch::NotNow;
        }
        state.kept = None;
        state.after_refusal = true;
        Refetch::Allowed
    }

    fn look(&self, now: Instant) -> Look {
        let state = self.state();
        let pausing = state.pause_until.is_some_and(|until| now < until);
        match &state.kept {
            Some(kept) if now < kept.renew_at => Look::Good(Arc::clone(kept)),
            Some(kept) if now < kept.ends_at && pausing => Look::Good(Arc::clone(kept)),
            Some(kept) if now < kept.ends_at => Look::Ageing(Arc::clone(kept)),
            Some(_) | None if pausing => Look::Pause,
            Some(_) | None => Look::Nothing,
        }
    }

    /// Asks to the end of `upstream-token`, whoever waits for it; unless somebody else does.
    async fn renew(self: Arc<Self>, renewal: Renewal) -> Option<Arc<Kept>> {
        let _turn = self.turn.try_acquire().ok()?;
        // Somebody else may have done it before this had its turn, or have failed to.
        match self.look(renewal.clock.now()) {
            Look::Good(kept) => Some(kept),
            Look::Pause => None,
            Look::Ageing(_) | Look::Nothing => self.fetch(&renewal.asking()).await.ok(),
        }
    }

    /// Asks, and keeps what comes of it. Only for the one whose turn it is.
    async fn fetch(&self, asking: &Asking<'_>) -> Result<Arc<Kept>, Refusal> {
        let server = self.server.as_ref().ok_or(Refusal::Bug(Bug::Head))?;
        // Counted from here: the server counts from some later moment.
        let asked_at = asking.clock.now();
        let most = asking.limits.time(Bound::UpstreamToken);
        let read = match timeout(most, server.ask(asking.limits)).await {
            Err(_late) => Err(TokenFetch::Late),
            Ok(Err(refusal)) => Err(fault(refusal)),
            Ok(Ok(granted)) => read(&granted),
        };
        let (outcome, fetched) = match read {
            Ok((text, life)) => (TokenFetch::Granted, Ok(self.keep(text, life, asked_at))),
            Err(outcome) => {
                self.pause(asking.clock.now());
                (outcome, Err(Refusal::UpstreamAuthentication))
            }
        };
        let meter = &asking.meter;
        asking.events.emit(UpstreamTokenAsked { meter, outcome });
        fetched
    }

    fn keep(&self, text: SecretText, life: Duration, since: Instant) -> Arc<Kept> {
        let margin = MARGIN_MAX.min(life.checked_div(10).unwrap_or_default());
        let mut state = self.state();
        let kept = Arc::new(Kept {
            text,
            since,
            renew_at: after(since, life.saturating_sub(margin)),
            ends_at: after(since, life),
            after_refusal: state.after_refusal,
        });
        *state = State {
            kept: Some(Arc::clone(&kept)),
            ..State::default()
        };
        kept
    }

    fn pause(&self, now: Instant) {
        let mut state = self.state();
        let pause = PAUSE.saturating_mul(1 << state.failures.min(6));
        state.pause_until = Some(after(now, pause.min(PAUSE_MAX)));
        state.failures = state.failures.saturating_add(1);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    /// As a request shows it to the upstream.
    ///
    /// # Errors
    /// [`Refusal::Bug`] if it fits into no head after all.
    pub(super) fn header(&self) -> Result<HeaderValue, Refusal> {
        // Exposed to the upstream that it was fetched for.
        let value = HeaderValue::from_str(self.text.expose());
        let mut value = value.map_err(|_bad| Refusal::Bug(Bug::Head))?;
        value.set_sensitive(true);
        Ok(value)
    }
}

impl fmt::Debug for Kept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Kept(redacted)")
    }
}

/// Why there was no answer.
fn fault(refusal: Refusal) -> TokenFetch {
    if let Refusal::UpstreamTimeout { .. } = refusal {
        TokenFetch::Late
    } else if refusal == Refusal::UpstreamBroken {
        TokenFetch::Unusable
    } else {
        TokenFetch::Unreachable
    }
}

/// Reads an answer (RFC 6749 section 5.1): the token as a head shows it, and how long it lives.
fn read(granted: &Granted) -> Result<(SecretText, Duration), TokenFetch> {
    if granted.status != StatusCode::OK {
        return Err(TokenFetch::Refused);
    }
    let document: Value =
        serde_json::from_slice(&granted.body).map_err(|_bad| TokenFetch::Unusable)?;
    let text = |key: &str| document.get(key).and_then(Value::as_str);
    let is_bearer = text("token_type").is_some_and(|it| it.eq_ignore_ascii_case("bearer"));
    let fits = |token: &&str| {
        let visible = token.bytes().all(|byte| byte.is_ascii_graphic());
        (1..=TOKEN_BYTES_MAX).contains(&token.len()) && visible
    };
    let token = text("access_token").filter(fits).filter(|_| is_bearer);
    let token = token.ok_or(TokenFetch::Unusable)?;
    // Some servers write the number as a text.
    let life = document.get("expires_in");
    let life = life.and_then(|life| life.as_u64().or_else(|| life.as_str()?.parse().ok()));
    let life = life.map_or(LIFE_DEFAULT, Duration::from_secs);
    let life = life.clamp(Duration::from_secs(1), LIFE_MAX);
    Ok((SecretText::new(["Bearer ", token].concat()), life))
}

#[cfg(test)]
mod tests {
    use std::task::Poll;

    use super::*;
    use crate::config::{LogFormat, LogLevel};
    use crate::events::tests::voice;

    fn answer(status: u16, body: &str) -> Result<(String, u64), TokenFetch> {
        let granted = Granted {
            status: StatusCode::from_u16(status).unwrap_or_default(),
            body: body.to_owned().into(),
        };
        read(&granted).map(|(text, life)| (text.expose().to_owned(), life.as_secs()))
    }

    /// A fetcher with a token that lives for 100 s, and whose server cannot be asked.
    fn alone(clock: &Clock) -> (Arc<Fetcher>, Arc<Kept>) {
        let fetcher = Arc::new(Fetcher {
            server: None,
            turn: Semaphore::new(1),
            state: Mutex::default(),
        });
        let text = SecretText::new("Bearer fake".to_owned());
        let kept = fetcher.keep(text, Duration::from_secs(100), clock.now());
        (fetcher, kept)
    }

    fn renewal(clock: &Clock) -> Renewal {
        let (events, _, _) = voice(LogFormat::Json, LogLevel::Error);
        Renewal {
            clock: clock.clone(),
            limits: Limits::default(),
            meter: events.meters().unknown().clone(),
            events,
        }
    }

    fn turned(clock: Clock, by: Duration) -> impl Future<Output = ()> {
        std::future::poll_fn(move |_| {
            clock.turn(by);
            Poll::Ready(())
        })
    }

    #[tokio::test]
    async fn who_renews_looks_again_once_it_is_its_turn() {
        let clock = Clock::test(0);
        let (fetcher, kept) = alone(&clock);
        // As after another has renewed it between the look and the turn.
        let again = Arc::clone(&fetcher).renew(renewal(&clock)).await;
        assert!(again.is_some_and(|again| Arc::ptr_eq(&again, &kept)));
        clock.turn(Duration::from_secs(95));
        assert!(fetcher.clone().renew(renewal(&clock)).await.is_none());
        // And as after another has failed to.
        clock.turn(Duration::from_secs(5));
        fetcher.pause(clock.now());
        assert!(fetcher.clone().renew(renewal(&clock)).await.is_none());
        assert_eq!(fetcher.state().failures, 1, "nobody asked");
    }

    #[tokio::test]
    async fn a_token_that_ends_while_a_better_one_is_waited_for_is_not_shown() {
        for (more_s, shown) in [(4, true), (5, false)] {
            let clock = Clock::test(0);
            let (fetcher, kept) = alone(&clock);
            clock.turn(Duration::from_secs(95));
            // Turned before the renewal, which is begun later.
            let turned = tokio::spawn(turned(clock.clone(), Duration::from_secs(more_s)));
            let renewal = renewal(&clock);
            let token = fetcher.token(&renewal.asking()).await;
            turned.await.unwrap();
            match token {
                Ok(token) => assert!(shown && Arc::ptr_eq(&token, &kept), "{more_s}"),
                Err(refusal) => assert_eq!((shown, refusal), (false, Refusal::Bug(Bug::Head))),
            }
        }
    }

    #[test]
    fn a_token_is_read_as_rfc_6749_writes_it() {
        let with = |more: &str| {
            let body = format!(r#"{{"access_token":"abc","token_type":"bearer"{more}}}"#);
            answer(200, &body)
        };
        let lives = |seconds| Ok(("Bearer abc".to_owned(), seconds));
        assert_eq!(with(r#","expires_in":3600"#), lives(3_600));
        assert_eq!(with(r#","expires_in":"3600","scope":"x""#), lives(3_600));
        for unknown in ["", r#","expires_in":null"#, r#","expires_in":-1"#] {
            assert_eq!(with(unknown), lives(300), "{unknown}");
        }
        assert_eq!(with(r#","expires_in":0"#), lives(1));
        assert_eq!(with(r#","expires_in":18446744073709551615"#), lives(86_400));
    }

    #[test]
    fn what_is_no_token_is_not_shown_to_anybody() {
        let good = r#"{"access_token":"abc","token_type":"Bearer"}"#;
        assert!(answer(200, good).is_ok());
        for status in [201, 204, 302, 400, 401, 500] {
            assert_eq!(answer(status, good), Err(TokenFetch::Refused), "{status}");
        }
        let long = format!(
            r#"{{"access_token":"{}","token_type":"Bearer"}}"#,
            "a".repeat(20_000)
        );
        for bad in [
            "",
            "abc",
            "[]",
            r#"{"access_token":"abc"}"#,
            r#"{"access_token":"abc","token_type":"mac"}"#,
            r#"{"access_token":"","token_type":"Bearer"}"#,
            r#"{"access_token":7,"token_type":"Bearer"}"#,
            r#"{"access_token":"a b","token_type":"Bearer"}"#,
            r#"{"access_token":"a
x: y","token_type":"Bearer"}"#,
            r#"{"token_type":"Bearer"}"#,
            &long,
            &"[".repeat(60_000),
        ] {
            assert_eq!(answer(200, bad), Err(TokenFetch::Unusable), "{bad:.60}");
        }
    }
}
