//! Tables `conversations` and `turns`.

use protocol::history::{Hash, Lines};
use std::collections::HashMap;

use sqlx::sqlite::{Sqlite, SqliteConnection, SqliteRow};
use sqlx::{FromRow, QueryBuilder, Row as _};

use super::{Store, StoreError};

/// One conversation of one API key.
#[derive(Clone, Debug, FromRow)]
pub(crate) struct ConversationRow {
    pub(crate) id: String,
    pub(crate) key_id: String,
    /// The account of the head turn.
    pub(crate) account_id: String,
    pub(crate) head_turn_id: String,
    pub(crate) title: Option<String>,
    /// The model that was asked for last, as the client named it.
    pub(crate) model: Option<String>,
    /// Kept until then, however long it is not used.
    pub(crate) keep_until: Option<i64>,
    /// Hash of the chat id that the client sent in a header of its own.
    pub(crate) client_chat: Option<String>,
    pub(crate) created_at: i64,
    pub(crate) last_used_at: i64,
}

/// Where a turn's answer stands at the upstream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) account_id: String,
    pub(crate) upstream_conversation_id: String,
    pub(crate) upstream_response_id: String,
}

/// One answered turn.
#[derive(Clone, Debug)]
pub(crate) struct TurnRow {
    pub(crate) id: String,
    pub(crate) conversation_id: String,
    pub(crate) parent_id: Option<String>,
    /// User sides from the beginning, this one included.
    pub(crate) depth: i64,
    pub(crate) chain: Hash,
    pub(crate) user: Hash,
    pub(crate) lines: Lines,
    /// Hash of the visible answer, bound to the key.
    pub(crate) answer: Hash,
    pub(crate) answer_length: i64,
    pub(crate) system: Option<Hash>,
    /// Fingerprint of the replayed history in front of a turn without parent.
    pub(crate) base: Option<Hash>,
    pub(crate) place: Place,
    pub(crate) share_link: Option<String>,
    pub(crate) created_at: i64,
}

impl<'r> FromRow<'r, SqliteRow> for TurnRow {
    fn from_row(row: &'r SqliteRow) -> Result<Self, sqlx::Error> {
        Ok(Self {
            id: row.try_get("id")?,
            conversation_id: row.try_get("conversation_id")?,
            parent_id: row.try_get("parent_id")?,
            depth: row.try_get("depth")?,
            chain: hash(row, "chain")?,
            user: hash(row, "user_hash")?,
            lines: Lines::from_text(row.try_get("user_lines")?),
            answer: hash(row, "answer_hash")?,
            answer_length: row.try_get("answer_length")?,
            system: optional_hash(row, "system_hash")?,
            base: optional_hash(row, "base")?,
            place: Place {
                account_id: row.try_get("account_id")?,
                upstream_conversation_id: row.try_get("upstream_conversation_id")?,
                upstream_response_id: row.try_get("upstream_response_id")?,
            },
            share_link: row.try_get("share_link")?,
            created_at: row.try_get("created_at")?,
        })
    }
}

fn hash(row: &SqliteRow, column: &str) -> Result<Hash, sqlx::Error> {
    optional_hash(row, column)?.ok_or_else(|| damaged(column))
}

fn optional_hash(row: &SqliteRow, column: &str) -> Result<Option<Hash>, sqlx::Error> {
    let text: Option<&str> = row.try_get(column)?;
    text.map(|text| Hash::from_hex(text).ok_or_else(|| damaged(column))).transpose()
}

fn damaged(column: &str) -> sqlx::Error {
    sqlx::Error::ColumnDecode { index: column.to_owned(), source: "not a hash".into() }
}

/// What a turn's row says besides: of which request it is, and how that went.
#[derive(Clone, Debug, Default)]
pub(crate) struct TurnNote {
    pub(crate) request_id: Option<String>,
    pub(crate) model: Option<String>,
    pub(crate) receipt: Option<&'static str>,
    pub(crate) recognised: Option<&'static str>,
}

/// A conversation changed its account.
#[derive(Clone, Debug, FromRow)]
pub(crate) struct MoveRow {
    pub(crate) id: String,
    pub(crate) conversation_id: String,
    pub(crate) at: i64,
    /// The turn that was carried over, or the one that was asked with the history replayed.
    pub(crate) turn_id: String,
    pub(crate) from_account_id: String,
    pub(crate) to_account_id: String,
    pub(crate) from_upstream_conversation_id: String,
    /// `carried`: shared and copied. `replayed`: the history was sent again.
    pub(crate) kind: String,
    /// `None`: an admin moved it.
    pub(crate) request_id: Option<String>,
}

/// A turn's id and its conversation's.
pub(crate) type TurnReference = (String, String);

impl Store {
    /// How many conversations stand on each account.
    pub(crate) async fn conversations_by_account(&self) -> Result<HashMap<String, i64>, StoreError> {
        let query = sqlx::query_as("SELECT account_id, COUNT(*) FROM conversations GROUP BY account_id");
        Ok(query.fetch_all(self.reports()).await?.into_iter().collect())
    }

    pub(crate) async fn conversation(&self, id: &str) -> Result<Option<ConversationRow>, StoreError> {
        let row = sqlx::query_as("SELECT * FROM conversations WHERE id = $1").bind(id).fetch_optional(self.reader());
        Ok(row.await?)
    }

    pub(crate) async fn turns_of_conversation(&self, id: &str) -> Result<Vec<TurnRow>, StoreError> {
        let rows = sqlx::query_as("SELECT * FROM turns WHERE conversation_id = $1").bind(id).fetch_all(self.reader());
        Ok(rows.await?)
    }

    pub(crate) async fn conversation_of_turn(&self, turn_id: &str) -> Result<Option<String>, StoreError> {
        let id = sqlx::query_scalar("SELECT conversation_id FROM turns WHERE id = $1");
        Ok(id.bind(turn_id).fetch_optional(self.reader()).await?)
    }

    /// The newest turns with this chain.
    pub(crate) async fn turns_by_chain(&self, chain: &Hash, limit: i64) -> Result<Vec<TurnReference>, StoreError> {
        let rows = sqlx::query_as(
            "SELECT id, conversation_id FROM turns WHERE chain = $1 ORDER BY created_at DESC, id DESC LIMIT $2",
        );
        Ok(rows.bind(chain.to_string()).bind(limit).fetch_all(self.reader()).await?)
    }

    /// The newest turns with this answer.
    pub(crate) async fn turns_by_answer(&self, answer: &Hash, limit: i64) -> Result<Vec<TurnReference>, StoreError> {
        let rows = sqlx::query_as(
            "SELECT id, conversation_id FROM turns WHERE answer_hash = $1 ORDER BY created_at DESC, id DESC LIMIT $2",
        );
        Ok(rows.bind(answer.to_string()).bind(limit).fetch_all(self.reader()).await?)
    }

    /// Remembers a share link that was made ahead of need.
    pub(crate) async fn set_share_link(&self, turn_id: &str, link: &str) -> Result<(), StoreError> {
        let update = sqlx::query("UPDATE turns SET share_link = $2 WHERE id = $1").bind(turn_id).bind(link);
        self.execute(update).await?;
        Ok(())
    }

    /// Ids of conversations not used since `before` and not kept until after `now`, the oldest first.
    pub(crate) async fn conversations_unused_since(
        &self,
        before: i64,
        now: i64,
        limit: i64,
    ) -> Result<Vec<String>, StoreError> {
        let ids = sqlx::query_scalar(
            "SELECT id FROM conversations WHERE last_used_at < $1 AND COALESCE(keep_until, 0) <= $2 \
             ORDER BY last_used_at LIMIT $3",
        );
        Ok(ids.bind(before).bind(now).bind(limit).fetch_all(self.reader()).await?)
    }

    /// Ids of an account's conversations beyond the `keep` most recently used ones; those that are kept until after `now` do not count.
    pub(crate) async fn conversations_over_cap(
        &self,
        account_id: &str,
        keep: i64,
        now: i64,
        limit: i64,
    ) -> Result<Vec<String>, StoreError> {
        let ids = sqlx::query_scalar(
            "SELECT id FROM conversations WHERE account_id = $1 AND COALESCE(keep_until, 0) <= $2 \
             ORDER BY last_used_at DESC LIMIT $3 OFFSET $4",
        );
        Ok(ids.bind(account_id).bind(now).bind(limit).bind(keep).fetch_all(self.reader()).await?)
    }

    /// Gives a conversation another title; `false` when there is none.
    pub(crate) async fn rename_conversation(&self, id: &str, title: Option<&str>) -> Result<bool, StoreError> {
        let update = sqlx::query("UPDATE conversations SET title = $2 WHERE id = $1").bind(id).bind(title);
        Ok(self.execute(update).await? > 0)
    }

    /// Keeps a conversation until a time; `false` when there is none.
    pub(crate) async fn keep_conversation_until(&self, id: &str, until: Option<i64>) -> Result<bool, StoreError> {
        let update = sqlx::query("UPDATE conversations SET keep_until = $2 WHERE id = $1").bind(id).bind(until);
        Ok(self.execute(update).await? > 0)
    }

    /// Notes that these turns of a conversation stand elsewhere now. It is at that account unless it was continued meanwhile.
    pub(crate) async fn move_conversation(
        &self,
        movement: &MoveRow,
        moved: &[(String, Place)],
    ) -> Result<(), StoreError> {
        let mut transaction = self.begin().await?;
        for (turn_id, place) in moved {
            move_turn(&mut transaction, turn_id, place).await?;
        }
        insert_move(&mut transaction, movement).await?;
        sqlx::query("UPDATE conversations SET account_id = $2 WHERE id = $1 AND head_turn_id = $3")
            .bind(&movement.conversation_id)
            .bind(&movement.to_account_id)
            .bind(&movement.turn_id)
            .execute(&mut *transaction)
            .await?;
        transaction.commit().await?;
        Ok(())
    }

    /// Deletes conversations and their turns, in one transaction.
    pub(crate) async fn delete_conversations(&self, ids: &[String]) -> Result<(), StoreError> {
        let mut transaction = self.begin().await?;
        for table_and_column in
            ["turns WHERE conversation_id", "conversation_moves WHERE conversation_id", "conversations WHERE id"]
        {
            let mut query = QueryBuilder::<Sqlite>::new(format!("DELETE FROM {table_and_column} IN ("));
            let mut list = query.separated(", ");
            for id in ids {
                list.push_bind(id);
            }
            query.push(")").build().execute(&mut *transaction).await?;
        }
        transaction.commit().await?;
        Ok(())
    }
}

/// Adds turns, in one statement.
pub(super) async fn insert_turns(
    connection: &mut SqliteConnection,
    turns: &[(&TurnRow, &TurnNote)],
) -> Result<(), sqlx::Error> {
    let mut query = QueryBuilder::<Sqlite>::new(
        "INSERT INTO turns (id, conversation_id, parent_id, depth, chain, user_hash, user_lines, answer_hash, answer_length, \
         system_hash, base, account_id, upstream_conversation_id, upstream_response_id, share_link, created_at, request_id, model, \
         receipt, recognised) ",
    );
    query.push_values(turns, |mut values, (turn, note)| {
        values
            .push_bind(&turn.id)
            .push_bind(&turn.conversation_id)
            .push_bind(&turn.parent_id)
            .push_bind(turn.depth)
            .push_bind(turn.chain.to_string())
            .push_bind(turn.user.to_string())
            .push_bind(turn.lines.to_text())
            .push_bind(turn.answer.to_string())
            .push_bind(turn.answer_length)
            .push_bind(turn.system.map(|hash| hash.to_string()))
            .push_bind(turn.base.map(|hash| hash.to_string()))
            .push_bind(&turn.place.account_id)
            .push_bind(&turn.place.upstream_conversation_id)
            .push_bind(&turn.place.upstream_response_id)
            .push_bind(&turn.share_link)
            .push_bind(turn.created_at)
            .push_bind(&note.request_id)
            .push_bind(&note.model)
            .push_bind(note.receipt)
            .push_bind(note.recognised);
    });
    query.build().execute(connection).await?;
    Ok(())
}

/// Adds conversations or moves their heads, in one statement. No id may stand twice in `conversations`.
pub(super) async fn upsert_conversations(
    connection: &mut SqliteConnection,
    conversations: &[&ConversationRow],
) -> Result<(), sqlx::Error> {
    let mut query = QueryBuilder::<Sqlite>::new(
        "INSERT INTO conversations (id, key_id, account_id, head_turn_id, title, model, keep_until, client_chat, created_at, \
         last_used_at) ",
    );
    query.push_values(conversations, |mut values, row| {
        values
            .push_bind(&row.id)
            .push_bind(&row.key_id)
            .push_bind(&row.account_id)
            .push_bind(&row.head_turn_id)
            .push_bind(&row.title)
            .push_bind(&row.model)
            .push_bind(row.keep_until)
            .push_bind(&row.client_chat)
            .push_bind(row.created_at)
            .push_bind(row.last_used_at);
    });
    query.push(
        " ON CONFLICT (id) DO UPDATE SET account_id = excluded.account_id, head_turn_id = excluded.head_turn_id, \
         title = COALESCE(excluded.title, conversations.title), model = COALESCE(excluded.model, conversations.model), \
         last_used_at = excluded.last_used_at",
    );
    query.build().execute(connection).await?;
    Ok(())
}

/// Notes that a conversation changed its account.
pub(super) async fn insert_move(connection: &mut SqliteConnection, row: &MoveRow) -> Result<(), sqlx::Error> {
    sqlx::query(
        "INSERT INTO conversation_moves (id, conversation_id, at, turn_id, from_account_id, to_account_id, \
         from_upstream_conversation_id, kind, request_id) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
    )
    .bind(&row.id)
    .bind(&row.conversation_id)
    .bind(row.at)
    .bind(&row.turn_id)
    .bind(&row.from_account_id)
    .bind(&row.to_account_id)
    .bind(&row.from_upstream_conversation_id)
    .bind(&row.kind)
    .bind(&row.request_id)
    .execute(&mut *connection)
    .await?;
    let count = sqlx::query("UPDATE conversations SET moves = moves + 1 WHERE id = $1").bind(&row.conversation_id);
    count.execute(connection).await?;
    Ok(())
}

/// Notes that a turn now also stands elsewhere at the upstream.
pub(super) async fn move_turn(
    connection: &mut SqliteConnection,
    turn_id: &str,
    place: &Place,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "UPDATE turns SET account_id = $2, upstream_conversation_id = $3, upstream_response_id = $4, share_link = NULL \
         WHERE id = $1",
    )
    .bind(turn_id)
    .bind(&place.account_id)
    .bind(&place.upstream_conversation_id)
    .bind(&place.upstream_response_id)
    .execute(connection)
    .await?;
    Ok(())
}
