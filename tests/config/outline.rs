//! A compiled policy as text, to compare and to read.

use std::fmt::Write as _;

use sluis::config::{At, CallersDraft, UpstreamAuthDraft, VendorDraft};
use sluis::policy::{
    Content, Item, Keep, Otherwise, Policy, QueryRule, Rule, Segment, ShapeBody, StatusContent,
    Unlisted,
};

/// Everything that decides what leaves, and the settings of each flow.
pub(crate) fn of(draft: &VendorDraft) -> String {
    let mut text = String::new();
    let policy = &draft.policy;
    let (from, until) = (draft.valid.from, draft.valid.until);
    writeln!(
        text,
        "{} {} {from} {until} {:?}",
        draft.name, draft.agreement, draft.mode
    )
    .unwrap();
    if let (Some(key), Some(body)) = (&draft.key, &draft.body_bytes_max) {
        writeln!(text, "key {} body {}", key.value, body.value).unwrap();
    }
    for (kind, spec) in policy.kinds.iter().zip(&draft.kind_specs) {
        assert_eq!(kind.name, spec.name);
        let rules = spec.canonical.rules();
        writeln!(text, "id {} {:?} {rules:?}", kind.name, spec.notation).unwrap();
    }
    records_into(&mut text, draft);
    for shape in &policy.shapes {
        shape_into(&mut text, policy, shape);
    }
    for (flow, settings) in policy.flows.iter().zip(&draft.flows) {
        writeln!(
            text,
            "\nflow {} {:?} at {:?}",
            flow.name, flow.caller, settings.at.value
        )
        .unwrap();
        writeln!(
            text,
            "  {} {:?}",
            callers(&settings.callers.value),
            settings.ip_ranges
        )
        .unwrap();
        if let Some(rate) = settings.rate {
            writeln!(text, "  rate {rate}").unwrap();
        }
        writeln!(text, "  {:?}", settings.upstream.value).unwrap();
        if let UpstreamAuthDraft::Oauth2(grant) = &settings.upstream_auth {
            let secret = &grant.secret.value;
            writeln!(text, "  oauth2 {:?} {:?}", grant.client, grant.server).unwrap();
            writeln!(text, "  {secret:?} {:?} {:?}", grant.scope, grant.auth).unwrap();
        }
        let roots = settings.roots.as_ref().map(|roots| &roots.value);
        writeln!(text, "  roots {roots:?}").unwrap();
        for route in flow.routes.iter() {
            route_into(&mut text, policy, route);
        }
    }
    for count in draft.shapes.iter() {
        writeln!(text, "{} {} of {}", count.name, count.leaving, count.known).unwrap();
    }
    text
}

/// Who may call, by the digests of what they know or show.
fn callers(callers: &CallersDraft) -> String {
    let CallersDraft::Listed {
        tokens,
        clients,
        certificates,
    } = callers
    else {
        return format!("{callers:?}");
    };
    let mut all = "Listed".to_owned();
    for token in tokens {
        write!(all, " token {}", hex(token)).unwrap();
    }
    for client in clients {
        let (id, secret, scopes) = (&client.id, hex(&client.secret), &client.scopes);
        write!(all, " client {id} {secret} {scopes:?}").unwrap();
    }
    for certificate in certificates {
        write!(all, " certificate {}", hex(certificate)).unwrap();
    }
    all
}

fn hex(digest: &At<[u8; 32]>) -> String {
    let digits = digest.value.iter().map(|byte| format!("{byte:02x}"));
    digits.collect()
}

fn records_into(text: &mut String, draft: &VendorDraft) {
    let policy = &draft.policy;
    for only in &policy.records.only {
        let shape = &policy.shape(only.shape).unwrap().name;
        let path = only.path.join(".");
        writeln!(text, "only {shape} {path} {:?}", only.values).unwrap();
    }
    for list in &draft.objections {
        let (kind, file) = (policy.kind_name(list.kind), &list.list.value);
        writeln!(text, "except {kind} {file:?} {:?}", list.age_max_s).unwrap();
    }
}

fn shape_into(text: &mut String, policy: &Policy, shape: &sluis::policy::Shape) {
    writeln!(text, "\n{}", shape.name).unwrap();
    match &shape.body {
        ShapeBody::Fields(fields) => {
            for line in fields.lines() {
                let rule = rule(policy, line.rule);
                writeln!(text, "  {} = {rule}", line.key).unwrap();
            }
            if let Some(any) = fields.any {
                let key = policy.kind_name(any.key);
                writeln!(text, "  any {key} = {}", rule(policy, any.rule)).unwrap();
            }
            if fields.unlisted == Unlisted::Refuse {
                writeln!(text, "  strict").unwrap();
            }
            if let Some(stub) = fields.stub {
                writeln!(text, "  withheld {}", policy.shape(stub).unwrap().name).unwrap();
            }
        }
        ShapeBody::Switch(switch) => {
            writeln!(text, "  by {}", switch.path.join(".")).unwrap();
            for (value, shape) in &switch.cases {
                let shape = &policy.shape(*shape).unwrap().name;
                writeln!(text, "  {value:?} {shape}").unwrap();
            }
            match switch.otherwise {
                Otherwise::DropItem => writeln!(text, "  else dropped").unwrap(),
                Otherwise::Shape(shape) => {
                    writeln!(text, "  else {}", policy.shape(shape).unwrap().name).unwrap();
                }
            }
        }
    }
}

fn route_into(text: &mut String, policy: &Policy, route: &sluis::policy::Route) {
    write!(text, "  {}", route.method.as_str()).unwrap();
    for segment in &route.path {
        match segment {
            Segment::Identifier(kind) => write!(text, " /<{}>", policy.kind_name(*kind)).unwrap(),
            Segment::Literal(literal) => write!(text, " /{literal}").unwrap(),
            Segment::Parameter(of) => write!(text, " /{of:?}").unwrap(),
        }
    }
    writeln!(text).unwrap();
    for parameter in &route.query {
        let rule = match &parameter.rule {
            QueryRule::Fields(items) => format!("fields {}", policy.shape(*items).unwrap().name),
            QueryRule::Filter(items) => format!("filter {}", policy.shape(*items).unwrap().name),
            QueryRule::Identifier(kind) => format!("<{}>", policy.kind_name(*kind)),
            QueryRule::Identifiers(kind) => format!("<{}>[]", policy.kind_name(*kind)),
            QueryRule::One(of) => format!("{of:?}"),
            QueryRule::Sort(items) => format!("sort {}", policy.shape(*items).unwrap().name),
        };
        writeln!(text, "    ?{}={rule}", parameter.name).unwrap();
    }
    for (way, content) in [("to", route.to_vendor), ("from", route.from_vendor)] {
        match content {
            Content::Json(body) => {
                writeln!(text, "    {way}-vendor {}", rule(policy, body)).unwrap();
            }
            Content::Nothing => {}
        }
    }
    for StatusContent { statuses, content } in &route.statuses {
        let body = match content {
            Content::Json(body) => rule(policy, *body),
            Content::Nothing => "nothing".to_owned(),
        };
        writeln!(text, "    {statuses:?} {body}").unwrap();
    }
}

fn rule(policy: &Policy, rule: Rule) -> String {
    match rule {
        Rule::Blank => "blank".to_owned(),
        Rule::Constant(constant) => {
            let json = &policy.constants.get(constant.place()).unwrap().json;
            format!("constant {}", str::from_utf8(json).unwrap())
        }
        Rule::Derived { kind, of } => format!("<{}> of #{of}", policy.kind_name(kind)),
        Rule::Drop => "drop".to_owned(),
        Rule::Generalise(how) => {
            format!("{:?}", policy.generalisers.get(how.place()).unwrap())
        }
        Rule::Identifier(kind) => item(policy, Item::Identifier(kind)),
        Rule::Keep(keep) => item(policy, Item::Keep(keep)),
        Rule::KeepAll => "keep-all".to_owned(),
        Rule::Link(otherwise) => item(policy, Item::Link(otherwise)),
        Rule::List(each) => format!("{}[]", item(policy, each)),
        Rule::ListOrOne(each) => format!("{}[]?", item(policy, each)),
        Rule::Nested(shape) => format!("text of {}", item(policy, Item::Object(shape))),
        Rule::Object(shape) => item(policy, Item::Object(shape)),
        Rule::Template(template) => item(policy, Item::Template(template)),
    }
}

fn item(policy: &Policy, item: Item) -> String {
    match item {
        Item::Identifier(kind) => format!("<{}>", policy.kind_name(kind)),
        Item::Keep(Keep { of, rules: None }) => format!("keep {of:?}"),
        Item::Keep(Keep {
            of,
            rules: Some(rules),
        }) => {
            let place = rules.place();
            let rules = policy.value_rules.get(place).unwrap();
            let like = rules.like.as_ref().map(|like| like.as_str());
            format!(
                "keep {of:?} #{place} {:?} {:?} {like:?}",
                rules.one_of, rules.chars_max
            )
        }
        Item::Link(None) => "link".to_owned(),
        Item::Link(Some(constant)) => {
            let json = &policy.constants.get(constant.place()).unwrap().json;
            format!("link or {}", str::from_utf8(json).unwrap())
        }
        Item::Object(shape) => policy.shape(shape).unwrap().name.clone(),
        Item::Template(template) => {
            let template = policy.templates.get(template.place()).unwrap();
            let name = |kind| format!("<{}>", policy.kind_name(kind));
            let parts = template.parts.iter();
            let parts = parts.map(|(before, kind)| format!("{before}{}", name(*kind)));
            format!("text {:?}", parts.collect::<String>() + &template.end)
        }
    }
}
