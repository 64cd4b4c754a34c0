//! Who may call, where it takes more than one file to see that it is somebody else than is meant.

use std::collections::BTreeMap;

use super::code;
use super::draft::{Draft, SchoolDraft};
use super::gateway::Gateway;
use super::language::{CallersDraft, FlowDraft};
use super::problem::{Place, Problem, Problems};
use super::raw::At;
use super::school::School;
use crate::names::{SchoolId, VendorId};
use crate::policy::Side;

/// Says of `callers = "anyone"` who that is besides those on this machine.
pub(super) fn check_anyone(
    gateway: Option<&Gateway>,
    school: &School,
    flow: &FlowDraft,
    problems: &mut Problems,
) {
    let (CallersDraft::Anyone, Some(gateway)) = (&flow.callers.value, gateway) else {
        return;
    };
    let address = gateway.listen.address;
    let place = &flow.callers.place;
    let help = "callers = [{ token-sha256 = \"…64 hex digits…\" }]";
    if !address.ip().is_loopback() {
        let message = "`anyone` may call only where nobody else can: on loopback";
        problems.push(
            Problem::error(code::CONFLICT, message)
                .at(place)
                .label(format!("[listen] address is {address}"))
                .help(help),
        );
    } else if !school.public.is_loopback() {
        let message = "whoever reaches the server before this gateway may call";
        let label = format!("`public` of the school is {}", school.public.written());
        problems.push(
            Problem::finding(code::ANYONE, message)
                .at(place)
                .label(label)
                .help(help)
                .help("or `ip-ranges` in that server, if it lets nobody else through"),
        );
    }
}

/// Whoever knows or shows something when it calls: a vendor of a school, or a school itself.
type Holder<'d> = (&'d SchoolId, Option<&'d VendorId>);

/// What a caller is known by.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Sort {
    Certificate,
    Secret,
    Token,
}

/// Finds what two callers have in common: each can call as the other.
pub(super) fn find_shared(draft: &Draft, problems: &mut Problems) {
    let mut known: BTreeMap<(Sort, [u8; 32]), (Holder<'_>, &Place)> = BTreeMap::new();
    for (school, vendor, flow) in draft.flows_of_all() {
        let holder = holder(school, vendor, flow);
        for (sort, digest) in digests(&flow.callers.value) {
            let (theirs, place) = known
                .entry((sort, digest.value))
                .or_insert((holder, &digest.place));
            if sort.is_shared(theirs, &holder) {
                problems.push(shared(sort, (theirs, place), (&holder, &digest.place)));
            }
        }
    }
}

const fn holder<'d>(school: &'d SchoolDraft, vendor: &'d VendorId, flow: &FlowDraft) -> Holder<'d> {
    match flow.caller {
        Side::School => (&school.id, None),
        Side::Vendor => (&school.id, Some(vendor)),
    }
}

fn digests(callers: &CallersDraft) -> Vec<(Sort, &At<[u8; 32]>)> {
    match callers {
        CallersDraft::Anyone | CallersDraft::Forwarded => Vec::new(),
        CallersDraft::Listed {
            tokens,
            clients,
            certificates,
        } => {
            let tokens = tokens.iter().map(|it| (Sort::Token, it));
            let secrets = clients.iter().map(|it| (Sort::Secret, &it.secret));
            let certificates = certificates.iter().map(|it| (Sort::Certificate, it));
            tokens.chain(secrets).chain(certificates).collect()
        }
    }
}

impl Sort {
    /// Whether two that have it in common should not. A vendor may show one certificate to all of
    /// its schools: whose it is stands in it.
    fn is_shared(self, one: &Holder<'_>, other: &Holder<'_>) -> bool {
        match (self, one.1, other.1) {
            (Self::Certificate, Some(one), Some(other)) => one != other,
            (Self::Certificate | Self::Secret | Self::Token, _, _) => one != other,
        }
    }

    const fn words(self) -> (&'static str, &'static str) {
        match self {
            Self::Certificate => (
                "one certificate is for two callers: each can call as the other",
                "a certificate for each of them",
            ),
            Self::Secret => (
                "one secret is for two callers: each can call as the other",
                "a secret for each of them: openssl rand -hex 32",
            ),
            Self::Token => (
                "one token is for two callers: each can call as the other",
                "a token for each of them: openssl rand -hex 32",
            ),
        }
    }
}

fn shared(sort: Sort, first: (&Holder<'_>, &Place), second: (&Holder<'_>, &Place)) -> Problem {
    let (message, help) = sort.words();
    Problem::finding(code::CALLERS_SHARED, message)
        .at(second.1)
        .label(named(second.0))
        .also(first.1, named(first.0))
        .help(help)
}

fn named((school, vendor): &Holder<'_>) -> String {
    match vendor {
        Some(vendor) => format!("known to {vendor} of {school}"),
        None => format!("known to the school {school} itself"),
    }
}
