//! Documents of settings: no panic, and a good one means the same after it was written for people and read again.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    grok2api::fuzzing::settings(text);
});
