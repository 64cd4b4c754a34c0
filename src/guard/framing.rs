//! How a head says where its body ends (RFC 9112 section 6).

use crate::refusal::Refusal;

/// More digits than any body has bytes: the number stays within 64 bits.
const LENGTH_DIGITS_MAX: usize = 18;

/// What a head says of its body.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Framing {
    /// It comes in chunks.
    Chunked,
    /// It has so many bytes.
    Length(u64),
    /// Nothing.
    #[default]
    Unsaid,
}

impl Framing {
    /// Notes a `Content-Length`: digits, said once.
    ///
    /// # Errors
    /// [`Refusal::FramingInvalid`].
    pub(super) fn note_length(&mut self, value: &[u8]) -> Result<(), Refusal> {
        match (*self, length(value)) {
            (Self::Unsaid, Some(length)) => {
                *self = Self::Length(length);
                Ok(())
            }
            (Self::Unsaid | Self::Chunked | Self::Length(_), _) => Err(Refusal::FramingInvalid),
        }
    }

    /// Notes a `Transfer-Encoding`: `chunked`, said once.
    ///
    /// # Errors
    /// [`Refusal::FramingInvalid`] beside a length, [`Refusal::TransferEncodingUnsupported`] for
    /// another coding, and for more than one.
    pub(super) const fn note_coding(&mut self, value: &[u8]) -> Result<(), Refusal> {
        match self {
            Self::Length(_) => Err(Refusal::FramingInvalid),
            Self::Unsaid if value.eq_ignore_ascii_case(b"chunked") => {
                *self = Self::Chunked;
                Ok(())
            }
            Self::Chunked | Self::Unsaid => Err(Refusal::TransferEncodingUnsupported),
        }
    }
}

/// A length in digits, without a sign, a list, or zeros before it.
fn length(value: &[u8]) -> Option<u64> {
    let plain = value.iter().all(u8::is_ascii_digit) && value.len() <= LENGTH_DIGITS_MAX;
    if !plain || (value.len() > 1 && value.starts_with(b"0")) {
        return None;
    }
    std::str::from_utf8(value).ok()?.parse().ok()
}
