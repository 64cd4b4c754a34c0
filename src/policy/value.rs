//! What a single value may be, and what can be made of it: data only, applied by `minimise`.

use regex::Regex;

/// The type of a kept scalar. Types are strict: a text of digits is not a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ValueType {
    /// Any scalar: `keep`.
    Any,
    /// `true` or `false`.
    Bool,
    /// RFC 3339 full-date, `2026-08-01`, and a day that exists.
    Date,
    /// RFC 3339 date-time with an offset.
    DateTime,
    /// A number without fraction and exponent.
    Int,
    /// A language tag (RFC 5646 in outline): `nl`, `nl-NL`.
    Lang,
    /// Any JSON number.
    Number,
    /// `[A-Za-z0-9._-]`, 1 to [`limits::SLUG_CHARS_MAX`](crate::limits::SLUG_CHARS_MAX).
    Slug,
    /// An absolute http or https URL without user information, at most
    /// [`limits::URL_CHARS_MAX`](crate::limits::URL_CHARS_MAX).
    Url,
    /// 8-4-4-4-12 hexadecimal digits, either case.
    Uuid,
}

/// What a kept value must also be.
#[derive(Clone, Debug, Default)]
pub struct ValueRules {
    /// One of these, each the JSON text of a string, int or bool in its shortest form.
    pub one_of: Option<Box<[Box<str>]>>,
    /// At most so many characters of the unescaped string, or bytes of a number.
    pub chars_max: Option<usize>,
    /// Matches this expression as a whole.
    pub like: Option<Regex>,
}

/// How a generalised date is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DateForm {
    /// `form = "date"`: the first day, `2017-01-01`; the type stays.
    FirstDay,
    /// The year, month or school year itself: `2017`, `2017-03`, `2016-2017`.
    Short,
}

/// A deterministic way of saying less.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Generaliser {
    /// A number as one of `"<4"`, `"4-5"`, …, `"12+"`; edges rise.
    Band(Box<[i64]>),
    /// The first character with its combining marks.
    Initial,
    /// The month of a date or date-time.
    Month(DateForm),
    /// A number rounded to a multiple of this (1 or more), half away from zero.
    Round(u32),
    /// The school year of a date or date-time: from 1 August.
    SchoolYear(DateForm),
    /// The year of a date or date-time.
    Year(DateForm),
}
