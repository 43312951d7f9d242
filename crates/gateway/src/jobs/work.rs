//! What a job does to its things, by kind.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use serde::{Deserialize, Serialize};

use super::{JobRooms, Resource, purge, scan};
use crate::accounts::{AccountToAdd, Added, BulkPatch, Changed, TIERS};
use crate::chat::{Deletion, ManageError};
use crate::store::StoreError;
use crate::store::images::ImageFilter;
use crate::store::jobs::JobItemRow;

/// Things of one transaction, where a job changes only what is here.
const BATCH: usize = 200;

/// Most accounts that are asked about at the same time.
const MOST_CHECKS: usize = 32;

/// Most conversations that are deleted at the upstream at the same time.
const MOST_CALLS: usize = 8;

/// What seals the payload of an import to its item.
pub(super) const PAYLOAD_CONTEXT: &str = "job-item";

/// The kinds of jobs, by their names.
pub(crate) const KINDS: [&str; 12] = [
    "accounts.import",
    "accounts.check_quota",
    "accounts.test",
    "accounts.cleanup_scan",
    "accounts.set",
    "accounts.tag",
    "accounts.clear_cooldown",
    "accounts.delete",
    "accounts.restore",
    "conversations.delete",
    "images.delete",
    "requests.purge",
];

/// A kind with its options.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", content = "options")]
pub(crate) enum Work {
    #[serde(rename = "accounts.import")]
    Import(ImportOptions),
    #[serde(rename = "accounts.check_quota")]
    CheckQuota(NoOptions),
    #[serde(rename = "accounts.test")]
    Test(TestOptions),
    #[serde(rename = "accounts.cleanup_scan")]
    CleanupScan(ScanOptions),
    #[serde(rename = "accounts.set")]
    Set(SetOptions),
    #[serde(rename = "accounts.tag")]
    Tag(TagOptions),
    #[serde(rename = "accounts.clear_cooldown")]
    ClearCooldown(NoOptions),
    #[serde(rename = "accounts.delete")]
    Delete(DeleteOptions),
    #[serde(rename = "accounts.restore")]
    Restore(NoOptions),
    #[serde(rename = "conversations.delete")]
    DeleteConversations(DeleteConversationsOptions),
    #[serde(rename = "images.delete")]
    DeleteImages(NoOptions),
    #[serde(rename = "requests.purge")]
    PurgeRequests(NoOptions),
}

/// How accounts are added.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct ImportOptions {
    /// Accounts without a label are called this and a number.
    pub(crate) label_prefix: Option<String>,
    /// Tags that all get besides their own.
    pub(crate) tags: Vec<String>,
    pub(crate) enabled: bool,
    /// Whether a job that checks what was added follows.
    pub(crate) check_quota: bool,
}

impl Default for ImportOptions {
    fn default() -> Self {
        Self { label_prefix: None, tags: Vec::new(), enabled: true, check_quota: true }
    }
}

/// What is set; at least one of them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct SetOptions {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) enabled: Option<bool>,
    /// An empty text: as the upstream says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) tier: Option<String>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct TagOptions {
    pub(crate) add: Vec<String>,
    pub(crate) remove: Vec<String>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct DeleteOptions {
    /// For good, without a week in the bin.
    pub(crate) purge: bool,
}

/// What accounts are asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct TestOptions {
    pub(crate) model: String,
}

impl Default for TestOptions {
    fn default() -> Self {
        Self { model: "grok-4.2".to_owned() }
    }
}

/// How dead accounts are looked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct ScanOptions {
    /// Ask the upstream about those that are not known to be dead.
    pub(crate) check: bool,
}

impl Default for ScanOptions {
    fn default() -> Self {
        Self { check: true }
    }
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct DeleteConversationsOptions {
    /// Also at the upstream, each copy with its own account.
    pub(crate) upstream: bool,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct NoOptions {}

/// What an import's item holds until it is added.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct ImportItem {
    pub(super) token: String,
    pub(super) label: Option<String>,
    pub(super) tags: Vec<String>,
    pub(super) tier: Option<String>,
    pub(super) enabled: bool,
}

/// What became of a thing.
pub(super) struct ItemResult {
    pub(super) outcome: &'static str,
    pub(super) code: Option<String>,
    pub(super) message: Option<String>,
    pub(super) upstream_status: Option<i64>,
}

impl ItemResult {
    pub(super) fn succeeded() -> Self {
        Self { outcome: "succeeded", code: None, message: None, upstream_status: None }
    }

    pub(super) fn of(outcome: &'static str, code: &str) -> Self {
        Self { outcome, code: Some(code.to_owned()), message: None, upstream_status: None }
    }

    fn changed(changed: Changed) -> Self {
        match changed {
            Changed::Yes => Self::succeeded(),
            Changed::No => Self::of("skipped", "unchanged"),
            Changed::Gone => Self::of("skipped", "not_found"),
        }
    }
}

impl Work {
    /// Whether it takes something away, so that it must be counted first.
    pub(super) fn destroys(&self) -> bool {
        matches!(self, Self::Delete(_) | Self::DeleteConversations(_) | Self::DeleteImages(_) | Self::PurgeRequests(_))
    }

    /// What kind of things it works on.
    pub(crate) fn resource(&self) -> Resource {
        match self {
            Self::DeleteConversations(_) => Resource::Conversations,
            Self::DeleteImages(_) => Resource::Images,
            Self::PurgeRequests(_) => Resource::Requests,
            _ => Resource::Accounts,
        }
    }

    /// How many things are handed to [`Work::batch`] at once.
    pub(super) fn batch_size(&self, rooms: &JobRooms) -> usize {
        match self {
            // About two seconds of work, so that a job stops soon when it is told to.
            Self::CheckQuota(_) | Self::Test(_) | Self::CleanupScan(ScanOptions { check: true }) => {
                let per_second = rooms.settings.current().quota_checks_per_second;
                usize::try_from(per_second.saturating_mul(2)).unwrap_or(MOST_CHECKS).clamp(1, MOST_CHECKS)
            }
            Self::DeleteConversations(DeleteConversationsOptions { upstream: true }) => MOST_CALLS,
            // Each holds any number of requests.
            Self::PurgeRequests(_) => 1,
            _ => BATCH,
        }
    }

    /// What is wrong with the options, and of which.
    pub(super) fn problem(&self) -> Option<String> {
        let tags = match self {
            Self::Import(options) => &[options.tags.as_slice()][..],
            Self::Tag(options) => &[options.add.as_slice(), options.remove.as_slice()][..],
            _ => &[],
        };
        let is_bad = |tag: &String| {
            tag.trim().is_empty() || tag.chars().count() > 64 || tag.contains(',') || tag.chars().any(char::is_control)
        };
        if tags.iter().any(|tags| tags.len() > 20 || tags.iter().any(is_bad)) {
            return Some("tags must be at most 20 texts of 1 to 64 characters without commas".to_owned());
        }
        match self {
            Self::Test(TestOptions { model }) if model.trim().is_empty() || model.len() > 100 => {
                Some("model must be the name of a model".to_owned())
            }
            Self::Set(SetOptions { tier: Some(tier), .. }) if !tier.is_empty() && !TIERS.contains(&tier.as_str()) => {
                Some(format!("tier must be one of {}, or empty for what the upstream says", TIERS.join(", ")))
            }
            Self::Set(SetOptions { enabled: None, tier: None }) => Some("must set enabled or tier".to_owned()),
            Self::Tag(options) if options.add.is_empty() && options.remove.is_empty() => {
                Some("must name tags to add or to remove".to_owned())
            }
            Self::Import(ImportOptions { label_prefix: Some(prefix), .. })
                if prefix.chars().count() > 100 || prefix.chars().any(char::is_control) =>
            {
                Some("label_prefix must have at most 100 characters and no line breaks".to_owned())
            }
            _ => None,
        }
    }

    /// Does it to some things, for a person; the rows tell what became of them. A row without an outcome is still to be done.
    ///
    /// Gives why the rest should wait for a person, if it should.
    pub(super) async fn batch(
        &self,
        rooms: &JobRooms,
        items: &mut [JobItemRow],
        person: &str,
    ) -> Result<Option<String>, StoreError> {
        let began = Instant::now();
        let ids: Vec<&str> = items.iter().map(|item| item.subject.as_str()).collect();
        let accounts = &rooms.accounts;
        let results: Vec<ItemResult> = match self {
            Self::Import(_) => import(rooms, items, person).await?,
            Self::CheckQuota(_) => return Ok(scan::check_quota(rooms, items).await),
            Self::Test(options) => return Ok(scan::test(rooms, items, &options.model).await),
            Self::CleanupScan(options) => return Ok(scan::find_dead(rooms, items, options.check).await),
            Self::DeleteConversations(options) => delete_conversations(rooms, items, options.upstream).await?,
            Self::PurgeRequests(_) => purge::purge(rooms, items).await?,
            Self::DeleteImages(_) => delete_images(rooms, &ids).await?,
            Self::Set(options) => {
                let tier = options.tier.as_ref().map(|tier| Some(tier.clone()).filter(|tier| !tier.is_empty()));
                let patch = BulkPatch { enabled: options.enabled, tier, ..BulkPatch::default() };
                results(accounts.patch_many(&ids, &patch, person).await?)
            }
            Self::Tag(options) => {
                let patch = BulkPatch {
                    add_tags: options.add.clone(),
                    remove_tags: options.remove.clone(),
                    ..BulkPatch::default()
                };
                results(accounts.patch_many(&ids, &patch, person).await?)
            }
            Self::ClearCooldown(_) => results(accounts.clear_cooldown_of_many(&ids, person).await?),
            Self::Delete(options) => results(accounts.delete_many(&ids, options.purge, person).await?),
            Self::Restore(_) => results(accounts.restore_many(&ids, person).await?),
        };
        let now = rooms.clock.now_ms();
        for (item, result) in items.iter_mut().zip(results) {
            result.write(item, began.elapsed(), now);
        }
        Ok(None)
    }
}

impl ItemResult {
    pub(super) fn write(self, item: &mut JobItemRow, took: Duration, now: i64) {
        item.outcome = self.outcome.to_owned();
        item.code = self.code;
        item.message = self.message;
        item.upstream_status = self.upstream_status;
        item.duration_ms = i64::try_from(took.as_millis()).ok();
        item.finished_at = Some(now);
    }
}

fn results(changed: Vec<Changed>) -> Vec<ItemResult> {
    changed.into_iter().map(ItemResult::changed).collect()
}

/// Deletes conversations here and, if asked, their copies at the upstream; one with a copy that could not be deleted stays.
async fn delete_conversations(
    rooms: &JobRooms,
    items: &[JobItemRow],
    upstream: bool,
) -> Result<Vec<ItemResult>, StoreError> {
    let deletions = items.iter().map(|item| rooms.chat.delete_conversation(&item.subject, upstream));
    let result = |deleted: Result<Deletion, ManageError>| match deleted {
        Ok(deletion) if deletion.here => Ok(ItemResult::succeeded()),
        Ok(deletion) => Ok(ItemResult {
            message: deletion.upstream.into_iter().find_map(|copy| copy.message),
            ..ItemResult::of("failed", "upstream_error")
        }),
        Err(ManageError::Store(error)) => Err(error),
        Err(ManageError::NoConversation) => Ok(ItemResult::of("skipped", "not_found")),
        Err(error) => Ok(ItemResult { message: Some(error.to_string()), ..ItemResult::of("failed", "conflict") }),
    };
    let results = join_all(deletions).await.into_iter().map(result).collect();
    rooms.events.publish("conversation", "conversations", "", &serde_json::json!({ "deleted": true }));
    results
}

async fn delete_images(rooms: &JobRooms, ids: &[&str]) -> Result<Vec<ItemResult>, StoreError> {
    let filter = ImageFilter { ids: Some(ids.iter().map(|id| (*id).to_owned()).collect()), ..ImageFilter::default() };
    let mut deleted = HashSet::new();
    rooms
        .images
        .delete_matching(&filter, |rows| {
            deleted.extend(rows.iter().map(|row| row.id.clone()));
            true
        })
        .await?;
    let result = |id: &&str| match deleted.contains(*id) {
        true => ItemResult::succeeded(),
        false => ItemResult::of("skipped", "not_found"),
    };
    Ok(ids.iter().map(result).collect())
}

async fn import(rooms: &JobRooms, items: &[JobItemRow], person: &str) -> Result<Vec<ItemResult>, StoreError> {
    let opened: Vec<Option<AccountToAdd>> = items.iter().map(|item| account(rooms, item)).collect();
    let added = rooms.accounts.add_many(opened.iter().flatten().cloned().collect(), person).await?;
    let mut added = added.into_iter();
    let result = |opened: Option<AccountToAdd>| match opened.and_then(|_| added.next()) {
        Some(Added::New) => ItemResult::succeeded(),
        Some(Added::Restored(id)) => ItemResult { message: Some(id), ..ItemResult::of("succeeded", "restored") },
        Some(Added::Known(id)) => ItemResult { message: Some(id), ..ItemResult::of("skipped", "already_exists") },
        // The key that sealed it is another one now.
        None => ItemResult::of("failed", super::UNREADABLE),
    };
    Ok(opened.into_iter().map(result).collect())
}

fn account(rooms: &JobRooms, item: &JobItemRow) -> Option<AccountToAdd> {
    let opened = rooms.cipher.open(item.payload.as_deref()?, PAYLOAD_CONTEXT).ok()?;
    let ImportItem { token, label, tags, tier, enabled } = serde_json::from_str(&opened).ok()?;
    Some(AccountToAdd { id: item.subject.clone(), token, label, tags, tier, enabled })
}
