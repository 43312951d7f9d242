//! `/conversations`: what is kept of the chats. Their texts are not: they stand at the upstream.

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use super::AdminState;
use super::caller::Caller;
use super::error::AdminError;
use super::identifiers::ResourceId;
use super::query::Parameters;
use super::request_query::{cursor, cursor_text};
use super::time_query::{seconds, time};
use crate::accounts::AccountLabel;
use crate::clock::timestamp;
use crate::conversations::{ListQuery, MOST_COUNTED};
use crate::keys::CONSOLE_KEY;
use crate::store::conversation_list::{ConversationFilter, ListDirection, ListedConversation};

/// Most values of one filter.
const MOST_VALUES: usize = 100;

/// Longest id that is looked for.
const LONGEST_ID: usize = 100;

/// An API key, by name.
#[derive(Serialize, ToSchema)]
pub(super) struct NamedKey {
    /// `console` is the console's own playground; empty: it was taken over and nobody has claimed it.
    id: String,
    /// `null` when it was deleted.
    name: Option<String>,
}

impl NamedKey {
    pub(super) fn of(state: &AdminState, id: &str) -> Self {
        let name = match id {
            CONSOLE_KEY => Some(CONSOLE_KEY.to_owned()),
            id => state.keys.get(id).map(|key| key.name),
        };
        Self { id: id.to_owned(), name }
    }
}

/// An account, by name.
#[derive(Serialize, ToSchema)]
pub(super) struct NamedAccount {
    id: String,
    /// `null` when it was deleted.
    label: Option<String>,
    fingerprint: Option<String>,
}

impl NamedAccount {
    pub(super) fn of(id: &str, known: Option<&AccountLabel>) -> Self {
        Self {
            id: id.to_owned(),
            label: known.map(|known| known.label.clone()),
            fingerprint: known.map(|known| known.fingerprint.clone()),
        }
    }
}

/// How the newest turn went.
#[derive(Serialize, ToSchema)]
pub(super) struct LastTurn {
    id: String,
    /// `new`, `native`, `branched`, `moved`, `replayed`; `null` where it was not recorded.
    receipt: Option<String>,
    /// `response_id`, `conversation_id`, `chain`, `answer`, `window`, `imported`, `none`.
    recognised: Option<String>,
}

/// A conversation as lists show it.
#[derive(Serialize, ToSchema)]
pub(super) struct ConversationView {
    pub(super) id: String,
    /// As the upstream or an admin called it.
    title: Option<String>,
    key: NamedKey,
    /// That holds its newest turn.
    account: NamedAccount,
    /// Whether that account is gone from the pool.
    orphaned: bool,
    /// How often it changed its account.
    moves: i64,
    turns: i64,
    /// The model that was asked for last, as the client named it.
    model: Option<String>,
    created_at: String,
    last_used_at: String,
    /// When it goes if nobody uses it.
    expires_at: String,
    /// Until when an admin keeps it.
    keep_until: Option<String>,
    last_turn: LastTurn,
}

/// A page of conversations.
#[derive(Serialize, ToSchema)]
pub(super) struct ConversationPage {
    items: Vec<ConversationView>,
    /// `before=` of the next page; with `sort=last_used_at`, its `after=`. `null` at the end.
    next: Option<String>,
    /// `after=` of the page before; with `sort=last_used_at`, its `before=`.
    prev: Option<String>,
    /// How many match; `null` where only looking at all of them would tell, or where there are more than 10,000.
    total: Option<i64>,
    /// How far was looked, where that was not to the end; `next` goes on from there.
    searched_to: Option<String>,
}

/// `GET /conversations?key=&account=&model=&moved=&orphaned=&expires_within=&q=&before=&after=&limit=`
#[utoipa::path(
    get,
    path = "/conversations",
    operation_id = "conversations_list",
    tag = "conversations",
    params(
        ("key" = Option<String>, Query, description = "Ids of API keys, any of them; `console` is the playground."),
        ("account" = Option<String>, Query, description = "Ids of accounts that hold the newest turn, any of them."),
        ("model" = Option<String>, Query, description = "Models asked for last, any of them."),
        ("moved" = Option<bool>, Query, description = "Whether it has changed its account."),
        ("orphaned" = Option<bool>, Query, description = "Whether its account is gone from the pool."),
        ("expires_within" = Option<String>, Query, description = "It goes within so long unless it is used: a length such as `6h`."),
        ("last_used_at[gte]" = Option<String>, Query, description = "RFC 3339; also `[gt]`, `[lt]`, `[lte]`."),
        ("q" = Option<String>, Query, description = "An id or its beginning, or the id of an answer."),
        ("sort" = Option<String>, Query, description = "`-last_used_at` unless given, or `last_used_at`."),
        ("before" = Option<String>, Query, description = "Only what was used before this place."),
        ("after" = Option<String>, Query, description = "Only what was used after this place."),
        ("limit" = Option<u32>, Query, description = "Items of the answer; 50 unless given.", minimum = 1, maximum = 500),
    ),
    responses((status = 200, description = "A page of the conversations that match.", body = ConversationPage)),
)]
pub(super) async fn list(
    State(state): State<AdminState>,
    _: Caller,
    mut parameters: Parameters,
) -> Result<Json<ConversationPage>, AdminError> {
    let is_ascending = parameters.choice("sort", &[("-last_used_at", false), ("last_used_at", true)]).unwrap_or(false);
    let (before, after) = (cursor(&mut parameters, "before"), cursor(&mut parameters, "after"));
    if before.is_some() && after.is_some() {
        parameters.refuse("after", "cross_field", "cannot stand beside before");
    }
    let filter = filter(&mut parameters, &state);
    let id = parameters.take("q");
    if id.as_ref().is_some_and(|id| id.len() > LONGEST_ID) {
        parameters.refuse("q", "length", format!("must have at most {LONGEST_ID} characters"));
    }
    let limit = parameters.limit();
    parameters.finish()?;
    let is_newer = after.is_some() || is_ascending && before.is_none();
    let direction = if is_newer { ListDirection::Newer } else { ListDirection::Older };
    let start = before.or(after);
    let query = ListQuery { filter, id, direction, start: start.clone(), limit };
    let mut page = state.conversations.list(query).await?;
    // Read from the page before: the other way round.
    let is_backwards = is_newer != is_ascending;
    if is_backwards {
        page.rows.reverse();
    }
    let place = |row: &ListedConversation| (row.last_used_at, row.id.clone());
    let (first, last) = (page.rows.first().map(place), page.rows.last().map(place));
    let (next, prev) = match is_backwards {
        false => (page.next, start.is_some().then(|| first.or(start)).flatten()),
        true => (last.or(start), page.next),
    };
    Ok(Json(ConversationPage {
        items: views(&state, &page.rows),
        next: next.as_ref().map(cursor_text),
        prev: prev.as_ref().map(cursor_text),
        total: page.count.filter(|count| *count <= MOST_COUNTED),
        searched_to: page.searched_to.map(timestamp),
    }))
}

/// Takes the filter out of the parameters.
pub(super) fn filter(parameters: &mut Parameters, state: &AdminState) -> ConversationFilter {
    const FLAGS: [(&str, bool); 2] = [("true", true), ("false", false)];
    let mut filter = ConversationFilter {
        keys: parameters.words("key"),
        accounts: parameters.words("account"),
        models: parameters.words("model"),
        moved: parameters.choice("moved", &FLAGS),
        orphaned: parameters.choice("orphaned", &FLAGS),
        ..ConversationFilter::default()
    };
    for (name, values) in [("key", &filter.keys), ("account", &filter.accounts), ("model", &filter.models)] {
        if values.len() > MOST_VALUES {
            parameters.refuse(name, "max", format!("must name at most {MOST_VALUES} values"));
        }
    }
    for (operator, value) in parameters.take_operators("last_used_at") {
        match (operator.as_str(), time(&value)) {
            (_, None) => parameters.refuse("last_used_at", "format", "must be a time such as 2026-09-01T00:00:00Z"),
            ("gte", at) => filter.from = at,
            ("gt", Some(at)) => filter.from = Some(at.saturating_add(1)),
            ("lt", at) => filter.until = at,
            ("lte", Some(at)) => filter.until = Some(at.saturating_add(1)),
            _ => parameters.refuse("last_used_at", "operator", "takes [gt], [gte], [lt] and [lte]"),
        }
    }
    if let Some(length) = parameters.take("expires_within") {
        match seconds(&length) {
            Some(length) => {
                let then = state.clock.now_ms().saturating_add(length.saturating_mul(1_000));
                let used = then.saturating_sub(ttl_ms(state)).saturating_add(1);
                filter.until = Some(filter.until.map_or(used, |until| until.min(used)));
                filter.kept_until = Some(then);
            }
            None => parameters.refuse("expires_within", "format", "must be a length such as 90m, 6h, 2d"),
        }
    }
    filter
}

/// How long an unused conversation is kept.
pub(super) fn ttl_ms(state: &AdminState) -> i64 {
    i64::try_from(state.settings.current().conversation_ttl).unwrap_or(i64::MAX / 1_000).saturating_mul(1_000)
}

/// Rows with the names of what they hold ids of.
fn views(state: &AdminState, rows: &[ListedConversation]) -> Vec<ConversationView> {
    let accounts = state.accounts.labels(rows.iter().map(|row| row.account_id.as_str()));
    let ttl = ttl_ms(state);
    let view = |row: &ListedConversation| {
        let account = accounts.get(row.account_id.as_str());
        let expires = row.last_used_at.saturating_add(ttl).max(row.keep_until.unwrap_or(i64::MIN));
        ConversationView {
            id: row.id.clone(),
            title: row.title.clone(),
            key: NamedKey::of(state, &row.key_id),
            account: NamedAccount::of(&row.account_id, account),
            orphaned: account.is_none(),
            moves: row.moves,
            turns: row.turns,
            model: row.model.clone(),
            created_at: timestamp(row.created_at),
            last_used_at: timestamp(row.last_used_at),
            expires_at: timestamp(expires),
            keep_until: row.keep_until.map(timestamp),
            last_turn: LastTurn {
                id: row.head_turn_id.clone(),
                receipt: row.receipt.clone(),
                recognised: row.recognised.clone(),
            },
        }
    };
    rows.iter().map(view).collect()
}

/// One conversation as lists show it, or the refusal.
pub(super) async fn view(state: &AdminState, id: &str) -> Result<ConversationView, AdminError> {
    let row = state.conversations.listed(id).await?.ok_or_else(no_conversation)?;
    views(state, std::slice::from_ref(&row)).pop().ok_or_else(no_conversation)
}

pub(super) fn no_conversation() -> AdminError {
    AdminError::not_found("there is no such conversation; it may have expired")
}

/// `GET /conversations/{id}`
#[utoipa::path(
    get,
    path = "/conversations/{id}",
    operation_id = "conversations_show",
    tag = "conversations",
    params(("id" = String, Path, description = "The conversation.")),
    responses((status = 200, description = "The conversation.", body = ConversationView)),
)]
pub(super) async fn show(
    State(state): State<AdminState>,
    _: Caller,
    id: ResourceId,
) -> Result<Json<ConversationView>, AdminError> {
    Ok(Json(view(&state, id.any()).await?))
}
