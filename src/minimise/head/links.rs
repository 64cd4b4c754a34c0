//! The links of a `Link` line (RFC 8288 section 3).
//!
//! Empty elements of the list are passed over (RFC 9110 section 5.6.1.2), and a `>` may stand
//! within an address: many servers repeat a filter in it as it was asked.

use std::borrow::Cow;

/// A link and what it says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Link<'l> {
    pub(super) target: &'l str,
    /// What it is a link of, if it says that: else of what the answer is of (section 3.2).
    pub(super) anchor: Option<Cow<'l, str>>,
    /// Of the first `rel`.
    rel: Cow<'l, str>,
}

impl Link<'_> {
    /// What the target is to the answer: one word or several.
    pub(super) fn relations(&self) -> impl Iterator<Item = &str> {
        self.rel.split_ascii_whitespace()
    }
}

/// The links of a line, and what is left of it that is none: from there on nothing is sure.
pub(super) fn links(line: &str) -> (Vec<Link<'_>>, &str) {
    let mut links = Vec::new();
    let mut rest = line;
    loop {
        rest = rest.trim_matches([' ', '\t', ',']);
        match link(rest) {
            Some((link, behind)) => {
                links.push(link);
                rest = behind;
            }
            None => return (links, rest),
        }
    }
}

/// The link that a text begins with, and what stands behind it: a comma, or nothing.
fn link(text: &str) -> Option<(Link<'_>, &str)> {
    let (target, mut rest) = target(text.strip_prefix('<')?)?;
    let (mut rel, mut anchor) = (None, None);
    while let Some(parameter) = rest.strip_prefix(';') {
        let (name, value, behind) = parameter_of(trimmed(parameter))?;
        // The first one counts (section 3.3).
        if name.eq_ignore_ascii_case("rel") {
            rel.get_or_insert(value);
        } else if name.eq_ignore_ascii_case("anchor") {
            anchor.get_or_insert(value);
        }
        rest = trimmed(behind);
    }
    let rel = rel.unwrap_or_default();
    let ends = rest.is_empty() || rest.starts_with(',');
    let link = Link {
        target,
        anchor,
        rel,
    };
    ends.then_some((link, rest))
}

/// The address up to the `>` that ends it, and what stands behind that.
fn target(text: &str) -> Option<(&str, &str)> {
    let ends = |(at, _): &(usize, &str)| {
        let behind = text.get(at.saturating_add(1)..).map(trimmed);
        behind.is_some_and(|it| it.is_empty() || it.starts_with([';', ',']))
    };
    let (at, _) = text.match_indices('>').find(ends)?;
    let (target, behind) = text.split_at_checked(at)?;
    Some((target, trimmed(behind.strip_prefix('>')?)))
}

/// Name and value of a parameter, and what stands behind it.
fn parameter_of(text: &str) -> Option<(&str, Cow<'_, str>, &str)> {
    let is_of_token = |it: char| it.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(it);
    let token = |text: &str| text.find(|it| !is_of_token(it)).unwrap_or(text.len());
    let (name, rest) = text.split_at_checked(token(text))?;
    let Some(value) = trimmed(rest).strip_prefix('=').map(trimmed) else {
        // A semicolon too many is nothing.
        let nothing = rest.is_empty() || rest.starts_with([';', ',']);
        return (nothing || !name.is_empty()).then_some((name, Cow::default(), rest));
    };
    if name.is_empty() {
        return None;
    }
    match value.strip_prefix('"') {
        Some(quoted) => quoted_text(quoted).map(|(value, rest)| (name, value, rest)),
        None => {
            let (value, rest) = value.split_at_checked(token(value))?;
            (!value.is_empty()).then_some((name, value.into(), rest))
        }
    }
}

/// The text up to the quote that ends it, and what stands behind that (RFC 9110 section 5.6.4).
fn quoted_text(text: &str) -> Option<(Cow<'_, str>, &str)> {
    let mut value = String::new();
    let mut signs = text.char_indices();
    while let Some((at, sign)) = signs.next() {
        match sign {
            '"' => {
                let (plain, behind) = text.split_at_checked(at)?;
                let value = match plain.contains('\\') {
                    true => value.into(),
                    false => plain.into(),
                };
                return Some((value, behind.strip_prefix('"')?));
            }
            '\\' => value.push(signs.next()?.1),
            sign => value.push(sign),
        }
    }
    None
}

fn trimmed(text: &str) -> &str {
    text.trim_start_matches([' ', '\t'])
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each link with its relations, and what is left.
    fn read(line: &str) -> (Vec<(&str, String)>, &str) {
        let (found, rest) = links(line);
        let found = found.into_iter().map(|it| (it.target, it.rel.into_owned()));
        (found.collect(), rest)
    }

    #[test]
    fn links_are_read_as_rfc_8288_writes_them() {
        let next = vec![("/a", "next".to_owned())];
        for line in [
            "</a>; rel=\"next\"",
            "</a>;rel=next",
            " </a> ; title=\"a, <b>; c\" ; REL=next;rel=last",
            "</a>; rel=next; crossorigin",
            "</a>; rel=next,",
            "</a>; rel=next;",
            ", ,</a>;; rel = \"next\" , ,",
            "</a>; title=\"a \\\", b\"; rel=\"ne\\xt\"",
        ] {
            assert_eq!(read(line), (next.clone(), ""), "{line}");
        }
        let two = "</a>; rel=next, <https://b/?c=d,e>; rel=\"last\"";
        let both = [("/a", "next"), ("https://b/?c=d,e", "last")];
        let both = both.map(|(link, rel)| (link, rel.to_owned())).into();
        assert_eq!(read(two), (both, ""));
        for (line, target, rel) in [
            ("</a>", "/a", ""),
            ("</a>; rel=next; anchor=\"/b\"", "/a", "next"),
            ("</a?b>'c'>; rel=next", "/a?b>'c'", "next"),
            ("</a?b>5>,", "/a?b>5", ""),
        ] {
            assert_eq!(read(line), (vec![(target, rel.to_owned())], ""), "{line}");
        }
        let (several, _) = links("</a>; rel=\"next  last\\ x\"");
        let words: Vec<&str> = several[0].relations().collect();
        assert_eq!(words, ["next", "last", "x"]);
    }

    #[test]
    fn an_anchor_says_what_a_link_is_of() {
        for (line, anchor) in [
            ("</a>; rel=next", None),
            ("</a>; rel=next; anchor=\"\"", Some("")),
            ("</a>; Anchor=\"/b\"; rel=next; anchor=\"/c\"", Some("/b")),
        ] {
            let (found, _) = links(line);
            assert_eq!(found[0].anchor.as_deref(), anchor, "{line}");
        }
    }

    #[test]
    fn what_is_no_link_is_left_from_there_on() {
        assert_eq!(read(""), (Vec::new(), ""));
        assert_eq!(read(" , "), (Vec::new(), ""));
        for bad in [
            "/a; rel=next",
            "</a; rel=next",
            "</a>; rel=\"next",
            "</a>; rel=\"next\\",
            "</a>; rel=",
            "</a>; =next",
            "</a>; \"next\"",
            "</a> rel=next",
            "</a>; rel=next; </b>; rel=last",
        ] {
            assert_eq!(read(bad), (Vec::new(), bad), "{bad}");
            let line = format!("</z>, {bad}");
            assert_eq!(read(&line), (vec![("/z", String::new())], bad), "{line}");
        }
    }
}
