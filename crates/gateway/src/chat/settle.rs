//! What a failed attempt costs: the account, the exit, or nobody.

use std::sync::Arc;

use super::{Shared, background};
use crate::accounts::{Fault, Lease, RestLengths, Settlement};
use crate::settings::Settings;
use crate::upstream::{Blame, Verdict};

/// Settles an attempt that failed, for the account and for the exit; answers what the account was charged with.
pub(super) fn settle(
    shared: &Arc<Shared>,
    lease: Lease,
    verdict: Verdict,
    may_charge: bool,
    settings: &Settings,
    request: &str,
) -> Option<&'static str> {
    match verdict.blame {
        Blame::Exit => shared.exit.trouble(lease.account_id(), verdict.label, settings),
        // May have happened on the way as well as upstream, or here.
        Blame::Failure => shared.exit.undecided(settings),
        Blame::Nobody if !verdict.upstream_spoke => shared.exit.undecided(settings),
        // The upstream itself spoke, so the way out works.
        _ => shared.exit.success(settings),
    }
    let (credential, mode) = (lease.credential().clone(), lease.mode().to_owned());
    let fault = fault(verdict.blame).filter(|_| may_charge);
    let lengths = rest_lengths(settings);
    lease.settle(fault.map_or(Settlement::Blameless, |fault| Settlement::Charged {
        fault,
        lengths: &lengths,
        request,
    }));
    if let Blame::RateLimited { .. } = verdict.blame {
        // After the account has been charged, for the answer refines the rest.
        background::check_quota(shared, credential, mode);
    }
    fault.map(Fault::label)
}

/// The charge a verdict asks for; `None` when the account is not to blame.
fn fault(blame: Blame) -> Option<Fault> {
    match blame {
        Blame::Nobody | Blame::Exit => None,
        Blame::RateLimited { quota_left } => Some(Fault::RateLimited { quota_left }),
        Blame::CredentialDead => Some(Fault::CredentialDead),
        Blame::UserBlocked => Some(Fault::UserBlocked),
        Blame::ModeUnavailable => Some(Fault::ModeUnavailable),
        Blame::Failure => Some(Fault::Failure),
    }
}

pub(super) fn rest_lengths(settings: &Settings) -> RestLengths {
    let seconds = |value: u64| i64::try_from(value).unwrap_or(i64::MAX / 1_000_000);
    RestLengths {
        quota_left: seconds(settings.cooldown_quota_left),
        quota_gone: seconds(settings.cooldown_quota_gone),
        failures: seconds(settings.cooldown_failures),
        failures_in_a_row: seconds(settings.failures_before_cooldown),
    }
}
