//! Ids of the vendor's own making: of a line item that it sets, of a result that it writes.
//!
//! At the school they carry the vendor's mark: `rekenwijs~c6e21eb2~`. So the gateway knows them
//! again without remembering them; another vendor gets a pseudonym of them, as of every id; and a
//! vendor that guesses at the school's ids asks for something of its own. `~` stands in no slug:
//! what a school appends to such an id, or makes of two of them, is not the vendor's.

use super::value::is_slug;

const MARK: &str = "~";

/// Appends the id as the school is to see it; `false` if it cannot be one.
pub(super) fn mark(vendor: &str, id: &str, into: &mut Vec<u8>) -> bool {
    let fits = is_slug(id);
    if fits {
        for part in [vendor, MARK, id, MARK] {
            into.extend_from_slice(part.as_bytes());
        }
    }
    fits
}

/// The id that was marked so; `None` if this is none of the vendor's.
pub(super) fn unmarked<'t>(vendor: &str, text: &'t str) -> Option<&'t str> {
    let marked = text.strip_prefix(vendor)?.strip_prefix(MARK)?;
    marked.strip_suffix(MARK).filter(|id| is_slug(id))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_marked_is_known_again_and_nothing_else() {
        let mut marked = Vec::new();
        assert!(mark("rekenwijs", "LI-1.a_b", &mut marked));
        assert_eq!(marked, b"rekenwijs~LI-1.a_b~");
        assert_eq!(
            unmarked("rekenwijs", "rekenwijs~LI-1.a_b~"),
            Some("LI-1.a_b")
        );
        for other in [
            "",
            "LI-1",
            "rekenwijs",
            "rekenwijs~",
            "rekenwijs~~",
            "rekenwijs~LI-1",
            "rekenwijs~LI-1~-S-64003",
            "rekenwijs~LI-1~S-64003~",
            "x-rekenwijs~LI-1~",
            "Rekenwijs~LI-1~",
            "rekenwijs2~LI-1~",
            "rekenwijs~LI 1~",
        ] {
            assert_eq!(unmarked("rekenwijs", other), None, "{other}");
        }
    }

    #[test]
    fn an_id_that_is_no_slug_is_not_marked() {
        for id in ["", "a b", "a/b", "a~b", "é", "a'b"] {
            let mut marked = Vec::new();
            assert!(!mark("rekenwijs", id, &mut marked), "{id}");
            assert!(marked.is_empty());
        }
    }
}
