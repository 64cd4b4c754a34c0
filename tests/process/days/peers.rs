//! The proxies between callers and vendors: ours, nginx and HAProxy, each told the same.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use rustls::ClientConfig;

use super::others::{OTHERS, Other};
use super::vendors::Vendor;
use crate::gateway::{Files, Gateway};
use crate::load::add_a_thousand_vendors;
use crate::ways::{secure, trusting};

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
    pub(super) size: Size,
    pub(super) run: Run,
    /// How many files it may have open.
    pub(super) files: Option<usize>,
    /// Its environment.
    pub(super) environment: Vec<(&'static str, String)>,
}

/// How many vendors it serves.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Size {
    /// Two.
    #[default]
    Small,
    /// A thousand more.
    Thousand,
}

/// How other proxies run.
#[derive(Clone, Copy, Default)]
pub(super) enum Run {
    /// As one process.
    #[default]
    Alone,
    /// As services do, one process watching over the one that serves.
    Service,
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
    Other(Other),
}

/// Ours, and the others.
pub(super) fn all<'p>(plan: &'p Plan, vendors: &'p Vendors) -> impl Iterator<Item = Peer> + 'p {
    let other = |it: Other| Peer {
        name: it.recipe.name,
        address: it.address,
        process: it.id(),
        kept: Kept::Other(it),
    };
    let others = OTHERS.iter().map(move |it| Other::start(it, plan, vendors));
    let others = others.map(other);
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
    let delay = match plan.limits.contains("drain-delay") {
        true => "",
        false => "drain-delay = \"0s\"\n",
    };
    let limits = format!(
        "[limits]\nhead-time = \"{short}s\"\nbody-idle = \"{short}s\"\nbody-total = \"{long}s\"\n\
         answer-write-idle = \"{long}s\"\nupstream-head-time = \"{short}s\"\n\
         upstream-body-idle = \"{short}s\"\nkeep-alive-idle = \"10m\"\n{delay}\
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
        secure(&files);
    }
    if plan.size == Size::Thousand {
        add_a_thousand_vendors(&files);
    }
    let mut command = within(plan.files, serve(&files));
    command.envs(plan.environment.iter().map(|(name, value)| (name, value)));
    (files, command)
}

fn serve(files: &Files) -> Command {
    files.command(&["serve", "--threads", "2"])
}

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
pub(super) fn within(files: Option<usize>, command: Command) -> Command {
    let Some(files) = files else {
        return command;
    };
    let mut shell = Command::new("/bin/sh");
    let script = format!("ulimit -n {files} && exec \"$0\" \"$@\"");
    shell.env_clear().args(["-c", &script]);
    shell.arg(command.get_program()).args(command.get_args());
    shell
}

impl Peer {
    /// Ours, with what only ours has.
    pub(super) fn gateway(&self) -> Option<&Gateway> {
        match &self.kept {
            Kept::Ours { gateway, .. } => Some(gateway),
            Kept::Other(_) => None,
        }
    }

    /// The files of ours.
    pub(super) fn files(&self) -> Option<&Files> {
        match &self.kept {
            Kept::Ours { files, .. } => Some(files),
            Kept::Other(_) => None,
        }
    }

    /// Has it read its files again, and waits until it has.
    pub(super) fn reload(&self, nth: usize) {
        match &self.kept {
            Kept::Ours { gateway, .. } => {
                gateway.signal(Signal::HUP);
                gateway.wait_for_nth("config.reloaded", nth);
            }
            Kept::Other(other) => other.reload(),
        }
    }

    /// Tells it to end when what is under way is done.
    pub(super) fn stop(&self) {
        match &self.kept {
            Kept::Ours { gateway, .. } => gateway.signal(Signal::TERM),
            Kept::Other(other) => other.signal(other.recipe.stop),
        }
    }

    /// Waits for its end, and gives the exit code.
    pub(super) fn end(self) -> Option<i32> {
        match self.kept {
            Kept::Ours { gateway, .. } => gateway.end().0,
            Kept::Other(other) => other.end().code(),
        }
    }

    /// Kills all its processes and starts it again; says when that began.
    pub(super) fn kill_and_start(self) -> (Self, Instant) {
        let Self { name, address, .. } = self;
        let (kept, process, begun) = match self.kept {
            Kept::Ours { gateway, files } => {
                gateway.signal(Signal::KILL);
                assert_eq!(gateway.end().0, None);
                let begun = Instant::now();
                let gateway = Gateway::spawn(serve(&files), files.admin);
                let process = gateway.id();
                (Kept::Ours { gateway, files }, process, begun)
            }
            Kept::Other(mut other) => {
                other.kill();
                let begun = Instant::now();
                other.start_again();
                let process = other.id();
                (Kept::Other(other), process, begun)
            }
        };
        let again = Self {
            name,
            address,
            process,
            kept,
        };
        (again, begun)
    }

    /// Whoever trusts its certificate only.
    pub(super) fn trusting(&self) -> Arc<ClientConfig> {
        let folder = match &self.kept {
            Kept::Ours { files, .. } => files.path(),
            Kept::Other(other) => other.folder.path(),
        };
        Arc::new(trusting(folder))
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
