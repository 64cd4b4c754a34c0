//! Vendors that send results without a pause, and what the school has of them afterwards.

use std::collections::BTreeSet;
use std::sync::Mutex;
use std::thread::{Scope, ScopedJoinHandle};

use crate::home::{PUPILS, School, landed};
use crate::ways::Line;

/// Vendors at once.
const VENDORS: usize = 3;

type Names = BTreeSet<String>;

/// Results about these pupils, each attempt under a name of its own.
pub(crate) struct Results<'p> {
    lines: &'p [Line],
    door: &'static str,
    pseudonyms: &'p [String],
    names: Mutex<(Names, Names)>,
}

impl<'p> Results<'p> {
    /// Vendors take the lines in turn.
    pub(crate) fn to(lines: &'p [Line], door: &'static str, pseudonyms: &'p [String]) -> Self {
        Self {
            lines,
            door,
            pseudonyms,
            names: Mutex::default(),
        }
    }

    /// Sends one after the other or some at once, PUT and POST in turn, on a connection that is kept
    /// until the answer says otherwise. Ends when `go_on`, which is shown answers, says so, or with
    /// what came instead of an answer. Who is sent away before anything is sent has to end by then.
    fn send(&self, vendor: (usize, &str), go_on: impl Fn(&str) -> bool) -> Option<String> {
        let (line, vendor) = (&self.lines[vendor.0 % self.lines.len()], vendor.1);
        let mut caller = line.connect();
        for first in (0..).step_by(line.at_once()) {
            let rounds = first..first + line.at_once();
            let names: Vec<_> = rounds
                .map(|round| format!("{vendor}-{round}-{}", round % PUPILS))
                .collect();
            let requests: Vec<_> = (first..)
                .zip(&names)
                .map(|(round, name)| self.request(line, round, name))
                .collect();
            self.names.lock().unwrap().0.extend(names.iter().cloned());
            let answers = caller.ask_all(&requests);
            if let Some(wrong) = self.note(&names, &answers) {
                return Some(wrong);
            }
            let Some(last) = answers.into_iter().flatten().next_back() else {
                return go_on(SENT_AWAY).then(|| SENT_AWAY.to_owned());
            };
            if !go_on(&last) {
                break;
            }
            if says_close(&last) {
                caller = line.connect();
            }
        }
        None
    }

    /// Notes what was taken, and gives an answer that is wrong.
    fn note(&self, names: &[String], answers: &[Option<String>]) -> Option<String> {
        let (sent, taken) = &mut *self.names.lock().unwrap();
        for (name, answer) in names.iter().zip(answers) {
            match answer {
                None => assert!(sent.remove(name)),
                Some(answer) if is_taken(answer) => assert!(taken.insert(name.clone())),
                Some(answer) => return Some(answer.clone()),
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
            scope.spawn(move || self.send((vendor, &format!("{prefix}-{vendor}")), go_on))
        })
    }

    fn request(&self, line: &Line, round: usize, name: &str) -> String {
        let method = ["PUT", "POST"][round / PUPILS % 2];
        let whose = &self.pseudonyms[round % PUPILS];
        let body = format!(r#"{{"student":"{whose}","score":7}}"#);
        let (host, door, length) = (line.address(), self.door, body.len());
        format!(
            "{method} {door}/results/{name}/of/{whose} HTTP/1.1\r\nhost: {host}\r\n\
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

/// What stands for an answer where nothing could be sent because of a farewell.
const SENT_AWAY: &str = "\r\nconnection: close\r\n";

/// Whether an answer is the last one on its connection.
pub(crate) fn says_close(answer: &str) -> bool {
    answer.contains(SENT_AWAY)
}

fn is_taken(answer: &str) -> bool {
    answer.starts_with("HTTP/1.1 200 ") && answer.ends_with("\r\n\r\n{\"taken\":true}")
}
