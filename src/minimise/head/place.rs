//! Links: an address on one side of the gateway becomes the address of the same thing on the other.
//!
//! Whoever is told of a link into an upstream is to come back through the gateway, and must not be
//! told the identifiers in it. So a link is read as a request would be: matched to a route for GET
//! and built anew. What no route matches leads nowhere.

use std::borrow::Cow;

use super::query::Ids;
use super::{Escapes, path_and_query, search, segments, write_target};
use crate::limits;
use crate::minimise::crossing::Refused;
use crate::minimise::{Counts, Crossing};
use crate::policy::{Bases, Method, Side};
use crate::refusal::{Bug, LinkFault, Refusal};

/// The address on the other side, absolute.
///
/// In the message's own flow a link may be relative, in an answer also to what was asked. Of what
/// goes back to the caller the host is not looked at: an upstream may know itself by another. A
/// link into another flow of the vendor must name the host that is known of it.
///
/// # Errors
/// Why there is none; only so far, if `ids` says that one was missed.
pub(in crate::minimise) fn translate(
    ids: &mut Ids<'_>,
    flow: Option<usize>,
    link: &str,
) -> Result<String, NoLink> {
    if link.len() > limits::URL_CHARS_MAX {
        return Err(NoLink::nowhere(LinkFault::TooLong));
    }
    // The school's identifiers may hold any sign, and were escaped by ourselves when it was asked.
    ids.escapes = match ids.crossing.to {
        Side::School => Escapes::Plain,
        Side::Vendor => Escapes::Any,
    };
    let nowhere = match flow.map(|flow| translate_in(ids, (flow, Whose::Own), link)) {
        Some(Err(none)) if none.refusal == Refusal::RouteUnknown => none,
        Some(own) => return own,
        None => NoLink::nowhere(LinkFault::NoRoute),
    };
    let flows = ids.crossing.law().policy.flows.len();
    for other in (0..flows).filter(|other| Some(*other) != flow) {
        match translate_in(ids, (other, Whose::Other), link) {
            Err(none) if none.refusal == Refusal::RouteUnknown => {}
            made => return made,
        }
    }
    Err(nowhere)
}

/// Why a link has no address on the other side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::minimise) struct NoLink {
    /// As of a request.
    pub(in crate::minimise) refusal: Refusal,
    /// What it comes to for who looks for the link.
    pub(in crate::minimise) fault: LinkFault,
}

impl NoLink {
    /// No flow has such a place.
    const fn nowhere(fault: LinkFault) -> Self {
        Self {
            refusal: Refusal::RouteUnknown,
            fault,
        }
    }

    /// No route has such a path.
    fn of_path(refusal: Refusal) -> Self {
        let fault = match refusal == Refusal::PathInvalid {
            true => LinkFault::ParameterType,
            false => LinkFault::NoRoute,
        };
        Self { refusal, fault }
    }

    /// What stands in its path or query does not go on.
    fn of_target(refusal: Refusal) -> Self {
        let fault = if let Refusal::QueryInvalid { fault } = refusal {
            fault.into()
        } else if refusal == Refusal::PathInvalid {
            LinkFault::NotAsked
        } else {
            LinkFault::Identifier
        };
        Self { refusal, fault }
    }
}

/// Whether somebody who objected is named in a link that leads the vendor somewhere. One that leads
/// nowhere would be left out whoever it is about.
pub(in crate::minimise) fn names_objected(crossing: &Crossing, link: &str) -> bool {
    let mut counts = Counts::default();
    let mut ids = Ids::looking(crossing, &mut counts);
    // All that counts is whom it met on the way.
    drop(translate(&mut ids, crossing.flow, link));
    ids.refused == Some(Refused::Objected)
}

/// What an address leads to, seen from an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Context {
    /// To what was asked.
    Asked,
    /// To something else.
    Other,
    /// To the same path, with another query: another page, or the same one in other words. Or to
    /// what cannot be compared.
    Unclear,
}

impl Context {
    /// Of an address in the answer to a request of that flow.
    pub(super) fn of(crossing: &Crossing, flow: usize, address: &str) -> Self {
        if address.is_empty() {
            return Self::Asked;
        }
        let bases = crossing.law().policy.bases.get(flow);
        let Some((bases, asked)) = bases.zip(crossing.asked.as_deref()) else {
            return Self::Unclear;
        };
        let whole = resolved(address, &bases.upstream, asked);
        let target = below(&whole, &bases.upstream, Host::Any);
        match target.and_then(path_and_query).zip(path_and_query(asked)) {
            Some(((path, query), (path_asked, query_asked))) if path == path_asked => {
                match query == query_asked {
                    true => Self::Asked,
                    false => Self::Unclear,
                }
            }
            Some(_) => Self::Other,
            None => Self::Unclear,
        }
    }
}

/// As [`translate`], into one flow; by [`Refusal::RouteUnknown`] none of a link that does not lead
/// there.
fn translate_in(
    ids: &mut Ids<'_>,
    (flow, whose): (usize, Whose),
    link: &str,
) -> Result<String, NoLink> {
    let policy = &ids.crossing.law().policy;
    let bases = policy.bases.get(flow);
    let Bases { public, upstream } = bases.ok_or(NoLink::nowhere(LinkFault::NoRoute))?;
    let flow = { policy.flows.get(flow) }.ok_or(NoLink {
        refusal: Refusal::Bug(Bug::Policy),
        fault: LinkFault::NoRoute,
    })?;
    ids.in_flow_of(flow.caller);
    let onward = ids.are_onward();
    let (base, other) = match onward {
        true => (public, upstream),
        false => (upstream, public),
    };
    let whole = match (whose, onward, &ids.crossing.asked) {
        (Whose::Own, false, Some(asked)) => resolved(link, base, asked),
        (Whose::Other | Whose::Own, ..) => Cow::Borrowed(link),
    };
    let below = match (whose, onward) {
        (Whose::Other, _) => below(&whole, base, Host::Said),
        (Whose::Own, true) => below(&whole, base, Host::Same),
        (Whose::Own, false) => below(&whole, base, Host::Any),
    };
    let below = below.ok_or_else(|| match link.contains('#') {
        true => NoLink::nowhere(LinkFault::Fragment),
        false => NoLink::nowhere(LinkFault::OutsideUpstream),
    })?;
    let (path, query) = below.split_once('?').unwrap_or((below, ""));
    let segments = segments(path, ids.escapes).map_err(|refusal| NoLink {
        refusal,
        fault: LinkFault::Malformed,
    })?;
    let route = search(flow, &segments, |route| route.method == Method::Get);
    let (_, route) = route.map_err(NoLink::of_path)?;
    let mut target = other.clone();
    let written = write_target(ids, route, (&segments, query), &mut target);
    written.map_err(NoLink::of_target)?;
    Ok(target)
}

/// Which flow a link leads into.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Whose {
    Other,
    Own,
}

/// Whether the host of a link must be the one that is expected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Host {
    /// Any, or none: the link is relative.
    Any,
    /// That one, or none.
    Same,
    /// That one.
    Said,
}

/// The path and query of a link that is relative to what was asked below an address (RFC 3986,
/// section 5.2): `?limit=2`, `users/7`, `../users`. Any other as it is.
fn resolved<'l>(link: &'l str, address: &str, asked: &str) -> Cow<'l, str> {
    let says_where = link.find([':', '/', '?', '#']);
    let sign = says_where.and_then(|at| link.get(at..)?.chars().next());
    let relative = match (says_where, sign) {
        // A query alone; the same document, which tells nothing; a path from the root.
        (Some(0), sign) => sign == Some('?'),
        (_, Some(':')) => false,
        (_, _) => !link.is_empty(),
    };
    let Some((_, base)) = split(address).filter(|_| relative) else {
        return Cow::Borrowed(link);
    };
    let (path, _) = asked.split_once('?').unwrap_or((asked, ""));
    let (onward, query) = match link.split_once('?') {
        Some((onward, query)) => (onward, Some(query)),
        None => (link, None),
    };
    let mut segments: Vec<&str> = base.split('/').chain(path.split('/').skip(1)).collect();
    if !onward.is_empty() {
        segments.pop();
        for segment in onward.split('/') {
            match segment {
                "." => {}
                ".." => drop(segments.pop()),
                other => segments.push(other),
            }
        }
    }
    let mut whole = segments.join("/");
    if let Some(query) = query {
        whole.push('?');
        whole.push_str(query);
    }
    Cow::Owned(whole)
}

/// What of a link is left below an address: path and query. A link is an address of http or https,
/// or a path that begins with a slash (RFC 3986, section 4.2).
fn below<'l>(link: &'l str, address: &str, host: Host) -> Option<&'l str> {
    let (there, base) = split(address)?;
    let path = match split(link) {
        Some((here, path)) if host == Host::Any || is_same(here, there) => path,
        Some(_) => return None,
        None if host == Host::Said => return None,
        None if link.starts_with("//") => return None,
        None => link,
    };
    // A client keeps a fragment to itself; here it could say anything.
    let rest = path.strip_prefix(base).filter(|_| !path.contains('#'))?;
    let ends = rest.is_empty() || rest.starts_with(['/', '?']);
    ends.then_some(rest)
}

/// Scheme and authority, and the rest.
fn split(address: &str) -> Option<((&str, &str), &str)> {
    let (scheme, rest) = address.split_once("://")?;
    let web = scheme.eq_ignore_ascii_case("http") || scheme.eq_ignore_ascii_case("https");
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at_checked(end)?;
    (web && !authority.is_empty()).then_some(((scheme, authority), path))
}

/// Whether two scheme and authority name one place (RFC 3986, section 6.2).
fn is_same(one: (&str, &str), other: (&str, &str)) -> bool {
    let plain = |(scheme, authority): (&str, &str)| {
        let scheme = scheme.to_ascii_lowercase();
        let authority = authority.to_ascii_lowercase();
        let port = if scheme == "https" { ":443" } else { ":80" };
        let authority = authority
            .strip_suffix(port)
            .unwrap_or(&authority)
            .to_owned();
        (scheme, authority)
    };
    plain(one) == plain(other)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::minimise::head::filter::tests::{book, law};
    use crate::minimise::head::{Asked, RequestLine, find, request};
    use crate::minimise::{Action, Home, Law, Objections, Trail};
    use crate::policy::Index;
    use crate::pseudonym::Canonical;

    fn linked(caller: &str, to: Side, link: &str) -> Option<String> {
        linked_in(Some(0), caller, to, link)
    }

    /// The law of a flow with an address on either side.
    fn law_between(caller: &str) -> Arc<Law> {
        let mut law = law(caller);
        Arc::get_mut(&mut law).unwrap().policy.bases = vec![Bases {
            public: "https://gw.example/v".to_owned(),
            upstream: "https://sis.example/api".to_owned(),
        }];
        law
    }

    /// What becomes of a link, and what is counted of it if nothing does.
    fn linked_after(ids: &[&str], to: Side, link: &str) -> Result<String, Action> {
        let law = law_between("vendor");
        let home = Arc::<Home>::default();
        ids.iter().for_each(|id| home.add(id, id));
        let crossing = Crossing::towards(to, law, Some(book())).with_home(Some(home));
        let mut counts = Counts::default();
        let mut ids = Ids::within(&crossing, Trail::default(), &mut counts);
        translate(&mut ids, Some(0), link).map_err(|_refusal| ids.why)
    }

    #[test]
    fn a_filter_in_a_link_carries_back_nothing_that_came_home() {
        let home = ["S-64003", "9531200", "active", "2026-08-01", "nld-rozaj"];
        for filter in [
            "note='S-64003'",
            "note~'of s%2D64003'",
            "title='S-64003'",
            "status='active' AND note='S-64003'",
            "tongue='nld-rozaj'",
            "since>'2026-08-01'",
        ] {
            let filter = filter.replace(' ', "%20").replace('>', "%3E");
            let link = format!("/api/users?filter={filter}");
            let seen = linked_after(&home, Side::Vendor, &link);
            assert_eq!(seen, Err(Action::DroppedEcho), "{filter}");
            assert!(linked_after(&[], Side::Vendor, &link).is_ok(), "{filter}");
        }
        for (filter, why) in [
            // A word of the policy: nobody's identifier.
            ("status='active'", None),
            ("since>'2026-08-02'", None),
            ("note='S-6400'", None),
            ("sourcedId='S-64003'", None),
            ("name='S-64003'", Some(Action::DroppedValue)),
        ] {
            let link = format!("/api/users?filter={}", filter.replace('>', "%3E"));
            let seen = linked_after(&home, Side::Vendor, &link);
            assert_eq!(seen.err(), why, "{filter}");
        }
        let link = "https://gw.example/v/users?filter=note='S-64003'";
        assert!(linked_after(&home, Side::School, link).is_ok());
    }

    #[test]
    fn what_the_vendor_wrote_itself_is_no_echo_where_it_stands() {
        let asked = "filter=sourcedId='p-1' OR note='S-1'&after=S-1";
        for (asked, link, led) in [
            (
                asked,
                "filter=sourcedId='S-1' OR note='S-1'&after=S-1",
                true,
            ),
            ("filter=note='s-1'", "filter=note='s-1'", true),
            // In another place, in another spelling, or in the place of an identifier.
            (asked, "filter=title='S-1'", false),
            (asked, "filter=note='s-1'", false),
            ("filter=sourcedId='p-1'&after=S-2", "after=S-1", false),
            ("filter=sourcedId='p-1'", "filter=note='S-1'", false),
        ] {
            let crossing = |to| Crossing::towards(to, law_between("vendor"), Some(book()));
            let home = Some(Arc::<Home>::default());
            let there = crossing(Side::School).with_home(home.clone());
            let query = asked.replace(' ', "%20");
            let line = RequestLine {
                method: "GET",
                path: "/users",
                query: Some(&query),
            };
            let found = find(&there.law.policy, 0, line).unwrap();
            let mut counts = Counts::default();
            let head = request(&there, 0, &found, Asked::Again, &mut counts).unwrap();
            let target = head.outbound.release().target;
            let back = crossing(Side::Vendor).with_home(home);
            back.home.as_ref().unwrap().add("S-1", "S-1");
            let back = back.in_answer_to(Some(target.as_str().into()));
            let mut ids = Ids::within(&back, Trail::default(), &mut counts);
            let link = format!("/api/users?{}", link.replace(' ', "%20"));
            let seen = translate(&mut ids, Some(0), &link);
            assert_eq!(seen.is_ok(), led, "{asked} {link}");
            assert_eq!(ids.why == Action::DroppedEcho, !led, "{asked} {link}");
        }
    }

    #[test]
    fn a_link_names_who_objected_also_by_what_is_made_of_their_id() {
        let mut law = law_between("vendor");
        let policy = &mut Arc::get_mut(&mut law).unwrap().policy;
        let person = Index::new(0).unwrap();
        policy.send_only(Vec::new(), vec![person]);
        let mut objections = Objections::default();
        objections
            .add(person, &Canonical::default(), "S-64003")
            .unwrap();
        let home = Arc::<Home>::default();
        home.add("cheese", "cheese");
        let crossing = Crossing::towards(Side::Vendor, law, None).in_flow(0);
        let crossing = crossing
            .with_home(Some(home))
            .with_objections(Arc::new(objections));
        for (link, named) in [
            ("/api/seats?filter=owner='S-64003'", true),
            ("/api/users?filter=sourcedId='S-64003'", true),
            // Behind what a link may say only as it was asked.
            ("/api/users?after=z&filter=sourcedId='S-64003'", true),
            (
                "/api/users?filter=note='cheese' AND sourcedId='S-64003'",
                true,
            ),
            (
                "/api/users?filter=sourcedId='S-1' OR email='S-64003'",
                false,
            ),
            ("/api/seats?filter=owner='S-1'", false),
            ("/api/users?filter=note='S-64003'", false),
            ("/api/nowhere?filter=owner='S-64003'", false),
        ] {
            let link = link.replace(' ', "%20");
            assert_eq!(names_objected(&crossing, &link), named, "{link}");
            let mut counts = Counts::default();
            let mut ids = Ids::within(&crossing, Trail::default(), &mut counts);
            let led = translate(&mut ids, Some(0), &link);
            assert!(!named || led.is_err(), "{link} leads to {led:?}");
        }
    }

    /// What becomes of a link in the answer to what was asked.
    fn answered(asked: &str, caller: &str, to: Side, link: &str) -> Option<String> {
        let law = law_between(caller);
        let crossing = Crossing::towards(to, law, Some(book()));
        let crossing = crossing.in_answer_to(Some(asked.into()));
        let mut counts = Counts::default();
        let mut ids = Ids::within(&crossing, Trail::default(), &mut counts);
        translate(&mut ids, Some(0), link).ok()
    }

    #[test]
    fn a_school_leads_back_with_open_parameters_only_as_it_was_asked() {
        let mark = "6f9619ff-8b86-4011-b42d-00c04fc964ff";
        let marked = format!("mark={mark}");
        for (asked, link, passes) in [
            ("after=a", "after=a", true),
            ("limit=2&after=a", "after=%61&limit=2", true),
            ("%61fter=a", "after=a", true),
            ("", "after=a", false),
            ("after=b", "after=a", false),
            ("limit=a", "after=a", false),
            ("after=a", "after=a&mark=MARK", false),
            ("mark=MARK", "mark=MARK", true),
            ("after=MARK", "mark=MARK", false),
            ("", "limit=2", true),
            ("", "page%5Bsize%5D=100", true),
            ("", "limit=9999999", true),
            ("", "limit=99010042", false),
            ("limit=99010042", "limit=99010042", true),
            ("from=9901000004", "from=9901000004", true),
            ("", "day=2015-02-03", false),
            ("", "moment=2015-02-03T00:00:00Z", false),
            ("day=2015-02-03", "day=2015-02-03", true),
            ("from=9901000003", "from=9901000004", false),
            ("limit=7", "from=7", false),
            ("", "from=7", false),
            // Not every text that is called so is a number.
            ("", "skip=S-1", false),
        ] {
            let asked = format!("/users?{asked}").replace("mark=MARK", &marked);
            let asked = asked.replace("MARK", mark);
            let link = link.replace("MARK", mark);
            let back = format!("https://sis.example/api/users?{link}");
            let seen = answered(&asked, "vendor", Side::Vendor, &back);
            assert_eq!(seen.is_some(), passes, "{asked} {link}");
            // What a school says of its own accord, and what a vendor says.
            let onward = format!("https://gw.example/v/users?{link}");
            assert!(answered(&asked, "school", Side::Vendor, &onward).is_some());
            assert!(answered(&asked, "vendor", Side::School, &onward).is_some());
        }
    }

    #[test]
    fn a_school_leads_back_below_the_path_that_it_was_asked() {
        for (asked, link, passes) in [
            ("/of/S-1/a", "/of/S-1/a", true),
            ("/of/S-1/a/7?limit=2", "/of/S-1/%61", true),
            ("/of/S-1/a/7", "/of/S-1/a/7", true),
            ("/of/S-1/a", "/of/S-1/a/7", false),
            ("/of/S-1/a/8", "/of/S-1/a/7", false),
            ("/of/S-1/a/7", "/of/S-1/b/7", false),
            // The same text in another place.
            ("/of/S-2/a", "/of/S-1/a", false),
            ("/of/S-1/b/a", "/of/S-1/a", false),
            ("/users?after=a", "/of/S-1/a", false),
            ("/of/S-1?/a", "/of/S-1/a", false),
            ("", "/of/S-1/a", false),
        ] {
            let back = format!("https://sis.example/api{link}");
            let seen = answered(asked, "vendor", Side::Vendor, &back);
            assert_eq!(seen.is_some(), passes, "{asked} {link}");
            assert!(seen.is_none_or(|seen| !seen.contains("S-1")));
            // What a school says of its own accord, and what a vendor says.
            let onward = format!("https://gw.example/v{link}");
            assert!(answered(asked, "school", Side::Vendor, &onward).is_some());
            let onward = onward.replace("S-1", "p-1");
            assert!(answered(asked, "vendor", Side::School, &onward).is_some());
        }
    }

    #[test]
    fn an_order_of_the_schools_own_is_left_out_unless_the_vendor_asked_for_one() {
        let back = "https://sis.example/api/users?limit=2&sort=since,sourcedId";
        let back = |asked| answered(asked, "vendor", Side::Vendor, back);
        let expected = "https://gw.example/v/users?limit=2";
        assert_eq!(back("/users?limit=2").as_deref(), Some(expected));
        // Without it the next page would be one of another order.
        assert_eq!(back("/users?limit=2&sort=since"), None);
    }

    fn linked_in(flow: Option<usize>, caller: &str, to: Side, link: &str) -> Option<String> {
        let law = law_between(caller);
        let crossing = Crossing::towards(to, law, Some(book()));
        let mut counts = Counts::default();
        let mut ids = Ids::within(&crossing, Trail::default(), &mut counts);
        translate(&mut ids, flow, link).ok()
    }

    #[test]
    fn a_link_of_the_school_leads_the_vendor_to_the_gateway() {
        let back = |link| linked("vendor", Side::Vendor, link);
        for link in [
            "https://sis.example/api/users?limit=2",
            "http://10.0.0.1:8080/api/users?limit=2",
            "HTTPS://u:p@elsewhere.example/api/users?limit=2",
            "/api/users?limit=2",
        ] {
            let seen = back(link);
            assert_eq!(
                seen.as_deref(),
                Some("https://gw.example/v/users?limit=2"),
                "{link}"
            );
        }
        let seen = back("/api/users?filter=sourcedId='S-1'&sort=since").unwrap();
        assert!(
            seen.ends_with("%27&sort=since") && !seen.contains("S-1"),
            "{seen}"
        );
        let id = |link: &str| {
            linked("vendor", Side::Vendor, link)
                .unwrap()
                .split("%27")
                .nth(1)
                .unwrap()
                .to_owned()
        };
        let one = id("/api/users?filter=sourcedId='2024/0017%3B%252F'");
        assert_eq!(
            one,
            id("/api/users?filter=sourcedId='2024%2F0017%3B%25%32F'")
        );
        assert_ne!(one, id("/api/users?filter=sourcedId='2024%2F0017%3B%2F'"));
        for link in [
            "",
            "/",
            "users",
            "/api%2Fusers",
            "/api/users?filter=sourcedId='S-1%00'",
            "/api/users?limit=2%3B",
            "/api/users?filter=status='active%2F'",
            "?limit=2",
            "//sis.example/api/users",
            "ftp://sis.example/api/users",
            "https://sis.example/users",
            "/apiusers",
            "/api/nobody",
            "/api/../api/users",
            "/api/users?cursor=S-1",
            "/api/users?filter=name='Jansen'",
            "/api/users#S-1",
            "/api/users?limit=2#S-1",
            "/api/users?limit=2&limit=3",
            "javascript:alert(1)",
        ] {
            assert_eq!(back(link), None, "{link}");
        }
    }

    #[test]
    fn a_link_of_the_school_may_say_what_a_vendor_may_not() {
        // An order of the school's own is not said; nor is what it repeats as it was read refused.
        for (link, rest) in [
            ("/api/users?sort=name&limit=2", "limit=2"),
            ("/api/users?limit=2&sort=sourcedId", "limit=2"),
            (
                "/api/users?filter=since>'2026-08-01' AND note='\u{e9} \"b\"'",
                "filter=since%3E%272026-08-01%27%20AND%20note%3D%27%C3%A9%20%22b%22%27",
            ),
        ] {
            let expected = format!("https://gw.example/v/users?{rest}");
            assert_eq!(
                linked("vendor", Side::Vendor, link),
                Some(expected),
                "{link}"
            );
        }
    }

    #[test]
    fn a_link_that_is_relative_leads_on_from_what_was_asked() {
        for (asked, link, expected) in [
            ("/users?limit=1", "?limit=2", Some("/users?limit=2")),
            ("/users", "?limit=2&", Some("/users?limit=2")),
            ("/seats", "users", Some("/users")),
            ("/seats", "./users?limit=2", Some("/users?limit=2")),
            ("/users/7", "../seats", Some("/seats")),
            ("/users/7", "?limit=2", None),
            ("/users/7", "seats", None),
            ("/users", "../api/seats", Some("/seats")),
            ("/users", "../seats", None),
            ("/users", "../../../api/seats", None),
            ("/users", "", None),
            ("/users", "#S-1", None),
            ("/users", "?limit=2#S-1", None),
            ("/users", "users:7", None),
            ("/users", "//sis.example/api/users", None),
            ("/users", "/users", None),
            ("/users", "%2E%2E/api/users", None),
            ("/users", "?cursor=S-1", None),
            ("", "api/users", Some("/users")),
            ("", "users", None),
        ] {
            let from = |to, caller: &str| answered(asked, caller, to, link);
            let expected = expected.map(|path| format!("https://gw.example/v{path}"));
            assert_eq!(from(Side::Vendor, "vendor"), expected, "{asked} {link}");
            assert_eq!(from(Side::School, "school"), expected, "{asked} {link}");
            // What goes on was not written there.
            assert_eq!(from(Side::School, "vendor"), None, "{asked} {link}");
        }
    }

    #[test]
    fn a_link_of_the_vendor_leads_the_school_home() {
        let home = |link| linked("vendor", Side::School, link);
        let expected = "https://sis.example/api/users?filter=sourcedId%3D%27S-1%27";
        for link in [
            "https://gw.example/v/users?filter=sourcedId='p-1'",
            "HTTPS://GW.example:443/v/users?filter=email='m-1'",
            "/v/users?filter=sourcedId='p-1'",
        ] {
            assert_eq!(home(link).as_deref(), Some(expected), "{link}");
        }
        for link in [
            "https://vendor.example/v/users",
            "http://gw.example/v/users",
            "https://gw.example:8443/v/users",
            "https://gw.example@vendor.example/v/users",
            "https://gw.example/w/users",
            "https://gw.example/v/users?filter=sourcedId='S-1'",
            "https://gw.example/v/users?filter=note='S%3B1'",
        ] {
            assert_eq!(home(link), None, "{link}");
        }
    }

    #[test]
    fn a_link_of_a_vendor_that_is_pushed_to_comes_back_through_the_gateway() {
        let seen = linked(
            "school",
            Side::School,
            "https://x.example/api/users?filter=sourcedId='p-1'",
        );
        let expected = "https://gw.example/v/users?filter=sourcedId%3D%27S-1%27";
        assert_eq!(seen.as_deref(), Some(expected));
        assert_eq!(
            linked("school", Side::Vendor, "https://x.example/v/users"),
            None
        );
        let seen = linked("school", Side::Vendor, "https://gw.example/v/users?limit=1");
        assert_eq!(
            seen.as_deref(),
            Some("https://sis.example/api/users?limit=1")
        );
    }

    #[test]
    fn a_link_into_another_flow_names_its_host() {
        let there = "https://gw.example/v/users?limit=2";
        let home = "https://sis.example/api/users?limit=2";
        for (caller, to, link, expected) in [
            ("vendor", Side::Vendor, home, there),
            ("vendor", Side::School, there, home),
            // What the school says of a thing at the vendor, and the vendor of its own.
            ("school", Side::Vendor, there, home),
            ("school", Side::School, home, there),
        ] {
            let seen = linked_in(None, caller, to, link);
            assert_eq!(seen.as_deref(), Some(expected), "{link}");
            for link in [
                link.replace("https://", "http://"),
                link.replace(".example", ".other"),
                link.split_at("https://sis.example".len()).1.to_owned(),
                link.replace("https://", "//"),
            ] {
                assert_eq!(linked_in(None, caller, to, &link), None, "{link}");
            }
        }
    }

    proptest::proptest! {
        /// Whatever a link says, what is made of it begins at the gateway and is plain.
        #[test]
        fn a_link_leads_to_the_gateway_or_nowhere(
            host in "(https?://[!-~]{0,12})?",
            path in "/api(/users|/seats|/rows|/[!-~]{0,8}){0,2}",
            query in "(\\?((limit|filter|fields|x)=[ -~]{0,12}&?){0,2})?"
        ) {
            let link = format!("{host}{path}{query}");
            if let Some(seen) = linked("vendor", Side::Vendor, &link) {
                let rest = seen.strip_prefix("https://gw.example/v/").unwrap_or(",");
                let plain = |it: u8| it.is_ascii_alphanumeric() || b"-._~%/?&=".contains(&it);
                proptest::prop_assert!(rest.bytes().all(plain), "{} of {}", seen, link);
            }
        }
    }
}
