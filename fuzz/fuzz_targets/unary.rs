//! Answers of the upstream's unary calls: no panic, and nothing that was read is empty.

#![no_main]

use libfuzzer_sys::fuzz_target;
use protocol::rest::{self, Account, Uploaded};

fuzz_target!(|body: &[u8]| {
    protocol_fuzz::hold(body.len(), 100, || read(body));
});

fn read(body: &[u8]) {
    if let Ok(clone) = rest::read_clone(body) {
        assert!(!clone.conversation_id.is_empty() && clone.leaf().is_some_and(|leaf| !leaf.id.is_empty()));
    }
    assert!(rest::read_share(body).is_ok_and(|link| !link.is_empty()) || rest::read_share(body).is_err());
    if let Ok(limits) = rest::read_rate_limits(body) {
        assert!(limits.remaining.is_some() || limits.wait_seconds.is_some_and(|seconds| seconds > 0));
    }
    if let Ok(responses) = rest::read_responses(body) {
        assert!(responses.iter().all(|response| !response.id.is_empty()));
    }
    if let Ok(nodes) = rest::read_response_nodes(body) {
        assert!(nodes.nodes.iter().all(|node| !node.id.is_empty()));
    }
    if let Ok(Account::Known { user_id }) = rest::read_account(body) {
        assert!(!user_id.is_empty());
    }
    for uploaded in [rest::read_upload(body), rest::read_upload_direct(body)] {
        if let Ok(Uploaded::As(text) | Uploaded::Refused(text)) = uploaded {
            assert!(!text.is_empty());
        }
    }
    let _ = rest::read_tier(body);
    if let Ok(frame) = rest::stored_answer_frame(body) {
        let mut told = 0;
        rest::decode(&frame, |_| told += 1);
        assert!(told > 0, "a stored answer tells something");
    }
}
