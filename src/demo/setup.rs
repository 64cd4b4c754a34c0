//! The example configuration, compiled in, with the addresses of this demo and keys of its own.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};

use super::Fault;
use crate::config::keys::KeySource;
use crate::config::{Config, Draft, Problem, Problems, code};
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

/// Where the made-up parties listen.
#[derive(Clone, Copy, Debug)]
pub(super) struct Parties {
    pub(super) school: SocketAddr,
    pub(super) vendor: SocketAddr,
}

/// The example, with addresses that are free, and keys that nobody has and nobody keeps.
pub(super) fn config(parties: Parties) -> Result<Config, Fault> {
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
    config.ok_or(Fault::Config(problems))
}

/// Keys that nobody has and nobody keeps.
struct Unkept;

impl KeySource for Unkept {
    fn of_vendor(
        &mut self,
        _: &SchoolId,
        _: &VendorId,
        problems: &mut Problems,
    ) -> Option<Vec<(u32, VendorKey)>> {
        Some(vec![(1, VendorKey::new(random(problems)?))])
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
