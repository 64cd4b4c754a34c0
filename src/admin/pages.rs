//! The pages themselves: a request in, an answer out.

use bytes::Bytes;
use http::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, HeaderValue, X_CONTENT_TYPE_OPTIONS};
use http::{Method, Request, Response, StatusCode};
use http_body_util::Full;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::state::{Now, Stage, State};
use crate::clock::Time;
use crate::config::{ListFault, Vendor};
use crate::events::{Circuit, LoadSeen, RegisterSeen};
use crate::names::SchoolId;
use crate::store;

const TEXT: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");
const JSON: HeaderValue = HeaderValue::from_static("application/json");
/// What Prometheus calls its text format.
const METRICS: HeaderValue = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");

/// Upstreams that are left alone, named by `/readyz?verbose`; `/status` names all.
const RESTING_SHOWN_MAX: usize = 20;

/// Answers one request. The body of a request is never read.
pub(super) fn answer<B>(state: &State, request: &Request<B>) -> Response<Full<Bytes>> {
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        let mut refused = page(StatusCode::METHOD_NOT_ALLOWED, TEXT, "only GET and HEAD\n");
        refused
            .headers_mut()
            .insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
        return refused;
    }
    match request.uri().path() {
        "/livez" => page(StatusCode::OK, TEXT, "ok\n"),
        "/readyz" => readyz(state, &state.now(), request.uri().query()),
        "/metrics" => page(StatusCode::OK, METRICS, metrics(state)),
        "/status" => page(
            StatusCode::OK,
            JSON,
            format!("{:#}\n", status(state, &state.now())),
        ),
        _ => page(
            StatusCode::NOT_FOUND,
            TEXT,
            "/livez /readyz?verbose /metrics /status\n",
        ),
    }
}

/// 200 if requests are taken, else 503; with `?verbose`, each check on a line of its own: `[+]` if
/// all is well, `[!]` if somebody should look and requests are taken all the same, `[-]` if that is
/// why they are not.
///
/// A vendor or an upstream that is down makes nothing unready: the others are served. Nor does a
/// register that cannot be used: what it knows passes all the same, and what it does not know is
/// refused by every node that shares it.
fn readyz(state: &State, now: &Now, query: Option<&str>) -> Response<Full<Bytes>> {
    let status = match now.stage {
        Stage::Ready => StatusCode::OK,
        Stage::Draining | Stage::Starting => StatusCode::SERVICE_UNAVAILABLE,
    };
    let short = if status == StatusCode::OK {
        "ok\n"
    } else {
        "not ready\n"
    };
    if query != Some("verbose") {
        return page(status, TEXT, short);
    }
    let listener = match now.stage {
        Stage::Ready => "[+] listener: accepts connections",
        Stage::Draining => "[-] listener: draining",
        Stage::Starting => "[-] listener: not yet",
    };
    let newest = match &now.reload {
        Some(reload) if reload.problem.is_some() => {
            "[!] configuration: the newest is broken and the one before it decides, see /status"
        }
        Some(_) | None => "[+] configuration: the newest is in force",
    };
    let vendors = now.config.vendors.len();
    let checks = format!(
        "{listener}\n{newest}\n[+] keys: one for each of {vendors} vendors\n{}{}",
        upstreams(&state.load()),
        lists(now, state.clock.time())
    );
    let register = state.register().map(|register| of_register(&register));
    page(status, TEXT, checks + &register.unwrap_or_default() + short)
}

/// The upstreams that are left alone, each on a line of its own, up to [`RESTING_SHOWN_MAX`]; or
/// that there is none.
fn upstreams(load: &LoadSeen) -> String {
    let resting = load.circuits.iter();
    let resting = resting.filter_map(|it| Some((it, it.rests_since_unix_s?)));
    let count = resting.clone().count();
    if count == 0 {
        return "[+] upstreams: none is left alone\n".to_owned();
    }
    let mut text = String::new();
    for (circuit, since_unix_s) in resting.take(RESTING_SHOWN_MAX) {
        let Circuit {
            school,
            vendor,
            flow,
            ..
        } = circuit;
        let since = date_time(since_unix_s).map(|since| format!(" since {since}"));
        text.push_str(&format!(
            "[!] upstreams: {school}/{vendor}: {flow} is left alone{}: it failed again and again; \
             the next request after a moment tries it\n",
            since.unwrap_or_default()
        ));
    }
    match count.saturating_sub(RESTING_SHOWN_MAX) {
        0 => {}
        more => text.push_str(&format!(
            "[!] upstreams: {more} more are left alone, see /status\n"
        )),
    }
    text
}

/// The metrics as they are now.
fn metrics(state: &State) -> String {
    if let Some(register) = state.register() {
        state.events.emit(RegisterSeen {
            store: register.store,
            schools: &register.schools,
            trouble: register.code(),
            read_unix_s: register.read_unix_s,
        });
    }
    state.events.emit(&state.load());
    state.events.metrics_page()
}

/// The lists of objections, if there are any: all that can be used in one line, each other on its
/// own.
fn lists(now: &Now, time: Time) -> String {
    let mut text = String::new();
    let mut usable = 0_usize;
    for vendor in &now.config.vendors {
        for (list, fault) in vendor.lists.standing(time) {
            let Some(fault) = fault else {
                usable = usable.saturating_add(1);
                continue;
            };
            let (school, id, why) = (&vendor.school, &vendor.id, fault.words());
            text.push_str(&format!(
                "[!] objections: {school}/{id}: {list} {why}, so every request of this vendor is \
                 refused\n"
            ));
        }
    }
    if usable > 0 {
        let lists = if usable == 1 { "list" } else { "lists" };
        text.push_str(&format!("[+] objections: {usable} {lists} can be used\n"));
    }
    text
}

/// What runs here, for people and dashboards.
fn status(state: &State, now: &Now) -> Value {
    let time = state.clock.time();
    let uptime_s = time.steady_s.saturating_sub(state.started.steady_s);
    let load = state.load();
    let vendors = now
        .config
        .vendors
        .iter()
        .map(|vendor| shown(vendor, &load, now, time));
    json!({
        "version": env!("CARGO_PKG_VERSION"),
        "stage": now.stage.name(),
        "started": date_time(state.started.unix_s),
        "uptime_seconds": uptime_s,
        "policy_hash": now.config.hash.0,
        "vendors": vendors.collect::<Vec<_>>(),
        "body_bytes_in_flight": load.body_bytes,
        "register": state.register().map(|register| remembered(&register, time.unix_s)),
        "certificate": now.certificate_expires_unix_s.map(certificate),
        "last_reload": now.reload.as_ref().map(|reload| json!({
            "at": date_time(reload.at_unix_s),
            "successful": reload.problem.is_none(),
            "problem": reload.problem,
        })),
    })
}

/// What is checked of the register.
fn of_register(register: &store::State) -> String {
    match register.code() {
        Some(code) if register.has_lost_rows() => format!(
            "[!] register: {code}: it is not the one we wrote in, so every identifier with a way \
             back is refused; put the newest copy back, or restart with what is there\n"
        ),
        Some(code) if !register.stopped.is_empty() => {
            let stopped = names(&register.stopped).join(", ");
            format!("[!] register: {code}, so what it does not know of {stopped} is refused\n")
        }
        Some(code) => format!("[!] register: {code}, so what it does not know is refused\n"),
        None => "[+] register: takes identifiers\n".to_owned(),
    }
}

fn names(schools: &[SchoolId]) -> Vec<&str> {
    schools.iter().map(SchoolId::as_str).collect()
}

/// How the register does; nothing that it holds.
fn remembered(register: &store::State, unix_s: u64) -> Value {
    let schools = register.schools.iter();
    let schools = schools.map(|(school, ids)| (school.to_string(), Value::from(*ids)));
    json!({
        "store": register.store,
        "identifiers": schools.collect::<serde_json::Map<_, _>>(),
        "usable": register.trouble.is_none(),
        "trouble": register.code(),
        "stopped": names(&register.stopped),
        "since": register.trouble_since_unix_s.and_then(date_time),
        "seconds_behind": register.is_shared().then(|| unix_s.saturating_sub(register.read_unix_s)),
    })
}

fn shown(vendor: &Vendor, load: &LoadSeen, now: &Now, time: Time) -> Value {
    let place = (vendor.school.clone(), vendor.id.clone());
    let expires = now.shown_expires.get(&place);
    let circuits = load.circuits.iter();
    let resting = circuits.filter(|it| (&it.school, &it.vendor) == (&vendor.school, &vendor.id));
    let resting = resting.filter(|it| it.rests_since_unix_s.is_some());
    let lists = vendor.lists.standing(time).into_iter();
    let lists = lists.map(|(list, fault)| (list.to_owned(), json!(fault.map(ListFault::words))));
    let addresses = vendor.addresses();
    let addresses = addresses.map(|(flow, address)| (flow.to_owned(), json!(address)));
    json!({
        "school": vendor.school.as_str(),
        "vendor": vendor.id.as_str(),
        "name": vendor.name,
        "mode": vendor.mode.name(),
        "agreement": {
            "from": vendor.valid.from.to_string(),
            "until": vendor.valid.until.to_string(),
        },
        "addresses": addresses.collect::<serde_json::Map<_, _>>(),
        "flows": vendor.flows.iter().map(|flow| flow.id.as_str()).collect::<Vec<_>>(),
        "resting_upstreams": resting.map(|it| it.flow.as_str()).collect::<Vec<_>>(),
        "objection_lists": lists.collect::<serde_json::Map<_, _>>(),
        "policy_hash": vendor.hash.0,
        "key_fingerprint": vendor.fingerprint.to_string(),
        "key_prepared": vendor.prepared_key().map(|key| key.to_string()),
        "upstream_certificate": expires.copied().map(certificate),
    })
}

fn certificate(expires_unix_s: u64) -> Value {
    json!({ "expires": date_time(expires_unix_s) })
}

/// RFC 3339, UTC; nothing for a time that no calendar has.
fn date_time(unix_s: u64) -> Option<String> {
    let seconds = i64::try_from(unix_s).ok()?;
    Timestamp::from_second(seconds)
        .ok()
        .map(|time| time.to_string())
}

fn page(
    status: StatusCode,
    content_type: HeaderValue,
    body: impl Into<Bytes>,
) -> Response<Full<Bytes>> {
    let mut page = Response::new(Full::new(body.into()));
    *page.status_mut() = status;
    let headers = page.headers_mut();
    headers.insert(CONTENT_TYPE, content_type);
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    page
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::store::{Damage, Fault};

    #[test]
    fn a_register_says_whom_its_trouble_is_of() {
        let of = |fault: Option<Fault>, stopped: &[&str]| {
            let stopped = stopped.iter().filter_map(|it| SchoolId::parse(it));
            let state = store::State {
                ids: 0,
                schools: Vec::new(),
                stopped: stopped.collect(),
                store: "postgres",
                read_unix_s: 0,
                trouble: fault.map(Arc::new),
                trouble_since_unix_s: None,
            };
            (
                of_register(&state),
                remembered(&state, 0)["stopped"].clone(),
            )
        };
        let damaged = Some(Fault::Damaged(Damage::default()));
        let said = "[!] register: damaged, so what it does not know of proef, vrij is refused\n";
        let seen = of(damaged, &["proef", "vrij"]);
        assert_eq!(seen, (said.to_owned(), json!(["proef", "vrij"])));
        let said = "[!] register: server_timeout, so what it does not know is refused\n";
        assert_eq!(of(Some(Fault::Timeout), &[]), (said.to_owned(), json!([])));
        let lost = of(Some(Fault::NoTable), &["proef"]).0;
        assert!(
            lost.contains("every identifier with a way back is refused"),
            "{lost}"
        );
        assert_eq!(of(None, &[]).0, "[+] register: takes identifiers\n");
    }
}
