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
        set_mode(&path, 0o600);
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

    fn set_mode(path: &Path, mode: u32) {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }

    /// A gateway with certificates, and what it tells of them.
    struct Running {
        folder: tempfile::TempDir,
        admin: SocketAddr,
        house: House,
        log: Sink,
    }

    impl Running {
        fn open() -> Self {
            let folder = tempfile::tempdir().unwrap();
            let admin = write_all(folder.path());
            config::keys::new(folder.path()).map(drop).unwrap();
            let (config, _) = config::load(folder.path()).unwrap();
            let log = Sink::memory();
            let events = Events::new(config.log, log.clone(), Clock::system()).unwrap();
            let house = House::open(config, 1, events, Clock::system()).unwrap();
            Self {
                folder,
                admin,
                house,
                log,
            }
        }

        fn gauge(&self, name: &str) -> String {
            let page = self.house.events().metrics_page();
            let line = page.lines().find_map(|line| line.strip_prefix(name));
            line.unwrap_or_else(|| panic!("{page}")).trim().to_owned()
        }

        /// When the certificates expire that callers and upstreams are shown.
        fn expiries(&self) -> (String, String) {
            let us = "sluis_upstream_certificate_expiry_timestamp_seconds";
            (
                self.gauge("sluis_tls_certificate_expiry_timestamp_seconds"),
                self.gauge(&format!("{us}{{school=\"proef\",vendor=\"bron\"}}")),
            )
        }

        /// Whether the files can be used, and how often it was told that they cannot.
        fn usable(&self) -> (String, usize) {
            let told = self.log().matches("tls.files_unusable").count();
            (self.gauge("sluis_tls_files_usable"), told)
        }

        fn log(&self) -> String {
            String::from_utf8(self.log.bytes()).unwrap()
        }

        fn look_often(&self) {
            (0..4).for_each(|_| self.house.look_at_certificates());
        }
    }

    fn expiries(server: &str, us: &str) -> (String, String) {
        (server.to_owned(), us.to_owned())
    }

    #[test]
    fn a_certificate_that_changed_is_taken_and_one_that_is_no_use_is_told_once() {
        let it = Running::open();
        let path = it.folder.path();
        let first = expiries("2574374400", "2605996800");
        assert_eq!(it.expiries(), first);
        assert_shown(it.admin, 2052);
        assert_eq!(it.usable(), ("1".to_owned(), 0));

        certificate(path, "server", 2053);
        certificate(path, "us", 2054);
        it.house.look_at_certificates();
        assert_eq!(it.expiries(), first, "it may be half written");
        it.house.look_at_certificates();
        let second = expiries("2637532800", "2669068800");
        assert_eq!(it.expiries(), second);
        assert_shown(it.admin, 2054);

        for (name, told) in [("server.pem", 1), ("us.key", 2)] {
            let good = fs::read_to_string(path.join(name)).unwrap();
            write(path, name, "nothing here\n");
            it.look_often();
            assert_eq!(it.usable(), ("0".to_owned(), told), "{name}");
            assert_eq!(it.expiries(), second, "what was in use stays");
            write(path, name, &good);
            it.look_often();
            assert_eq!(it.usable(), ("1".to_owned(), told), "{name}");
        }
        write(path, "us.pem", "nothing here\n");
        it.house.reload(path);
        let log = it.log();
        assert!(
            log.contains("config.reload_failed") && log.contains("us.pem holds no"),
            "{log}"
        );
        it.house.close();
    }

    #[test]
    fn a_key_that_others_can_read_is_not_taken_until_they_cannot() {
        let it = Running::open();
        let path = it.folder.path();
        let first = expiries("2574374400", "2605996800");
        let next = expiries("2700604800", "2605996800");
        let last = expiries("2700604800", "2732227200");
        let turns = [
            ("server", 2055, first, &next),
            ("us", 2056, next.clone(), &last),
        ];
        for (place, (name, year, before, after)) in turns.into_iter().enumerate() {
            let told = place + 1;
            let key = path.join(format!("{name}.key"));
            certificate(path, name, year);
            set_mode(&key, 0o644);
            it.look_often();
            assert_eq!(it.usable(), ("0".to_owned(), told), "{name}");
            assert_eq!(it.expiries(), before, "what was in use stays");
            let why = "has the mode 0644: others must not read it (chmod 600 ";
            let why = format!("{name}.key` {why}");
            assert!(it.log().contains(&why), "{}", it.log());
            set_mode(&key, 0o640);
            it.look_often();
            assert_eq!(it.usable(), ("1".to_owned(), told), "{name}");
            assert_eq!(it.expiries(), *after, "{name}");
        }
        it.house.close();
    }

    #[test]
    fn authorities_and_files_that_others_can_write_are_not_taken() {
        let it = Running::open();
        let authorities = it.folder.path().join("ca.pem");
        set_mode(&authorities, 0o606);
        it.look_often();
        // Once for callers and once for upstreams.
        assert_eq!(it.usable(), ("0".to_owned(), 2));
        let why = "ca.pem` has the mode 0606: others must not write it (chmod o-w ";
        assert_eq!(it.log().matches(why).count(), 2, "{}", it.log());
        set_mode(&authorities, 0o664);
        it.look_often();
        assert_eq!(it.usable(), ("1".to_owned(), 2));
        for file in ["sluis.toml", "schools/proef/vendors/bron.toml", "ca.pem"] {
            let path = it.folder.path().join(file);
            set_mode(&path, 0o646);
            it.house.reload(it.folder.path());
            let why = format!("{file}` has the mode 0646: others must not write it");
            assert!(it.log().contains(&why), "{}", it.log());
            set_mode(&path, 0o664);
        }
        assert_eq!(it.log().matches("config.reload_failed").count(), 3);
        it.house.reload(it.folder.path());
        assert_eq!(it.log().matches("config.reloaded").count(), 1);
        it.house.close();
    }
}
