//! `[register]` of `sluis.toml`: where it is kept that a pseudonym finds its way home.

use std::path::Path;
use std::sync::Arc;

use super::code;
use super::gateway::{path, tls_min};
use super::machine::{self, secret};
use super::problem::{Problem, Problems, shown};
use super::raw::{At, Table, TextOrTable, Value};
use super::school::one_of;
use super::{RegisterPlace, RegisterServer, UpstreamTls};

/// Where the register is kept if the file does not say: beside the configuration, in one file.
const FILE: &str = "state/register.redb";
const URL_HELP: &str = "url = { file = \"secrets/register-url\" }";

/// The register as the file describes it; what is secret has not been read.
#[derive(Debug)]
pub(super) enum RegisterDraft {
    /// In one file.
    File(RegisterPlace),
    /// On a server.
    Postgres {
        /// The file with its address.
        url: At<String>,
        roots: Option<At<String>>,
        tls: UpstreamTls,
    },
}

#[derive(Clone, Copy)]
enum StoreName {
    Postgres,
    Redb,
}

/// What goes with one store only.
const OF_POSTGRES: [&str; 2] = ["url", "tls"];
const OF_REDB: [&str; 1] = ["path"];

/// `None` if what is written cannot be used.
pub(super) fn read(
    root: &Table<'_>,
    folder: &Path,
    problems: &mut Problems,
) -> Option<RegisterDraft> {
    let beside = || RegisterDraft::File(RegisterPlace::File(folder.join(FILE)));
    let Some(table) = root.table("register", problems) else {
        return Some(beside());
    };
    let stores = [("redb", StoreName::Redb), ("postgres", StoreName::Postgres)];
    let store = match table.text("store", problems) {
        Some(text) => one_of(&text, "register.store", &stores, problems),
        None => Some(StoreName::Redb),
    };
    let draft = match store {
        Some(StoreName::Redb) => {
            refuse(&table, &OF_POSTGRES, "postgres", problems);
            match table.has("path") {
                true => path(&table, "path", folder, problems)
                    .map(|path| RegisterDraft::File(RegisterPlace::File(path))),
                false => Some(beside()),
            }
        }
        Some(StoreName::Postgres) => {
            refuse(&table, &OF_REDB, "redb", problems);
            postgres(&table, problems)
        }
        None => {
            // What belongs to which cannot be said.
            OF_POSTGRES.iter().chain(&OF_REDB).for_each(|key| {
                let _asked = table.has(key);
            });
            None
        }
    };
    table.finish(problems);
    draft
}

fn refuse(table: &Table<'_>, keys: &[&str], store: &str, problems: &mut Problems) {
    for value in keys.iter().filter_map(|key| table.value(key)) {
        let message = format!("{} goes with store = \"{store}\" only", shown(value.name()));
        problems.push(Problem::error(code::CONFLICT, message).at(value.key_place()));
    }
}

fn postgres(table: &Table<'_>, problems: &mut Problems) -> Option<RegisterDraft> {
    let url = table
        .need("url", problems)
        .and_then(|value| url(&value, problems));
    let (mut roots, mut min) = (None, super::TlsVersion::V13);
    if let Some(tls) = table.table("tls", problems) {
        roots = tls.text("roots", problems).map(owned);
        min = tls_min(&tls, problems);
        tls.finish(problems);
    }
    let tls = UpstreamTls {
        roots: None,
        identity: None,
        min,
        // The register's server speaks no HTTP.
        http2: super::Http2::Never,
    };
    Some(RegisterDraft::Postgres {
        url: url?,
        roots,
        tls,
    })
}

fn url(value: &Value<'_>, problems: &mut Problems) -> Option<At<String>> {
    match value.text_or_table(problems)? {
        TextOrTable::Table(table) => {
            let file = table
                .need("file", problems)
                .and_then(|file| file.text(problems));
            table.finish(problems);
            file.map(owned)
        }
        TextOrTable::Text(_) => {
            // The text is not shown: it may have a password in it.
            let message = "`register.url` must say in which file the address lies";
            problems.push(
                Problem::error(code::TYPE, message)
                    .at(value.key_place())
                    .label("an address may hold a password, which does not belong into this file")
                    .help(URL_HELP),
            );
            None
        }
    }
}

fn owned(text: At<&str>) -> At<String> {
    At {
        value: text.value.to_owned(),
        place: text.place,
    }
}

impl RegisterDraft {
    /// The file, if it is kept in one.
    pub(super) fn file(&self) -> Option<&Path> {
        match self {
            Self::File(RegisterPlace::File(path)) => Some(path),
            Self::File(RegisterPlace::Postgres(_)) | Self::Postgres { .. } => None,
        }
    }

    /// Reads what is secret, and sees whether the files are there.
    pub(super) fn finish(self, folder: &Path, problems: &mut Problems) -> Option<RegisterPlace> {
        let (url, roots, mut tls) = match self {
            Self::File(place) => return Some(place),
            Self::Postgres { url, roots, tls } => (url, roots, tls),
        };
        tls.roots = roots.map(|file| machine::roots(&file, folder, problems));
        let url = secret(&url, folder, problems)?;
        Some(RegisterPlace::Postgres(RegisterServer {
            url: Arc::new(url),
            tls,
        }))
    }
}
