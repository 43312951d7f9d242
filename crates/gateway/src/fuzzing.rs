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
