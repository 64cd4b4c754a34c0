//! The running gateway: its threads, and what can be done to all of them.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, watch};

use super::certificates::{self, CertificatesSeen};
use super::doors::{Doors, Places};
use super::failure::Failure;
use super::lists::Lists;
use super::pulse::{Beat, Pulse};
use super::register::open_register;
use crate::admin::{Admin, Stage, State};
use crate::clock::Clock;
use crate::config::{Config, Deployed, Problems};
use crate::events::{
    ConfigurationDeployed, Draining, Events, FindingMade, Leaving, Ready, ReloadFailed,
    ReloadSucceeded, Stopping, TlsCertificateLoaded,
};
use crate::limits::Bound;
use crate::listen::{self, Doorkeeper};
use crate::proxy::{Gateway, Shared};
use crate::store::{Store, Wanted};
use crate::tls::Acceptor;

/// A gateway that answers callers and operators, from [`open`](Self::open) on.
#[derive(Debug)]
pub struct House {
    admin: Admin,
    certificates: Mutex<CertificatesSeen>,
    clock: Clock,
    deployed: Arc<Deployed>,
    doorkeeper: Arc<Doorkeeper>,
    events: Events,
    /// Told by each thread of the data plane when it ends; closed when all have.
    left: mpsc::UnboundedReceiver<()>,
    pub(super) lists: Lists,
    places: Places,
    pulse: Arc<Pulse>,
    shared: Arc<Shared>,
    state: Arc<State>,
    stop: watch::Sender<bool>,
}

impl House {
    /// Opens every listener and starts every thread, or none of them.
    ///
    /// # Errors
    /// [`Failure`], with what cannot be listened on, read or started.
    pub fn open(
        config: Config,
        threads: usize,
        events: Events,
        clock: Clock,
    ) -> Result<Self, Failure> {
        let doors = Doors::open(&config, threads, Vec::new())?;
        Self::behind(doors, config, events, clock)
    }

    /// Starts every thread, or none of them.
    pub(super) fn behind(
        doors: Doors,
        config: Config,
        events: Events,
        clock: Clock,
    ) -> Result<Self, Failure> {
        let acceptor = config.listen.tls.as_ref().map(Acceptor::new).transpose()?;
        certificates::try_upstreams(&config)?;
        let doorkeeper = Doorkeeper::new(config.limits.clone(), acceptor, events.clone());
        let register = open_register(Wanted::Usable, &config, &clock)?;
        let deployed = Arc::new(Deployed::new(config));
        let shared = Shared::new(Arc::clone(&deployed), clock.clone(), events.clone());
        let state = State::new(events.clone(), clock.clone(), deployed.current());
        let state = Arc::new(state);
        let remember = |it| remember_in(it, &shared, &state, &events);
        register.into_iter().for_each(remember);
        shared.prepare(&deployed.current());
        let seen = Arc::clone(&shared);
        state.looks_at(move || seen.load());
        let admin = Admin::start(doors.operators, Arc::clone(&state)).map_err(Failure::Process)?;
        let (stop, stopped) = watch::channel(false);
        let (leaving, left) = mpsc::unbounded_channel();
        let house = Self {
            admin,
            clock,
            deployed,
            doorkeeper,
            events,
            left,
            certificates: Mutex::default(),
            lists: Lists::default(),
            places: doors.places,
            pulse: Arc::new(Pulse::of(doors.public.len())),
            shared,
            state,
            stop,
        };
        house.start(doors.public, &stopped, &leaving)?;
        house.say_ready();
        Ok(house)
    }

    /// Where callers are answered.
    #[must_use]
    pub const fn public(&self) -> SocketAddr {
        self.places.public
    }

    /// Where operators are answered.
    #[must_use]
    pub const fn admin(&self) -> SocketAddr {
        self.places.admin
    }

    /// Whether its threads get to their tasks.
    pub(super) fn pulse(&self) -> Arc<Pulse> {
        Arc::clone(&self.pulse)
    }

    /// The clock that it goes by.
    pub(super) const fn clock(&self) -> &Clock {
        &self.clock
    }

    /// The voice of this house.
    #[must_use]
    pub const fn events(&self) -> &Events {
        &self.events
    }

    /// Takes the files in `folder` as they are now, all of them or none: they decide from the next
    /// request on, and what is under way ends under those it began with. Why they are not taken is
    /// told to the events and the operators.
    pub fn reload(&self, folder: &Path) {
        match self.deploy(folder) {
            Ok(findings) => say_findings(&self.events, &findings),
            Err(failure) => {
                let problem = failure.to_string();
                self.state.reload_failed(problem.clone());
                self.events.emit(ReloadFailed {
                    problem: &problem,
                    problems: failure.problems(),
                });
            }
        }
    }

    fn deploy(&self, folder: &Path) -> Result<Problems, Failure> {
        let (next, findings) = self.deployed.read_again(folder).map_err(Failure::Config)?;
        self.remember(&next)?;
        certificates::try_upstreams(&next)?;
        // Last of what can fail: a school that the register has learnt of is nobody's yet, and a
        // certificate is everybody's at once.
        if let (Some(acceptor), Some(tls)) = (self.doorkeeper.tls(), &next.listen.tls) {
            acceptor.replace(tls)?;
        }
        let config = Arc::new(next);
        self.shared.prepare(&config);
        self.deployed.put(Arc::clone(&config));
        self.shared.settle();
        self.state.reloaded(Arc::clone(&config));
        self.say_deployed(&config);
        self.events.emit(ReloadSucceeded { config: &config });
        Ok(findings)
    }

    /// Opens the register if this is the first configuration that needs one; else it learns of the
    /// schools that are new.
    fn remember(&self, config: &Config) -> Result<(), Failure> {
        match self.shared.register() {
            None => {
                let opened = open_register(Wanted::Usable, config, &self.clock)?;
                let remember = |it| remember_in(it, &self.shared, &self.state, &self.events);
                opened.into_iter().for_each(remember);
                Ok(())
            }
            Some(register) => {
                let keys = config.register.keys.iter();
                let most = config.limits.time(Bound::RegisterWait);
                { keys }.try_for_each(|(school, key)| {
                    let learning = register.add_school(school.clone(), Arc::clone(key));
                    let learnt = learning.wait_for(most);
                    learnt.map_err(|fault| Failure::SchoolOfRegister(school.clone(), fault))
                })
            }
        }
    }

    /// Reads the certificates that have changed since it last looked.
    pub fn look_at_certificates(&self) {
        let mut seen = self
            .certificates
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let config = self.deployed.current();
        if seen.look(&config, self.doorkeeper.tls(), &self.events) {
            self.say_certificate();
        }
        self.state
            .shown_certificates_expire(seen.expiries().clone());
    }

    /// Reads the lists of objections that have changed since it last looked; on a thread, if one
    /// could be started.
    pub fn look_at_lists(&self) -> Option<JoinHandle<()>> {
        let config = self.deployed.current();
        self.lists
            .look(config, self.clock.clone(), self.events.clone())
    }

    /// Readiness drops, and every answer closes its connection. New ones are still taken: who sends
    /// callers here has to notice first.
    pub fn leave(&self) {
        self.state.enter(Stage::Draining);
        self.shared.leave();
        self.events.emit(Leaving {
            delay_s: self.leave_time().as_secs(),
        });
    }

    /// Readiness drops, nothing new is taken, what is under way may finish.
    pub fn drain(&self) {
        self.state.enter(Stage::Draining);
        self.events.emit(Draining {
            most_s: self.drain_time().as_secs(),
        });
        self.stop.send_replace(true);
    }

    /// Until a thread of the data plane ends.
    pub(super) async fn thread_left(&mut self) {
        self.left.recv().await;
    }

    /// Until all threads of the data plane have ended: after [`drain`](Self::drain), when every
    /// request has, or when their time is over.
    pub async fn drained(&mut self) -> Stopping {
        let begun: Instant = self.clock.now();
        while self.left.recv().await.is_some() {}
        match self.clock.now().saturating_duration_since(begun) < self.drain_time() {
            true => Stopping::Drained,
            false => Stopping::TimeOver,
        }
    }

    /// Ends the operators' pages too.
    pub fn close(self) {
        self.admin.stop();
    }

    /// How long to go on after having said that it leaves.
    pub(super) fn leave_time(&self) -> Duration {
        self.doorkeeper.limits().time(Bound::DrainDelay)
    }

    fn drain_time(&self) -> Duration {
        self.doorkeeper.limits().time(Bound::Drain)
    }

    fn start(
        &self,
        listeners: Vec<TcpListener>,
        stopped: &watch::Receiver<bool>,
        leaving: &mpsc::UnboundedSender<()>,
    ) -> Result<(), Failure> {
        let beats = self.pulse.beats();
        for (number, (listener, beat)) in listeners.into_iter().zip(beats).enumerate() {
            let lane = Lane {
                beat,
                listener,
                doorkeeper: Arc::clone(&self.doorkeeper),
                gateway: Gateway::new(&self.shared),
                stopped: stopped.clone(),
                ending: Ending(leaving.clone()),
            };
            lane.start(number).map_err(Failure::Process)?;
        }
        Ok(())
    }

    fn say_ready(&self) {
        let config = self.deployed.current();
        self.say_deployed(&config);
        let Places { public, admin } = self.places;
        self.state.enter(Stage::Ready);
        self.events.emit(Ready {
            public,
            admin,
            config: &config,
        });
    }

    fn say_deployed(&self, config: &Arc<Config>) {
        let time = self.clock.time();
        let unix_s = time.unix_s;
        self.events.emit(ConfigurationDeployed { config, unix_s });
        self.lists.begin(config, time, &self.events);
        self.look_at_certificates();
        self.say_certificate();
    }

    fn say_certificate(&self) {
        let expires = self.doorkeeper.tls().and_then(Acceptor::expires_unix_s);
        self.state.certificate_expires(expires);
        if let Some(expires_unix_s) = expires {
            self.events.emit(TlsCertificateLoaded { expires_unix_s });
        }
    }
}

/// One thread of the data plane.
struct Lane {
    beat: Beat,
    listener: TcpListener,
    doorkeeper: Arc<Doorkeeper>,
    gateway: Arc<Gateway>,
    stopped: watch::Receiver<bool>,
    ending: Ending,
}

impl Lane {
    fn start(self, number: usize) -> io::Result<()> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let work = move || {
            // Dropped last, also by a panic: then someone must know.
            let _ending = self.ending;
            // With the last bytes that connections have noted.
            let runtime = runtime;
            let (gateway, stopped) = (self.gateway, self.stopped.clone());
            let tending = Arc::clone(&gateway).tend();
            let serve = move |stream, address| {
                Arc::clone(&gateway).serve_connection(stream, address, stopped.clone())
            };
            let run = listen::run(self.listener, self.doorkeeper, self.stopped, serve);
            // That the listener failed is told by leaving before anybody asked.
            drop(runtime.block_on(async {
                tokio::spawn(tending);
                tokio::spawn(self.beat.go_on());
                run.await
            }));
        };
        thread::Builder::new()
            .name(format!("sluis-data-{number}"))
            .spawn(work)?;
        Ok(())
    }
}

/// Says that a thread has ended, however it did.
struct Ending(mpsc::UnboundedSender<()>);

impl Drop for Ending {
    fn drop(&mut self) {
        // Nobody is left to hear it only at the end of the process.
        self.0.send(()).ok();
    }
}

/// Has everybody know of a register that was opened.
fn remember_in(register: Arc<Store>, shared: &Shared, state: &State, events: &Events) {
    register.told_by(events.clone());
    state.remembers_in(Arc::clone(&register));
    shared.remember_in(register);
}

/// Says what should be looked at in a configuration that is in force all the same.
pub(super) fn say_findings(events: &Events, findings: &Problems) {
    for problem in findings.sorted() {
        let finding = problem.line();
        events.emit(FindingMade { finding: &finding });
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;
    use crate::config;
    use crate::events::Sink;

    const VENDOR: &str = "version = 1\n[vendor]\nname = \"Bron\"\nagreement = \"T-1\"\n\
        purpose = \"Tests\"\ncontact = \"privacy@bron.example\"\n\
        valid = { from = 2020-01-01, until = 2099-12-31 }\n[ids.pupil]\nBACK\n[flow.pull]\n\
        caller = \"vendor\"\nat = \"/bron\"\nupstream = \"http://127.0.0.1:9\"\n\
        callers = \"anyone\"\n[[flow.pull.route]]\nmatch = \"GET /pupils\"\n\
        to-vendor = { pupils = \"Pupil[]\" }\n[shape.Pupil]\nid = \"pupil\"\n";

    #[test]
    fn a_register_that_cannot_be_used_leaves_the_certificate_as_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let write = |path: &str, text: &str| {
            let path = folder.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, text).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        };
        let certificate = |year: i32| {
            let mut of = rcgen::CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
            of.not_after = rcgen::date_time_ymd(year, 7, 31);
            let key = rcgen::KeyPair::generate().unwrap();
            write("server.pem", &of.self_signed(&key).unwrap().pem());
            write("server.key", &key.serialize_pem());
        };
        let vendor = |back: &str| {
            let text = VENDOR.replace("BACK", back);
            write("schools/proef/vendors/bron.toml", &text);
        };
        certificate(2051);
        write(
            "sluis.toml",
            "version = 1\n[listen]\naddress = \"127.0.0.1:0\"\n\
             tls = { cert = \"server.pem\", key = \"server.key\" }\n\
             [admin]\naddress = \"127.0.0.2:0\"\n[keys]\n\
             master = { file = \"keys/master.key\" }\nring = \"keys/ring.toml\"\n\
             [register]\npath = \"no-register\"\n",
        );
        write(
            "schools/proef/school.toml",
            "version = 1\n[school]\nname = \"De Proef\"\npublic = \"https://proef.example\"\n\
             contact = \"privacy@proef.example\"\n",
        );
        vendor("");
        config::keys::new(folder.path()).map(drop).unwrap();
        let (config, _) = config::load(folder.path()).unwrap();
        let events = Events::new(config.log, Sink::Stderr, Clock::system()).unwrap();
        let house = House::open(config, 1, events, Clock::system()).unwrap();
        let expires = || house.doorkeeper.tls().unwrap().expires_unix_s().unwrap();
        let first = expires();

        certificate(2052);
        write("no-register", "a file of somebody else's");
        vendor("back = \"school-only\"");
        config::keys::new(folder.path()).map(drop).unwrap();
        let failure = house.deploy(folder.path()).map(drop).unwrap_err();
        assert!(matches!(failure, Failure::Register { .. }), "{failure}");
        assert_eq!(expires(), first);

        vendor("");
        house.deploy(folder.path()).map(drop).unwrap();
        assert!(expires() > first);
        house.close();
    }
}
