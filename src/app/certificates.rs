//! Looking after certificates, keys and roots, whose files change while the gateway runs.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::admin::Expiries;
use crate::config::{Config, Flow, Scheme, UpstreamTls};
use crate::events::{Events, TlsFilesChanged, UpstreamCertificateSeen};
use crate::tls::{Acceptor, Connector, Stamps, Unusable};

/// What has been seen of the files of one configuration.
#[derive(Debug, Default)]
pub(super) struct CertificatesSeen {
    config: Option<Arc<Config>>,
    listener: Files,
    upstreams: BTreeMap<usize, Files>,
    expiries: Expiries,
}

/// How some files looked.
#[derive(Debug, Default)]
struct Files {
    /// The last time somebody looked.
    last: Option<Stamps>,
    /// When they were last read.
    read: Option<Stamps>,
    broken: bool,
}

impl Files {
    /// Whether they are others than those that were read, and not just being written.
    fn have_changed(&mut self, now: Stamps) -> bool {
        let settled = self.last.as_ref() == Some(&now);
        self.last = Some(now);
        let changed = settled && self.read != self.last;
        if changed {
            self.read.clone_from(&self.last);
        }
        changed
    }
}

impl CertificatesSeen {
    /// Reads the files of the listener that have changed and puts them in use, if they can be used,
    /// and says so of all. Those towards upstreams are read by who opens connections there.
    ///
    /// Gives whether the listener has another certificate.
    pub(super) fn look(
        &mut self,
        config: &Arc<Config>,
        acceptor: Option<&Acceptor>,
        events: &Events,
    ) -> bool {
        let same = |seen: &Arc<Config>| Arc::ptr_eq(seen, config);
        if !self.config.as_ref().is_some_and(same) {
            // Everything was read with it.
            *self = Self::default();
            self.config = Some(Arc::clone(config));
            self.read_all(config, acceptor, events);
        }
        let mut replaced = false;
        if let (Some(acceptor), Some(tls)) = (acceptor, &config.listen.tls)
            && self.listener.have_changed(Stamps::of_listener(tls))
        {
            let outcome = acceptor.replace(tls);
            replaced = outcome.is_ok();
            self.listener.broken = !replaced;
            self.say(outcome, events);
        }
        for (place, tls) in with_files(config).enumerate() {
            let files = self.upstreams.entry(place).or_default();
            if files.have_changed(Stamps::of_upstream(tls)) {
                let outcome = Connector::new(tls).map(drop);
                files.broken = outcome.is_err();
                self.say(outcome, events);
                self.say_expiries(config, events);
            }
        }
        replaced
    }

    fn read_all(&mut self, config: &Config, acceptor: Option<&Acceptor>, events: &Events) {
        self.listener.read = acceptor.map(Acceptor::stamps);
        for (place, tls) in with_files(config).enumerate() {
            let read = Some(Stamps::of_upstream(tls));
            let files = Files {
                read,
                ..Files::default()
            };
            self.upstreams.insert(place, files);
        }
        events.emit(TlsFilesChanged {
            problem: None,
            usable: true,
        });
        self.say_expiries(config, events);
    }

    /// When the certificates expire that vendors' upstreams are shown.
    pub(super) const fn expiries(&self) -> &Expiries {
        &self.expiries
    }

    /// Says so. What cannot be read is in use as it was, and expires when that did.
    fn say_expiries(&mut self, config: &Config, events: &Events) {
        for vendor in &config.vendors {
            let shown = vendor.flows.iter().flat_map(of_flow);
            let shown = shown.filter(|tls| tls.identity.is_some());
            let expiries = shown.filter_map(|tls| Connector::new(tls).ok()?.expires_unix_s());
            let Some(expires_unix_s) = expiries.min() else {
                continue;
            };
            let place = (vendor.school.clone(), vendor.id.clone());
            self.expiries.insert(place, expires_unix_s);
            events.emit(UpstreamCertificateSeen {
                vendor,
                expires_unix_s,
            });
        }
    }

    fn say(&self, outcome: Result<(), Unusable>, events: &Events) {
        let problem = outcome.err().map(|unusable| unusable.to_string());
        let mut all = self.upstreams.values().chain([&self.listener]);
        events.emit(TlsFilesChanged {
            problem: problem.as_deref(),
            usable: !all.any(|files| files.broken),
        });
    }
}

/// Whether all that is read from files towards upstreams can be used.
///
/// # Errors
/// The first that cannot.
pub(super) fn try_upstreams(config: &Config) -> Result<(), Unusable> {
    { with_files(config) }.try_for_each(|tls| Connector::new(tls).map(drop))
}

/// All settings towards upstreams that name files, each once.
fn with_files(config: &Config) -> impl Iterator<Item = &UpstreamTls> {
    let flows = config.vendors.iter().flat_map(|vendor| &vendor.flows);
    let mut settings: Vec<&UpstreamTls> = flows.flat_map(of_flow).collect();
    settings.sort_unstable();
    settings.dedup();
    settings.into_iter()
}

fn of_flow(flow: &Flow) -> impl Iterator<Item = &UpstreamTls> {
    flow.called().filter_map(|upstream| match &upstream.scheme {
        Scheme::Https(tls) if tls.roots.is_some() || tls.identity.is_some() => Some(tls),
        Scheme::Http | Scheme::Https(_) => None,
    })
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::{Read as _, Write as _};
    use std::net::{SocketAddr, TcpListener, TcpStream};
    use std::os::unix::fs::PermissionsExt as _;
    use std::path::Path;

    use crate::app::House;
    use crate::clock::Clock;
    use crate::config;
    use crate::events::{Events, Sink};

    const GATEWAY: &str = "version = 1\n[listen]\naddress = \"127.0.0.1:0\"\n\
        tls = { cert = \"server.pem\", key = \"server.key\", client-ca = \"ca.pem\" }\n\
        [admin]\naddress = \"127.0.0.2:0\"\n[keys]\nmaster = { file = \"keys/master.key\" }\n\
        ring = \"keys/ring.toml\"\n";
    const SCHOOL: &str = "version = 1\n[school]\nname = \"De Proef\"\n\
        public = \"https://proef.example\"\ncontact = \"privacy@proef.example\"\n";
    const VENDOR: &str = "version = 1\n[vendor]\nname = \"Bron\"\nagreement = \"T-1\"\n\
        purpose = \"Tests\"\ncontact = \"privacy@bron.example\"\n\
        valid = { from = 2020-01-01, until = 2099-12-31 }\n[ids.pupil]\n[flow.pull]\n\
        caller = \"vendor\"\nupstream = \"https://sis.example\"\ncallers = \"anyone\"\n\
        upstream-tls = { roots = \"../../../ca.pem\" }\n\
        upstream-auth = { client-cert = \"../../../us.pem\", client-key = \"../../../us.key\" }\n\
        [[flow.pull.route]]\nmatch = \"GET /pupils\"\nto-vendor = \"Pupil[]\"\n\
        [shape.Pupil]\nid = \"pupil\"\n";

    fn write(folder: &Path, path: &str, text: &str) {
        let path = folder.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    }

    /// A certificate and its key under that name.
    fn certificate(folder: &Path, name: &str, year: i32) {
        let mut of = rcgen::CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        of.not_after = rcgen::date_time_ymd(year, 7, 31);
        let key = rcgen::KeyPair::generate().unwrap();
        let made = of.self_signed(&key).unwrap();
        write(folder, &format!("{name}.pem"), &made.pem());
        write(folder, &format!("{name}.key"), &key.serialize_pem());
    }

    /// All files of a gateway; gives where operators are answered.
    fn write_all(path: &Path) -> SocketAddr {
        let admin = TcpListener::bind("127.0.0.2:0").unwrap();
        let admin = admin.local_addr().unwrap();
        let gateway = GATEWAY.replace("127.0.0.2:0", &admin.to_string());
        write(path, "sluis.toml", &gateway);
        write(path, "schools/proef/school.toml", SCHOOL);
        write(path, "schools/proef/vendors/bron.toml", VENDOR);
        for (name, year) in [("server", 2051), ("ca", 2060), ("us", 2052)] {
            certificate(path, name, year);
        }
        admin
    }

    /// The status page says that the certificate upstreams are shown expires in that year.
    fn assert_shown(admin: SocketAddr, year: u16) {
        let mut page = String::new();
        let mut operator = TcpStream::connect(admin).unwrap();
        let asked = b"GET /status HTTP/1.1\r\nhost: here\r\n\r\n";
        operator.write_all(asked).unwrap();
        operator.read_to_string(&mut page).unwrap();
        let (_, of_upstream) = page.split_once("\"upstream_certificate\"").unwrap();
        let expires = format!("\"expires\": \"{year}-07-31T00:00:00Z\"");
        assert!(of_upstream.contains(&expires), "{page}");
    }

    #[test]
    fn a_certificate_that_changed_is_taken_and_one_that_is_no_use_is_told_once() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path();
        let admin = write_all(path);
        config::keys::new(path).map(drop).unwrap();
        let (config, _) = config::load(path).unwrap();
        let log = Sink::memory();
        let events = Events::new(config.log, log.clone(), Clock::system()).unwrap();
        let house = House::open(config, 1, events, Clock::system()).unwrap();
        let gauge = |name: &str| {
            let page = house.events().metrics_page();
            let line = page.lines().find_map(|line| line.strip_prefix(name));
            line.unwrap_or_else(|| panic!("{page}")).trim().to_owned()
        };
        let server = || gauge("sluis_tls_certificate_expiry_timestamp_seconds");
        let us = || {
            let name = "sluis_upstream_certificate_expiry_timestamp_seconds";
            gauge(&format!("{name}{{school=\"proef\",vendor=\"bron\"}}"))
        };
        let usable = || gauge("sluis_tls_files_usable");
        let told = || {
            let log = String::from_utf8(log.bytes()).unwrap();
            log.matches("tls.files_unusable").count()
        };
        let first = ("2574374400".to_owned(), "2605996800".to_owned());
        assert_eq!((server(), us()), first);
        assert_shown(admin, 2052);
        assert_eq!((usable().as_str(), told()), ("1", 0));

        certificate(path, "server", 2053);
        certificate(path, "us", 2054);
        house.look_at_certificates();
        assert_eq!((server(), us()), first, "it may be half written");
        house.look_at_certificates();
        let second = ("2637532800".to_owned(), "2669068800".to_owned());
        assert_eq!((server(), us()), second);
        assert_shown(admin, 2054);

        for name in ["server.pem", "us.key"] {
            let good = fs::read_to_string(path.join(name)).unwrap();
            let before = told();
            write(path, name, "nothing here\n");
            (0..4).for_each(|_| house.look_at_certificates());
            assert_eq!((usable().as_str(), told()), ("0", before + 1), "{name}");
            assert_eq!((server(), us()), second, "what was in use stays");
            write(path, name, &good);
            (0..4).for_each(|_| house.look_at_certificates());
            assert_eq!((usable().as_str(), told()), ("1", before + 1), "{name}");
        }
        write(path, "us.pem", "nothing here\n");
        house.reload(path);
        let log = String::from_utf8(log.bytes()).unwrap();
        assert!(
            log.contains("config.reload_failed") && log.contains("us.pem holds no"),
            "{log}"
        );
        house.close();
    }
}
