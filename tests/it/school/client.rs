//! A client that knows nothing of a gateway, and the vendor whose it is.

use std::cell::RefCell;
use std::collections::BTreeMap;

use data_encoding::BASE64;
use serde_json::{Value, json};

use super::{School, Version};
use crate::harness::{HOST, House, Message, Plans, digest, request};

const SECRET: &str = "fake-secret-of-a-vendor-not-for-use";

/// What a vendor of both services says of itself.
pub(crate) fn vendor_of(version: Version, at: &str) -> &'static str {
    let name = match version {
        Version::V1p1 => "oneroster-1.1",
        Version::V1p2 => "oneroster-1.2",
    };
    let text = format!(
        r#"
[flow.school]
preset = ["{name}/pull@1", "{name}/gradebook@1"]
at = "{at}"
upstream = "http://UPSTREAM"
upstream-auth = {{ bearer = {{ file = "upstream-token" }} }}
callers = [{{ oauth2 = "client", secret-sha256 = "{}" }}]
"#,
        digest(SECRET)
    );
    text.leak()
}

pub(crate) fn open_of(version: Version, school: &School) -> House {
    Plans {
        instead: Some(vendor_of(version, "/vendor")),
        second: Some(vendor_of(version, "/other")),
        ..Plans::default()
    }
    .open(school.serve())
}

/// A client of the vendor's, which reads what comes as a strict one does.
pub(crate) struct Client<'h> {
    pub(crate) house: &'h House,
    pub(crate) token: String,
    /// Below the flow's door.
    pub(crate) at: &'static str,
    /// Every byte that came.
    pub(crate) got: RefCell<Vec<u8>>,
}

impl<'h> Client<'h> {
    /// Fetches a token as the standard has it, and keeps it.
    pub(crate) fn new(house: &'h House, at: &'static str) -> Self {
        let form = "grant_type=client_credentials&scope=https%3A%2F%2Fpurl.imsglobal.org%2Fspec%2For%2Fv1p2%2Fscope%2Froster.readonly";
        let basic = BASE64.encode(format!("client:{SECRET}").as_bytes());
        let answer = house.ask(format!(
            "POST {at}/oauth/token HTTP/1.1\r\nhost: {HOST}\r\nauthorization: Basic {basic}\r\n\
             content-type: application/x-www-form-urlencoded\r\ncontent-length: {}\r\n\r\n{form}",
            form.len()
        ));
        assert_eq!(answer.status(), 200, "{}", answer.text());
        let token = answer.json()["access_token"].as_str().unwrap().to_owned();
        Self {
            house,
            token,
            at,
            got: RefCell::default(),
        }
    }

    /// The address under which the client knows the school.
    pub(crate) fn root(&self) -> String {
        format!("http://{HOST}{}", self.at)
    }

    /// A reference as the client writes it.
    pub(crate) fn link(&self, of: &str, path: &str, id: &str) -> Value {
        json!({"sourcedId": id, "type": of, "href": format!("{}{path}/{id}", self.root())})
    }

    pub(crate) fn send(&self, method: &str, address: &str, body: Option<&Value>) -> Message {
        let root = format!("http://{HOST}");
        let target = address
            .strip_prefix(&root)
            .unwrap_or_else(|| panic!("{address} leads elsewhere"));
        let body = body.map(Value::to_string).unwrap_or_default();
        let shown = format!("\r\nauthorization: Bearer {}\r\n", self.token);
        let request = request(method, target, &body).replacen("\r\n", &shown, 1);
        let answer = self.house.ask(request);
        let mut got = self.got.borrow_mut();
        got.extend_from_slice(answer.head.as_bytes());
        got.extend_from_slice(&answer.body);
        answer
    }

    /// A document, read as a strict client reads it.
    pub(crate) fn get(&self, address: &str) -> (Message, Value) {
        let answer = self.send("GET", address, None);
        assert_eq!(answer.status(), 200, "{address}: {}", answer.text());
        let document = answer.json();
        self.check(&document, address);
        (answer, document)
    }

    /// No text is empty, nothing is null but what the school has so, and every link leads back here.
    fn check(&self, value: &Value, at: &str) {
        match value {
            Value::Null => assert!(at.ends_with(" textScore"), "null in {at}"),
            Value::String(text) => assert_ne!(text, "", "an empty text in {at}"),
            Value::Array(items) => items.iter().for_each(|item| self.check(item, at)),
            Value::Object(fields) => {
                let inside = |(key, value): (&String, &Value)| {
                    self.check(value, &format!("{at} {key}"));
                };
                fields.iter().for_each(inside);
                let href = fields.get("href").map(|href| href.as_str().unwrap());
                // Nobody is nowhere, and nothing is.
                let id = fields.get("sourcedId");
                let nobody = id.is_some_and(|id| id == "nobody" || id == "~nothing~");
                let here = href.is_none_or(|href| nobody || href.starts_with(&self.root()));
                assert!(here, "{href:?} in {at}");
            }
            Value::Bool(_) | Value::Number(_) => {}
        }
    }

    /// Every item of a list, from page to page as the links say.
    pub(crate) fn crawl(&self, path: &str, key: &str, limit: usize) -> Vec<Value> {
        let mut all = Vec::new();
        let joint = if path.contains('?') { '&' } else { '?' };
        let mut next = Some(format!("{}{path}{joint}limit={limit}", self.root()));
        let mut total = None;
        while let Some(address) = next {
            let (answer, document) = self.get(&address);
            let page = document[key]
                .as_array()
                .unwrap_or_else(|| panic!("no {key} in {address}"));
            let links = links(&answer);
            assert!(links.contains_key("first"), "{address}");
            let said = header(&answer, "x-total-count").map(|it| it.parse::<usize>().unwrap());
            assert!(total.is_none() || total == said, "the count changes");
            total = said;
            next = links.get("next").cloned();
            if next.is_some() {
                assert_eq!(page.len(), limit, "a short page before the last: {address}");
            }
            all.extend(page.iter().cloned());
        }
        assert_eq!(total, Some(all.len()), "{path}");
        all
    }

    /// As clients do that know neither links nor counts: until a page is short.
    pub(crate) fn crawl_leniently(&self, path: &str, key: &str, limit: usize) -> Vec<Value> {
        let mut all = Vec::new();
        loop {
            let address = format!("{}{path}?limit={limit}&offset={}", self.root(), all.len());
            let page = self.send("GET", &address, None).json()[key]
                .as_array()
                .unwrap()
                .clone();
            let short = page.len() < limit;
            all.extend(page);
            if short {
                return all;
            }
        }
    }
}

fn header<'a>(answer: &'a Message, name: &str) -> Option<&'a str> {
    let start = format!("{name}: ");
    answer
        .head
        .lines()
        .find_map(|line| line.strip_prefix(&start))
}

/// The links of an answer by their relation, in the one form that every client reads.
fn links(answer: &Message) -> BTreeMap<String, String> {
    let line = header(answer, "link").unwrap_or_default();
    let read = line.split(", ").map(|link| {
        let (address, relation) = link
            .strip_prefix('<')
            .unwrap()
            .split_once(">; rel=\"")
            .unwrap();
        (
            relation.strip_suffix('"').unwrap().to_owned(),
            address.to_owned(),
        )
    });
    let links: BTreeMap<_, _> = read.collect();
    let known = ["first", "last", "next", "prev"];
    assert!(
        links.keys().all(|it| known.contains(&it.as_str())),
        "{line}"
    );
    links
}

pub(crate) fn id(item: &Value) -> &str {
    item["sourcedId"].as_str().unwrap()
}
