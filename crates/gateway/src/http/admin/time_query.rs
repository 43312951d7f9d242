//! Times in query strings: ranges, zones, steps of charts.

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::query::Parameters;
use crate::audit::Range;

const DAY_S: i64 = 86_400;

impl Parameters {
    /// `range=24h`, or `from` and `until` as times; `None` without any of them.
    pub(super) fn range(&mut self, now: i64, longest_s: i64) -> Option<Range> {
        let (range, from, until) = (self.take("range"), self.time("from"), self.time("until"));
        let range = match (range, from, until) {
            (Some(range), None, None) => match seconds(&range) {
                Some(length) => Range { from: now.saturating_sub(length.saturating_mul(1_000)), until: now + 1 },
                None => return self.refused("range", "format", "must be a length such as 1h, 24h, 7d"),
            },
            (None, Some(from), until) => Range { from, until: until.unwrap_or(now + 1) },
            (None, None, None) => return None,
            (None, None, Some(_)) => return self.refused("from", "required", "is required beside until"),
            (Some(_), ..) => return self.refused("range", "cross_field", "cannot stand beside from and until"),
        };
        if range.from >= range.until || range.until - range.from > longest_s.saturating_mul(1_000) + 1 {
            let message = format!("must be before until, by at most {} days", longest_s / DAY_S);
            return self.refused("from", "range", message);
        }
        Some(range)
    }

    /// A time in RFC 3339.
    pub(super) fn time(&mut self, name: &str) -> Option<i64> {
        let value = self.take(name)?;
        match time(&value) {
            Some(time) => Some(time),
            None => self.refused(name, "format", "must be a time such as 2026-09-01T00:00:00Z"),
        }
    }

    /// The viewer's zone; UTC without one.
    pub(super) fn zone(&mut self) -> (String, TimeZone) {
        let name = self.take("tz").unwrap_or_else(|| "UTC".to_owned());
        match TimeZone::get(&name) {
            Ok(zone) => (name, zone),
            Err(_) => {
                self.refuse("tz", "choice", "must be the name of a time zone such as Asia/Shanghai");
                (name, TimeZone::UTC)
            }
        }
    }

    /// The step of a chart in seconds; `None` for `auto`.
    pub(super) fn step(&mut self) -> Option<i64> {
        let value = self.take("step").filter(|value| value != "auto")?;
        // Steps that fill a day, so that every midnight begins one.
        match seconds(&value).filter(|step| *step >= 60 && step % 60 == 0 && DAY_S % step == 0) {
            Some(step) => Some(step),
            None => self.refused("step", "choice", "must be auto or a part of a day such as 1m, 15m, 2h, 1d"),
        }
    }
}

/// A time in RFC 3339 as milliseconds.
pub(super) fn time(text: &str) -> Option<i64> {
    text.trim().parse::<Timestamp>().ok().map(Timestamp::as_millisecond)
}

/// A length such as `90s`, `15m`, `24h`, `7d`.
pub(super) fn seconds(text: &str) -> Option<i64> {
    let unit = match text.chars().last()? {
        's' => 1,
        'm' => 60,
        'h' => 3_600,
        'd' => DAY_S,
        _ => return None,
    };
    let count: i64 = text[..text.len() - 1].parse().ok()?;
    count.checked_mul(unit).filter(|seconds| *seconds > 0)
}
