//! Statistics from the sums: series, top lists, what is happening now, hours of the week.

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::Records;
use super::buckets::{Buckets, Range, buckets, cover};
use crate::store::StoreError;
use crate::store::statistics::{Dimension, Grain, Sums};
use crate::store::statistics_read::{PartSums, Stretch, Values, Wanted};

/// Groups of a chart; the rest is one more.
const GROUPS: i64 = 8;

/// Minutes that the present is shown by.
pub(crate) const NOW_MINUTES: usize = 60;

/// What a series is asked for.
#[derive(Clone, Debug)]
pub(crate) struct SeriesQuery {
    pub(crate) range: Range,
    pub(crate) step_s: i64,
    pub(crate) zone: TimeZone,
    pub(crate) by: Dimension,
    pub(crate) wanted: Wanted,
    /// Whether the stretch before is told as well.
    pub(crate) compare: bool,
}

/// Sums over time, by group.
#[derive(Clone, Debug)]
pub(crate) struct Series {
    pub(crate) buckets: Buckets,
    /// When the statistics begin: before, nothing is known.
    pub(crate) since: Option<i64>,
    pub(crate) groups: Vec<Group>,
}

/// The sums of one group.
#[derive(Clone, Debug)]
pub(crate) struct Group {
    pub(crate) value: GroupValue,
    pub(crate) buckets: Vec<Sums>,
    pub(crate) total: Sums,
    pub(crate) previous: Option<Previous>,
}

/// What a group holds together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum GroupValue {
    All,
    One(String),
    /// What is not in the groups of their own, requests without such a value included.
    Other,
}

/// The stretch before, of the same length.
#[derive(Clone, Debug)]
pub(crate) struct Previous {
    pub(crate) buckets: Vec<Sums>,
    pub(crate) total: Sums,
}

/// One line of a top list.
#[derive(Clone, Debug)]
pub(crate) struct TopLine {
    pub(crate) value: String,
    pub(crate) sums: Sums,
    pub(crate) previous: Option<Sums>,
}

/// A top list.
#[derive(Clone, Debug)]
pub(crate) struct Top {
    pub(crate) lines: Vec<TopLine>,
    /// Of everything, for the shares.
    pub(crate) total: Sums,
    pub(crate) previous_total: Option<Sums>,
    /// What was counted: an end that cannot be met exactly is widened.
    pub(crate) counted: Range,
}

impl Records {
    /// Sums over time.
    pub(crate) async fn series(&self, query: &SeriesQuery) -> Result<Series, StoreError> {
        let now = self.clock.now_ms();
        let buckets = buckets(query.range, query.step_s, &query.zone, query.by, now);
        let since = self.store.statistics_since().await?;
        let whole = buckets.range();
        let current = Range { from: whole.from, until: whole.until.min(now + 1) };
        let before = Range { from: current.from - (current.until - current.from), until: current.from };
        let shift = whole.from - whole.until;
        let count = buckets.len();
        // Parts: the buckets, the total, then the same of the stretch before.
        let mut stretches = buckets.stretches(0, 0);
        stretches.extend(cover(current, part(count), query.by, now));
        if query.compare {
            stretches.extend(buckets.stretches(count + 1, shift));
            stretches.extend(cover(before, part(2 * count + 1), query.by, now));
        }
        let values = match query.by {
            Dimension::All => Vec::new(),
            by => {
                let total = cover(current, 0, by, now);
                self.store.top_values(by, &total, "requests", GROUPS).await?
            }
        };
        let assemble = |value: GroupValue, sums: Vec<Sums>| {
            let mut sums = sums.into_iter();
            let buckets = sums.by_ref().take(count).collect();
            let total = sums.next().unwrap_or_default();
            let previous = query.compare.then(|| Previous {
                buckets: sums.by_ref().take(count).collect(),
                total: sums.next().unwrap_or_default(),
            });
            Group { value, buckets, total, previous }
        };
        let parts = if query.compare { 2 * (count + 1) } else { count + 1 };
        let all = self.store.sums(Dimension::All, Values::All, &stretches, query.wanted).await?;
        let mut rest = by_part(&all, None, parts);
        if query.by == Dimension::All {
            let groups = vec![assemble(GroupValue::All, rest)];
            return Ok(Series { buckets, since, groups });
        }
        let found = self.store.sums(query.by, Values::These(&values), &stretches, query.wanted).await?;
        let mut groups = Vec::new();
        for value in values {
            let sums = by_part(&found, Some(&value), parts);
            rest.iter_mut().zip(&sums).for_each(|(rest, sums)| rest.subtract(sums));
            groups.push(assemble(GroupValue::One(value), sums));
        }
        // Most requests have no error: the rest would be those.
        if query.by != Dimension::ErrorCode && rest.iter().any(|rest| rest.requests > 0) {
            groups.push(assemble(GroupValue::Other, rest));
        }
        Ok(Series { buckets, since, groups })
    }

    /// The values with most of `column`.
    pub(crate) async fn top(
        &self,
        by: Dimension,
        range: Range,
        column: &'static str,
        limit: usize,
        wanted: Wanted,
        compare: bool,
    ) -> Result<Top, StoreError> {
        let now = self.clock.now_ms();
        let range = Range { until: range.until.min(now + 1), ..range };
        let stretches = cover(range, 0, by, now);
        let counted = Range { from: stretches.first().map_or(range.from, |stretch| stretch.from), until: range.until };
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let values = self.store.top_values(by, &stretches, column, limit).await?;
        let mut stretches = stretches;
        // The same for the total, so that shares are of the same stretch of time.
        if compare {
            let before = Range { from: counted.from - (counted.until - counted.from), until: counted.from };
            stretches.extend(cover(before, 1, by, now));
        }
        let found = self.store.sums(by, Values::These(&values), &stretches, wanted).await?;
        let all = self.store.sums(Dimension::All, Values::All, &stretches, wanted).await?;
        let mut totals = by_part(&all, None, 2).into_iter();
        let lines = values.into_iter().map(|value| {
            let mut sums = by_part(&found, Some(&value), 2).into_iter();
            let current = sums.next().unwrap_or_default();
            TopLine { value, sums: current, previous: sums.next().filter(|_| compare) }
        });
        Ok(Top {
            lines: lines.collect(),
            total: totals.next().unwrap_or_default(),
            previous_total: totals.next().filter(|_| compare),
            counted,
        })
    }

    /// The sums of the last minutes, oldest first; the last one is the running minute.
    pub(crate) async fn last_minutes(&self) -> Result<(i64, Vec<Sums>), StoreError> {
        let running = Grain::Minute.floor(self.clock.now_ms());
        let first = running - (part(NOW_MINUTES) - 1) * Grain::Minute.ms();
        let stretches: Vec<Stretch> = (0..part(NOW_MINUTES))
            .map(|number| Stretch {
                part: number,
                grain: Grain::Minute,
                from: first + number * Grain::Minute.ms(),
                until: first + (number + 1) * Grain::Minute.ms(),
            })
            .collect();
        let sums = self.store.sums(Dimension::All, Values::All, &stretches, Wanted::ALL).await?;
        Ok((first, by_part(&sums, None, NOW_MINUTES)))
    }

    /// Requests per mode in the last `minutes` whole minutes and the running one.
    pub(crate) async fn requests_by_mode(&self, minutes: i64) -> Result<Vec<(String, i64)>, StoreError> {
        let until = Grain::Minute.floor(self.clock.now_ms()) + Grain::Minute.ms();
        let stretch = Stretch { part: 0, grain: Grain::Minute, from: until - minutes * Grain::Minute.ms(), until };
        let sums = self.store.sums(Dimension::Mode, Values::All, &[stretch], Wanted::default()).await?;
        Ok(sums.into_iter().map(|part| (part.value, part.sums.succeeded)).collect())
    }

    /// Requests and failures by weekday (from Monday) and hour of the viewer's zone.
    pub(crate) async fn heatmap(&self, range: Range, zone: &TimeZone) -> Result<Vec<[HourOfWeek; 24]>, StoreError> {
        let mut stretches = Vec::new();
        let mut from = Grain::Hour.floor(range.from);
        while from < range.until {
            let until = from + Grain::Hour.ms();
            stretches.push(Stretch { part: from / Grain::Hour.ms(), grain: Grain::Hour, from, until });
            from = until;
        }
        let mut week = vec![[HourOfWeek::default(); 24]; 7];
        // The number of bound values of one statement is limited.
        for stretches in stretches.chunks(1_000) {
            for part in self.store.sums(Dimension::All, Values::All, stretches, Wanted::default()).await? {
                let at = Timestamp::from_millisecond(part.part * Grain::Hour.ms()).unwrap_or(Timestamp::UNIX_EPOCH);
                let at = at.to_zoned(zone.clone());
                let day = usize::try_from(at.weekday().to_monday_zero_offset()).unwrap_or(0);
                let hour = &mut week[day][usize::try_from(at.hour()).unwrap_or(0)];
                hour.requests += part.sums.requests;
                hour.failed += part.sums.failed;
            }
        }
        Ok(week)
    }
}

/// One cell of the week.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct HourOfWeek {
    pub(crate) requests: i64,
    pub(crate) failed: i64,
}

fn part(number: usize) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// The sums of one value (or of all) by part.
fn by_part(found: &[PartSums], value: Option<&str>, parts: usize) -> Vec<Sums> {
    let mut sums = vec![Sums::default(); parts];
    for part in found.iter().filter(|part| value.is_none_or(|value| part.value == value)) {
        if let Some(sums) = usize::try_from(part.part).ok().and_then(|part| sums.get_mut(part)) {
            sums.add(&part.sums);
        }
    }
    sums
}
