//! From files to a [`Config`]: everything is read, every problem is collected.

use std::cmp::Reverse;
use std::collections::BTreeSet;
use std::iter;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use super::code;
use super::cores::on_all_cores;
use super::draft::{Draft, SchoolDraft, VendorFile};
use super::folder::Folder;
use super::gateway::Gateway;
use super::hash;
use super::keys::{InUse, KeySource, Keys, VendorKeys};
use super::language::{
    CallersDraft, ClientDraft, FlowDraft, GrantDraft, UpstreamAuthDraft, VendorDraft,
};
use super::machine;
use super::problem::{Problem, Problems};
use super::raw::At;
use super::school::School;
use super::{
    Callers, Client, ClientIdentity, Config, Door, Flow, Grant, Listed, PolicyHash, Register,
    RegisterPlace, Scheme, Upstream, UpstreamAuth, Vendor,
};
use crate::limits::{Bound, Limits};
use crate::minimise::Law;
use crate::names::SchoolId;
use crate::pseudonym::{Fingerprint, Generation, KindSpec, RegisterKey, VendorKey};
use crate::secret::{SecretBytes, SecretText};

/// Reads a configuration whole, with its keys. Findings come with it.
///
/// # Errors
/// All problems, if one of them is an error.
pub fn load(folder: &Path) -> Result<(Config, Problems), Problems> {
    let mut problems = Problems::new();
    let draft = Draft::read(folder, &mut problems);
    let config = draft.with_keys_of_files(&mut problems);
    match config {
        Some(config) if !problems.has_errors() => Ok((config, problems)),
        Some(_) | None => Err(problems),
    }
}

/// Where the operators' pages are, by `sluis.toml` alone.
///
/// # Errors
/// The problems of that file.
pub fn admin_address(folder: &Path) -> Result<SocketAddr, Problems> {
    let mut problems = Problems::new();
    let gateway = Folder::gateway(folder, &mut problems);
    let gateway = gateway.and_then(|file| Gateway::read(&file, folder, &mut problems));
    match gateway {
        Some(gateway) if !problems.has_errors() => Ok(gateway.admin),
        Some(_) | None => Err(problems),
    }
}

/// Where the register is kept, by `sluis.toml` and the file with the server's address alone.
///
/// # Errors
/// The problems of these files.
pub fn register_place(folder: &Path) -> Result<RegisterPlace, Problems> {
    let mut problems = Problems::new();
    let gateway = Folder::gateway(folder, &mut problems);
    let gateway = gateway.and_then(|file| Gateway::read(&file, folder, &mut problems));
    let place = gateway.and_then(|it| it.register.finish(folder, &mut problems));
    match place {
        Some(place) if !problems.has_errors() => Ok(place),
        Some(_) | None => Err(problems),
    }
}

impl Draft {
    /// Completes the configuration with the keys and secrets that its files name. `None` if
    /// something is wrong, here or before.
    pub fn with_keys_of_files(self, problems: &mut Problems) -> Option<Config> {
        self.with_keys_beside(&InUse::new(), problems)
    }

    /// The same beside a gateway that runs: keys that are in use come back from a backup only.
    pub(super) fn with_keys_beside(
        self,
        in_use: &InUse,
        problems: &mut Problems,
    ) -> Option<Config> {
        let places = self.gateway.as_ref().map(|gateway| &gateway.keys);
        let mut keys = places.and_then(|it| Keys::read(it, &self.folder, in_use, problems));
        self.with_keys(problems, &mut keys)
    }

    /// Completes the configuration with keys that are handed in: for one run, or for a trial.
    /// `None` if something is wrong, here or before.
    pub fn with_keys(self, problems: &mut Problems, keys: &mut impl KeySource) -> Option<Config> {
        let gateway = self.gateway?;
        if let Some(files) = &gateway.listen_files {
            machine::check_tls(files, problems);
        }
        let files = { self.schools.into_iter() }.flat_map(SchoolDraft::into_files);
        let files = files.map(|(id, school, file)| {
            let keys = keys.of_vendor(&id, &file.id, problems);
            (id, school, file, keys)
        });
        let files: Vec<_> = files.collect();
        let finished = on_all_cores(files, problems, |(id, school, file, keys), problems| {
            let finished = file.finish(&id, keys, &gateway.limits, problems);
            finished.zip(school)
        });
        let (mut vendors, mut doors) = (Vec::new(), Vec::new());
        for ((vendor, at), school) in finished.into_iter().flatten() {
            let vendor = Arc::new(vendor);
            doors.extend(doors_of(&vendor, &school, at));
            vendors.push(vendor);
        }
        // The longest path first, so that the first one that fits is the right one.
        doors.sort_by_cached_key(|door: &Door| {
            let length = Reverse(door.prefix.len());
            (door.host.clone(), length, door.prefix.clone())
        });
        let hash = hash::of_all(&vendors, &doors);
        let register_keys = register_keys(&vendors, keys, problems);
        let token_key = keys.token_key(problems);
        let Gateway {
            listen,
            listen_files: _,
            admin,
            threads,
            limits,
            log,
            keys: _,
            register: place,
        } = gateway;
        let place = place.finish(&self.folder, problems);
        let register = Register {
            place: place?,
            keys: register_keys,
        };
        let config = Config {
            listen,
            admin,
            threads,
            limits,
            log,
            register,
            vendors,
            doors,
            token_key: token_key?,
            hash,
        };
        (!problems.has_errors()).then_some(config)
    }
}

/// The doors of a vendor's flows, which are reached under these paths.
fn doors_of<'a>(
    vendor: &'a Arc<Vendor>,
    school: &'a School,
    prefixes: Vec<String>,
) -> impl Iterator<Item = Door> + use<'a> {
    prefixes.into_iter().enumerate().map(|(flow, prefix)| Door {
        host: school.public.authority(),
        prefix: format!("{}{prefix}", school.public.path),
        vendor: Arc::clone(vendor),
        flow,
    })
}

impl SchoolDraft {
    /// Each vendor's file, with the name of the school and what the school's own file says.
    fn into_files(self) -> impl Iterator<Item = (SchoolId, Option<School>, VendorFile)> {
        let Self {
            id,
            school,
            vendors,
        } = self;
        let of_school = move |file| (id.clone(), school.clone(), file);
        vendors.into_iter().map(of_school)
    }
}

impl VendorFile {
    /// The vendor with its key, and the path of each flow.
    fn finish(
        self,
        school: &SchoolId,
        keys: Option<VendorKeys>,
        limits: &Limits,
        problems: &mut Problems,
    ) -> Option<(Vendor, Vec<String>)> {
        let Some(draft) = self.draft else {
            // The files that it names are looked for all the same.
            for flow in self.remains.flows {
                let _unused = finish_flow(flow, &self.folder, problems);
            }
            return None;
        };
        let most = limits.of(Bound::Body);
        if let Some(body) = draft
            .body_bytes_max
            .as_ref()
            .filter(|body| body.value > most)
        {
            let most = super::written(most, Bound::Body.unit());
            let message =
                format!("a vendor may set a smaller bound than the gateway's {most} only");
            problems.push(Problem::error(code::VALUE, message).at(&body.place));
        }
        let newest = keys.as_ref().map(|keys| &keys.in_use);
        let newest = newest.map(|(version, key)| (*version, key.fingerprint()));
        let newest = newest.filter(|(_, key)| is_pinned(&draft, *key, problems));
        let mut flows = Vec::new();
        let mut paths = Vec::new();
        for flow in draft.flows {
            paths.push(flow.at.value.clone());
            flows.extend(finish_flow(flow, &self.folder, problems));
        }
        let (key_version, fingerprint) = newest?;
        if flows.len() != paths.len() {
            return None;
        }
        let (generations, retired) = generations(&keys?, &draft.kind_specs);
        let law = Law {
            policy: draft.policy,
            generations,
            limits: limits.clone(),
        };
        let mut vendor = Vendor {
            school: school.clone(),
            id: self.id,
            name: draft.name,
            valid: draft.valid,
            mode: draft.mode,
            body_bytes_max: draft.body_bytes_max.map_or(most, |body| body.value),
            law: Arc::new(law),
            flows,
            fingerprint,
            key_version,
            lists: self.lists,
            retired,
            hash: PolicyHash(String::new()),
        };
        vendor.hash = hash::of_vendor(
            &vendor,
            &draft.agreement,
            &draft.objections,
            &draft.policy_digest,
        );
        Some((vendor, paths))
    }
}

/// The kinds under the keys whose pseudonyms are understood, and under those where they are not any
/// more; both newest first, but for one that is prepared, which is the last. A kind that
/// understands fewer says so itself.
fn generations(keys: &VendorKeys, specs: &[KindSpec]) -> (Arc<[Generation]>, Arc<[Generation]>) {
    let VendorKeys {
        in_use,
        former,
        prepared,
    } = keys;
    let keyed =
        |(version, key): &(u32, VendorKey)| Generation::new(*version, key, specs.iter().cloned());
    let used = iter::once(in_use).chain(former).map(keyed);
    let mut accepted: Vec<Generation> = used.collect();
    let most = specs.iter().map(|spec| spec.accept_keys).max();
    let retired = accepted.split_off(most.unwrap_or(1).min(accepted.len()));
    accepted.extend(prepared.as_ref().map(keyed).map(Generation::prepared));
    (accepted.into(), retired.into())
}

/// The keys of the registers that these vendors need.
fn register_keys(
    vendors: &[Arc<Vendor>],
    keys: &mut impl KeySource,
    problems: &mut Problems,
) -> Vec<(SchoolId, Arc<RegisterKey>)> {
    let with_way_back = vendors.iter().filter(|vendor| vendor.has_way_back());
    let schools: BTreeSet<&SchoolId> = with_way_back.map(|vendor| &vendor.school).collect();
    let keys = schools.into_iter().filter_map(|school| {
        let key = keys.of_register(school, problems)?;
        Some((school.clone(), Arc::new(key)))
    });
    keys.collect()
}

/// Whether a key is the one that the vendor's file pins, if it pins one.
fn is_pinned(draft: &VendorDraft, fingerprint: Fingerprint, problems: &mut Problems) -> bool {
    let Some(pin) = draft.key.as_ref().filter(|pin| pin.value != fingerprint) else {
        return true;
    };
    problems.push(
        Problem::error(
            code::KEY_CHANGED,
            format!("another key is in use: {fingerprint}"),
        )
        .at(&pin.place)
        .label("this one is pinned here")
        .help("with another key every pupil is somebody new to this vendor")
        .help("put the ring back from its backup; or, if that is meant, pin the other key"),
    );
    false
}

fn finish_flow(flow: FlowDraft, folder: &Path, problems: &mut Problems) -> Option<Flow> {
    let secret =
        |file: &At<String>, problems: &mut Problems| machine::secret(file, folder, problems);
    let mut upstream_auth = match &flow.upstream_auth {
        UpstreamAuthDraft::BasicFile(file) => secret(file, problems).map(UpstreamAuth::Basic),
        UpstreamAuthDraft::BearerFile(file) => secret(file, problems).map(UpstreamAuth::Bearer),
        UpstreamAuthDraft::Forward => Some(UpstreamAuth::Forward),
        UpstreamAuthDraft::None => Some(UpstreamAuth::None),
        UpstreamAuthDraft::Oauth2(grant) => {
            let secret = secret(&grant.secret, problems);
            secret.map(|secret| UpstreamAuth::Oauth2(Box::new(finish_grant(grant, secret))))
        }
    };
    let mut upstream: Upstream = flow.upstream.value;
    if let Some(roots) = &flow.roots {
        let path = machine::roots(roots, folder, problems);
        upstream.trust(&path);
        if let Some(UpstreamAuth::Oauth2(grant)) = &mut upstream_auth {
            grant.server.trust(&path);
        }
    }
    if let Some(identity) = &flow.identity {
        let identity = ClientIdentity {
            cert: machine::present(&identity.cert, folder, problems)?,
            key: machine::kept_key(&identity.key, folder, problems)?,
        };
        if let Some(UpstreamAuth::Oauth2(grant)) = &mut upstream_auth {
            grant.server.show(&identity);
        }
        upstream.show(&identity);
    }
    Some(Flow {
        id: flow.id,
        callers: match flow.callers.value {
            CallersDraft::Anyone => Callers::Anyone,
            CallersDraft::Forwarded => Callers::Forwarded,
            CallersDraft::Listed {
                tokens,
                clients,
                certificates,
            } => Callers::Listed(Listed {
                tokens: tokens.iter().map(kept).collect(),
                clients: clients.into_iter().map(finish_client).collect(),
                certificates: certificates.iter().map(kept).collect(),
            }),
        },
        ip_ranges: flow.ip_ranges,
        rate: flow.rate,
        upstream,
        upstream_auth: upstream_auth?,
        retry: flow.retry,
    })
}

fn kept(digest: &At<[u8; 32]>) -> SecretBytes<32> {
    SecretBytes::from(digest.value)
}

fn finish_client(draft: ClientDraft) -> Client {
    Client {
        id: draft.id,
        secret: kept(&draft.secret),
        scopes: draft.scopes,
    }
}

fn finish_grant(draft: &GrantDraft, secret: SecretText) -> Grant {
    Grant {
        server: draft.server.clone(),
        client: draft.client.clone(),
        secret,
        scope: draft.scope.clone(),
        auth: draft.auth,
    }
}

impl Upstream {
    /// Trusts the roots in a file and no others.
    fn trust(&mut self, roots: &Path) {
        if let Scheme::Https(tls) = &mut self.scheme {
            tls.roots = Some(roots.to_owned());
        }
    }

    /// Shows a certificate, where one is asked for.
    fn show(&mut self, identity: &ClientIdentity) {
        if let Scheme::Https(tls) = &mut self.scheme {
            tls.identity = Some(identity.clone());
        }
    }
}
