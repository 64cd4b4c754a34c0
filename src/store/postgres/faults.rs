//! A server's bad days: killed in the midst of writes, refusing them, not heard when it did them.

use std::collections::BTreeSet;
use std::io::{self, Read, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use sluis_test_postgres::Cluster;

use super::Server;
use super::tests::bed;
use crate::clock::Clock;
use crate::store::tests::{Bed as _, PUPIL, batch, comes_home, let_out, schools, until, view};
use crate::store::{Place, Store, StoreFault, View};

#[test]
fn what_was_given_out_is_there_however_the_server_ends() {
    days_of_a_server(24);
}

#[test]
#[ignore = "takes minutes"]
fn long_what_was_given_out_is_there_however_often_the_server_ends() {
    days_of_a_server(240);
}

/// Two nodes write the same identifiers at once, and the server ends in the midst of it: so often,
/// and in five of six times it is killed.
fn days_of_a_server(rounds: u64) {
    let cluster = Cluster::start();
    let bed = bed(&cluster);
    let nodes = [bed.open(), bed.open()];
    let views = nodes.each_ref().map(|node| view(node, "regenboog", 7));
    let given = Mutex::new(BTreeSet::new());
    for round in 0..rounds {
        let is_over = AtomicBool::new(false);
        let before = given.lock().unwrap().len();
        thread::scope(|scope| {
            for view in &views {
                scope.spawn(|| let_out_until(view, &is_over, round, &given));
            }
            until(|| given.lock().unwrap().len() > before);
            // At another moment each time, and at none that a machine would keep.
            thread::sleep(Duration::from_millis(round.wrapping_mul(37) % 60));
            match round % 6 {
                0 => cluster.stop(),
                _ => cluster.kill(),
            }
            is_over.store(true, Ordering::Relaxed);
        });
        cluster.begin();
        let later = bed.open();
        let later = view(&later, "regenboog", 7);
        for view in views.iter().chain([&later]) {
            until(|| view.catch_up().wait().is_ok());
            for id in &*given.lock().unwrap() {
                assert!(comes_home(view, 7, id), "{id} in round {round}");
            }
        }
    }
    for node in &nodes {
        assert_eq!(node.state().ids, bed.count());
    }
}

/// Lets one identifier out after the other, and notes which the register took.
fn let_out_until(
    view: &Arc<View>,
    is_over: &AtomicBool,
    round: u64,
    given: &Mutex<BTreeSet<String>>,
) {
    for number in 0_u64.. {
        if is_over.load(Ordering::Relaxed) {
            return;
        }
        let id = format!("S-{round}-{number}");
        match let_out(view, PUPIL, &[&id]) {
            Ok(()) => drop(given.lock().unwrap().insert(id)),
            Err(fault) => assert_eq!(fault, StoreFault::Gone),
        }
    }
}

#[test]
fn a_server_that_does_not_write_has_nothing_given_out() {
    let bed = bed(&Cluster::start());
    bed.sql("CREATE ROLE gateway LOGIN; GRANT SELECT, INSERT ON sluis_register TO gateway");
    let store = opened(&bed.settings().replace("user=sluis", "user=gateway"));
    let view = view(&store, "regenboog", 7);
    let_out(&view, PUPIL, &["S-1"]).unwrap();
    let database = &bed.name;
    for (number, (ends, begins, said)) in [
        (
            "REVOKE INSERT ON sluis_register FROM gateway".to_owned(),
            "GRANT INSERT ON sluis_register TO gateway".to_owned(),
            "42501",
        ),
        (
            "CREATE FUNCTION full_disk() RETURNS trigger LANGUAGE plpgsql AS
             $$ BEGIN RAISE SQLSTATE '53100' USING MESSAGE = 'could not extend file'; END $$;
             CREATE TRIGGER full_disk BEFORE INSERT ON sluis_register EXECUTE FUNCTION full_disk()"
                .to_owned(),
            "DROP TRIGGER full_disk ON sluis_register".to_owned(),
            "53100",
        ),
        (
            format!("ALTER DATABASE {database} SET default_transaction_read_only = on; {HANG_UP}"),
            format!("ALTER DATABASE {database} RESET default_transaction_read_only"),
            "",
        ),
    ]
    .into_iter()
    .enumerate()
    {
        let (id, before) = (format!("T-{number}"), bed.count());
        bed.sql(&ends);
        for _ in 0..3 {
            assert_eq!(let_out(&view, PUPIL, &[&id]), Err(StoreFault::Gone));
            assert_eq!(batch(&view, PUPIL, &[&id]).len(), 1, "nothing is known");
        }
        let trouble = store.state().trouble.unwrap().to_string();
        assert!(trouble.contains(said), "{trouble}");
        assert!(!trouble.contains("T-"), "{trouble}");
        assert_eq!(bed.count(), before);
        assert!(comes_home(&view, 7, "S-1") || said.is_empty());
        // Where the database itself takes no writes, another one is asked.
        match said {
            "" => bed.cluster.sql("postgres", &begins),
            _ => bed.sql(&begins),
        };
        until(|| let_out(&view, PUPIL, &[&id]).is_ok());
        assert!(store.state().trouble.is_none());
        assert!(comes_home(&self::view(&bed.open(), "regenboog", 7), 7, &id));
    }
    assert_eq!(bed.count(), 4);
}

/// Ends the connections of gateways: a setting of a database is for those that come later.
const HANG_UP: &str = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
    WHERE application_name = 'sluis' AND datname = current_database()";

#[test]
fn what_was_written_unheard_is_written_once() {
    let cluster = Cluster::start();
    for (cut, written) in [(Cut::Answer, 1), (Cut::Commit, 0)] {
        let bed = bed(&cluster);
        let wire = Wire::to(cluster.folder().join(".s.PGSQL.5432"));
        let store = opened(&format!(
            "host=127.0.0.1 port={} user=sluis dbname={}",
            wire.port, bed.name
        ));
        let other = bed.open();
        let (here, there) = (view(&store, "regenboog", 7), view(&other, "regenboog", 7));
        let_out(&here, PUPIL, &["S-0"]).unwrap();
        *wire.cut.lock().unwrap() = Some(cut);
        assert_eq!(let_out(&here, PUPIL, &["S-1"]), Err(StoreFault::Gone));
        assert!(wire.cut.lock().unwrap().is_none(), "nothing was cut");
        // The server may be about to write it still.
        until(|| bed.count() == 1 + written);
        assert_eq!(
            batch(&here, PUPIL, &["S-1"]).len(),
            1,
            "nothing is known of what was not heard"
        );
        // Another node has the same pupil meanwhile.
        let_out(&there, PUPIL, &["S-1"]).unwrap();
        until(|| let_out(&here, PUPIL, &["S-1"]).is_ok());
        assert_eq!(bed.count(), 2);
        for view in [&here, &there] {
            assert!(comes_home(view, 7, "S-0") && comes_home(view, 7, "S-1"));
            assert_eq!(view.collisions(), 0);
        }
    }
}

fn opened(settings: &str) -> Store {
    let place = Place::Postgres(Box::new(Server::new(settings, None).unwrap()));
    Store::open(&place, schools(), Clock::system()).unwrap()
}

/// What is lost on the way of the next commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cut {
    /// The server's answer to it.
    Answer,
    /// The commit itself.
    Commit,
}

/// A way to a server that breaks when it is told to.
struct Wire {
    port: u16,
    cut: Arc<Mutex<Option<Cut>>>,
}

impl Wire {
    fn to(socket: PathBuf) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let cut = Arc::new(Mutex::new(None));
        let shared = Arc::clone(&cut);
        // It ends with the process of the test.
        thread::spawn(move || {
            for caller in listener.incoming() {
                let server = UnixStream::connect(&socket).unwrap();
                carry(caller.unwrap(), server, Arc::clone(&shared));
            }
        });
        Self { port, cut }
    }
}

/// Carries bytes to and fro until one side ends, or what is to be cut comes.
fn carry(caller: TcpStream, server: UnixStream, cut: Arc<Mutex<Option<Cut>>>) {
    let is_deaf = Arc::new(AtomicBool::new(false));
    let (mut from_caller, mut to_caller) = (caller.try_clone().unwrap(), caller);
    let (mut to_server, mut from_server) = (server.try_clone().unwrap(), server);
    let deaf = Arc::clone(&is_deaf);
    thread::spawn(move || {
        while let Ok(Some(piece)) = piece(&mut from_caller) {
            let commits = piece.windows(6).any(|word| word == b"COMMIT");
            let cut = commits.then(|| cut.lock().unwrap().take()).flatten();
            deaf.store(cut == Some(Cut::Answer), Ordering::SeqCst);
            if cut == Some(Cut::Commit) || to_server.write_all(&piece).is_err() {
                break;
            }
        }
        to_server.shutdown(Shutdown::Both).unwrap_or_default();
    });
    thread::spawn(move || {
        while let Ok(Some(piece)) = piece(&mut from_server) {
            if is_deaf.load(Ordering::SeqCst) || to_caller.write_all(&piece).is_err() {
                break;
            }
        }
        to_caller.shutdown(Shutdown::Both).unwrap_or_default();
        from_server.shutdown(Shutdown::Both).unwrap_or_default();
    });
}

/// What comes next; nothing at the end.
fn piece(from: &mut impl Read) -> io::Result<Option<Vec<u8>>> {
    let mut piece = vec![0; 64 << 10];
    let length = from.read(&mut piece)?;
    piece.truncate(length);
    Ok((length > 0).then_some(piece))
}
