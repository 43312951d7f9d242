//! Conversations that have not been used for long, and those beyond the cap of their account, go. In small steps beside the
//! requests, never in front of one.

use super::{Conversations, oldest_use};
use crate::store::StoreError;

/// Conversations deleted in one transaction.
const STEP: i64 = 200;

/// Steps of one round; what is left goes in the next.
const STEPS: usize = 50;

/// How long and how many are kept.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// Seconds an unused conversation is kept.
    pub(crate) ttl: u64,
    /// Conversations kept per account.
    pub(crate) per_account: u64,
}

impl Conversations {
    /// One round of trimming; `accounts` are those that may have more than the cap. Answers how many went.
    pub(crate) async fn trim(&self, limits: Limits, accounts: &[String]) -> Result<usize, StoreError> {
        let now = self.clock.now_ms();
        let before = oldest_use(now, limits.ttl);
        let keep = i64::try_from(limits.per_account).unwrap_or(i64::MAX);
        let mut deleted = 0;
        for _ in 0..STEPS {
            let ids = self.store.conversations_unused_since(before, now, STEP).await?;
            if ids.is_empty() {
                break;
            }
            deleted += self.delete(&ids).await?;
        }
        for account in accounts {
            for _ in 0..STEPS {
                let ids = self.store.conversations_over_cap(account, keep, now, STEP).await?;
                if ids.is_empty() {
                    break;
                }
                deleted += self.delete(&ids).await?;
            }
        }
        Ok(deleted)
    }

    pub(super) async fn delete(&self, ids: &[String]) -> Result<usize, StoreError> {
        self.store.delete_conversations(ids).await?;
        for id in ids {
            self.cache.forget(id);
        }
        Ok(ids.len())
    }
}
