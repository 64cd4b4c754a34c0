//! Credentials: who may call a flow, and what its upstream is shown. Never a secret itself: digests
//! of tokens, and names of files.

use data_encoding::HEXLOWER;

use super::Compiler;
use super::draft::{CallersDraft, UpstreamAuthDraft};
use crate::config::{At, Problem, Table, TextOrTable, Value, code};

/// Kinds of caller that come later, each with what stands beside it.
const CALLERS_NOT_YET: [(&str, &str); 2] =
    [("client-cert-sha256", ""), ("oauth2", "secret-sha256")];
/// Kinds of credentials that come later, each with what stands beside it.
const AUTH_NOT_YET: [(&str, &str); 2] = [("client-cert", "client-key"), ("oauth2", "")];

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
        let value = table.need("callers", self.problems)?;
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
        let tokens = list.iter().filter_map(|caller| self.one_caller(caller));
        let value = CallersDraft::Tokens(tokens.collect());
        Some(At { value, place })
    }

    fn one_caller(&mut self, value: &Value<'d>) -> Option<[u8; 32]> {
        let table = value.table(self.problems)?;
        if self.comes_later(&table, &CALLERS_NOT_YET) {
            return None;
        }
        let token = table.need("token-sha256", self.problems);
        table.finish(self.problems);
        let token = token?.text(self.problems)?;
        let digest = HEXLOWER.decode(token.value.as_bytes()).ok();
        let digest = digest.and_then(|bytes| <[u8; 32]>::try_from(bytes).ok());
        if digest.is_none() {
            let problem = Problem::error(code::VALUE, "this is not a SHA-256 digest");
            let problem = problem.at(&token.place).label("never the token itself");
            let help = "64 digits of 0-9a-f: printf %s \"$TOKEN\" | sha256sum";
            self.problems.push(problem.help(help));
        }
        digest
    }

    /// Whether one of these keys stands in a table; it is reported, and nothing else of the table.
    fn comes_later(&mut self, table: &Table<'d>, keys: &[(&str, &str)]) -> bool {
        for (key, beside) in keys {
            if let Some(later) = table.value(key) {
                self.not_yet(key, later.key_place());
                let _asked = table.has(beside);
                return true;
            }
        }
        false
    }

    /// Reads `upstream-auth`.
    pub(super) fn upstream_auth(&mut self, table: &Table<'d>) -> UpstreamAuthDraft {
        let value = table.value("upstream-auth");
        match value.and_then(|value| value.text_or_table(self.problems)) {
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
                let problem = problem.at(&text.place).help(help);
                self.problems
                    .push(problem.did_you_mean(text.value, ["forward"]));
                UpstreamAuthDraft::None
            }
            Some(TextOrTable::Table(table)) => self.credentials(&table),
        }
    }

    fn credentials(&mut self, table: &Table<'d>) -> UpstreamAuthDraft {
        if self.comes_later(table, &AUTH_NOT_YET) {
            return UpstreamAuthDraft::None;
        }
        let bearer = table.value("bearer");
        let basic = table.value("basic");
        table.finish(self.problems);
        match (bearer, basic) {
            (Some(bearer), None) => self
                .named_file(&bearer)
                .map_or(UpstreamAuthDraft::None, UpstreamAuthDraft::BearerFile),
            (None, Some(basic)) => self
                .named_file(&basic)
                .map_or(UpstreamAuthDraft::None, UpstreamAuthDraft::BasicFile),
            (Some(_), Some(_)) | (None, None) => {
                let message = "one of `bearer` and `basic` must stand here";
                let problem = Problem::error(code::VALUE, message);
                self.problems.push(problem.at(&table.place()));
                UpstreamAuthDraft::None
            }
        }
    }

    /// `{ file = "secrets/token" }`.
    fn named_file(&mut self, value: &Value<'d>) -> Option<At<String>> {
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
