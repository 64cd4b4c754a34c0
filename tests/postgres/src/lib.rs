//! A PostgreSQL server for a test: private, on a socket in a folder that goes with it. For the tests
//! of the store, which are inside the library, and for those that are outside.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use tempfile::TempDir;

/// A server of its own: on a socket in a folder that goes with it.
#[derive(Debug)]
pub struct Cluster {
    folder: TempDir,
    programs: PathBuf,
    /// Also part of the socket's name.
    port: u16,
    made: AtomicUsize,
    /// Stops it when this process is no more, however that ended.
    _watcher: Child,
}

impl Cluster {
    /// Starts one.
    #[must_use]
    pub fn start() -> Arc<Self> {
        Self::start_with(5432, "", &[])
    }

    /// With more settings, and files of the server's beside its data.
    #[must_use]
    pub fn start_with(port: u16, settings: &str, files: &[(&str, String)]) -> Arc<Self> {
        let (folder, programs) = (tempfile::tempdir().unwrap(), programs());
        let cluster = Self {
            _watcher: watcher(folder.path(), &programs),
            folder,
            programs,
            port,
            made: AtomicUsize::new(0),
        };
        for (name, text) in files {
            let path = cluster.folder.path().join(name);
            fs::write(&path, text).unwrap();
            fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
        }
        if is_root() {
            let mut chown = Command::new("chown");
            done(chown.args(["-R", "postgres"]).arg(cluster.folder.path()));
        }
        let data = cluster.data();
        let initdb = [
            "--no-sync",
            "--auth=trust",
            "--username=sluis",
            "--encoding=UTF8",
            "-D",
        ];
        done(cluster.command("initdb").args(initdb).arg(&data));
        let socket = cluster.folder.path().display();
        let own = format!(
            "listen_addresses = ''\nport = {port}\nunix_socket_directories = '{socket}'\n\
             fsync = off\nlog_min_duration_statement = 0\nlog_parameter_max_length = -1\n{settings}\n"
        );
        let configured = data.join("postgresql.conf");
        let text = fs::read_to_string(&configured).unwrap();
        fs::write(&configured, text + &own).unwrap();
        cluster.begin();
        Arc::new(cluster)
    }

    /// Starts it again.
    ///
    /// # Panics
    /// If it does not in half a minute: what was left of one that was killed may be in the way for
    /// some of it.
    pub fn begin(&self) {
        let log = self.folder.path().join("log");
        for _ in 0..300 {
            let mut command = self.command("pg_ctl");
            let start = ["--wait", "start", "-D"];
            command.args(start).arg(self.data()).arg("-l").arg(&log);
            // What stays behind must not hold the pipes of a test; why it failed stands in the log.
            command.stdout(Stdio::null()).stderr(Stdio::null());
            if command.status().unwrap().success() {
                return;
            }
            thread::sleep(Duration::from_millis(100));
        }
        panic!("{}", fs::read_to_string(log).unwrap_or_default());
    }

    /// Stops it, in the midst of whatever it does.
    pub fn stop(&self) {
        let args = ["--wait", "--mode=immediate", "stop", "-D"];
        done(self.command("pg_ctl").args(args).arg(self.data()));
    }

    /// Kills it: the one that all its processes are of, which they notice by themselves.
    ///
    /// # Panics
    /// If they are there still after half a minute.
    pub fn kill(&self) {
        let noted = fs::read_to_string(self.data().join("postmaster.pid")).unwrap();
        let first = noted.lines().next().unwrap().trim().to_owned();
        let mut all = children(&first);
        done(Command::new("kill").args(["-9", &first]));
        all.push(first);
        for _ in 0..3_000 {
            if all.iter().all(|one| is_gone(one)) {
                return;
            }
            thread::sleep(Duration::from_millis(10));
        }
        panic!("{all:?} are there still");
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// A program of PostgreSQL, which refuses to be root.
    fn command(&self, program: &str) -> Command {
        let program = self.programs.join(program);
        let mut command = if is_root() {
            let mut runuser = Command::new("runuser");
            runuser.args(["-u", "postgres", "--"]).arg(program);
            runuser
        } else {
            Command::new(program)
        };
        command.current_dir(self.folder.path());
        command
    }

    /// What the server answers to a statement.
    pub fn sql(&self, database: &str, sql: &str) -> String {
        let mut psql = self.command("psql");
        psql.args([
            "-qAtX",
            "-v",
            "ON_ERROR_STOP=1",
            "-U",
            "sluis",
            "-d",
            database,
            "-h",
        ]);
        let output =
            done(
                psql.arg(self.folder.path())
                    .args(["-p", &self.port.to_string(), "-c", sql]),
            );
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    /// A new database: its name.
    #[must_use]
    pub fn database(&self) -> String {
        let name = format!("register{}", self.made.fetch_add(1, Ordering::Relaxed));
        self.sql("postgres", &format!("CREATE DATABASE {name}"));
        name
    }

    /// How a database is reached, as `libpq` reads it.
    #[must_use]
    pub fn settings(&self, database: &str) -> String {
        let socket = self.folder.path().display();
        format!("host={socket} user=sluis dbname={database}")
    }

    /// Where its log and socket are.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        let mut stop = self.command("pg_ctl");
        stop.args(["--mode=immediate", "stop", "-D"])
            .arg(self.data());
        stop.output().map(drop).unwrap_or_default();
    }
}

/// Waits for the end of its input, which is the end of this process, in a session of its own: who
/// kills a test kills all of its group. A server that is just being started is asked again.
fn watcher(folder: &Path, programs: &Path) -> Child {
    const WATCH: &str = r#"
        cd / || exit
        read -r _
        user=$(stat -c %U "$1/data") || exit
        set -- "$2/pg_ctl" --mode=immediate stop -D "$1/data"
        if [ "$(id -u)" = 0 ]; then set -- runuser -u "$user" -- "$@"; fi
        for again in 1 2 3 4 5 6 7 8 9; do "$@" && exit; sleep 1; done"#;
    let mut shell = Command::new("setsid");
    shell
        .args(["sh", "-c", WATCH, "sh"])
        .arg(folder)
        .arg(programs);
    let none = Stdio::null;
    let shell = shell.stdin(Stdio::piped()).stdout(none()).stderr(none());
    shell.spawn().unwrap()
}

/// The state of a process and the one that it is a child of.
fn stat(process: &str) -> Option<(String, String)> {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    // The name before them stands in brackets, and may hold anything.
    let (_, behind) = stat.rsplit_once(") ")?;
    let mut words = behind.split(' ').map(str::to_owned);
    Some((words.next()?, words.next()?))
}

fn children(of: &str) -> Vec<String> {
    let all = fs::read_dir("/proc").unwrap();
    let all = all.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    all.filter(|one| stat(one).is_some_and(|(_, parent)| parent == of))
        .collect()
}

/// Whether a process is no more, or nothing of it but that nobody asked how it ended.
fn is_gone(process: &str) -> bool {
    stat(process).is_none_or(|(state, _)| state == "Z")
}

fn is_root() -> bool {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let uid = status.lines().find_map(|line| line.strip_prefix("Uid:"));
    uid.unwrap().split_whitespace().next() == Some("0")
}

/// The newest version that is installed; `tests/setup.sh` sees to it that there is one.
fn programs() -> PathBuf {
    let versions = fs::read_dir("/usr/lib/postgresql").expect("PostgreSQL: tests/setup.sh");
    let version = |path: &PathBuf| -> Option<u32> { path.file_name()?.to_str()?.parse().ok() };
    let versions = versions.map(|entry| entry.unwrap().path());
    versions.max_by_key(version).unwrap().join("bin")
}

fn done(command: &mut Command) -> Output {
    let output = command.output().unwrap();
    let said = String::from_utf8(output.stderr.clone()).unwrap();
    assert!(output.status.success(), "{command:?}: {said}");
    output
}
