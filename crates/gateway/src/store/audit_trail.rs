//! Table `audit_trail`.

use sqlx::{FromRow, QueryBuilder};

use super::{Store, StoreError};

/// One change.
#[derive(Clone, Debug, FromRow)]
pub(crate) struct AuditRow {
    pub(crate) id: String,
    pub(crate) at: i64,
    pub(crate) actor_kind: String,
    pub(crate) actor: String,
    pub(crate) address: Option<String>,
    pub(crate) request_id: Option<String>,
    pub(crate) action: String,
    pub(crate) subject: Option<String>,
    pub(crate) before: Option<String>,
    pub(crate) after: Option<String>,
}

/// What to read of the trail.
#[derive(Clone, Debug, Default)]
pub(crate) struct AuditQuery {
    pub(crate) actor: Option<String>,
    /// An action (`key.update`) or a kind of thing (`key`).
    pub(crate) action: Option<String>,
    pub(crate) subject: Option<String>,
    /// Only what is older than this entry.
    pub(crate) before: Option<String>,
    /// Only what is newer than this entry.
    pub(crate) after: Option<String>,
    pub(crate) limit: i64,
}

impl Store {
    pub(crate) async fn insert_audit(&self, row: &AuditRow) -> Result<(), StoreError> {
        let query = sqlx::query(
            "INSERT INTO audit_trail (id, at, actor_kind, actor, address, request_id, action, subject, before, after) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
        )
        .bind(&row.id)
        .bind(row.at)
        .bind(&row.actor_kind)
        .bind(&row.actor)
        .bind(&row.address)
        .bind(&row.request_id)
        .bind(&row.action)
        .bind(&row.subject)
        .bind(&row.before)
        .bind(&row.after);
        self.execute(query).await?;
        Ok(())
    }

    /// Entries that match, newest first, whichever end they were taken from.
    pub(crate) async fn audit(&self, query: &AuditQuery) -> Result<Vec<AuditRow>, StoreError> {
        let mut sql = QueryBuilder::new("SELECT * FROM audit_trail WHERE 1 = 1");
        if let Some(actor) = &query.actor {
            sql.push(" AND actor = ").push_bind(actor);
        }
        if let Some(action) = &query.action {
            sql.push(" AND (action = ").push_bind(action);
            sql.push(" OR substr(action, 1, ").push_bind(i64::try_from(action.len() + 1).unwrap_or(0));
            sql.push(") = ").push_bind(format!("{action}.")).push(")");
        }
        if let Some(subject) = &query.subject {
            sql.push(" AND subject = ").push_bind(subject);
        }
        if let Some(before) = &query.before {
            sql.push(" AND id < ").push_bind(before);
        }
        let forwards = query.after.is_some();
        if let Some(after) = &query.after {
            sql.push(" AND id > ").push_bind(after);
        }
        sql.push(if forwards { " ORDER BY id ASC LIMIT " } else { " ORDER BY id DESC LIMIT " }).push_bind(query.limit);
        let mut rows: Vec<AuditRow> = sql.build_query_as().fetch_all(self.reader()).await?;
        if forwards {
            rows.reverse();
        }
        Ok(rows)
    }

    /// Addresses from which somebody signed in, the latest first.
    pub(crate) async fn sign_in_addresses(&self, limit: i64) -> Result<Vec<String>, StoreError> {
        let addresses = sqlx::query_scalar(
            "SELECT address FROM audit_trail WHERE action IN ('session.create', 'admin.claim') AND address IS NOT NULL \
             GROUP BY address ORDER BY MAX(id) DESC LIMIT $1",
        );
        Ok(addresses.bind(limit).fetch_all(self.reader()).await?)
    }

    /// Deletes the oldest entries beyond `keep`.
    pub(crate) async fn trim_audit(&self, keep: i64) -> Result<u64, StoreError> {
        let done = sqlx::query(
            "DELETE FROM audit_trail WHERE id <= (SELECT id FROM audit_trail ORDER BY id DESC LIMIT 1 OFFSET $1)",
        );
        self.execute(done.bind(keep)).await
    }
}
