//! Tokens that the gateway fetches for an upstream (RFC 6749 section 4.4): kept, renewed, dropped.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use data_encoding::BASE64;
use sluis::clock::Clock;

use crate::harness::upstream::ok;
use crate::harness::{HOST, House, Markers, Message, Plans, Upstream};
use crate::tls::secure_upstream;

/// The secret that the harness writes into `upstream-token`.
const SECRET: &str = crate::harness::UPSTREAM_TOKEN;
const CLIENT: &str = "client-zzq of us";

/// A token server whose n-th answer, from 1, is made by `answer`; with what it counts by.
fn server(
    answer: impl Fn(usize) -> String + Send + Sync + 'static,
) -> (Upstream, Arc<AtomicUsize>) {
    let asked = Arc::<AtomicUsize>::default();
    let count = Arc::clone(&asked);
    let upstream = Upstream::scripted(move |peer| {
        while peer.request().is_some() {
            let answer = answer(count.fetch_add(1, Ordering::SeqCst) + 1);
            if peer.try_send(answer).is_err() {
                return;
            }
        }
    });
    (upstream, asked)
}

fn name(number: usize) -> String {
    format!("fake-zzq-token-number-{number}")
}

/// A token that lives for an hour.
fn hour(number: usize) -> String {
    let token = name(number);
    ok(&format!(
        r#"{{"access_token":"{token}","token_type":"bearer","expires_in":3600}}"#
    ))
}

/// A token server that gives token after token.
fn good() -> (Upstream, Arc<AtomicUsize>) {
    server(hour)
}

/// An upstream that takes what `takes` says of a token.
fn upstream(takes: impl Fn(&str) -> bool + Send + Sync + 'static) -> Upstream {
    Upstream::scripted(move |peer| {
        while let Some(request) = peer.request() {
            let shown = request.lines("authorization");
            let token = shown
                .first()
                .and_then(|value| value.strip_prefix("Bearer "));
            let answer = match token.is_some_and(&takes) {
                true => ok(r#"{"users":[]}"#),
                false => "HTTP/1.1 401 x\r\ncontent-length: 0\r\n\r\n".to_owned(),
            };
            if peer.try_send(answer).is_err() {
                return;
            }
        }
    })
}

/// A flow whose upstream wants tokens, with these words beside the usual ones of `oauth2`.
fn plans(upstream: &Upstream, server: SocketAddr, words: &str) -> Plans {
    let more = format!(
        r#"
[flow.tokens]
caller = "vendor"
at = "/tokens"
upstream = "http://{}"
callers = "anyone"

[flow.tokens.upstream-auth.oauth2]
token-url = "http://{}/o/token/"
client-id = "{CLIENT}"
secret = {{ file = "upstream-token" }}
{words}

[[flow.tokens.route]]
match = "GET /users"
to-vendor = {{ users = "User[]" }}

[[flow.tokens.route]]
match = "POST /users"
from-vendor = "Receipt"

[[flow.tokens.route]]
match = "DELETE /users"
"#,
        upstream.address, server
    );
    let clock = Clock::test(1_790_000_000);
    Plans {
        more,
        clock,
        meant: &[CLIENT, "client-zzq+of+us", "fake-zzq-token-number-"],
        ..Plans::default()
    }
}

fn open(upstream: Upstream, server: SocketAddr) -> House {
    plans(&upstream, server, "").open(upstream)
}

fn get() -> String {
    format!("GET /tokens/users HTTP/1.1\r\nhost: {HOST}\r\n\r\n")
}

fn post() -> String {
    let lines = "content-type: application/json\r\ncontent-length: 12\r\n\r\n{\"id\":\"r-1\"}";
    format!("POST /tokens/users HTTP/1.1\r\nhost: {HOST}\r\n{lines}")
}

fn refused(house: &House, request: &str) -> Message {
    let answer = house.ask(request);
    assert_eq!(
        (answer.status(), &*answer.code()),
        (502, "upstream_authentication")
    );
    answer
}

fn count(house: &House, what: &str) -> usize {
    house.upstream.received_text().matches(what).count()
}

/// Neither our secret nor a token in what a caller got, in log or metrics.
fn search(house: &House, answers: &[&Message]) {
    let encoded = BASE64.encode(format!("{CLIENT}:{SECRET}").as_bytes());
    let tokens: Vec<String> = (1..5).map(name).collect();
    let mut texts = vec![SECRET, CLIENT, &encoded];
    texts.extend(tokens.iter().map(String::as_str));
    let markers = Markers::of(&texts);
    house.search(&markers, &[]);
    for answer in answers {
        markers.assert_absent("an answer", answer.head.as_bytes());
        markers.assert_absent("an answer", &answer.body);
    }
}

#[test]
fn a_token_is_fetched_once_and_shown_to_the_upstream() {
    let (server, asked) = good();
    let house = open(upstream(|token| token == name(1)), server.address);
    let answers = [house.ask(get()), house.ask(post()), house.ask(get())];
    assert_eq!(answers.each_ref().map(Message::status), [200, 200, 200]);
    assert_eq!((asked.load(Ordering::SeqCst), server.connections()), (1, 1));
    let text = server.received_text();
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("POST /o/token/ HTTP/1.1\r\n"), "{head}");
    // RFC 6749 section 2.3.1: encoded as in a form, then as in Basic.
    let both = format!("client-zzq+of+us:{SECRET}");
    let basic = format!("authorization: Basic {}", BASE64.encode(both.as_bytes()));
    assert!(head.contains(&basic), "{head}");
    assert!(
        head.contains("content-type: application/x-www-form-urlencoded"),
        "{head}"
    );
    assert!(
        head.contains(&format!("host: {}", server.address)),
        "{head}"
    );
    assert_eq!(body, "grant_type=client_credentials");
    let page = house.events.metrics_page();
    let counted = "sluis_upstream_token_fetches_total{outcome=\"granted\",vendor=\"bron\"} 1";
    assert!(page.contains(counted), "{page}");
    search(&house, &answers.each_ref());
}

#[test]
fn client_secret_and_scope_may_stand_in_the_form() {
    let (server, _) = good();
    let upstream = upstream(|_| true);
    let words = "auth = \"form\"\nscope = \"roster.readonly a\"";
    let house = plans(&upstream, server.address, words).open(upstream);
    let answer = house.ask(get());
    assert_eq!(answer.status(), 200);
    let text = server.received_text();
    assert!(!text.contains("authorization"), "{text}");
    let form = format!(
        "grant_type=client_credentials&scope=roster.readonly+a&client_id=client-zzq+of+us\
         &client_secret={SECRET}"
    );
    assert!(text.ends_with(&form), "{text}");
    search(&house, &[&answer]);
}

#[test]
fn a_token_is_renewed_before_it_ends() {
    let (server, asked) = good();
    let house = open(upstream(|_| true), server.address);
    let fetches = |turn: u64| {
        house.clock.turn(Duration::from_secs(turn));
        assert_eq!(house.ask(get()).status(), 200);
        asked.load(Ordering::SeqCst)
    };
    assert_eq!(
        (fetches(0), fetches(3_539), fetches(1), fetches(60)),
        (1, 1, 2, 2)
    );
    assert_eq!(fetches(36_000), 3);
    for (number, times) in [(1, 2), (2, 2), (3, 1)] {
        assert_eq!(count(&house, &name(number)), times, "{number}");
    }
    search(&house, &[]);
}

#[test]
fn a_token_that_cannot_be_renewed_is_used_to_its_end() {
    let (server, asked) = server(|number| match number {
        1 => hour(1),
        _ => "HTTP/1.1 500 x\r\ncontent-length: 0\r\n\r\n".to_owned(),
    });
    let house = open(upstream(|_| true), server.address);
    assert_eq!(house.ask(get()).status(), 200);
    house.clock.turn(Duration::from_secs(3_550));
    assert_eq!(house.ask(get()).status(), 200, "it is still good");
    assert_eq!(house.ask(get()).status(), 200);
    assert_eq!(
        asked.load(Ordering::SeqCst),
        2,
        "and nobody is hammered meanwhile"
    );
    house.clock.turn(Duration::from_secs(50));
    let answer = refused(&house, &get());
    search(&house, &[&answer]);
}

#[test]
fn nobody_waits_for_a_slow_renewal_while_the_token_is_good() {
    let (server, asked) = server(|number| {
        if number == 2 {
            std::thread::sleep(Duration::from_secs(3));
        }
        hour(number)
    });
    let house = open(upstream(|_| true), server.address);
    assert_eq!(house.ask(get()).status(), 200);
    house.clock.turn(Duration::from_secs(3_550));
    let begun = Instant::now();
    assert_eq!(house.ask(get()).status(), 200);
    assert_eq!(house.ask(get()).status(), 200);
    assert!(
        begun.elapsed() < Duration::from_millis(2_500),
        "{:?}",
        begun.elapsed()
    );
    assert_eq!(count(&house, &name(1)), 3, "the one that is good");
    // What was asked for comes all the same.
    while count(&house, &name(2)) == 0 {
        assert!(begun.elapsed() < Duration::from_secs(20));
        std::thread::sleep(Duration::from_millis(50));
        assert_eq!(house.ask(get()).status(), 200);
    }
    assert_eq!(asked.load(Ordering::SeqCst), 2);
    search(&house, &[]);
}

#[test]
fn a_token_whose_life_is_not_told_lives_for_five_minutes() {
    let (server, asked) = server(|number| {
        let token = name(number);
        ok(&format!(
            r#"{{"access_token":"{token}","token_type":"Bearer"}}"#
        ))
    });
    let house = open(upstream(|_| true), server.address);
    for (turn, fetches) in [(0, 1), (269, 1), (1, 2)] {
        house.clock.turn(Duration::from_secs(turn));
        assert_eq!(house.ask(get()).status(), 200);
        assert_eq!(asked.load(Ordering::SeqCst), fetches);
    }
    search(&house, &[]);
}

#[test]
fn many_requests_at_once_fetch_one_token() {
    let (server, asked) = server(|number| {
        std::thread::sleep(Duration::from_millis(200));
        hour(number)
    });
    let upstream = upstream(|_| true);
    let house = Plans {
        threads: 2,
        ..plans(&upstream, server.address, "")
    }
    .open(upstream);
    std::thread::scope(|scope| {
        let asking: Vec<_> = (0..20)
            .map(|_| scope.spawn(|| house.ask(get()).status()))
            .collect();
        for answer in asking {
            assert_eq!(answer.join().unwrap(), 200);
        }
    });
    assert_eq!((asked.load(Ordering::SeqCst), server.connections()), (1, 1));
    assert_eq!(count(&house, &name(1)), 20);
    search(&house, &[]);
}

#[test]
fn one_who_goes_away_while_its_token_is_fetched_leaves_the_turn_to_another() {
    let (server, asked) = server(|number| {
        std::thread::sleep(Duration::from_millis(300));
        hour(number)
    });
    let house = open(upstream(|_| true), server.address);
    let mut first = house.caller();
    first.send(get());
    while server.connections() == 0 {
        std::thread::sleep(Duration::from_millis(2));
    }
    std::thread::scope(|scope| {
        let second = scope.spawn(|| house.ask(get()).status());
        std::thread::sleep(Duration::from_millis(50));
        first.reset();
        assert_eq!(second.join().unwrap(), 200);
    });
    assert_eq!(asked.load(Ordering::SeqCst), 2);
    search(&house, &[]);
}

#[test]
fn a_dead_token_server_is_asked_less_and_less_often() {
    let (server, asked) = server(|_| "HTTP/1.1 503 x\r\ncontent-length: 0\r\n\r\n".to_owned());
    let house = open(upstream(|_| true), server.address);
    for (turn_ms, asked_then) in [
        (0, 1),
        (999, 1),
        (1, 2),
        (1_999, 2),
        (1, 3),
        (3_999, 3),
        (1, 4),
    ] {
        house.clock.turn(Duration::from_millis(turn_ms));
        for _ in 0..5 {
            refused(&house, &get());
        }
        assert_eq!(asked.load(Ordering::SeqCst), asked_then, "{turn_ms}");
    }
    assert_eq!(
        house.upstream.connections(),
        0,
        "something was forwarded without a token"
    );
    let page = house.events.metrics_page();
    let counted = "sluis_upstream_token_fetches_total{outcome=\"refused\",vendor=\"bron\"} 4";
    assert!(page.contains(counted), "{page}");
    house.await_log("upstream_token.asked");
    search(&house, &[]);
}

#[test]
fn a_token_server_that_comes_back_is_asked_again() {
    let (server, _) = server(|number| match number {
        1 => "HTTP/1.1 503 x\r\ncontent-length: 0\r\n\r\n".to_owned(),
        _ => hour(number),
    });
    let house = open(upstream(|_| true), server.address);
    refused(&house, &get());
    house.clock.turn(Duration::from_secs(1));
    assert_eq!(house.ask(get()).status(), 200);
    search(&house, &[]);
}

#[test]
fn what_is_no_answer_of_a_token_server_is_no_token() {
    let whole = hour(1);
    let endless = format!(
        "HTTP/1.1 200 x\r\ncontent-length: 70000\r\n\r\n{}{}",
        " ".repeat(69_999),
        "{"
    );
    for answer in [
        whole.replace("200 OK", "302 x"),
        whole.replace("200 OK", "401 x"),
        whole.replace("bearer", "mac"),
        whole.replace('{', "["),
        whole.replace("content-length", "content-length: 7\r\ncontent-length"),
        whole.replace("HTTP/1.1", "SPDY/1.1"),
        ok("{\"error\":\"zzq-error-of-the-server\"}"),
        endless,
        "HTTP/1.1 200 x\r\n\r\n".to_owned(),
    ] {
        let shown = answer.clone();
        let server = Upstream::scripted(move |peer| {
            if peer.request().is_some() {
                drop(peer.try_send(&answer));
            }
        });
        let house = open(upstream(|_| true), server.address);
        let told = refused(&house, &get());
        assert_eq!(
            (server.connections(), house.upstream.connections()),
            (1, 0),
            "{shown:.99}"
        );
        search(&house, &[&told]);
        house.search(
            &Markers::of(&["zzq-error-of-the-server"]),
            &[("the caller", &told.body)],
        );
    }
}

#[test]
fn a_token_server_that_does_not_answer_is_given_up() {
    let server = Upstream::scripted(|peer| {
        peer.request();
        std::thread::sleep(Duration::from_secs(5));
    });
    let upstream = upstream(|_| true);
    let limits = "upstream-token = \"300ms\"".to_owned();
    let house = Plans {
        limits,
        ..plans(&upstream, server.address, "")
    }
    .open(upstream);
    let begun = Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..5 {
            scope.spawn(|| refused(&house, &get()));
        }
    });
    assert!(
        begun.elapsed() < Duration::from_secs(3),
        "{:?}",
        begun.elapsed()
    );
    assert_eq!(
        server.connections(),
        1,
        "those who waited did not ask again"
    );
    search(&house, &[]);
}

#[test]
fn a_token_server_that_is_not_there_is_no_fault_of_the_caller() {
    let closed = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let house = open(upstream(|_| true), closed);
    let answer = refused(&house, &get());
    let page = house.events.metrics_page();
    let counted = "sluis_upstream_token_fetches_total{outcome=\"unreachable\",vendor=\"bron\"} 1";
    assert!(page.contains(counted), "{page}");
    search(&house, &[&answer]);
}

#[test]
fn a_token_that_the_upstream_does_not_take_is_dropped_and_a_get_sent_once_more() {
    let (server, asked) = good();
    let house = open(upstream(|token| token != name(1)), server.address);
    assert_eq!(house.ask(get()).status(), 200);
    assert_eq!(
        (asked.load(Ordering::SeqCst), count(&house, "GET /users")),
        (2, 2)
    );
    assert_eq!(house.ask(get()).status(), 200);
    assert_eq!(
        (asked.load(Ordering::SeqCst), count(&house, "GET /users")),
        (2, 3)
    );
    search(&house, &[]);
}

#[test]
fn nothing_but_a_get_is_ever_sent_twice() {
    for (request, sent) in [
        (post(), "POST /users"),
        (get().replace("GET", "DELETE"), "DELETE /users"),
    ] {
        let (server, asked) = good();
        let house = open(upstream(|token| token != name(1)), server.address);
        let answer = refused(&house, &request);
        assert_eq!((asked.load(Ordering::SeqCst), count(&house, sent)), (1, 1));
        assert_eq!(
            house.ask(&request).status(),
            200,
            "the next one has a new token"
        );
        assert_eq!((asked.load(Ordering::SeqCst), count(&house, sent)), (2, 2));
        search(&house, &[&answer]);
    }
}

#[test]
fn an_upstream_that_takes_no_token_does_not_make_us_hammer_its_token_server() {
    let (server, asked) = good();
    let house = open(upstream(|_| false), server.address);
    for _ in 0..10 {
        refused(&house, &get());
    }
    assert_eq!(
        (asked.load(Ordering::SeqCst), count(&house, "GET /users")),
        (2, 11)
    );
    house.clock.turn(Duration::from_secs(10));
    refused(&house, &get());
    assert_eq!(asked.load(Ordering::SeqCst), 3);
    search(&house, &[]);
}

#[test]
fn a_token_of_the_upstream_is_not_taken_from_a_caller() {
    let (server, _) = good();
    let house = open(upstream(|_| true), server.address);
    let mine = "authorization: Bearer zzq-of-the-caller\r\n";
    let answer = house.ask(get().replace("\r\n\r\n", &format!("\r\n{mine}\r\n")));
    assert_eq!(answer.status(), 200);
    let markers = Markers::of(&["zzq-of-the-caller"]);
    let seen = [
        ("the upstream", house.upstream.received()),
        ("the token server", server.received()),
    ];
    house.search(
        &markers,
        &seen.each_ref().map(|(place, bytes)| (*place, &**bytes)),
    );
    search(&house, &[&answer]);
}

#[test]
fn a_token_server_over_tls_is_held_to_the_roots_of_the_flow() {
    let (server, roots) = secure_upstream(hour(1));
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("roots.pem");
    std::fs::write(&file, roots).unwrap();
    let ours = format!("upstream-tls = {{ roots = \"{}\" }}", file.display());
    for (tls, host, status) in [
        (&*ours, "localhost", 200),
        (&*ours, "127.0.0.1", 502),
        ("", "localhost", 502),
    ] {
        let upstream = upstream(|token| token == name(1));
        let mut plans = plans(&upstream, server.address, "");
        let url = format!("https://{host}:{}", server.address.port());
        plans.more = plans
            .more
            .replace(&format!("http://{}/o", server.address), &format!("{url}/o"));
        plans.more = plans.more.replacen(
            "callers =",
            &format!("allow-private = true\n{tls}\ncallers ="),
            1,
        );
        let house = plans.open(upstream);
        let answer = house.ask(get());
        assert_eq!(answer.status(), status, "{tls} {host}");
        search(&house, &[&answer]);
    }
}

#[test]
fn a_token_server_by_name_may_not_lead_inside() {
    let (server, _) = good();
    let upstream = upstream(|_| true);
    let mut plans = plans(&upstream, server.address, "");
    let (inside, url) = (
        format!("http://{}/o", server.address),
        format!("https://localhost:{}/o", server.address.port()),
    );
    plans.more = plans.more.replace(&inside, &url);
    let house = plans.open(upstream);
    let answer = refused(&house, &get());
    assert_eq!(server.connections(), 0);
    assert_eq!(house.upstream.connections(), 0);
    let page = house.events.metrics_page();
    let counted = "sluis_upstream_token_fetches_total{outcome=\"unreachable\",vendor=\"bron\"} 1";
    assert!(page.contains(counted), "{page}");
    search(&house, &[&answer]);
}
