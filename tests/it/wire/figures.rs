//! How malformed requests and broken answers are taken here and by other people's proxies, in the
//! same run.
//!
//! `docs/reliability.md` shows the tables and the commands that make them.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::Write as _;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Instant;

use super::answers::{Kind, broken, in_every_way, meant, pulls};
use super::grammar::{Case, Class, Right, all};
use super::vendor::Vendor;
use super::{Bed, DEADLINES, FIRST, NO_REST, PATIENCE, Taken, exchange_all, judge, right_answer};

/// Cases taken strictly, normalised and failed, by class.
type Figures = BTreeMap<Class, [usize; 3]>;

fn figures(address: SocketAddr, vendor: &Vendor, cases: &[Case]) -> Figures {
    let outcomes = exchange_all(address, cases);
    let seen = vendor.numbered();
    let of = |number| seen.get(&Some(number)).map_or(&[][..], Vec::as_slice);
    let mut figures = Figures::new();
    for ((number, case), outcome) in (FIRST..).step_by(2).zip(cases).zip(&outcomes) {
        let place = match judge(case, outcome, of(number), of(number + 1)) {
            Taken::Strictly => 0,
            Taken::Normalised => 1,
            Taken::Wrongly(_) => 2,
        };
        figures.entry(case.class).or_default()[place] += 1;
    }
    figures
}

/// Another proxy, until it is dropped.
pub(crate) struct Other(Child);

impl Other {
    pub(super) fn id(&self) -> u32 {
        self.0.id()
    }
}

impl Drop for Other {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

/// How another proxy is asked for, and how it is told to pass everything on.
pub(crate) type Recipe = (&'static str, &'static [&'static str], &'static str);

pub(crate) const OTHERS: [Recipe; 3] = [
    (
        "nginx",
        &["-p", "FOLDER", "-e", "FOLDER/errors", "-c", "FOLDER/conf"],
        "daemon off; master_process off; pid FOLDER/pid; worker_processes 1;
events { worker_connections 1000; }
http {
  access_log off; keepalive_requests 1000000; client_header_timeout 500ms; client_body_timeout 500ms;
  client_body_temp_path FOLDER/body; proxy_temp_path FOLDER/proxy; fastcgi_temp_path FOLDER/fastcgi;
  uwsgi_temp_path FOLDER/uwsgi; scgi_temp_path FOLDER/scgi;
  upstream vendor { server VENDOR; keepalive 16; }
  server {
    listen LISTEN;
    location / { proxy_pass http://vendor; proxy_http_version 1.1; proxy_set_header Connection \"\"; }
  }
}
",
    ),
    (
        "haproxy",
        &["-f", "FOLDER/conf"],
        "defaults
  mode http
  timeout connect 1s
  timeout client 1s
  timeout server 5s
  timeout http-request 500ms
frontend callers
  bind LISTEN
  default_backend vendor
backend vendor
  server vendor VENDOR
",
    ),
    (
        "envoy",
        &["-c", "FOLDER/conf", "--concurrency", "1", "--disable-hot-restart"],
        r#"{"static_resources": {
  "listeners": [{"address": {"socket_address": {"address": "127.0.0.1", "port_value": LISTEN_PORT}},
    "filter_chains": [{"filters": [{"name": "http", "typed_config": {
      "@type": "TYPES.filters.network.http_connection_manager.v3.HttpConnectionManager",
      "stat_prefix": "callers", "request_headers_timeout": "0.5s", "stream_idle_timeout": "1s",
      "route_config": {"virtual_hosts": [{"name": "all", "domains": ["*"],
        "routes": [{"match": {"prefix": "/"}, "route": {"cluster": "vendor"}}]}]},
      "http_filters": [{"name": "router", "typed_config": {
        "@type": "TYPES.filters.http.router.v3.Router"}}]}}]}]}],
  "clusters": [{"name": "vendor", "connect_timeout": "1s", "load_assignment": {
    "cluster_name": "vendor", "endpoints": [{"lb_endpoints": [{"endpoint": {"address": {
      "socket_address": {"address": "127.0.0.1", "port_value": VENDOR_PORT}}}}]}]}}]}}
"#,
    ),
];

/// Starts another proxy in front of a vendor. Only Envoy may be missing, which is in no
/// distribution: `None` unless `ENVOY=program` names it.
pub(crate) fn start(
    recipe: &Recipe,
    folder: &Path,
    vendor: SocketAddr,
) -> Option<(Other, SocketAddr)> {
    start_speaking(recipe, folder, vendor, "")
}

/// The same, whose callers speak what it is told behind its address.
pub(super) fn start_speaking(
    (name, arguments, conf): &Recipe,
    folder: &Path,
    vendor: SocketAddr,
    protocol: &str,
) -> Option<(Other, SocketAddr)> {
    let address = TcpListener::bind(("127.0.0.1", 0))
        .unwrap()
        .local_addr()
        .unwrap();
    let path = folder.to_string_lossy();
    let conf = conf
        .replace("FOLDER", &path)
        .replace("TYPES", "type.googleapis.com/envoy.extensions")
        .replace("LISTEN_PORT", &address.port().to_string())
        .replace("LISTEN", &format!("{address}{protocol}"))
        .replace("VENDOR_PORT", &vendor.port().to_string())
        .replace("VENDOR", &vendor.to_string());
    std::fs::write(folder.join("conf"), conf).unwrap();
    let program = match std::env::var(name.to_uppercase()) {
        Ok(program) => program,
        Err(_unset) if *name == "envoy" => return None,
        Err(_unset) => (*name).to_owned(),
    };
    let mut command = Command::new(program);
    let places = std::env::var("PATH").unwrap_or_default();
    command.env("PATH", format!("{places}:/usr/sbin:/sbin"));
    command.args(arguments.iter().map(|it| it.replace("FOLDER", &path)));
    command.stdout(Stdio::null()).stderr(Stdio::null());
    let child = command.spawn();
    let other = Other(child.unwrap_or_else(|missing| panic!("{name}: {missing}")));
    let begun = Instant::now();
    while TcpStream::connect(address).is_err() {
        assert!(begun.elapsed() < PATIENCE, "{name} does not start");
        std::thread::yield_now();
    }
    Some((other, address))
}

/// The table: a row for each class, a column for each that was measured.
fn table(measured: &[(&str, Figures)]) -> String {
    let cell =
        |[strict, normalised, failed]: [usize; 3]| format!(" {strict} / {normalised} / {failed} |");
    let names: Vec<&str> = measured.iter().map(|(name, _)| *name).collect();
    let mut table = format!("| class | cases | {} |\n", names.join(" | "));
    writeln!(table, "|---|---|{}", "---|".repeat(names.len())).unwrap();
    for (class, ours) in &measured[0].1 {
        write!(
            table,
            "| {} | {} |",
            class.words(),
            ours.iter().sum::<usize>()
        )
        .unwrap();
        measured
            .iter()
            .for_each(|(_, figures)| table += &cell(figures[class]));
        table.push('\n');
    }
    let sum = |figures: &Figures| {
        let add = |sum: [usize; 3], more: &[usize; 3]| std::array::from_fn(|at| sum[at] + more[at]);
        figures.values().fold([0; 3], add)
    };
    let ours = sum(&measured[0].1);
    write!(table, "| all | {} |", ours.iter().sum::<usize>()).unwrap();
    measured
        .iter()
        .for_each(|(_, figures)| table += &cell(sum(figures)));
    table + "\n"
}

#[test]
#[ignore = "starts other people's proxies"]
fn long_framing_figures_beside_other_proxies() {
    let cases: Vec<Case> = all()
        .into_iter()
        .filter(|it| it.right == Right::Closed)
        .collect();
    let bed = Bed::with(DEADLINES, Vendor::answering(right_answer));
    let mut measured = vec![("Sluis", figures(bed.house.address, &bed.vendor, &cases))];
    for recipe in &OTHERS {
        let folder = tempfile::tempdir().unwrap();
        let (vendor, upstream) = Vendor::answering(right_answer);
        if let Some((_other, address)) = start(recipe, folder.path(), upstream.address) {
            measured.push((recipe.0, figures(address, &vendor, &cases)));
        }
    }
    let table = table(&measured);
    std::io::stdout().write_all(table.as_bytes()).unwrap();
    let strict = measured[0].1.values().map(|it| it[0]).sum::<usize>();
    assert_eq!(strict, cases.len(), "{table}");
    bed.search();
}

/// Broken answers that looked whole to a caller, by what was broken: with the body that was meant,
/// and with another one.
type Whole = BTreeMap<&'static str, [usize; 2]>;

fn whole(address: SocketAddr, kinds: &[(&'static str, Kind)]) -> Whole {
    let outcomes = exchange_all(address, &pulls(kinds.len()));
    let mut whole = Whole::new();
    for ((number, (what, _)), outcome) in (FIRST..).step_by(2).zip(kinds).zip(&outcomes) {
        let count = whole.entry(what).or_default();
        // What a proxy says itself when it could not make anything of an answer is a 502.
        let answers = outcome
            .answers
            .iter()
            .filter(|it| it.whole && it.status < 500);
        for answer in answers {
            count[usize::from(answer.body != meant(number))] += 1;
        }
    }
    whole
}

#[test]
#[ignore = "starts other people's proxies"]
fn long_answer_figures_beside_other_proxies() {
    let kinds = broken();
    let all: Vec<Kind> = kinds.iter().map(|(_, kind)| kind.clone()).collect();
    let all = Arc::new(all);
    let limits = format!("{DEADLINES}{NO_REST}");
    let bed = Bed::with(&limits, Vendor::answering(in_every_way(&all)));
    let mut measured = vec![("Sluis", whole(bed.house.address, &kinds))];
    for recipe in &OTHERS {
        let folder = tempfile::tempdir().unwrap();
        let (_vendor, upstream) = Vendor::answering(in_every_way(&all));
        if let Some((_other, address)) = start(recipe, folder.path(), upstream.address) {
            measured.push((recipe.0, whole(address, &kinds)));
        }
    }
    let mut table = String::new();
    for what in measured[0].1.keys() {
        let count = kinds.iter().filter(|it| it.0 == *what).count();
        write!(table, "| {what} | {count} |").unwrap();
        for (_, whole) in &measured {
            let [meant, other] = whole[what];
            write!(table, " {meant} / {other} |").unwrap();
        }
        table.push('\n');
    }
    let names: Vec<&str> = measured.iter().map(|it| it.0).collect();
    let head = format!("| | broken answers | {} |\n", names.join(" | "));
    std::io::stdout()
        .write_all((head + &table).as_bytes())
        .unwrap();
    assert!(measured[0].1.values().all(|it| *it == [0, 0]), "{table}");
    bed.search();
}
