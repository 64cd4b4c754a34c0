//! What vendors have in common of a preset is made once, and changes nothing for anybody.

use std::fs;
use std::sync::Arc;

use sluis::config::{Colour, Context, Presets, Problems, SourceFile, VendorDraft, read_vendor};
use sluis::names::VendorId;
use sluis::policy::{Fields, ShapeBody};

/// A preset whose shapes have a part of every sort.
const PARTS: &str = r#"
version = 1
[preset]
name = "parts/pull@1"
standard = "Parts 1"
caller = "vendor"
[ids.person]
[ids.other]
[[route]]
match = "GET /first"
to-vendor = "First"
[[route]]
match = "GET /second"
to-vendor = "Second"
[[route]]
match = "GET /tagged"
to-vendor = "Tagged"
[shape.First]
grade = { as = "keep", one-of = ["7"] }
note = { as = "constant", value = "first" }
born = "year"
free = "keep"
name = "keep"
[shape.Second]
grade = { as = "keep", like = "[78]", max = 1 }
grades = { as = "keep[]", one-of = ["8"] }
note = { as = "constant", value = "second" }
place = { as = "url", otherwise = "none" }
born = "month"
others = "other[]"
_any = { key = "person", as = "keep", one-of = ["9"] }
[shape.Tagged]
tag = { as = "template", like = "{person}:{person}" }
"#;

/// A preset that leaves it to the vendor to say what two of its words are.
const OPEN: &str = r#"
version = 1
[preset]
name = "open/pull@1"
standard = "Open 1"
caller = "vendor"
[ids.person]
[[route]]
match = "GET /things"
to-vendor = "Thing[]"
[shape.Thing]
id = "person"
mail = "mail"
[shape.Other]
inside = "Inside"
"#;

fn presets() -> Presets {
    let mut presets = crate::presets();
    presets.add("open/pull@1", OPEN);
    presets.add("parts/pull@1", PARTS);
    presets
}

fn read(text: &str, presets: &Presets) -> (Option<VendorDraft>, String) {
    read_at(text, presets, &Context::default())
}

fn read_at(text: &str, presets: &Presets, context: &Context) -> (Option<VendorDraft>, String) {
    let file = SourceFile::new("v.toml", text.to_owned());
    let (id, mut problems) = (VendorId::parse("vendor").unwrap(), Problems::new());
    let draft = read_vendor(&file, &id, presets, context, &mut problems);
    (draft, problems.text(Colour::Off))
}

fn vendor(preset: &str, more: &str) -> String {
    format!(
        "version = 1\n[vendor]\nname = \"V\"\nagreement = \"T\"\npurpose = \"Tests\"\n\
         contact = \"privacy@v.example\"\nvalid = {{ from = 2020-01-01, until = 2099-12-31 }}\n\
         [flow.pull]\npreset = \"{preset}\"\ncaller = \"vendor\"\n\
         upstream = \"https://sis.example\"\ncallers = [{{ token-sha256 = \"{:064x}\" }}]\n{more}",
        7
    )
}

fn fields<'p>(draft: &'p VendorDraft, name: &str) -> &'p Arc<Fields> {
    let shape = draft.policy.shapes.iter().find(|it| it.name == name);
    let fields = match &shape.unwrap().body {
        ShapeBody::Fields(fields) => Some(fields),
        ShapeBody::Switch(_) => None,
    };
    fields.unwrap()
}

#[test]
fn vendors_of_one_preset_share_its_catalogue_and_the_shapes_that_they_leave_alone() {
    let presets = presets();
    let preset = "oneroster-1.2/pull@1";
    let draft = |more| read(&vendor(preset, more), &presets).0.unwrap();
    let (one, other) = (draft(""), draft(""));
    let narrow = draft("[shape.User-student]\nprimaryOrg = \"drop\"\n");
    assert!(Arc::ptr_eq(&one.catalogue, &other.catalogue));
    assert!(Arc::ptr_eq(&one.catalogue, &narrow.catalogue));
    let mut shared = 0;
    for shape in &one.policy.shapes {
        if let ShapeBody::Fields(own) = &shape.body
            && !shape.name.starts_with(|first: char| first.is_lowercase())
        {
            shared += usize::from(Arc::ptr_eq(own, fields(&other, &shape.name)));
        }
    }
    assert!(shared >= 20, "{shared}");
    let routes = [&one, &other, &narrow].map(|draft| &draft.policy.flows[0].routes);
    assert!(Arc::ptr_eq(routes[0], routes[1]), "compiled twice");
    assert!(!Arc::ptr_eq(routes[0], routes[2]));
    let names = ["User-student", "User-teacher"];
    let is_shared = names.map(|name| Arc::ptr_eq(fields(&one, name), fields(&narrow, name)));
    assert_eq!(is_shared, [false, true]);
}

/// Reads a text alone, and where others were read before: the same must come of it.
fn read_after(others: &[&str], text: &str) {
    let warm = presets();
    for other in others {
        let _read = read(other, &warm);
    }
    let ((alone, told_alone), (after, told_after)) = (read(text, &presets()), read(text, &warm));
    assert_eq!(told_alone, told_after, "{text}");
    assert_eq!(format!("{alone:?}"), format!("{after:?}"), "{text}");
}

#[test]
fn a_vendor_has_its_own_policy_whoever_was_read_before() {
    let whole = vendor("parts/pull@1", "");
    let narrow = vendor(
        "parts/pull@1",
        "[shape.First]\nnote = { as = \"constant\", value = \"mine\" }\n\
         free = { as = \"keep\", max = 3 }\nname = \"initial\"\n",
    );
    let looks = vendor(
        "parts/pull@1",
        "[ids.person]\nlooks = \"url\"\nprefix = \"https://id.example/\"\n",
    );
    let except = vendor("parts/pull@1", "[except]\nother = \"lists/none.txt\"\n");
    let all = [&*whole, &*narrow, &*looks, &*except];
    for text in all {
        // Whose ids look like URLs, for that one nothing shows where an id in a text ends.
        assert_eq!(read(text, &presets()).0.is_none(), text == looks, "{text}");
        all.iter().for_each(|other| read_after(&[other], text));
    }
    // The numbers of what `Second` names are others where `First` names more.
    let (one, _) = read(&whole, &presets());
    let (other, _) = read(&narrow, &presets());
    let (one, other) = (one.unwrap(), other.unwrap());
    let second = [&one, &other].map(|draft| format!("{:?}", fields(draft, "Second").lines()));
    assert_ne!(second[0], second[1]);
}

/// A preset with pseudonyms that are too short for a large school, and a route where callers that
/// fetch tokens would fetch them.
const SMALL: &str = r#"
version = 1
[preset]
name = "small/pull@1"
standard = "Small 1"
caller = "vendor"
[ids.person]
looks = "digits:9"
[[route]]
match = "GET /people"
to-vendor = "Person[]"
[shape.Person]
id = "person"
"#;
const ON_TOKEN_PATH: &str = r#"
version = 1
[preset]
name = "token/pull@1"
standard = "Token 1"
caller = "vendor"
[ids.person]
back = "school-only"
[[route]]
match = "GET /oauth/{person}"
to-vendor = "Person"
[shape.Person]
id = "person"
"#;

#[test]
fn of_a_file_that_adds_nothing_whatever_else_is_wrong_is_told() {
    let good = vendor("parts/pull@1", "");
    let spoilt = [
        ("purpose = \"Tests\"\n", ""),
        ("2099-12-31", "2019-12-31"),
        ("https://sis", "ftp://sis"),
        ("https://sis", "http://sis"),
        ("caller = \"vendor\"", "caller = \"school\""),
        ("caller = \"vendor\"", "colour = \"blue\""),
        ("caller = \"vendor\"", "at = \"nowhere\""),
        ("caller = \"vendor\"", "rate = \"often\""),
        ("[flow.pull]", "[limits]\nrate = \"1/s\"\n[flow.pull]"),
        ("[flow.pull]", "[flow.Pull]"),
        ("[flow.pull]", "[flow.push]"),
        (
            "preset = \"parts/pull@1\"",
            "preset = [\"parts/pull@1\", \"none/pull@1\"]",
        ),
    ];
    for (from, to) in spoilt {
        let text = good.replace(from, to);
        assert_ne!(text, good);
        read_after(&[&good], &text);
        read_after(&[&text], &good);
    }
}

#[test]
fn a_file_without_a_flow_is_refused_also_behind_one_with_an_empty_table_of_them() {
    let head = vendor("parts/pull@1", "");
    let (head, _) = head.split_once("[flow.pull]").unwrap();
    let empty = format!("{head}[flow]\n");
    assert!(read(head, &presets()).0.is_none());
    read_after(&[&empty], head);
}

#[test]
fn what_is_short_enough_for_one_school_is_not_so_for_another() {
    let mut presets = presets();
    presets.add("small/pull@1", SMALL);
    let text = vendor("small/pull@1", "");
    let read = |pupils| read_at(&text, &presets, &Context { pupils });
    let (few, none) = read(20);
    assert_eq!((few.is_some(), none.as_str()), (true, ""));
    let (many, told) = read(2_000_000);
    assert!(many.is_none(), "{told}");
}

#[test]
fn a_route_on_the_token_path_is_refused_to_callers_with_tokens_only() {
    let mut presets = presets();
    presets.add("token/pull@1", ON_TOKEN_PATH);
    let bearers = vendor("token/pull@1", "");
    let secret = format!("oauth2 = \"v\", secret-sha256 = \"{:064x}\"", 8);
    let clients = bearers.replace(&format!("token-sha256 = \"{:064x}\"", 7), &secret);
    assert_ne!(clients, bearers);
    let (draft, told) = read(&bearers, &presets);
    assert!(draft.is_some(), "{told}");
    let (none, told) = read(&clients, &presets);
    assert!(none.is_none(), "{told}");
}

#[test]
fn what_one_vendor_brings_is_not_there_for_another() {
    let mail = "[ids.mail]\n[shape.Inside]\nx = \"keep:int\"\n";
    let mail = vendor("open/pull@1", mail);
    let other = "[ids.first]\n[ids.mail]\n[shape.Inside]\nx = \"first\"\n";
    let other = vendor("open/pull@1", other);
    let none = vendor("open/pull@1", "");
    for text in [&mail, &other] {
        assert!(
            read(text, &presets()).0.is_some(),
            "{}",
            read(text, &presets()).1
        );
    }
    assert!(read(&none, &presets()).0.is_none());
    for text in [&mail, &other, &none] {
        read_after(&[&mail, &other, &none], text);
        read_after(&[&none, &other, &mail], text);
    }
}

#[test]
fn files_say_and_mean_the_same_whoever_was_read_before() {
    let mut paths = crate::toml_files("tests/config/good");
    paths.extend(crate::toml_files("tests/config/bad"));
    paths.extend(crate::toml_files("config/schools/regenboog/vendors"));
    let texts = paths.iter().map(|path| fs::read_to_string(path).unwrap());
    let texts: Vec<String> = texts.filter(|text| text.contains("\npreset")).collect();
    assert!(texts.len() > 5);
    let others: Vec<&str> = texts.iter().map(String::as_str).collect();
    let backwards: Vec<&str> = others.iter().copied().rev().collect();
    for text in &texts {
        read_after(&others, text);
        read_after(&backwards, text);
    }
}
