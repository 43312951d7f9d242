//! Web addresses and networks of settings, and addresses that clients name for images: no panic, and none of them leads inside.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    grok2api::fuzzing::address(text);
});
