//! A made-up school with an API of OneRoster 1.1 or 1.2 that is full of traps: whatever a real one
//! was seen to let slip stands in its answers.
//!
//! * ids in every `href`, in `Link` with the filter they were asked by, in `Location`, in cookies,
//!   in `ETag` and in headers of its own;
//! * ids made of other ids (`enr-S-…-cls-…`), ids that are numbers, ids within free text, ids with
//!   signs that mean something in an address (`2024/0017;…`);
//! * errors that repeat the id and tell the name;
//! * null and empty texts where something is optional, words of the school's own (`ext:…`) where the
//!   standard allows them, truth values in every form;
//! * names, numbers and parents in every field that the standard has for them, and in `metadata`.

pub(crate) mod client;
mod data;
mod percent;
mod query;

use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use crate::harness::{Message, Peer, UPSTREAM_TOKEN, Upstream};
use crate::standard;
use query::Query;

pub(crate) use data::{NUMBERED, ODD, PUPILS, SHORT, id as id_of, markers, pupil};

/// The version of the standard that a school speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Version {
    V1p1,
    V1p2,
}

impl Version {
    /// Where the rostering service lies.
    pub(crate) const fn roster(self) -> &'static str {
        match self {
            Self::V1p1 => "/ims/oneroster/v1p1",
            Self::V1p2 => "/ims/oneroster/rostering/v1p2",
        }
    }

    /// Where the gradebook lies.
    pub(crate) const fn grades(self) -> &'static str {
        match self {
            Self::V1p1 => "/ims/oneroster/v1p1",
            Self::V1p2 => "/ims/oneroster/gradebook/v1p2",
        }
    }

    /// What the standard says of it.
    pub(crate) fn standard(self) -> &'static standard::Version {
        let mut all = standard::VERSIONS.iter();
        all.find(|it| it.gradebook == self.grades()).unwrap()
    }
}

/// The school. Its copies share what it knows.
#[derive(Clone)]
pub(crate) struct School {
    version: Version,
    all: Arc<Mutex<Collections>>,
}

/// Things by the collection they are kept in.
type Collections = Vec<(&'static str, Vec<Value>)>;

impl School {
    pub(crate) fn new() -> Self {
        Self::speaking(Version::V1p2)
    }

    pub(crate) fn speaking(version: Version) -> Self {
        let all = Arc::new(Mutex::new(data::all(version)));
        Self { version, all }
    }

    /// Its API.
    pub(crate) fn serve(&self) -> Upstream {
        let school = self.clone();
        Upstream::scripted(move |peer: &mut Peer| {
            let mut served = Ok(());
            while let (Ok(()), Some(request)) = (&served, peer.request()) {
                served = peer.try_send(school.answer(&request));
            }
        })
    }

    /// What it has of a collection, as it is.
    pub(crate) fn all(&self, collection: &str) -> Vec<Value> {
        let all = self.all.lock().unwrap();
        let found = all.iter().find(|(name, _)| *name == collection);
        found.map(|(_, items)| items.clone()).unwrap_or_default()
    }

    fn answer(&self, request: &Message) -> String {
        let line = request.head.lines().next().unwrap();
        let mut parts = line.split(' ');
        let (method, target) = (parts.next().unwrap(), parts.next().unwrap());
        let bearer = format!("\r\nauthorization: Bearer {UPSTREAM_TOKEN}\r\n");
        assert!(request.head.contains(&bearer), "not our own token: {line}");
        let mut lines = request.head.lines();
        let host = lines.find_map(|line| line.strip_prefix("host: "));
        let root = format!("http://{}", host.unwrap());
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let services = [self.version.roster(), self.version.grades()];
        let mut services = services.into_iter();
        let below = services.find_map(|it| path.strip_prefix(it)?.strip_prefix('/'));
        let segments = below.unwrap_or_default().split('/').map(percent::decoded);
        let segments: Vec<String> = segments.collect();
        let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
        match (method, segments.as_slice()) {
            ("GET" | "HEAD", [.., collection]) if segments.len() % 2 == 1 => {
                let page = self.list(collection, &segments, &Query::read(query));
                page.written(&root, path, query, method)
            }
            ("GET" | "HEAD", [collection, id]) => match self.one(collection, id) {
                Some(item) => {
                    let body = json!({ data::singular(collection): data::linked(self.version, &item, &root) });
                    let lines = format!("content-location: {root}{path}\r\n");
                    whole(method, "200 OK", &body, &lines)
                }
                None => missing(method, id),
            },
            ("PUT", [collection, id]) => {
                let echo = self.set(collection, id, request);
                let lines = format!("location: {root}{path}\r\n");
                whole(method, "201 Created", &echo, &lines)
            }
            ("POST", [.., around, collection]) if segments.len() % 2 == 1 => {
                let pairs = self.make(collection, around, request);
                whole(method, "201 Created", &pairs, "")
            }
            ("DELETE", [collection, id]) => {
                self.delete(collection, id);
                format!("HTTP/1.1 204 No Content\r\n{}\r\n", traps(id))
            }
            _ => missing(method, path),
        }
    }

    /// Takes what is put, and says it again.
    fn set(&self, collection: &str, id: &str, request: &Message) -> Value {
        let body: Value = serde_json::from_slice(&request.body).unwrap();
        let item = &body[data::singular(collection)];
        assert_eq!(item["sourcedId"], id, "path and body name one thing");
        self.put(collection, item);
        body
    }

    /// Takes what is posted, under ids of its own.
    fn make(&self, collection: &str, around: &str, request: &Message) -> Value {
        let body: Value = serde_json::from_slice(&request.body).unwrap();
        let mut pairs = Vec::new();
        for item in body[collection].as_array().unwrap() {
            let own = format!("made-{}-{around}", pairs.len());
            let mut made = item.clone();
            made["sourcedId"] = json!(own);
            self.put(collection, &made);
            let supplied = &item["sourcedId"];
            pairs.push(json!({"suppliedSourcedId": supplied, "allocatedSourcedId": own}));
        }
        json!({ "sourcedIdPairs": pairs })
    }

    fn delete(&self, collection: &str, id: &str) {
        let mut all = self.all.lock().unwrap();
        let items = all.iter_mut().find(|(name, _)| *name == collection);
        items.unwrap().1.retain(|item| data::id(item) != id);
    }

    fn put(&self, collection: &str, item: &Value) {
        self.delete(collection, &data::id(item));
        let mut all = self.all.lock().unwrap();
        let items = all.iter_mut().find(|(name, _)| *name == collection);
        items.unwrap().1.push(item.clone());
    }

    /// One item, whichever of the standard's names it is asked by.
    fn one(&self, collection: &str, id: &str) -> Option<Value> {
        let items = self.all(data::kept_in(collection));
        items.into_iter().find(|item| data::id(item) == id)
    }

    /// All that stands in a list, also below something: `["classes", "C", "students"]`.
    pub(crate) fn listed(&self, segments: &[&str]) -> Vec<Value> {
        let collection = segments.last().unwrap();
        let mut items = self.all(data::kept_in(collection));
        items.retain(|item| data::is_of(collection, item));
        let enrollments = self.all("enrollments");
        for around in segments.chunks_exact(2) {
            items.retain(|item| {
                data::belongs(collection, item, (around[0], around[1]), &enrollments)
            });
        }
        items
    }

    fn list(&self, collection: &str, segments: &[&str], query: &Query) -> Page {
        let mut items = self.listed(segments);
        query.keep_and_sort(&mut items);
        let total = items.len();
        let page = items.into_iter().skip(query.offset).take(query.limit);
        Page {
            version: self.version,
            collection: data::kept_in(collection).to_owned(),
            items: page.map(|item| query.choose(item)).collect(),
            total,
            offset: query.offset,
            limit: query.limit,
        }
    }
}

/// One page of a list.
struct Page {
    version: Version,
    collection: String,
    items: Vec<Value>,
    total: usize,
    offset: usize,
    limit: usize,
}

impl Page {
    fn written(&self, root: &str, path: &str, query: &str, method: &str) -> String {
        // As some servers do it: the query as it came, but for the paging.
        let asked = query
            .split('&')
            .filter(|it| !it.is_empty() && !it.starts_with("offset=") && !it.starts_with("limit="));
        let mut asked: Vec<&str> = asked.collect();
        if !asked.iter().any(|it| it.starts_with("sort=")) {
            // As others do it: so that no page depends on the order in which things are kept.
            asked.push("sort=sourcedId");
        }
        let link = |relation: &str, offset: usize| {
            let mut parts = vec![format!("limit={}", self.limit), format!("offset={offset}")];
            parts.extend(asked.iter().map(|it| (*it).to_owned()));
            format!("<{root}{path}?{}>; rel=\"{relation}\"", parts.join("&"))
        };
        let end = self.offset + self.limit;
        let mut links = vec![link("first", 0)];
        if end < self.total {
            let last = end + self.limit >= self.total;
            links.push(link(if last { "next last" } else { "next" }, end));
        }
        if self.offset > 0 {
            links.push(link("prev", self.offset.saturating_sub(self.limit)));
        }
        let about = self.items.first().map(data::id).unwrap_or_default();
        links.push(format!(
            "<{root}/people/{about}>; rel=\"author\"; title=\"Fenna-zzq\""
        ));
        let lines = format!(
            "link: {}, \r\nx-total-count: {}\r\n",
            links.join(", "),
            self.total
        );
        let items: Vec<Value> = self
            .items
            .iter()
            .map(|item| data::linked(self.version, item, root))
            .collect();
        whole(
            method,
            "200 OK",
            &json!({ &self.collection: items }),
            &lines,
        )
    }
}

/// An error that says too much.
fn missing(method: &str, id: &str) -> String {
    let said = format!("users/{id} (Fenna-zzq-901 van Zzq) not found at school-zzq-01");
    let body = json!({
        "imsx_codeMajor": "failure", "imsx_severity": "error", "imsx_description": said,
        "imsx_CodeMinor": {"imsx_codeMinorField": [{"imsx_codeMinorFieldName": id, "imsx_codeMinorFieldValue": "unknownobject"}]},
    });
    whole(
        method,
        "404 Not Found",
        &body,
        &format!("x-error: {said}\r\n"),
    )
}

fn whole(method: &str, status: &str, body: &Value, lines: &str) -> String {
    let body = body.to_string();
    let length = body.len();
    let about = pupil(0);
    let head = format!(
        "HTTP/1.1 {status}\r\ncontent-type: application/json; charset=utf-8\r\ncontent-length: {length}\r\n{lines}{}\r\n",
        traps(&about)
    );
    match method {
        "HEAD" => head,
        _ => head + &body,
    }
}

/// What a server says of who is logged in, and of what it answered with.
fn traps(about: &str) -> String {
    format!(
        "set-cookie: JSESSIONID={about}; Path=/\r\nset-cookie: user=Fenna-zzq-901\r\netag: W/\"{about}\"\r\n\
         x-user: {about}\r\nx-request-id: {about}-1\r\nwarning: 199 - \"{about}\"\r\n\
         server: sis-of-school-zzq-01\r\nx-powered-by: Fenna-zzq-901\r\n"
    )
}
