//! Looking after the lists of objections, which change while the gateway runs.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::config::{Config, ListFault};
use crate::events::{Events, ObjectionListChanged};

/// What has been said of the lists of one configuration.
#[derive(Debug, Default)]
pub(super) struct ListsSeen {
    config: Option<Arc<Config>>,
    said: BTreeMap<(usize, String), Option<ListFault>>,
}

impl ListsSeen {
    /// Reads the lists that have changed, and says which can be used no more, or again.
    pub(super) fn look(&mut self, config: &Arc<Config>, unix_s: u64, events: &Events) {
        let same = |seen: &Arc<Config>| Arc::ptr_eq(seen, config);
        if !self.config.as_ref().is_some_and(same) {
            // Read with the configuration, and spoken of for the first time.
            self.config = Some(Arc::clone(config));
            self.said.clear();
        }
        for (place, vendor) in config.vendors.iter().enumerate() {
            vendor.lists.look();
            let standing = vendor.lists.standing(unix_s).into_iter();
            let changed = standing.filter(|(list, fault)| {
                let said = self.said.insert((place, (*list).to_owned()), *fault);
                said != Some(*fault)
            });
            changed.for_each(|(list, fault)| {
                events.emit(ObjectionListChanged {
                    vendor,
                    list,
                    fault,
                });
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::{Read as _, Write as _};
    use std::net::{SocketAddr, TcpStream};
    use std::path::Path;

    use crate::app::House;
    use crate::clock::Clock;
    use crate::config;
    use crate::events::{Events, Sink};

    const FILES: [(&str, &str); 3] = [
        (
            "sluis.toml",
            "version = 1\n[listen]\naddress = \"127.0.0.1:0\"\n[admin]\n\
             address = \"127.0.0.2:0\"\n[keys]\nmaster = { file = \"keys/master.key\" }\n\
             ring = \"keys/ring.toml\"\n",
        ),
        (
            "schools/proef/school.toml",
            "version = 1\n[school]\nname = \"De Proef\"\npublic = \"http://proef.example\"\n\
             contact = \"privacy@proef.example\"\n",
        ),
        (
            "schools/proef/vendors/bron.toml",
            "version = 1\n[vendor]\nname = \"Bron\"\nagreement = \"T-1\"\npurpose = \"Tests\"\n\
             contact = \"privacy@bron.example\"\n\
             valid = { from = 2020-01-01, until = 2099-12-31 }\n[except]\n\
             pupil = \"lists/who.txt\"\n[ids.pupil]\n[flow.pull]\ncaller = \"vendor\"\n\
             upstream = \"http://127.0.0.1:9\"\ncallers = \"anyone\"\n[[flow.pull.route]]\n\
             match = \"GET /pupils\"\nto-vendor = \"Pupil[]\"\n[shape.Pupil]\nid = \"pupil\"\n",
        ),
    ];

    fn write(folder: &Path, path: &str, text: &str) {
        let path = folder.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
    }

    fn page(admin: SocketAddr, path: &str) -> String {
        let mut socket = TcpStream::connect(admin).unwrap();
        let head = format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
        socket.write_all(head.as_bytes()).unwrap();
        let mut page = String::new();
        socket.read_to_string(&mut page).unwrap();
        page
    }

    #[test]
    fn a_list_that_is_lost_is_told_once_and_on_every_page_until_it_is_back() {
        let folder = tempfile::tempdir().unwrap();
        for (path, text) in FILES {
            write(folder.path(), path, text);
        }
        let list = "schools/proef/lists/who.txt";
        write(folder.path(), list, "S-64009-zzq\n");
        config::keys::new(folder.path()).map(drop).unwrap();
        let (config, findings) = config::load(folder.path()).unwrap();
        assert!(findings.is_empty(), "{findings:?}");
        let log = Sink::memory();
        let events = Events::new(config.log, log.clone(), Clock::system()).unwrap();
        let house = House::open(config, 1, events, Clock::system()).unwrap();
        let told = |what: &str| {
            let log = String::from_utf8(log.bytes()).unwrap();
            assert!(!log.contains("64009-zzq"), "{log}");
            log.matches(what).count()
        };
        let look = || (0..3).for_each(|_| house.look_at_lists());
        let gauge =
            r#"sluis_objection_list_usable{list="lists/who.txt",school="proef",vendor="bron"}"#;
        let seen = |usable: &str, verbose: &str, status: &str| {
            let line = format!("{gauge} {usable}");
            assert!(page(house.admin(), "/metrics").contains(&line), "{line}");
            let page_verbose = page(house.admin(), "/readyz?verbose");
            assert!(page_verbose.contains(verbose), "{page_verbose}");
            let page_status = page(house.admin(), "/status");
            assert!(page_status.contains(status), "{page_status}");
        };
        seen("1", "[+] objections: 1 list", "\"lists/who.txt\": null");

        fs::remove_file(folder.path().join(list)).unwrap();
        look();
        look();
        assert_eq!(told("objection_list.unusable"), 1);
        seen(
            "0",
            "[-] objections: proef/bron: lists/who.txt is missing\n",
            "\"lists/who.txt\": \"is missing\"",
        );
        assert!(
            page(house.admin(), "/readyz").contains("200 OK"),
            "others are served"
        );

        write(folder.path(), list, "S-64009-zzq\n");
        look();
        assert_eq!(told("objection_list.usable"), 2, "at the start, and again");
        seen("1", "[+] objections: 1 list", "\"lists/who.txt\": null");
        house.close();
    }
}
