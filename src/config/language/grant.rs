//! `upstream-auth = { oauth2 = { … } }`: where the token for an upstream is fetched, and with what.

use super::Compiler;
use super::draft::GrantDraft;
use super::flows::Trust;
use crate::config::school::one_of;
use crate::config::{At, GrantAuth, Problem, Table, Value, code};
use crate::limits;

impl<'d> Compiler<'d, '_> {
    pub(super) fn grant(&mut self, value: &Value<'d>, trust: Trust) -> Option<GrantDraft> {
        let table = value.table(self.problems)?;
        let url = table.need("token-url", self.problems);
        let url = url.and_then(|url| url.text(self.problems));
        let client = table.need("client-id", self.problems);
        let client = client.and_then(|client| client.text(self.problems));
        let secret = table.need("secret", self.problems);
        let secret = secret.and_then(|secret| self.named_file(&secret));
        let scope = self.asked_scope(&table);
        let auth = self.grant_auth(&table);
        table.finish(self.problems);
        let client = client.and_then(|client| self.their_client_id(&client));
        let url = url?;
        let example = "for example \"https://sis.school.example/oauth/token\"";
        let not = "this is not the address of a token server";
        let mut server = self.endpoint(&url, trust, (not, example))?;
        // A slash at the end counts here: nothing is appended.
        if url.value.ends_with('/') {
            server.base.push('/');
        }
        Some(GrantDraft {
            server,
            client: client?,
            secret: secret?,
            scope,
            auth,
        })
    }

    fn grant_auth(&mut self, table: &Table<'d>) -> GrantAuth {
        let ways = [GrantAuth::Basic, GrantAuth::Form].map(|way| (way.name(), way));
        let text = table.text("auth", self.problems);
        let way = text.and_then(|text| one_of(&text, "oauth2.auth", &ways, self.problems));
        way.unwrap_or(GrantAuth::Basic)
    }

    /// The name that the token server gave us: it says what one looks like (RFC 6749 appendix A.1).
    fn their_client_id(&mut self, id: &At<&str>) -> Option<String> {
        self.visible(
            id,
            "this cannot name a client",
            limits::OAUTH_CLIENT_BYTES_MAX,
        )
    }

    /// `scope`: one, or several with spaces between them (RFC 6749 section 3.3).
    fn asked_scope(&mut self, table: &Table<'d>) -> Option<String> {
        let text = table.text("scope", self.problems)?;
        let most = limits::OAUTH_SCOPE_BYTES_MAX.saturating_mul(limits::OAUTH_SCOPES_MAX);
        self.visible(&text, "this is not a scope", most)
    }

    fn visible(&mut self, text: &At<&str>, not: &str, most: usize) -> Option<String> {
        let fits = |byte: u8| byte.is_ascii_graphic() || byte == b' ';
        let trimmed = text.value.trim() == text.value;
        if trimmed && (1..=most).contains(&text.value.len()) && text.value.bytes().all(fits) {
            return Some(text.value.to_owned());
        }
        let problem = Problem::error(code::VALUE, not).at(&text.place);
        let help = format!("1 to {most} visible characters");
        self.problems.push(problem.help(help));
        None
    }
}
