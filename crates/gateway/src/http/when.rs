//! How long to wait, in the words of a sentence. `Retry-After` says it exactly.

const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;

/// `in 14 minutes`: rounded up, so that nobody comes too early.
pub(super) fn in_words(seconds: u64) -> String {
    let (unit, length) = match seconds {
        0..120 => ("second", 1),
        120..7_200 => ("minute", MINUTE),
        7_200..172_800 => ("hour", HOUR),
        _ => ("day", DAY),
    };
    let count = seconds.max(1).div_ceil(length);
    format!("in {count} {unit}{}", if count == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_are_told_in_the_unit_that_a_person_would_use() {
        for (seconds, words) in [
            (0, "in 1 second"),
            (1, "in 1 second"),
            (45, "in 45 seconds"),
            (119, "in 119 seconds"),
            (120, "in 2 minutes"),
            (801, "in 14 minutes"),
            (3_001, "in 51 minutes"),
            (7_199, "in 120 minutes"),
            (7_200, "in 2 hours"),
            (18_000, "in 5 hours"),
            (18_001, "in 6 hours"),
            (172_800, "in 2 days"),
            (u64::MAX, "in 213503982334602 days"),
        ] {
            assert_eq!(in_words(seconds), words);
        }
    }
}
