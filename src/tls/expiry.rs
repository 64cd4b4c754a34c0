//! The one field of a certificate that operators ask for and rustls does not show: its last day.

use jiff::civil::DateTime;
use jiff::tz::TimeZone;

const SEQUENCE: u8 = 0x30;
const EXPLICIT_VERSION: u8 = 0xa0;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;

/// `notAfter` of a certificate (RFC 5280 section 4.1.2.5), in seconds since 1970-01-01 UTC.
///
/// `None` if it is not written as RFC 5280 wants it. The certificate is our own and is checked by
/// rustls; this only reads a date out of it.
pub(super) fn not_after(certificate: &[u8]) -> Option<u64> {
    let (certificate, _) = element(certificate, SEQUENCE)?;
    let (body, _) = element(certificate, SEQUENCE)?;
    let body = match element(body, EXPLICIT_VERSION) {
        Some((_version, rest)) => rest,
        None => body,
    };
    let (_serial, body) = any(body)?;
    let (_algorithm, body) = any(body)?;
    let (_issuer, body) = any(body)?;
    let (validity, _) = element(body, SEQUENCE)?;
    let (_not_before, validity) = any(validity)?;
    let (&tag, _) = validity.split_first()?;
    let (time, _) = any(validity)?;
    seconds(tag, std::str::from_utf8(time).ok()?)
}

/// The contents of the first element, and what follows it; `None` if it has another tag.
fn element(der: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    (der.first() == Some(&tag)).then(|| any(der)).flatten()
}

/// The contents of the first element (X.690 section 8.1), and what follows it.
fn any(der: &[u8]) -> Option<(&[u8], &[u8])> {
    let (_tag, rest) = der.split_first()?;
    let (&first, rest) = rest.split_first()?;
    let (length, rest) = match first {
        0..=0x7f => (usize::from(first), rest),
        0x81..=0x84 => {
            let (bytes, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
            let push = |sum: usize, byte: &u8| (sum << 8) | usize::from(*byte);
            (bytes.iter().fold(0, push), rest)
        }
        _ => return None,
    };
    rest.split_at_checked(length)
}

/// `YYMMDDHHMMSSZ`, years 1950 to 2049, or `YYYYMMDDHHMMSSZ`.
fn seconds(tag: u8, text: &str) -> Option<u64> {
    let text = match tag {
        UTC_TIME if text < "50" => format!("20{text}"),
        UTC_TIME => format!("19{text}"),
        GENERALIZED_TIME => text.to_owned(),
        _ => return None,
    };
    let time = DateTime::strptime("%Y%m%d%H%M%SZ", text).ok()?;
    let time = time.to_zoned(TimeZone::UTC).ok()?;
    time.timestamp().as_second().try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn certificate(year: i32) -> Vec<u8> {
        let mut of = rcgen::CertificateParams::new(vec!["school.example".to_owned()]).unwrap();
        of.not_after = rcgen::date_time_ymd(year, 7, 31);
        let key = rcgen::KeyPair::generate().unwrap();
        of.self_signed(&key).unwrap().der().to_vec()
    }

    #[test]
    fn the_last_day_is_read_in_both_of_its_forms() {
        // 2049 is the last year of UTCTime, 2050 the first of GeneralizedTime.
        assert_eq!(not_after(&certificate(2027)), Some(1_816_992_000));
        assert_eq!(not_after(&certificate(2049)), Some(2_511_302_400));
        assert_eq!(not_after(&certificate(2050)), Some(2_542_838_400));
    }

    #[test]
    fn no_cut_certificate_is_read_beyond_its_end() {
        let whole = certificate(2027);
        let read: Vec<_> = (0..whole.len())
            .map(|end| not_after(&whole[..end]))
            .collect();
        assert!(
            read.iter().all(Option::is_none),
            "the outer length is the whole one"
        );
        assert_eq!(not_after(&[SEQUENCE, 0x85, 1, 1, 1, 1, 1]), None);
        assert_eq!(seconds(UTC_TIME, "279931000000Z"), None);
        assert_eq!(seconds(0x04, "20270731000000Z"), None);
    }
}
