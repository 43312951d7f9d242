//! `GET /search`: one box for everything that has a name or an id.

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use super::AdminState;
use super::caller::Caller;
use super::error::AdminError;
use super::query::Parameters;
use crate::accounts::AccountQuery;
use crate::clock::timestamp;
use crate::keys::KeyQuery;
use crate::settings::{SettingView, search_settings};

/// Shorter words would find everything.
const SHORTEST: usize = 2;

/// Hits per kind, unless the caller says otherwise, and at most.
const HITS: usize = 8;
const MOST_HITS: usize = 50;

const KINDS: [&str; 5] = ["account", "key", "request", "conversation", "setting"];

/// What was found, by kind.
#[derive(Serialize, ToSchema)]
pub(super) struct SearchBody {
    /// Kinds with hits only.
    groups: Vec<SearchGroup>,
}

/// Hits of one kind.
#[derive(Serialize, ToSchema)]
pub(super) struct SearchGroup {
    /// `account`, `key`, `request`, `conversation`, `setting`.
    kind: &'static str,
    items: Vec<SearchHit>,
    /// How many there are, where that is known.
    total: Option<usize>,
}

/// One thing that was found.
#[derive(Serialize, ToSchema)]
pub(super) struct SearchHit {
    id: String,
    title: String,
    /// What helps to tell it from others of the same title.
    detail: String,
}

/// `GET /search?q=&kinds=&limit=`
#[utoipa::path(
    get,
    path = "/search",
    operation_id = "search_search",
    tag = "system",
    params(
        ("q" = String, Query, description = "What is looked for, at least two characters.", min_length = 2, max_length = 200),
        ("kinds" = Option<String>, Query, description = "Any of these, separated by commas: `account`, `key`, `request`, `conversation`, `setting`."),
        ("limit" = Option<u32>, Query, description = "Hits per kind; 8 unless given.", minimum = 1, maximum = 50),
    ),
    responses((status = 200, description = "What was found, by kind.", body = SearchBody)),
)]
pub(super) async fn search(
    State(state): State<AdminState>,
    _: Caller,
    mut parameters: Parameters,
) -> Result<Json<SearchBody>, AdminError> {
    let words = parameters.search().unwrap_or_default();
    if words.chars().count() < SHORTEST {
        parameters.refuse("q", "length", format!("must have at least {SHORTEST} characters"));
    }
    let kinds = parameters.choices("kinds", |word| KINDS.into_iter().find(|kind| *kind == word), &KINDS);
    let limit = parameters.number("limit", 1..=MOST_HITS).unwrap_or(HITS);
    parameters.finish()?;
    let mut groups = Vec::new();
    for kind in KINDS.into_iter().filter(|kind| kinds.is_empty() || kinds.contains(kind)) {
        let group = match kind {
            "account" => accounts(&state, &words, limit)?,
            "key" => keys(&state, &words, limit),
            "request" => requests(&state, &words, limit).await?,
            "conversation" => conversations(&state, &words, limit).await?,
            _ => settings(&words, limit),
        };
        groups.push(group);
    }
    groups.retain(|group| !group.items.is_empty());
    Ok(Json(SearchBody { groups }))
}

fn accounts(state: &AdminState, words: &str, limit: usize) -> Result<SearchGroup, AdminError> {
    let query = AccountQuery { q: Some(words.to_owned()), limit, ..AccountQuery::default() };
    let (found, total) = state.accounts.first(&query)?;
    let items = found.into_iter().map(|account| SearchHit {
        id: account.id,
        title: account.label,
        detail: format!("{} · {}", account.fingerprint, account.state.name),
    });
    Ok(SearchGroup { kind: "account", items: items.collect(), total: Some(total) })
}

fn keys(state: &AdminState, words: &str, limit: usize) -> SearchGroup {
    let page = state.keys.list(&KeyQuery { q: Some(words.to_owned()), limit, ..KeyQuery::default() });
    let items = page.items.into_iter().map(|key| SearchHit {
        id: key.id,
        title: key.name,
        detail: format!("{} · {}", key.preview, key.state.as_str()),
    });
    SearchGroup { kind: "key", items: items.collect(), total: Some(page.total) }
}

/// By a whole id: what an error message holds.
async fn requests(state: &AdminState, words: &str, limit: usize) -> Result<SearchGroup, AdminError> {
    let found = state.store.find_requests(words, as_limit(limit)).await?;
    let items = found.into_iter().map(|request| SearchHit {
        id: request.id,
        title: request.request_id,
        detail: format!(
            "{} · {} · {}",
            timestamp(request.at),
            request.status,
            request.model.unwrap_or_else(|| "–".to_owned())
        ),
    });
    Ok(SearchGroup { kind: "request", items: items.collect(), total: None })
}

async fn conversations(state: &AdminState, words: &str, limit: usize) -> Result<SearchGroup, AdminError> {
    let found = match words.starts_with("conv-") {
        true => state.store.find_conversations(words, as_limit(limit)).await?,
        false => Vec::new(),
    };
    let items = found.into_iter().map(|conversation| SearchHit {
        title: conversation.title.unwrap_or_else(|| conversation.id.clone()),
        detail: timestamp(conversation.last_used_at),
        id: conversation.id,
    });
    Ok(SearchGroup { kind: "conversation", items: items.collect(), total: None })
}

/// By name, by what the help says in either language, and by the values that can be chosen.
fn settings(words: &str, limit: usize) -> SearchGroup {
    let found = search_settings(words);
    let total = Some(found.len());
    let items = found.into_iter().take(limit).map(|SettingView { name, en, zh }| SearchHit {
        id: name.to_owned(),
        title: name.to_owned(),
        detail: format!("{en} · {zh}"),
    });
    SearchGroup { kind: "setting", items: items.collect(), total }
}

fn as_limit(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}
