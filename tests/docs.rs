//! Keeps the tables in `docs/` and `README.md` equal to the code they tell about.
//!
//! A table stands between `<!-- NAME:begin -->` and `<!-- NAME:end -->`. Where it differs, the test
//! writes the page as it should be to `target/pages/` and says which file to copy.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use sluis::config::{Colour, Context, Presets, Problems, SourceFile, read_vendor};
use sluis::limits::{Bound, Unit};
use sluis::names::VendorId;
use sluis::proxy::table;
use sluis::refusal::{LinkFault, Refusal, UpstreamFault};

#[test]
fn every_bound_stands_in_limits_md() {
    let mut table = String::from("| name | default | least | most | what it bounds |\n");
    table.push_str("|---|---|---|---|---|\n");
    for bound in Bound::all() {
        let range = bound.range();
        writeln!(
            table,
            "| `{}` | {} | {} | {} | {} |",
            bound.name(),
            in_unit(bound.unit(), bound.default_value()),
            in_unit(bound.unit(), *range.start()),
            in_unit(bound.unit(), *range.end()),
            bound.why(),
        )
        .unwrap();
    }
    check("docs/limits.md", "limits", &table);
}

/// What stands between backticks in a text.
fn quoted(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

#[test]
fn limits_md_says_of_every_bound_what_counts_it() {
    let (page, metrics) = (read("docs/limits.md"), read("docs/metrics.md"));
    let (_, table) = page.split_once("<!-- counted:begin -->\n").unwrap();
    let (table, _) = table.split_once("<!-- counted:end -->\n").unwrap();
    let rows = table.lines().skip(2);
    let (mut bounds, codes) = (Vec::new(), Refusal::ALL.map(Refusal::code));
    for row in rows {
        let mut cells = row.split('|').skip(1);
        bounds.extend(quoted(cells.next().unwrap()));
        let counted: Vec<&str> = quoted(cells.next().unwrap()).collect();
        let event = |word: &str| word.starts_with("process.");
        for word in counted.iter().filter(|word| !event(word)) {
            let is_metric = metrics.contains(&format!("\n| `{word}` |"));
            let is_named =
                |line: &&str| quoted(line).next().is_some_and(|it| counted.contains(&it));
            let mut labels = metrics.lines().filter(is_named).flat_map(quoted);
            let is_label = match counted[0] {
                "sluis_refusals_total" => codes.contains(word),
                _ => labels.any(|label| label == *word),
            };
            assert!(is_metric || is_label, "{word} in {row}");
        }
    }
    bounds.sort_unstable();
    let all: Vec<&str> = Bound::all().map(Bound::name).collect();
    assert_eq!(bounds, all);
}

#[test]
fn every_refusal_stands_in_refusals_md_once() {
    let page = read("docs/refusals.md");
    let rows = page.lines().filter_map(|line| line.strip_prefix("| `"));
    let found: Vec<&str> = rows
        .filter_map(|row| Some(row.split_once('`')?.0))
        .collect();
    let mut codes: Vec<&str> = Refusal::ALL.into_iter().map(Refusal::code).collect();
    codes.sort_unstable();
    codes.dedup();
    assert_eq!(found, codes);
}

#[test]
fn the_list_of_all_refusals_has_every_code() {
    let source = read("src/refusal/mod.rs");
    let (_, from) = source.split_once("fn code(self)").unwrap();
    let (codes, _) = from.split_once("\n    }\n").unwrap();
    let quoted = codes.lines().filter_map(|line| line.split('"').nth(1));
    let mut quoted: Vec<&str> = quoted.collect();
    let mut all: Vec<&str> = Refusal::ALL.map(Refusal::code).into();
    quoted.sort_unstable();
    all.sort_unstable();
    assert_eq!(all, quoted);
}

#[test]
fn every_cause_of_an_upstream_or_a_link_stands_in_logs_md_once() {
    let page = read("docs/logs.md");
    let mut names: Vec<&str> = UpstreamFault::ALL.map(UpstreamFault::name).into();
    names.extend(LinkFault::ALL.map(LinkFault::name));
    let count = names.len();
    for name in &names {
        assert_eq!(page.matches(&format!("`{name}`")).count(), 1, "{name}");
    }
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), count, "each has its own");
}

#[test]
fn the_readme_shows_every_refusal_with_its_statuses() {
    check("README.md", "refusals", &table());
}

#[test]
fn the_example_in_policy_md_is_a_file_without_a_mistake() {
    let page = read("docs/policy.md");
    let (_, example) = page.split_once("```toml\n").unwrap();
    let (example, _) = example.split_once("\n```").unwrap();
    let file = SourceFile::new("policy.md", example.to_owned());
    let (id, mut problems) = (VendorId::parse("toetsbron").unwrap(), Problems::new());
    let (presets, context) = (Presets::shipped(), Context::default());
    let draft = read_vendor(&file, &id, &presets, &context, &mut problems);
    assert!(problems.is_empty(), "{}", problems.text(Colour::Off));
    assert!(draft.is_some());
}

#[test]
fn a_page_that_differs_is_found() {
    let page = "a\n<!-- t:begin -->\n| old |\n<!-- t:end -->\nb\n";
    let want = "a\n<!-- t:begin -->\n| new |\n<!-- t:end -->\nb\n";
    assert_eq!(with_table(page, "t", "| new |\n").as_deref(), Some(want));
    assert_eq!(with_table(want, "t", "| new |\n").as_deref(), Some(want));
    assert_eq!(with_table(page, "u", "| new |\n"), None);
}

fn in_unit(unit: Unit, value: u64) -> String {
    let steps: &[(u64, &str)] = match unit {
        Unit::Bytes => &[
            (1 << 40, " TiB"),
            (1 << 30, " GiB"),
            (1 << 20, " MiB"),
            (1 << 10, " KiB"),
            (1, " B"),
        ],
        Unit::Time => &[
            (3_600_000, " h"),
            (60_000, " min"),
            (1_000, " s"),
            (1, " ms"),
        ],
        Unit::Count => &[(1, "")],
    };
    let whole = |(step, _): &&(u64, &str)| value >= *step && value.checked_rem(*step) == Some(0);
    match steps.iter().find(whole) {
        Some((step, name)) => format!("{}{name}", value.checked_div(*step).unwrap()),
        None => value.to_string(),
    }
}

/// Fails unless the table of that name in that page is this one.
fn check(page: &str, name: &str, table: &str) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let found = read(page);
    let Some(want) = with_table(&found, name, table) else {
        panic!("{page} has no <!-- {name}:begin --> and <!-- {name}:end --> on lines of their own");
    };
    if found != want {
        let copy = root.join("target/pages").join(page);
        fs::create_dir_all(copy.parent().unwrap()).unwrap();
        fs::write(&copy, want).unwrap();
        panic!("{page} differs from the code: cp target/pages/{page} {page}");
    }
}

fn read(page: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(page)).unwrap()
}

/// The page with this table between its marks; `None` if it has no such marks.
fn with_table(page: &str, name: &str, table: &str) -> Option<String> {
    let begin = format!("<!-- {name}:begin -->\n");
    let end = format!("<!-- {name}:end -->\n");
    let (before, rest) = page.split_once(&begin)?;
    let (_, after) = rest.split_once(&end)?;
    Some(format!("{before}{begin}{table}{end}{after}"))
}
