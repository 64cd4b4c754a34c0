//! The leak search: what must not be somewhere is not there in any disguise.

/// Texts that were planted where they must not leave.
pub(crate) struct Markers(Vec<String>);

impl Markers {
    /// Markers of at least eight characters, so that none turns up by chance.
    pub(crate) fn of(texts: &[&str]) -> Self {
        assert!(
            texts.iter().all(|text| text.len() >= 8),
            "too short to be told from chance"
        );
        Self(texts.iter().map(|text| (*text).to_owned()).collect())
    }

    /// Fails if a marker stands in `bytes`: as it is, in other case, percent-encoded, escaped as in
    /// JSON, in hexadecimal or in either base64, wherever it begins.
    pub(crate) fn assert_absent(&self, place: &str, bytes: &[u8]) {
        for marker in &self.0 {
            if let Some(how) = disguise(bytes, marker) {
                panic!("{marker:?} stands in {place}, {how}");
            }
        }
    }

    /// Fails if a marker does not stand in `bytes`: then a search for it elsewhere proves nothing.
    pub(crate) fn assert_present(&self, place: &str, bytes: &[u8]) {
        for marker in &self.0 {
            assert!(
                disguise(bytes, marker).is_some(),
                "{marker:?} never was in {place}"
            );
        }
    }
}

/// What stands in all that is made up here, and nowhere else.
const MADE_UP: &[u8] = b"zzq";

/// The shortest text in hexadecimal or base64 that is told from chance.
const HIDDEN_BYTES_MIN: usize = 8;

/// Fails if anything made up stands in `bytes`: as it is, in other case, percent-encoded, escaped as
/// in JSON, or, as part of a text, in hexadecimal or in either base64, wherever it begins.
pub(crate) fn assert_nothing_made_up(place: &str, bytes: &[u8]) {
    let text = bytes.to_ascii_lowercase();
    let found = contains(&text, MADE_UP)
        || contains(&unescaped(&text, b"%", 2), MADE_UP)
        || contains(&unescaped(&text, b"\\u", 4), MADE_UP)
        || is_hidden(bytes, &data_encoding::HEXLOWER_PERMISSIVE, 2)
        || is_hidden(bytes, &data_encoding::BASE64_NOPAD, 4)
        || is_hidden(bytes, &data_encoding::BASE64URL_NOPAD, 4);
    if found {
        let text = String::from_utf8_lossy(bytes);
        panic!("something made up stands in {place}:\n{text}");
    }
}

/// Whether anything made up is part of a text that is written in `encoding`, in which so many
/// characters stand for whole bytes.
fn is_hidden(bytes: &[u8], encoding: &data_encoding::Encoding, group: usize) -> bool {
    let symbols = encoding.specification().symbols.to_ascii_uppercase();
    let known = |byte: &u8| symbols.as_bytes().contains(&byte.to_ascii_uppercase());
    let runs = bytes.split(|byte| !known(byte));
    let long = runs.filter(|run| run.len() > HIDDEN_BYTES_MIN);
    let mut all = long.flat_map(|run| (0..group).map(move |from| &run[from..]));
    all.any(|run| {
        // What is missing of the last group does not matter.
        let mut whole = run.to_vec();
        whole.resize(run.len().next_multiple_of(group), b'0');
        holds_made_up(&encoding.decode(&whole).unwrap())
    })
}

/// Whether anything made up is part of a text in there.
fn holds_made_up(decoded: &[u8]) -> bool {
    let texts = decoded.split(|byte| !byte.is_ascii_graphic() && *byte != b' ');
    let mut long = texts.filter(|text| text.len() >= HIDDEN_BYTES_MIN);
    long.any(|text| contains(&text.to_ascii_lowercase(), MADE_UP))
}

/// The bytes without these texts, as they are or in base64.
pub(crate) fn without(bytes: Vec<u8>, texts: &[&str]) -> Vec<u8> {
    let as_it_is = texts.iter().map(|text| (*text).to_owned());
    let forms = as_it_is.chain(texts.iter().flat_map(|text| base64_forms(text)));
    forms.fold(bytes, |mut bytes, form| {
        while let Some(at) = find(&bytes, form.as_bytes()) {
            bytes.drain(at..at + form.len());
        }
        bytes
    })
}

fn disguise(bytes: &[u8], marker: &str) -> Option<&'static str> {
    let text = bytes.to_ascii_lowercase();
    let marker_text = marker.to_ascii_lowercase();
    let has = |text: &[u8]| contains(text, marker_text.as_bytes());
    let hex: String = marker.bytes().map(|byte| format!("{byte:02x}")).collect();
    if has(&text) {
        Some("as it is")
    } else if has(&unescaped(&text, b"%", 2)) {
        Some("percent-encoded")
    } else if has(&unescaped(&text, b"\\u", 4)) {
        Some("escaped as in JSON")
    } else if contains(&text, hex.as_bytes()) {
        Some("in hexadecimal")
    } else if base64_forms(marker)
        .iter()
        .any(|form| contains(bytes, form.as_bytes()))
    {
        Some("in base64")
    } else {
        None
    }
}

/// The text with each `prefix` and its hexadecimal digits replaced by the character.
fn unescaped(text: &[u8], prefix: &[u8], digits: usize) -> Vec<u8> {
    let mut out = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let code = rest
            .strip_prefix(prefix)
            .and_then(|after| after.get(..digits));
        let code = code.and_then(|code| std::str::from_utf8(code).ok());
        let character = code.and_then(|code| u32::from_str_radix(code, 16).ok());
        match character.and_then(char::from_u32) {
            Some(character) if digits == 2 => {
                out.push(u8::try_from(u32::from(character)).unwrap());
                rest = &rest[prefix.len() + digits..];
            }
            Some(character) => {
                out.extend_from_slice(character.to_string().to_ascii_lowercase().as_bytes());
                rest = &rest[prefix.len() + digits..];
            }
            None => {
                out.push(rest[0]);
                rest = &rest[1..];
            }
        }
    }
    out.to_ascii_lowercase()
}

/// What of the marker's base64 does not depend on what stands around it, for each of the three
/// places where it can begin, in both alphabets.
fn base64_forms(marker: &str) -> Vec<String> {
    let mut forms = Vec::new();
    for before in 0..3 {
        let padded = [vec![0; before], marker.as_bytes().to_vec()].concat();
        let whole = data_encoding::BASE64_NOPAD.encode(&padded);
        let from = [0, 2, 3][before];
        let to = padded.len() * 8 / 6;
        let fixed = whole[from..to].to_owned();
        forms.push(fixed.replace('+', "-").replace('/', "_"));
        forms.push(fixed);
    }
    forms
}

fn contains(bytes: &[u8], what: &[u8]) -> bool {
    find(bytes, what).is_some()
}

fn find(bytes: &[u8], what: &[u8]) -> Option<usize> {
    bytes.windows(what.len()).position(|window| window == what)
}

#[test]
fn what_is_made_up_is_found_without_a_marker() {
    for text in [
        "pupil-zzq-901",
        "FENNA-ZZQ",
        "a%7Azq",
        r"z\u007aq",
        "%5a%5a%51",
    ] {
        let found = std::panic::catch_unwind(|| assert_nothing_made_up("a log", text.as_bytes()));
        assert!(found.is_err(), "{text}");
    }
    assert_nothing_made_up("a log", b"pupil-zz-q 901");
}

#[test]
fn what_is_made_up_is_found_in_any_encoding() {
    for before in ["", "x", "xy"] {
        let text = format!("{before}{{\"name\":\"Fenna-zzq\"}}");
        let text = text.as_bytes();
        for hidden in [
            data_encoding::HEXLOWER.encode(text),
            data_encoding::HEXUPPER.encode(text),
            format!("0{}", data_encoding::HEXLOWER.encode(text)),
            data_encoding::BASE64.encode(text),
            data_encoding::BASE64URL_NOPAD.encode(text),
            format!("token=.{}.", data_encoding::BASE64URL_NOPAD.encode(text)),
        ] {
            let look = || assert_nothing_made_up("a log", hidden.as_bytes());
            assert!(std::panic::catch_unwind(look).is_err(), "{hidden}");
        }
    }
    for chance in ["enpx", "7a7a71", "00f25fe3-5dcd-89f7-7a7a-717a7a717a7a"] {
        assert_nothing_made_up("a log", chance.as_bytes());
    }
}

#[test]
fn the_search_finds_a_marker_in_every_disguise() {
    let marker = "Fenna-zzq81/";
    let hidden = [
        "x Fenna-zzq81/ y".to_owned(),
        "FENNA-ZZQ81/".to_owned(),
        "Fenna%2Dzzq81%2F".to_owned(),
        "%46%65%6e%6E%61-zzq81/".to_owned(),
        r"\u0046enna-zzq81\u002f".to_owned(),
        "46656e6e612d7a7a7138312f".to_owned(),
        data_encoding::BASE64.encode(b"Fenna-zzq81/"),
        data_encoding::BASE64.encode(b"{\"name\":\"Fenna-zzq81/\"}"),
        data_encoding::BASE64.encode(b" {\"name\":\"Fenna-zzq81/\"}"),
        data_encoding::BASE64URL_NOPAD.encode(b"  {\"name\":\"Fenna-zzq81/\"}"),
    ];
    for text in hidden {
        assert!(disguise(text.as_bytes(), marker).is_some(), "{text}");
    }
    assert_eq!(disguise(b"Fenna zzq81", marker), None);
}
