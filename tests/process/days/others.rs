//! Other people's proxies, each told to pass everything on.

use std::collections::BTreeSet;
use std::fs;
use std::net::{SocketAddr, TcpStream};
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use tempfile::TempDir;

use super::peers::{Plan, Run, Size, Vendors, within};
use crate::gateway::{free, until};
use crate::ways::certificate;

/// How one is asked for, and what it is told.
pub(super) struct Recipe {
    pub(super) name: &'static str,
    arguments: &'static [&'static str],
    /// What makes it a single process, or one that watches over others.
    alone: &'static [&'static str],
    service: &'static [&'static str],
    tls: &'static str,
    reload: Signal,
    pub(super) stop: Signal,
    conf: &'static str,
    /// What a thousand vendors more add to it, each a number.
    route: &'static str,
    backend: &'static str,
}

pub(super) const OTHERS: [Recipe; 2] = [
    Recipe {
        name: "nginx",
        arguments: &["-p", "FOLDER", "-e", "FOLDER/errors", "-c", "FOLDER/conf"],
        alone: &["-g", "master_process off;"],
        service: &["-g", "user root;"],
        tls: " ssl http2",
        reload: Signal::HUP,
        stop: Signal::QUIT,
        conf: "daemon off; env LD_PRELOAD; env FAKETIME_TIMESTAMP_FILE;
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
BACKENDS  server {
    listen LISTEN backlog=4096;
    location /bron/ { proxy_pass http://bron/; }
    location /dumb/ { proxy_pass http://dumb/; }
ROUTES  }
}
",
        route: "    location /vNUMBER/ { proxy_pass http://vNUMBER/; }\n",
        backend: "  upstream vNUMBER { server BRON; keepalive 16; }\n",
    },
    Recipe {
        name: "haproxy",
        arguments: &["-f", "FOLDER/conf"],
        alone: &[],
        service: &["-W"],
        tls: " ssl crt FOLDER/both.pem alpn h2,http/1.1",
        reload: Signal::USR2,
        stop: Signal::USR1,
        conf: "global
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
ROUTES  default_backend bron
backend bron
  http-request replace-path /[a-z]+(/.*) \\1
  server bron BRON
backend dumb
  http-request replace-path /[a-z]+(/.*) \\1
  server dumb DUMB
BACKENDS",
        route: "  use_backend vNUMBER if { path_beg /vNUMBER/ }\n",
        backend: "backend vNUMBER
  http-request replace-path /[a-z0-9]+(/.*) \\1
  server vNUMBER BRON\n",
    },
];

/// Where those listen that run.
static ADDRESSES: Mutex<BTreeSet<SocketAddr>> = Mutex::new(BTreeSet::new());

/// Whether whoever listens there passes everything on.
pub(super) fn listens_at(address: SocketAddr) -> bool {
    ADDRESSES.lock().unwrap().contains(&address)
}

/// One that runs.
pub(super) struct Other {
    pub(super) recipe: &'static Recipe,
    pub(super) address: SocketAddr,
    pub(super) folder: TempDir,
    command: Command,
    child: Child,
}

impl Drop for Other {
    fn drop(&mut self) {
        ADDRESSES.lock().unwrap().remove(&self.address);
        // It may have ended as it was told.
        if self.child.try_wait().unwrap().is_none() {
            self.kill();
        }
    }
}

impl Other {
    /// Fails if it is not installed: a table without it would look like one with it.
    pub(super) fn start(recipe: &'static Recipe, plan: &Plan, vendors: &Vendors) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let address = free();
        // They are told of it whether they use it or not.
        certificate(folder.path());
        let conf = conf(
            recipe,
            plan,
            (vendors, address),
            folder.path().to_str().unwrap(),
        );
        fs::write(folder.path().join("conf"), conf).unwrap();
        let mut command = Command::new(recipe.name);
        let path = folder.path().to_str().unwrap();
        command.args(recipe.arguments.iter().map(|it| it.replace("FOLDER", path)));
        command.args(match plan.run {
            Run::Alone => recipe.alone,
            Run::Service => recipe.service,
        });
        let mut command = within(plan.files, command);
        command.env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
        command.envs(plan.environment.iter().map(|(name, value)| (name, value)));
        command.stdout(Stdio::null()).stderr(Stdio::null());
        // So that all of its processes can be killed.
        command.process_group(0);
        ADDRESSES.lock().unwrap().insert(address);
        let child = command.spawn();
        let child = child.unwrap_or_else(|missing| panic!("{}: {missing}", recipe.name));
        let other = Self {
            recipe,
            address,
            folder,
            command,
            child,
        };
        let started = until(|| TcpStream::connect(address).is_ok().then_some(()));
        assert!(started.is_some(), "{} does not start", recipe.name);
        other
    }

    pub(super) fn id(&self) -> u32 {
        self.child.id()
    }

    fn pid(&self) -> Pid {
        Pid::from_raw(self.id().try_into().unwrap()).unwrap()
    }

    pub(super) fn signal(&self, signal: Signal) {
        kill_process(self.pid(), signal).unwrap();
    }

    /// The processes that serve.
    fn served_by(&self) -> BTreeSet<String> {
        let id = self.id();
        let children = fs::read_to_string(format!("/proc/{id}/task/{id}/children"));
        let children = children.unwrap_or_default();
        children.split_whitespace().map(str::to_owned).collect()
    }

    /// Has it read its files again, and waits for the process that does.
    pub(super) fn reload(&self) {
        let before = self.served_by();
        let mut told = Instant::now();
        self.signal(self.recipe.reload);
        let new = until(|| {
            // HAProxy misses the signal while it is busy with the one before.
            if told.elapsed() > Duration::from_millis(300) {
                told = Instant::now();
                self.signal(self.recipe.reload);
            }
            (!self.served_by().is_subset(&before)).then_some(())
        });
        assert!(new.is_some(), "{} does not reload", self.recipe.name);
    }

    pub(super) fn end(mut self) -> ExitStatus {
        let ended = until(|| self.child.try_wait().unwrap());
        ended.expect("it did not end")
    }

    pub(super) fn kill(&mut self) {
        kill_process_group(self.pid(), Signal::KILL).unwrap();
        self.child.wait().unwrap();
    }

    pub(super) fn start_again(&mut self) {
        self.child = self.command.spawn().unwrap();
    }
}

/// What it is told: where to listen and whither to lead, and how long to wait.
fn conf(
    recipe: &Recipe,
    plan: &Plan,
    (vendors, address): (&Vendors, SocketAddr),
    folder: &str,
) -> String {
    let secure = if plan.tls { recipe.tls } else { "" };
    let numbers = match plan.size {
        Size::Small => 0..0,
        Size::Thousand => 0..1_000,
    };
    let each = |line: &str| -> String {
        { numbers.clone() }
            .map(|number| line.replace("NUMBER", &number.to_string()))
            .collect()
    };
    [
        ("ROUTES", each(recipe.route)),
        ("BACKENDS", each(recipe.backend)),
        ("LISTEN", format!("{address}{secure}")),
        ("BRON", vendors.bron.address.to_string()),
        ("DUMB", vendors.dumb.address.to_string()),
        ("SHORT", plan.seconds.to_string()),
        ("LONG", (2 * plan.seconds).to_string()),
        ("FOLDER", folder.to_owned()),
    ]
    .iter()
    .fold(recipe.conf.to_owned(), |conf, (from, to)| {
        conf.replace(from, to)
    })
}
