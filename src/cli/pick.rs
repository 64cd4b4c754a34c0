//! What several commands are told in the same words: which vendor, and why.

use crate::config::{nearest, shown};
use crate::limits;
use crate::names::{SchoolId, VendorId};

/// The one of that name, `VENDOR` or `SCHOOL/VENDOR`, or why there is not just one.
pub(super) fn one_of_name<'a, T>(
    name: &str,
    all: &'a [T],
    named: impl Fn(&'a T) -> (&'a SchoolId, &'a VendorId),
) -> Result<&'a T, String> {
    let fits = |one: &&'a T| {
        let (school, id) = named(one);
        match name.split_once('/') {
            Some((its_school, its_id)) => school.as_str() == its_school && id.as_str() == its_id,
            None => id.as_str() == name,
        }
    };
    let found: Vec<&T> = all.iter().filter(fits).collect();
    match found.as_slice() {
        [one] => Ok(one),
        [] => Err(no_such(
            "vendor",
            name,
            all.iter().map(|one| named(one).1.as_str()),
        )),
        more => {
            let names = more.iter().map(|one| {
                let (school, id) = named(one);
                format!("{school}/{id}")
            });
            let names: Vec<String> = names.collect();
            Err(format!(
                "several schools have it: say {}",
                names.join(" or ")
            ))
        }
    }
}

/// That nothing has this name, and what was probably meant.
pub(super) fn no_such<'n, Names>(what: &str, name: &str, known: Names) -> String
where
    Names: Iterator<Item = &'n str>,
{
    let known: Vec<&str> = known.collect();
    let help = match nearest(name, known.iter().copied()) {
        Some(near) => format!("did you mean {}?", shown(near)),
        None => format!("there are: {}", known.join(" ")),
    };
    format!("there is no {what} {}; {help}", shown(name))
}

/// A reason is written down as it was given: one line that is not too long.
pub(super) fn check_reason(reason: &str) -> Result<(), String> {
    if reason.trim().is_empty() {
        return Err("--reason must say why: the event that is written has it".to_owned());
    }
    let most = limits::REASON_CHARS_MAX;
    if reason.chars().count() > most || reason.chars().any(char::is_control) {
        return Err(format!("--reason is one line of at most {most} characters"));
    }
    Ok(())
}
