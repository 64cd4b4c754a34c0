//! How often one caller may ask: `rate = "20/s"`.

use std::fmt;
use std::time::Duration;

use super::code;
use super::problem::{Problem, Problems, shown};
use super::raw::{At, Value};

/// More than one gateway answers.
const REQUESTS_MAX: u32 = 1_000_000;
const PERIODS: &[(&str, Period)] = &[
    ("h", Period::Hour),
    ("min", Period::Minute),
    ("s", Period::Second),
];

/// So many requests in so long, evenly: what is not used is kept for one second at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// 1 or more.
    pub requests: u32,
    /// In which time.
    pub period: Period,
}

/// The time that a rate counts in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Period {
    /// `h`
    Hour,
    /// `min`
    Minute,
    /// `s`
    Second,
}

impl Period {
    /// How long it lasts.
    #[must_use]
    pub const fn time(self) -> Duration {
        match self {
            Self::Hour => Duration::from_secs(3_600),
            Self::Minute => Duration::from_secs(60),
            Self::Second => Duration::from_secs(1),
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Hour => "h",
            Self::Minute => "min",
            Self::Second => "s",
        }
    }
}

impl Rate {
    /// Reads `"20/s"`, `"600/min"` or `"3_000/h"`; otherwise says why not.
    pub(super) fn read(value: &Value<'_>, problems: &mut Problems) -> Option<Self> {
        let At { value: text, place } = value.text(problems)?;
        let wrong = |message: String| Problem::error(code::VALUE, message).at(&place);
        let (number, unit) = text.split_once('/').unwrap_or((text, ""));
        let (number, unit) = (number.trim().replace('_', ""), unit.trim());
        let digits = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
        let period = PERIODS.iter().find(|(name, _)| *name == unit);
        let (true, Some((_, period))) = (digits, period) else {
            let message = format!(
                "{} must be a rate, `\"20/s\"` or `\"600/min\"`",
                shown(value.name())
            );
            let near = PERIODS
                .iter()
                .find(|(name, _)| name.chars().next() == unit.chars().next());
            let problem = wrong(message).help("units are s, min and h");
            problems.push(match near {
                Some((near, _)) if digits => {
                    let meant = format!("{number}/{near}");
                    problem.help(format!("did you mean {}?", shown(&meant)))
                }
                Some(_) | None => problem,
            });
            return None;
        };
        match number.parse() {
            Ok(requests @ 1..=REQUESTS_MAX) => Some(Self {
                requests,
                period: *period,
            }),
            Ok(_) | Err(_) => {
                let message = format!("{} must be 1 to {REQUESTS_MAX}", shown(value.name()));
                let help = "mode = \"observe\" lets nobody through";
                problems.push(wrong(message).help(help));
                None
            }
        }
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.requests, self.period.name())
    }
}
