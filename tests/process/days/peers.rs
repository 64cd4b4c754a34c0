//! The proxies between callers and vendors: ours, nginx and HAProxy, each told the same.

use std::fs;
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, RootCertStore};
use tempfile::TempDir;

use super::vendors::Vendor;
use crate::gateway::{Files, Gateway, free, until};

/// What a proxy is told.
#[derive(Default)]
pub(super) struct Plan {
    /// Heads, pauses in bodies and vendors may take so many seconds; whole bodies and callers that
    /// do not read twice as many.
    pub(super) seconds: u64,
    /// Further lines of our `[limits]`.
    pub(super) limits: &'static str,
    /// Further lines of our vendors' files, in `[ids.pupil]` and behind it.
    pub(super) vendor: &'static str,
    /// Whether it speaks TLS with callers.
    pub(super) tls: bool,
    /// How many files it may have open.
    pub(super) files: Option<usize>,
    /// Its environment.
    pub(super) environment: Vec<(&'static str, String)>,
}

/// Two vendors, one of which may do what it likes.
pub(super) struct Vendors {
    pub(super) bron: Vendor,
    pub(super) dumb: Vendor,
}

impl Vendors {
    pub(super) fn open() -> Self {
        Self {
            bron: Vendor::open(),
            dumb: Vendor::open(),
        }
    }
}

/// A proxy that runs: `/bron/` leads to one vendor and `/dumb/` to the other.
pub(super) struct Peer {
    pub(super) name: &'static str,
    pub(super) address: SocketAddr,
    pub(super) process: u32,
    kept: Kept,
}

enum Kept {
    Ours { gateway: Gateway, files: Files },
    Other { child: Child, folder: TempDir },
}

impl Drop for Kept {
    fn drop(&mut self) {
        if let Self::Other { child, .. } = self {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }
}

/// Ours, and those others that are installed.
pub(super) fn all<'p>(plan: &'p Plan, vendors: &'p Vendors) -> impl Iterator<Item = Peer> + 'p {
    let others = OTHERS.iter().filter_map(move |it| other(it, plan, vendors));
    std::iter::once_with(move || ours(plan, vendors)).chain(others)
}

pub(super) fn ours(plan: &Plan, vendors: &Vendors) -> Peer {
    let (files, command) = prepare(plan, vendors);
    let gateway = Gateway::spawn(command, files.admin);
    gateway.wait_for("process.ready");
    Peer {
        name: "Sluis",
        address: files.public,
        process: gateway.id(),
        kept: Kept::Ours { gateway, files },
    }
}

/// The files of a gateway, and what starts it.
fn prepare(plan: &Plan, vendors: &Vendors) -> (Files, Command) {
    let (short, long) = (plan.seconds, 2 * plan.seconds);
    let places = match plan.limits.contains("requests-per-vendor") {
        true => "",
        false => "requests-per-vendor = 1000\n",
    };
    let limits = format!(
        "[limits]\nhead-time = \"{short}s\"\nbody-idle = \"{short}s\"\nbody-total = \"{long}s\"\n\
         answer-write-idle = \"{long}s\"\nupstream-head-time = \"{short}s\"\n\
         upstream-body-idle = \"{short}s\"\nkeep-alive-idle = \"10m\"\ndrain-delay = \"0s\"\n\
         connections = 30000\nconnections-per-client = 30000\n{places}{}",
        plan.limits
    );
    let files = Files::with(vendors.bron.address, &limits);
    for (name, vendor) in [("bron", &vendors.bron), ("dumb", &vendors.dumb)] {
        let file = vendor_file(name, vendor.address, plan.vendor);
        files.write(&format!("schools/proef/vendors/{name}.toml"), &file);
    }
    let keys = files.command(&["keys", "new"]).output().unwrap();
    assert!(keys.status.success(), "{keys:?}");
    if plan.tls {
        certificate(files.path());
        for (file, from, to) in [
            ("sluis.toml", "[listen]", TLS),
            ("schools/proef/school.toml", "http://", "https://"),
        ] {
            let text = fs::read_to_string(files.path().join(file)).unwrap();
            files.write(file, &text.replace(from, to));
        }
    }
    let serve = files.command(&["serve", "--threads", "2"]);
    let mut command = within(plan.files, serve);
    command.envs(plan.environment.iter().map(|(name, value)| (name, value)));
    (files, command)
}

const TLS: &str = "[listen]\ntls = { cert = \"server.pem\", key = \"server.key\" }";

/// The file of a vendor, which is found under its own name.
fn vendor_file(name: &str, upstream: SocketAddr, more: &str) -> String {
    format!(
        "version = 1\n[vendor]\nname = \"{name}\"\nagreement = \"T-1\"\npurpose = \"Tests\"\n\
         contact = \"privacy@{name}.example\"\n\
         valid = {{ from = 2020-01-01, until = 2099-12-31 }}\n[ids.pupil]\n{more}\
         [flow.all]\ncaller = \"vendor\"\nat = \"/{name}\"\nupstream = \"http://{upstream}\"\n\
         callers = \"anyone\"\n[[flow.all.route]]\n\
         match = [\"GET /pupils\", \"GET /many\", \"GET /cut\", \"GET /stuck\", \"GET /gated\"]\n\
         to-vendor = {{ pupils = \"Pupil[]\" }}\n\
         [[flow.all.route]]\nmatch = [\"POST /results\", \"POST /held\"]\n\
         from-vendor = {{ score = \"keep:int\", marks = \"keep[]\" }}\n\
         to-vendor = {{ taken = \"keep:bool\" }}\n\
         [shape.Pupil]\nid = \"pupil\"\nname = \"drop\"\nnote = \"keep\"\n"
    )
}

/// The same command with no more open files than that.
fn within(files: Option<usize>, command: Command) -> Command {
    let Some(files) = files else {
        return command;
    };
    let mut shell = Command::new("/bin/sh");
    let script = format!("ulimit -n {files} && exec \"$0\" \"$@\"");
    shell.env_clear().args(["-c", &script]);
    shell.arg(command.get_program()).args(command.get_args());
    shell
}

/// A certificate that no jump of a clock ends.
fn certificate(folder: &Path) {
    use std::os::unix::fs::PermissionsExt as _;
    let names = vec!["localhost".to_owned(), "127.0.0.1".to_owned()];
    let mut of = rcgen::CertificateParams::new(names).unwrap();
    of.not_after = rcgen::date_time_ymd(2090, 1, 1);
    let key = rcgen::KeyPair::generate().unwrap();
    let (pem, key) = (of.self_signed(&key).unwrap().pem(), key.serialize_pem());
    for (file, text) in [
        ("both.pem", pem.clone() + &key),
        ("server.pem", pem),
        ("server.key", key),
    ] {
        fs::write(folder.join(file), text).unwrap();
        let private = fs::Permissions::from_mode(0o600);
        fs::set_permissions(folder.join(file), private).unwrap();
    }
}

/// How another proxy is asked for, and how it is told to pass everything on.
type Recipe = (
    &'static str,
    &'static [&'static str],
    &'static str,
    &'static str,
);

const OTHERS: [Recipe; 2] = [
    (
        "nginx",
        &["-p", "FOLDER", "-e", "FOLDER/errors", "-c", "FOLDER/conf"],
        " ssl http2",
        "daemon off; master_process off; env LD_PRELOAD; env FAKETIME_TIMESTAMP_FILE;
env FAKETIME_NO_CACHE; env DONT_FAKE_MONOTONIC; pid FOLDER/pid; worker_processes 1;
events { worker_connections 15000; }
http {
  access_log off; client_header_timeout SHORTs; client_body_timeout SHORTs; send_timeout LONGs;
  keepalive_timeout 600s; keepalive_requests 1000000000; client_max_body_size 0;
  client_body_temp_path FOLDER/body; proxy_temp_path FOLDER/proxy; fastcgi_temp_path FOLDER/fastcgi;
  uwsgi_temp_path FOLDER/uwsgi; scgi_temp_path FOLDER/scgi;
  ssl_certificate FOLDER/server.pem; ssl_certificate_key FOLDER/server.key;
  proxy_http_version 1.1; proxy_set_header Connection \"\"; proxy_read_timeout SHORTs;
  upstream bron { server BRON; keepalive 16; }
  upstream dumb { server DUMB; keepalive 16; }
  server {
    listen LISTEN backlog=4096;
    location /bron/ { proxy_pass http://bron/; }
    location /dumb/ { proxy_pass http://dumb/; }
  }
}
",
    ),
    (
        "haproxy",
        &["-f", "FOLDER/conf"],
        " ssl crt FOLDER/both.pem alpn h2,http/1.1",
        "global
  maxconn 15000
  no strict-limits
defaults
  mode http
  timeout connect 1s
  timeout client LONGs
  timeout server SHORTs
  timeout http-request SHORTs
frontend callers
  bind LISTEN
  use_backend dumb if { path_beg /dumb/ }
  default_backend bron
backend bron
  http-request replace-path /[a-z]+(/.*) \\1
  server bron BRON
backend dumb
  http-request replace-path /[a-z]+(/.*) \\1
  server dumb DUMB
",
    ),
];

/// Starts another proxy; `None` if it is not installed.
fn other((name, arguments, tls, conf): &Recipe, plan: &Plan, vendors: &Vendors) -> Option<Peer> {
    let folder = tempfile::tempdir().unwrap();
    let address = free();
    // They are told of it whether they use it or not.
    certificate(folder.path());
    let secure = if plan.tls { *tls } else { "" };
    let conf = [
        ("LISTEN", format!("{address}{secure}")),
        ("BRON", vendors.bron.address.to_string()),
        ("DUMB", vendors.dumb.address.to_string()),
        ("SHORT", plan.seconds.to_string()),
        ("LONG", (2 * plan.seconds).to_string()),
        ("FOLDER", folder.path().to_str()?.to_owned()),
    ]
    .iter()
    .fold((*conf).to_owned(), |conf, (from, to)| {
        conf.replace(from, to)
    });
    fs::write(folder.path().join("conf"), conf).unwrap();
    let mut command = Command::new(name);
    let path = folder.path().to_str()?;
    command.args(arguments.iter().map(|it| it.replace("FOLDER", path)));
    let mut command = within(plan.files, command);
    command.env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
    command.envs(plan.environment.iter().map(|(name, value)| (name, value)));
    command.stdout(Stdio::null()).stderr(Stdio::null());
    let child = command.spawn().ok()?;
    let process = child.id();
    let kept = Kept::Other { child, folder };
    until(|| TcpStream::connect(address).is_ok().then_some(()))?;
    Some(Peer {
        name,
        address,
        process,
        kept,
    })
}

impl Peer {
    /// Ours, with what only ours has.
    pub(super) fn gateway(&self) -> Option<&Gateway> {
        match &self.kept {
            Kept::Ours { gateway, .. } => Some(gateway),
            Kept::Other { .. } => None,
        }
    }

    /// The files of ours.
    pub(super) fn files(&self) -> Option<&Files> {
        match &self.kept {
            Kept::Ours { files, .. } => Some(files),
            Kept::Other { .. } => None,
        }
    }

    /// Whoever trusts its certificate only.
    pub(super) fn trusting(&self) -> Arc<ClientConfig> {
        let folder = match &self.kept {
            Kept::Ours { files, .. } => files.path(),
            Kept::Other { folder, .. } => folder.path(),
        };
        let certificate = CertificateDer::from_pem_file(folder.join("server.pem")).unwrap();
        let mut roots = RootCertStore::empty();
        roots.add(certificate).unwrap();
        let trusting = ClientConfig::builder().with_root_certificates(roots);
        Arc::new(trusting.with_no_client_auth())
    }

    /// Connections of callers that are open; of others all that is open.
    pub(super) fn open(&self) -> usize {
        match self.gateway() {
            Some(gateway) => metric(gateway, "sluis_connections_open"),
            None => fs::read_dir(format!("/proc/{}/fd", self.process)).map_or(0, Iterator::count),
        }
    }

    /// KiB of memory that it has in use.
    pub(super) fn memory(&self) -> u64 {
        self.status("VmRSS:")
    }

    /// KiB of memory that it ever had in use.
    pub(super) fn most_memory(&self) -> u64 {
        self.status("VmHWM:")
    }

    fn status(&self, line: &str) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.process)).unwrap();
        let value = status.lines().find_map(|it| it.strip_prefix(line)).unwrap();
        value.trim().trim_end_matches(" kB").parse().unwrap()
    }

    /// CPU time that it has used.
    pub(super) fn cpu(&self) -> Duration {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.process)).unwrap();
        let fields = stat.rsplit_once(')').unwrap().1.split_whitespace();
        let ticks: u64 = { fields }
            .skip(11)
            .take(2)
            .map(|it| it.parse::<u64>().unwrap())
            .sum();
        // A hundred a second, on every Linux.
        Duration::from_millis(10 * ticks)
    }

    /// Whether it still runs.
    pub(super) fn lives(&self) -> bool {
        Path::new(&format!("/proc/{}/stat", self.process)).exists()
    }
}

/// A number of the metrics page.
pub(super) fn metric(gateway: &Gateway, name: &str) -> usize {
    let page = gateway.page("/metrics").1;
    let prefix = format!("{name} ");
    let value = page.lines().find_map(|it| it.strip_prefix(&prefix));
    let value: f64 = value
        .unwrap_or_else(|| panic!("{name} in {page}"))
        .parse()
        .unwrap();
    // Counts, all of them.
    format!("{value:.0}").parse().unwrap()
}
