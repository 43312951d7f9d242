//! How many rows clients may cause in the statistics: names of models and of programs are theirs to choose.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};

use crate::store::requests::{RequestRow, SharedNames};

/// Names of one kind that are counted apart on one day; what comes beyond them is counted together.
const NAMES_PER_DAY: usize = 200;

const DAY_MS: i64 = 86_400_000;

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Kind {
    Model,
    Mode,
    Client,
}

/// A cheap handle to the names of the day.
#[derive(Clone, Default)]
pub(super) struct NamesOfDay {
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    day: i64,
    seen: HashMap<Kind, HashSet<String>>,
}

impl NamesOfDay {
    /// Notes which of the row's names are counted with others.
    pub(super) fn judge(&self, row: &mut RequestRow) {
        if row.key_id.is_none() {
            // What strangers call themselves is not counted at all.
            return;
        }
        let day = row.at.div_euclid(DAY_MS);
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.day != day {
            *state = State { day, seen: HashMap::new() };
        }
        let mut is_shared = |kind: Kind, name: Option<&str>| {
            let (Some(name), seen) = (name, state.seen.entry(kind).or_default()) else { return false };
            if seen.contains(name) {
                return false;
            }
            seen.len() >= NAMES_PER_DAY || !seen.insert(name.to_owned())
        };
        row.shared = SharedNames {
            model: is_shared(Kind::Model, row.model.as_deref()),
            mode: is_shared(Kind::Mode, row.mode.as_deref()),
            client: is_shared(Kind::Client, row.client.as_deref()),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(at: i64, model: &str, client: &str) -> RequestRow {
        RequestRow {
            at,
            key_id: Some("key_1".to_owned()),
            model: Some(model.to_owned()),
            mode: Some("auto".to_owned()),
            client: Some(client.to_owned()),
            ..RequestRow::default()
        }
    }

    #[test]
    fn names_beyond_those_of_the_day_are_counted_together() {
        let names = NamesOfDay::default();
        let judged = |at: i64, model: &str, client: &str| {
            let mut row = row(at, model, client);
            names.judge(&mut row);
            row.shared
        };
        for number in 0..NAMES_PER_DAY {
            assert_eq!(judged(5, &format!("model-{number}"), "curl"), SharedNames::default());
        }
        let shared = SharedNames { model: true, ..SharedNames::default() };
        assert_eq!(judged(5, "one too many", "curl"), shared);
        assert_eq!(judged(5, "one too many", "curl"), shared, "it does not become known by being asked for");
        assert_eq!(judged(5, "model-7", "curl"), SharedNames::default(), "those that were there before stay");
        assert_eq!(judged(DAY_MS + 5, "one too many", "curl"), SharedNames::default(), "the next day begins anew");
        let mut stranger = RequestRow { key_id: None, ..row(5, "model-x", "x") };
        names.judge(&mut stranger);
        assert_eq!(stranger.shared, SharedNames::default());
    }
}
