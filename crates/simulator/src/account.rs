//! Accounts: what the simulator knows of one, and the handle that scripts it.

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
};

use serde_json::{Value, json};

use crate::{ids, script::Reply, state::Shared};

/// Length of a quota window, in seconds.
const WINDOW_SECONDS: i64 = 7200;

/// What the upstream thinks of an account's cookie.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CredentialState {
    /// It works.
    #[default]
    Valid,
    /// The session is unknown: 401.
    Unknown,
    /// The account is banned: 403.
    Blocked,
}

/// A row of the subscription list (UPSTREAM.md 12).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subscription {
    /// Tier with or without `SUBSCRIPTION_TIER_`.
    pub tier: String,
    /// Whether it still counts.
    pub status: SubscriptionStatus,
}

/// Whether a subscription still counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SubscriptionStatus {
    /// Running.
    Active,
    /// Over; such rows stay in the list.
    Inactive,
}

impl Subscription {
    /// A running subscription.
    pub fn active(tier: &str) -> Self {
        Self { tier: tier.to_owned(), status: SubscriptionStatus::Active }
    }

    /// One that is over.
    pub fn inactive(tier: &str) -> Self {
        Self { tier: tier.to_owned(), status: SubscriptionStatus::Inactive }
    }
}

/// Handle of one account.
#[derive(Clone)]
pub struct Account {
    pub(crate) shared: Arc<Shared>,
    pub(crate) sso: String,
}

impl std::fmt::Debug for Account {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Account").field("sso", &self.sso).finish_non_exhaustive()
    }
}

impl Account {
    /// The cookie value.
    pub fn sso(&self) -> &str {
        &self.sso
    }

    /// The user id, the same for the same cookie in every run.
    pub fn user_id(&self) -> String {
        ids::derived(&self.sso)
    }

    /// Queues a reply: the account's next chat call takes it.
    pub fn push(&self, reply: Reply) {
        self.change(|account| account.queue.push_back(reply));
    }

    /// The reply of every chat call that finds the queue empty, until `None` is set.
    pub fn always(&self, reply: Option<Reply>) {
        self.change(|account| account.sticky = reply);
    }

    /// Queues what the account's next WebSocket upgrade meets: an answer that is not a stream refuses it, a script delays it
    /// by what happens before its headers, anything else lets it in.
    ///
    /// Without this, a refusal at the front of the queue of chat calls meets the upgrade too, so that one script serves
    /// both transports.
    pub fn push_upgrade(&self, reply: Reply) {
        self.change(|account| account.upgrades.push_back(reply));
    }

    /// What every upgrade meets that finds that queue empty, until `None` is set.
    pub fn always_upgrade(&self, reply: Option<Reply>) {
        self.change(|account| account.sticky_upgrade = reply);
    }

    /// Lets upgrades in again.
    pub fn clear_upgrades(&self) {
        self.change(|account| {
            account.upgrades.clear();
            account.sticky_upgrade = None;
        });
    }

    /// Upgrades that are still scripted.
    pub fn queued_upgrades(&self) -> usize {
        self.change(|account| account.upgrades.len())
    }

    /// Empties the queue and ends the sticky reply.
    pub fn clear(&self) {
        self.change(|account| {
            account.queue.clear();
            account.sticky = None;
        });
    }

    /// Replies still queued.
    pub fn queued(&self) -> usize {
        self.change(|account| account.queue.len())
    }

    /// Sets the counter of a mode. `wait_seconds` is what an exhausted mode reports; `None` leaves the member out.
    pub fn set_quota(&self, mode: &str, remaining: i64, total: i64, wait_seconds: Option<i64>) {
        self.change(|account| account.quotas.insert(mode.to_owned(), Quota { remaining, total, wait_seconds }));
    }

    /// What is left of a mode.
    pub fn remaining(&self, mode: &str) -> i64 {
        self.change(|account| account.quota(mode).remaining)
    }

    /// Changes what the upstream thinks of the cookie.
    pub fn set_credential(&self, credential: CredentialState) {
        self.change(|account| account.credential = credential);
    }

    /// Replaces the subscription list.
    pub fn set_subscriptions(&self, subscriptions: Vec<Subscription>) {
        self.change(|account| account.subscriptions = subscriptions);
    }

    /// Makes it another login of the user of another account.
    pub fn belong_to(&self, other: &Account) {
        let user_id = other.user_id().into();
        self.change(|account| account.user_id = user_id);
    }

    /// Whether sharing fails with 500.
    pub fn fail_share(&self, fail: bool) {
        self.change(|account| account.fail_share = fail);
    }

    /// Whether cloning to this account fails with 500.
    pub fn fail_clone(&self, fail: bool) {
        self.change(|account| account.fail_clone = fail);
    }

    /// Whether reconnecting to a cut answer fails with 500.
    pub fn fail_reconnect(&self, fail: bool) {
        self.change(|account| account.fail_reconnect = fail);
    }

    /// Whether the rate-limits route itself answers 429.
    pub fn rate_limits_throttled(&self, throttled: bool) {
        self.change(|account| account.rate_limits_throttled = throttled);
    }

    /// Whether the rate-limits route answers with the challenge page, as it does to a way out that is not trusted.
    pub fn rate_limits_challenged(&self, challenged: bool) {
        self.change(|account| account.rate_limits_challenged = challenged);
    }

    /// Whether the rate-limits route answers 403 with words that say nothing.
    pub fn rate_limits_forbidden(&self, forbidden: bool) {
        self.change(|account| account.rate_limits_forbidden = forbidden);
    }

    /// How many words of an answer come on a socket before the news that the mode is used up.
    pub fn words_before_limit(&self, words: usize) {
        self.change(|account| account.words_before_limit = words);
    }

    /// Ids of the conversations this account owns.
    pub fn conversations(&self) -> Vec<String> {
        let state = self.shared.state();
        let owned = state.conversations.values().filter(|conversation| conversation.owner == self.sso);
        owned.map(|conversation| conversation.id.clone()).collect()
    }

    fn change<T>(&self, change: impl FnOnce(&mut AccountState) -> T) -> T {
        let mut state = self.shared.state();
        let account = state.accounts.get_mut(&self.sso).expect("a handle's account is never removed");
        change(account)
    }
}

/// All that is kept of an account.
#[derive(Debug)]
pub(crate) struct AccountState {
    pub user_id: Arc<str>,
    pub queue: VecDeque<Reply>,
    pub sticky: Option<Reply>,
    pub upgrades: VecDeque<Reply>,
    pub sticky_upgrade: Option<Reply>,
    pub quotas: HashMap<String, Quota>,
    pub default_quota: i64,
    pub credential: CredentialState,
    pub subscriptions: Vec<Subscription>,
    pub fail_share: bool,
    pub fail_clone: bool,
    pub fail_reconnect: bool,
    pub rate_limits_throttled: bool,
    pub rate_limits_challenged: bool,
    pub rate_limits_forbidden: bool,
    pub words_before_limit: usize,
}

/// The counter of one mode.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Quota {
    pub remaining: i64,
    pub total: i64,
    pub wait_seconds: Option<i64>,
}

impl AccountState {
    pub(crate) fn new(sso: &str, default_quota: i64) -> Self {
        Self {
            user_id: ids::derived(sso).into(),
            queue: VecDeque::new(),
            sticky: None,
            upgrades: VecDeque::new(),
            sticky_upgrade: None,
            quotas: HashMap::new(),
            default_quota,
            credential: CredentialState::Valid,
            subscriptions: Vec::new(),
            fail_share: false,
            fail_clone: false,
            fail_reconnect: false,
            rate_limits_throttled: false,
            rate_limits_challenged: false,
            rate_limits_forbidden: false,
            words_before_limit: 0,
        }
    }

    /// The counter of a mode, begun when it is first asked for.
    pub(crate) fn quota(&mut self, mode: &str) -> &mut Quota {
        if !self.quotas.contains_key(mode) {
            let fresh =
                Quota { remaining: self.default_quota, total: self.default_quota, wait_seconds: Some(WINDOW_SECONDS) };
            self.quotas.insert(mode.to_owned(), fresh);
        }
        self.quotas.get_mut(mode).expect("it was inserted above")
    }

    /// The reply that the next chat call will take, if one is set.
    pub(crate) fn expected_reply(&self) -> Option<&Reply> {
        self.queue.front().or(self.sticky.as_ref())
    }

    /// The reply for the next chat call.
    pub(crate) fn next_reply(&mut self) -> Reply {
        self.queue.pop_front().or_else(|| self.sticky.clone()).unwrap_or(Reply::Default)
    }

    /// What a WebSocket upgrade meets, if it is not just let in.
    pub(crate) fn upgrade_reply(&mut self) -> Option<Reply> {
        if let Some(reply) = self.upgrades.pop_front().or_else(|| self.sticky_upgrade.clone()) {
            return Some(reply);
        }
        let refuses = |reply: &Reply| matches!(reply, Reply::Http { .. } | Reply::RateLimited { quota_left: true });
        match self.queue.front() {
            Some(reply) if refuses(reply) => self.queue.pop_front(),
            Some(_) => None,
            None => self.sticky.clone().filter(refuses),
        }
    }

    pub(crate) fn subscriptions_json(&self) -> Value {
        let row = |subscription: &Subscription| {
            let tier = subscription.tier.trim_start_matches("SUBSCRIPTION_TIER_");
            let status = match subscription.status {
                SubscriptionStatus::Active => "SUBSCRIPTION_STATUS_ACTIVE",
                SubscriptionStatus::Inactive => "SUBSCRIPTION_STATUS_INACTIVE",
            };
            json!({
                "stripe": {"subscriptionType": "MONTHLY"},
                "tier": format!("SUBSCRIPTION_TIER_{tier}"),
                "status": status,
                "xaiUserId": &*self.user_id,
                "createTime": "2026-01-05T12:00:00Z",
                "modTime": "2026-02-05T12:00:00Z",
                "billingPeriodEnd": "2027-01-05T12:00:00Z",
                "cancelAtPeriodEnd": false,
            })
        };
        json!({"subscriptions": self.subscriptions.iter().map(row).collect::<Vec<_>>()})
    }
}

impl Quota {
    pub(crate) fn json(self) -> Value {
        let mut body = json!({
            "windowSizeSeconds": WINDOW_SECONDS,
            "remainingQueries": self.remaining,
            "totalQueries": self.total,
            "lowEffortRateLimits": null,
            "highEffortRateLimits": null,
        });
        if self.remaining <= 0
            && let Some(wait) = self.wait_seconds
        {
            body["waitTimeSeconds"] = wait.into();
        }
        body
    }
}

/// The mode a request asks for, in today's ids, from any generation of the body (UPSTREAM.md 3 and 14).
pub(crate) fn mode_of(body: &Value) -> Option<String> {
    if let Some(mode) = body["modeId"].as_str() {
        return Some(mode.to_owned());
    }
    let name = body["modelName"].as_str()?;
    let mode = body["modelMode"].as_str().unwrap_or_default();
    Some(mode_of_model(name, mode).to_owned())
}

fn mode_of_model<'a>(name: &'a str, mode: &str) -> &'a str {
    let (lower, mode) = (name.to_lowercase(), mode.trim_start_matches("MODEL_MODE_"));
    if mode.contains("HEAVY") || lower.contains("heavy") {
        "heavy"
    } else if mode.contains("FAST") || mode.contains("MINI") || mode == "GROK_3" {
        "fast"
    } else if mode.contains("EXPERT") || mode.contains("THINKING") {
        "expert"
    } else if mode.contains("AUTO") || mode == "GROK_4" || mode == "GROK_420" {
        "auto"
    } else if lower.contains("mini") || lower == "grok-3" {
        "fast"
    } else if lower.starts_with("grok-4") && lower != "grok-420-computer-use-sa" {
        "auto"
    } else {
        name
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_generation_of_the_body_names_a_mode() {
        let cases = [
            (json!({"modeId": "expert"}), Some("expert")),
            (json!({"modelName": "grok-3", "modelMode": "MODEL_MODE_FAST"}), Some("fast")),
            (json!({"modelName": "grok-4", "modelMode": "MODEL_MODE_EXPERT"}), Some("expert")),
            (
                json!({"modelName": "grok-4-mini-thinking-tahoe", "modelMode": "MODEL_MODE_GROK_4_MINI_THINKING"}),
                Some("fast"),
            ),
            (json!({"modelName": "grok-420", "modelMode": "MODEL_MODE_GROK_420"}), Some("auto")),
            (json!({"modelName": "grok-4-heavy"}), Some("heavy")),
            (json!({"modelName": "fast"}), Some("fast")),
            (json!({"modelName": "imagine-image-edit"}), Some("imagine-image-edit")),
            (json!({"message": "hi"}), None),
        ];
        for (body, mode) in cases {
            assert_eq!(mode_of(&body).as_deref(), mode, "{body}");
        }
    }

    #[test]
    fn waiting_time_shows_only_when_a_mode_is_used_up() {
        let quota = Quota { remaining: 1, total: 2, wait_seconds: Some(60) };
        assert!(quota.json().get("waitTimeSeconds").is_none());
        assert_eq!(Quota { remaining: 0, ..quota }.json()["waitTimeSeconds"], 60);
        assert!(Quota { remaining: 0, wait_seconds: None, ..quota }.json().get("waitTimeSeconds").is_none());
    }
}
