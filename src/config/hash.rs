//! The name of a policy: a digest of everything that decides what leaves, and to whom.
//!
//! Two nodes with the same files and the same keys have the same hash; comments and layout do not
//! count, nor do the gateway's own settings. Every struct is taken apart field by field, so that a
//! new one must be given its place here before the code compiles.

use std::fmt::Display;

use data_encoding::HEXLOWER;

use super::{
    Callers, Client, Door, Flow, Listed, Mode, PolicyHash, Reach, Scheme, Upstream, UpstreamAuth,
    UpstreamTls, Vendor,
};
use crate::policy::{
    self, Any, Constant, Content, DateForm, Field, Generaliser, IdKind, Item, Keep, Otherwise,
    ParameterType, Policy, QueryParameter, QueryRule, Route, Rule, Segment, Shape, ShapeBody,
    Switch, Unlisted, ValueRules, ValueType,
};
use crate::pseudonym::{Back, Kind, KindSpec, Notation};
use crate::secret::{SecretBytes, sha256};

/// Names one vendor's policy, agreement and key.
pub(super) fn of_vendor(vendor: &Vendor, agreement: &str) -> PolicyHash {
    let mut content = Canon::new("vendor");
    content.vendor(vendor, agreement);
    content.hash()
}

/// Names a whole configuration: its vendors, and where each flow is reached.
pub(super) fn of_all(vendors: &[std::sync::Arc<Vendor>], doors: &[Door]) -> PolicyHash {
    let mut content = Canon::new("configuration");
    content.list(vendors, |content, vendor| content.text(&vendor.hash.0));
    content.list(doors, |content, door| {
        let Door {
            host,
            prefix,
            vendor,
            flow,
        } = door;
        content.texts(&[host, prefix, vendor.school.as_str(), vendor.id.as_str()]);
        content.number(*flow);
    });
    content.hash()
}

/// Content in one form: texts behind their length, lists behind theirs, choices by name.
struct Canon(Vec<u8>);

impl Canon {
    fn new(what: &str) -> Self {
        let mut canon = Self(Vec::new());
        canon.texts(&["sluis policy 1", what]);
        canon
    }

    fn hash(&self) -> PolicyHash {
        // Exposed to be shown: what was digested is public towards whoever reads the files.
        let digest = sha256(&self.0);
        let (first, _) = digest.expose().split_at(8);
        PolicyHash(HEXLOWER.encode(first))
    }

    fn text(&mut self, text: &str) {
        self.number(text.len());
        self.0.extend_from_slice(text.as_bytes());
    }

    fn texts(&mut self, texts: &[&str]) {
        texts.iter().for_each(|text| self.text(text));
    }

    fn shown(&mut self, value: impl Display) {
        self.text(&value.to_string());
    }

    fn number(&mut self, number: usize) {
        let number = u64::try_from(number).unwrap_or(u64::MAX);
        self.0.extend_from_slice(&number.to_be_bytes());
    }

    fn list<T>(&mut self, items: &[T], mut item: impl FnMut(&mut Self, &T)) {
        self.number(items.len());
        items.iter().for_each(|it| item(self, it));
    }

    fn vendor(&mut self, vendor: &Vendor, agreement: &str) {
        let Vendor {
            school,
            id,
            name,
            valid,
            mode,
            body_bytes_max,
            law,
            flows,
            fingerprint,
            key_version: _,
            retired: _,
            hash: _,
        } = vendor;
        self.texts(&[school.as_str(), id.as_str(), name, agreement]);
        self.texts(&[&valid.from.to_string(), &valid.until.to_string()]);
        self.text(match mode {
            Mode::Enforce => "enforce",
            Mode::Observe => "observe",
        });
        self.shown(body_bytes_max);
        self.shown(fingerprint);
        self.list(law.kinds(), Self::kind);
        self.policy(&law.policy);
        self.list(flows, Self::flow);
    }

    fn kind(&mut self, kind: &Kind) {
        let KindSpec {
            name,
            canonical,
            notation,
            back,
            unknown,
            accept_keys,
        } = kind.spec();
        self.text(name);
        self.list(canonical.rules(), |canon, rule| canon.text(rule.name()));
        // A kind without a way back has the hash that it had before there was one.
        match back {
            Back::Never => self.shown(notation),
            Back::SchoolOnly => {
                let (back, unknown) = (back.name(), unknown.name());
                let back = format!("back {back}, unknown {unknown}, accept {accept_keys}");
                self.text(&format!("{notation}, {back}"));
            }
        }
        match notation {
            Notation::Email { domain } => self.text(domain),
            Notation::Url { prefix } => self.text(prefix),
            Notation::Digits(_) | Notation::Hex | Notation::Text(_) | Notation::Uuid => {}
        }
    }

    /// Which credentials are shown is told, and never what they are.
    fn flow(&mut self, flow: &Flow) {
        let Flow {
            id,
            callers,
            ip_ranges,
            rate,
            upstream,
            upstream_auth,
        } = flow;
        self.text(id.as_str());
        match callers {
            Callers::Anyone => self.text("anyone"),
            Callers::Forwarded => self.text("forwarded"),
            Callers::Listed(Listed { tokens, clients }) => {
                self.text("listed");
                self.list(tokens, Self::digest);
                self.list(clients, |canon, Client { id, secret, scopes }| {
                    canon.text(id);
                    canon.digest(secret);
                    canon.list(scopes, |canon, scope| canon.text(scope));
                });
            }
        }
        self.list(ip_ranges, |canon, range| canon.shown(range));
        self.list(rate.as_slice(), |canon, rate| canon.shown(rate));
        self.upstream(upstream);
        self.text(upstream_auth.name());
        if let UpstreamAuth::Oauth2(grant) = upstream_auth {
            self.upstream(&grant.server);
            self.texts(&grant.told());
        }
    }

    /// Exposed to be hashed: it is a digest itself.
    fn digest(&mut self, digest: &SecretBytes<32>) {
        self.text(&HEXLOWER.encode(digest.expose()));
    }

    fn upstream(&mut self, upstream: &Upstream) {
        let Upstream {
            scheme,
            host,
            port,
            base,
            reach,
        } = upstream;
        self.texts(&[host, base]);
        self.shown(port);
        match scheme {
            Scheme::Http => self.text("http"),
            Scheme::Https(UpstreamTls { roots, min }) => {
                self.texts(&["https", min.name()]);
                // Where they lie is the machine's own business.
                self.text(if roots.is_some() { "own roots" } else { "" });
            }
        }
        self.text(match reach {
            Reach::Any => "any",
            Reach::Public => "public",
        });
    }

    fn policy(&mut self, policy: &Policy) {
        let Policy {
            shapes,
            kinds,
            constants,
            generalisers,
            value_rules,
            flows,
            // Made of each flow's upstream and of its door, which are both told.
            bases: _,
        } = policy;
        self.list(shapes, Self::shape);
        self.list(kinds, |canon, IdKind { name }| canon.text(name));
        self.list(constants, |canon, Constant { json }| {
            canon.list(json, |canon, byte| canon.number(usize::from(*byte)));
        });
        self.list(generalisers, Self::generaliser);
        self.list(value_rules, Self::value_rules);
        self.list(
            flows,
            |canon,
             policy::Flow {
                 name,
                 caller,
                 routes,
             }| {
                canon.text(name);
                canon.text(match caller {
                    policy::Side::School => "school",
                    policy::Side::Vendor => "vendor",
                });
                canon.list(routes, Self::route);
            },
        );
    }

    fn shape(&mut self, Shape { name, body }: &Shape) {
        self.text(name);
        match body {
            ShapeBody::Fields(fields) => {
                self.text("fields");
                self.list(fields.lines(), |canon, Field { key, rule }| {
                    canon.text(key);
                    canon.rule(*rule);
                });
                self.list(fields.any.as_slice(), |canon, Any { key, rule }| {
                    canon.number(key.place());
                    canon.rule(*rule);
                });
                self.text(match fields.unlisted {
                    Unlisted::Drop => "drop",
                    Unlisted::Refuse => "refuse",
                });
            }
            ShapeBody::Switch(Switch {
                path,
                cases,
                otherwise,
            }) => {
                self.text("switch");
                self.list(path, |canon, key| canon.text(key));
                self.list(cases, |canon, (value, shape)| {
                    canon.text(value);
                    canon.number(shape.place());
                });
                match otherwise {
                    Otherwise::DropItem => self.text("drop-item"),
                    Otherwise::Shape(shape) => self.named("shape", shape.place()),
                }
            }
        }
    }

    fn named(&mut self, name: &str, place: usize) {
        self.text(name);
        self.number(place);
    }

    fn rule(&mut self, rule: Rule) {
        match rule {
            Rule::Blank => self.text("blank"),
            Rule::Constant(constant) => self.named("constant", constant.place()),
            Rule::Derived { kind, of } => {
                self.named("derived", kind.place());
                self.number(of);
            }
            Rule::Drop => self.text("drop"),
            Rule::Generalise(generaliser) => self.named("generalise", generaliser.place()),
            Rule::Identifier(kind) => self.named("identifier", kind.place()),
            Rule::Keep(keep) => self.keep(keep),
            Rule::KeepAll => self.text("keep-all"),
            Rule::List(item) => self.item("list", item),
            Rule::ListOrOne(item) => self.item("list-or-one", item),
            Rule::Object(shape) => self.named("object", shape.place()),
        }
    }

    fn item(&mut self, list: &str, item: Item) {
        self.text(list);
        self.rule(item.rule());
    }

    fn keep(&mut self, Keep { of, rules }: Keep) {
        self.texts(&[
            "keep",
            match of {
                ValueType::Any => "any",
                ValueType::Bool => "bool",
                ValueType::Date => "date",
                ValueType::DateTime => "datetime",
                ValueType::Int => "int",
                ValueType::Lang => "lang",
                ValueType::Number => "number",
                ValueType::Slug => "slug",
                ValueType::Url => "url",
                ValueType::Uuid => "uuid",
            },
        ]);
        self.list(rules.as_slice(), |canon, rules| canon.number(rules.place()));
    }

    fn value_rules(
        &mut self,
        ValueRules {
            one_of,
            chars_max,
            like,
        }: &ValueRules,
    ) {
        self.list(one_of.as_slice(), |canon, values| {
            canon.list(values, |canon, value| canon.text(value));
        });
        self.list(chars_max.as_slice(), |canon, chars| canon.number(*chars));
        self.list(like.as_slice(), |canon, like| canon.text(like.as_str()));
    }

    fn generaliser(&mut self, generaliser: &Generaliser) {
        match generaliser {
            Generaliser::Band(edges) => {
                self.text("band");
                self.list(edges, |canon, edge| canon.shown(edge));
            }
            Generaliser::Initial => self.text("initial"),
            Generaliser::Month(form) => self.date("month", *form),
            Generaliser::Round(to) => {
                self.text("round");
                self.shown(to);
            }
            Generaliser::SchoolYear(form) => self.date("school-year", *form),
            Generaliser::Year(form) => self.date("year", *form),
        }
    }

    fn date(&mut self, name: &str, form: DateForm) {
        self.texts(&[
            name,
            match form {
                DateForm::FirstDay => "date",
                DateForm::Short => "short",
            },
        ]);
    }

    fn route(&mut self, route: &Route) {
        let Route {
            name,
            method,
            path,
            query,
            to_vendor,
            from_vendor,
        } = route;
        self.texts(&[name, method.as_str()]);
        self.list(path, |canon, segment| match segment {
            Segment::Identifier(kind) => canon.named("identifier", kind.place()),
            Segment::Literal(text) => canon.texts(&["literal", text]),
            Segment::Parameter(of) => canon.parameter(of),
        });
        self.list(query, |canon, QueryParameter { name, rule }| {
            canon.text(name);
            match rule {
                QueryRule::Fields(items) => canon.named("fields", items.place()),
                QueryRule::Filter(items) => canon.named("filter", items.place()),
                QueryRule::Identifier(kind) => canon.named("identifier", kind.place()),
                QueryRule::Identifiers(kind) => canon.named("identifiers", kind.place()),
                QueryRule::One(of) => canon.parameter(of),
                QueryRule::Sort(items) => canon.named("sort", items.place()),
            }
        });
        for content in [to_vendor, from_vendor] {
            match content {
                Content::Json(rule) => {
                    self.text("json");
                    self.rule(*rule);
                }
                Content::Nothing => self.text("nothing"),
            }
        }
    }

    fn parameter(&mut self, of: &ParameterType) {
        match of {
            ParameterType::Date => self.text("date"),
            ParameterType::DateTime => self.text("datetime"),
            ParameterType::Int => self.text("int"),
            ParameterType::OneOf(words) => {
                self.text("one-of");
                self.list(words, |canon, word| canon.text(word));
            }
            ParameterType::Slug => self.text("slug"),
            ParameterType::Uuid => self.text("uuid"),
        }
    }
}
