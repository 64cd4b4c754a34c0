//! Which requests a flow answers, and what each direction may carry.

use std::fmt;
use std::sync::Arc;

use super::{IdKind, Index, Rule, Shape};

/// Who stands on a side of the gateway.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Side {
    /// The school or its systems.
    School,
    /// The vendor.
    Vendor,
}

impl Side {
    /// The side across.
    #[must_use]
    pub const fn other(self) -> Self {
        match self {
            Self::School => Self::Vendor,
            Self::Vendor => Self::School,
        }
    }
}

/// The methods that are served (RFC 9110 section 9, RFC 5789).
///
/// A route has any but `HEAD`: that asks for the head of what the same path answers to `GET`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[expect(missing_docs, reason = "the standard's own names")]
pub enum Method {
    Delete,
    Get,
    Head,
    Patch,
    Post,
    Put,
}

impl Method {
    const ALL: [Self; 6] = [
        Self::Delete,
        Self::Get,
        Self::Head,
        Self::Patch,
        Self::Post,
        Self::Put,
    ];

    /// The method of that name, case-sensitive.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|method| method.as_str() == name)
    }

    /// The method of the route that answers.
    #[must_use]
    pub const fn of_route(self) -> Self {
        match self {
            Self::Get | Self::Head => Self::Get,
            Self::Delete | Self::Patch | Self::Post | Self::Put => self,
        }
    }

    /// Its name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Delete => "DELETE",
            Self::Get => "GET",
            Self::Head => "HEAD",
            Self::Patch => "PATCH",
            Self::Post => "POST",
            Self::Put => "PUT",
        }
    }
}

/// Some of the methods, in the order of their names.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Methods([bool; Method::ALL.len()]);

impl Methods {
    /// These, and this one too.
    #[must_use]
    pub fn and(self, method: Method) -> Self {
        let mut methods = self;
        for (has, known) in methods.0.iter_mut().zip(Method::ALL) {
            *has |= known == method;
        }
        methods
    }

    /// These and those.
    #[must_use]
    pub fn with(self, others: Self) -> Self {
        others.iter().fold(self, Self::and)
    }

    /// Whether this one is among them.
    #[must_use]
    pub fn has(self, method: Method) -> bool {
        self.iter().any(|known| known == method)
    }

    fn iter(self) -> impl Iterator<Item = Method> {
        let all = self.0.into_iter().zip(Method::ALL);
        all.filter_map(|(has, method)| has.then_some(method))
    }
}

/// As a list in a head has them: `GET, HEAD`.
impl fmt::Display for Methods {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, method) in self.iter().enumerate() {
            let comma = if place == 0 { "" } else { ", " };
            write!(f, "{comma}{}", method.as_str())?;
        }
        Ok(())
    }
}

/// The type of a parameter in a path or query.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ParameterType {
    /// RFC 3339 full-date.
    Date,
    /// RFC 3339 date-time with an offset.
    DateTime,
    /// Digits, at most 18, with an optional sign.
    Int,
    /// One of these words.
    OneOf(Box<[Box<str>]>),
    /// As [`super::ValueType::Slug`].
    Slug,
    /// As [`super::ValueType::Uuid`].
    Uuid,
}

/// One segment of a route's path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Segment {
    /// An identifier: `{pupil}`.
    Identifier(Index<IdKind>),
    /// This text, decoded.
    Literal(Box<str>),
    /// A typed parameter: `{class:slug}`.
    Parameter(ParameterType),
}

/// A query parameter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueryParameter {
    /// Its name, decoded.
    pub name: Box<str>,
    /// What its value may be.
    pub rule: QueryRule,
}

/// What the value of a query parameter may be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum QueryRule {
    /// The keys that are wanted of items of that shape: `fields = "known"`.
    Fields(Index<Shape>),
    /// A filter of OneRoster over items of that shape: `"ids"`.
    Filter(Index<Shape>),
    /// An identifier.
    Identifier(Index<IdKind>),
    /// Identifiers, the parameter repeated: `kind[]`.
    Identifiers(Index<IdKind>),
    /// One value of that type.
    One(ParameterType),
    /// The field by which items of that shape are put in order: `sort = "known"`.
    Sort(Index<Shape>),
}

/// What one direction of a route carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Content {
    /// JSON under this rule.
    Json(Rule),
    /// No body: `"nothing"`, or not written. On an answer only the status passes.
    Nothing,
}

/// The statuses of an answer that something is declared for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Statuses {
    /// All that begin with this digit: `"4xx"`.
    Class(u16),
    /// This one: `"404"`.
    One(u16),
}

impl Statuses {
    /// Whether they are 401 or 403, as a line of their own.
    #[must_use]
    pub const fn is_about_credentials(self) -> bool {
        matches!(self, Self::One(401 | 403))
    }
}

/// What an answer with one of these statuses carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StatusContent {
    /// The statuses.
    pub statuses: Statuses,
    /// What it carries.
    pub content: Content,
}

/// One method and path, and what each direction may carry.
#[derive(Clone, Debug)]
pub struct Route {
    /// As in the file, for labels and people: `GET /users/{pupil}`.
    pub name: String,
    /// The method.
    pub method: Method,
    /// The path, segment by segment; none for `/`.
    pub path: Box<[Segment]>,
    /// The query parameters that may come.
    pub query: Box<[QueryParameter]>,
    /// What goes to the vendor.
    pub to_vendor: Content,
    /// What comes from the vendor.
    pub from_vendor: Content,
    /// What an answer with another status than the usual carries: `status`. Of errors only what is
    /// declared here passes.
    pub statuses: Box<[StatusContent]>,
}

impl Route {
    /// What is declared for a status; the status itself before its class.
    fn declared(&self, status: u16) -> Option<Content> {
        let of = |statuses| self.statuses.iter().find(|it| it.statuses == statuses);
        let found = of(Statuses::One(status)).or_else(|| of(Statuses::Class(status / 100)));
        found.map(|declared| declared.content)
    }
}

/// Where the two sides of a flow find each other's things, as addresses without a slash at the end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bases {
    /// Where callers reach the flow: the school's `public` and the flow's `at`.
    pub public: String,
    /// What the routes are appended to at the upstream.
    pub upstream: String,
}

/// One caller and one upstream.
#[derive(Clone, Debug)]
pub struct Flow {
    /// Its name, for labels and people.
    pub name: String,
    /// Who calls; the other side is the upstream.
    pub caller: Side,
    /// Most specific first: where two segments differ in kind, the literal one stands earlier.
    pub routes: Arc<[Route]>,
}

impl Flow {
    /// What the request of a route carries.
    #[must_use]
    pub const fn request_content(&self, route: &Route) -> Content {
        match self.caller {
            Side::School => route.to_vendor,
            Side::Vendor => route.from_vendor,
        }
    }

    /// All that a route lets go to the vendor.
    pub fn to_vendor(&self, route: &Route) -> impl Iterator<Item = Content> {
        let answers = match self.caller {
            Side::School => &[],
            Side::Vendor => &*route.statuses,
        };
        let answers = answers.iter().map(|it| it.content);
        std::iter::once(route.to_vendor).chain(answers)
    }

    /// What the answer of a route carries if it has that status; `None` for an error of which
    /// nothing is declared. Whether it may be told, [`super::Policy::answer_content`] says.
    #[must_use]
    pub fn answer_content(&self, route: &Route, status: u16) -> Option<Content> {
        let usual = match self.caller {
            Side::School => route.from_vendor,
            Side::Vendor => route.to_vendor,
        };
        match status {
            // They have no body (RFC 9110 sections 15.3.5 and 15.3.6).
            204 | 205 => Some(Content::Nothing),
            200..=299 => Some(route.declared(status).unwrap_or(usual)),
            _ => route.declared(status),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TO_VENDOR: Content = Content::Json(Rule::Blank);
    const FROM_VENDOR: Content = Content::Json(Rule::KeepAll);
    const MISSING: Content = Content::Json(Rule::Drop);
    const REFUSED: Content = Content::Nothing;

    fn route() -> Route {
        let of = |statuses, content| StatusContent { statuses, content };
        Route {
            name: String::new(),
            method: Method::Get,
            path: Box::default(),
            query: Box::default(),
            to_vendor: TO_VENDOR,
            from_vendor: FROM_VENDOR,
            statuses: [
                of(Statuses::Class(4), REFUSED),
                of(Statuses::One(404), MISSING),
                of(Statuses::One(202), MISSING),
            ]
            .into(),
        }
    }

    fn flow(caller: Side) -> Flow {
        Flow {
            name: String::new(),
            caller,
            routes: Arc::default(),
        }
    }

    #[test]
    fn a_status_says_what_is_declared_for_it_before_its_class() {
        for (status, expected) in [
            (200, Some(TO_VENDOR)),
            (202, Some(MISSING)),
            (204, Some(Content::Nothing)),
            (205, Some(Content::Nothing)),
            (299, Some(TO_VENDOR)),
            (199, None),
            (300, None),
            (400, Some(REFUSED)),
            (404, Some(MISSING)),
            (499, Some(REFUSED)),
            (500, None),
        ] {
            let content = flow(Side::Vendor).answer_content(&route(), status);
            assert_eq!(content, expected, "{status}");
        }
    }

    #[test]
    fn who_calls_gets_what_goes_to_its_side() {
        let (school, vendor) = (flow(Side::School), flow(Side::Vendor));
        assert_eq!(school.request_content(&route()), TO_VENDOR);
        assert_eq!(school.answer_content(&route(), 200), Some(FROM_VENDOR));
        assert_eq!(vendor.request_content(&route()), FROM_VENDOR);
        assert_eq!(Side::School.other(), Side::Vendor);
        assert_eq!(Side::Vendor.other(), Side::School);
        let all = |flow: &Flow| flow.to_vendor(&route()).collect::<Vec<_>>();
        assert_eq!(all(&school), [TO_VENDOR]);
        assert_eq!(all(&vendor), [TO_VENDOR, REFUSED, MISSING, MISSING]);
    }

    #[test]
    fn only_two_statuses_of_their_own_are_about_credentials() {
        let about = |statuses: Statuses| statuses.is_about_credentials();
        assert!(about(Statuses::One(401)) && about(Statuses::One(403)));
        assert!(!about(Statuses::One(402)) && !about(Statuses::Class(4)));
    }

    #[test]
    fn methods_are_a_set_in_the_order_of_their_names() {
        for method in Method::ALL {
            assert_eq!(Method::parse(method.as_str()), Some(method));
            let only = Methods::default().and(method);
            assert!(
                Method::ALL
                    .iter()
                    .all(|it| only.has(*it) == (*it == method))
            );
        }
        assert_eq!(Method::parse("get"), None);
        let some = Methods::default().and(Method::Head).and(Method::Get);
        let more = some.with(Methods::default().and(Method::Delete));
        let written = [Methods::default(), some, more].map(|them| them.to_string());
        assert_eq!(written, ["", "GET, HEAD", "DELETE, GET, HEAD"]);
        let answers = Method::ALL.map(Method::of_route);
        let [delete, get, _, patch, post, put] = Method::ALL;
        assert_eq!(answers, [delete, get, get, patch, post, put]);
    }
}
