//! Reading the table `request_stats`: sums over stretches of time.

use sqlx::sqlite::{Sqlite, SqliteRow};
use sqlx::{QueryBuilder, Row as _};

use super::statistics::{COLUMNS, Dimension, Grain, Sums};
use super::{Store, StoreError};

/// A stretch of time in one grain, added to the sums number `part`. Its ends are multiples of the grain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stretch {
    pub(crate) part: i64,
    pub(crate) grain: Grain,
    pub(crate) from: i64,
    pub(crate) until: i64,
}

/// The sums of one value in one part.
#[derive(Clone, Debug)]
pub(crate) struct PartSums {
    pub(crate) part: i64,
    pub(crate) value: String,
    pub(crate) sums: Sums,
}

/// Which values of a dimension are asked for.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Values<'a> {
    All,
    These(&'a [String]),
}

/// Which sums are needed; percentiles take twelve columns each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Wanted {
    pub(crate) first_token: bool,
    pub(crate) duration: bool,
}

impl Wanted {
    pub(crate) const ALL: Self = Self { first_token: true, duration: true };

    fn columns(self) -> impl Iterator<Item = (usize, &'static str)> {
        COLUMNS.into_iter().enumerate().filter(move |(position, _)| match position {
            0..10 => true,
            10..22 => self.first_token,
            _ => self.duration,
        })
    }
}

impl Store {
    /// Sums by part and value.
    pub(crate) async fn sums(
        &self,
        dimension: Dimension,
        values: Values<'_>,
        stretches: &[Stretch],
        wanted: Wanted,
    ) -> Result<Vec<PartSums>, StoreError> {
        if stretches.is_empty() || matches!(values, Values::These([])) {
            return Ok(Vec::new());
        }
        let mut query = with_stretches(stretches);
        query.push("SELECT part, value");
        for (_, column) in wanted.columns() {
            query.push(format_args!(", CAST(SUM({column}) AS BIGINT)"));
        }
        push_joined(&mut query, dimension);
        if let Values::These(values) = values {
            query.push(" AND value IN (");
            let mut list = query.separated(", ");
            for value in values {
                list.push_bind(value.clone());
            }
            query.push(")");
        }
        query.push(" GROUP BY part, value");
        let rows = query.build().fetch_all(self.reports()).await?;
        rows.iter().map(|row| part_sums(row, wanted)).collect()
    }

    /// The values with most of `column`, most first.
    pub(crate) async fn top_values(
        &self,
        dimension: Dimension,
        stretches: &[Stretch],
        column: &'static str,
        limit: i64,
    ) -> Result<Vec<String>, StoreError> {
        if stretches.is_empty() {
            return Ok(Vec::new());
        }
        let mut query = with_stretches(stretches);
        query.push("SELECT value");
        push_joined(&mut query, dimension);
        query.push(format_args!(" GROUP BY value HAVING SUM({column}) > 0 ORDER BY SUM({column}) DESC, value LIMIT "));
        query.push_bind(limit);
        Ok(query.build_query_scalar().fetch_all(self.reports()).await?)
    }

    /// When the statistics begin.
    pub(crate) async fn statistics_since(&self) -> Result<Option<i64>, StoreError> {
        let query = sqlx::query_scalar(
            "SELECT bucket_at FROM request_stats WHERE grain = $1 AND dimension = $2 ORDER BY bucket_at LIMIT 1",
        );
        let query = query.bind(Grain::Hour.seconds()).bind(Dimension::All.name());
        Ok(query.fetch_optional(self.reports()).await?)
    }
}

fn with_stretches(stretches: &[Stretch]) -> QueryBuilder<Sqlite> {
    let mut query = QueryBuilder::new("WITH stretches (part, stretch_grain, starts_at, ends_at) AS (");
    query.push_values(stretches, |mut values, stretch| {
        values.push_bind(stretch.part).push_bind(stretch.grain.seconds());
        values.push_bind(stretch.from).push_bind(stretch.until);
    });
    query.push(") ");
    query
}

/// The stretches come first, so that each is one range of the primary key.
fn push_joined(query: &mut QueryBuilder<Sqlite>, dimension: Dimension) {
    query.push(" FROM stretches CROSS JOIN request_stats WHERE grain = stretch_grain AND dimension = ");
    query.push_bind(dimension.name()).push(" AND bucket_at >= starts_at AND bucket_at < ends_at");
}

fn part_sums(row: &SqliteRow, wanted: Wanted) -> Result<PartSums, StoreError> {
    let mut values = [0_i64; 34];
    for (at, (position, _)) in wanted.columns().enumerate() {
        values[position] = row.try_get(at + 2)?;
    }
    Ok(PartSums { part: row.try_get(0)?, value: row.try_get(1)?, sums: Sums::from_array(&values) })
}
