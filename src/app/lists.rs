//! Looking after the lists of objections, which change while the gateway runs.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use crate::clock::{Clock, Time};
use crate::config::{Config, ListFault, Vendor};
use crate::events::{Events, ObjectionListChanged};

/// Who looks after the lists.
#[derive(Debug, Default)]
pub(super) struct Lists {
    seen: Arc<Mutex<ListsSeen>>,
}

impl Lists {
    /// Says how the lists of a configuration stand, which have been read with it.
    pub(super) fn begin(&self, config: &Arc<Config>, time: Time, events: &Events) {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.config = Some(Arc::clone(config));
        seen.said.clear();
        for vendor in config.vendors.iter().enumerate() {
            seen.say(vendor, time, events);
        }
    }

    /// Reads the lists that have changed, and says which can be used no more, or again.
    ///
    /// On a thread of its own: a file system can hang, and then it is the thread that waits. The
    /// next one leaves out the vendor whose list it is, and says so in time.
    pub(super) fn look(
        &self,
        config: Arc<Config>,
        clock: Clock,
        events: Events,
    ) -> Option<thread::JoinHandle<()>> {
        if config.vendors.iter().all(|vendor| vendor.lists.is_empty()) {
            return None;
        }
        let seen = Arc::clone(&self.seen);
        let thread = thread::Builder::new().name("sluis-lists".to_owned());
        let looking = thread.spawn(move || {
            for (place, vendor) in config.vendors.iter().enumerate() {
                vendor.lists.look(clock.time());
                let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
                seen.say_of(&config, (place, vendor), clock.time(), &events);
            }
        });
        // Without a thread nobody looks, and who looks in vain is told in time.
        looking.ok()
    }
}

/// What has been said of the lists of one configuration.
#[derive(Debug, Default)]
struct ListsSeen {
    config: Option<Arc<Config>>,
    said: BTreeMap<(usize, String), Option<ListFault>>,
}

impl ListsSeen {
    /// As [`Self::say`], unless that configuration is in force no more: whoever looked may have
    /// waited for a long time.
    fn say_of(
        &mut self,
        config: &Arc<Config>,
        vendor: (usize, &Arc<Vendor>),
        time: Time,
        events: &Events,
    ) {
        let now = self.config.as_ref();
        if now.is_some_and(|now| Arc::ptr_eq(now, config)) {
            self.say(vendor, time, events);
        }
    }

    /// Says of the lists of a vendor what has changed since it was last said.
    fn say(&mut self, (place, vendor): (usize, &Arc<Vendor>), time: Time, events: &Events) {
        let standing = vendor.lists.standing(time).into_iter();
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

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::{Read as _, Write as _};
    use std::net::{SocketAddr, TcpStream};
    use std::path::Path;
    use std::sync::Arc;

    use crate::app::House;
    use crate::clock::Clock;
    use crate::config::{self, Deployed};
    use crate::events::{Events, Sink};
    use crate::limits;

    const FILES: [(&str, &str); 3] = [
        (
            "sluis.toml",
            "version = 1\n[listen]\naddress = \"127.0.0.1:0\"\n[admin]\n\
             address = \"127.0.0.2:0\"\n[keys]\nmaster = { file = \"keys/master.key\" }\n\
             ring = \"keys/ring.toml\"\n",
        ),
        (
            "schools/proef/school.toml",
            "version = 1\n[school]\nname = \"De Proef\"\npublic = \"http://127.0.0.1:8080\"\n\
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

    const LIST: &str = "schools/proef/lists/who.txt";

    /// A house with one list, and what can be seen of it.
    struct Scene {
        folder: tempfile::TempDir,
        house: House,
        clock: Clock,
        log: Sink,
    }

    impl Scene {
        fn open() -> Self {
            let folder = tempfile::tempdir().unwrap();
            for (path, text) in FILES {
                write(folder.path(), path, text);
            }
            write(folder.path(), LIST, "S-64009-zzq\n");
            config::keys::new(folder.path()).map(drop).unwrap();
            let (config, findings) = config::load(folder.path()).unwrap();
            assert!(findings.is_empty(), "{findings:?}");
            let log = Sink::memory();
            let events = Events::new(config.log, log.clone(), Clock::system()).unwrap();
            let clock = Clock::test(1_800_000_000);
            let house = House::open(config, 1, events, clock.clone()).unwrap();
            Self {
                folder,
                house,
                clock,
                log,
            }
        }

        fn look(&self) {
            (0..3).for_each(|_| self.house.look_at_lists().unwrap().join().unwrap());
        }

        fn told(&self, what: &str) -> usize {
            let log = String::from_utf8(self.log.bytes()).unwrap();
            assert!(!log.contains("64009-zzq"), "{log}");
            log.matches(what).count()
        }

        /// Fails unless the pages say so.
        fn shows(&self, usable: &str, verbose: &str, status: &str) {
            let page = |path: &str| page(self.house.admin(), path);
            let gauge =
                r#"sluis_objection_list_usable{list="lists/who.txt",school="proef",vendor="bron"}"#;
            let line = format!("{gauge} {usable}");
            assert!(page("/metrics").contains(&line), "{line}");
            let page_verbose = page("/readyz?verbose");
            assert!(page_verbose.contains(verbose), "{page_verbose}");
            let page_status = page("/status");
            assert!(page_status.contains(status), "{page_status}");
            assert!(page("/readyz").contains("200 OK"), "others are served");
        }
    }

    #[test]
    fn a_list_that_is_lost_is_told_once_and_on_every_page_until_it_is_back() {
        let scene = Scene::open();
        let fine = "\"lists/who.txt\": null";
        scene.look();
        scene.shows("1", "[+] objections: 1 list", fine);

        fs::remove_file(scene.folder.path().join(LIST)).unwrap();
        scene.look();
        scene.look();
        assert_eq!(scene.told("objection_list.unusable"), 1);
        scene.shows(
            "0",
            "[!] objections: proef/bron: lists/who.txt is missing, so every request of this vendor \
             is refused\n",
            "\"lists/who.txt\": \"is missing\"",
        );

        write(scene.folder.path(), LIST, "S-64009-zzq\n");
        scene.look();
        let usable = scene.told("objection_list.usable");
        assert_eq!(usable, 2, "at the start, and again");
        scene.shows("1", "[+] objections: 1 list", fine);
        scene.house.close();
    }

    #[test]
    fn a_reload_while_a_disk_hangs_forgets_nobody() {
        let folder = tempfile::tempdir().unwrap();
        for (path, text) in FILES {
            write(folder.path(), path, text);
        }
        write(folder.path(), LIST, "S-64009-zzq\n");
        config::keys::new(folder.path()).map(drop).unwrap();
        let read = || config::load(folder.path()).unwrap().0;
        let deployed = Deployed::new(read());
        let later = Clock::test(4_000_000_000).time();
        assert!(deployed.current().vendors[0].lists.current(later).is_some());
        let next = Arc::new(read());
        next.vendors[0].lists.fall_silent();
        deployed.put(next);
        let lists = &deployed.current().vendors[0].lists;
        assert_eq!(lists.counts(), [("lists/who.txt", Some(1))]);
        assert!(lists.current(later).is_some());
    }

    #[test]
    fn a_disk_that_hangs_is_told_in_time_and_keeps_nobody_waiting() {
        let scene = Scene::open();
        let seen = &scene.house.lists.seen;
        let config = seen.lock().unwrap().config.clone().unwrap();
        let hanging = config.vendors[0].lists.hang();
        scene.look();
        scene.clock.turn(limits::OBJECTIONS_KNOWN);
        scene.look();
        assert_eq!(scene.told("objection_list.unusable"), 0);
        scene.clock.turn(limits::OBJECTIONS_LOOK);
        scene.look();
        assert_eq!(scene.told("objection_list.unusable"), 1);
        let silent = "cannot be followed: its disk";
        scene.shows("0", "proef/bron: lists/who.txt cannot be followed", silent);
        drop(hanging);
        scene.look();
        assert_eq!(scene.told("objection_list.usable"), 2);
        scene.house.close();
    }
}
