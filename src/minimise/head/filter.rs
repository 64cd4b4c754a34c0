//! A filter of OneRoster (1.2, REST binding, section 3.4.5): `field='value' AND field>='value'`.
//!
//! It may ask about what the answer shows and about nothing else: a school that filters by a name
//! which the vendor does not get would tell, page by page, who is called so.

use std::borrow::Cow;

use super::query::Ids;
use super::{Escapes, decode, encode};
use crate::limits;
use crate::minimise::echo::{At, Holds, Kept};
use crate::minimise::value;
use crate::policy::{IdKind, Index, Keep, Policy, Shape, Side, ValueType, Visible};
use crate::pseudonym::Back;
use crate::refusal::{QueryFault, Refusal};

/// Reads a filter and writes it as the other side must understand it, percent-encoded.
///
/// # Errors
/// [`Refusal::QueryInvalid`] for all that may not be asked or is not understood; and as
/// [`Ids::turn`].
pub(super) fn write(
    ids: &mut Ids<'_>,
    items: Index<Shape>,
    raw: &str,
    target: &mut String,
) -> Result<(), Refusal> {
    let text = text(raw, ids.escapes).map_err(|fault| Refusal::QueryInvalid { fault })?;
    let mut rest = text.as_str();
    for _ in 0..limits::FILTER_CLAUSES_MAX {
        let (clause, after) = Clause::parse(rest).ok_or(Refusal::QUESTION_INVALID)?;
        clause.write(ids, items, target)?;
        if after.is_empty() {
            return Ok(());
        }
        let (word, after) = Joint::parse(after).ok_or(Refusal::QUESTION_INVALID)?;
        encode(word.as_str(), target);
        rest = after;
    }
    Err(Refusal::QUESTION_INVALID)
}

/// The text of a filter. Outside quotes a `+` is a space, as forms write it; within, where it is a
/// plus to some, it is refused.
fn text(raw: &str, escapes: Escapes) -> Result<String, QueryFault> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~!$'()*,:@/?%=".contains(&byte);
    // Every other piece stands between quotes.
    let unquoted = raw.replace("%27", "'");
    let mut spaced = String::with_capacity(unquoted.len());
    for (place, piece) in unquoted.split('\'').enumerate() {
        if place > 0 {
            spaced.push('\'');
        }
        match place.is_multiple_of(2) {
            true => spaced.push_str(&piece.replace('+', "%20")),
            false => spaced.push_str(piece),
        }
    }
    let passes = |byte: u8| plain(byte) || escapes.may_miss(byte);
    if !spaced.bytes().all(passes) {
        return Err(QueryFault::Unencoded);
    }
    let text = decode(&spaced, escapes.in_query()).map(Cow::into_owned);
    text.ok_or(QueryFault::Malformed)
}

/// `field op 'value'`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Clause<'t> {
    field: &'t str,
    operator: Operator,
    value: &'t str,
}

impl<'t> Clause<'t> {
    /// The first clause of a text, and what stands behind it.
    fn parse(text: &'t str) -> Option<(Self, &'t str)> {
        let end = text.find([' ', '\'', '=', '!', '<', '>', '~'])?;
        let (field, rest) = text.split_at_checked(end)?;
        let (operator, rest) = Operator::parse(rest.trim_start_matches(' '))?;
        let rest = rest.trim_start_matches(' ').strip_prefix('\'')?;
        let (value, rest) = rest.split_once('\'')?;
        let clause = Self {
            field,
            operator,
            value,
        };
        Some((clause, rest))
    }

    fn write(
        self,
        ids: &mut Ids<'_>,
        items: Index<Shape>,
        target: &mut String,
    ) -> Result<(), Refusal> {
        let law = ids.crossing.law();
        let asked = question(&law.policy, items, self.field, ids.crossing.to);
        let Question { field, about } = asked.ok_or(Refusal::QUESTION_INVALID)?;
        let value = match about {
            About::Identifier(kind) if self.operator.is_equality() => {
                let known = law.kind(kind).map(|kind| kind.spec().back);
                if ids.crossing.to == Side::School && known != Some(Back::SchoolOnly) {
                    return Err(Refusal::QUESTION_INVALID);
                }
                ids.turn(kind, self.value)?
            }
            About::Kept(keep) if may_ask(&law.policy, keep, self.operator, self.value) => {
                ids.pass(At::Field(self.field), kept(&law.policy, keep, self.value))?;
                self.value
            }
            About::OneOf(cases) if self.operator.is_equality() => {
                let named = cases.iter().any(|(case, _)| **case == *self.value);
                named
                    .then_some(self.value)
                    .ok_or(Refusal::QUESTION_INVALID)?
            }
            About::Identifier(_) | About::Kept(_) | About::OneOf(_) => {
                return Err(Refusal::QUESTION_INVALID);
            }
        };
        // There is no way to write one.
        if value.contains('\'') {
            return Err(Refusal::QUESTION_INVALID);
        }
        encode(&field, target);
        encode(self.operator.as_str(), target);
        encode("'", target);
        encode(value, target);
        encode("'", target);
        Ok(())
    }
}

/// What a clause comes to on the other side.
struct Question<'p> {
    field: Cow<'p, str>,
    about: About<'p>,
}

enum About<'p> {
    Identifier(Index<IdKind>),
    Kept(Keep),
    OneOf(&'p [(Box<str>, Index<Shape>)]),
}

/// What the other side is asked about a field; `None` if that may not be asked.
fn question<'p>(
    policy: &'p Policy,
    items: Index<Shape>,
    field: &'p str,
    to: Side,
) -> Option<Question<'p>> {
    let (about, field) = match (policy.visible(items, field), to) {
        (Some(Visible::Identifier(kind)), _) => (About::Identifier(kind), field),
        (Some(Visible::Kept(keep)), _) => (About::Kept(keep), field),
        (Some(Visible::OneOf(cases)), _) => (About::OneOf(cases), field),
        // The school knows nothing of the text that was made of the sibling.
        (Some(Visible::Derived { kind, of }), Side::School) => {
            let sibling = match field.rsplit_once('.') {
                Some((before, _)) => Cow::Owned(format!("{before}.{of}")),
                None => Cow::Borrowed(of),
            };
            let about = About::Identifier(kind);
            return Some(Question {
                field: sibling,
                about,
            });
        }
        (Some(Visible::Derived { .. }), Side::Vendor) => return None,
        // And the vendor nothing of a sibling that is withheld.
        (None, Side::Vendor) => {
            let (made, kind) = policy.made_of(items, field).find(|(made, kind)| {
                let back = Visible::Derived {
                    kind: *kind,
                    of: field,
                };
                policy.visible(items, made) == Some(back)
            })?;
            (About::Identifier(kind), made)
        }
        (None, Side::School) => return None,
    };
    Some(Question {
        field: Cow::Borrowed(field),
        about,
    })
}

/// Whether a kept field may be compared with a value in that way: a value of its type that its
/// rules let through, and no comparison that would tell of values that they withhold.
fn may_ask(policy: &Policy, keep: Keep, operator: Operator, text: &str) -> bool {
    let ordered = match keep.of {
        ValueType::Any
        | ValueType::Date
        | ValueType::DateTime
        | ValueType::Int
        | ValueType::Number => !policy.withholds(keep),
        ValueType::Bool | ValueType::Lang | ValueType::Slug | ValueType::Url | ValueType::Uuid => {
            false
        }
    };
    let allowed = match operator {
        Operator::Contains => keep.of == ValueType::Any && keep.rules.is_none(),
        Operator::Equal | Operator::NotEqual => true,
        Operator::Greater | Operator::GreaterOrEqual | Operator::Less | Operator::LessOrEqual => {
            ordered
        }
    };
    allowed && is_of(text, keep.of) && passes(policy, keep, text)
}

/// A value that a kept field is compared with, if it can hold anything. A word of the policy
/// cannot.
fn kept<'t>(policy: &'t Policy, keep: Keep, text: &'t str) -> Option<Kept<'t>> {
    let rules = keep
        .rules
        .and_then(|rules| policy.value_rules.get(rules.place()));
    let listed = rules.is_some_and(|rules| rules.one_of.is_some());
    let holds = Holds::of(keep.of).filter(|_| !listed)?;
    Some(Kept { text, holds, rules })
}

/// Whether a value is of a type; a day is also the beginning of a moment.
fn is_of(text: &str, of: ValueType) -> bool {
    match of {
        ValueType::Any => true,
        ValueType::Bool => matches!(text, "true" | "false"),
        ValueType::Date => value::is_date(text),
        ValueType::DateTime => value::is_datetime(text) || value::is_date(text),
        ValueType::Int => value::is_int(text),
        ValueType::Lang => value::is_lang(text),
        ValueType::Number => is_number(text),
        ValueType::Slug => value::is_slug(text),
        ValueType::Url => value::is_url(text),
        ValueType::Uuid => value::is_uuid(text),
    }
}

/// A whole number, or one with a fraction.
fn is_number(text: &str) -> bool {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let digits = (1..=18).contains(&fraction.len());
    let whole = whole == "-0" || value::is_int(whole);
    whole && digits && fraction.bytes().all(|byte| byte.is_ascii_digit())
}

fn passes(policy: &Policy, keep: Keep, text: &str) -> bool {
    let Some(rules) = keep.rules else {
        return true;
    };
    let Some(rules) = policy.value_rules.get(rules.place()) else {
        return false;
    };
    let listed = |words: &[Box<str>]| {
        let plain = !text.contains(['"', '\\']);
        let quoted = format!("\"{text}\"");
        plain
            && words
                .iter()
                .any(|word| **word == *text || **word == *quoted)
    };
    rules.fits(text) && rules.one_of.as_deref().is_none_or(listed)
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operator {
    Contains,
    Equal,
    Greater,
    GreaterOrEqual,
    Less,
    LessOrEqual,
    NotEqual,
}

impl Operator {
    /// All of them, longer ones first.
    const ALL: [Self; 7] = [
        Self::GreaterOrEqual,
        Self::LessOrEqual,
        Self::NotEqual,
        Self::Contains,
        Self::Equal,
        Self::Greater,
        Self::Less,
    ];

    fn parse(text: &str) -> Option<(Self, &str)> {
        let mut all = Self::ALL.into_iter();
        all.find_map(|it| Some((it, text.strip_prefix(it.as_str())?)))
    }

    const fn as_str(self) -> &'static str {
        match self {
            Self::Contains => "~",
            Self::Equal => "=",
            Self::Greater => ">",
            Self::GreaterOrEqual => ">=",
            Self::Less => "<",
            Self::LessOrEqual => "<=",
            Self::NotEqual => "!=",
        }
    }

    const fn is_equality(self) -> bool {
        matches!(self, Self::Equal | Self::NotEqual)
    }
}

/// What stands between two clauses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Joint {
    And,
    Or,
}

impl Joint {
    fn parse(text: &str) -> Option<(Self, &str)> {
        let mut both = [Self::And, Self::Or].into_iter();
        both.find_map(|it| Some((it, text.strip_prefix(it.as_str())?)))
    }

    const fn as_str(self) -> &'static str {
        match self {
            Self::And => " AND ",
            Self::Or => " OR ",
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::config::{Context, Presets, Problems, SourceFile, read_vendor};
    use crate::limits::Limits;
    use crate::minimise::head::{Asked, RequestLine, find, request};
    use crate::minimise::tests::Book;
    use crate::minimise::{Counts, Crossing, Law};
    use crate::names::VendorId;
    use crate::pseudonym::{Form, Generation, Recall, VendorKey};

    const POLICY: &str = r#"version = 1
vendor.name      = "V"
vendor.agreement = "A"
vendor.purpose   = "P"
vendor.contact   = "C"
vendor.valid     = { from = 2026-08-01, until = 2027-07-31 }
[ids]
person = { back = "school-only" }
mail   = { back = "school-only", looks = "text:12" }
login  = { back = "school-only", looks = "text:10" }
oneway = {}
[[flow.pull.route]]
match     = "GET /users"
query.filter = "ids"
query.sort   = "known"
query.fields = "known"
query.limit  = "int"
query.after  = "slug"
query.mark   = "uuid"
query.from   = "int"
query.day    = "date"
query.moment = "datetime"
query."page[size]" = "int"
query.skip   = "slug"
to-vendor = { users = "User[]" }
[[flow.pull.route]]
match     = "GET /seats"
query     = { filter = "ids", fields = "known", limit = "int" }
to-vendor = "Seat[]"
[[flow.pull.route]]
match     = "GET /rows"
query     = { fields = "known", limit = "int" }
to-vendor = "Row[]"
[[flow.pull.route]]
match     = ["GET /of/{person}/{mark:slug}", "GET /of/{person}/{mark:slug}/{number:int}"]
[flow.pull]
caller   = "CALLER"
callers  = "anyone"
upstream = "https://sis.example"
[shape.User]
_switch    = { field = "roles.role", cases = { student = "Student", teacher = "Teacher" } }
_otherwise = "Stub"
[shape.Student]
sourcedId = "person"
email     = { as = "mail", of = "sourcedId" }
code      = { as = "oneway", of = "sourcedId" }
username  = { as = "login", of = "sourcedId" }
other     = "oneway"
status    = { as = "keep", one-of = ["active", "tobedeleted", true] }
since     = "keep:datetime"
title     = { as = "keep", max = 10 }
note      = "keep"
tongue    = "keep:lang"
level     = "keep:number"
name      = "drop"
year      = "year"
label     = { as = "constant", value = "-" }
grade     = "keep:int"
roles     = "Role[]"
org       = "Org"
home      = "Home"
place     = "keep"
friends   = "person[]"
[shape.Teacher]
sourcedId = "person"
email     = { as = "mail", of = "sourcedId" }
code      = { as = "oneway", of = "sourcedId" }
username  = { as = "login", of = "sourcedId" }
other     = "oneway"
status    = { as = "keep", one-of = ["active", "tobedeleted", true] }
since     = "keep:datetime"
title     = { as = "keep", max = 10 }
note      = "keep"
tongue    = "keep:lang"
level     = "keep:number"
grade     = "keep"
year      = "year"
label     = { as = "constant", value = "-" }
roles     = "Role[]"
org       = "Org"
home      = "Home"
place     = "keep"
friends   = "person[]"
[shape.Stub]
sourcedId = "person"
status    = { as = "constant", value = "tobedeleted" }
since     = "keep:datetime"
level     = "blank"
home      = "Stub-home"
place     = "Home"
title     = "drop"
[shape.Role]
role = { as = "keep", one-of = ["student", "teacher"] }
[shape.Org]
sourcedId = "person"
email     = { as = "mail", of = "sourcedId" }
[shape.Home]
town   = "keep"
street = "keep"
home   = "Home"
[shape.Stub-home]
town = "blank"
[shape.Seat]
_switch = { field = "kind", cases = { a = "Row", b = "Row" } }
[shape.Row]
label = { as = "constant", value = "-" }
owner = "drop"
email = { as = "mail", of = "owner" }
"#;

    pub(in crate::minimise::head) fn law(caller: &str) -> Arc<Law> {
        let file = SourceFile::new("v.toml", POLICY.replace("CALLER", caller));
        let policy = match caller {
            "school" => {
                let back = file
                    .text()
                    .replace("oneway = {}", "oneway = { back = \"school-only\" }");
                back.replace("to-vendor", "from-vendor")
            }
            _ => file.text().to_owned(),
        };
        let file = SourceFile::new("v.toml", policy);
        let mut problems = Problems::new();
        let (id, context) = (VendorId::parse("v").unwrap(), Context::default());
        let draft = read_vendor(&file, &id, &Presets::none(), &context, &mut problems);
        let draft = draft.unwrap_or_else(|| panic!("{problems:?}"));
        Arc::new(Law {
            policy: draft.policy,
            generations: Arc::new([Generation::new(
                1,
                &VendorKey::from([7; 32]),
                draft.kind_specs,
            )]),
            limits: Limits::default(),
        })
    }

    pub(in crate::minimise::head) fn book() -> Arc<Book> {
        let found = Recall::Found {
            form: Form::Text,
            age: 0,
        };
        let book = Book::default();
        book.knows(0, "p-1", "S-1", found);
        book.knows(0, "p-2", "it's", found);
        book.knows(1, "m-1", "S-1", found);
        book.knows(2, "u-1", "S-1", found);
        Arc::new(book)
    }

    /// What becomes of a request on its way to a side.
    pub(in crate::minimise::head) fn target(
        caller: &str,
        to: Side,
        path: &str,
        query: &str,
    ) -> Result<String, Refusal> {
        target_under(law(caller), to, path, query)
    }

    pub(in crate::minimise::head) fn target_under(
        law: Arc<Law>,
        to: Side,
        path: &str,
        query: &str,
    ) -> Result<String, Refusal> {
        let crossing = Crossing::towards(to, law, Some(book()));
        let line = RequestLine {
            method: "GET",
            path,
            query: Some(query),
        };
        let found = find(&crossing.law.policy, 0, line)?;
        let head = request(&crossing, 0, &found, Asked::Again, &mut Counts::default())?;
        let target = head.outbound.release().target;
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~%/?&=".contains(&byte);
        assert!(target.bytes().all(plain), "{target}");
        Ok(target)
    }

    /// What reaches the other side of `/users?filter=…`, decoded. Cases are legible: `<` and `>`
    /// stand escaped in a query (RFC 3986, section 3.4).
    fn asked(caller: &str, path: &str, filter: &str) -> Result<String, Refusal> {
        let filter = filter.replace('<', "%3C").replace('>', "%3E");
        let to = match caller {
            "vendor" => Side::School,
            _ => Side::Vendor,
        };
        let target = target(caller, to, path, &format!("filter={filter}"))?;
        let filter = target.split_once("?filter=").unwrap().1;
        Ok(decoded(filter))
    }

    /// Percent-decoded as an upstream does it: what we refuse from a caller is no less a value.
    fn decoded(text: &str) -> String {
        let mut pieces = text.split('%');
        let mut bytes = pieces.next().unwrap_or_default().as_bytes().to_vec();
        for piece in pieces {
            let (digits, rest) = piece.split_at(2);
            bytes.push(u8::from_str_radix(digits, 16).unwrap());
            bytes.extend_from_slice(rest.as_bytes());
        }
        String::from_utf8(bytes).unwrap()
    }

    fn by_vendor(filter: &str) -> Result<String, Refusal> {
        asked("vendor", "/users", filter)
    }

    fn is_refused(filter: &str) -> bool {
        matches!(by_vendor(filter), Err(Refusal::QueryInvalid { .. }))
    }

    const fn refused(fault: QueryFault) -> Result<String, Refusal> {
        Err(Refusal::QueryInvalid { fault })
    }

    #[test]
    fn a_filter_on_what_the_vendor_sees_passes() {
        for (filter, expected) in [
            ("status='active'", "status='active'"),
            ("status%3D%27active%27", "status='active'"),
            ("status='true'", "status='true'"),
            ("status!='active'+OR+note~'a+b'", ""),
            (
                "status!='active'+OR+note~'a%2Bb'",
                "status!='active' OR note~'a+b'",
            ),
            ("note>='a'%20AND%20note<='b'", "note>='a' AND note<='b'"),
            ("note%20=%20'a'", "note='a'"),
            ("note=''", "note=''"),
            ("since>'2026-08-01'", "since>'2026-08-01'"),
            (
                "since<'2026-08-01T00:00:00%2B02:00'",
                "since<'2026-08-01T00:00:00+02:00'",
            ),
            ("title='1a'", "title='1a'"),
            ("title>'1a'", "title>'1a'"),
            ("roles.role='student'", "roles.role='student'"),
            ("home.street='a'", "home.street='a'"),
            ("home.home.home.street='a'", "home.home.home.street='a'"),
        ] {
            let seen = by_vendor(filter);
            match expected {
                "" => assert_eq!(seen, refused(QueryFault::Unencoded), "{filter}"),
                _ => assert_eq!(seen.as_deref(), Ok(expected), "{filter}"),
            }
        }
    }

    #[test]
    fn what_cannot_stand_in_a_query_as_it_is_is_refused() {
        for filter in ["since>'2026-08-01'", "note<='b'", "note~'<b>'"] {
            let seen = target(
                "vendor",
                Side::School,
                "/users",
                &format!("filter={filter}"),
            );
            assert_eq!(seen, refused(QueryFault::Unencoded), "{filter}");
            assert!(by_vendor(filter).is_ok(), "{filter}");
        }
    }

    #[test]
    fn identifiers_in_a_filter_come_home() {
        for (filter, expected) in [
            ("sourcedId='p-1'", "sourcedId='S-1'"),
            ("friends!='p-1'", "friends!='S-1'"),
            ("org.sourcedId='p-1'", "org.sourcedId='S-1'"),
            ("email='m-1'", "sourcedId='S-1'"),
            ("org.email='m-1'", "org.sourcedId='S-1'"),
            ("username='u-1'", "sourcedId='S-1'"),
            (
                "username!='u-1'+OR+email='m-1'",
                "sourcedId!='S-1' OR sourcedId='S-1'",
            ),
        ] {
            assert_eq!(by_vendor(filter).as_deref(), Ok(expected), "{filter}");
        }
        for unknown in [
            "sourcedId='S-1'",
            "sourcedId='m-1'",
            "email='p-1'",
            "username='m-1'",
        ] {
            assert_eq!(by_vendor(unknown), Err(Refusal::TargetUnknown), "{unknown}");
        }
    }

    #[test]
    fn what_may_not_be_asked_is_refused() {
        for filter in [
            "name='Jansen'",
            "familyName='Jansen'",
            "year='2016'",
            "label='-'",
            "grade='7'",     // not the same in both cases
            "level='7'",     // blank in a stub
            "home.town='a'", // the same, further inside
            "place='a'",     // an object in a stub
            "status>'active'",
            "status='inactive'",
            "status~'act'",
            "title~'a'",
            "title='01234567890'",
            "since='yesterday'",
            "sourcedId>'p-1'",
            "sourcedId~'p'",
            "sourcedId='p-2'", // cannot be written
            "email~'m'",
            "other='p-1'",
            "code='p-1'",
            "roles.role='parent'",
            "roles.role>'student'",
            "roles='student'",
            "org='p-1'",
            "org.sourcedId.x='p-1'",
            ".sourcedId='p-1'",
            "home.home.home.home.street='a'", // more steps than may be
            "",
            "note",
            "note=",
            "note=a",
            "note='a",
            "note='a'b'",
            "note='a''b'",
            "note='a'x",
            "note='a' ",
            "note='a'+AND+",
            "note='a'+and+note='b'",
            "note='a'AND+note='b'",
            "note='a'++AND+note='b'",
            "(note='a')",
            "NOT+note='a'",
            "note=='a'",
            "note='%2527'",
            "note='a%26limit=1'+AND",
            "note='a;b'",
            "='a'",
            "'note'='a'",
        ] {
            assert!(is_refused(filter), "{filter}");
        }
        let many = |count| vec!["note='a'"; count].join("+AND+");
        assert!(by_vendor(&many(limits::FILTER_CLAUSES_MAX)).is_ok());
        let most = limits::FILTER_CLAUSES_MAX;
        assert_eq!(
            by_vendor(&many(most.wrapping_add(1))),
            Err(Refusal::QUESTION_INVALID)
        );
    }

    #[test]
    fn what_chooses_a_shape_is_asked_about_only_where_it_shows() {
        let seat = |filter| asked("vendor", "/seats", filter);
        assert_eq!(seat("kind='a'"), Err(Refusal::QUESTION_INVALID));
        assert_eq!(seat("email='m-1'").as_deref(), Ok("owner='S-1'"));
        assert_eq!(seat("owner='p-1'"), Err(Refusal::QUESTION_INVALID));
    }

    #[test]
    fn what_the_school_asks_a_vendor_goes_under_pseudonyms() {
        let by_school = |path, filter| asked("school", path, filter);
        let seen = by_school("/users", "sourcedId='S-1'+AND+status='active'").unwrap();
        assert!(seen.ends_with(" AND status='active'"), "{seen}");
        assert!(!seen.contains("S-1"), "{seen}");
        let made = by_school("/seats", "owner='S-1'").unwrap();
        assert!(
            made.starts_with("email='") && !made.contains("S-1"),
            "{made}"
        );
        for filter in ["name='Jansen'", "email='x'"] {
            let seen = by_school("/users", filter);
            assert_eq!(seen, Err(Refusal::QUESTION_INVALID), "{filter}");
        }
    }

    #[test]
    fn the_preset_answers_what_a_roster_client_asks() {
        let text = r#"version = 1
vendor.name      = "V"
vendor.agreement = "A"
vendor.purpose   = "P"
vendor.contact   = "C"
vendor.valid     = { from = 2026-08-01, until = 2027-07-31 }
[flow.pull]
preset   = "oneroster-1.2/pull@1"
callers  = "anyone"
upstream = "https://sis.example"
"#;
        let file = SourceFile::new("v.toml", text.to_owned());
        let (id, context) = (VendorId::parse("v").unwrap(), Context::default());
        let mut problems = Problems::new();
        let draft = read_vendor(&file, &id, &Presets::shipped(), &context, &mut problems);
        let policy = draft.unwrap().policy;
        let shape = |name| {
            let place = policy.shapes.iter().position(|shape| shape.name == name);
            Index::new(place.unwrap()).unwrap()
        };
        let (user, enrollment) = (shape("User"), shape("Enrollment"));
        for (items, path) in [
            (user, "sourcedId"),
            (user, "status"),
            (user, "dateLastModified"),
            (user, "roles.role"),
            (user, "primaryOrg.sourcedId"),
            (enrollment, "role"),
            (enrollment, "class.sourcedId"),
            (enrollment, "user.sourcedId"),
        ] {
            assert!(policy.visible(items, path).is_some(), "{path}");
        }
        for path in [
            "givenName",
            "email",
            "identifier",
            "username",
            "grades",
            "metadata.x",
        ] {
            assert_eq!(policy.visible(user, path), None, "{path}");
            assert!(!policy.is_orderly(user, path), "{path}");
        }
        assert!(policy.is_orderly(user, "dateLastModified"));
        assert!(!policy.is_orderly(user, "status") && !policy.is_orderly(enrollment, "role"));
    }

    proptest::proptest! {
        /// Whatever is asked, what goes on is understood again and says the same.
        #[test]
        fn what_goes_on_of_a_filter_is_a_filter(
            fields in "(note|since|status|sourcedId|roles.role|name){1}",
            rest in "(=|!=|~|>=|%3C)'[ -~]{0,8}'((\\+AND\\+|%20OR%20)note='[a-z]')?|[!-~]{0,16}",
        ) {
            let raw = format!("{fields}{rest}").replace(['#', '&'], "");
            // What may stand in a query as it is.
            let plain = |it: char| it.is_ascii_alphanumeric() || "-._~!$'()*,:@/?=<> ".contains(it);
            if let Ok(seen) = by_vendor(&raw) && seen.chars().all(plain) {
                let again = by_vendor(&seen.replace(' ', "%20"));
                proptest::prop_assert_eq!(again, Ok(seen));
            }
        }
    }
}
