//! Counts beside a window of the log: values with their numbers, and how the requests lie in time.
//!
//! Small parts of the log are counted. Of large ones the sums are taken where they answer the question, and they may count a little more
//! than the log still holds; where they do not, the newest rows are counted and the rest is left out. Which it was is told.

use std::collections::BTreeMap;

use jiff::tz::TimeZone;

use super::Records;
use super::buckets::{Range, buckets, cover};
use crate::store::StoreError;
use crate::store::request_log::{Clause, Direction, Field, RequestFilter, Window};
use crate::store::statistics::{Dimension, Grain, Sums};
use crate::store::statistics_read::{PartSums, Values, Wanted};

/// Rows that are counted for one answer.
const SAMPLE: i64 = 5_000;

/// Most values of a facet.
const MOST_VALUES: usize = 50;

/// What a count is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Basis {
    /// Every matching row of the log.
    Log,
    /// The sums of the statistics, by whole hours.
    Statistics,
    /// The newest rows only, from this time on.
    Newest { since: i64 },
}

/// The values of one field.
#[derive(Clone, Debug)]
pub(crate) struct Facet {
    pub(crate) field: Field,
    pub(crate) basis: Basis,
    /// Most frequent first.
    pub(crate) values: Vec<(String, i64)>,
}

/// Requests in time.
#[derive(Clone, Debug)]
pub(crate) struct Histogram {
    pub(crate) edges: Vec<i64>,
    pub(crate) step_s: i64,
    pub(crate) basis: Basis,
    /// One per bucket; `None` where nothing is known.
    pub(crate) counts: Vec<Option<Outcomes>>,
}

/// Requests by how they ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Outcomes {
    pub(crate) succeeded: i64,
    pub(crate) failed: i64,
    pub(crate) cancelled: i64,
}

impl Outcomes {
    fn add(&mut self, outcome: &str, count: i64) {
        match outcome {
            "succeeded" => self.succeeded += count,
            "cancelled" => self.cancelled += count,
            _ => self.failed += count,
        }
    }

    fn of(sums: &Sums) -> Self {
        Self { succeeded: sums.succeeded, failed: sums.failed, cancelled: sums.cancelled }
    }
}

/// A filter that the sums can answer: outcomes, and values of one dimension.
struct Summable<'a> {
    dimension: Dimension,
    values: Option<&'a [String]>,
    outcomes: Option<&'a [String]>,
}

impl Summable<'_> {
    fn of(filter: &RequestFilter) -> Option<Summable<'_>> {
        let mut summable = Summable { dimension: Dimension::All, values: None, outcomes: None };
        for clause in &filter.clauses {
            match clause {
                Clause::OneOf { field: Field::Outcome, values, not: false } if summable.outcomes.is_none() => {
                    summable.outcomes = Some(values);
                }
                Clause::OneOf { field, values, not: false } if summable.values.is_none() => {
                    summable.dimension = dimension(*field)?;
                    summable.values = Some(values);
                }
                _ => return None,
            }
        }
        Some(summable)
    }

    fn values(&self) -> Values<'_> {
        self.values.map_or(Values::All, Values::These)
    }

    /// The part of the outcomes that the filter lets through.
    fn filtered(&self, outcomes: Outcomes) -> Outcomes {
        let Some(wanted) = self.outcomes else { return outcomes };
        let keep = |name: &str, count: i64| if wanted.iter().any(|outcome| outcome == name) { count } else { 0 };
        Outcomes {
            succeeded: keep("succeeded", outcomes.succeeded),
            failed: keep("failed", outcomes.failed),
            cancelled: keep("cancelled", outcomes.cancelled),
        }
    }
}

/// The dimension that sums up a field.
fn dimension(field: Field) -> Option<Dimension> {
    match field {
        Field::Model => Some(Dimension::Model),
        Field::Mode => Some(Dimension::Mode),
        Field::Key => Some(Dimension::Key),
        Field::Account => Some(Dimension::Account),
        Field::ErrorCode => Some(Dimension::ErrorCode),
        Field::Receipt => Some(Dimension::Receipt),
        Field::Transport => Some(Dimension::Transport),
        Field::Client => Some(Dimension::Client),
        _ => None,
    }
}

impl Records {
    /// About how many rows match; `None` when only counting them would tell.
    pub(crate) async fn estimate(&self, filter: &RequestFilter) -> Result<Option<i64>, StoreError> {
        if filter.needs_no_scan() && !filter.clauses.is_empty() {
            let count = self.store.log_count(filter, SAMPLE + 1).await?;
            if count <= SAMPLE {
                return Ok(Some(count));
            }
        }
        // The sums of one account lie among those of all others.
        let summable = Summable::of(filter).filter(|summable| summable.dimension != Dimension::Account);
        let Some(summable) = summable else { return Ok(None) };
        let Some(range) = self.log_range(filter).await? else { return Ok(Some(0)) };
        let stretches = cover(range, 0, summable.dimension, self.clock.now_ms());
        let sums = self.store.sums(summable.dimension, summable.values(), &stretches, Wanted::default()).await?;
        let outcomes = sums.iter().map(|part| summable.filtered(Outcomes::of(&part.sums)));
        Ok(Some(outcomes.map(|outcomes| outcomes.succeeded + outcomes.failed + outcomes.cancelled).sum()))
    }

    /// The values of these fields with their counts, each as if the filter did not name the field itself.
    pub(crate) async fn facets(&self, filter: &RequestFilter, fields: &[Field]) -> Result<Vec<Facet>, StoreError> {
        let own = |field: &Field| filter.clauses.iter().any(|clause| names(clause, *field));
        let shared: Vec<Field> = fields.iter().copied().filter(|field| !own(field)).collect();
        let passes = 1 + fields.len() - shared.len();
        let sample = SAMPLE / i64::try_from(passes).unwrap_or(SAMPLE);
        let mut facets = self.facets_of(filter, &shared, sample).await?;
        for field in fields.iter().filter(|field| own(field)) {
            let mut others = filter.clone();
            others.clauses.retain(|clause| !names(clause, *field));
            facets.extend(self.facets_of(&others, &[*field], sample).await?);
        }
        facets.sort_by_key(|facet| fields.iter().position(|field| *field == facet.field));
        Ok(facets)
    }

    async fn facets_of(&self, filter: &RequestFilter, fields: &[Field], sample: i64) -> Result<Vec<Facet>, StoreError> {
        if fields.is_empty() {
            return Ok(Vec::new());
        }
        let end = self.store.log_boundary(filter, Direction::Older, None, sample).await?;
        let mut facets = Vec::new();
        let mut counted = Vec::new();
        for field in fields {
            let summed = if end.is_some() { self.summed_facet(filter, *field).await? } else { None };
            match summed {
                Some(facet) => facets.push(facet),
                None => counted.push(*field),
            }
        }
        if counted.is_empty() {
            return Ok(facets);
        }
        let basis = end.as_ref().map_or(Basis::Log, |(at, _)| Basis::Newest { since: *at });
        let window = Window { direction: Direction::Older, start: None, end };
        let counts = self.store.log_counts(filter, &window, &counted).await?;
        for (position, field) in counted.into_iter().enumerate() {
            let of_field = counts.iter().filter(|count| usize::try_from(count.field) == Ok(position));
            let values = of_field.map(|count| (count.value.clone(), count.requests)).collect();
            facets.push(Facet { field, basis, values: most_frequent(values) });
        }
        Ok(facets)
    }

    /// The facet from sums, where the filter leaves that possible.
    async fn summed_facet(&self, filter: &RequestFilter, field: Field) -> Result<Option<Facet>, StoreError> {
        let Some(summable) = Summable::of(filter) else { return Ok(None) };
        let by_outcome = field == Field::Outcome;
        let dimension = match dimension(field) {
            // Accounts are too many to be added up for a list of fifty.
            Some(Dimension::Account) | None if !by_outcome => return Ok(None),
            // One dimension at a time is summed up.
            Some(_) if summable.values.is_some() => return Ok(None),
            Some(dimension) => dimension,
            None => summable.dimension,
        };
        let Some(range) = self.log_range(filter).await? else { return Ok(None) };
        let stretches = cover(range, 0, dimension, self.clock.now_ms());
        let values = if by_outcome { summable.values() } else { Values::All };
        let sums = self.store.sums(dimension, values, &stretches, Wanted::default()).await?;
        let values = if by_outcome {
            let mut all = Outcomes::default();
            for PartSums { sums, .. } in &sums {
                all.succeeded += sums.succeeded;
                all.failed += sums.failed;
                all.cancelled += sums.cancelled;
            }
            let named =
                [("succeeded", all.succeeded), ("failed", all.failed), ("cancelled", all.cancelled)].into_iter();
            named.map(|(name, count)| (name.to_owned(), count)).collect()
        } else {
            let counted = sums.into_iter().map(|part| {
                let outcomes = summable.filtered(Outcomes::of(&part.sums));
                (part.value, outcomes.succeeded + outcomes.failed + outcomes.cancelled)
            });
            counted.collect()
        };
        Ok(Some(Facet { field, basis: Basis::Statistics, values: most_frequent(values) }))
    }

    /// How the matching requests lie in time.
    pub(crate) async fn histogram(
        &self,
        filter: &RequestFilter,
        range: Range,
        step_s: i64,
        zone: &TimeZone,
    ) -> Result<Histogram, StoreError> {
        let now = self.clock.now_ms();
        let filter = RequestFilter { from: Some(range.from), until: Some(range.until), ..filter.clone() };
        let end = self.store.log_boundary(&filter, Direction::Older, None, SAMPLE).await?;
        if let (Some(_), Some(summable)) = (&end, Summable::of(&filter)) {
            let buckets = buckets(range, step_s, zone, summable.dimension, now);
            let stretches = buckets.stretches(0, 0);
            let sums = self.store.sums(summable.dimension, summable.values(), &stretches, Wanted::default()).await?;
            let oldest = self.store.oldest_request().await?.unwrap_or(now);
            let mut counts: Vec<Option<Outcomes>> =
                buckets.edges.iter().skip(1).map(|until| (*until > oldest).then(Outcomes::default)).collect();
            for part in &sums {
                let slot = usize::try_from(part.part).ok().and_then(|part| counts.get_mut(part));
                if let Some(Some(count)) = slot {
                    let outcomes = summable.filtered(Outcomes::of(&part.sums));
                    count.succeeded += outcomes.succeeded;
                    count.failed += outcomes.failed;
                    count.cancelled += outcomes.cancelled;
                }
            }
            return Ok(Histogram { edges: buckets.edges, step_s: buckets.step_s, basis: Basis::Statistics, counts });
        }
        let edges = super::buckets::edges(range, step_s, zone);
        let basis = end.as_ref().map_or(Basis::Log, |(at, _)| Basis::Newest { since: *at });
        let window = Window { direction: Direction::Older, start: None, end };
        // Every zone's edges lie on quarters of an hour.
        let slot_ms = (step_s * 1_000).min(15 * Grain::Minute.ms());
        let known_from = match basis {
            Basis::Newest { since } => since,
            _ => i64::MIN,
        };
        let mut counts: Vec<Option<Outcomes>> = edges
            .iter()
            .take(edges.len().saturating_sub(1))
            .map(|from| (*from >= known_from).then(Outcomes::default))
            .collect();
        for slot in self.store.log_slots(&filter, &window, slot_ms).await? {
            let at = slot.slot * slot_ms;
            let bucket = edges.partition_point(|edge| *edge <= at.max(edges[0])).saturating_sub(1);
            if let Some(Some(count)) = counts.get_mut(bucket) {
                count.add(&slot.outcome, slot.requests);
            }
        }
        Ok(Histogram { edges, step_s, basis, counts })
    }

    /// The stretch of the log that a filter can match; `None` when the log is empty.
    async fn log_range(&self, filter: &RequestFilter) -> Result<Option<Range>, StoreError> {
        let Some(oldest) = self.store.oldest_request().await? else { return Ok(None) };
        let now = self.clock.now_ms();
        let from = filter.from.unwrap_or(oldest).max(oldest);
        let until = filter.until.unwrap_or(now + 1).min(now + 1);
        Ok(Some(Range { from, until }))
    }
}

fn names(clause: &Clause, wanted: Field) -> bool {
    match clause {
        Clause::OneOf { field, .. } | Clause::Exists { field, .. } => *field == wanted,
        Clause::Figure { .. } | Clause::Words(_) => false,
    }
}

fn most_frequent(values: Vec<(String, i64)>) -> Vec<(String, i64)> {
    let mut values: Vec<(String, i64)> =
        values.into_iter().collect::<BTreeMap<_, _>>().into_iter().filter(|(_, count)| *count > 0).collect();
    values.sort_by(|left, right| right.1.cmp(&left.1).then_with(|| left.0.cmp(&right.0)));
    values.truncate(MOST_VALUES);
    values
}
