//! The example configuration, compiled in, with the addresses of this demo and keys of its own.

use std::fs::DirBuilder;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::unix::fs::DirBuilderExt;
use std::path::PathBuf;

use data_encoding::HEXLOWER;

use super::Fault;
use crate::config::keys::{KeySource, VendorKeys};
use crate::config::{Config, Draft, Problem, Problems, RegisterPlace, code};
use crate::names::{SchoolId, VendorId};
use crate::pseudonym::{RegisterKey, TokenKey, VendorKey};
use crate::secret::SecretBytes;

/// The files of `config/`, under their paths there.
const FILES: [(&str, &str); 4] = [
    ("sluis.toml", include_str!("../../config/sluis.toml")),
    (
        "schools/regenboog/school.toml",
        include_str!("../../config/schools/regenboog/school.toml"),
    ),
    (
        "schools/regenboog/vendors/rekenwijs.toml",
        include_str!("../../config/schools/regenboog/vendors/rekenwijs.toml"),
    ),
    (
        "schools/regenboog/vendors/toetsbron.toml",
        include_str!("../../config/schools/regenboog/vendors/toetsbron.toml"),
    ),
];

/// The addresses in those files.
const PUBLIC: &str = "127.0.0.1:8080";
const ADMIN: &str = "127.0.0.1:9464";
const SCHOOL: &str = "127.0.0.1:9001";
const VENDOR: &str = "127.0.0.1:9002";

/// Whose token a caller shows; the files hold their digests.
pub(super) const REKENWIJS_TOKEN: &str = "fake-token-rekenwijs-not-for-use";
pub(super) const SCHOOL_TOKEN: &str = "fake-token-regenboog-not-for-use";
pub(super) const TOETSBRON_TOKEN: &str = "fake-token-toetsbron-not-for-use";

/// Where the made-up parties listen.
#[derive(Clone, Copy, Debug)]
pub(super) struct Parties {
    pub(super) school: SocketAddr,
    pub(super) vendor: SocketAddr,
}

/// A new folder for the register, gone with the demo: its owner's alone, under a name that nobody
/// can guess.
#[derive(Debug)]
pub(super) struct Scratch(PathBuf);

impl Scratch {
    pub(super) fn new() -> Result<Self, Fault> {
        let mut problems = Problems::new();
        let name = random(&mut problems).ok_or(Fault::Config(problems))?;
        // Exposed as a name; nothing else is made of it.
        let name = format!("sluis-demo-{}", HEXLOWER.encode(name.expose()));
        let folder = std::env::temp_dir().join(name);
        DirBuilder::new().mode(0o700).create(&folder)?;
        Ok(Self(folder))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // What stays behind is sealed under a key that is gone.
        let _gone = std::fs::remove_dir_all(&self.0);
    }
}

/// The example, with addresses that are free, keys that nobody has and nobody keeps, and a register
/// there.
pub(super) fn config(parties: Parties, scratch: &Scratch) -> Result<Config, Fault> {
    let (public, admin) = (free_address()?, free_address()?);
    let files = FILES.map(|(path, text)| {
        let text = text
            .replace(PUBLIC, &public.to_string())
            .replace(ADMIN, &admin.to_string())
            .replace(SCHOOL, &parties.school.to_string())
            .replace(VENDOR, &parties.vendor.to_string());
        (path, text)
    });
    let mut problems = Problems::new();
    let draft = Draft::of_texts(&files, &mut problems);
    let config = draft.with_keys(&mut problems, &mut Unkept);
    let mut config = config.ok_or(Fault::Config(problems))?;
    config.register.place = RegisterPlace::File(scratch.0.join("register.redb"));
    Ok(config)
}

/// Keys that nobody has and nobody keeps.
struct Unkept;

impl KeySource for Unkept {
    fn of_vendor(
        &mut self,
        _: &SchoolId,
        _: &VendorId,
        problems: &mut Problems,
    ) -> Option<VendorKeys> {
        Some(VendorKeys::first(VendorKey::new(random(problems)?)))
    }

    fn of_register(&mut self, _: &SchoolId, problems: &mut Problems) -> Option<RegisterKey> {
        random(problems).map(RegisterKey::new)
    }

    fn token_key(&mut self, problems: &mut Problems) -> Option<TokenKey> {
        random(problems).map(TokenKey::new)
    }
}

fn random(problems: &mut Problems) -> Option<SecretBytes<32>> {
    let bytes = SecretBytes::random();
    let told = bytes.map_err(|none| {
        problems.push(Problem::error(code::KEY_FILE, none.to_string()));
    });
    told.ok()
}

/// An address of this machine that nobody listens on at the moment.
fn free_address() -> io::Result<SocketAddr> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()
}
