//! Vendor files, good and bad. A bad one stands beside the exact messages it is answered with:
//! `tests/config/bad/NAME.toml` and `NAME.stderr`. `BLESS=1` writes the messages anew; read them
//! before they are committed. A good one stands beside an outline of its policy, `NAME.policy`.

#![expect(
    clippy::arithmetic_side_effects,
    clippy::disallowed_macros,
    clippy::get_unwrap,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::unwrap_in_result,
    clippy::unwrap_used,
    clippy::use_debug,
    reason = "a test fails by panicking, and shows what it saw"
)]

#[path = "config/mutants.rs"]
mod mutants;
#[path = "config/outline.rs"]
mod outline;
#[path = "config/shared.rs"]
mod shared;

use std::fs;
use std::path::{Path, PathBuf};

use sluis::config::{
    Colour, Context, Draft, Presets, Problem, Problems, Severity, SourceFile, VendorDraft,
    read_vendor,
};
use sluis::names::VendorId;

/// A file as `check` reads it, with what it has to say about it.
fn read(path: &Path, shown: &str) -> (Option<VendorDraft>, Problems) {
    let file = SourceFile::new(shown, fs::read_to_string(path).unwrap());
    let id = VendorId::parse("vendor").unwrap();
    let mut problems = Problems::new();
    let draft = read_vendor(&file, &id, &presets(), &Context::default(), &mut problems);
    (draft, problems)
}

/// Those that ship, and one that has what they do not use.
fn presets() -> Presets {
    let mut presets = Presets::shipped();
    let ladder = include_str!("config/presets/ladder.toml");
    presets.add("ladder/pull@1", ladder);
    presets
}

fn toml_files(folder: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let files = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let mut files: Vec<_> = files
        .filter(|path| path.extension().unwrap() == "toml")
        .collect();
    files.sort();
    assert!(!files.is_empty());
    files
}

#[expect(
    clippy::disallowed_methods,
    reason = "a switch for whoever writes the tests"
)]
fn bless() -> bool {
    std::env::var_os("BLESS").is_some()
}

#[test]
fn every_mistake_is_answered_with_exactly_these_words() {
    let mut wrong = Vec::new();
    for path in toml_files("tests/config/bad") {
        let name = path.file_name().unwrap().to_str().unwrap();
        let (draft, problems) = read(&path, name);
        let text = problems.text(Colour::Off);
        let expected = path.with_extension("stderr");
        if bless() {
            fs::write(&expected, &text).unwrap();
        }
        let expected = fs::read_to_string(&expected).unwrap_or_default();
        if text != expected {
            wrong.push(format!("{name}: expected\n{expected}\nseen\n{text}"));
        }
        if draft.is_some() == problems.has_errors() || problems.is_empty() {
            wrong.push(format!(
                "{name}: a draft {} errors",
                if draft.is_some() { "with" } else { "and no" }
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_good_file_gives_exactly_this_policy_and_no_word() {
    let mut wrong = Vec::new();
    for path in toml_files("tests/config/good") {
        let name = path.file_name().unwrap().to_str().unwrap();
        let (draft, problems) = read(&path, name);
        assert!(problems.is_empty(), "{}", problems.text(Colour::Off));
        let draft = draft.unwrap();
        assert_eq!(draft.policy.kinds.len(), draft.kind_specs.len());
        assert_eq!(draft.policy.flows.len(), draft.flows.len());
        let seen = outline::of(&draft);
        let expected = path.with_extension("policy");
        if bless() {
            fs::write(&expected, &seen).unwrap();
        }
        let expected = fs::read_to_string(&expected).unwrap_or_default();
        if seen != expected {
            wrong.push(format!("{name}: expected\n{expected}\nseen\n{seen}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The two examples of the language use words of later releases, and are right apart from that.
/// What exactly is said of them stands beside the copies; where the design lies beside the project,
/// its own are read too (if not, `tests/setup.sh` says so).
#[test]
fn the_examples_of_the_language_lack_only_what_comes_later() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folders = ["tests/config/bad", "../shared/data/policies"].map(|it| root.join(it));
    for (folder, name) in { folders.iter() }
        .filter(|folder| folder.exists())
        .flat_map(|folder| ["rekenwijs.toml", "toetsbron.toml"].map(|name| (folder, name)))
    {
        let (draft, problems) = read(&folder.join(name), name);
        assert!(draft.is_none());
        let later = |it: &&&Problem| it.severity == Severity::NotYet;
        assert!(
            problems.sorted().iter().filter(later).count() >= 3,
            "{name}"
        );
        for problem in problems.sorted() {
            // `[only.User] role` is of OneRoster 1.1: decision 7 says why it stays an error.
            let of_1_1 = problem.message == "`role` is not a field of `User`";
            let later = matches!(problem.severity, Severity::NotYet | Severity::Finding);
            let fine = later || of_1_1;
            assert!(fine, "{}", problem.text(Colour::Off));
        }
    }
}

/// A file with this in it, and a route that carries the shape `Pupil`.
fn with(rest: &str) -> Vec<String> {
    let text = format!(
        r#"version = 1
        [vendor]
        name = "V"
        agreement = "A"
        purpose = "P"
        contact = "C"
        valid = {{ from = 2026-08-01, until = 2027-07-31 }}
        [ids.pupil]
        [flow.out]
        caller = "school"
        callers = "anyone"
        upstream = "https://api.example"
        route = [{{ match = "POST /pupils", to-vendor = "Pupil" }}]
        {rest}"#
    );
    let file = SourceFile::new("v", text);
    let id = VendorId::parse("vendor").unwrap();
    let mut problems = Problems::new();
    let draft = read_vendor(
        &file,
        &id,
        &Presets::none(),
        &Context::default(),
        &mut problems,
    );
    assert_eq!(draft.is_some(), !problems.has_errors());
    let errors = problems
        .sorted()
        .into_iter()
        .filter(|it| it.severity.refuses());
    errors.map(|it| it.message.clone()).collect()
}

#[test]
fn what_cannot_be_numbered_is_refused() {
    let fields = |count: usize, word: &str| {
        let lines: String = (1..count).map(|n| format!("f{n} = {word}\n")).collect();
        format!("[shape.Pupil]\nid = \"pupil\"\n{lines}")
    };
    assert_eq!(with(&fields(256, "\"keep\"")), [""; 0]);
    assert_eq!(
        with(&fields(257, "\"keep\"")),
        ["a shape may have at most 256 fields"]
    );
    let derived = "{ as = \"pupil\", of = \"id\" }";
    assert_eq!(with(&fields(65, derived)), [""; 0]);
    let too_many = ["at most 64 fields of a shape are made of siblings"];
    assert_eq!(with(&fields(66, derived)), too_many);
    let shapes = |count: usize| -> String {
        let shape = |n| format!("[shape.Pupil{n:06}]\nnext = \"Pupil{:06}\"\n", n + 1);
        (1..count).map(shape).collect::<String>() + &format!("[shape.Pupil{count:06}]\n")
    };
    let pupil = "[shape.Pupil]\nfirst = \"Pupil000001\"\n";
    assert_eq!(with(&format!("{pupil}{}", shapes(4_095))), [""; 0]);
    let seen = with(&format!("{pupil}{}", shapes(4_096)));
    assert_eq!(
        seen.first().unwrap(),
        "a policy may have at most 4096 shapes"
    );
}

#[test]
fn what_nests_without_end_is_refused() {
    let deep =
        |open: &str, close: &str| format!("x = {}1{}", open.repeat(9_999), close.repeat(9_999));
    for text in [deep("[", "]"), deep("{ a = ", "}"), deep("a.", "")] {
        assert!(!with(&text).is_empty());
    }
}

#[test]
fn a_typing_error_in_a_name_or_word_never_sends_more() {
    // Of about 300,000; a number that shares no factor with how many there are of one place.
    try_every_nth_mutant(97);
}

#[test]
#[ignore = "all of them take minutes"]
fn long_no_typing_error_in_a_name_or_word_sends_more() {
    try_every_nth_mutant(1);
}

fn try_every_nth_mutant(nth: usize) {
    let mut paths = toml_files("tests/config/good");
    paths.extend(toml_files("config/schools/regenboog/vendors"));
    let presets = presets();
    let id = VendorId::parse("vendor").unwrap();
    let context = Context::default();
    let (mut refused, mut harmless, mut harmful) = (0, 0, Vec::new());
    for path in paths {
        let text = fs::read_to_string(&path).unwrap();
        let draft = |text: &str| {
            let file = SourceFile::new("mutant", text.to_owned());
            read_vendor(&file, &id, &presets, &context, &mut Problems::new())
        };
        let original = draft(&text).unwrap();
        for mutant in mutants::of(&text).step_by(nth) {
            match draft(&mutant).map(|mutant| mutants::sends_more(&original, &mutant)) {
                None => refused += 1,
                Some(None) => harmless += 1,
                Some(Some(more)) => {
                    let line = mutant.lines().find(|line| !text.contains(line));
                    harmful.push(format!("{}    # {more}", line.unwrap_or_default()));
                }
            }
        }
    }
    println!("{refused} refused, {harmless} send no more");
    assert!(refused > harmless && harmless > 0);
    assert!(
        harmful.is_empty(),
        "{} send more:\n{}",
        harmful.len(),
        harmful.join("\n")
    );
}

#[test]
fn schools_are_read_side_by_side_and_stay_in_order_with_all_that_is_wrong() {
    let name = |school: usize| format!("schools/school-{school:02}/school.toml");
    let paths: Vec<String> = (0..20).map(name).collect();
    let text = "version = 1\n[school]\nname = 7\npublic = \"https://a.example\"\n\
                contact = \"privacy@a.example\"\n";
    let paths_only = paths.iter().map(String::as_str);
    let texts: Vec<(&str, String)> = paths_only.map(|path| (path, text.to_owned())).collect();
    let mut problems = Problems::new();
    let draft = Draft::of_texts(&texts, &mut problems);
    let names: Vec<String> = draft
        .schools
        .iter()
        .map(|school| school.id.to_string())
        .collect();
    let expected: Vec<String> = (0..20)
        .map(|school| format!("school-{school:02}"))
        .collect();
    assert_eq!(names, expected);
    let text = problems.text(Colour::Off);
    for path in paths {
        assert_eq!(text.matches(&format!("{path}:3:8")).count(), 1, "{text}");
    }
}
