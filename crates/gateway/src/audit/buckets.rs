//! Stretches of time: the buckets of a chart in the viewer's zone, and which sums cover them.

use jiff::tz::TimeZone;
use jiff::{Span, Timestamp};

use crate::store::statistics::{Dimension, Grain, kept_ms};
use crate::store::statistics_read::Stretch;

/// Most buckets of a chart.
pub(crate) const MOST_BUCKETS: usize = 400;

const MINUTE_S: i64 = 60;
const HOUR_S: i64 = 3_600;
const DAY_S: i64 = 86_400;

/// Buckets of a chart. A day is one of the viewer's calendar; shorter steps begin anew at its midnight.
#[derive(Clone, Debug)]
pub(crate) struct Buckets {
    /// Where they begin, and where the last one ends. Milliseconds.
    pub(crate) edges: Vec<i64>,
    pub(crate) step_s: i64,
    pub(crate) grain: Grain,
    /// The zone is not whole hours from UTC, and the sums are: what falls near an edge may be counted beside it.
    pub(crate) approximate: bool,
}

/// A stretch of time that a person chose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Range {
    pub(crate) from: i64,
    pub(crate) until: i64,
}

/// The step for a chart of 60 to 120 buckets.
pub(crate) fn automatic_step(range: Range) -> i64 {
    let hours = (range.until - range.from) as f64 / (1_000.0 * HOUR_S as f64);
    match hours {
        ..=2.0 => MINUTE_S,
        ..=8.0 => 5 * MINUTE_S,
        ..=36.0 => 15 * MINUTE_S,
        ..=192.0 => 2 * HOUR_S,
        ..=744.0 => 6 * HOUR_S,
        _ => DAY_S,
    }
}

/// The buckets of a range. A step finer than what is kept of the dimension and the range becomes the finest that is.
pub(crate) fn buckets(range: Range, step_s: i64, zone: &TimeZone, dimension: Dimension, now: i64) -> Buckets {
    let is_kept = |grain: Grain| {
        dimension.grains().contains(&grain) && range.from >= now.saturating_sub(kept_ms(dimension, grain))
    };
    let (step_s, grain) = if step_s % HOUR_S != 0 && is_kept(Grain::Minute) {
        (step_s, Grain::Minute)
    } else if is_kept(Grain::Hour) {
        (whole_hours(step_s), Grain::Hour)
    } else {
        (DAY_S, Grain::Day)
    };
    let edges = edges(range, step_s, zone);
    let approximate = edges.iter().any(|edge| grain.floor(*edge) != *edge);
    Buckets { edges, step_s, grain, approximate }
}

fn whole_hours(step_s: i64) -> i64 {
    (step_s + HOUR_S - 1) / HOUR_S * HOUR_S
}

/// From the last edge that is not after the range's beginning to the first that is not before its end.
pub(crate) fn edges(range: Range, step_s: i64, zone: &TimeZone) -> Vec<i64> {
    let step_ms = step_s * 1_000;
    let mut edges: Vec<i64> = Vec::new();
    let mut edge = midnight(range.from, zone);
    let mut midnight = midnight_after(edge, zone);
    while edge < range.until && edges.len() <= MOST_BUCKETS {
        if edge <= range.from {
            edges.clear();
        }
        edges.push(edge);
        edge += step_ms;
        // A day of 25 hours ends with a longer bucket rather than with a sliver.
        if edge + step_ms / 2 >= midnight {
            edge = midnight;
            midnight = midnight_after(midnight, zone);
        }
    }
    edges.push(edge);
    edges
}

fn midnight(at: i64, zone: &TimeZone) -> i64 {
    let start = timestamp(at).to_zoned(zone.clone()).start_of_day();
    start.map_or(at, |start| start.timestamp().as_millisecond())
}

/// The midnight after `at`, which falls on a calendar day of 23 to 25 hours.
fn midnight_after(at: i64, zone: &TimeZone) -> i64 {
    let day = timestamp(at).to_zoned(zone.clone());
    let next = day.checked_add(Span::new().days(1)).and_then(|next| next.start_of_day());
    next.map_or(at + DAY_S * 1_000, |next| next.timestamp().as_millisecond())
}

fn timestamp(at: i64) -> Timestamp {
    Timestamp::from_millisecond(at).unwrap_or(Timestamp::UNIX_EPOCH)
}

impl Buckets {
    pub(crate) fn len(&self) -> usize {
        self.edges.len().saturating_sub(1)
    }

    /// The whole stretch.
    pub(crate) fn range(&self) -> Range {
        Range { from: self.edges.first().copied().unwrap_or(0), until: self.edges.last().copied().unwrap_or(0) }
    }

    /// One stretch per bucket, shifted by `shift_ms`, numbered from `first`.
    pub(crate) fn stretches(&self, first: usize, shift_ms: i64) -> Vec<Stretch> {
        let bounds = self.edges.iter().zip(self.edges.iter().skip(1)).enumerate();
        let stretches = bounds.map(|(number, (from, until))| Stretch {
            part: i64::try_from(first + number).unwrap_or(i64::MAX),
            grain: self.grain,
            from: self.grain.floor(from + shift_ms),
            until: self.grain.floor(until + shift_ms),
        });
        stretches.collect()
    }
}

/// The stretches that cover a range with the fewest rows: days in the middle, hours and minutes at its ends, as far as they are kept.
/// An end that cannot be met exactly is widened.
pub(crate) fn cover(range: Range, part: i64, dimension: Dimension, now: i64) -> Vec<Stretch> {
    let is_kept = |grain: Grain, at: i64| {
        dimension.grains().contains(&grain) && at >= now.saturating_sub(kept_ms(dimension, grain))
    };
    let finest = |at: i64| Grain::ALL.into_iter().find(|grain| is_kept(*grain, at)).unwrap_or(Grain::Day);
    let mut from = finest(range.from).floor(range.from);
    // Nothing is counted in the future: the running day serves whole.
    let until = if range.until >= now { Grain::Day.ceil(range.until) } else { finest(range.until).ceil(range.until) };
    let mut stretches = Vec::new();
    while from < until {
        let fits = |grain: &Grain| grain.floor(from) == from && from + grain.ms() <= until;
        let mut grains = [Grain::Day, Grain::Hour, Grain::Minute].into_iter();
        let grain = grains.find(|grain| dimension.grains().contains(grain) && fits(grain)).unwrap_or(Grain::Minute);
        // As far as this grain reaches: to the end, or to where a coarser one can go on.
        let coarser = match grain {
            Grain::Day => i64::MAX,
            Grain::Hour if dimension.grains().contains(&Grain::Day) => Grain::Day.floor(from) + Grain::Day.ms(),
            Grain::Hour => i64::MAX,
            Grain::Minute => Grain::Hour.floor(from) + Grain::Hour.ms(),
        };
        let to = coarser.min(grain.floor(until)).max(from + grain.ms());
        stretches.push(Stretch { part, grain, from, until: to });
        from = to;
    }
    stretches
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 1 September 2026, 00:00 UTC.
    const NOW: i64 = 1_788_220_800_000;
    const HOUR: i64 = 3_600_000;
    const DAY: i64 = 24 * HOUR;

    fn zone(name: &str) -> TimeZone {
        TimeZone::get(name).unwrap()
    }

    #[test]
    fn steps_are_those_of_the_usual_ranges() {
        let step = |hours: i64| automatic_step(Range { from: NOW - hours * HOUR, until: NOW });
        let steps = [1, 6, 24, 168, 720, 2_160].map(step);
        assert_eq!(steps, [60, 300, 900, 7_200, 21_600, 86_400]);
    }

    #[test]
    fn days_are_those_of_the_viewers_calendar_also_when_the_clocks_change() {
        // Berlin's clocks went back on 25 October 2026: that day has 25 hours.
        let from: Timestamp = "2026-10-24T12:00:00Z".parse().unwrap();
        let range = Range { from: from.as_millisecond(), until: from.as_millisecond() + 2 * DAY };
        let edges: Vec<String> =
            edges(range, DAY_S, &zone("Europe/Berlin")).into_iter().map(crate::clock::timestamp).collect();
        let expected = ["2026-10-23T22:00", "2026-10-24T22:00", "2026-10-25T23:00", "2026-10-26T23:00"];
        assert_eq!(edges, expected.map(|edge| format!("{edge}:00.000Z")));
    }

    #[test]
    fn buckets_cover_the_range_without_gap() {
        for (hours, name) in [(1, "UTC"), (24, "Asia/Shanghai"), (168, "America/New_York"), (720, "Asia/Kolkata")] {
            let range = Range { from: NOW - hours * HOUR + 1_234_567, until: NOW + 77_000 };
            let step = automatic_step(range);
            let buckets = buckets(range, step, &zone(name), Dimension::All, NOW);
            assert!(buckets.edges[0] <= range.from && buckets.edges[1] > range.from, "{name}");
            assert!(buckets.range().until >= range.until && buckets.edges[buckets.len() - 1] < range.until, "{name}");
            assert!(buckets.len() >= 28, "{} buckets for {hours} h", buckets.len());
            let stretches = buckets.stretches(0, 0);
            assert!(stretches.windows(2).all(|pair| pair[0].until == pair[1].from), "{name}");
            assert_eq!(buckets.approximate, name == "Asia/Kolkata", "{name}");
        }
    }

    #[test]
    fn what_is_not_kept_finely_is_asked_for_coarsely() {
        let day = Range { from: NOW - DAY, until: NOW };
        let month = Range { from: NOW - 30 * DAY, until: NOW };
        let of = |range, step, dimension| {
            let buckets = buckets(range, step, &TimeZone::UTC, dimension, NOW);
            (buckets.step_s, buckets.grain)
        };
        assert_eq!(of(day, 900, Dimension::Key), (900, Grain::Minute));
        assert_eq!(of(day, 900, Dimension::Account), (3_600, Grain::Hour));
        assert_eq!(of(month, 900, Dimension::Key), (3_600, Grain::Hour));
        assert_eq!(of(month, 21_600, Dimension::Account), (86_400, Grain::Day));
    }

    #[test]
    fn a_range_is_covered_once_with_few_stretches() {
        let ranges = [
            (NOW - 30 * DAY + 123_456, NOW),
            (NOW - 3 * HOUR - 61_000, NOW - HOUR - 7),
            (NOW - 90 * DAY, NOW + 5),
            (NOW - 60_000, NOW),
        ];
        for (from, until) in ranges {
            for dimension in [Dimension::All, Dimension::Key, Dimension::Account, Dimension::Client] {
                let stretches = cover(Range { from, until }, 7, dimension, NOW);
                assert!(stretches.len() <= 5, "{stretches:?}");
                assert!(stretches[0].from <= from && stretches.last().unwrap().until >= until);
                assert!(stretches.windows(2).all(|pair| pair[0].until == pair[1].from), "{stretches:?}");
                for stretch in &stretches {
                    assert!(dimension.grains().contains(&stretch.grain), "{stretch:?}");
                    assert_eq!(stretch.grain.floor(stretch.from), stretch.from);
                    assert_eq!(stretch.grain.floor(stretch.until), stretch.until);
                }
            }
        }
    }
}
