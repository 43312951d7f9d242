//! Request bodies: no panic, and whatever is accepted asks something.

#![no_main]

use libfuzzer_sys::fuzz_target;
use protocol::history::History;
use protocol::openai::{Role, read_chat_request, read_turn_request};

fuzz_target!(|body: &[u8]| {
    protocol_fuzz::hold(body.len(), 200, || read(body));
});

fn read(body: &[u8]) {
    if let Ok(request) = read_chat_request(body) {
        assert!(!request.model.is_empty());
        assert!(request.messages.iter().any(|message| message.role != Role::Assistant));
        protocol::model::find(&request.model);
        let _ = History::read(&request.messages);
    }
    if let Ok(turn) = read_turn_request(body) {
        assert!(!turn.conversation_id.is_empty() && !turn.message.is_empty());
    }
}
