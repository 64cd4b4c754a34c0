//! The name of a policy: a digest of everything that decides what leaves, and to whom.
//!
//! Two nodes with the same files and the same keys have the same hash; comments and layout do not
//! count, nor do the gateway's own settings. Every struct is taken apart field by field, so that a
//! new one must be given its place here before the code compiles.

mod policy;

use std::fmt::Display;
use std::sync::Arc;

use data_encoding::HEXLOWER;

use super::{
    Callers, Client, Door, Flow, Http2, Listed, Mode, ObjectionsDraft, PolicyHash, Reach, Retry,
    Scheme, Upstream, UpstreamAuth, UpstreamTls, Vendor,
};
use crate::policy::Policy;
use crate::pseudonym::{Back, Kind, KindSpec, Notation};
use crate::secret::{SecretBytes, sha256};

/// Names one vendor's policy, agreement and key.
pub(super) fn of_vendor(
    vendor: &Vendor,
    agreement: &str,
    objections: &[ObjectionsDraft],
    policy: &PolicyDigest,
) -> PolicyHash {
    let mut content = Canon::new("vendor");
    content.vendor(vendor, agreement, policy);
    content.objections(objections);
    content.hash()
}

/// The digest of a policy, which its vendor's hash tells; vendors of one policy share it.
#[derive(Clone, Debug)]
pub(in crate::config) struct PolicyDigest(Arc<SecretBytes<32>>);

impl PolicyDigest {
    /// Of a policy that is whole.
    pub(super) fn of(policy: &Policy) -> Self {
        let mut content = Canon::new("policy");
        content.policy(policy);
        Self(Arc::new(sha256(&content.0)))
    }
}

/// Names a whole configuration: its vendors, and where each flow is reached.
pub(super) fn of_all(vendors: &[Arc<Vendor>], doors: &[Door]) -> PolicyHash {
    let mut content = Canon::new("configuration");
    content.list(vendors, |content, vendor| content.text(&vendor.hash.0));
    content.list(doors, |content, door| {
        let Door {
            host,
            prefix,
            vendor,
            flow,
        } = door;
        content.texts(&[host, prefix, vendor.school.as_str(), vendor.id.as_str()]);
        content.number(*flow);
    });
    content.hash()
}

/// Content in one form: texts behind their length, lists behind theirs, choices by name.
struct Canon(Vec<u8>);

impl Canon {
    fn new(what: &str) -> Self {
        let mut canon = Self(Vec::new());
        canon.texts(&["sluis policy 1", what]);
        canon
    }

    fn hash(&self) -> PolicyHash {
        // Exposed to be shown: what was digested is public towards whoever reads the files.
        let digest = sha256(&self.0);
        let (first, _) = digest.expose().split_at(8);
        PolicyHash(HEXLOWER.encode(first))
    }

    fn text(&mut self, text: &str) {
        self.number(text.len());
        self.0.extend_from_slice(text.as_bytes());
    }

    fn texts(&mut self, texts: &[&str]) {
        texts.iter().for_each(|text| self.text(text));
    }

    fn shown(&mut self, value: impl Display) {
        self.text(&value.to_string());
    }

    fn number(&mut self, number: usize) {
        let number = u64::try_from(number).unwrap_or(u64::MAX);
        self.0.extend_from_slice(&number.to_be_bytes());
    }

    fn list<T>(&mut self, items: &[T], mut item: impl FnMut(&mut Self, &T)) {
        self.number(items.len());
        items.iter().for_each(|it| item(self, it));
    }

    fn vendor(&mut self, vendor: &Vendor, agreement: &str, policy: &PolicyDigest) {
        let Vendor {
            school,
            id,
            name,
            valid,
            mode,
            body_bytes_max,
            law,
            flows,
            fingerprint,
            key_version: _,
            // What is on them changes by itself; which they are is told apart.
            lists: _,
            retired: _,
            hash: _,
        } = vendor;
        self.texts(&[school.as_str(), id.as_str(), name, agreement]);
        self.texts(&[&valid.from.to_string(), &valid.until.to_string()]);
        self.text(match mode {
            Mode::Enforce => "enforce",
            Mode::Observe => "observe",
        });
        self.shown(body_bytes_max);
        self.shown(fingerprint);
        self.list(law.kinds(), Self::kind);
        self.digest(&policy.0);
        self.list(flows, Self::flow);
    }

    /// Which lists there are. A vendor without any has the hash that it had before there were some.
    fn objections(&mut self, objections: &[ObjectionsDraft]) {
        for draft in objections {
            let ObjectionsDraft {
                kind,
                list,
                age_max_s,
            } = draft;
            self.number(kind.place());
            self.text(&list.value);
            self.list(age_max_s.as_slice(), |canon, age| canon.shown(age));
        }
    }

    fn kind(&mut self, kind: &Kind) {
        let KindSpec {
            name,
            canonical,
            notation,
            back,
            unknown,
            accept_keys,
        } = kind.spec();
        self.text(name);
        self.list(canonical.rules(), |canon, rule| canon.text(rule.name()));
        // A kind without a way back has the hash that it had before there was one.
        match back {
            Back::Never => self.shown(notation),
            Back::SchoolOnly => {
                let (back, unknown) = (back.name(), unknown.name());
                let back = format!("back {back}, unknown {unknown}, accept {accept_keys}");
                self.text(&format!("{notation}, {back}"));
            }
        }
        match notation {
            Notation::Email { domain } => self.text(domain),
            Notation::Url { prefix } => self.text(prefix),
            Notation::Digits(_) | Notation::Hex | Notation::Text(_) | Notation::Uuid => {}
        }
    }

    /// Which credentials are shown is told, and never what they are.
    fn flow(&mut self, flow: &Flow) {
        let Flow {
            id,
            callers,
            ip_ranges,
            rate,
            upstream,
            upstream_auth,
            retry,
        } = flow;
        self.text(id.as_str());
        match callers {
            Callers::Anyone => self.text("anyone"),
            Callers::Forwarded => self.text("forwarded"),
            Callers::Listed(Listed {
                tokens,
                clients,
                certificates,
            }) => {
                self.text("listed");
                self.list(tokens, Self::digest);
                self.list(clients, |canon, Client { id, secret, scopes }| {
                    canon.text(id);
                    canon.digest(secret);
                    canon.list(scopes, |canon, scope| canon.text(scope));
                });
                for certificate in certificates {
                    self.text("certificate");
                    self.digest(certificate);
                }
            }
        }
        self.list(ip_ranges, |canon, range| canon.shown(range));
        self.list(rate.as_slice(), |canon, rate| canon.shown(rate));
        self.upstream(upstream);
        self.text(upstream_auth.name());
        if let UpstreamAuth::Oauth2(grant) = upstream_auth {
            self.upstream(&grant.server);
            self.texts(&grant.told());
        }
        match retry {
            // As it was before there was a choice: the same files keep their names.
            Retry::Idempotent => {}
            Retry::WithKey => self.text("idempotency"),
        }
    }

    /// Exposed to be hashed: it is a digest itself.
    fn digest(&mut self, digest: &SecretBytes<32>) {
        self.text(&HEXLOWER.encode(digest.expose()));
    }

    fn upstream(&mut self, upstream: &Upstream) {
        let Upstream {
            scheme,
            host,
            port,
            base,
            reach,
        } = upstream;
        self.texts(&[host, base]);
        self.shown(port);
        match scheme {
            Scheme::Http => self.text("http"),
            Scheme::Https(UpstreamTls {
                roots,
                identity,
                min,
                http2,
            }) => {
                self.texts(&["https", min.name()]);
                // Where they lie is the machine's own business.
                self.text(if roots.is_some() { "own roots" } else { "" });
                // Without one it is the hash that it was before there were some.
                let shown = identity.iter();
                shown.for_each(|_| self.text("client certificate"));
                match http2 {
                    Http2::IfAgreed => {}
                    Http2::Never => self.text("no HTTP/2"),
                }
            }
        }
        self.text(match reach {
            Reach::Any => "any",
            Reach::Public => "public",
        });
    }
}
