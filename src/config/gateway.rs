//! `sluis.toml`: where this gateway listens, and with which keys, bounds and log.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;

use super::code;
use super::problem::{Place, Problem, Problems, shown};
use super::raw::{At, Document, Table, TextOrTable};
use super::register::{self, RegisterDraft};
use super::school::{one_of, version};
use super::source::SourceFile;
use super::units;
use super::{Listen, ListenTls, Log, LogFormat, LogLevel, TlsVersion};
use crate::limits::{Bound, Limits};

/// More threads than machines have cores.
const THREADS_MAX: usize = 1_024;
const ADMIN_DEFAULT: SocketAddr =
    SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 9464);

/// The gateway as its file describes it.
#[derive(Debug)]
pub(super) struct Gateway {
    pub(super) listen: Listen,
    pub(super) listen_files: Option<ListenFiles>,
    pub(super) admin: SocketAddr,
    pub(super) threads: usize,
    pub(super) limits: Limits,
    pub(super) log: Log,
    pub(super) keys: KeyPlaces,
    pub(super) register: RegisterDraft,
}

/// The files of the listener, each where the file names it.
#[derive(Debug)]
pub(super) struct ListenFiles {
    pub(super) cert: At<PathBuf>,
    pub(super) key: At<PathBuf>,
    pub(super) client_ca: Option<At<PathBuf>>,
}

/// Where the keys lie.
#[derive(Debug)]
pub(super) struct KeyPlaces {
    pub(super) master: MasterPlace,
    /// Where the file says so.
    pub(super) master_at: Place,
    pub(super) ring: PathBuf,
    pub(super) ring_at: Place,
    /// The file of the register, if it is kept in one: where there is one, there were keys.
    pub(super) register: Option<PathBuf>,
}

/// Where the master key lies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum MasterPlace {
    /// In `$CREDENTIALS_DIRECTORY`, where systemd puts it.
    Credential(String),
    /// In a file.
    File(PathBuf),
}

impl Gateway {
    /// Reads the file; `None` if something that must be there is not.
    pub(super) fn read(
        file: &Arc<SourceFile>,
        folder: &Path,
        problems: &mut Problems,
    ) -> Option<Self> {
        let document = Document::parse(file, problems);
        let root = document.root();
        version(&root, problems);
        let listen = listen(&root, folder, problems);
        let admin = admin(&root, problems);
        let threads = threads(&root, problems);
        let register = register::read(&root, folder, problems);
        let keys = keys(&root, folder, register.as_ref(), problems);
        let limits = limits(&root, problems);
        let log = log(&root, problems);
        root.finish(problems);
        let ((listen, listen_files), keys, register) = (listen?, keys?, register?);
        let At {
            value: admin,
            place,
        } = admin;
        if listen.address == admin {
            let message = format!("[listen] and [admin] cannot share the address {admin}");
            problems.push(Problem::error(code::CONFLICT, message).at(&place));
        }
        Some(Self {
            listen,
            listen_files,
            admin,
            threads,
            limits,
            log,
            keys,
            register,
        })
    }
}

fn listen(
    root: &Table<'_>,
    folder: &Path,
    problems: &mut Problems,
) -> Option<(Listen, Option<ListenFiles>)> {
    let table = root.need("listen", problems)?.table(problems)?;
    let address = table
        .need("address", problems)
        .and_then(|value| value.text(problems));
    let tls = table
        .table("tls", problems)
        .map(|tls| listen_tls(&tls, folder, problems));
    table.finish(problems);
    let At {
        value: address,
        place,
    } = socket_address(&address?, problems)?;
    if tls.is_none() && !address.ip().is_loopback() {
        problems.push(
            Problem::error(
                code::VALUE,
                "without [listen] tls only loopback can be listened on",
            )
            .at(&place)
            .label("others on the network could read what is sent here")
            .help("tls = { cert = \"tls/server.pem\", key = \"tls/server.key\" }")
            .help("or address = \"127.0.0.1:8443\", with a server that speaks TLS before it"),
        );
    }
    let tls = match tls {
        None => None,
        Some(tls) => Some(tls?),
    };
    let (tls, files) = tls.unzip();
    Some((Listen { address, tls }, files))
}

fn listen_tls(
    table: &Table<'_>,
    folder: &Path,
    problems: &mut Problems,
) -> Option<(ListenTls, ListenFiles)> {
    let cert = path_at(table, "cert", folder, problems);
    let key = path_at(table, "key", folder, problems);
    let client_ca = match table.has("client-ca") {
        true => Some(path_at(table, "client-ca", folder, problems)?),
        false => None,
    };
    let min = tls_min(table, problems);
    table.finish(problems);
    let (cert, key) = (cert?, key?);
    let tls = ListenTls {
        cert: cert.value.clone(),
        key: key.value.clone(),
        client_ca: client_ca.as_ref().map(|it| it.value.clone()),
        min,
    };
    let files = ListenFiles {
        cert,
        key,
        client_ca,
    };
    Some((tls, files))
}

/// `min = "1.2"`; 1.3 if it is not written.
pub(super) fn tls_min(table: &Table<'_>, problems: &mut Problems) -> TlsVersion {
    let versions = [("1.2", TlsVersion::V12), ("1.3", TlsVersion::V13)];
    let text = table.text("min", problems);
    let min = text.and_then(|text| one_of(&text, "tls.min", &versions, problems));
    min.unwrap_or(TlsVersion::V13)
}

/// A file that must be named, relative to the folder of the file that names it.
pub(super) fn path(
    table: &Table<'_>,
    key: &str,
    folder: &Path,
    problems: &mut Problems,
) -> Option<PathBuf> {
    path_at(table, key, folder, problems).map(|path| path.value)
}

fn path_at(
    table: &Table<'_>,
    key: &str,
    folder: &Path,
    problems: &mut Problems,
) -> Option<At<PathBuf>> {
    let value = table.need(key, problems)?;
    let text = value.text(problems)?;
    if text.value.is_empty() || text.value.contains('\0') {
        let message = format!("{} must be the name of a file", shown(value.name()));
        problems.push(Problem::error(code::VALUE, message).at(&text.place));
        return None;
    }
    Some(At {
        value: folder.join(text.value),
        place: text.place,
    })
}

fn socket_address(text: &At<&str>, problems: &mut Problems) -> Option<At<SocketAddr>> {
    match text.value.parse() {
        Ok(value) => Some(At {
            value,
            place: text.place.clone(),
        }),
        Err(_) => {
            let message = format!("{} is not an address with a port", shown(text.value));
            problems.push(
                Problem::error(code::VALUE, message)
                    .at(&text.place)
                    .label("a number, not a name: `127.0.0.1:8443`, `[::1]:8443`"),
            );
            None
        }
    }
}

fn admin(root: &Table<'_>, problems: &mut Problems) -> At<SocketAddr> {
    let by_default = At {
        value: ADMIN_DEFAULT,
        place: root.place(),
    };
    let Some(table) = root.table("admin", problems) else {
        return by_default;
    };
    let text = table.text("address", problems);
    table.finish(problems);
    let Some(address) = text.and_then(|text| socket_address(&text, problems)) else {
        return by_default;
    };
    if !address.value.ip().is_loopback() {
        let message = "the operators' pages can be read from other machines";
        problems.push(
            Problem::finding(code::ADMIN_OPEN, message)
                .at(&address.place)
                .label("metrics and status have no payload and no secret, and ask for no password")
                .help("let only your monitoring reach this port, or use 127.0.0.1"),
        );
    }
    address
}

fn threads(root: &Table<'_>, problems: &mut Problems) -> usize {
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let Some(table) = root.table("runtime", problems) else {
        return cores;
    };
    let number = table.integer("threads", problems);
    table.finish(problems);
    let Some(number) = number else {
        return cores;
    };
    match usize::try_from(number.value) {
        Ok(threads) if (1..=THREADS_MAX).contains(&threads) => threads,
        Ok(_) | Err(_) => {
            let message = format!("`runtime.threads` must be 1 to {THREADS_MAX}");
            problems.push(
                Problem::error(code::VALUE, message)
                    .at(&number.place)
                    .help("leave it out to have one for each core"),
            );
            cores
        }
    }
}

fn keys(
    root: &Table<'_>,
    folder: &Path,
    register: Option<&RegisterDraft>,
    problems: &mut Problems,
) -> Option<KeyPlaces> {
    let table = root.need("keys", problems)?.table(problems)?;
    let master = table.need("master", problems);
    let master = master.and_then(|value| {
        let found = match value.text_or_table(problems)? {
            TextOrTable::Table(table) => master_place(&table, folder, problems)?,
            TextOrTable::Text(text) => {
                // The text is not shown: it may be the key itself.
                problems.push(
                    Problem::error(code::TYPE, "`keys.master` must say where the key lies")
                        .at(value.key_place())
                        .label(match text.value.starts_with("sluis-master-") {
                            true => "a key does not belong into this file; make a new one",
                            false => "not the key, nor its file alone",
                        })
                        .help("master = { file = \"keys/master.key\" }"),
                );
                return None;
            }
        };
        Some((found, value.place()))
    });
    let ring_at = table.value("ring").map(|value| value.place());
    let ring = path(&table, "ring", folder, problems);
    table.finish(problems);
    let ((master, master_at), ring) = (master?, ring?);
    Some(KeyPlaces {
        master,
        master_at,
        ring,
        ring_at: ring_at?,
        register: register.and_then(RegisterDraft::file).map(Path::to_owned),
    })
}

fn master_place(table: &Table<'_>, folder: &Path, problems: &mut Problems) -> Option<MasterPlace> {
    let credential = table.text("credential", problems);
    let place = match (credential, table.has("file")) {
        (Some(name), false) => {
            // systemd.exec(5), LoadCredential=: a name that is fit for a file.
            let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
            let fits = name.value.bytes().all(plain) && !name.value.starts_with('.');
            if fits && !name.value.is_empty() {
                Some(MasterPlace::Credential(name.value.to_owned()))
            } else {
                let message = format!("{} is not the name of a credential", shown(name.value));
                problems.push(Problem::error(code::VALUE, message).at(&name.place));
                None
            }
        }
        (None, true) => path(table, "file", folder, problems).map(MasterPlace::File),
        (_, _) => {
            let message = "`keys.master` names either a file or a credential";
            let help = "master = { file = \"keys/master.key\" }";
            problems.push(
                Problem::error(code::VALUE, message)
                    .at(&table.place())
                    .help(help),
            );
            None
        }
    };
    table.finish(problems);
    place
}

fn limits(root: &Table<'_>, problems: &mut Problems) -> Limits {
    let mut limits = Limits::default();
    let Some(table) = root.table("limits", problems) else {
        return limits;
    };
    for (key, value) in table.entries() {
        let Some(bound) = Bound::named(key.value) else {
            problems.push(
                Problem::error(
                    code::UNKNOWN_KEY,
                    format!("no such limit: {}", shown(key.value)),
                )
                .at(&key.place)
                .did_you_mean(key.value, Bound::all().map(Bound::name)),
            );
            continue;
        };
        if let Some(amount) = units::bound(bound, &value, problems) {
            // The range was looked at where the amount was read.
            limits.set(bound, amount.value).unwrap_or_default();
        }
    }
    limits
}

fn log(root: &Table<'_>, problems: &mut Problems) -> Log {
    let mut log = Log {
        format: LogFormat::Json,
        level: LogLevel::Info,
    };
    let Some(table) = root.table("log", problems) else {
        return log;
    };
    if let Some(text) = table.text("format", problems) {
        let formats = [("json", LogFormat::Json), ("text", LogFormat::Text)];
        log.format = one_of(&text, "log.format", &formats, problems).unwrap_or(log.format);
    }
    if let Some(text) = table.text("level", problems) {
        let levels = [
            ("error", LogLevel::Error),
            ("warn", LogLevel::Warn),
            ("info", LogLevel::Info),
            ("debug", LogLevel::Debug),
        ];
        log.level = one_of(&text, "log.level", &levels, problems).unwrap_or(log.level);
    }
    table.finish(problems);
    log
}
