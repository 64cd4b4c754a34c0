//! The register on a real server, and on two gateways at once.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use std::{fs, thread};

use sluis_test_postgres::Cluster;

use super::*;
use crate::config::{Http2, TlsVersion, UpstreamTls};
use crate::pseudonym::{Asked, Back, Notation, Recall, Register as _};
use crate::store::backend::Damage;
use crate::store::tests::{
    Bed, NOW, PUPIL, batch, comes_home, generations, home, let_out, pseudonym_with, register_laws,
    school, schools, spec, that_meet, until, vendor, view, view_with,
};
use crate::store::{Place, Settling, Store, StoreFault, View, Wanted, init, verify};
use crate::tls::Connector;

/// A register with nothing in it, in a database of its own.
pub(super) fn bed(cluster: &Arc<Cluster>) -> PostgresBed {
    let bed = database(cluster);
    init(&bed.place()).unwrap();
    bed
}

/// The same in a database that takes any bytes for a text.
fn bed_that_knows_no_encoding(cluster: &Arc<Cluster>) -> PostgresBed {
    let bed = database(cluster);
    cluster.sql("postgres", &format!("DROP DATABASE {}", bed.name));
    cluster.sql(
        "postgres",
        &format!(
            "CREATE DATABASE {} ENCODING 'SQL_ASCII' LOCALE 'C' TEMPLATE template0",
            bed.name
        ),
    );
    init(&bed.place()).unwrap();
    bed
}

fn database(cluster: &Arc<Cluster>) -> PostgresBed {
    PostgresBed {
        cluster: Arc::clone(cluster),
        name: cluster.database(),
    }
}

pub(super) struct PostgresBed {
    pub(super) cluster: Arc<Cluster>,
    pub(super) name: String,
}

impl PostgresBed {
    pub(super) fn settings(&self) -> String {
        self.cluster.settings(&self.name)
    }

    fn place(&self) -> Place {
        Place::Postgres(Box::new(Server::new(&self.settings(), None).unwrap()))
    }

    pub(super) fn sql(&self, sql: &str) -> String {
        self.cluster.sql(&self.name, sql)
    }

    pub(super) fn count(&self) -> u64 {
        self.sql("SELECT count(*) FROM sluis_register")
            .parse()
            .unwrap()
    }
}

impl Bed for PostgresBed {
    fn backend(&self) -> Result<Box<dyn Backend>, Fault> {
        self.place().open(&Clock::system())
    }
}

#[test]
fn a_server_keeps_the_laws_of_a_register() {
    let cluster = Cluster::start();
    register_laws(|| Box::new(bed(&cluster)));
    let log = fs::read_to_string(cluster.folder().join("log")).unwrap();
    // The server logs each statement with what was sent to it.
    assert!(log.contains("INSERT INTO sluis_register"));
    for id in ["S-1", "Zoë", "Sanne", "pupil-11111"] {
        assert!(!log.contains(id), "{id}");
    }
}

#[test]
fn what_one_node_lets_out_comes_home_through_another() {
    let bed = bed(&Cluster::start());
    let (here, there) = (bed.open(), bed.open());
    let (here, there) = (view(&here, "regenboog", 7), view(&there, "regenboog", 7));
    let_out(&here, PUPIL, &["S-1"]).unwrap();
    // `home` asks again once it has caught up.
    assert!(comes_home(&there, 7, "S-1"));
    assert!(batch(&there, PUPIL, &["S-1"]).is_empty());
    let_out(&there, PUPIL, &["S-2"]).unwrap();
    // Nobody asks: the other one hears of it by itself.
    until(|| batch(&here, PUPIL, &["S-2"]).is_empty());
    assert_eq!(bed.count(), 2);
}

#[test]
fn nodes_that_write_at_once_write_each_id_once_and_miss_none() {
    let bed = bed(&Cluster::start());
    let follower = bed.open();
    let nodes: Vec<_> = (0..4).map(|_| bed.open()).collect();
    thread::scope(|scope| {
        for (number, node) in nodes.iter().enumerate() {
            let view = view(node, "regenboog", 7);
            scope.spawn(move || {
                let firsts = (0..40).map(|first| (first * 5 + number * 3) % 200);
                firsts.for_each(|first| let_nine_out(&view, first));
            });
        }
        let view = view(&follower, "regenboog", 7);
        (0..50).for_each(|_| view.catch_up().wait().unwrap());
    });
    let view = view(&follower, "regenboog", 7);
    view.catch_up().wait().unwrap();
    assert_eq!(follower.state().ids, bed.count());
    assert_eq!(bed.count(), 208);
    assert!((0..208).all(|id| comes_home(&view, 7, &format!("S-{id}"))));
}

fn let_nine_out(view: &Arc<View>, first: usize) {
    let ids = [0, 1, 2, 3, 4, 5, 6, 7, 8].map(|it| format!("S-{}", first.saturating_add(it)));
    let_out(view, PUPIL, &ids.each_ref().map(String::as_str)).unwrap();
}

#[test]
fn a_page_of_new_pupils_costs_one_transaction_that_writes_and_the_next_one_none() {
    let bed = bed(&Cluster::start());
    let store = bed.open();
    let view = view(&store, "regenboog", 7);
    let ids: Vec<_> = (0..200).map(|id| format!("S-{id}")).collect();
    let ids: Vec<_> = ids.iter().map(String::as_str).collect();
    // Each row has the number of the transaction that wrote it.
    let wrote = || bed.sql("SELECT count(DISTINCT xmin::text) FROM sluis_register");
    for (page, pages) in ids.chunks(100).zip(["1", "2"]) {
        let_out(&view, PUPIL, page).unwrap();
        assert_eq!(wrote(), pages);
        assert!(batch(&view, PUPIL, page).is_empty(), "it is asked again");
    }
    assert_eq!(bed.count(), 200);
}

#[test]
fn of_two_that_collide_on_two_nodes_one_gets_out() {
    let bed = bed(&Cluster::start());
    let short = || vec![spec("pupil", Notation::Digits(6), Back::SchoolOnly)];
    let written = |id: &str| pseudonym_with(7, short().remove(0), id);
    let (mut seen, mut pairs) = (BTreeMap::new(), Vec::new());
    for id in (0..9_000).map(|number| format!("S-{number}")) {
        if let Some(other) = seen.insert(written(&id), id.clone()) {
            pairs.push((other, id));
        }
    }
    assert!(pairs.len() > 20);
    let (here, there) = (bed.open(), bed.open());
    let here = view_with(&here, "regenboog", 7, &short());
    let there = view_with(&there, "regenboog", 7, &short());
    for (one, other) in &pairs {
        let asked = [(&here, one), (&there, other)];
        let settling = asked.map(|(view, id)| view.settle(batch(view, PUPIL, &[id])));
        let [first, second] = settling.map(Settling::wait);
        let out = match (first, second) {
            (Ok(()), Err(StoreFault::Collision)) => one,
            (Err(StoreFault::Collision), Ok(())) => other,
            results => panic!("{results:?}"),
        };
        for view in [&here, &there] {
            assert_eq!(home(view, PUPIL, &written(one)), Ok((out.clone(), 0)));
        }
    }
}

#[test]
fn whom_another_node_means_by_another_key_is_asked_first() {
    let bed = bed(&Cluster::start());
    let short = || vec![spec("pupil", Notation::Digits(6), Back::SchoolOnly)];
    let written = |byte, id: &str| pseudonym_with(byte, short().remove(0), id);
    let pairs = that_meet(9_000, |id| written(7, id), |id| written(8, id));
    assert!(pairs.len() > 20);
    let (here, there) = (bed.open(), bed.open());
    let rotated = |store: &Store| {
        let (school, name) = (school("regenboog"), vendor("rekenwijs"));
        let generations = generations(&[8, 7], &[], &short());
        store.view(&school, &name, &generations).unwrap()
    };
    let (here, there) = (rotated(&here), rotated(&there));
    for (before, after) in &pairs {
        let_out(&here, PUPIL, &[before]).unwrap();
        there.catch_up().wait().unwrap();
        let_out(&here, PUPIL, &[after]).unwrap();
        // Of the two, the other node knows the first only; the second one's pseudonym comes to it.
        let mut found = Vec::new();
        let recall = there.recall(PUPIL, &written(8, after), Asked::First, &mut found);
        assert_eq!((recall, found.len()), (Recall::Unknown, 0));
        let whose = home(&there, PUPIL, &written(8, after));
        assert_eq!(whose, Err(Recall::Unknown), "of {before} and {after}");
    }
}

#[test]
fn a_server_that_goes_and_comes_back_is_used_again() {
    let cluster = Cluster::start();
    let bed = bed(&cluster);
    let store = bed.open();
    let view = view(&store, "regenboog", 7);
    for round in 0..2 {
        let (kept, refused) = (format!("S-{round}"), format!("T-{round}"));
        let_out(&view, PUPIL, &[&kept]).unwrap();
        cluster.stop();
        for _ in 0..3 {
            assert_eq!(let_out(&view, PUPIL, &[&refused]), Err(StoreFault::Gone));
        }
        assert_eq!(view.catch_up().wait(), Err(StoreFault::Gone));
        let trouble = store.state().trouble.unwrap();
        assert!(matches!(*trouble, Fault::Server(_)), "{trouble}");
        assert!(
            batch(&view, PUPIL, &[&kept]).is_empty(),
            "what is known stays known"
        );
        cluster.begin();
        until(|| let_out(&view, PUPIL, &[&refused]).is_ok());
        assert!(comes_home(&view, 7, &kept) && comes_home(&view, 7, &refused));
    }
    assert_eq!(bed.count(), 4);
}

#[test]
fn a_table_must_be_there_and_be_a_register() {
    let cluster = Cluster::start();
    let bed = database(&cluster);
    let fault = || bed.backend().map(drop).unwrap_err();
    assert!(matches!(fault(), Fault::NoTable), "{}", fault());
    for _ in 0..2 {
        init(&bed.place()).unwrap();
        bed.open();
    }
    bed.sql("COMMENT ON TABLE sluis_register IS 'sluis register 2'");
    assert!(matches!(fault(), Fault::Format(2)), "{}", fault());
    bed.sql("COMMENT ON TABLE sluis_register IS 'something else'");
    assert!(matches!(fault(), Fault::NoTable), "{}", fault());
    let elsewhere = PostgresBed {
        cluster,
        name: "nowhere".to_owned(),
    };
    let fault = elsewhere.backend().map(drop).unwrap_err();
    let said = "its server said: database \"nowhere\" does not exist (3D000)";
    assert_eq!(fault.to_string(), said);
}

#[test]
fn a_gateway_needs_to_read_and_insert_and_no_more() {
    let bed = bed(&Cluster::start());
    bed.sql("CREATE ROLE gateway LOGIN; GRANT SELECT, INSERT ON sluis_register TO gateway");
    let settings = bed.settings().replace("user=sluis", "user=gateway");
    let server = || Box::new(Server::new(&settings, None).unwrap());
    let place = Place::Postgres(server());
    let store = Store::open(&place, schools(), Clock::system()).unwrap();
    assert!(store.state().is_shared(), "it can lie behind others");
    let view = view(&store, "regenboog", 7);
    let_out(&view, PUPIL, &["S-1", " S-1"]).unwrap();
    assert!(comes_home(&view, 7, "S-1"));
    let verified = verify(&place, schools(), &Clock::system()).unwrap();
    assert_eq!((verified.rows, verified.damaged), (2, 0));
}

#[test]
fn rows_that_are_gone_or_changed_are_missed() {
    let bed = bed(&Cluster::start());
    let store = bed.open();
    let view = view(&store, "regenboog", 7);
    let_out(&view, PUPIL, &["S-1", "S-2"]).unwrap();
    bed.sql("CREATE TABLE kept AS SELECT * FROM sluis_register; DELETE FROM sluis_register");
    assert_eq!(let_out(&view, PUPIL, &["S-3"]), Err(StoreFault::Damaged));
    let trouble = store.state().trouble.unwrap();
    assert!(matches!(*trouble, Fault::Lost { row: 2 }), "{trouble}");
    bed.sql("INSERT INTO sluis_register OVERRIDING SYSTEM VALUE SELECT * FROM kept");
    let_out(&view, PUPIL, &["S-3"]).unwrap();
    drop(store);
    bed.sql("UPDATE sluis_register SET sealed = sealed || '\\x00' WHERE number = 2");
    let fault = bed.open_with(schools()).unwrap_err();
    let damage = Damage { rows: 1, first: 2 };
    assert!(
        matches!(fault, Fault::Damaged(found) if found == damage),
        "{fault}"
    );
}

/// A register that need not be whole, and its clock.
fn usable(bed: &PostgresBed) -> (Store, Clock) {
    let (backend, clock) = (bed.backend().unwrap(), Clock::test(NOW));
    let wanted = (clock.clone(), Wanted::Usable);
    let store = Store::on(move |_| Ok(backend), schools(), wanted).unwrap();
    (store, clock)
}

#[test]
fn a_school_whose_rows_were_done_away_with_stops_nobody_else() {
    let bed = bed(&Cluster::start());
    let (store, clock) = usable(&bed);
    let (one, other) = (view(&store, "regenboog", 7), view(&store, "zonnebloem", 7));
    let_out(&other, PUPIL, &["S-1"]).unwrap();
    bed.sql(
        "INSERT INTO sluis_register (school, kind, lookup, sealed, day)
        SELECT school, kind, decode(repeat('07', 16), 'hex'), sealed || '\\x00', day
        FROM sluis_register",
    );
    assert_eq!(other.catch_up().wait(), Err(StoreFault::Damaged));
    let_out(&one, PUPIL, &["S-2"]).unwrap();
    // With it the good row that was read before it.
    bed.sql("DELETE FROM sluis_register WHERE school = 'zonnebloem'");
    clock.turn(Duration::from_secs(60));
    one.catch_up().wait().unwrap();
    assert!(comes_home(&one, 7, "S-2"));
    assert_eq!(store.state().code(), None);
    let_out(&other, PUPIL, &["S-3"]).unwrap();
}

#[test]
fn a_school_goes_on_once_its_rows_open_again() {
    let bed = bed(&Cluster::start());
    let (store, clock) = usable(&bed);
    let (one, other) = (view(&store, "regenboog", 7), view(&store, "zonnebloem", 7));
    let_out(&one, PUPIL, &["S-1"]).unwrap();
    let_out(&other, PUPIL, &["S-1"]).unwrap();
    let (neighbour, _) = usable(&bed);
    let there = view(&neighbour, "zonnebloem", 7);
    let change = "UPDATE sluis_register SET sealed = sealed || '\\x00' WHERE number = 3";
    // In one transaction, so that nobody reads it before it is changed.
    bed.sql(
        "CREATE FUNCTION change() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
            IF NEW.number = 3 THEN NEW.sealed := NEW.sealed || '\\x00'; END IF;
            RETURN NEW; END $$;
        CREATE TRIGGER change BEFORE INSERT ON sluis_register
            FOR EACH ROW EXECUTE FUNCTION change()",
    );
    assert_eq!(let_out(&there, PUPIL, &["S-3"]), Err(StoreFault::Damaged));
    for turned in [Duration::ZERO, Duration::from_secs(60)] {
        clock.turn(turned);
        let_out(&one, PUPIL, &["S-2", &format!("{turned:?}")]).unwrap();
        one.catch_up().wait().unwrap();
        assert_eq!(let_out(&other, PUPIL, &["S-4"]), Err(StoreFault::Damaged));
        assert_eq!(other.catch_up().wait(), Err(StoreFault::Damaged));
        assert_eq!(store.state().stopped, [school("zonnebloem")]);
        assert_eq!(store.state().code(), Some("damaged"));
    }
    bed.sql(&change.replace("sealed || '\\x00'", "substr(sealed, 1, length(sealed) - 1)"));
    clock.turn(Duration::from_secs(60));
    other.catch_up().wait().unwrap();
    assert!(comes_home(&other, 7, "S-3"));
    let_out(&other, PUPIL, &["S-4"]).unwrap();
    assert_eq!(
        (store.state().code(), store.state().stopped.len()),
        (None, 0)
    );
    // Done away with, it is missed by nobody: also as the last of all.
    bed.sql(
        "INSERT INTO sluis_register (school, kind, lookup, sealed, day)
        SELECT 'zonnebloem', kind, decode(repeat('07', 16), 'hex'), sealed || '\\x00', day
        FROM sluis_register WHERE number = 3",
    );
    assert_eq!(other.catch_up().wait(), Err(StoreFault::Damaged));
    bed.sql("DELETE FROM sluis_register WHERE lookup = decode(repeat('07', 16), 'hex')");
    clock.turn(Duration::from_secs(60));
    other.catch_up().wait().unwrap();
    let_out(&one, PUPIL, &["S-5"]).unwrap();
    assert_eq!(store.state().code(), None);
}

#[test]
fn a_school_that_has_no_room_for_its_rows_when_they_open_again_stops_nobody_else() {
    let bed = bed(&Cluster::start());
    let store = bed.open();
    let_out(&view(&store, "zonnebloem", 7), PUPIL, &["S-1"]).unwrap();
    let_out(&view(&store, "regenboog", 7), PUPIL, &["S-1"]).unwrap();
    drop(store);
    bed.sql("UPDATE sluis_register SET sealed = sealed || '\\x00' WHERE number = 1");
    let (store, clock) = usable(&bed);
    let full = store.shared.school_named("zonnebloem").unwrap();
    full.ids("pupil").fill();
    bed.sql(
        "UPDATE sluis_register SET sealed = substr(sealed, 1, length(sealed) - 1)
        WHERE number = 1",
    );
    let other = bed.open();
    let_out(&view(&other, "regenboog", 7), PUPIL, &["S-2"]).unwrap();
    let (one, full) = (view(&store, "regenboog", 7), view(&store, "zonnebloem", 7));
    for _ in 0..3 {
        clock.turn(Duration::from_secs(60));
        one.catch_up().wait().unwrap();
        assert!(comes_home(&one, 7, "S-2"));
        assert_eq!(full.catch_up().wait(), Err(StoreFault::Damaged));
        assert_eq!(store.state().stopped, [school("zonnebloem")]);
    }
}

#[test]
fn a_row_that_cannot_be_read_stops_its_own_school() {
    let cluster = Cluster::start();
    for (column, free, value) in [
        ("kind", "ALTER kind DROP NOT NULL", "NULL"),
        // No text in the encoding that we ask for: a server sends none of a page with it.
        (
            "kind",
            "ALTER kind SET NOT NULL",
            "convert_from('\\xff', 'SQL_ASCII')",
        ),
        (
            "lookup",
            "DROP CONSTRAINT sluis_register_lookup_check",
            "'\\x07'",
        ),
        ("sealed", "ALTER sealed DROP NOT NULL", "NULL"),
        ("day", "ALTER day DROP NOT NULL", "NULL"),
    ] {
        let bed = bed_that_knows_no_encoding(&cluster);
        let (store, _) = usable(&bed);
        let (one, other) = (view(&store, "regenboog", 7), view(&store, "zonnebloem", 7));
        let_out(&one, PUPIL, &["S-1"]).unwrap();
        let_out(&other, PUPIL, &["S-1", "S-2"]).unwrap();
        bed.sql(&format!(
            "ALTER TABLE sluis_register {free};
            CREATE TABLE damaged AS SELECT * FROM sluis_register WHERE number = 2;
            UPDATE damaged SET number = 4, lookup = decode(repeat('07', 16), 'hex');
            UPDATE damaged SET {column} = {value};
            INSERT INTO sluis_register OVERRIDING SYSTEM VALUE SELECT * FROM damaged;
            ALTER TABLE sluis_register ALTER number RESTART WITH 5"
        ));
        let (later, _) = usable(&bed);
        for store in [&store, &later] {
            let (one, other) = (view(store, "regenboog", 7), view(store, "zonnebloem", 7));
            let_out(&one, PUPIL, &["S-2"]).unwrap();
            one.catch_up().wait().unwrap();
            assert!(comes_home(&one, 7, "S-2"), "{column}");
            assert_eq!(let_out(&other, PUPIL, &["S-3"]), Err(StoreFault::Damaged));
            assert_eq!(store.state().stopped, [school("zonnebloem")], "{column}");
        }
        let verified = verify(&bed.place(), schools(), &Clock::system()).unwrap();
        assert_eq!(verified.damaged_first, [4], "{column}");
    }
}

#[test]
fn a_row_of_nobody_can_tell_which_school_stops_them_all() {
    let cluster = Cluster::start();
    for school in ["NULL", "convert_from('\\xff', 'SQL_ASCII')"] {
        a_row_of_that_school_stops_them_all(&cluster, school);
    }
}

fn a_row_of_that_school_stops_them_all(cluster: &Arc<Cluster>, school: &str) {
    let bed = bed_that_knows_no_encoding(cluster);
    let (store, _) = usable(&bed);
    let one = view(&store, "regenboog", 7);
    let_out(&one, PUPIL, &["S-1"]).unwrap();
    bed.sql(&format!(
        "ALTER TABLE sluis_register ALTER school DROP NOT NULL;
        INSERT INTO sluis_register (school, kind, lookup, sealed, day)
        SELECT {school}, kind, lookup, sealed, day FROM sluis_register",
    ));
    assert_eq!(one.catch_up().wait(), Err(StoreFault::Damaged));
    let trouble = store.state().trouble.unwrap();
    let said = "1 of its rows, number 2, does not open";
    assert!(trouble.to_string().starts_with(said), "{trouble}");
    assert_eq!(let_out(&one, PUPIL, &["S-2"]), Err(StoreFault::Damaged));
    // What left before comes home.
    assert!(comes_home(&one, 7, "S-1"));
}

#[test]
fn another_machine_is_reached_through_tls_only() {
    let server = |settings: &str| Server::new(settings, None).map(drop);
    for here in [
        "host=localhost",
        "host=127.0.0.1",
        "host=/run/postgresql",
        "hostaddr=::1",
    ] {
        assert!(server(here).is_ok(), "{here}");
    }
    for there in [
        "host=db.example",
        "host=127.0.0.1,192.0.2.1",
        "host=localhost hostaddr=192.0.2.1",
        "host=db.example sslmode=disable",
        "postgres://sluis@db.example/register?sslmode=prefer",
        "host=127.0.0.1 sslmode=require",
        "user=sluis",
        "host=db.example password='geheim",
    ] {
        let fault = server(there).unwrap_err();
        assert!(matches!(fault, Fault::Settings(_)), "{there}");
        assert!(!format!("{fault} {fault:?}").contains("geheim"));
    }
    let shown = Server::new("host=localhost password=geheim", None);
    assert!(!format!("{shown:?}").contains("geheim"));
}

#[test]
fn a_server_is_known_by_its_certificate() {
    let certificates = tempfile::tempdir().unwrap();
    let made = |name: &str, host: &str| {
        let made = rcgen::generate_simple_self_signed(vec![host.to_owned()]).unwrap();
        let roots = certificates.path().join(name);
        fs::write(&roots, made.cert.pem()).unwrap();
        (made, roots)
    };
    let (own, roots) = made("own.pem", "127.0.0.1");
    let (_, others) = made("others.pem", "127.0.0.1");
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    let settings = "listen_addresses = '127.0.0.1'\nssl = on\n\
        ssl_cert_file = '../own.pem'\nssl_key_file = '../own.key'";
    let key = ("own.key", own.signing_key.serialize_pem());
    let cluster = Cluster::start_with(port, settings, &[("own.pem", own.cert.pem()), key]);
    cluster.sql("postgres", "CREATE DATABASE register");
    let server = |host: &str, roots: &Path| {
        let tls = UpstreamTls {
            roots: Some(roots.to_owned()),
            identity: None,
            min: TlsVersion::V13,
            http2: Http2::Never,
        };
        let settings =
            format!("host={host} port={port} user=sluis dbname=register sslmode=require");
        let tls = Connector::without_http(&tls).unwrap();
        Place::Postgres(Box::new(Server::new(&settings, Some(tls)).unwrap()))
    };
    init(&server("127.0.0.1", &roots)).unwrap();
    let store = Store::open(&server("127.0.0.1", &roots), schools(), Clock::system()).unwrap();
    let encrypted = "SELECT count(*) FROM pg_stat_ssl JOIN pg_stat_activity USING (pid)
        WHERE ssl AND application_name = 'sluis'";
    assert_eq!(cluster.sql("register", encrypted), "1");
    let_out(&view(&store, "regenboog", 7), PUPIL, &["S-1"]).unwrap();
    for (host, roots) in [("127.0.0.1", &others), ("localhost", &roots)] {
        let fault = init(&server(host, roots)).unwrap_err().to_string();
        assert!(
            fault.contains("TLS handshake: invalid peer certificate"),
            "{fault}"
        );
    }
}
