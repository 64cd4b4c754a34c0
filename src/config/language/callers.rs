//! Credentials: who may call a flow, and what its upstream is shown. Never a secret itself: digests
//! of tokens, and names of files.

use data_encoding::HEXLOWER;

use super::Compiler;
use super::draft::{CallersDraft, ClientDraft, IdentityDraft, UpstreamAuthDraft};
use super::flows::Trust;
use crate::config::{At, Problem, Table, TextOrTable, Value, code};
use crate::limits;

impl<'d> Compiler<'d, '_> {
    /// Reads `callers`; with `upstream-auth = "forward"` there are none of our own.
    pub(super) fn callers(
        &mut self,
        table: &Table<'d>,
        auth: &UpstreamAuthDraft,
    ) -> Option<At<CallersDraft>> {
        let forward = matches!(auth, UpstreamAuthDraft::Forward);
        if let (true, None, Some(auth)) = (
            forward,
            table.value("callers"),
            table.value("upstream-auth"),
        ) {
            let place = auth.place();
            let value = CallersDraft::Forwarded;
            return Some(At { value, place });
        }
        let help = [
            "callers = [{ token-sha256 = \"…64 hex digits…\" }]: printf %s \"$TOKEN\" | sha256sum",
            "or callers = \"anyone\", which is taken on loopback alone",
        ];
        let value = table.need_as("callers", &help, self.problems)?;
        if !value.is_text() {
            return self.listed_callers(&value, auth);
        }
        let text = value.text(self.problems)?;
        if text.value != "anyone" {
            self.no_such("word", text.value, &text.place, &["anyone"]);
            return None;
        }
        let value = CallersDraft::Anyone;
        let place = text.place;
        Some(At { value, place })
    }

    fn listed_callers(
        &mut self,
        value: &Value<'d>,
        auth: &UpstreamAuthDraft,
    ) -> Option<At<CallersDraft>> {
        let list = value.array(self.problems)?;
        let place = value.place();
        if matches!(auth, UpstreamAuthDraft::Forward) {
            let message = "`callers` and upstream-auth = \"forward\" exclude each other";
            let problem = Problem::error(code::CONFLICT, message).at(&place);
            let label = "the upstream knows who the caller is, and we do not";
            self.problems.push(problem.label(label));
        }
        if list.is_empty() {
            let problem = Problem::error(code::VALUE, "nobody may call").at(&place);
            let help = "for example callers = [{ token-sha256 = \"…64 hex…\" }]";
            self.problems.push(problem.help(help));
        }
        let (mut tokens, mut clients, mut certificates) = (Vec::new(), Vec::new(), Vec::new());
        for caller in &list {
            match self.one_caller(caller) {
                Some(OneCaller::Certificate(digest)) => certificates.push(digest),
                Some(OneCaller::Client(client)) => clients.push(client),
                Some(OneCaller::Token(digest)) => tokens.push(digest),
                None => {}
            }
        }
        let value = CallersDraft::Listed {
            tokens,
            clients,
            certificates,
        };
        Some(At { value, place })
    }

    fn one_caller(&mut self, value: &Value<'d>) -> Option<OneCaller> {
        let table = value.table(self.problems)?;
        if table.has("client-cert-sha256") {
            let digest = self.digest(&table, "client-cert-sha256", Digested::Certificate);
            table.finish(self.problems);
            return digest.map(OneCaller::Certificate);
        }
        // Also where the first is mistyped.
        if ["oauth2", "secret-sha256", "scopes"]
            .iter()
            .any(|key| table.has(key))
        {
            return self.client(&table).map(OneCaller::Client);
        }
        let token = self.digest(&table, "token-sha256", Digested::Token);
        table.finish(self.problems);
        token.map(OneCaller::Token)
    }

    /// `{ oauth2 = "…", secret-sha256 = "…", scopes = […] }`.
    fn client(&mut self, table: &Table<'d>) -> Option<ClientDraft> {
        let id = table.need("oauth2", self.problems);
        let id = id.and_then(|id| id.text(self.problems));
        let id = id.and_then(|id| self.client_id(&id));
        let secret = self.digest(table, "secret-sha256", Digested::Secret);
        let list = table.array("scopes", self.problems).unwrap_or_default();
        if let Some(beyond) = list.get(limits::OAUTH_SCOPES_MAX) {
            let most = limits::OAUTH_SCOPES_MAX;
            let message = format!("a client may have at most {most} scopes");
            let problem = Problem::error(code::TOO_MANY, message);
            self.problems.push(problem.at(&beyond.place()));
        }
        let scopes = list.iter().filter_map(|scope| self.scope(scope));
        let scopes = scopes.collect();
        table.finish(self.problems);
        Some(ClientDraft {
            id: id?,
            secret: secret?,
            scopes,
        })
    }

    /// The name of a client: it stands in heads, forms and tokens, and is told to nobody else.
    pub(super) fn client_id(&mut self, id: &At<&str>) -> Option<String> {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~@".contains(&byte);
        let most = limits::OAUTH_CLIENT_BYTES_MAX;
        if (1..=most).contains(&id.value.len()) && id.value.bytes().all(plain) {
            return Some(id.value.to_owned());
        }
        let problem = Problem::error(code::VALUE, "this cannot name a client").at(&id.place);
        let help = format!("a client is named with A-Z a-z 0-9 - . _ ~ @, at most {most} of them");
        self.problems.push(problem.help(help));
        None
    }

    /// One scope (RFC 6749 section 3.3).
    pub(super) fn scope(&mut self, value: &Value<'d>) -> Option<String> {
        let text = value.text(self.problems)?;
        let fits = |byte: u8| byte.is_ascii_graphic() && byte != b'"' && byte != b'\\';
        let most = limits::OAUTH_SCOPE_BYTES_MAX;
        if (1..=most).contains(&text.value.len()) && text.value.bytes().all(fits) {
            return Some(text.value.to_owned());
        }
        let problem = Problem::error(code::VALUE, "this is not a scope").at(&text.place);
        let help = format!("visible characters without spaces and quotes, at most {most}");
        self.problems.push(problem.help(help));
        None
    }

    /// The SHA-256 digest that stands for something of that kind.
    fn digest(&mut self, table: &Table<'d>, key: &str, of: Digested) -> Option<At<[u8; 32]>> {
        let (label, command) = match of {
            Digested::Certificate => (
                "that of the certificate in DER",
                "openssl x509 -in CERTIFICATE -outform DER | sha256sum",
            ),
            Digested::Secret => (
                "never the secret itself",
                "printf %s \"$SECRET\" | sha256sum",
            ),
            Digested::Token => ("never the token itself", "printf %s \"$TOKEN\" | sha256sum"),
        };
        let help = format!("64 digits of 0-9a-f: {command}");
        let text = table.need_as(key, &[&help], self.problems)?;
        let text = text.text(self.problems)?;
        let digest = HEXLOWER.decode(text.value.as_bytes()).ok();
        let digest = digest.and_then(|bytes| <[u8; 32]>::try_from(bytes).ok());
        let (fault, label) = match digest {
            None => ("this is not a SHA-256 digest", label),
            Some(_) if OF_NOTHING.contains(&text.value) => {
                let label = match of {
                    Digested::Certificate => "was the file read?",
                    Digested::Secret | Digested::Token => "was the variable set?",
                };
                ("this is the digest of nothing", label)
            }
            Some(digest) => {
                let place = text.place;
                return Some(At {
                    value: digest,
                    place,
                });
            }
        };
        let problem = Problem::error(code::VALUE, fault).at(&text.place);
        self.problems.push(problem.label(label).help(help));
        None
    }

    /// Reads `upstream-auth`: credentials in the head, and a certificate, if there are.
    pub(super) fn upstream_auth(
        &mut self,
        table: &Table<'d>,
        trust: Trust,
    ) -> (UpstreamAuthDraft, Option<IdentityDraft>) {
        let value = table.value("upstream-auth");
        let auth = match value.and_then(|value| value.text_or_table(self.problems)) {
            None => UpstreamAuthDraft::None,
            Some(TextOrTable::Text(text)) if text.value == "forward" => {
                let message = "the caller's own Authorization goes on to the upstream";
                let problem = Problem::finding(code::FORWARDED, message);
                self.problems.push(problem.at(&text.place));
                UpstreamAuthDraft::Forward
            }
            Some(TextOrTable::Text(text)) => {
                let problem = Problem::error(code::VALUE, "these are no credentials");
                let help =
                    "{ bearer = { file = \"…\" } }, { basic = { file = \"…\" } } or \"forward\"";
                let oauth2 = "or { oauth2 = { token-url = \"…\", client-id = \"…\", \
                              secret = { file = \"…\" } } }";
                let problem = problem.at(&text.place).help(help).help(oauth2);
                self.problems
                    .push(problem.did_you_mean(text.value, ["forward"]));
                UpstreamAuthDraft::None
            }
            Some(TextOrTable::Table(table)) => return self.credentials(&table, trust),
        };
        (auth, None)
    }

    fn credentials(
        &mut self,
        table: &Table<'d>,
        trust: Trust,
    ) -> (UpstreamAuthDraft, Option<IdentityDraft>) {
        let shows = table.has("client-cert") || table.has("client-key");
        let identity = shows.then(|| self.identity(table)).flatten();
        let all = ["bearer", "basic", "oauth2"].map(|key| table.value(key));
        table.finish(self.problems);
        let auth = match all {
            [Some(bearer), None, None] => {
                self.named_file(&bearer).map(UpstreamAuthDraft::BearerFile)
            }
            [None, Some(basic), None] => self.named_file(&basic).map(UpstreamAuthDraft::BasicFile),
            [None, None, Some(oauth2)] => {
                let grant = self.grant(&oauth2, trust);
                grant.map(|grant| UpstreamAuthDraft::Oauth2(Box::new(grant)))
            }
            [None, None, None] if shows => None,
            [_, _, _] => {
                let message = "one of `bearer`, `basic` and `oauth2` must stand here";
                let problem = Problem::error(code::VALUE, message);
                self.problems.push(problem.at(&table.place()));
                None
            }
        };
        (auth.unwrap_or(UpstreamAuthDraft::None), identity)
    }

    /// `client-cert` and `client-key`: one needs the other.
    fn identity(&mut self, table: &Table<'d>) -> Option<IdentityDraft> {
        let [cert, key] = ["client-cert", "client-key"].map(|key| {
            let text = table.need(key, self.problems)?.text(self.problems)?;
            let value = text.value.to_owned();
            let place = text.place;
            Some(At { value, place })
        });
        Some(IdentityDraft {
            cert: cert?,
            key: key?,
        })
    }

    /// `{ file = "secrets/token" }`.
    pub(super) fn named_file(&mut self, value: &Value<'d>) -> Option<At<String>> {
        if value.is_text() {
            let message = "a secret stands in a file of its own";
            let problem = Problem::error(code::TYPE, message).at(&value.place());
            self.problems
                .push(problem.help("write { file = \"secrets/token\" }"));
            return None;
        }
        let table = value.table(self.problems)?;
        let file = table.need("file", self.problems);
        table.finish(self.problems);
        let file = file?.text(self.problems)?;
        let value = file.value.to_owned();
        let place = file.place;
        Some(At { value, place })
    }
}

/// The SHA-256 of no byte, and of a line end alone: what a command makes of a variable that is not
/// set, and what anybody knows.
const OF_NOTHING: [&str; 2] = [
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "01ba4719c80b6fe911b091a7c05124b64eeece964e09c058ef8f9805daca546b",
];

/// What a digest is of.
#[derive(Clone, Copy)]
enum Digested {
    Certificate,
    Secret,
    Token,
}

/// One entry of `callers = [...]`.
enum OneCaller {
    Certificate(At<[u8; 32]>),
    Client(ClientDraft),
    Token(At<[u8; 32]>),
}
