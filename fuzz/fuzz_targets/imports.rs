//! Lists of accounts in any form: no panic, and whatever is found is a token that is read again as the same.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    grok2api::fuzzing::accounts(text);
});
