//! A PostgreSQL server for a test: private, on a socket in a folder that goes with it. For the tests
//! of the store, which are inside the library, and for those that are outside.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tempfile::TempDir;

/// A server of its own: on a socket in a folder that goes with it.
#[derive(Debug)]
pub struct Cluster {
    folder: TempDir,
    programs: PathBuf,
    /// Also part of the socket's name.
    port: u16,
    made: AtomicUsize,
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
        let cluster = Self {
            folder: tempfile::tempdir().unwrap(),
            programs: programs(),
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
    pub fn begin(&self) {
        let log = self.folder.path().join("log");
        let mut command = self.command("pg_ctl");
        command
            .args(["--wait", "start", "-D"])
            .arg(self.data())
            .arg("-l")
            .arg(log);
        // What stays behind must not hold the pipes of a test; why it failed stands in the log.
        command.stdout(Stdio::null()).stderr(Stdio::null());
        assert!(command.status().unwrap().success());
    }

    /// Stops it, in the midst of whatever it does.
    pub fn stop(&self) {
        let args = ["--wait", "--mode=immediate", "stop", "-D"];
        done(self.command("pg_ctl").args(args).arg(self.data()));
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
