//! What happens in the demo, and how it is told.

use std::net::SocketAddr;

use http::{Method, StatusCode};
use serde_json::{Value, json};

use super::people::School;
use super::picture::Heads;
use super::setup::{Parties, REKENWIJS_TOKEN, SCHOOL_TOKEN, TOETSBRON_TOKEN};
use super::wire::{Call, Message, Received, Reply, call};
use super::{Fault, leaks, picture};
use crate::app::House;
use crate::events::{Events, Sink};

const ROSTER: &str = "/ims/oneroster/rostering/v1p2";
const PUSHED: &str = "/api/v2";
/// How many people a page of the roster has.
const PAGE: usize = 30;

/// What was told, and what was found.
#[derive(Debug)]
pub(super) struct Story {
    pub(super) text: String,
    pub(super) invitation: String,
    pub(super) leaks: usize,
}

/// The made-up vendors, the school that sends, and what they know of each other.
pub(super) struct Vendors {
    school: School,
    parties: Parties,
    gateway: SocketAddr,
    admin: SocketAddr,
    events: Events,
    log: Sink,
    rekenwijs: Received,
    toetsbron: Received,
    /// What came home to the school.
    results: Received,
    /// What was refused: to Rekenwijs, and to somebody who came with another's token.
    refused: Received,
}

impl Vendors {
    pub(super) fn new(house: &House, parties: Parties, log: Sink) -> Self {
        Self {
            school: School::new(),
            parties,
            gateway: house.public(),
            admin: house.admin(),
            events: house.events().clone(),
            log,
            rekenwijs: Received::default(),
            toetsbron: Received::default(),
            results: Received::default(),
            refused: Received::default(),
        }
    }

    /// The school's own systems: the roster for whoever asks, and one that takes results.
    pub(super) fn school_api(&self) -> impl Fn(&Message) -> Reply + Clone + Send + 'static {
        let results = self.results.clone();
        move |message: &Message| {
            if message.line != "POST /toetsen/results" {
                return roster(message);
            }
            results.push(message.clone());
            (StatusCode::OK, "{}".to_owned())
        }
    }

    /// The API of the vendor that is pushed to: keeps what it receives, and shows it to whoever
    /// asks for `/received`.
    pub(super) fn toetsbron_api(&self) -> impl Fn(&Message) -> Reply + Clone + Send + 'static {
        let received = self.toetsbron.clone();
        move |message: &Message| {
            if message.line == "GET /received" {
                let all: Vec<Value> = received.all().iter().map(recorded).collect();
                return (StatusCode::OK, format!("{:#}\n", Value::from(all)));
            }
            received.push(message.clone());
            (
                StatusCode::OK,
                json!({ "id": "r-1", "status": "accepted" }).to_string(),
            )
        }
    }

    /// Lets everyone talk, and tells it.
    pub(super) async fn play(self, columns: usize) -> Result<Story, Fault> {
        let mut text = opening(self.gateway);
        text += &self.pull(columns).await?;
        text += &self.push(columns).await?;
        text += &self.come_home(columns).await?;
        text += &picture::legend();
        text += &self.refuse().await?;
        let (told, leaks) = self.search();
        text += &told;
        Ok(Story {
            text,
            invitation: self.invitation(),
            leaks,
        })
    }

    /// Rekenwijs fetches the whole roster, page by page.
    async fn pull(&self, columns: usize) -> Result<String, Fault> {
        let pages = [
            format!("{ROSTER}/users?limit={PAGE}&offset=0"),
            format!("{ROSTER}/users?limit={PAGE}&offset={PAGE}"),
            format!("{ROSTER}/classes?limit=100&offset=0"),
            format!("{ROSTER}/enrollments?limit=100&offset=0"),
        ];
        for page in &pages {
            let answer = self.fetch(page, REKENWIJS_TOKEN).await?;
            expect(&answer, StatusCode::OK, page)?;
            self.rekenwijs.push(answer);
        }
        let users = |body: &[u8]| {
            let page: Value = serde_json::from_slice(body).ok()?;
            page.get("users")?.get(0).cloned()
        };
        let before = self.school.collection("users").unwrap_or_default();
        let before = before.first().cloned().unwrap_or_default();
        let after = self
            .rekenwijs
            .all()
            .first()
            .and_then(|page| users(&page.body));
        let after = after.ok_or_else(|| Fault::Unexpected("a page without users".to_owned()))?;
        let heads = Heads {
            before: "the school has",
            after: "Rekenwijs gets",
        };
        let title = picture::bold("Rekenwijs asks for the roster");
        let [first, ..] = &pages;
        Ok(format!(
            "{title}, page by page; of its first page one pupil:\n  GET {first}\n\n{}\n",
            picture::draw(heads, &before, &after, columns),
        ))
    }

    /// The school's own system sends every pupil to Toetsbron.
    async fn push(&self, columns: usize) -> Result<String, Fault> {
        for pupil in self.school.pupils() {
            let (path, body) = pupil.pushed();
            let request = Call {
                method: Method::PUT,
                target: format!("/toetsbron{path}"),
                token: SCHOOL_TOKEN,
                body: body.to_string(),
            };
            let answer = call(self.gateway, request).await?;
            expect(&answer, StatusCode::OK, &path)?;
        }
        let nobody = || Fault::Unexpected("Toetsbron received nobody".to_owned());
        let (path, before) = self.school.pupil().ok_or_else(nobody)?.pushed();
        let received = self.toetsbron.all().into_iter().next().ok_or_else(nobody)?;
        let after = serde_json::from_slice(&received.body).map_err(io_error)?;
        let heads = Heads {
            before: "the school sends",
            after: "Toetsbron gets",
        };
        let title = picture::bold("The school sends its pupils to Toetsbron");
        let line = received.line.replace(PUSHED, "");
        Ok(format!(
            "{title}; the first of them:\n  \
             school sends       PUT {path}\n  Toetsbron receives {line}\n\n{}\n",
            picture::draw(heads, &before, &after, columns),
        ))
    }

    /// Toetsbron sends the result of the first pupil that it got.
    async fn come_home(&self, columns: usize) -> Result<String, Fault> {
        let nobody = || Fault::Unexpected("Toetsbron received nobody".to_owned());
        let pupil = self.toetsbron.all().into_iter().next().ok_or_else(nobody)?;
        let pupil: Value = serde_json::from_slice(&pupil.body).map_err(io_error)?;
        let before = json!({
            "pupil": pupil.get("id"),
            "test": "LZ-4",
            "score": 31,
            "comment": "niet voor de school bedoeld",
        });
        let request = Call {
            method: Method::POST,
            target: "/toetsbron-home/results".to_owned(),
            token: TOETSBRON_TOKEN,
            body: before.to_string(),
        };
        let answer = call(self.gateway, request).await?;
        expect(&answer, StatusCode::OK, "a result")?;
        self.toetsbron.push(answer);
        let nothing = || Fault::Unexpected("no result came home".to_owned());
        let result = self.results.all().into_iter().next().ok_or_else(nothing)?;
        let after = serde_json::from_slice(&result.body).map_err(io_error)?;
        let heads = Heads {
            before: "Toetsbron sends",
            after: "the school gets",
        };
        let title = picture::bold("A result comes home to its pupil");
        Ok(format!(
            "{title}:\n  {}\n\n{}\n",
            result.line,
            picture::draw(heads, &before, &after, columns),
        ))
    }

    /// Rekenwijs asks for what it may not have.
    async fn refuse(&self) -> Result<String, Fault> {
        let family = format!("{ROSTER}/users?filter=familyName%3D%27Kaya%27");
        let everything = format!("{ROSTER}/demographics");
        let attempts = [
            ("a filter on what it may not see", family, REKENWIJS_TOKEN),
            (
                "a collection that is not listed",
                everything,
                REKENWIJS_TOKEN,
            ),
            (
                "a token of somebody else",
                format!("{ROSTER}/users"),
                SCHOOL_TOKEN,
            ),
        ];
        let mut text = format!(
            "\n{}\n",
            picture::bold("What it does not understand it refuses")
        );
        for (what, path, token) in attempts {
            let answer = self.fetch(&path, token).await?;
            let status = answer.status;
            let problem: Value = serde_json::from_slice(&answer.body).map_err(io_error)?;
            let code = problem
                .get("code")
                .and_then(Value::as_str)
                .unwrap_or_default()
                .to_owned();
            if status.is_success() {
                return Err(Fault::Unexpected(format!("{path} was answered {status}")));
            }
            let verdict = picture::red(&format!("{} {code}", status.as_u16()));
            text += &format!("  {what:32} {verdict}\n");
            self.refused.push(answer);
        }
        Ok(text)
    }

    /// Is anything there that must not be?
    fn search(&self) -> (String, usize) {
        let secrets = self.school.secrets();
        let received = [self.rekenwijs.all(), self.toetsbron.all()].concat();
        let refused = self.refused.all();
        let messages: String = received.iter().chain(&refused).map(Message::text).collect();
        let own =
            String::from_utf8(self.log.bytes()).unwrap_or_default() + &self.events.metrics_page();
        let mut found = leaks::found(&secrets, &messages);
        found.extend(leaks::found(&secrets, &own));
        let verdict = match found.len() {
            0 => picture::green("none found"),
            many => picture::red(&format!("{many} FOUND: {}", found.join(", "))),
        };
        let control = leaks::found(&secrets, &self.school.everything()).len();
        let text = format!(
            "\n{}\n  \
             All {} messages that the two vendors received and {} refusals ({} kB), and the\n  \
             gateway's own log and metrics, searched for {} names, numbers, addresses,\n  \
             passwords and ids of {} people: {verdict}.\n  {}\n",
            picture::bold("Leak check"),
            received.len(),
            refused.len(),
            messages.len() / 1_000,
            secrets.len(),
            self.school.size(),
            picture::dim(&format!(
                "The same search finds {control} of {} in what the school has.",
                secrets.len()
            )),
        );
        // A search that is blind must not say that all is well.
        let blind = secrets.len().saturating_sub(control);
        (text, found.len().saturating_add(blind))
    }

    fn invitation(&self) -> String {
        let (gateway, admin) = (self.gateway, self.admin);
        let Parties { school, vendor } = self.parties;
        let token = format!("-H 'Authorization: Bearer {REKENWIJS_TOKEN}'");
        let at = format!("http://{gateway}/rekenwijs{ROSTER}");
        let (path, body) = self
            .school
            .pupil()
            .map(super::people::Person::pushed)
            .unwrap_or_default();
        format!(
            "{}\n\
             the roster, as Rekenwijs gets it, and as the school has it\n\
             \x20 curl {token} '{at}/users?limit=2'\n\
             \x20 curl 'http://{school}{ROSTER}/users?limit=2'\n\
             refused: a filter on what Rekenwijs may not see, a route that it does not have\n\
             \x20 curl -i {token} '{at}/users?filter=familyName%3D%27Kaya%27'\n\
             \x20 curl -i {token} '{at}/demographics'\n\
             a pupil pushed to Toetsbron, and what Toetsbron received\n\
             \x20 curl -X PUT -H 'Authorization: Bearer {SCHOOL_TOKEN}' \\\n\
             \x20   -H 'Content-Type: application/json' \\\n\
             \x20   'http://{gateway}/toetsbron{path}' -d '{body}'\n\
             \x20 curl 'http://{vendor}/received'\n\
             for operators; beside it /metrics, /readyz?verbose and /livez\n\
             \x20 curl 'http://{admin}/status'\n",
            picture::bold("Try it; everyone is still there until you press Ctrl-C"),
        )
    }

    /// One request of Rekenwijs.
    async fn fetch(&self, path: &str, token: &'static str) -> Result<Message, Fault> {
        let target = format!("/rekenwijs{path}");
        let request = Call {
            method: Method::GET,
            target,
            token,
            body: String::new(),
        };
        Ok(call(self.gateway, request).await?)
    }
}

fn opening(gateway: SocketAddr) -> String {
    let title = "A made-up school, two made-up vendors, and the real gateway between them";
    let keys = "Real HTTP on this machine; the keys are in memory, the next demo has others.";
    format!(
        "{}\n{}\n{}\n\n",
        picture::bold(title),
        picture::dim(&format!("The gateway: http://{gateway}")),
        picture::dim(keys),
    )
}

/// The school's OneRoster API: whole collections, page by page, to anyone.
fn roster(message: &Message) -> Reply {
    let target = message.line.strip_prefix("GET ").unwrap_or_default();
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let name = path
        .strip_prefix(ROSTER)
        .and_then(|path| path.strip_prefix('/'));
    let Some((name, items)) = name.and_then(|name| Some((name, School::new().collection(name)?)))
    else {
        return (
            StatusCode::NOT_FOUND,
            json!({ "imsx_codeMajor": "failure" }).to_string(),
        );
    };
    let number = |key: &str, otherwise: usize| {
        let mut pairs = query.split('&').filter_map(|pair| pair.split_once('='));
        let value = pairs.find(|(name, _)| *name == key).map(|(_, value)| value);
        value
            .and_then(|value| value.parse().ok())
            .unwrap_or(otherwise)
    };
    let page = items
        .into_iter()
        .skip(number("offset", 0))
        .take(number("limit", 100));
    (
        StatusCode::OK,
        json!({ name: page.collect::<Vec<_>>() }).to_string(),
    )
}

fn recorded(message: &Message) -> Value {
    let body: Option<Value> = serde_json::from_slice(&message.body).ok();
    json!({ "request": message.line, "body": body })
}

fn expect(answer: &Message, status: StatusCode, path: &str) -> Result<(), Fault> {
    if answer.status == status {
        return Ok(());
    }
    Err(Fault::Unexpected(format!(
        "{path} was answered {}",
        answer.status
    )))
}

fn io_error(error: serde_json::Error) -> Fault {
    Fault::Party(error.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Clock;
    use crate::config::{Log, LogFormat, LogLevel};

    fn vendors() -> Vendors {
        let log = Log {
            format: LogFormat::Json,
            level: LogLevel::Debug,
        };
        let sink = Sink::memory();
        let nowhere = SocketAddr::from(([127, 0, 0, 1], 9));
        Vendors {
            school: School::new(),
            parties: Parties {
                school: nowhere,
                vendor: nowhere,
            },
            gateway: nowhere,
            admin: nowhere,
            events: Events::new(log, sink.clone(), Clock::system()).unwrap(),
            log: sink,
            rekenwijs: Received::default(),
            toetsbron: Received::default(),
            results: Received::default(),
            refused: Received::default(),
        }
    }

    fn received(body: &str) -> Message {
        Message {
            line: "POST /api/v2/x".to_owned(),
            status: StatusCode::OK,
            headers: String::new(),
            body: body.to_owned().into(),
        }
    }

    #[test]
    fn a_leak_to_either_vendor_is_found_and_named() {
        let vendors = vendors();
        assert_eq!(vendors.search().1, 0);
        vendors.toetsbron.push(received(r#"{"id":"L-0007"}"#));
        let (told, leaks) = vendors.search();
        assert!(leaks == 1 && told.contains("1 FOUND: L-0007"), "{told}");
        vendors.rekenwijs.push(received("Ouder: van%20Dijk"));
        assert_eq!(vendors.search().1, 2);
        vendors.refused.push(received("L-0008"));
        let (told, leaks) = vendors.search();
        let counted = told.contains("All 2 messages that the two vendors received and 1 refusals");
        assert!(leaks == 3 && counted, "{told}");
    }

    #[test]
    fn a_leak_into_our_own_log_is_found() {
        let mut vendors = vendors();
        let Sink::Memory(bytes) = &vendors.log else {
            panic!("a sink in memory")
        };
        bytes
            .lock()
            .unwrap()
            .extend_from_slice(b"refused 999901002");
        assert_eq!(vendors.search().1, 1);
        vendors.log = Sink::memory();
        assert_eq!(vendors.search().1, 0);
    }
}
