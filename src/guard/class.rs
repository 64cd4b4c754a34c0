//! Which bytes may stand where.

/// `tchar` (RFC 9110 section 5.6.2): methods and names.
pub(super) const TOKEN: u8 = 1;
/// What the value of a header line is made of (RFC 9110 section 5.5): no control but the tab.
pub(super) const VALUE: u8 = 2;
/// What a target is made of (RFC 3986 section 3), with the five that browsers leave as they are in
/// a query: no blank, no fragment, no backslash, nothing beyond ASCII.
pub(super) const TARGET: u8 = 4;
/// What the first line of a head is made of. Its parts have their own rules.
pub(super) const LINE: u8 = 8;

/// Where the first byte from `from` on stands that is not of that class; the end if there is none.
pub(super) fn run(bytes: &[u8], from: usize, class: u8) -> usize {
    let rest = bytes.get(from..).unwrap_or_default();
    let skipped = match class {
        LINE | VALUE => skip::<8>(rest, skip::<16>(rest, 0)),
        _ => 0,
    };
    let left = rest.get(skipped..).unwrap_or_default();
    let length = left.iter().position(|byte| !is(*byte, class));
    let length = length.unwrap_or(left.len());
    from.saturating_add(skipped).saturating_add(length)
}

/// Skips blocks of bytes that are all printable ASCII or beyond: most of every value is. A block is
/// looked at as a whole, which takes as long as one of its bytes.
fn skip<const BLOCK: usize>(bytes: &[u8], from: usize) -> usize {
    let rest = bytes.get(from..).unwrap_or_default();
    let (blocks, _) = rest.as_chunks::<BLOCK>();
    let good = { blocks.iter() }.take_while(|block| {
        let plain = |byte: u8| (byte >= b' ') & (byte != 0x7f);
        block.iter().fold(true, |all, byte| all & plain(*byte))
    });
    from.saturating_add(good.count().saturating_mul(BLOCK))
}

/// Whether all of them are of that class.
pub(super) fn all(bytes: &[u8], class: u8) -> bool {
    bytes.iter().all(|byte| is(*byte, class))
}

fn is(byte: u8, class: u8) -> bool {
    let classes = CLASSES.get(usize::from(byte));
    classes.is_some_and(|classes| classes & class != 0)
}

const CLASSES: [u8; 256] = classes();

#[expect(
    clippy::arithmetic_side_effects,
    clippy::as_conversions,
    clippy::cast_possible_truncation,
    clippy::indexing_slicing,
    reason = "worked out by the compiler, for each byte once"
)]
const fn classes() -> [u8; 256] {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < table.len() {
        table[byte] = classes_of(byte as u8);
        byte += 1;
    }
    table
}

const fn classes_of(byte: u8) -> u8 {
    let plain = byte.is_ascii_alphanumeric();
    let token = plain
        || matches!(byte, b'!' | b'#'..=b'\'' | b'*' | b'+' | b'-' | b'.')
        || matches!(byte, b'^' | b'_' | b'`' | b'|' | b'~');
    let target = plain
        || matches!(byte, b'!' | b'$'..=b'/' | b':' | b';' | b'=' | b'?' | b'@')
        || matches!(byte, b'_' | b'~' | b'[' | b']' | b'{' | b'|' | b'}');
    let line = matches!(byte, b' '..=b'~' | 0x80..);
    let value = line || byte == b'\t';
    let mut classes = 0;
    if token {
        classes |= TOKEN;
    }
    if value {
        classes |= VALUE;
    }
    if target {
        classes |= TARGET;
    }
    if line {
        classes |= LINE;
    }
    classes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(class: u8) -> Vec<u8> {
        (0..=255).filter(|byte| is(*byte, class)).collect()
    }

    #[test]
    fn the_classes_are_those_of_the_standards() {
        let with = |more: &[u8]| {
            let plain = (0..128u8).filter(u8::is_ascii_alphanumeric);
            let mut all: Vec<u8> = plain.chain(more.iter().copied()).collect();
            all.sort_unstable();
            all
        };
        assert_eq!(of(TOKEN), with(b"!#$%&'*+-.^_`|~"));
        let (generic, sub) = (b":/?@[]", b"!$&'()*+,;=");
        let target = [&generic[..], sub, b"-._~", b"%", b"{|}"].concat();
        assert_eq!(of(TARGET), with(&target));
        let line: Vec<u8> = (0x20..0x7f).chain(0x80..=0xff).collect();
        assert_eq!(of(LINE), line);
        assert_eq!(of(VALUE), [&b"\t"[..], &line].concat());
    }

    #[test]
    fn a_run_ends_before_the_first_byte_of_another_class() {
        assert_eq!(run(b"ab c", 0, TOKEN), 2);
        assert_eq!(run(b"ab c", 3, TOKEN), 4);
        assert_eq!(run(b"ab", 2, TOKEN), 2);
        assert_eq!(run(b"ab", 9, TOKEN), 9);
        let with = |odd: u8, at: usize| {
            let mut bytes = [b'a'; 70];
            bytes[at] = odd;
            bytes
        };
        for at in 0..70 {
            for (class, odd) in [TOKEN, VALUE, LINE]
                .into_iter()
                .flat_map(|class| [0, 0x1f, 0x7f, b'\r'].map(|odd| (class, odd)))
            {
                assert_eq!(run(&with(odd, at), 0, class), at, "{odd}");
                assert_eq!(run(&with(odd, at), at / 2, class), at, "{odd}");
            }
            assert_eq!(run(&with(b'a', at), at, LINE), 70);
            assert_eq!(run(&with(b'\t', at), 0, VALUE), 70);
            assert_eq!(run(&with(b'\t', at), 0, LINE), at);
        }
        // Whole blocks of bytes that may not stand there, whether many are odd or one.
        for odd in [0, 0x1f, 0x7f, b'\r'] {
            for class in [TOKEN, VALUE, LINE] {
                assert_eq!(run(&[odd; 70], 0, class), 0, "{odd}");
            }
        }
    }
}
