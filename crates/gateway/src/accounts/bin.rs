//! Deleted accounts that can still be had back.

use serde::Serialize;
use utoipa::ToSchema;

use super::AccountPool;
use crate::clock::timestamp;
use crate::store::StoreError;

/// How long a deleted account can be had back: a week.
pub(crate) const BIN_MS: i64 = 7 * 24 * 3_600_000;

/// One deleted account.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct BinnedAccount {
    pub(crate) id: String,
    pub(crate) label: String,
    pub(crate) fingerprint: String,
    pub(crate) deleted_at: String,
    /// When it goes for good.
    pub(crate) purged_at: String,
}

/// A window of the bin, the latest deletion first.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct BinPage {
    pub(crate) items: Vec<BinnedAccount>,
    pub(crate) total: i64,
}

impl AccountPool {
    /// What is in the bin.
    pub(crate) async fn bin(&self, limit: usize, offset: usize) -> Result<BinPage, StoreError> {
        let number = |number: usize| i64::try_from(number).unwrap_or(i64::MAX);
        let (rows, total) = self.shared.store.binned_accounts(number(limit), number(offset)).await?;
        let items = rows.into_iter().map(|row| BinnedAccount {
            id: row.id,
            label: row.label,
            fingerprint: row.fingerprint,
            deleted_at: timestamp(row.deleted_at),
            purged_at: timestamp(row.deleted_at + BIN_MS),
        });
        Ok(BinPage { items: items.collect(), total })
    }

    /// Deletes for good what has been in the bin for its time; how many.
    pub(crate) async fn empty_bin(&self) -> Result<u64, StoreError> {
        self.shared.store.purge_accounts_deleted_before(self.shared.clock.now_ms() - BIN_MS).await
    }
}
