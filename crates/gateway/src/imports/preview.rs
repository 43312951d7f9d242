//! What an import would do, shown before it does it. The tokens stay in memory, under a name, for a while.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};

use serde::Serialize;
use utoipa::ToSchema;

use super::parse::{Found, Unreadable, parse};
use crate::accounts::AccountPool;
use crate::clock::{Clock, timestamp};
use crate::secrets::random_token;

/// How long a preview can be turned into a job.
const KEPT_MS: i64 = 30 * 60_000;

/// Most previews at once, and most accounts in them: 100,000 tokens are some 30 MB.
const MOST: usize = 16;
const MOST_ACCOUNTS: usize = 400_000;

/// First entries that are shown, and problems that are listed.
const SAMPLES: usize = 10;
const MOST_PROBLEMS: usize = 500;

/// What was read of one import.
pub(crate) struct Preview {
    /// Accounts that are not in the pool, each once.
    pub(crate) new: Vec<Placed>,
    /// Entries that are no account, are there twice, or in the pool.
    pub(crate) left_out: Vec<LeftOut>,
    entries: usize,
}

/// An account and the source that it stood in.
pub(crate) struct Placed {
    pub(crate) found: Found,
    pub(crate) fingerprint: String,
    pub(crate) source: Arc<str>,
}

/// An entry that will not be added.
pub(crate) struct LeftOut {
    pub(crate) source: Arc<str>,
    pub(crate) place: usize,
    /// `duplicate`, `already_exists`, or why it could not be read.
    pub(crate) code: &'static str,
    /// The account that is in the pool.
    pub(crate) existing: Option<String>,
}

/// A preview as it is shown: no token, only fingerprints.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct PreviewView {
    pub(crate) preview_id: String,
    pub(crate) expires_at: String,
    counts: Counts,
    samples: Vec<Sample>,
    /// The first entries that cannot be read.
    problems: Vec<Problem>,
}

#[derive(Clone, Debug, Serialize, ToSchema)]
struct Counts {
    /// Lines that are not empty, or entries of JSON.
    entries: usize,
    /// Accounts to be added.
    new: usize,
    /// The same token twice.
    duplicates: usize,
    /// In the pool already.
    existing: usize,
    unreadable: usize,
}

#[derive(Clone, Debug, Serialize, ToSchema)]
struct Sample {
    fingerprint: String,
    label: Option<String>,
    tier: Option<String>,
    tags: Vec<String>,
    /// Name of the file; empty for pasted text.
    source: String,
    place: usize,
}

#[derive(Clone, Debug, Serialize, ToSchema)]
struct Problem {
    source: String,
    /// Line, or number of the entry in JSON.
    place: usize,
    /// `not_a_token`, `no_sso_cookie`, `not_json`.
    code: &'static str,
}

/// The previews that wait for their job.
#[derive(Clone)]
pub(crate) struct Previews {
    kept: Arc<Mutex<HashMap<String, Kept>>>,
    clock: Clock,
}

struct Kept {
    preview: Preview,
    expires_at: i64,
}

impl Preview {
    /// Reads texts by their names. Takes its time with large ones: not for a thread that serves.
    pub(crate) fn read(sources: &[(String, String)], accounts: &AccountPool) -> Self {
        let mut preview = Self { new: Vec::new(), left_out: Vec::new(), entries: 0 };
        let mut seen = HashSet::new();
        for (name, text) in sources {
            let source: Arc<str> = name.as_str().into();
            let listed = parse(text);
            preview.entries += listed.entries;
            let leave_out = |place, code, existing| LeftOut { source: Arc::clone(&source), place, code, existing };
            for Unreadable { place, code } in listed.unreadable {
                preview.left_out.push(leave_out(place, code, None));
            }
            for mut found in listed.found {
                // A name is shown to everybody.
                found.label = found.label.filter(|label| !label.contains(&found.token));
                let (fingerprint, known) = accounts.recognise(&found.token);
                if !seen.insert(fingerprint.clone()) {
                    preview.left_out.push(leave_out(found.place, "duplicate", None));
                } else if known.is_some() {
                    preview.left_out.push(leave_out(found.place, "already_exists", known));
                } else {
                    preview.new.push(Placed { found, fingerprint, source: Arc::clone(&source) });
                }
            }
        }
        preview
    }

    fn view(&self, id: &str, expires_at: i64) -> PreviewView {
        let count = |code: &str| self.left_out.iter().filter(|entry| entry.code == code).count();
        let (duplicates, existing) = (count("duplicate"), count("already_exists"));
        let sample = |placed: &Placed| Sample {
            fingerprint: placed.fingerprint.clone(),
            label: placed.found.label.clone(),
            tier: placed.found.tier.clone(),
            tags: placed.found.tags.clone(),
            source: placed.source.to_string(),
            place: placed.found.place,
        };
        let problems = self.left_out.iter().filter(|entry| !matches!(entry.code, "duplicate" | "already_exists"));
        PreviewView {
            preview_id: id.to_owned(),
            expires_at: timestamp(expires_at),
            counts: Counts {
                entries: self.entries,
                new: self.new.len(),
                duplicates,
                existing,
                unreadable: self.left_out.len() - duplicates - existing,
            },
            samples: self.new.iter().take(SAMPLES).map(sample).collect(),
            problems: problems
                .take(MOST_PROBLEMS)
                .map(|entry| Problem { source: entry.source.to_string(), place: entry.place, code: entry.code })
                .collect(),
        }
    }
}

impl Previews {
    pub(crate) fn new(clock: Clock) -> Self {
        Self { kept: Arc::default(), clock }
    }

    /// Keeps a preview for its job; with too many, the oldest goes.
    pub(crate) fn keep(&self, preview: Preview) -> PreviewView {
        let id = format!("prv_{}", random_token(12).replace(['-', '_'], "0"));
        let expires_at = self.clock.now_ms() + KEPT_MS;
        let view = preview.view(&id, expires_at);
        self.with(|kept| {
            let accounts = |kept: &HashMap<String, Kept>| kept.values().map(|one| one.preview.new.len()).sum::<usize>();
            while kept.len() >= MOST || !kept.is_empty() && accounts(kept) + preview.new.len() > MOST_ACCOUNTS {
                let oldest = kept.iter().min_by_key(|(_, kept)| kept.expires_at).map(|(id, _)| id.clone());
                kept.remove(&oldest.unwrap_or_default());
            }
            kept.insert(id, Kept { preview, expires_at });
        });
        view
    }

    pub(crate) fn show(&self, id: &str) -> Option<PreviewView> {
        self.with(|kept| kept.get(id).map(|kept| kept.preview.view(id, kept.expires_at)))
    }

    /// Takes a preview out, for its job.
    pub(crate) fn take(&self, id: &str) -> Option<Preview> {
        self.with(|kept| kept.remove(id)).map(|kept| kept.preview)
    }

    fn with<T>(&self, work: impl FnOnce(&mut HashMap<String, Kept>) -> T) -> T {
        let now = self.clock.now_ms();
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.retain(|_, kept| kept.expires_at > now);
        work(&mut kept)
    }
}
