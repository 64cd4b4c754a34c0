//! `[flow.X]`: who calls, where, and who is called.

use std::net::IpAddr;

use ipnet::IpNet;

use super::Compiler;
use super::draft::{FlowDraft, IdentityDraft, UpstreamAuthDraft};
use super::preset::PresetInUse;
use super::routes::{InRoutes, PlacedRoute};
use crate::config::address::{WebAddress, WebScheme, plain_path};
use crate::config::gateway::tls_min;
use crate::config::school::one_of;
use crate::config::{
    At, Http2, Place, Problem, Problems, Rate, Reach, Retry, Scheme, TOKEN_PATH, Table, TlsVersion,
    Upstream, UpstreamTls, code, shown,
};
use crate::limits;
use crate::names::FlowId;
use crate::policy::{Flow, Side};

/// Reads `caller`.
pub(super) fn read_side(table: &Table<'_>, problems: &mut Problems) -> Option<Side> {
    let sides = [("school", Side::School), ("vendor", Side::Vendor)];
    one_of(&table.text("caller", problems)?, "caller", &sides, problems)
}

/// A flow of which it is known who calls, and the presets that it names.
pub(super) struct NamedFlow<'d, 'p> {
    pub(super) name: At<&'d str>,
    pub(super) table: Table<'d>,
    pub(super) caller: Side,
    pub(super) presets: Vec<&'p PresetInUse<'d>>,
}

impl<'d> Compiler<'d, '_> {
    /// Reads a flow with its routes: into the policy, and into the settings that are given back.
    pub(super) fn flow(&mut self, flow: &NamedFlow<'d, '_>) -> Option<FlowDraft> {
        let mut routes = Vec::new();
        for preset in &flow.presets {
            routes.extend(self.routes(&preset.root, flow.caller));
        }
        if !flow.presets.is_empty() {
            self.refuse_routes_beside(&flow.table);
        }
        routes.extend(self.routes(&flow.table, flow.caller));
        let in_routes = InRoutes::of(&routes);
        self.asks_more_of_doors |= !in_routes.is_empty();
        let routes = self.ordered(routes).into();
        self.policy.flows.push(Flow {
            name: flow.name.value.to_owned(),
            caller: flow.caller,
            routes,
        });
        self.door(flow, in_routes)
    }

    /// Reads everything of a flow but its routes and who calls.
    pub(super) fn door(
        &mut self,
        flow: &NamedFlow<'d, '_>,
        in_routes: InRoutes,
    ) -> Option<FlowDraft> {
        let NamedFlow { name, table, .. } = flow;
        let id = FlowId::parse(name.value);
        if id.is_none() {
            let message = format!("{} cannot name a flow", shown(name.value));
            let problem = Problem::error(code::VALUE, message).at(&name.place);
            let help = "a flow is named with a-z, 0-9 and `-`, at most 64 of them";
            self.problems.push(problem.help(help));
        }
        let _read_before = table.has("preset");
        let draft = self.settings(id, flow);
        self.check_token_path(draft.as_ref(), in_routes.on_token_path);
        let auth = draft.as_ref().map(|it| &it.upstream_auth);
        self.check_credentials(auth, &in_routes.about_credentials);
        table.finish(self.problems);
        draft
    }

    /// Who calls; the vendor where that is not known, and then reported.
    pub(super) fn caller(&mut self, table: &Table<'d>, presets: &[&PresetInUse<'d>]) -> Side {
        let of_presets = presets.iter().filter_map(|it| Some((it.caller?, &it.name)));
        let first = of_presets.clone().next().map(|(side, _)| side);
        // A preset that we do not know may say it.
        let said_elsewhere = first.is_some() || presets.is_empty() && table.has("preset");
        let help = [
            "caller = \"school\" if a system of the school calls the vendor",
            "caller = \"vendor\" if the vendor calls a system of the school",
        ];
        if !said_elsewhere && table.need_as("caller", &help, self.problems).is_none() {
            return Side::Vendor;
        }
        let written = read_side(table, self.problems);
        let caller = written.or(first).unwrap_or(Side::Vendor);
        let place = table.value("caller").or_else(|| table.value("preset"));
        let place = place.map_or_else(|| table.place(), |it| it.place());
        for (theirs, preset) in of_presets.filter(|(theirs, _)| *theirs != caller) {
            let who = match theirs {
                Side::School => "school",
                Side::Vendor => "vendor",
            };
            let message = format!("in {preset} the {who} calls");
            let problem = Problem::error(code::CONFLICT, message);
            self.problems.push(problem.at(&place));
        }
        first.unwrap_or(caller)
    }

    fn routes(&mut self, table: &Table<'d>, caller: Side) -> Vec<PlacedRoute> {
        let list = table.array("route", self.problems).unwrap_or_default();
        let mut routes = Vec::new();
        for value in &list {
            if let Some(route) = value.table(self.problems) {
                routes.extend(self.route(&route, caller));
            }
            if routes.len() > limits::POLICY_PARTS_MAX {
                let most = limits::POLICY_PARTS_MAX;
                let message = format!("a flow may have at most {most} routes");
                let problem = Problem::error(code::TOO_MANY, message);
                self.problems.push(problem.at(&value.place()));
                routes.truncate(limits::POLICY_PARTS_MAX);
                break;
            }
        }
        routes
    }

    fn refuse_routes_beside(&mut self, table: &Table<'d>) {
        let quiet = self.quietly(|it| table.array("route", it.problems));
        for route in quiet.unwrap_or_default() {
            let message = "a route beside those of the preset sends more than the preset";
            let problem = Problem::error(code::WIDENS, message).at(&route.place());
            self.problems
                .push(problem.help("write it in a flow of its own"));
        }
    }

    fn settings(&mut self, id: Option<FlowId>, flow: &NamedFlow<'d, '_>) -> Option<FlowDraft> {
        let NamedFlow {
            name,
            table,
            caller,
            presets: _,
        } = flow;
        let at = self.at(name, table);
        let ip_ranges = self.ip_ranges(table);
        let rate = table.value("rate");
        let rate = rate.and_then(|it| Rate::read(&it, self.problems));
        let (trust, roots) = self.trust(table);
        let (upstream_auth, identity) = self.upstream_auth(table, trust);
        let callers = self.callers(table, &upstream_auth);
        let upstream = self.upstream(table, trust);
        self.check_tls_is_used(table, upstream.as_ref(), &upstream_auth);
        self.check_identity_is_used(upstream.as_ref(), identity.as_ref());
        let keyed = table.flag("idempotency", self.problems);
        let retry = match keyed.is_some_and(|keyed| keyed.value) {
            true => Retry::WithKey,
            false => Retry::Idempotent,
        };
        Some(FlowDraft {
            id: id?,
            place: name.place.clone(),
            caller: *caller,
            at: at?,
            callers: callers?,
            ip_ranges,
            rate: rate.or(self.rate),
            upstream: upstream?,
            roots,
            upstream_auth,
            identity,
            retry,
        })
    }

    fn at(&mut self, name: &At<&str>, table: &Table<'d>) -> Option<At<String>> {
        let Some(at) = table.value("at") else {
            let value = format!("/{}/{}", self.vendor, name.value);
            let place = name.place.clone();
            return Some(At { value, place });
        };
        let at = at.text(self.problems)?;
        let path = match at.value {
            "" => Err("a path begins with a slash"),
            path => plain_path(path),
        };
        match path {
            Ok(value) => Some(At {
                value,
                place: at.place,
            }),
            Err(why) => {
                let problem = Problem::error(code::VALUE, "a flow cannot be reached here");
                let problem = problem.at(&at.place).label(why);
                let help = slashed(at.value).map(|path| format!("did you mean {}?", shown(&path)));
                let help = help.unwrap_or_else(|| "for example \"/rekenwijs\"".to_owned());
                self.problems.push(problem.help(help));
                None
            }
        }
    }

    fn ip_ranges(&mut self, table: &Table<'d>) -> Vec<IpNet> {
        let list = table.array("ip-ranges", self.problems).unwrap_or_default();
        let texts: Vec<_> = list
            .iter()
            .filter_map(|it| it.text(self.problems))
            .collect();
        texts
            .iter()
            .filter_map(|text| self.ip_range(text))
            .collect()
    }

    fn ip_range(&mut self, text: &At<&str>) -> Option<IpNet> {
        let one = text.value.parse::<IpAddr>().map(IpNet::from);
        let Ok(range) = text.value.parse::<IpNet>().or(one) else {
            let problem = Problem::error(code::VALUE, "this is not a range of addresses");
            let help = "for example \"203.0.113.0/27\" or \"2001:db8::/32\"";
            self.problems.push(problem.at(&text.place).help(help));
            return None;
        };
        if range.trunc() != range {
            let problem = Problem::error(code::VALUE, "this address lies within its range");
            let help = format!("the range begins at \"{}\"", range.trunc());
            self.problems.push(problem.at(&text.place).help(help));
        }
        Some(range)
    }

    /// What is trusted on the way to the upstream, and the file of roots if there is one.
    fn trust(&mut self, table: &Table<'d>) -> (Trust, Option<At<String>>) {
        let private = table.flag("allow-private", self.problems);
        let private = private.is_some_and(|private| private.value);
        let (min, http2, roots) = self.upstream_tls(table);
        let trust = Trust {
            min,
            http2,
            private,
        };
        (trust, roots)
    }

    /// The upstream without its roots.
    fn upstream(&mut self, table: &Table<'d>, trust: Trust) -> Option<At<Upstream>> {
        let missing = ["the address that is called: upstream = \"https://sis.school.example/api\""];
        let url = table.need_as("upstream", &missing, self.problems)?;
        let url = url.text(self.problems)?;
        let help = "for example \"https://sis.school.example/api\"";
        let value = self.endpoint(
            &url,
            trust,
            ("this is not the address of an upstream", help),
        )?;
        let place = url.place;
        Some(At { value, place })
    }

    /// An address that we call, without its roots; or what it is not, and an example.
    pub(super) fn endpoint(
        &mut self,
        url: &At<&str>,
        trust: Trust,
        (not, example): (&str, &str),
    ) -> Option<Upstream> {
        let address = match WebAddress::parse(url.value) {
            Ok(address) => address,
            Err(why) => {
                let problem = Problem::error(code::VALUE, not);
                let problem = problem.at(&url.place).label(why);
                self.problems.push(problem.help(example));
                return None;
            }
        };
        let scheme = match address.scheme {
            WebScheme::Https => {
                let Trust { min, http2, .. } = trust;
                let (roots, identity) = (None, None);
                Scheme::Https(UpstreamTls {
                    roots,
                    identity,
                    min,
                    http2,
                })
            }
            WebScheme::Http => Scheme::Http,
        };
        let literal = address.host.parse::<IpAddr>().ok();
        if matches!(scheme, Scheme::Http) && !address.is_loopback() {
            let message = "what goes to this upstream can be read on the way";
            let problem = Problem::finding(code::PLAIN_HTTP, message).at(&url.place);
            let help = "https, unless the network between is your own";
            self.problems.push(problem.help(help));
        }
        if address.is_localhost() && !trust.private {
            let message = "this name leads to a private address, so every request is refused";
            let problem = Problem::finding(code::PRIVATE_NAME, message).at(&url.place);
            let problem = problem.label("502 `private_address`");
            let problem =
                problem.help("allow-private = true in the flow, if this machine is meant");
            let address = "or an address in place of the name: 127.0.0.1";
            self.problems.push(problem.help(address));
        }
        Some(Upstream {
            scheme,
            host: address.host,
            port: address.port,
            base: address.path,
            reach: match trust.private || literal.is_some() {
                true => Reach::Any,
                false => Reach::Public,
            },
        })
    }

    fn check_identity_is_used(
        &mut self,
        upstream: Option<&At<Upstream>>,
        identity: Option<&IdentityDraft>,
    ) {
        let plain = upstream.filter(|it| it.value.scheme == Scheme::Http);
        if let (Some(_), Some(identity)) = (plain, identity) {
            let problem = Problem::error(code::CONFLICT, "`client-cert` goes with https only");
            self.problems.push(problem.at(&identity.cert.place));
        }
    }

    fn check_tls_is_used(
        &mut self,
        table: &Table<'d>,
        upstream: Option<&At<Upstream>>,
        auth: &UpstreamAuthDraft,
    ) {
        let plain = |it: &Upstream| it.scheme == Scheme::Http;
        let unused = match auth {
            UpstreamAuthDraft::Oauth2(grant) => plain(&grant.server),
            UpstreamAuthDraft::BasicFile(_)
            | UpstreamAuthDraft::BearerFile(_)
            | UpstreamAuthDraft::Forward
            | UpstreamAuthDraft::None => true,
        };
        if let (true, Some(_), Some(tls)) = (
            unused,
            upstream.filter(|it| plain(&it.value)),
            table.value("upstream-tls"),
        ) {
            let problem = Problem::error(code::CONFLICT, "`upstream-tls` goes with https only");
            self.problems.push(problem.at(tls.key_place()));
        }
    }

    /// With `oauth2` callers, `/oauth/token` is where they fetch their tokens.
    fn check_token_path(&mut self, flow: Option<&FlowDraft>, taken: Vec<Place>) {
        let callers = flow.map(|flow| &flow.callers);
        let Some(callers) = callers.filter(|it| !it.value.clients().is_empty()) else {
            return;
        };
        let problems = taken.into_iter().map(|place| {
            let message = format!("this route matches the gateway's own {}", shown(TOKEN_PATH));
            let problem = Problem::error(code::CONFLICT, message).at(&place);
            problem.also(&callers.place, "`oauth2` callers fetch their tokens there")
        });
        self.problems.extend(problems);
    }

    fn upstream_tls(&mut self, table: &Table<'d>) -> (TlsVersion, Http2, Option<At<String>>) {
        let Some(tls) = table.table("upstream-tls", self.problems) else {
            return (TlsVersion::V13, Http2::IfAgreed, None);
        };
        let roots = tls.text("roots", self.problems).map(|roots| At {
            value: roots.value.to_owned(),
            place: roots.place,
        });
        let min = tls_min(&tls, self.problems);
        let http2 = match tls.flag("http2", self.problems) {
            Some(At { value: false, .. }) => Http2::Never,
            Some(At { value: true, .. }) | None => Http2::IfAgreed,
        };
        tls.finish(self.problems);
        (min, http2, roots)
    }
}

/// What is trusted on the way to an upstream and to its token server.
#[derive(Clone, Copy, Debug)]
pub(super) struct Trust {
    /// The oldest version of TLS spoken.
    min: TlsVersion,
    /// Whether HTTP/2 is spoken.
    http2: Http2,
    /// `allow-private`.
    private: bool,
}

/// The path that a text without its slash is meant to be, unless it may be a host or a URL.
fn slashed(text: &str) -> Option<String> {
    let first = text.split('/').next().unwrap_or_default();
    let path = plain_path(&format!("/{text}")).ok()?;
    (path.len() > 1 && !first.contains(['.', ':', '@'])).then_some(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_not_taken_for_a_path_without_its_slash() {
        for (text, path) in [
            ("rekenwijs", Some("/rekenwijs")),
            ("rekenwijs/v1.2/", Some("/rekenwijs/v1.2")),
            ("sluis.school.example/rekenwijs", None),
            ("localhost:8080/rekenwijs", None),
            ("piet@rekenwijs", None),
            ("https://sluis.school.example/rekenwijs", None),
            ("", None),
            ("/", None),
        ] {
            assert_eq!(slashed(text).as_deref(), path, "{text}");
        }
    }
}
