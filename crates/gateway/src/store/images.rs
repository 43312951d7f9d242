//! Table `images`.

use sqlx::sqlite::Sqlite;
use sqlx::{FromRow, QueryBuilder};

use super::{Store, StoreError};

/// One image that the model made.
#[derive(Clone, Debug, FromRow)]
pub(crate) struct ImageRow {
    /// 32 hexadecimal digits that nobody can guess.
    pub(crate) id: String,
    pub(crate) account_id: String,
    pub(crate) key_id: Option<String>,
    pub(crate) request_id: String,
    pub(crate) model: Option<String>,
    /// Where the upstream has it.
    pub(crate) source: String,
    pub(crate) media_type: Option<String>,
    /// Size of what is kept; 0: nothing is.
    pub(crate) bytes: i64,
    pub(crate) created_at: i64,
    pub(crate) hits: i64,
}

/// Which images; nothing set means all.
#[derive(Clone, Debug, Default)]
pub(crate) struct ImageFilter {
    pub(crate) ids: Option<Vec<String>>,
    pub(crate) account_id: Option<String>,
    pub(crate) key_id: Option<String>,
    pub(crate) request_id: Option<String>,
    pub(crate) model: Option<String>,
    pub(crate) media_type: Option<String>,
    /// Only what was made at this time or later.
    pub(crate) from: Option<i64>,
    /// Only what was made before this time.
    pub(crate) until: Option<i64>,
}

/// How many images there are, and what they take up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromRow)]
pub(crate) struct ImageTotals {
    pub(crate) count: i64,
    /// Those whose bytes are kept.
    pub(crate) kept: i64,
    pub(crate) bytes: i64,
    pub(crate) oldest_at: Option<i64>,
}

const COLUMNS: &str =
    "SELECT id, account_id, key_id, request_id, model, source, media_type, bytes, created_at, hits FROM images";

impl Store {
    pub(crate) async fn insert_image(&self, row: &ImageRow) -> Result<(), StoreError> {
        let query = sqlx::query(
            "INSERT INTO images (id, account_id, key_id, request_id, model, source, media_type, bytes, created_at, hits) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) ON CONFLICT (id) DO NOTHING",
        )
        .bind(&row.id)
        .bind(&row.account_id)
        .bind(&row.key_id)
        .bind(&row.request_id)
        .bind(&row.model)
        .bind(&row.source)
        .bind(&row.media_type)
        .bind(row.bytes)
        .bind(row.created_at)
        .bind(row.hits);
        self.execute(query).await?;
        Ok(())
    }

    pub(crate) async fn image(&self, id: &str) -> Result<Option<ImageRow>, StoreError> {
        let query = sqlx::query_as(sqlx::AssertSqlSafe(format!("{COLUMNS} WHERE id = $1")));
        Ok(query.bind(id).fetch_optional(self.reader()).await?)
    }

    /// Notes what is kept of an image; answers whether there still is such an image.
    pub(crate) async fn image_kept(&self, id: &str, media_type: &str, bytes: i64) -> Result<bool, StoreError> {
        let query = sqlx::query("UPDATE images SET media_type = $2, bytes = $3 WHERE id = $1");
        Ok(self.execute(query.bind(id).bind(media_type).bind(bytes)).await? > 0)
    }

    pub(crate) async fn add_image_hits(&self, hits: &[(String, i64)]) -> Result<(), StoreError> {
        let mut transaction = self.begin().await?;
        for (id, count) in hits {
            let query = sqlx::query("UPDATE images SET hits = hits + $2 WHERE id = $1");
            query.bind(id).bind(count).execute(&mut *transaction).await?;
        }
        transaction.commit().await?;
        Ok(())
    }

    /// A window of those that match, newest first.
    pub(crate) async fn images(
        &self,
        filter: &ImageFilter,
        offset: i64,
        limit: i64,
    ) -> Result<Vec<ImageRow>, StoreError> {
        let mut sql = QueryBuilder::new(COLUMNS);
        push_filter(&mut sql, filter);
        sql.push(" ORDER BY created_at DESC, id DESC LIMIT ").push_bind(limit).push(" OFFSET ").push_bind(offset);
        Ok(sql.build_query_as().fetch_all(self.reports()).await?)
    }

    /// The ids of all that match, newest first.
    pub(crate) async fn image_ids(&self, filter: &ImageFilter) -> Result<Vec<String>, StoreError> {
        let mut sql = QueryBuilder::new("SELECT id FROM images");
        push_filter(&mut sql, filter);
        sql.push(" ORDER BY created_at DESC, id DESC");
        Ok(sql.build_query_scalar().fetch_all(self.reports()).await?)
    }

    /// The oldest of which bytes are kept.
    pub(crate) async fn oldest_kept_images(&self, limit: i64) -> Result<Vec<ImageRow>, StoreError> {
        let sql = format!("{COLUMNS} WHERE bytes > 0 ORDER BY created_at, id LIMIT $1");
        Ok(sqlx::query_as(sqlx::AssertSqlSafe(sql)).bind(limit).fetch_all(self.reader()).await?)
    }

    pub(crate) async fn image_totals(&self, filter: &ImageFilter) -> Result<ImageTotals, StoreError> {
        let mut sql = QueryBuilder::new(
            "SELECT COUNT(*) AS count, COUNT(CASE WHEN bytes > 0 THEN 1 END) AS kept, \
             CAST(COALESCE(SUM(bytes), 0) AS BIGINT) AS bytes, MIN(created_at) AS oldest_at FROM images",
        );
        push_filter(&mut sql, filter);
        Ok(sql.build_query_as().fetch_one(self.reports()).await?)
    }

    /// Deletes up to `limit` of those that match, and answers them.
    pub(crate) async fn delete_images(&self, filter: &ImageFilter, limit: i64) -> Result<Vec<ImageRow>, StoreError> {
        let mut sql = QueryBuilder::new("DELETE FROM images WHERE id IN (SELECT id FROM images");
        push_filter(&mut sql, filter);
        sql.push(" ORDER BY created_at, id LIMIT ")
            .push_bind(limit)
            .push(") RETURNING id, account_id, key_id, request_id, model, source, media_type, bytes, created_at, hits");
        let mut transaction = self.begin().await?;
        let deleted = sql.build_query_as().fetch_all(&mut *transaction).await?;
        transaction.commit().await?;
        Ok(deleted)
    }

    /// Forgets images of which nothing is kept and that are older than `until`.
    pub(crate) async fn forget_images(&self, until: i64) -> Result<u64, StoreError> {
        let query = sqlx::query("DELETE FROM images WHERE bytes = 0 AND created_at < $1");
        self.execute(query.bind(until)).await
    }
}

fn push_filter(sql: &mut QueryBuilder<Sqlite>, filter: &ImageFilter) {
    sql.push(" WHERE 1 = 1");
    if let Some(ids) = &filter.ids {
        sql.push(" AND id IN (");
        let mut list = sql.separated(", ");
        for id in ids {
            list.push_bind(id.clone());
        }
        sql.push(")");
    }
    let texts = [
        (" AND account_id = ", &filter.account_id),
        (" AND key_id = ", &filter.key_id),
        (" AND request_id = ", &filter.request_id),
        (" AND model = ", &filter.model),
        (" AND media_type = ", &filter.media_type),
    ];
    for (condition, value) in texts {
        if let Some(value) = value {
            sql.push(condition).push_bind(value.clone());
        }
    }
    if let Some(from) = filter.from {
        sql.push(" AND created_at >= ").push_bind(from);
    }
    if let Some(until) = filter.until {
        sql.push(" AND created_at < ").push_bind(until);
    }
}
