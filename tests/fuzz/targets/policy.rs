//! Invariant: whatever stands in a vendor's file, reading it does not panic. Either it gives no
//! error and a policy in which every part that is named exists, or it gives an error. Every problem
//! lies within the file, on characters, and can be shown.

#![no_main]

use std::cell::RefCell;

use libfuzzer_sys::fuzz_target;
use sluis::config::{Colour, Context, Place, Presets, Problems, SourceFile, read_vendor};
use sluis::names::VendorId;
use sluis::policy::{Constant, Content, Index, Otherwise, Policy, Rule, ShapeBody};

thread_local! {
    /// To read them takes longer than to read a file. They keep what files have in
    /// common, and so they are read anew now and then.
    static PRESETS: RefCell<(Presets, u32)> = RefCell::new((Presets::shipped(), 0));
}

fuzz_target!(|text: &str| {
    PRESETS.with_borrow_mut(|(presets, files)| {
        if *files == 1_000 {
            (*presets, *files) = (Presets::shipped(), 0);
        }
        *files += 1;
        reads(text, presets);
    });
});

fn reads(text: &str, presets: &Presets) {
    let file = SourceFile::new("vendors/vendor.toml", text.to_owned());
    let id = VendorId::parse("vendor").unwrap();
    let mut problems = Problems::new();
    let draft = read_vendor(&file, &id, presets, &Context::default(), &mut problems);
    assert_eq!(draft.is_none(), problems.has_errors());
    for problem in problems.sorted() {
        let also = problem.also.as_ref().map(|(place, _)| place);
        problem.place.iter().chain(also).for_each(lies_within);
        assert!(!problem.text(Colour::Off).is_empty());
        assert!(!problem.message.is_empty());
    }
    if let Some(draft) = draft {
        assert_eq!(draft.kind_specs.len(), draft.policy.kinds.len());
        is_whole(&draft.policy);
    }
}

fn lies_within(place: &Place) {
    let text = place.file.text();
    assert!(
        text.get(place.span.clone()).is_some(),
        "{:?} of {}",
        place.span,
        text.len()
    );
    let (line, column) = place.line_and_column();
    let lines = text.split('\n').count();
    assert!(
        (1..=lines).contains(&line) && column >= 1,
        "{line}:{column} of {lines}"
    );
}

/// Whether every part that is named exists.
fn is_whole(policy: &Policy) {
    for shape in &policy.shapes {
        match &shape.body {
            ShapeBody::Fields(fields) => {
                for line in fields.lines() {
                    exists(policy, line.rule);
                    if let Rule::Derived { of, .. } = line.rule {
                        let sibling = fields.line(of).unwrap();
                        assert_ne!(sibling.key, line.key);
                    }
                }
                if let Some(any) = fields.any {
                    exists(policy, Rule::Identifier(any.key));
                    exists(policy, any.rule);
                    assert!(!matches!(any.rule, Rule::Derived { .. }));
                }
                if let Some(stub) = fields.stub {
                    assert!(policy.says_gone(stub), "a stub that does not say so");
                }
            }
            ShapeBody::Switch(switch) => {
                assert!(!switch.path.is_empty());
                for (_, shape) in &switch.cases {
                    assert!(policy.fields(*shape).is_some(), "a switch chooses a switch");
                }
                if let Otherwise::Shape(shape) = switch.otherwise {
                    assert!(policy.fields(shape).is_some(), "a switch chooses a switch");
                }
            }
        }
    }
    let routes = policy.flows.iter().flat_map(|flow| flow.routes.iter());
    let contents = routes.flat_map(|route| {
        let statuses = route.statuses.iter().map(|it| it.content);
        [route.to_vendor, route.from_vendor]
            .into_iter()
            .chain(statuses)
    });
    for content in contents {
        if let Content::Json(rule) = content {
            exists(policy, rule);
        }
    }
}

fn exists(policy: &Policy, rule: Rule) {
    match rule {
        Rule::Blank | Rule::Drop | Rule::KeepAll => {}
        Rule::Constant(index) => assert!(index.place() < policy.constants.len()),
        Rule::Derived { kind, .. } | Rule::Identifier(kind) => {
            assert!(kind.place() < policy.kinds.len());
        }
        Rule::Generalise(index) => assert!(index.place() < policy.generalisers.len()),
        Rule::Keep(keep) => {
            assert!(
                keep.rules
                    .is_none_or(|index| index.place() < policy.value_rules.len())
            );
        }
        Rule::Link(otherwise) => {
            let good = |index: Index<Constant>| index.place() < policy.constants.len();
            assert!(otherwise.is_none_or(good));
        }
        Rule::List(item) | Rule::ListOrOne(item) => exists(policy, item.rule()),
        Rule::Template(index) => assert!(index.place() < policy.templates.len()),
        Rule::Nested(index) | Rule::Object(index) => assert!(policy.shape(index).is_some()),
    }
}
