//! Failures of the upstream: no panic, the same judgement twice, and words that may be shown.

#![no_main]

use libfuzzer_sys::fuzz_target;
use protocol::failure::{Failure, classify_http, classify_named, classify_status, classify_stream_error};

const STATUSES: [u16; 8] = [200, 400, 401, 403, 404, 429, 500, 503];

fuzz_target!(|input: (u8, bool, &[u8])| {
    let (status, is_html, body) = input;
    let status = STATUSES[usize::from(status) % STATUSES.len()];
    let content_type = if is_html { "text/html; charset=utf-8" } else { "application/json" };
    let failures = protocol_fuzz::hold(body.len(), 600, || {
        let text = String::from_utf8_lossy(body);
        let (name, message) = text.split_once('\n').unwrap_or((&text, ""));
        [
            classify_http(status, Some(content_type), body),
            classify_http(status, None, body),
            classify_named(name, message),
            classify_status(Some(name), message),
            classify_stream_error(message, None),
            classify_stream_error(message, Some(name)),
        ]
    });
    failures.iter().for_each(check);
    assert_eq!(classify_http(status, None, body), failures[1]);
});

fn check(failure: &Failure) {
    assert!(!failure.kind.label().is_empty());
    for words in [Some(&failure.message), failure.code.as_ref()].into_iter().flatten() {
        assert!(words.len() <= 8 * 1024, "{} bytes", words.len());
        assert!(!words.chars().any(|character| character.is_control() && character != '\n'), "{words:?}");
    }
}
