//! Which route a message is tried on, and what to say if none answers.

use super::refused::Refused;
use super::{Message, Options, Trial, question};
use crate::config::VendorDraft;
use crate::minimise::{self, Counts, Crossing, NoRoute, RequestLine};
use crate::policy::{Content, Flow, Method, Policy, Route, Side};
use crate::pseudonym::Asked;
use crate::refusal::Refusal;

/// A request that found its route.
pub(super) struct Found<'d> {
    /// The place of its flow.
    pub(super) place: usize,
    pub(super) flow: &'d Flow,
    pub(super) route: &'d Route,
    pub(super) target: String,
}

impl Found<'_> {
    /// The message that is meant.
    pub(super) fn meant(&self, options: &Options) -> Message {
        let of_status = options.status.map(|_| Message::Answer);
        options
            .message
            .or(of_status)
            .unwrap_or_else(|| self.message())
    }

    /// The way of a message as `serve` has it: an answer is one to what was asked.
    pub(super) fn under_way(&self, crossing: Crossing, message: Message) -> Crossing {
        let crossing = crossing.in_flow(self.place);
        if message == Message::Request {
            return crossing;
        }
        let answer = crossing.in_answer_to(Some(self.target.as_str().into()));
        answer.asked_by(self.route.method)
    }

    /// What a message may carry, if anything is declared for it, and where it goes.
    pub(super) fn carries(
        &self,
        policy: &Policy,
        message: Message,
        status: Option<u16>,
    ) -> (Option<Content>, Side) {
        match message {
            Message::Answer => (
                policy.answer_content(self.flow, self.route, status.unwrap_or(200)),
                self.flow.caller,
            ),
            Message::Request => (
                Some(self.flow.request_content(self.route)),
                self.flow.caller.other(),
            ),
        }
    }

    /// The message that people mean if they do not say.
    const fn message(&self) -> Message {
        match self.flow.request_content(self.route) {
            Content::Json(_) => Message::Request,
            Content::Nothing => Message::Answer,
        }
    }
}

/// Why there is nothing to try a message on.
pub(super) enum NotFound {
    /// The gateway would refuse the request.
    Refused(Refused),
    /// It is not said well enough what is meant.
    Unclear(String),
}

/// The route that answers, looked for in every flow that may be meant.
pub(super) fn find<'d>(
    options: &Options,
    vendor: &'d VendorDraft,
    trial: &Trial,
) -> Result<Found<'d>, NotFound> {
    let is_meant = |flow: &Flow| options.flow.as_ref().is_none_or(|name| *name == flow.name);
    let flows = { vendor.policy.flows.iter().enumerate() }.filter(|(_, flow)| is_meant(flow));
    let mut none: Option<(NoRoute, Option<String>)> = None;
    let mut found = Vec::new();
    for (place, flow) in flows {
        let crossing = trial.crossing(flow.caller.other());
        let line = line_in(options, vendor, place);
        let counts = &mut Counts::default();
        let matched = minimise::find(&vendor.policy, place, line);
        let head = matched.and_then(|matched| {
            let head = minimise::request(&crossing, place, &matched, Asked::Again, counts);
            head.map_err(NoRoute::from)
        });
        match (head, none.is_some()) {
            (Ok(head), _) => {
                let route = flow.routes.get(head.route);
                let target = head.outbound.release().target;
                found.extend(route.map(|route| Found {
                    place,
                    flow,
                    route,
                    target,
                }));
            }
            // What another flow says of a route it does not have tells less.
            (Err(its), true) if its.refusal == Refusal::RouteUnknown => {}
            (Err(its), _) => {
                let asked = matches!(its.refusal, Refusal::QueryInvalid { .. });
                let fault = asked.then(|| question::fault(trial, place, flow, line));
                none = Some((its, fault.flatten()));
            }
        }
    }
    match (found.pop(), none) {
        (Some(only), _) if found.is_empty() => Ok(only),
        (Some(last), _) => {
            found.push(last);
            let flows: Vec<&str> = found.iter().map(|found| found.flow.name.as_str()).collect();
            Err(NotFound::Unclear(format!(
                "more than one flow has such a route: --flow {}",
                flows.join(" or --flow ")
            )))
        }
        (None, Some((none, None))) => Err(NotFound::Refused(refused(options, vendor, none))),
        (None, Some((none, fault))) => {
            let refused = Refused::request(none.refusal, fault, String::new());
            Err(NotFound::Refused(refused))
        }
        (None, None) => Err(NotFound::Unclear(no_flow(options, vendor))),
    }
}

/// The request as the flow at that place would read it: behind its `at`, if that is written.
fn line_in<'l>(options: &'l Options, vendor: &VendorDraft, place: usize) -> RequestLine<'l> {
    let (path, query) = match options.path.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (options.path.as_str(), None),
    };
    let at = vendor.flows.get(place);
    let at = at.map_or("", |flow| flow.at.value.as_str());
    let rest = path.strip_prefix(at).filter(|rest| rest.starts_with('/'));
    RequestLine {
        method: &options.method,
        path: rest.unwrap_or(path),
        query,
    }
}

/// Why the request would be refused, what to write instead, and what there is.
fn refused(options: &Options, vendor: &VendorDraft, none: NoRoute) -> Refused {
    let mut text = format!("\n\nthe routes of {}:", vendor.name);
    for (place, flow) in vendor.policy.flows.iter().enumerate() {
        let at = vendor
            .address(place)
            .map(|address| format!(", at {address}"));
        text.push_str(&format!("\n  {}{}", flow.name, at.unwrap_or_default()));
        for route in flow.routes.iter() {
            let parameters: Vec<&str> = route.query.iter().map(|query| &*query.name).collect();
            let query = if parameters.is_empty() {
                String::new()
            } else {
                format!("   may have {}", parameters.join(", "))
            };
            text.push_str(&format!("\n    {}{query}", route.name));
        }
    }
    Refused::request(none.refusal, help(options, none), text)
}

fn help(options: &Options, none: NoRoute) -> Option<String> {
    let capitals = options.method.to_ascii_uppercase();
    if !options.path.starts_with('/') {
        Some("a path begins with a slash; leave scheme and host out".to_owned())
    } else if none.refusal == Refusal::PathInvalid && ends_with_slash(&options.path) {
        Some("a slash at the end makes an empty segment: leave it out".to_owned())
    } else if Method::parse(&options.method).is_none() && Method::parse(&capitals).is_some() {
        Some(format!("a method is written in capitals: {capitals}"))
    } else if none.refusal == Refusal::MethodNotListed {
        Some(format!("this path is served with {}", none.allowed))
    } else {
        None
    }
}

fn ends_with_slash(target: &str) -> bool {
    let path = target.split_once('?').map_or(target, |(path, _)| path);
    path.ends_with('/')
}

fn no_flow(options: &Options, vendor: &VendorDraft) -> String {
    let flows = vendor.policy.flows.iter();
    let all: Vec<&str> = flows.map(|flow| flow.name.as_str()).collect();
    match &options.flow {
        Some(name) => format!("no flow `{name}`; there is {}", all.join(", ")),
        None => format!("{} has no flow", vendor.name),
    }
}
