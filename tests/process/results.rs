//! Vendors that send results without a pause, and what the school has of them afterwards.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Mutex;
use std::thread::{Scope, ScopedJoinHandle};

use crate::days::callers::Caller;
use crate::home::{PUPILS, School, landed};

/// Vendors at once.
const VENDORS: usize = 3;

type Names = BTreeSet<String>;

/// Results about these pupils, each attempt under a name of its own.
pub(crate) struct Results<'p> {
    address: SocketAddr,
    pseudonyms: &'p [String],
    names: Mutex<(Names, Names)>,
}

impl<'p> Results<'p> {
    pub(crate) fn to(address: SocketAddr, pseudonyms: &'p [String]) -> Self {
        Self {
            address,
            pseudonyms,
            names: Mutex::default(),
        }
    }

    /// Sends one after the other, PUT and POST in turn, on a connection that is kept until the
    /// answer says otherwise. Ends when `go_on`, which is shown each answer, says so, or with what
    /// came instead of an answer.
    fn send(&self, vendor: &str, go_on: impl Fn(&str) -> bool) -> Option<String> {
        let mut caller = Caller::new(self.address);
        for round in 0.. {
            let number: usize = round % PUPILS;
            let name = format!("{vendor}-{round}-{number}");
            self.names.lock().unwrap().0.insert(name.clone());
            let method = ["PUT", "POST"][round / PUPILS % 2];
            let answer = caller.ask(&self.request(method, &name, number));
            if !answer.starts_with("HTTP/1.1 200 ") || !answer.ends_with("\r\n\r\n{\"taken\":true}")
            {
                return Some(answer);
            }
            self.names.lock().unwrap().1.insert(name);
            if !go_on(&answer) {
                break;
            }
            if says_close(&answer) {
                caller = Caller::new(self.address);
            }
        }
        None
    }

    /// Has some vendors [send](Self::send) at once.
    pub(crate) fn send_from<'s>(
        &'s self,
        scope: &'s Scope<'s, '_>,
        prefix: &'s str,
        go_on: &'s (impl Fn(&str) -> bool + Sync),
    ) -> [ScopedJoinHandle<'s, Option<String>>; VENDORS] {
        std::array::from_fn(|vendor| {
            scope.spawn(move || self.send(&format!("{prefix}-{vendor}"), go_on))
        })
    }

    fn request(&self, method: &str, name: &str, number: usize) -> String {
        let whose = &self.pseudonyms[number];
        let body = format!(r#"{{"student":"{whose}","score":7}}"#);
        let (host, length) = (self.address, body.len());
        format!(
            "{method} /bron/results/{name}/of/{whose} HTTP/1.1\r\nhost: {host}\r\n\
             content-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}"
        )
    }

    /// How many were taken so far.
    pub(crate) fn taken(&self) -> usize {
        self.names.lock().unwrap().1.len()
    }

    /// Each that was sent was taken, and each landed once, on its pupil.
    pub(crate) fn assert_all_landed(self, school: &School) {
        let (sent, taken) = self.names.into_inner().unwrap();
        let lost: Vec<_> = sent.difference(&taken).collect();
        assert!(lost.is_empty(), "not taken: {lost:?}");
        assert!(landed(school) == taken, "what was taken did not land");
    }

    /// Each that was taken landed, on its pupil, and none landed twice, taken or not.
    pub(crate) fn assert_none_lost(&self, school: &School) {
        let (sent, taken) = &*self.names.lock().unwrap();
        let landed = landed(school);
        let lost: Vec<_> = taken.difference(&landed).collect();
        assert!(lost.is_empty(), "taken, and lost: {lost:?}");
        assert!(landed.is_subset(sent), "nobody sent that");
    }
}

/// Whether an answer is the last one on its connection.
pub(crate) fn says_close(answer: &str) -> bool {
    answer.contains("\r\nconnection: close\r\n")
}
