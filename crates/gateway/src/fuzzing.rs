//! The door for fuzz targets (`fuzz/`): readers of foreign text that are nobody's business otherwise. It exists only with the feature
//! `fuzzing`, which nothing but the fuzz targets asks for.

use crate::{imports, settings, upstream};

/// Lists of accounts.
pub fn accounts(text: &str) {
    imports::fuzz(text);
}

/// Documents of settings.
pub fn settings(text: &str) {
    settings::fuzz_document(text);
}

/// Addresses: of settings, networks, and of images that clients name.
pub fn address(text: &str) {
    settings::fuzz_address(text);
    upstream::fuzz_image_address(text);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The seeds, and what becomes of them when their characters are moved about: the same changes every time.
    #[test]
    fn seeds_and_their_relatives_are_survived() {
        let mut random = 7_u64;
        let mut below = |limit: usize| {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            usize::try_from(random >> 33).unwrap_or(0) % limit.max(1)
        };
        for (target, read) in
            [("imports", accounts as fn(&str)), ("settings", settings as fn(&str)), ("addresses", address as fn(&str))]
        {
            let seeds = format!("{}/../../fuzz/seeds/{target}", env!("CARGO_MANIFEST_DIR"));
            for seed in std::fs::read_dir(seeds).unwrap() {
                let seed: Vec<char> = std::fs::read_to_string(seed.unwrap().path()).unwrap().chars().collect();
                read(&seed.iter().collect::<String>());
                for _ in 0..3_000 {
                    let mut text = seed.clone();
                    for _ in 0..=below(3) {
                        let (at, other) = (below(text.len()), below(text.len()));
                        match below(4) {
                            0 => drop(text.remove(at)),
                            1 => text.swap(at, other),
                            2 => text.insert(at, *[':', '@', '[', '\n', '"', '.', '0', 'é'].get(below(8)).unwrap()),
                            _ => text.extend_from_within(at.min(other)..at.max(other)),
                        }
                        if text.is_empty() {
                            break;
                        }
                    }
                    read(&text.iter().collect::<String>());
                }
            }
        }
    }
}
