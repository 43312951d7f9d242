//! Table `request_stats`: sums over requests by minute, hour and day, for one dimension at a time.
//!
//! They are written in the transaction that writes the requests, and are kept when those have been trimmed. A latency is kept as a
//! histogram, because percentiles cannot be added up.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use sqlx::QueryBuilder;
use sqlx::sqlite::{Sqlite, SqliteConnection};

use super::requests::RequestRow;
use super::{Store, StoreError};

/// Seconds that one row covers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Grain {
    Minute,
    Hour,
    Day,
}

impl Grain {
    pub(crate) const ALL: [Self; 3] = [Self::Minute, Self::Hour, Self::Day];

    pub(crate) fn seconds(self) -> i64 {
        match self {
            Self::Minute => 60,
            Self::Hour => 3_600,
            Self::Day => 86_400,
        }
    }

    pub(crate) fn ms(self) -> i64 {
        self.seconds() * 1_000
    }

    /// The beginning of the bucket that `at` falls into.
    pub(crate) fn floor(self, at: i64) -> i64 {
        at.div_euclid(self.ms()) * self.ms()
    }

    /// The beginning of the first bucket that does not begin before `at`.
    pub(crate) fn ceil(self, at: i64) -> i64 {
        self.floor(at + self.ms() - 1)
    }
}

/// The value under which names are counted together of which there are too many.
const OTHER: &str = "other";

/// What the sums are kept by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Dimension {
    All,
    Model,
    Mode,
    Key,
    Account,
    ErrorCode,
    Receipt,
    Transport,
    Client,
}

impl Dimension {
    pub(crate) const ALL: [Self; 9] = [
        Self::All,
        Self::Model,
        Self::Mode,
        Self::Key,
        Self::Account,
        Self::ErrorCode,
        Self::Receipt,
        Self::Transport,
        Self::Client,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::All => "all",
            Self::Model => "model",
            Self::Mode => "mode",
            Self::Key => "key",
            Self::Account => "account",
            Self::ErrorCode => "error_code",
            Self::Receipt => "receipt",
            Self::Transport => "transport",
            Self::Client => "client",
        }
    }

    /// The grains that are kept: every one costs each request a little. Accounts are many, so their hours are given up for days
    /// after a while; what is only looked at over longer times has no minutes.
    pub(crate) fn grains(self) -> &'static [Grain] {
        match self {
            Self::All | Self::Model | Self::Key | Self::ErrorCode => &Grain::ALL,
            Self::Mode => &[Grain::Minute, Grain::Hour],
            Self::Account => &[Grain::Hour, Grain::Day],
            Self::Receipt | Self::Transport | Self::Client => &[Grain::Hour],
        }
    }

    fn value(self, row: &RequestRow) -> Option<&str> {
        let is_shared = match self {
            Self::Model => row.shared.model,
            Self::Mode => row.shared.mode,
            Self::Client => row.shared.client,
            _ => false,
        };
        if is_shared {
            return Some(OTHER);
        }
        // A stranger chooses these words; they must not fill a table.
        let known = row.key_id.is_some();
        match self {
            Self::All => Some(""),
            Self::Model => row.model.as_deref(),
            Self::Mode => row.mode.as_deref(),
            Self::Key => row.key_id.as_deref(),
            Self::Account => row.account_id.as_deref(),
            Self::ErrorCode => row.error_code.as_deref(),
            Self::Receipt => row.turn,
            Self::Transport => row.transport,
            Self::Client => row.client.as_deref().filter(|_| known),
        }
    }
}

/// Upper bounds of the histogram of first tokens, milliseconds; the last bucket has none.
pub(crate) const FIRST_TOKEN_MS: [i64; 11] = [200, 400, 600, 800, 1_000, 1_500, 2_000, 3_000, 5_000, 8_000, 15_000];

/// Upper bounds of the histogram of durations, milliseconds; the last bucket has none.
pub(crate) const DURATION_MS: [i64; 11] =
    [500, 1_000, 2_000, 3_000, 5_000, 8_000, 12_000, 20_000, 35_000, 60_000, 120_000];

/// The sums' columns, in the order of [`Sums`].
pub(crate) const COLUMNS: [&str; 34] = [
    "requests",
    "succeeded",
    "failed",
    "cancelled",
    "retried",
    "prompt_tokens",
    "completion_tokens",
    "reasoning_tokens",
    "bytes",
    "stream_ms",
    "first_token_0",
    "first_token_1",
    "first_token_2",
    "first_token_3",
    "first_token_4",
    "first_token_5",
    "first_token_6",
    "first_token_7",
    "first_token_8",
    "first_token_9",
    "first_token_10",
    "first_token_11",
    "duration_0",
    "duration_1",
    "duration_2",
    "duration_3",
    "duration_4",
    "duration_5",
    "duration_6",
    "duration_7",
    "duration_8",
    "duration_9",
    "duration_10",
    "duration_11",
];

/// The sums of one bucket.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Sums {
    pub(crate) requests: i64,
    pub(crate) succeeded: i64,
    pub(crate) failed: i64,
    pub(crate) cancelled: i64,
    /// Requests that took more than one attempt.
    pub(crate) retried: i64,
    pub(crate) prompt_tokens: i64,
    pub(crate) completion_tokens: i64,
    pub(crate) reasoning_tokens: i64,
    pub(crate) bytes: i64,
    /// Time from the first token to the end, of answers that came to their end.
    pub(crate) stream_ms: i64,
    pub(crate) first_token: [i64; 12],
    /// Of answers that came to their end.
    pub(crate) duration: [i64; 12],
}

impl Sums {
    /// What one request adds.
    pub(crate) fn of(row: &RequestRow) -> Self {
        let mut sums = Self { requests: 1, bytes: row.bytes, ..Self::default() };
        match row.ending {
            "done" => sums.succeeded = 1,
            "client_gone" | "shutdown" => sums.cancelled = 1,
            _ => sums.failed = 1,
        }
        sums.retried = i64::from(row.attempt_count > 1);
        sums.prompt_tokens = row.prompt_tokens.unwrap_or(0);
        sums.completion_tokens = row.completion_tokens.unwrap_or(0);
        sums.reasoning_tokens = row.reasoning_tokens.unwrap_or(0);
        if let Some(first_token) = row.first_token_ms {
            sums.first_token[bucket(&FIRST_TOKEN_MS, first_token)] = 1;
            if sums.succeeded == 1 {
                sums.stream_ms = (row.duration_ms - first_token).max(0);
            }
        }
        if sums.succeeded == 1 {
            sums.duration[bucket(&DURATION_MS, row.duration_ms)] = 1;
        }
        sums
    }

    /// In the order of [`COLUMNS`].
    pub(crate) fn to_array(&self) -> [i64; 34] {
        let mut values = [0; 34];
        values[..10].copy_from_slice(&[
            self.requests,
            self.succeeded,
            self.failed,
            self.cancelled,
            self.retried,
            self.prompt_tokens,
            self.completion_tokens,
            self.reasoning_tokens,
            self.bytes,
            self.stream_ms,
        ]);
        values[10..22].copy_from_slice(&self.first_token);
        values[22..].copy_from_slice(&self.duration);
        values
    }

    /// From values in the order of [`COLUMNS`].
    pub(crate) fn from_array(values: &[i64; 34]) -> Self {
        let mut sums = Self {
            requests: values[0],
            succeeded: values[1],
            failed: values[2],
            cancelled: values[3],
            retried: values[4],
            prompt_tokens: values[5],
            completion_tokens: values[6],
            reasoning_tokens: values[7],
            bytes: values[8],
            stream_ms: values[9],
            ..Self::default()
        };
        sums.first_token.copy_from_slice(&values[10..22]);
        sums.duration.copy_from_slice(&values[22..]);
        sums
    }

    pub(crate) fn add(&mut self, other: &Self) {
        self.combine(other, i64::saturating_add);
    }

    /// Takes a part out; what is left is the rest.
    pub(crate) fn subtract(&mut self, part: &Self) {
        self.combine(part, |whole, part| (whole - part).max(0));
    }

    fn combine(&mut self, other: &Self, combine: impl Fn(i64, i64) -> i64) {
        let (mut own, other) = (self.to_array(), other.to_array());
        own.iter_mut().zip(other).for_each(|(own, other)| *own = combine(*own, other));
        *self = Self::from_array(&own);
    }
}

fn bucket(bounds: &[i64], value: i64) -> usize {
    bounds.iter().position(|bound| value <= *bound).unwrap_or(bounds.len())
}

/// Where sums belong: grain, dimension, beginning, value.
type Place<'a> = (Grain, Dimension, i64, &'a str);

/// Statements of so many rows each, largest first. Few and fixed, so that every one is put together, prepared and kept once.
static UPSERTS: LazyLock<[(usize, String); 6]> =
    LazyLock::new(|| [32, 16, 8, 4, 2, 1].map(|rows| (rows, upsert_text(rows))));

fn upsert_text(rows: usize) -> String {
    // By the builder, for placeholders are a matter of the dialect: SQLite looks numbered ones up by name, one after the other.
    let mut query = QueryBuilder::<Sqlite>::new("INSERT INTO request_stats (grain, dimension, bucket_at, value, ");
    query.push(COLUMNS.join(", ")).push(") ");
    query.push_values(0..rows, |mut values, _| {
        for _ in 0..COLUMNS.len() + 4 {
            values.push_bind(0_i64);
        }
    });
    query.push(" ON CONFLICT (grain, dimension, bucket_at, value) DO UPDATE SET ");
    let mut columns = query.separated(", ");
    for column in COLUMNS {
        columns.push(format_args!("{column} = request_stats.{column} + excluded.{column}"));
    }
    query.sql().as_str().to_owned()
}

/// Adds what these requests add.
pub(super) async fn add_to_statistics(
    connection: &mut SqliteConnection,
    rows: &[&RequestRow],
) -> Result<(), sqlx::Error> {
    let mut sums: BTreeMap<Place<'_>, Sums> = BTreeMap::new();
    for row in rows {
        let added = Sums::of(row);
        for dimension in Dimension::ALL {
            let Some(value) = dimension.value(row) else { continue };
            for grain in dimension.grains() {
                sums.entry((*grain, dimension, grain.floor(row.at), value)).or_default().add(&added);
            }
        }
    }
    let sums: Vec<_> = sums.into_iter().collect();
    let mut rest = sums.as_slice();
    for (size, text) in &*UPSERTS {
        while rest.len() >= *size {
            let (rows, after) = rest.split_at(*size);
            let mut query = sqlx::query(text.as_str());
            for ((grain, dimension, bucket_at, value), sums) in rows {
                query = query.bind(grain.seconds()).bind(dimension.name()).bind(*bucket_at).bind(*value);
                for sum in sums.to_array() {
                    query = query.bind(sum);
                }
            }
            query.execute(&mut *connection).await?;
            rest = after;
        }
    }
    Ok(())
}

/// How long sums are kept: minutes for the last day and the one it is compared with, hours of accounts for a week, the others
/// as long as `longest` (milliseconds).
pub(crate) fn kept(longest: i64) -> Vec<(Dimension, Grain, i64)> {
    let mut kept = Vec::new();
    for dimension in Dimension::ALL {
        for grain in dimension.grains() {
            kept.push((dimension, *grain, longest.min(kept_ms(dimension, *grain))));
        }
    }
    kept
}

/// How long sums of this kind are kept at most.
pub(crate) fn kept_ms(dimension: Dimension, grain: Grain) -> i64 {
    match (dimension, grain) {
        (_, Grain::Minute) => 49 * Grain::Hour.ms(),
        (Dimension::Account, Grain::Hour) => 8 * Grain::Day.ms(),
        _ => i64::MAX,
    }
}

impl Store {
    /// Deletes sums that begin before `before`, at most `limit` of them; answers how many went.
    pub(crate) async fn trim_statistics(
        &self,
        dimension: Dimension,
        grain: Grain,
        before: i64,
        limit: i64,
    ) -> Result<u64, StoreError> {
        let done = sqlx::query(
            "DELETE FROM request_stats WHERE grain = $1 AND dimension = $2 AND (bucket_at, value) IN \
             (SELECT bucket_at, value FROM request_stats WHERE grain = $1 AND dimension = $2 AND bucket_at < $3 \
             ORDER BY bucket_at, value LIMIT $4)",
        );
        let done = done.bind(grain.seconds()).bind(dimension.name()).bind(before).bind(limit);
        self.execute(done).await
    }
}
